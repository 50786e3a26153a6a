// Slots, progress, clients that leave, time limits, signals, options.
import assert from 'node:assert/strict';
import {spawnSync} from 'node:child_process';
import {randomBytes} from 'node:crypto';
import {mkdirSync, mkdtempSync, readdirSync, readFileSync, symlinkSync, writeFileSync} from 'node:fs';
import http from 'node:http';
import {networkInterfaces, tmpdir} from 'node:os';
import path from 'node:path';
import {fileURLToPath} from 'node:url';
import {afterEach, describe, test} from 'node:test';
import {setTimeout as sleep} from 'node:timers/promises';

import {testPng, writePng} from './lib/png.mjs';
import {connect, fakeEngine, follow, metric, multipart, parts, request, runProgram, startServer, upscale, waitFor} from './lib/server.mjs';

const quick = {prompt: 'x', image: testPng(4, 4), num_inference_steps: '1'};
/** Works for many seconds, but notices within one step that it is no longer wanted. */
const slow = {prompt: 'x', image: testPng(48, 48), num_inference_steps: '1000'};
const servers = [];

function pluginFolder() {
  const {stdout} = spawnSync('pkg-config', ['--variable=pluginsdir', 'gstreamer-1.0'], {encoding: 'utf8'});
  return stdout.trim();
}

async function start(options) {
  const server = await startServer(options);
  servers.push(server);
  return server;
}

afterEach(async () => {
  for (const server of servers.splice(0)) {
    server.child.kill('SIGKILL');
    await server.exited;
  }
});

const running = (server, number) => waitFor(`${number} running`, async () => (await metric(server, 'upscale_running')) === number);
const waiting = (server, number) => waitFor(`${number} waiting`, async () => (await metric(server, 'upscale_waiting')) === number);

/** A request that can be hung up on. */
function begin(server, fields) {
  const form = multipart(parts(fields));
  const outgoing = http.request(`${server.url}/upscale`, {method: 'POST', headers: form.headers});
  const answered = new Promise((resolve) => {
    outgoing.on('error', () => resolve(undefined));
    outgoing.on('response', (incoming) => resolve(incoming.resume().statusCode));
  });
  outgoing.end(form.body);
  return {answered, hangUp: () => outgoing.destroy()};
}

test('no slot: 500 insufficient capacity before the body is sent', async () => {
  const server = await start({args: ['--workers', '2', '--queue', '1']});
  const held = [begin(server, slow), begin(server, slow), begin(server, slow)];
  await running(server, 2);
  await waiting(server, 1);
  const socket = await connect(server);
  socket.write('POST /upscale HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\nContent-Type: multipart/form-data; boundary=b\r\n\r\n');
  socket.once('data', () => socket.end());
  const text = await socket.ended;
  assert.match(text, /^HTTP\/1\.1 500 [^]*"msg":"[^"]*insufficient capacity/);
  assert.match(text, /Content-Type: application\/json/i);
  for (const one of held) one.hangUp();
  await running(server, 0);
  assert.equal((await upscale(server, quick)).status, 200);
});

test('other routes answer while pictures are being worked on', async () => {
  const server = await start();
  let done = false;
  const held = begin(server, slow);
  held.answered.then(() => (done = true));
  await running(server, 1);
  for (let i = 0; i < 20; i++) assert.equal((await request(server, '/health')).json.status, 'OK');
  assert.equal(done, false, 'the picture was to take longer than this');
  held.hangUp();
});

