// Small files that ask for much: what they cost is bounded, on the fake engine.
import assert from 'node:assert/strict';
import {readFileSync} from 'node:fs';
import {after, before, describe, test} from 'node:test';
import zlib from 'node:zlib';

import {inPng, profile, spaces} from './lib/icc.mjs';
import {chunk, flatPng, pictureOf, testPng} from './lib/png.mjs';
import {fakeEngine, startServer, upscale} from './lib/server.mjs';

let server;

before(async () => (server = await startServer({args: ['--max-pixels', '1000000'], env: fakeEngine({G_DEBUG: 'fatal-criticals'})})));
after(async () => assert.equal(await server.stop(), 0));

/** The most memory that the server has had. */
const most = () => Number(/^VmHWM:\s+(\d+)/m.exec(readFileSync(`/proc/${server.child.pid}/status`, 'utf8'))[1]) * 1024;
const send = (image) => upscale(server, {prompt: 'x', image, num_inference_steps: '1', seed: '0'});

/** Sends `image`, which may cost a little more than what was sent before. */
async function cheaply(image) {
  await send(testPng(64, 64));
  const before = most();
  const answer = await send(image);
  const grown = most() - before;
  assert.ok(grown < 64 * 2 ** 20, `${image.length} bytes cost ${grown}`);
  return answer;
}

describe('PNG', () => {
  const color = [200, 80, 40], text = Buffer.alloc(7_900_000, 'a'), packed = zlib.deflateSync(text);
  const zTXt = chunk('zTXt', Buffer.concat([Buffer.from('a\0\0'), packed]));
  const iTXt = chunk('iTXt', Buffer.concat([Buffer.from('a\0\x01\0\0\0'), packed]));
  const iCCP = chunk('iCCP', Buffer.concat([Buffer.from('a\0\0'), packed]));
  for (const [name, one] of Object.entries({zTXt, iTXt, iCCP})) {
    test(`${name} that unpacks to hundreds of megabytes`, async () => {
      const answer = await cheaply(flatPng(12, 8, color, {extra: Array(60).fill(one)}));
      assert.equal(answer.status, 200, answer.text);
      assert.deepEqual([...pictureOf(answer).pixels.subarray(0, 3)], color);
    });
  }
  test('a profile of many megabytes', async () => {
    const icc = Buffer.concat([profile(spaces.adobe, 2.2), text.subarray(1000)]);
    icc.writeUInt32BE(icc.length);
    const answer = await cheaply(flatPng(12, 8, color, {extra: [inPng(icc)]}));
    assert.equal(answer.status, 200, answer.text);
  });
});

describe('TIFF', () => {
  const [byte, short, long, sLong, long8, ifd8] = [1, 3, 4, 9, 16, 18];
  /** Of one strip of 16 bytes behind the directory. `tags`: number, type, count, value. */
  function tiff(tags) {
    const all = [[258, short, 1, 8], [262, short, 1, 1], [273, long, 1, 8], [279, long, 1, 16], ...tags].sort((a, b) => a[0] - b[0]);
    const head = Buffer.from('II*\0\0\0\0\0'), data = Buffer.alloc(64), directory = Buffer.alloc(2 + 12 * all.length + 4);
    head.writeUInt32LE(head.length + data.length, 4);
    directory.writeUInt16LE(all.length);
    all.forEach(([tag, type, count, value], i) => {
      directory.writeUInt16LE(tag, 2 + 12 * i);
      directory.writeUInt16LE(type, 4 + 12 * i);
      directory.writeUInt32LE(count, 6 + 12 * i);
      if (type === long8 || type === ifd8) {  // too long for the entry: in the data, behind the strip
        const at = 16 + 8 * (tag % 4);
        data.writeBigUInt64LE(BigInt(value), at);
        directory.writeUInt32LE(head.length + at, 10 + 12 * i);
      } else {
        directory.writeUInt32LE(value, 10 + 12 * i);
      }
    });
    return Buffer.concat([head, data, directory]);
  }
  test('as it should be', async () => assert.equal((await send(tiff([[256, short, 1, 4], [257, long, 1, 4]]))).status, 200));
  for (const [name, type] of Object.entries({byte, sLong, long8, ifd8})) {
    test(`sides of the type ${name}`, async () => {
      const side = type === byte ? 200 : 20000;
      const answer = await cheaply(tiff([[256, type, 1, side], [257, type, 1, side]]));
      assert.equal(answer.status, 400);
      assert.match(answer.json.detail.msg, /its header is broken/);
    });
  }
  test('one side of another type', async () => {
    const answer = await cheaply(tiff([[256, short, 1, 8], [257, long8, 1, 10000000]]));
    assert.match(answer.json.detail.msg, /its header is broken/);
  });
  test('more than one value', async () => {
    const answer = await cheaply(tiff([[256, short, 2, 8 + 65536 * 20000], [257, short, 1, 8]]));
    assert.match(answer.json.detail.msg, /its header is broken/);
  });
  for (const [name, tag] of [['strips', 273], ['tiles', 324]]) {
    test(`hundreds of thousands of ${name}`, async () => {
      const answer = await cheaply(tiff([[256, short, 1, 1], [257, long, 1, 60000], [tag, long, 500000, 8]]));
      assert.match(answer.json.detail.msg, /its header is broken/);
    });
  }
  test('pieces that are WebP files', async () => {
    const answer = await cheaply(tiff([[256, short, 1, 4], [257, long, 1, 4], [259, short, 1, 50001]]));
    assert.match(answer.json.detail.msg, /of a rare kind/);
  });
  test('huge tiles', async () => {
    const answer = await cheaply(tiff([[256, short, 1, 8], [257, short, 1, 8], [322, long, 1, 16384], [323, long, 1, 16384],
                                       [324, long, 1, 8], [325, long, 1, 16]]));
    assert.equal(answer.status, 400);
  });
});

