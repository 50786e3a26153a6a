// Connections without end: more than there are descriptors for, and such as send next to nothing.
import assert from 'node:assert/strict';
import {afterEach, describe, test} from 'node:test';
import {setTimeout as sleep} from 'node:timers/promises';

import {testPng} from './lib/png.mjs';
import {connect, fakeEngine, footprint, metric, multipart, parts, request, startServer, upscale, waitFor} from './lib/server.mjs';

const good = {prompt: 'x', image: testPng(4, 4), num_inference_steps: '1'};
const head = (headers) => `POST /upscale HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=b\r\n${
  Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`;
let server, sockets;

async function start(options) {
  sockets = [];
  server = await startServer({env: fakeEngine({G_DEBUG: 'fatal-criticals'}), ...options});
}

afterEach(async () => {
  for (const socket of sockets) socket.destroy();
  assert.equal(await server.stop(), 0);
});

async function open(count, text = '', options) {
  for (let i = 0; i < count; i++) {
    const socket = await connect(server, options);
    socket.write(text);
    socket.ended.then(() => (socket.isOver = true));
    sockets.push(socket);
  }
}

const over = () => sockets.filter((socket) => socket.isOver).length;

describe('80 descriptors', () => {
  test('silent connections make room for new ones', async () => {
    await start({descriptors: 80});
    for (let i = 0; i < 10; i++) {
      await open(20);
      assert.equal((await request(server, '/health', {agent: false})).status, 200);
      assert.equal((await upscale(server, good, {agent: false})).status, 200);
    }
    await waitFor('most of them to be closed', () => over() > 150);
    const [oldest, newest] = [sockets.at(0), sockets.at(-1)];
    assert.ok(oldest.isOver && !newest.isOver, 'the oldest go first');
    assert.ok(await metric(server, 'upscale_connections_shed_total') > 150);
  });

  test('requests on their way in are not given up for new connections', async () => {
    await start({descriptors: 80});
    const form = multipart(parts(good)), half = form.body.length / 2;
    const begun = `POST /upscale HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: ${form.body.length}\r\n` +
                  `Content-Type: ${form.headers['Content-Type']}\r\n\r\n`;
    await open(5, begun);
    for (const socket of sockets) socket.write(form.body.subarray(0, half));
    await waitFor('all to be taken', async () => (await metric(server, 'upscale_uploading')) === 5);
    await open(100);
    for (const socket of sockets.slice(0, 5)) socket.write(form.body.subarray(half));
    for (const socket of sockets.slice(0, 5)) assert.match(await socket.ended, /^HTTP\/1\.1 200 /);
  });

  test('where all are in the middle of a request, bodies that have stopped make room', async () => {
    await start({descriptors: 80});
    await open(40, `${head({'Content-Length': 1000})}--b`);
    await waitFor('an answer', () => request(server, '/health', {agent: false}).then(({status}) => status === 200, () => false));
    assert.equal((await upscale(server, good, {agent: false})).status, 200);
    assert.ok(over() < 40);
  });

  test('where those are new, too, none is closed for another until some are over', async () => {
    await start({descriptors: 80});
    await open(100, `${head({'Content-Length': 1000})}--b`);
    await waitFor('some to be closed', () => over() > 40);
    for (const socket of sockets.splice(0)) socket.destroy();
    await waitFor('an answer', () => request(server, '/health').then(({status}) => status === 200, () => false));
    assert.equal((await upscale(server, good)).status, 200);
  });
});

for (const [descriptors, number] of [[40, '1 connection'], [200, '\\d\\d+ connections']]) {
  test(`${descriptors} descriptors: what that means is told`, async () => {
    await start({descriptors});
    assert.match(server.log, new RegExp(`only ${number} at once, not 1024: .*ulimit -n`));
  });
}

describe('80 descriptors, and connections that were refused before their body', () => {
  test('they make room for new ones', async () => {
    await start({descriptors: 80});
    await open(100, head({'Content-Length': 10 ** 12}), {allowHalfOpen: true});
    await waitFor('all to be answered or closed', () => sockets.every((socket) => socket.isOver || socket.readableEnded));
    assert.equal((await request(server, '/health', {agent: false})).status, 200);
    assert.equal((await upscale(server, good, {agent: false})).status, 200);
  });
});

test('--max-connections', async () => {
  await start({args: ['--max-connections', '3']});
  await open(6);
  await waitFor('three to be closed', () => over() === 3);
  assert.equal((await request(server, '/health')).status, 200);
});

test('clients that hang up as soon as they have their answer', async () => {
  await start();
  const form = multipart(parts(good));
  const text = Buffer.concat([Buffer.from(head({'Content-Length': form.body.length}).replace('boundary=b', 'boundary=x-boundary-4711')), form.body]);
  async function one() {
    const socket = await connect(server);
    socket.on('data', () => socket.received().endsWith('}]}') && socket.destroy());
    socket.write(text);
    assert.match(await socket.ended, /^HTTP\/1\.1 200 [^]*\}\]\}$/);
  }
  await one();
  const {descriptors} = footprint(server);
  await Promise.all(Array.from({length: 4}, async () => { for (let i = 0; i < 500; i++) await one(); }));
  await waitFor('their descriptors', () => footprint(server).descriptors <= descriptors);
});