describe('a client that leaves', () => {
  test('its picture is given up', async () => {
    const server = await start();
    const held = begin(server, slow);
    await running(server, 1);
    held.hangUp();
    await running(server, 0);
    assert.equal(await metric(server, 'upscale_pictures_total'), 0);
    assert.equal(await metric(server, 'upscale_cancelled_total'), 1);
    assert.equal((await upscale(server, quick)).status, 200);
  });
  test('its picture is given up within one step', async () => {
    const server = await start({env: fakeEngine({FAKE_STEP_MILLISECONDS: '500'})});
    let least = Infinity;
    for (let i = 0; i < 10 && least >= 1000; i++) {  // a busy machine may spoil some, not all
      const held = begin(server, {...quick, num_inference_steps: '1000'});
      await running(server, 1);
      const left = Date.now();
      held.hangUp();
      await running(server, 0);
      least = Math.min(least, Date.now() - left);
    }
    assert.ok(least < 1000, `${least} ms for a step of 500`);
  });
  test('it is not counted as answered', async () => {
    const server = await start();
    const socket = await connect(server);
    socket.write('POST /upscale HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nhalf');
    socket.end();
    await waitFor('its line in the log', () => /POST \/upscale aborted/.test(server.log));
    const held = begin(server, slow);
    await running(server, 1);
    held.hangUp();
    await waitFor('another one', () => /POST \/upscale aborted .* steps 1000 seed \d+ given up/.test(server.log));
    assert.equal((await request(server, '/metrics')).text.includes('upscale_requests_total{'), false);
  });
  test('in the queue: its slot is free at once', async () => {
    const server = await start({args: ['--workers', '1', '--queue', '1']});
    const first = begin(server, slow);
    await running(server, 1);
    const second = begin(server, slow);
    await waiting(server, 1);
    second.hangUp();
    await waiting(server, 0);
    const third = begin(server, quick);
    await waiting(server, 1);
    first.hangUp();
    assert.equal(await third.answered, 200);
  });
  test('at any moment', async () => {
    const server = await start({args: ['--workers', '2', '--queue', '8']});
    for (let i = 0; i < 100; i++) {
      const held = begin(server, i % 3 ? slow : quick);
      await sleep(i);
      held.hangUp();
      await running(server, 0);
    }
    assert.equal((await upscale(server, quick)).status, 200);
  });
  test('in the middle of a stream of events', async () => {
    const server = await start();
    await follow(server, slow, ({data}) => !(data.fraction > 0));
    await running(server, 0);
    assert.equal(await metric(server, 'upscale_pictures_total'), 0);
  });
});

describe('server-sent events', () => {
  test('progress that never falls, then the result', async () => {
    const server = await start();
    const events = await follow(server, {...quick, num_inference_steps: '5', seed: '3'});
    const fractions = events.filter(({name}) => name === 'progress').map(({data}) => data.fraction);
    assert.ok(fractions.length >= 2, 'no progress');
    assert.deepEqual(fractions, [...fractions].sort((a, b) => a - b));
    assert.equal(fractions[0], 0);
    assert.equal(events.at(-1).name, 'result');
    const plain = await upscale(server, {...quick, num_inference_steps: '5', seed: '3'});
    assert.deepEqual(events.at(-1).data, plain.json);
  });
  test('the place in the queue, and a word now and then where nothing happens', async () => {
    const server = await start({env: fakeEngine({FAKE_STEP_MILLISECONDS: '20000'})});
    const first = begin(server, quick);
    await running(server, 1);
    const second = begin(server, quick);
    await waiting(server, 1);
    const third = follow(server, quick, ({name}) => name !== 'comment');
    await waiting(server, 2);
    second.hangUp();
    const events = await third;
    assert.deepEqual(events.map(({name, data}) => [name, data]), [['queue', {place: 2}], ['queue', {place: 1}]]);
    assert.equal(events.headers['x-accel-buffering'], 'no');
  });
  test('no progress before the queue is over', async () => {
    const server = await start({env: fakeEngine({FAKE_STEP_MILLISECONDS: '500'})});
    const first = begin(server, quick);
    await running(server, 1);
    const events = await follow(server, quick);
    await first.answered;
    assert.deepEqual(events.slice(0, 2), [{name: 'queue', data: {place: 1}}, {name: 'progress', data: {fraction: 0}}]);
    assert.equal(events.at(-1).name, 'result');
  });
  test('what is known to be wrong beforehand has its usual status', async () => {
    const server = await start();
    const answer = await upscale(server, {prompt: 'x'}, {headers: {Accept: 'text/event-stream'}});
    assert.equal(answer.status, 422);
  });
  test('an error on the way is an event', async () => {
    const server = await start();
    const events = await follow(server, {...quick, image: testPng(9, 9).subarray(0, 40)});
    assert.equal(events.at(-1).name, 'error');
    assert.equal(events.at(-1).data.status, 400);
    assert.equal(typeof events.at(-1).data.detail.msg, 'string');
  });
});

