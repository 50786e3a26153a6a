// The server behind an orchestrator's live-runner route. With --long: 1,000 requests.
import assert from 'node:assert/strict';
import {readFileSync} from 'node:fs';
import {after, before, describe, test} from 'node:test';
import {setTimeout as sleep} from 'node:timers/promises';

import {startOrchestrator} from './lib/orchestrator.mjs';
import {pictureOf, readPng, testPng} from './lib/png.mjs';
import {assertFlat, fakeEngine, follow, footprint, metric, request, startServer, upscale, waitFor} from './lib/server.mjs';

const long = process.argv.includes('--long');
const file = JSON.parse(readFileSync(new URL('../../examples/livepeer-runner/runners.json', import.meta.url)));
let server, orchestrator, app;

const start = (args = []) => startServer({args: ['--workers', '2', '--queue', '2', '--busy-status', '503', ...args], env: fakeEngine({FAKE_STEP_MILLISECONDS: '5'})});

before(async () => {
  server = await start();
  const runners = file.runners.map((runner) => ({...runner, runner_url: server.url}));
  orchestrator = await startOrchestrator({runners}, long ? {} : {interval: 500});
  await waitFor('a healthy runner', async () => (await orchestrator.discovery()).length === 1);
  app = {url: (await orchestrator.discovery())[0].url};
});
after(async () => {
  orchestrator.stop();
  assert.equal(await server.stop(), 0);
});

/** A small picture, and what the engine makes of it: each pixel sixteen times, the seed added. */
function picture(number, steps = '2') {
  return {prompt: `picture ${number}`, image: testPng(6 + number % 5, 4, number), num_inference_steps: steps, seed: String(number)};
}
function isRight(answer, number) {
  const got = pictureOf(answer), from = readPng(testPng(6 + number % 5, 4, number));
  if (got.width !== 4 * from.width || got.height !== 4 * from.height) return false;
  return got.pixels.every((value, i) => {
    const row = Math.floor(i / 3 / got.width), column = Math.floor(i / 3) % got.width;
    return value === (from.pixels[((row >> 2) * from.width + (column >> 2)) * 3 + i % 3] + number) % 256;
  });
}

describe('the file', () => {
  test('names what the server is and does', async () => {
    const [runner] = file.runners;
    const {model_id: model, version} = (await request(server, '/version')).json;
    assert.deepEqual([runner.app, runner.version], [`upscale/${model}`, version]);
    assert.ok(!runner.label.includes('/') && Buffer.from(runner.metadata).length <= 1024);
    assert.equal((await request(server, runner.health_url)).status, runner.healthy_status_code);
  });
});

describe('one call', () => {
  test('a picture', async () => {
    const answer = await upscale(app, picture(7));
    assert.equal(answer.status, 200);
    assert.ok(isRight(answer, 7));
  });
  test('other routes, and statuses as they are', async () => {
    assert.equal((await request(app, '/version')).json.pipeline, 'upscale');
    assert.match((await request(app, '/')).text, /<!DOCTYPE html>/);
    assert.equal((await request(app, '/nowhere')).status, 404);
    assert.equal((await upscale(app, {prompt: 'x'})).status, 422);
    assert.equal((await upscale(app, {...picture(1), num_inference_steps: '2000'})).status, 400);
  });
  test('events come while the picture is being made', async () => {
    let running;
    const events = await follow(app, picture(3, '100'), ({name, data}) => {
      if (name === 'progress' && data.fraction > 0) running ??= metric(server, 'upscale_running');
    });
    assert.equal(await running, 1);
    assert.ok(isRight({json: events.at(-1).data}, 3));
  });
  test('a client that leaves: its picture is given up', async () => {
    await follow(app, picture(3, '1000'), ({data}) => !(data.fraction > 0));
    await waitFor('nothing to be running', async () => (await metric(server, 'upscale_running')) === 0);
  });
  test('beyond the capacity the orchestrator says 503, and the server 503 to others', async () => {
    const {capacity} = file.runners[0];
    const held = Array.from({length: capacity}, () => follow(app, picture(5, '1000'), () => held.open ?? true));
    await waitFor('all slots to be taken', () => orchestrator.runners.get('upscale').used === capacity);
    assert.equal((await upscale(app, picture(1))).status, 503);
    await waitFor('the server to be full', async () => (await metric(server, 'upscale_running')) + (await metric(server, 'upscale_waiting')) === capacity);
    const answer = await upscale(server, picture(1));
    assert.equal(answer.status, 503);
    assert.match(answer.json.detail.msg, /insufficient capacity/);
    held.open = false;
    await waitFor('all to be given up', async () => (await metric(server, 'upscale_running')) === 0);
  });
});

test('8 clients, some of whom leave, and a server that is killed: nothing lost, nothing wrong', async () => {
  const total = long ? 1000 : 150, clients = 8;
  const count = {answered: 0, left: 0, again: 0, wrong: 0};
  let next = 0, restarted;

  async function ask(number) {
    for (;;) {
      try {
        if (number % 5 === 3) {
          const events = await follow(app, picture(number));
          if (events.at(-1)?.name === 'result') return {json: events.at(-1).data};
        } else {
          const answer = await upscale(app, picture(number));
          if (answer.status === 200) return answer;
          assert.ok([502, 503].includes(answer.status), `${answer.status} ${answer.text}`);
        }
      } catch (error) {
        if (!error.code?.startsWith('ECONN')) throw error;
      }
      count.again++;
      await sleep(20);
    }
  }
  async function leave(number) {
    const leaving = follow(app, picture(number, '1000'), ({data}) => !(data?.fraction > number % 7 / 100));
    await Promise.race([leaving.catch(() => {}), sleep(2000)]);
    count.left++;
  }
  async function kill() {
    server.child.kill('SIGKILL');
    await server.exited;
    await waitFor('the orchestrator to notice', () => !orchestrator.runners.get('upscale').healthy);
    server = await start(['--port', String(server.port)]);
  }
  await Promise.all(Array.from({length: clients}, async () => {
    while (next < total) {
      const number = next++;
      if (number === total / 2) restarted = kill();
      if (number % 10 === 9) {
        await leave(number);
      } else if (isRight(await ask(number), number)) {
        count.answered++;
      } else {
        count.wrong++;
      }
    }
  }));
  await restarted;
  await waitFor('the server to be idle', async () => (await metric(server, 'upscale_running')) === 0 && orchestrator.runners.get('upscale').used === 0);
  const lost = total - count.answered - count.left - count.wrong;
  console.log(`# ${total} requests of ${clients} clients: ${JSON.stringify({...count, lost, ...orchestrator.seen})}`);
  assert.deepEqual([lost, count.wrong], [0, 0]);
  assert.equal(count.answered, total * 9 / 10);
  assert.equal(orchestrator.seen.healthChanges, 3, 'healthy, not while it was dead, healthy');
  await assertFlat(server, {...footprint(server), descriptors: 60, threads: 200}, Infinity);
  for (const secret of orchestrator.secrets) assert.ok(!server.log.includes(secret));
});
