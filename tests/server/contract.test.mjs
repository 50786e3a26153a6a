// What clients of POST /upscale rely on (examples/upscale-server/README.md), case by case.
import assert from 'node:assert/strict';
import {readFileSync} from 'node:fs';
import {after, before, describe, test} from 'node:test';

import {pictureOf, testPng} from './lib/png.mjs';
import {multipart, parts, request, startServer, upscale} from './lib/server.mjs';

const image = testPng(6, 5);
const good = {prompt: 'a white cat', image, num_inference_steps: '1'};
const modelId = 'stabilityai/stable-diffusion-x4-upscaler';
let server;

before(async () => (server = await startServer({
  safe: true,
  args: ['--model-id', modelId, '--max-steps', '80', '--max-pixels', '10000'],
  env: {VERSION: '9.9.9', MODEL_ID: 'someone/else'}})));
after(async () => assert.equal(await server.stop(), 0));

function assertPicture(answer, {seed, width = 24, height = 20} = {}) {
  assert.equal(answer.status, 200, answer.text);
  assert.deepEqual(Object.keys(answer.json), ['images']);
  assert.equal(answer.json.images.length, 1);
  const picture = pictureOf(answer);
  assert.deepEqual([picture.width, picture.height], [width, height]);
  assert.equal(answer.json.images[0].nsfw, false);
  if (seed !== undefined) assert.match(answer.text, new RegExp(`"seed":${seed}[,}]`));
  return picture;
}

function assertHttpError(answer, status, message) {
  assert.equal(answer.status, status, answer.text);
  assert.match(answer.headers['content-type'], /json/);
  assert.equal(typeof answer.json.detail.msg, 'string');
  if (message instanceof RegExp) assert.match(answer.json.detail.msg, message);
  else if (message) assert.equal(answer.json.detail.msg, message);
}

function assertFaults(answer, expected) {
  assert.equal(answer.status, 422, answer.text);
  assert.match(answer.headers['content-type'], /json/);
  assert.deepEqual(answer.json.detail.map(({type, loc}) => [type, ...loc]),
                   expected.map(([type, field]) => [type, 'body', field]));
  for (const item of answer.json.detail) assert.equal(typeof item.msg, 'string');
}

/** Prometheus' rules: HELP, then TYPE, then samples of that name; counters end in _total. */
function assertExposition(text) {
  const [last, ...lines] = text.split('\n').reverse();
  assert.equal(last, '', 'no line break at the end');
  let help, type;
  for (const line of lines.reverse()) {
    const comment = /^# (HELP|TYPE) ([a-z_]+) (.+)$/.exec(line);
    if (comment?.[1] === 'HELP') [help, type] = [comment[2], undefined];
    else if (comment) assert.deepEqual([comment[2], type], [help, undefined], line), type = comment[3];
    else assert.match(line, new RegExp(`^${help}(\\{[a-z]+="[^"\\\\]*"(,[a-z]+="[^"\\\\]*")*\\})? [0-9.e+-]+$`));
    if (type) assert.equal(type, help.endsWith('_total') ? 'counter' : 'gauge', line);
  }
}

const without = (name) => {
  const {[name]: _, ...rest} = good;
  return rest;
};

