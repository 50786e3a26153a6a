// More than 300 requests that nobody should send. Afterwards the server answers, and has not grown.
// The fake engine stands behind the element, so that what grows is the server's.
import assert from 'node:assert/strict';
import {randomBytes} from 'node:crypto';
import {readFileSync} from 'node:fs';
import {after, before, test} from 'node:test';
import {setTimeout as sleep} from 'node:timers/promises';

import {chunk, header, signature, testPng} from './lib/png.mjs';
import {assertFlat, connect, fakeEngine, footprint, multipart, parts, request, startServer, upscale} from './lib/server.mjs';

const megabytes = 1024 * 1024;
const statuses = [200, 400, 422, 500];
const picture = testPng(8, 8);
const jpeg = readFileSync(new URL('pictures/baseline.jpg', import.meta.url));
const gif = readFileSync(new URL('pictures/animated.gif', import.meta.url));
const webp = readFileSync(new URL('pictures/lossy.webp', import.meta.url));
const tiff = readFileSync(new URL('pictures/plain.tiff', import.meta.url));
const fields = (image) => ({prompt: 'x', image, num_inference_steps: '1', seed: '1'});
const form = multipart(parts(fields(picture)));
const length = form.body.length;
const head = (extra = '') => `POST /upscale HTTP/1.1\r\nHost: x\r\nContent-Type: ${form.headers['Content-Type']}\r\n${extra}\r\n`;
let server;
let sent = 0;

before(async () => (server = await startServer({args: ['--workers', '2', '--queue', '8', '--max-body', '300000', '--idle-seconds', '3'],
                                                env: fakeEngine({G_DEBUG: 'fatal-criticals'})})));
after(async () => assert.equal(await server.stop(), 0));

/** An answer of the golden rule: one of the five statuses, JSON, no fault of the server's own. */
async function assertTaken(promise) {
  const answer = await promise;
  sent++;
  assert.ok(statuses.includes(answer.status), `${answer.status}`);
  assert.ok(answer.json.images || answer.json.detail, answer.text.slice(0, 200));
  assert.doesNotMatch(answer.text, /pipeline error/);
  return answer;
}

/** Sends text piece by piece, perhaps hangs up, and does not care about what comes back. */
async function throwAt(pieces, {pause = 0, abort = false} = {}) {
  const socket = await connect(server);
  for (const piece of pieces) {
    socket.write(piece);
    if (pause) await sleep(pause);
  }
  if (abort) socket.resetAndDestroy();
  else socket.end();
  await socket.ended;
  sent++;
}

/** Reproducible "random" numbers. */
function generator(seed) {
  return (below) => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    return Math.floor(seed / 2 ** 32 * below);
  };
}