describe('sides', () => {
  for (const [width, height, status] of [[65535, 1, 200], [65536, 1, 400], [1, 65536, 400], [300000, 1, 400]]) {
    test(`${width}x${height}: ${status}`, async () => {
      const answer = await send(flatPng(width, height, [0, 0, 0]));
      assert.equal(answer.status, status);
      if (status === 400) assert.match(answer.json.detail.msg, /^The image is too large: .* side of more than 65535 pixels\.$/);
    });
  }
});

describe('GIF', () => {
  test('a frame far larger than the screen', async () => {
    const little = (...values) => values.flatMap((value) => [value & 255, value >> 8]);
    const gif = Buffer.from([...Buffer.from('GIF89a'), ...little(2, 2), 0x80, 0, 0, 0, 0, 0, 255, 255, 255,
                             0x2c, ...little(0, 0, 60000, 60000), 0, 2, 2, 0x4c, 1, 0, 0x3b]);
    const answer = await cheaply(gif);
    assert.ok([200, 400].includes(answer.status));
  });
});

describe('WebP', () => {
  test('hundreds of thousands of frames, of which the first is taken', async () => {
    const file = readFileSync(new URL('pictures/animated.webp', import.meta.url));
    const first = file.indexOf('ANMF'), second = file.indexOf('ANMF', first + 1);
    const long = Buffer.concat([file.subarray(0, first), ...Array(300000).fill(file.subarray(first, second))]);
    long.writeUInt32LE(long.length - 8, 4);
    const answer = await send(long);
    assert.equal(answer.status, 200, answer.text);
    assert.deepEqual(pictureOf(answer), pictureOf(await send(file)));
  });
});

describe('JPEG', () => {
  /** A progressive file whose last scan comes so many times more. */
  function scans(number) {
    const file = readFileSync(new URL('pictures/progressive.jpg', import.meta.url));
    const end = file.lastIndexOf(Buffer.from([255, 217])), last = file.lastIndexOf(Buffer.from([255, 218]));
    return Buffer.concat([file.subarray(0, end), ...Array(number).fill(file.subarray(last, end)), file.subarray(end)]);
  }
  test('some scans', async () => assert.equal((await send(scans(20))).status, 200));
  test('hundreds of scans', async () => {
    const answer = await send(scans(500));
    assert.equal(answer.status, 400);
    assert.match(answer.json.detail.msg, /scans/);
  });
  const plain = readFileSync(new URL('pictures/baseline.jpg', import.meta.url));
  const segments = (number) => Buffer.concat([plain.subarray(0, 2), ...Array(number).fill(Buffer.from([255, 0xfe, 0, 3, 65])), plain.subarray(2)]);
  test('some comments', async () => assert.equal((await send(segments(1000))).status, 200));
  test('hundreds of thousands of comments', async () => {
    const answer = await send(segments(300000));
    assert.equal(answer.status, 400);
    assert.match(answer.json.detail.msg, /segments/);
  });
});