test('--max-seconds: 400, and the picture is given up', async () => {
  const server = await start({args: ['--max-seconds', '1']});
  const answer = await upscale(server, slow);
  assert.equal(answer.status, 400);
  assert.match(answer.json.detail.msg, /1 s/);
  await running(server, 0);
  assert.equal(await metric(server, 'upscale_pictures_total'), 0);
});

describe('SIGTERM', () => {
  test('what is being worked on is answered, new requests are not taken, then the end', async () => {
    const server = await start({args: ['--workers', '1', '--queue', '4']});
    const agent = new http.Agent({keepAlive: true, maxSockets: 1});
    await request(server, '/health', {agent});
    const held = [begin(server, {...slow, num_inference_steps: '150'}), begin(server, quick)];
    await running(server, 1);
    await waiting(server, 1);
    server.child.kill('SIGTERM');
    await waitFor('the signal to arrive', () => server.log.includes('finishing'));
    const refused = await upscale(server, quick, {agent});
    assert.equal(refused.status, 500);
    assert.match(refused.json.detail.msg, /insufficient capacity/);
    assert.equal(refused.headers.connection, 'close');
    await assert.rejects(request(server, '/health', {agent: new http.Agent()}), {code: 'ECONNREFUSED'});
    assert.deepEqual(await Promise.all(held.map(({answered}) => answered)), [200, 200]);
    assert.equal(await server.exited, 0);
  });
  /** A connection with half a request; finish() sends the other half. */
  async function beginUpload(server) {
    const form = multipart(parts(quick)), half = form.body.length / 2;
    const socket = await connect(server);
    socket.write(`POST /upscale HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: ${form.headers['Content-Type']}\r\n` +
                 `Content-Length: ${form.body.length}\r\n\r\n`);
    socket.write(form.body.subarray(0, half));
    await waitFor('half a request', async () => (await metric(server, 'upscale_uploading')) === 1);
    return {ended: socket.ended, finish: () => socket.write(form.body.subarray(half))};
  }
  test('what is on its way in is taken and answered', async () => {
    const server = await start();
    const upload = await beginUpload(server);
    server.child.kill('SIGTERM');
    await waitFor('the signal to arrive', () => server.log.includes('finishing'));
    upload.finish();
    assert.match(await upload.ended, /^HTTP\/1\.1 200 /);
    assert.equal(await server.exited, 0);
  });
  test('a second one does not wait for it', async () => {
    const server = await start();
    await beginUpload(server);
    server.child.kill('SIGTERM');
    await waitFor('the signal to arrive', () => server.log.includes('finishing'));
    server.child.kill('SIGTERM');
    assert.equal(await server.exited, 0);
  });
  test('a second one cancels', async () => {
    for (let round = 0; round < 4; round++) {  // at whatever moment of a step
      const server = await start();
      const held = [begin(server, slow), begin(server, slow)];
      await running(server, 1);
      await waiting(server, 1);
      server.child.kill('SIGTERM');
      await waitFor('the first signal', () => server.log.includes('finishing'));
      server.child.kill('SIGTERM');
      assert.deepEqual(await Promise.all(held.map(({answered}) => answered)), [500, 500]);
      assert.equal(await server.exited, 0);
    }
  });
  test('a client that does not read its answer is not waited for', async () => {
    const server = await start({args: ['--drain-seconds', '1'], env: fakeEngine({})});
    const noise = writePng(1200, 1200, 8, 2, () => randomBytes(3600));  // an answer that no socket takes at once
    const form = multipart(parts({...quick, image: noise}));
    const socket = await connect(server);
    socket.pause();
    socket.write(`POST /upscale HTTP/1.1\r\nHost: x\r\nContent-Type: ${form.headers['Content-Type']}\r\n` +
                 `Content-Length: ${form.body.length}\r\n\r\n`);
    socket.write(form.body);
    await waitFor('the picture', async () => (await metric(server, 'upscale_pictures_total')) === 1);
    server.child.kill('SIGTERM');
    assert.equal(await server.exited, 0);
    assert.doesNotMatch(server.log, /POST \/upscale 200/);
    socket.destroy();
  });
  test('--drain-seconds over: cancels', async () => {
    const server = await start({args: ['--drain-seconds', '1']});
    const held = begin(server, slow);
    await running(server, 1);
    server.child.kill('SIGTERM');
    assert.equal(await held.answered, 500);
    assert.equal(await server.exited, 0);
  });
});