describe('heads that take long to read', () => {
  const long = {'folded lines': 'X: a' + '\r\n a'.repeat(12000), 'many headers': 'x:y\r\n'.repeat(12000), 'no headers at all': 'x\r\n'.repeat(16000)};
  for (const [name, lines] of Object.entries(long)) {
    test(`${name} of a request: the connection is closed`, async () => {
      await start();
      for (const before of ['', '\r\n\r\n', 'GET /health HTTP/1.1\r\nHost: x\r\n\r\n']) {
        const socket = await connect(server);
        socket.write(`${before}GET /version HTTP/1.1\r\nHost: x\r\nConnection: close\r\n${lines}\r\n\r\n`);
        assert.doesNotMatch(await socket.ended, /"version"/);
      }
      assert.equal((await request(server, '/health')).status, 200);
    });
    test(`${name} of a part: 400`, async () => {
      await start();
      for (const most of [60000, 8000]) {
        const part = `--b\r\nContent-Disposition: form-data; name="z"\r\n${lines.slice(0, most).trimEnd()}\r\n\r\nv\r\n`;
        const answer = await request(server, '/upscale', {method: 'POST', body: Buffer.from(`${part}--b--\r\n`), headers: {'Content-Type': 'multipart/form-data; boundary=b'}});
        assert.equal(answer.status, 400);
        assert.match(answer.json.detail.msg, /multipart part/);
      }
    });
  }
  test('some headers, folded ones too', async () => {
    await start();
    const socket = await connect(server);
    for (const text of [`GET /version HTTP/1.1\r\nHost: x\r\n${'X: y\r\n z\r\n'.repeat(100)}\r`, '\n', 'GET /version HTTP/1.1\r\nHost: x\r\nConnection: close\r\n', '\r\n']) {
      socket.write(text);
      await sleep(50);
    }
    assert.match(await socket.ended, /"version"[^]*"version"/);
    assert.equal((await upscale(server, {note: '\n'.repeat(5000), ...good})).status, 200, 'lines of a body do not count');
  });
});

describe('a client that sends without end', () => {
  const seconds = (number) => ({args: ['--receive-seconds', String(number)]});

  /** Sends a byte every now and then until the connection ends. Returns what came back. */
  async function drip(text) {
    const socket = await connect(server);
    socket.write(text);
    const timer = setInterval(() => socket.write('x'), 100);
    const answer = await socket.ended;
    clearInterval(timer);
    return answer;
  }
  const begun = {'from the first byte': '', 'in a header': 'GET /health HTTP/1.1\r\nHost: x\r\nA: ',
                 'in the second request': 'GET /health HTTP/1.1\r\nHost: x\r\n\r\nGET /health HTTP/1.1\r\nA: '};
  test('a head is waited for only so long', async () => {
    await start(seconds(1));
    for (const text of Object.values(begun)) await drip(text);
    const {descriptors} = footprint(server);
    for (const text of Object.values(begun)) await drip(text);
    await waitFor('their descriptors', () => footprint(server).descriptors <= descriptors);
  });
  test('so is a body, and the client is told', async () => {
    await start(seconds(1));
    for (const text of [head({'Content-Length': 100000}), head({'Transfer-Encoding': 'chunked'}) + 'fffff\r\n',
                        head({'Content-Length': 60000}).replace('/upscale', '/nowhere')]) {
      const answer = await drip(text);
      assert.match(answer, /^HTTP\/1\.1 400 [^]*application\/json[^]*takes too long/i);
    }
    await waitFor('nothing to be left', async () => (await metric(server, 'upscale_uploading')) === 0);
    assert.match(server.log, /POST \/upscale 400/);
  });
  test('a body that came fast gets no more time for its rest', async () => {
    await start(seconds(1));
    assert.match(await drip(head({'Content-Length': 20000000}) + 'x'.repeat(10000000)), /^HTTP\/1\.1 400 [^]*takes too long/i);
  });
  test('nor is a body read that nobody looks at', async () => {
    await start();
    for (const path of ['/health', '/nowhere', '/']) {
      for (const text of [`Content-Length: ${10 ** 12}\r\n\r\n`, `Transfer-Encoding: chunked\r\n\r\nfffff\r\n${'x'.repeat(100000)}`])
        assert.match(await drip(`GET ${path} HTTP/1.1\r\nHost: x\r\n${text}`), /^HTTP\/1\.1 400 [^]*application\/json[^]*at most 65536 bytes/i);
    }
    assert.equal((await request(server, '/health', {body: Buffer.alloc(60000)})).status, 200);
  });
  test('a body that keeps coming is taken, however long that takes', async () => {
    await start(seconds(4));
    const form = multipart(parts({...good, note: 'x'.repeat(1000000)}));
    const socket = await connect(server);
    socket.write(`POST /upscale HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: ${form.headers['Content-Type']}\r\n` +
                 `Content-Length: ${form.body.length}\r\n\r\n`);
    for (let at = 0; at < form.body.length; at += 100000) {
      socket.write(form.body.subarray(at, at + 100000));
      await sleep(600);
    }
    assert.match(await socket.ended, /^HTTP\/1\.1 200 /);
  });
});
