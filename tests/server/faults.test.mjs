// What the model's faults and judgements become, with a fake engine behind the real element.
import assert from 'node:assert/strict';
import {describe, test} from 'node:test';

import {pictureOf, testPng} from './lib/png.mjs';
import {fakeEngine, follow, request, runProgram, startServer, upscale} from './lib/server.mjs';

const fields = {prompt: 'x', image: testPng(4, 4), num_inference_steps: '1', seed: '1'};

describe('faults', () => {
  const cases = [
    ['no-space', 500, 'Out of memory error. Try reducing input image resolution.'],
    ['bad-alloc', 500, 'Out of memory error. Try reducing input image resolution.'],
    ['failed', 400, /^Error during model execution: .*[^.]\.$/],
    ['init', 500, 'Upscale pipeline error.'],
  ];
  for (const [fault, status, message] of cases) {
    test(fault, async () => {
      const server = await startServer({env: fakeEngine({FAKE_UPSCALE: fault})});
      for (let i = 0; i < 2; i++) {  // the next request is served like the first
        const answer = await upscale(server, fields);
        assert.equal(answer.status, status);
        assert.match(answer.json.detail.msg, message instanceof RegExp ? message : new RegExp(`^${message}$`));
        const events = await follow(server, fields);
        assert.deepEqual(events.at(-1), {name: 'error', data: {...answer.json, status}});
        assert.equal(events[0].name, 'progress');
      }
      const {text} = await request(server, '/metrics');
      assert.match(text, new RegExp(`^upscale_requests_total\\{status="${status}"\\} 2$`, 'm'));
      assert.match(server.log, new RegExp(`POST /upscale ${status} `));
      assert.equal(await server.stop(), 0);
    });
  }
});

test('settings that the model cannot do are refused', async () => {
  const server = await startServer({env: fakeEngine({FAKE_LEAST_STEPS: '4'})});
  const answer = await upscale(server, fields);
  assert.equal(answer.status, 400);
  assert.match(answer.json.detail.msg, /^Error during model execution: So few steps/);
  assert.equal((await upscale(server, {...fields, num_inference_steps: '4'})).status, 200);
  assert.equal(await server.stop(), 0);
});

describe('the safety check', () => {
  const nsfw = (answer) => answer.json.images[0].nsfw;
  test('a flagged picture is marked and not changed', async () => {
    const server = await startServer({safe: true, env: fakeEngine({FAKE_NSFW_SCORE: '0.9'})});
    const flagged = await upscale(server, fields);
    const unasked = await upscale(server, {...fields, safety_check: 'false'});
    assert.deepEqual([nsfw(flagged), nsfw(unasked)], [true, false]);
    assert.deepEqual(pictureOf(flagged), pictureOf(unasked));
    assert.equal(await server.stop(), 0);
  });
  test('a harmless picture is not marked', async () => {
    const server = await startServer({safe: true, env: fakeEngine({FAKE_NSFW_SCORE: '0.1'})});
    assert.equal(nsfw(await upscale(server, fields)), false);
    assert.equal(await server.stop(), 0);
  });
  test('without a checker the server does not start, unless told so', async () => {
    const env = fakeEngine({FAKE_CHECKER: 'no', FAKE_NSFW_SCORE: '0.9'});
    const {code, output} = await runProgram(['--port', '0'], env);
    assert.equal(code, 1);
    assert.match(output, /--no-safety-checker/);
    const server = await startServer({env});
    assert.equal(nsfw(await upscale(server, fields)), false);
    assert.equal(await server.stop(), 0);
  });
});