test('one log line for each request, without the prompt', async () => {
  const server = await start();
  const lines = () => server.log.split('\n').filter((line) => line.includes('POST /upscale'));
  await upscale(server, {...quick, prompt: 'secretword', seed: '5'});
  await upscale(server, {prompt: 'secretword'});
  await upscale(server, {...quick, prompt: 'secretword', model_id: 'a\n2026 secretword'});
  await request(server, '/upscale?prompt=secretword', {method: 'POST', headers: {'X-Prompt': 'secretword'}});
  await waitFor('four lines', () => lines().length === 4);
  assert.match(lines()[0], /POST \/upscale 200 .* 4x4 PNG steps 1 seed 5/);
  assert.match(lines()[1], /POST \/upscale 422/);
  assert.doesNotMatch(server.log, /secretword/);
});

describe('options and environment', () => {
  const modelOf = async (server) => (await request(server, '/version')).json.model_id;
  test('PORT, and --port wins', async () => {
    const {code, output} = await runProgram(['--no-safety-checker'], {PORT: 'x'});
    assert.notEqual(code, 0);
    assert.match(output, /PORT/);
    await start({env: {PORT: '1'}});
  });
  test('PIPELINE upscale is fine, another is refused', async () => {
    await start({env: {PIPELINE: 'upscale'}});
    const {code, output} = await runProgram([], {PIPELINE: 'text-to-image'});
    assert.notEqual(code, 0);
    assert.match(output, /text-to-image/);
  });
  test('the model is called default', async () => assert.equal(await modelOf(await start()), 'default'));
  test('--model-id names it', async () => assert.equal(await modelOf(await start({args: ['--model-id', 'a/b']})), 'a/b'));
  test('--model names it, MODEL_ID wins over that', async () => {
    assert.equal(await modelOf(await start({args: ['--model', 'default']})), 'default');
    assert.equal(await modelOf(await start({args: ['--model', 'default'], env: {MODEL_ID: 'c/d'}})), 'c/d');
  });
  test('a model that does not exist: an error that names it, no open port', async () => {
    for (const [args, env] of [[['--model', 'no/such-model'], {}], [['--model', 'no/such-model-größe'], {}], [[], {MODEL_ID: 'no/such-model'}]]) {
      const {code, output} = await runProgram(['--port', '0', '--no-safety-checker', ...args], env);
      assert.notEqual(code, 0);
      assert.match(output, /no\/such-model/);
      assert.doesNotMatch(output, /listening/);
    }
  });
  for (const args of [['--workers', '0'], ['--queue', '-1'], ['--max-body', '5'], ['--port', '70000'], ['--port=-5'], ['--port', '80x'], ['--set', 'x'],
                      ['--set', 'no-such-property=1'], ['--nonsense'], ['stray'], ['--host', 'not an address'], ['--busy-status', '404'], ['--max-connections', '0']]) {
    test(`${args.join(' ')} is refused`, async () => {
      const {code, output} = await runProgram(['--no-safety-checker', '--port', '0', ...args]);
      assert.equal(code, 1);
      assert.match(output, /^livepeer-upscale-server: /m);
    });
  }
  for (const property of ['post-messages=false', 'safety-check=false', 'safety_check=false', 'safety-action=hide']) {
    test(`--set ${property} is refused: nsfw would be wrong`, async () => {
      const {code, output} = await runProgram(['--port', '0', '--set', property], fakeEngine());
      assert.equal(code, 1);
      assert.match(output, /^livepeer-upscale-server: --set does not take \S+: .*--no-safety-checker/m);
    });
  }
  for (const property of ['n-threads=abc', 'n-threads=-1', 'temporal=nonsense', 'max-pixels=', 'prompt=x', 'name=x']) {
    test(`--set ${property} is refused`, async () => {
      const {code, output} = await runProgram(['--no-safety-checker', '--port', '0', '--set', property], fakeEngine());
      assert.equal(code, 1);
      assert.match(output, new RegExp(`^livepeer-upscale-server: --set.* ${property.split('=')[0]}: `, 'm'));
    });
  }
  for (const token of [' x', 'x ', 'x\n', ' ']) {
    test(`AUTH_TOKEN ${JSON.stringify(token)} is refused`, async () => {
      const {code, output} = await runProgram(['--no-safety-checker', '--port', '0'], fakeEngine({AUTH_TOKEN: token}));
      assert.equal(code, 1);
      assert.match(output, /^livepeer-upscale-server: AUTH_TOKEN .*blank/m);
    });
  }
  test('--private-metrics without a token is refused', async () => {
    const {code, output} = await runProgram(['--no-safety-checker', '--port', '0', '--private-metrics']);
    assert.equal(code, 1);
    assert.match(output, /^livepeer-upscale-server: --private-metrics .*AUTH_TOKEN/m);
  });
  test('--set sets a property of the element', async () => {
    const server = await start({args: ['--set', 'max-pixels=10']});
    const answer = await upscale(server, quick);
    assert.equal(answer.status, 400);
    assert.match(answer.json.detail.msg, /^Error during model execution: .*[^.]\.$/);
  });
  test('HOST, and --host wins', async () => {
    const {code} = await runProgram(['--no-safety-checker', '--port', '0'], {HOST: 'nonsense'});
    assert.equal(code, 1);
    await start({args: ['--host', '127.0.0.1'], env: {HOST: 'nonsense'}});
  });
  const six = Object.values(networkInterfaces()).flat().some(({address}) => address === '::1');
  test('IPv6', {skip: !six && 'this machine has none'}, async () => {
    const server = await start({args: ['--host', '::1']});
    assert.match(server.url, /^http:\/\/\[::1\]:\d+$/);
    assert.equal((await upscale(server, quick)).status, 200);
  });
  test('VERBOSE_LOGGING=1 logs more, but no prompt', async () => {
    const server = await start({env: {VERBOSE_LOGGING: '1'}});
    await upscale(server, {...quick, prompt: 'secretword', image: testPng(64, 64).subarray(0, 40)});
    await waitFor('a line of detail', () => /DEBUG/.test(server.log));
    assert.doesNotMatch(server.log, /secretword/);
  });
  test('elements that are missing: an error that names them, no open port', async () => {
    const folder = mkdtempSync(path.join(tmpdir(), 'upscale-server-'));
    const env = {GST_REGISTRY: path.join(folder, 'registry'), GST_PLUGIN_SYSTEM_PATH_1_0: folder};
    const system = pluginFolder();
    for (const name of readdirSync(system).filter((file) => file.endsWith('.so') && !file.includes('png')))
      symlinkSync(path.join(system, name), path.join(folder, name));
    for (const [element, more] of [['pngenc', {}], ['livepeerupscale', {GST_PLUGIN_PATH_1_0: '/nowhere'}]]) {
      const {code, output} = await runProgram(['--port', '0', '--no-safety-checker'], {...env, ...more});
      assert.equal(code, 1);
      assert.match(output, new RegExp(element));
      assert.doesNotMatch(output, /listening/);
    }
  });
  test('a port that is taken', async () => {
    const server = await start();
    const {code, output} = await runProgram(['--no-safety-checker', '--port', String(server.port)]);
    assert.equal(code, 1);
    assert.match(output, /cannot listen/);
  });
  test('--help and --version', async () => {
    assert.equal((await runProgram(['--help'])).code, 0);
    assert.match((await runProgram(['--version'])).output, /^livepeer-upscale-server \d+\.\d+\.\d+\n$/);
  });
});

