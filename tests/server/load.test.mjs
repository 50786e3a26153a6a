// 200 requests from 8 clients, some of whom leave at a moment of their own.
import assert from 'node:assert/strict';
import http from 'node:http';
import {after, before, test} from 'node:test';

import {pictureOf, testPng} from './lib/png.mjs';
import {assertFlat, fakeEngine, footprint, metric, multipart, parts, startServer, upscale, waitFor} from './lib/server.mjs';

const clients = 8, requests = 200;
let server;
before(async () => (server = await startServer({args: ['--workers', '2', '--queue', '16'], env: {G_DEBUG: 'fatal-criticals'}})));
after(async () => assert.equal(await server.stop(), 0));

const fields = (number) => ({prompt: `picture ${number}`, image: testPng(8 + number % 8, 8, number), num_inference_steps: '2', seed: String(number)});

/** Hangs up after so many milliseconds; resolves when the connection is gone. */
function leave(number, milliseconds) {
  const form = multipart(parts(fields(number)));
  return new Promise((resolve) => {
    const outgoing = http.request(`${server.url}/upscale`, {method: 'POST', headers: form.headers, agent: false});
    outgoing.on('error', () => {});
    outgoing.on('close', resolve);
    outgoing.on('response', (incoming) => incoming.resume());
    outgoing.end(form.body);
    setTimeout(() => outgoing.destroy(), milliseconds);
  });
}

async function round(count) {
  const answers = new Map();
  let next = 0;
  const client = async () => {
    const agent = new http.Agent({keepAlive: true, maxSockets: 1});
    while (next < count) {
      const number = next++;
      if (number % 3 === 2) await leave(number, (number * 7) % 60);
      else answers.set(number, await upscale(server, fields(number), {agent}));
    }
    agent.destroy();
  };
  await Promise.all(Array.from({length: clients}, client));
  return answers;
}

test('every request that stays is answered with its own picture, and nothing is left behind', async () => {
  await round(40);
  await waitFor('the first round to end', async () => (await metric(server, 'upscale_running')) === 0);
  const settled = await assertFlat(server, {...footprint(server), descriptors: 40, threads: 200}, Infinity);

  const answers = await round(requests);
  for (const [number, answer] of answers) {
    assert.equal(answer.status, 200, answer.text.slice(0, 200));
    assert.equal(answer.json.images[0].seed, number);
    assert.equal(pictureOf(answer).width, 4 * (8 + number % 8));
  }
  assert.equal(answers.size, requests - Math.floor(requests / 3));
  await waitFor('the second round to end', async () => (await metric(server, 'upscale_running')) === 0);
  await assertFlat(server, settled, 16 * 1024 * 1024);

  const alone = await upscale(server, fields(4));
  assert.equal(alone.text, answers.get(4).text, 'company changed the picture');
});

test('300 pictures of 300 sizes, then 200 more: what the server keeps does not grow', async () => {
  const plain = await startServer({args: ['--workers', '2'], env: fakeEngine({})});
  const sized = (i) => upscale(plain, {prompt: 'x', image: testPng(8 + i % 25, 8 + Math.floor(i / 25), i), num_inference_steps: '1'});
  for (let i = 0; i < 300; i++) assert.equal((await sized(i)).status, 200);
  const settled = footprint(plain);
  for (let i = 300; i < 500; i++) assert.equal((await sized(i)).status, 200);
  await assertFlat(plain, settled, 2 * 1024 * 1024);
  assert.equal(await plain.stop(), 0);
});
