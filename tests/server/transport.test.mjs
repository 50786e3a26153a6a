// How requests travel: chunked, kept alive, with Expect, too large, too slow, refused early.
import assert from 'node:assert/strict';
import http from 'node:http';
import {after, before, describe, test} from 'node:test';

import {testPng} from './lib/png.mjs';
import {connect, metric, multipart, parts, request, startServer, upscale, waitFor} from './lib/server.mjs';

const limit = 200000;
const good = {prompt: 'x', image: testPng(4, 4), num_inference_steps: '1'};
const form = multipart(parts(good));
let server;

before(async () => (server = await startServer({args: ['--max-body', String(limit), '--idle-seconds', '2'],
                                                env: {AUTH_TOKEN: 'Sesame'}})));
after(async () => assert.equal(await server.stop(), 0));

const auth = {Authorization: 'Bearer Sesame'};
const head = (headers) => `POST /upscale HTTP/1.1\r\nHost: x\r\n${Object.entries({...auth, ...form.headers, ...headers})
  .map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`;
const statusOf = (text) => Number(/^HTTP\/1\.[01] (\d+)/.exec(text)?.[1]);
const large = multipart(parts({...good, note: 'x'.repeat(limit)}));

test('chunked', async () => {
  const answer = await upscale(server, good, {headers: auth, chunked: true});
  assert.equal(answer.status, 200, answer.text);
});

test('several requests on one connection', async () => {
  const agent = new http.Agent({keepAlive: true, maxSockets: 1});
  for (let i = 0; i < 5; i++) assert.equal((await upscale(server, good, {headers: auth, agent})).status, 200);
  assert.equal((await request(server, '/health', {agent})).status, 200);
  assert.equal(Object.values(agent.freeSockets).flat().length, 1);
  agent.destroy();
});