describe('spellings that are taken', () => {
  const cases = [
    ...['1', 't', 'y', 'on', 'yes', 'true', 'TRUE', 'On', 'T', '0', 'f', 'n', 'off', 'no', 'false', 'False', '']
      .map((word) => [`safety_check=${word}`, {safety_check: word}, {}]),
    ...[['0', '0'], ['7', '7'], ['+7', '7'], ['007', '7'], [' 7 ', '7'], ['1_000', '1000'], ['7.0', '7'],
        ['7.000', '7'], ['-0', '0'], ['-1', '-1'], ['4294967295', '4294967295'],
        ['9223372036854775807', '9223372036854775807'], ['9223372036854775808', '9223372036854775808'],
        ['18446744073709551615', '18446744073709551615'], ['-9223372036854775808', '-9223372036854775808']]
      .map(([text, seed]) => [`seed=${text}`, {seed: text}, {seed}]),
    ...['0', '-5', '2', '+1', '80', '1.0', '-99999999999999999999999']
      .map((steps) => [`num_inference_steps=${steps}`, {num_inference_steps: steps}, {}]),
    ['model_id is the loaded one', {model_id: modelId}, {}],
    ['model_id empty', {model_id: ''}, {}],
    ['prompt empty', {prompt: ''}, {}],
    ['prompt beyond ASCII', {prompt: 'eine weiße Katze 🐈 \u0000'}, {}],
    ['prompt that is not UTF-8', {prompt: 'x'}, {raw: Buffer.from([0xff, 0xfe, 0x41])}],
    ['prompt of 1 MiB', {prompt: 'x'.repeat(1024 * 1024)}, {}],
    ['unknown fields', {guidance_scale: '5', nonsense: 'x'}, {}],
    ['last of a repeated field', {seed: ['x', '8', '9']}, {seed: 9}],
  ];
  for (const [name, fields, expected] of cases) {
    test(name, async () => {
      const list = parts({...good, ...fields});
      if (expected.raw) list.find((part) => part.name === 'prompt').value = expected.raw;
      const form = multipart(list);
      assertPicture(await request(server, '/upscale', {method: 'POST', ...form}), expected);
    });
  }

  test('empty numbers are their defaults', async () => {
    const answer = await upscale(server, {...good, seed: '', safety_check: ''});
    assertPicture(answer);
    assert.ok(answer.json.images[0].seed >= 1);
  });
  test('no steps given, or 75, which SDKs send unasked: the model\'s own number', async () => {
    const answers = new Map();
    for (const steps of [undefined, '', '0', '75', '75.0', '-1', '1', '2', '74']) {
      const fields = steps === undefined ? without('num_inference_steps') : {...good, num_inference_steps: steps};
      const answer = await upscale(server, {...fields, seed: '5'});
      assertPicture(answer);
      answers.set(steps, answer.json.images[0].url);
    }
    const own = answers.get('1');
    for (const [steps, url] of answers) assert.equal(url === own, !['2', '74'].includes(steps), `${steps} steps`);
  });
});

describe('fields that are refused', () => {
  const cases = [
    ...['2', '0.0', 'null', 'None', 'maybe', 'truee'].map((word) => [{safety_check: word}, [['bool_parsing', 'safety_check']]]),
    ...['1.5', '1e3', '0x10', 'true', 'null', 'seven', '1__0', '_1', '1_', '+', '--1', '1 2', '.0', '1.']
      .flatMap((word) => [[{seed: word}, [['int_parsing', 'seed']]],
                          [{num_inference_steps: word}, [['int_parsing', 'num_inference_steps']]]]),
    [{seed: '1'.repeat(4301)}, [['int_parsing_size', 'seed']]],
    [{num_inference_steps: '1'.repeat(4301)}, [['int_parsing_size', 'num_inference_steps']]],
    [{image: 'text'}, [['value_error', 'image']]],
    [{prompt: image}, [['string_type', 'prompt']]],
    [{safety_check: 'maybe', seed: 'x'}, [['bool_parsing', 'safety_check'], ['int_parsing', 'seed']]],
    [{num_inference_steps: 'x', seed: 'x', safety_check: 'x', image: 'x', prompt: image},
     [['string_type', 'prompt'], ['value_error', 'image'], ['bool_parsing', 'safety_check'],
      ['int_parsing', 'seed'], ['int_parsing', 'num_inference_steps']]],
    [{seed: 'x', model_id: 'other/model'}, [['int_parsing', 'seed']]],
  ];
  for (const [fields, expected] of cases) {
    const name = JSON.stringify(fields, (_, value) => (value?.type === 'Buffer' ? '(file)' : value));
    test(name.slice(0, 100), async () => assertFaults(await upscale(server, {...good, ...fields}), expected));
  }

  test('the item for a missing prompt, to the letter', async () => {
    const answer = await upscale(server, {image});
    assert.equal(answer.text, '{"detail":[{"type":"missing","loc":["body","prompt"],"msg":"Field required","input":null}]}');
  });
  test('missing image', async () => assertFaults(await upscale(server, without('image')), [['missing', 'image']]));
  test('an item says what was sent', async () => {
    const {json} = await upscale(server, {...good, seed: 'sieben'});
    assert.equal(json.detail[0].input, 'sieben');
  });
  const both = [['missing', 'prompt'], ['missing', 'image']];
  for (const [name, type, body] of [['JSON', 'application/json', '{"prompt":"x"}'], ['an empty body', undefined, ''],
                                    ['text', 'text/plain', 'prompt=x'], ['an empty form', 'multipart/form-data; boundary=b', '']]) {
    test(`${name} instead of a form`, async () => {
      const headers = type ? {'Content-Type': type} : {};
      assertFaults(await request(server, '/upscale', {method: 'POST', headers, body: Buffer.from(body)}), both);
    });
  }
});