async function abuse() {
  const random = generator(7);
  // files that are damaged, random, or claim to be what they are not
  for (const file of [picture, jpeg, gif, webp, tiff]) {
    for (let i = 0; i < 14; i++) {
      const damaged = Buffer.from(file);
      for (let k = 0; k <= i; k++) damaged[12 + random(damaged.length - 12)] ^= 1 << random(8);
      await assertTaken(upscale(server, fields(damaged)));
    }
    for (let i = 0; i < 10; i++) await assertTaken(upscale(server, fields(file.subarray(0, random(file.length)))));
    for (let i = 0; i < 4; i++) {
      const magic = file.subarray(0, 12 + random(20));
      await assertTaken(upscale(server, fields(Buffer.concat([magic, randomBytes(random(3000))]))));
    }
  }
  for (let side = 3000; side <= 16000; side += 1000) {
    const bomb = Buffer.concat([signature, header(side, side, 8, 2), chunk('IDAT', randomBytes(100)), chunk('IEND', [])]);
    const answer = await assertTaken(upscale(server, fields(bomb)));
    assert.equal(answer.status, 400);
  }
  // bodies that are not what the header says
  for (let i = 0; i < 40; i++) {
    const damaged = Buffer.from(form.body);
    for (let k = 0; k < 5; k++) damaged[random(300)] = random(256);
    await assertTaken(request(server, '/upscale', {method: 'POST', body: damaged, headers: form.headers}));
  }
  for (let i = 0; i < 20; i++)
    await assertTaken(request(server, '/upscale', {method: 'POST', body: randomBytes(2000), headers: form.headers}));
  for (const type of ['multipart/form-data', 'multipart/form-data; boundary=', `multipart/form-data; boundary=${'x'.repeat(5000)}`,
                      'multipart/form-data; boundary="', 'multipart/mixed; boundary=x-boundary-4711', ';;;', 'x'.repeat(9000)])
    await assertTaken(request(server, '/upscale', {method: 'POST', body: form.body, headers: {'Content-Type': type}}));
  await assertTaken(request(server, '/upscale', {method: 'POST', headers: form.headers, body: Buffer.alloc(299000, '--x-boundary-4711\r\n')}));
  await assertTaken(request(server, '/upscale', {method: 'POST', headers: form.headers, body: Buffer.alloc(299000, '\r\n--')}));
  for (let i = 0; i < 4; i++)
    await assertTaken(request(server, '/upscale', {method: 'POST', headers: form.headers, body: Buffer.alloc(2 * megabytes), chunked: i % 2}));
  // headers
  for (const extra of [`X: ${'x'.repeat(200000)}\r\n`, 'X: y\r\n'.repeat(20000), 'Content-Length: 1\r\nContent-Length: 2\r\n', 'Content-Length: -1\r\n',
                       'Content-Length: 99999999999999999999\r\n', 'Transfer-Encoding: chunked\r\nContent-Length: 5\r\n', 'Expect: nonsense\r\n',
                       'Authorization: Bearer \u0000\r\n', 'no colon\r\n', 'Accept: text/event-stream\r\nContent-Length: 0\r\n'])
    await throwAt([head(extra)]);
  for (const target of [`/${'x'.repeat(50000)}`, '/%00', '/%zz', '/../../etc/passwd', '//', '*', 'http://[::/', '/upscale?a=%zz&&&=', '/\x1b[31m'])
    await throwAt([`GET ${target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`]);
  // hanging up at every stage, politely and not
  for (const abort of [false, true]) {
    const stages = [[], ['POST'], [head().slice(0, 60)], [head(`Content-Length: ${length}\r\n`)], [head(`Content-Length: ${length}\r\nExpect: 100-continue\r\n`)],
                    [head(`Content-Length: ${length}\r\n`), form.body.subarray(0, 100)], [head(`Content-Length: ${length}\r\n`), form.body],
                    [head(`Content-Length: ${length}\r\nAccept: text/event-stream\r\n`), form.body], [head('Transfer-Encoding: chunked\r\n'), '5\r\nabc'],
                    [head('Content-Length: 99999999\r\n'), form.body], ['GET /health HTTP/1.1\r\nHost: x\r\n\r\n']];
    for (const stage of stages) for (let i = 0; i < 2; i++) await throwAt(stage, {abort, pause: i * 20});
  }
  // many slow writers at once
  const slow = Array.from({length: 20}, () => throwAt([...head(`Content-Length: ${length}\r\n`).match(/.{1,40}/gs), form.body.subarray(0, 50)], {pause: 10, abort: true}));
  const silent = Array.from({length: 20}, () => throwAt([], {pause: 100}));
  assert.equal((await upscale(server, fields(picture))).status, 200, 'slow writers hold up the others');
  await Promise.all([...slow, ...silent]);
}

test('abuse leaves nothing behind', async () => {
  await abuse();  // the first round lets libraries set up what they keep
  const settled = await assertFlat(server, {...footprint(server), descriptors: 40, threads: 200}, Infinity);
  sent = 0;
  await abuse();
  assert.ok(sent >= 300, `${sent} requests`);
  assert.equal((await request(server, '/health')).status, 200);
  assert.equal((await upscale(server, fields(picture))).status, 200);
  await assertFlat(server, settled, 12 * megabytes);
});