test('two requests sent at once on one connection', async () => {
  const socket = await connect(server);
  socket.write(head({'Content-Length': form.body.length}));
  socket.write(form.body);
  socket.write('GET /version HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
  const text = await socket.ended;
  assert.equal(statusOf(text), 200);
  assert.match(text, /HTTP\/1\.1 200[^]*HTTP\/1\.1 200[^]*"version"/);
});

describe('Expect: 100-continue', () => {
  test('a good request', async () => {
    const socket = await connect(server);
    socket.write(head({'Content-Length': form.body.length, 'Expect': '100-continue', 'Connection': 'close'}));
    await new Promise((resolve) => socket.once('data', resolve));
    assert.match(socket.received(), /^HTTP\/1\.1 100 /);
    socket.write(form.body);
    assert.match(await socket.ended, /\r\n\r\nHTTP\/1\.1 200 /);
  });
  for (const [name, headers, status] of [['no token', {Authorization: 'x'}, 401], ['too large', {'Content-Length': limit + 1}, 400]]) {
    test(`${name}: answered without the body`, async () => {
      const socket = await connect(server);
      socket.write(head({'Content-Length': 1000, 'Expect': '100-continue', ...headers}));
      socket.once('data', () => socket.end());
      assert.equal(statusOf(await socket.ended), status);
    });
  }
});

describe('refused before the body is read', () => {
  for (const [name, headers, status, words] of [
    ['no token', {Authorization: 'x', 'Content-Length': 1000}, 401, /Invalid bearer token/],
    ['too large', {'Content-Length': limit + 1}, 400, /at most 200000 bytes/],
  ]) {
    test(name, async () => {
      const socket = await connect(server);
      socket.write(head(headers));
      socket.once('data', () => socket.end());
      const text = await socket.ended;
      assert.equal(statusOf(text), status);
      assert.match(text, /Content-Type: application\/json/i);
      assert.match(text, words);
    });
  }
  for (const chunked of [false, true]) {
    test(`a client that writes first and reads later gets its answer, chunked: ${chunked}`, async () => {
      const answer = await request(server, '/upscale', {method: 'POST', body: large.body, chunked,
                                                        headers: {...large.headers, ...auth}});
      assert.equal(answer.status, 400);
      assert.match(answer.json.detail.msg, /at most 200000 bytes/);
    });
  }
  test('after it the server serves on', async () => assert.equal((await upscale(server, good, {headers: auth})).status, 200));
});

test('bodies that are sent at once may not fill the memory', async () => {
  const narrow = await startServer({args: ['--max-body', '100000', '--workers', '1', '--queue', '1']});
  const held = [];
  for (let i = 0; i < 4; i++) {  // four are more than all slots could hold
    held.push(await connect(narrow));
    held[i].write(head({'Content-Length': 100000}));
    held[i].write('x'.repeat(99999));
  }
  const refused = await waitFor('one to be refused', () => held.find((socket) => socket.received().endsWith('}')));
  assert.match(refused.received(), /^HTTP\/1\.1 500 [^]*insufficient capacity/);
  for (const socket of held) socket.destroy();
  await waitFor('room for others', async () => (await upscale(narrow, good)).status === 200);
  assert.equal(await narrow.stop(), 0);
});

test('bodies that have stopped make room for one that comes', async () => {
  const narrow = await startServer({args: ['--max-body', '100000', '--workers', '1', '--queue', '1']});
  const held = [];
  for (let i = 0; i < 3; i++) {  // all that there is room for
    held.push(await connect(narrow));
    held[i].write(head({'Content-Length': 100000}));
    held[i].write('x'.repeat(99999));
  }
  await waitFor('all to be taken', async () => (await metric(narrow, 'upscale_uploading')) === 3);
  for (let i = 0; i < 3; i++) assert.equal((await upscale(narrow, {...good, note: 'x'.repeat(90000)})).status, 200);
  await waitFor('one to be refused', () => held.find((socket) => /^HTTP\/1\.1 500 [^]*insufficient capacity/.test(socket.received())));
  for (const socket of held) socket.destroy();
  assert.equal(await narrow.stop(), 0);
});

describe('connections on which nothing moves are closed', () => {
  for (const [name, text] of [['before the first byte', ''],
                              ['in the headers', 'POST /upscale HTTP/1.1\r\nHost: x\r\n'],
                              ['in the body', `${head({'Content-Length': 1000})}--x`],
                              ['between requests', 'GET /health HTTP/1.1\r\nHost: x\r\n\r\n']]) {
    test(name, async () => {
      const socket = await connect(server);
      socket.write(text);
      await socket.ended;
    });
  }
});

describe('what is not HTTP is answered in JSON, too', () => {
  const line = 'POST /upscale HTTP/1.1\r\n';
  const cases = {
    'no Host': [`${line}\r\n`, 400],
    'NUL in a header': [`${line}Host: x\r\nA: \0\r\n\r\n`, 400],
    'no version': ['POST /upscale \r\nHost: x\r\n\r\n', 400],
    'two lengths': [head({'Content-Length': 5}).replace('\r\n\r\n', '\r\nContent-Length: 6\r\n\r\n'), 400],
    'two lengths, for a route that takes no body': ['GET /health HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nContent-Length: 6\r\n\r\n', 400],
    'a length that is no number': [`${line}Host: x\r\nContent-Length: x\r\n\r\n`, 400],
    'a length below 0': [head({'Content-Length': -5}), 400],
    'a length beyond 64 bits': [head({'Content-Length': '99999999999999999999'}), 400],
    'an encoding that nobody knows': [`${line}Host: x\r\nTransfer-Encoding: gzip\r\n\r\n`, 501],
  };
  for (const [name, [text, status]] of Object.entries(cases)) {
    test(name, async () => {
      const socket = await connect(server);
      socket.write(text);
      socket.once('data', () => socket.end());
      const answer = await socket.ended;
      assert.equal(statusOf(answer), status);
      assert.match(answer, /Content-Type: application\/json/i);
      assert.equal(typeof JSON.parse(answer.split('\r\n\r\n')[1]).detail.msg, 'string');
    });
  }
});

test('requests that are not HTTP do no harm', async () => {
  for (const text of ['\r\n\r\n\r\n', 'GET\r\n\r\n', 'POST /upscale HTTP/9.9\r\n\r\n', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03',
                      'POST /upscale HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n',
                      'POST /upscale HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n',
                      'POST /upscale HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n']) {
    const socket = await connect(server);
    socket.end(text);
    await socket.ended;
  }
  assert.equal((await request(server, '/health')).status, 200);
});
