// Every kind of picture file: what is taken, in which colours, and what is refused.
import assert from 'node:assert/strict';
import {readFileSync} from 'node:fs';
import {after, before, describe, test} from 'node:test';

import {inJpeg, inPng, profile, spaces, srgbCurve, toSrgb} from './lib/icc.mjs';
import {chunk, flatPng, header, meanColor, pictureOf, signature, testPng, writePng} from './lib/png.mjs';
import {startServer, upscale} from './lib/server.mjs';

let server;
before(async () => (server = await startServer({args: ['--max-pixels', '100000']})));
after(async () => assert.equal(await server.stop(), 0));

const send = (image) => upscale(server, {prompt: '', image, num_inference_steps: '1', seed: '1'});
const file = (name) => readFileSync(new URL(`pictures/${name}`, import.meta.url));
const orange = [200, 80, 40];

/** Flat colours stay what they are, but for what a model and a lossy format may do to them. */
async function assertColor(image, color, size = [48, 32], tolerance = 14) {
  const answer = await send(image);
  assert.equal(answer.status, 200, answer.text);
  const picture = pictureOf(answer);
  assert.deepEqual([picture.width, picture.height], size);
  const mean = meanColor(picture);
  mean.forEach((value, i) => assert.ok(Math.abs(value - color[i]) <= tolerance, `${mean} is not ${color}`));
  return picture;
}

describe('formats', () => {
  const orangeFiles = ['baseline.jpg', 'progressive.jpg', 'cmyk.jpg', 'still.gif', 'animated.gif', 'transparent.gif',
                       'lossless.webp', 'lossy.webp', 'animated.webp', 'plain.bmp', 'plain.tiff', 'rotated.jpg'];
  for (const name of orangeFiles) test(name, () => assertColor(file(name), orange));
  test('grey.jpg', () => assertColor(file('grey.jpg'), [90, 90, 90]));

  const palette = [chunk('PLTE', [0, 0, 0, ...orange])];
  const transparent = [...palette, chunk('tRNS', [0, 0])];
  const pixels = {
    'RGB': [flatPng(12, 8, orange), orange],
    'RGB of 16 bits': [flatPng(12, 8, [200, 7, 80, 7, 40, 7], {depth: 16}), orange],
    'grey': [flatPng(12, 8, [90], {type: 0}), [90, 90, 90]],
    'grey of 16 bits': [flatPng(12, 8, [64, 0], {depth: 16, type: 0}), [64, 64, 64]],
    'grey of 1 bit': [writePng(12, 8, 1, 0, () => [255, 255]), [255, 255, 255]],
    'grey of 16 bits, not cut off': [flatPng(12, 8, [127, 255], {depth: 16, type: 0}), [127.5, 127.5, 127.5]],
    'grey of 4 bits': [writePng(12, 8, 4, 0, () => Array(6).fill(0x66)), [102, 102, 102]],
    'grey with a transparent value': [flatPng(12, 8, [90], {type: 0, extra: [chunk('tRNS', [0, 90])]}), [90, 90, 90]],
    'RGBA of 16 bits': [flatPng(12, 8, [200, 7, 80, 7, 40, 7, 0, 0], {depth: 16, type: 6}), orange],
    'palette of 2 bits': [writePng(12, 8, 2, 3, () => [0x55, 0x55, 0x55], palette), orange],
    'palette': [flatPng(12, 8, [1], {type: 3, extra: palette}), orange],
    'palette, transparent': [flatPng(12, 8, [1], {type: 3, extra: transparent}), orange],
    'RGBA, transparent': [flatPng(12, 8, [...orange, 0], {type: 6}), orange],
    'RGBA, half transparent': [flatPng(12, 8, [...orange, 128], {type: 6}), orange],
    'grey and alpha': [flatPng(12, 8, [90, 0], {type: 4}), [90, 90, 90]],
    'with pixels that are not square': [flatPng(12, 8, orange, {extra: [chunk('pHYs', [0, 0, 0, 1, 0, 0, 0, 3, 0])]}), orange],
    'with text': [flatPng(12, 8, orange, {extra: [chunk('tEXt', Buffer.from('Comment\0hello'))]}), orange],
  };
  test('PNG: animated', async () => {
    const still = flatPng(12, 8, orange), blue = flatPng(12, 8, [20, 30, 220]);
    const words = (...values) => Buffer.concat(values.map((value) => Buffer.from([value >>> 24, value >> 16, value >> 8, value])));
    const control = (number) => chunk('fcTL', Buffer.concat([words(number, 12, 8, 0, 0), Buffer.from([0, 1, 0, 9, 0, 0])]));
    const pixelsOf = (file) => file.subarray(file.indexOf('IDAT') + 4, file.indexOf('IEND') - 8);
    await assertColor(Buffer.concat([signature, header(12, 8, 8, 2), chunk('acTL', words(2, 0)), control(0), chunk('IDAT', pixelsOf(still)),
                                     control(1), chunk('fdAT', Buffer.concat([words(2), pixelsOf(blue)])), chunk('IEND', [])]), orange);
  });
  for (const [name, [image, color]] of Object.entries(pixels)) {
    test(`PNG: ${name}`, async () => {
      const {chunks} = await assertColor(image, color);
      assert.deepEqual([...new Set(chunks)], ['IHDR', 'IDAT', 'IEND'], 'the result has metadata');
    });
  }
});