describe('status 400', () => {
  const cases = [
    ['another model', {model_id: 'other/model'}, `pipeline configured with ${modelId} but called with other/model.`],
    ['model id in other case', {model_id: modelId.toUpperCase()}, /^pipeline configured with /],
    ['model before image', {model_id: 'a/b', image: Buffer.from('x'), seed: '1'.repeat(30)}, /^pipeline configured with /],
    ['seed beyond 64 bits', {seed: '18446744073709551616'}, /seed/],
    ['seed below -2^63', {seed: '-9223372036854775809'}, /seed/],
    ['steps beyond the limit', {num_inference_steps: '81'}, /num_inference_steps.*80/],
    ['steps beyond 64 bits', {num_inference_steps: '99999999999999999999999'}, /num_inference_steps/],
    ['a text field of more than 1 MiB', {prompt: 'x'.repeat(1024 * 1024 + 1)}, /1 MiB/],
    ['a picture of too many pixels', {image: testPng(101, 100)}, /101x100.*10000/],
  ];
  for (const [name, fields, message] of cases)
    test(name, async () => assertHttpError(await upscale(server, {...good, ...fields}), 400, message));

  const b = 'multipart/form-data; boundary=b';
  const part = '--b\r\nContent-Disposition: form-data; name="prompt"\r\n\r\nx';
  for (const [name, type, body] of [
    ['no boundary', 'multipart/form-data', part],
    ['the boundary does not occur', b, 'nothing of the kind'],
    ['torn off in a part', b, part],
    ['torn off in the headers', b, '--b\r\nContent-Disposition: form-da'],
    ['a part without headers', b, '--b\r\n\r\nx\r\n--b--\r\n'],
    ['a part without a name', b, '--b\r\nContent-Disposition: form-data\r\n\r\nx\r\n--b--\r\n'],
    ['too many parts', b, `${part}\r\n`.repeat(1001) + '--b--\r\n'],
  ]) {
    test(`multipart: ${name}`, async () => assertHttpError(
      await request(server, '/upscale', {method: 'POST', headers: {'Content-Type': type}, body: Buffer.from(body)}), 400));
  }
});

describe('multipart as clients write it', () => {
  const send = (form, path = '/upscale') => request(server, path, {method: 'POST', ...form});
  const list = [{name: 'image', value: image, filename: 'image', type: 'application/octet-stream'},
                {name: 'prompt', value: 'x'}, {name: 'model_id', value: modelId},
                {name: 'safety_check', value: 'true'}, {name: 'seed', value: '5'},
                {name: 'num_inference_steps', value: '1'}];
  test("in the node's order", async () => assertPicture(await send(multipart(list)), {seed: 5}));
  test('image last', async () => assertPicture(await send(multipart([...list].reverse())), {seed: 5}));
  test('empty file name', async () => assertPicture(await send(multipart(list.map((p) => (p.filename ? {...p, filename: ''} : p))))));
  test('a boundary in quotes', async () => {
    const {body} = multipart(list, 'a b:c');
    assertPicture(await send({body, headers: {'Content-Type': 'Multipart/Form-Data; boundary="a b:c"; charset=utf-8'}}));
  });
  test('no line break after the last boundary', async () => {
    const {body, headers} = multipart(list);
    assertPicture(await send({body: body.subarray(0, body.length - 2), headers}));
  });
  test('preamble and epilogue', async () => {
    const {body, headers} = multipart(list);
    assertPicture(await send({body: Buffer.concat([Buffer.from('before\r\n'), body, Buffer.from('behind')]), headers}));
  });
  test('the boundary inside a value', async () => {
    const form = multipart([...list, {name: 'note', value: 'x --x-boundary-4711 --x-boundary-4711--\r\n--x-boundary-4711x'}]);
    assertPicture(await send(form));
  });
  for (const path of ['/upscale/', '/api/generate/upscale', '/api/generate/upscale/', '/api/beta/generate/upscale', '/api/beta/generate/upscale/'])
    test(`path ${path}`, async () => assertPicture(await send(multipart(list), path), {seed: 5}));
});

describe('seeds', () => {
  test('a drawn seed can be sent back and gives the same picture', async () => {
    const first = await upscale(server, good);
    const {seed} = first.json.images[0];
    assert.ok(Number.isInteger(seed) && seed >= 1 && seed < 2 ** 32);
    const second = await upscale(server, {...good, seed: String(seed)});
    assert.equal(second.text, first.text);
  });
  test('drawn seeds differ', async () => {
    const seeds = new Set();
    for (let i = 0; i < 4; i++) seeds.add((await upscale(server, good)).json.images[0].seed);
    assert.equal(seeds.size, 4);
  });
  test('0 is a seed', async () => {
    const answers = [await upscale(server, {...good, seed: '0'}), await upscale(server, {...good, seed: '0'})];
    assert.equal(answers[0].text, answers[1].text);
  });
});