describe('a model folder as it is downloaded', () => {
  const folder = fileURLToPath(new URL('../golden/data/tiny-upscaler', import.meta.url));
  const id = 'stabilityai/stable-diffusion-x4-upscaler';
  async function assertServes(options) {
    const server = await start(options);
    assert.equal((await request(server, '/version')).json.model_id, id);
    const answer = await upscale(server, {...quick, image: testPng(16, 16), num_inference_steps: '2', model_id: id});
    assert.equal(answer.status, 200, answer.text);
  }
  test('it wants 75 steps, and does them for clients that send nothing or 75', async () => {
    const server = await start({args: ['--model', folder]});
    for (const steps of [{}, {num_inference_steps: '75'}]) {
      const events = await follow(server, {prompt: 'x', image: testPng(4, 4), ...steps});
      const least = Math.min(...events.map(({data}) => data.fraction).filter((fraction) => fraction > 0));
      assert.ok(least <= 1 / 75 && events.filter(({name}) => name === 'progress').length >= 75, `${least}`);
    }
  });
  test('--model and --model-id', () => assertServes({args: ['--model', folder, '--model-id', id]}));
  test('a file is called by its name', async () => {
    const file = path.join(mkdtempSync(path.join(tmpdir(), 'upscale-models-')), 'x4-upscaler-ema.safetensors');
    writeFileSync(file, '');
    const server = await start({args: ['--model', file], env: fakeEngine()});
    assert.equal((await request(server, '/version')).json.model_id, 'x4-upscaler-ema');
  });
  test('MODEL_DIR and MODEL_ID, as a node sets them', async () => {
    const root = mkdtempSync(path.join(tmpdir(), 'upscale-models-'));
    const repository = path.join(root, `models--${id.replace('/', '--')}`);
    for (const part of ['refs', 'snapshots']) mkdirSync(path.join(repository, part), {recursive: true});
    writeFileSync(path.join(repository, 'refs', 'main'), '0123abcd');
    symlinkSync(folder, path.join(repository, 'snapshots', '0123abcd'));
    await assertServes({env: {MODEL_DIR: root, MODEL_ID: id, PIPELINE: 'upscale'}});
  });
});

const analyze = spawnSync('systemd-analyze', ['--version']).status === 0;
test('systemd accepts the unit', {skip: !analyze && 'systemd-analyze is missing'}, () => {
  const unit = readFileSync(new URL('../../examples/upscale-server/livepeer-upscale-server.service.in', import.meta.url), 'utf8');
  const copy = path.join(mkdtempSync(path.join(tmpdir(), 'upscale-server-')), 'livepeer-upscale-server.service');
  writeFileSync(copy, unit.replace(/^ExecStart=\S+/m, `ExecStart=${process.env.LIVEPEER_UPSCALE_SERVER}`));
  const {status, stderr} = spawnSync('systemd-analyze', ['verify', copy], {encoding: 'utf8'});
  assert.equal(status, 0, stderr);
  assert.equal(stderr, '');
});