describe('colour profiles', () => {
  const color = [60, 200, 60], gamma = 2.2;
  for (const name of ['adobe', 'p3']) {
    const meant = toSrgb(color, spaces[name], gamma);
    const away = Math.max(...meant.map((value, i) => Math.abs(value - color[i])));
    test(`${name} in a PNG`, async () => {
      assert.ok(away > 30, `a test that cannot fail: ${meant}`);
      await assertColor(flatPng(12, 8, color, {extra: [inPng(profile(spaces[name], gamma))]}), meant);
      await assertColor(flatPng(12, 8, [...color, 0], {type: 6, extra: [inPng(profile(spaces[name], gamma))]}), meant);
    });
  }
  const jpeg = (icc) => Buffer.concat([file('baseline.jpg').subarray(0, 2), inJpeg(icc), file('baseline.jpg').subarray(2)]);
  test('in a JPEG', () => assertColor(jpeg(profile(spaces.adobe, 1.4)), toSrgb(orange, spaces.adobe, 1.4)));
  test('one of sRGB, a broken one and one for other colours than the file has change nothing', async () => {
    const plain = (await send(flatPng(12, 8, orange))).json.images[0].url;
    const cmyk = profile(spaces.adobe, gamma, 'CMYK');
    for (const icc of [profile(spaces.srgb, srgbCurve), profile(spaces.adobe, gamma).subarray(0, 200), Buffer.from('nonsense'), cmyk]) {
      const answer = await send(flatPng(12, 8, orange, {extra: [inPng(icc)]}));
      assert.equal(answer.json.images[0].url === plain, true, `${icc.length} bytes`);
    }
    await assertColor(jpeg(cmyk), orange);
  });
});

describe('sizes', () => {
  for (const [width, height] of [[1, 1], [1, 9], [9, 1], [3, 3], [50, 37], [64, 48]])
    test(`${width}x${height}`, async () => {
      const picture = pictureOf(await send(testPng(width, height)));
      assert.deepEqual([picture.width, picture.height], [4 * width, 4 * height]);
    });
});

describe('what is behind the picture does not matter', () => {
  for (const [name, image] of [['PNG', flatPng(12, 8, orange)], ['JPEG', file('baseline.jpg')], ['GIF', file('still.gif')]]) {
    test(`${name} and junk`, () => assertColor(Buffer.concat([image, Buffer.alloc(999, 'junk')]), orange));
    test(`${name} twice`, () => assertColor(Buffer.concat([image, image]), orange));
  }
});