describe('the other routes', () => {
  const id = {pipeline: 'upscale', model_id: modelId};
  const bodies = {'/health': {status: 'OK'}, '/hardware/info': {...id, gpu_info: {}},
                  '/hardware/stats': {...id, gpu_stats: {}}};
  for (const [path, body] of Object.entries(bodies)) {
    for (const spelling of [path, `${path}/`]) {
      test(`GET ${spelling}`, async () => {
        const answer = await request(server, spelling, {headers: {Authorization: 'Bearer whatever'}});
        assert.equal(answer.status, 200);
        for (const member of ['gpu_info', 'gpu_stats'])  // a machine with a GPU may run this test
          if (answer.json[member]) answer.json[member] = {};
        assert.deepEqual(answer.json, body);
      });
    }
  }
  test('GET /version', async () => {
    const {json} = await request(server, '/version');
    assert.deepEqual({...json, version: ''}, {...id, version: ''});
    assert.match(json.version, /^\d+\.\d+\.\d+$/);
    assert.notEqual(json.version, '9.9.9');
  });
  test('GET /openapi.json', async () => {
    const committed = readFileSync(new URL('../../examples/upscale-server/openapi.json', import.meta.url), 'utf8');
    assert.equal((await request(server, '/openapi.json')).text, committed);
  });
  test('GET /metrics', async () => {
    const {status, headers, text} = await request(server, '/metrics');
    assert.equal(status, 200);
    assert.match(headers['content-type'], /^text\/plain/);
    assert.match(text, /^version\{app="livepeer-upscale-server",version="\d+\.\d+\.\d+"\} 1$/m);
    assert.match(text, /^upscale_requests_total\{status="422"\} [1-9]\d*$/m);
    assertExposition(text);
  });
  test('HEAD /health', async () => assert.equal((await request(server, '/health', {method: 'HEAD'})).status, 200));
  for (const [method, path, allow] of [['GET', '/upscale', 'POST'], ['PUT', '/upscale/', 'POST'], ['DELETE', '/upscale', 'POST'],
                                       ['GET', '/api/generate/upscale', 'POST'], ['POST', '/health', 'GET'], ['POST', '/', 'GET']]) {
    test(`${method} ${path} is not allowed`, async () => {
      const answer = await request(server, path, {method, body: method === 'GET' ? undefined : Buffer.from('x')});
      assert.equal(answer.status, 405);
      assert.deepEqual(answer.json, {detail: 'Method Not Allowed'});
      assert.equal(answer.headers.allow, allow);
    });
  }
  for (const path of ['/nothing', '/upscale/x', '/upscale//', '/UPSCALE', '/docs']) {
    test(`${path} is not found`, async () => {
      const answer = await request(server, path, {method: 'POST', body: Buffer.from('x')});
      assert.equal(answer.status, 404);
      assert.deepEqual(answer.json, {detail: 'Not Found'});
    });
  }
});

describe('with a token', () => {
  let guarded;
  before(async () => (guarded = await startServer({env: {AUTH_TOKEN: 'Sesame'}})));
  after(() => guarded.stop());

  for (const value of [undefined, 'Bearer nope', 'Bearer', 'Bearer  Sesame', 'Bearer sesame', 'Basic Sesame', 'Sesame', 'Bearer Sesame2',
                       'Bearer Sesam', 'Bearer SesameSesame', 'Bearer ']) {
    test(`Authorization: ${value}`, async () => {
      const answer = await upscale(guarded, {}, {headers: value === undefined ? {} : {Authorization: value}});
      assertHttpError(answer, 401, 'Invalid bearer token.');
      assert.equal(answer.headers['www-authenticate'], 'Bearer');
    });
  }
  for (const value of ['Bearer Sesame', 'bearer Sesame', 'BEARER Sesame', 'Bearer Sesame '])
    test(`Authorization: ${value}`, async () => assertPicture(await upscale(guarded, good, {headers: {Authorization: value}})));
  for (const path of ['/health', '/version', '/hardware/info', '/openapi.json', '/metrics', '/'])
    test(`${path} needs none`, async () => assert.equal((await request(guarded, path)).status, 200));
  test('/metrics, where it is asked for', async () => {
    const server = await startServer({args: ['--private-metrics'], env: {AUTH_TOKEN: 'Sesame'}});
    assertHttpError(await request(server, '/metrics'), 401, 'Invalid bearer token.');
    const answer = await request(server, '/metrics', {headers: {Authorization: 'Bearer Sesame'}});
    assert.match(answer.text, /^upscale_running 0$/m);
    assert.equal(await server.stop(), 0);
  });
});