describe('cut in the middle: taken, or refused as a picture', () => {
  const whole = {png: testPng(64, 48), jpg: file('baseline.jpg'), gif: file('still.gif'), webp: file('lossless.webp'), bmp: file('plain.bmp')};
  for (const [name, image] of Object.entries(whole)) {
    test(name, async () => {
      for (const part of [0.6, 0.8, 0.95]) {
        const answer = await send(image.subarray(0, image.length * part));
        assert.ok([200, 400].includes(answer.status), answer.text);
        if (answer.status === 200) pictureOf(answer);
        else assert.equal(typeof answer.json.detail.msg, 'string');
      }
    });
  }
  test('a broken checksum', async () => {
    const image = flatPng(12, 8, orange);
    image[image.length - 14] ^= 1;  // of IDAT
    assert.ok([200, 400].includes((await send(image)).status));
  });
});

describe('refused with 400', () => {
  const png = (width, height) => Buffer.concat([signature, header(width, height, 8, 2), chunk('IDAT', []), chunk('IEND', [])]);
  const gif = (width, height) => Buffer.from([...Buffer.from('GIF89a'), width & 255, width >> 8, height & 255, height >> 8, 0, 0, 0]);
  const little = (value, bytes) => Array.from({length: bytes}, (_, i) => Math.floor(value / 256 ** i) & 255);
  const webp = (width, height) => Buffer.from([...Buffer.from('RIFF'), ...little(22, 4), ...Buffer.from('WEBPVP8X'), ...little(10, 4),
                                               0, 0, 0, 0, ...little(width - 1, 3), ...little(height - 1, 3)]);
  const bmp = (width, height) => Buffer.from([...Buffer.from('BM'), ...Array(12).fill(0), ...little(40, 4), ...little(width, 4), ...little(height, 4)]);
  const jpeg = (width, height) => Buffer.from([255, 216, 255, 192, 0, 17, 8, height >> 8, height & 255, width >> 8, width & 255, 3]);
  const tiffOf = (...tags) => Buffer.from([...Buffer.from('II*\0'), ...little(8, 4), ...little(tags.length, 2), ...tags.flatMap(
    ([tag, value]) => [...little(tag, 2), 4, 0, ...little(1, 4), ...little(value, 4)]), ...Array(4).fill(0)]);
  const tiff = (width, height) => tiffOf([256, width], [257, height]);
  const twice = (width, height) => tiffOf([256, width], [256, 8], [257, height], [257, 8]);
  const cases = {
    'an empty file': Buffer.alloc(0),
    'text': Buffer.from('this is not a picture'),
    'SVG': Buffer.from('<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>'),
    'zeros': Buffer.alloc(5000),
    'PNG cut in the header': flatPng(12, 8, orange).subarray(0, 20),
    'JPEG cut in the header': file('baseline.jpg').subarray(0, 20),
    'GIF cut in the header': file('still.gif').subarray(0, 9),
    'PNG of no width': png(0, 8),
    'PNG without IHDR first': Buffer.concat([signature, chunk('tEXt', Buffer.alloc(30))]),
    'GIF without a frame': gif(12, 8),
    'a GIF frame larger than the screen': Buffer.concat([gif(2, 2), Buffer.from([0x2c, 0, 0, 0, 0, 255, 255, 255, 255, 0, 2, 1, 0, 0, 0x3b])]),
    'JPEG with only its header': jpeg(12, 8),
    'TIFF of 60000 samples a pixel': tiffOf([256, 8], [257, 8], [277, 60000]),
    'RIFF that is sound': Buffer.from('RIFF\x24\0\0\0WAVEfmt ' + '\0'.repeat(50)),
  };
  for (const [name, image] of Object.entries(cases)) {
    test(name, async () => {
      const answer = await send(image);
      assert.equal(answer.status, 400, answer.text.slice(0, 200));
      assert.match(answer.json.detail.msg, /image|Error during model execution/);
    });
  }
  for (const [name, make] of Object.entries({png, gif, webp, bmp, jpeg, tiff, 'tiff with each size given twice': twice})) {
    test(`a bomb: ${name} of 16000x16000`, async () => {
      const answer = await send(make(16000, 16000));
      assert.equal(answer.status, 400);
      assert.match(answer.json.detail.msg, /16000x16000/);
    });
  }
  test('a bomb: PNG of 2^31-1 squared', async () => assert.equal((await send(png(0x7fffffff, 0x7fffffff))).status, 400));
});
