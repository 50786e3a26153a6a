// Writes PNG files of every kind that the tests need, and reads the kind that the server answers.
import assert from 'node:assert/strict';
import zlib from 'node:zlib';

const table = Array.from({length: 256}, (_, n) => {
  for (let k = 0; k < 8; k++) n = n & 1 ? 0xedb88320 ^ (n >>> 1) : n >>> 1;
  return n >>> 0;
});
const crc32 = (data) => (data.reduce((crc, byte) => table[(crc ^ byte) & 255] ^ (crc >>> 8), -1) ^ -1) >>> 0;

export function chunk(type, data) {
  const body = Buffer.concat([Buffer.from(type), Buffer.from(data)]);
  const out = Buffer.alloc(body.length + 8);
  out.writeUInt32BE(body.length - 4);
  body.copy(out, 4);
  out.writeUInt32BE(crc32(body), body.length + 4);
  return out;
}

export const signature = Buffer.from('\x89PNG\r\n\x1a\n', 'latin1');

export function header(width, height, depth, type) {
  const data = Buffer.alloc(13);
  data.writeUInt32BE(width);
  data.writeUInt32BE(height, 4);
  data[8] = depth;
  data[9] = type;
  return chunk('IHDR', data);
}

/** A PNG of `type` (0 grey, 2 RGB, 3 palette, 4 grey and alpha, 6 RGBA) whose row y is row(y). */
export function writePng(width, height, depth, type, row, extra = []) {
  const rows = [];
  for (let y = 0; y < height; y++) rows.push(Buffer.from([0, ...row(y)]));
  return Buffer.concat([signature, header(width, height, depth, type), ...extra,
                        chunk('IDAT', zlib.deflateSync(Buffer.concat(rows))), chunk('IEND', [])]);
}

const repeat = (values, times) => Array.from({length: times}, () => values).flat();

/** One colour everywhere. */
export function flatPng(width, height, color, {depth = 8, type = 2, extra} = {}) {
  return writePng(width, height, depth, type, () => repeat(color, width), extra);
}

/** Something with detail. */
export function testPng(width, height, salt = 0) {
  return writePng(width, height, 8, 2, (y) => Array.from(
    {length: width * 3}, (_, i) => ((i * 37) ^ (y * 101) ^ (salt * 53)) % 256));
}

function unfilter(type, row, above, bytes) {
  for (let i = 0; i < row.length; i++) {
    const a = i >= bytes ? row[i - bytes] : 0, b = above[i], c = i >= bytes ? above[i - bytes] : 0;
    const p = a + b - c, pa = Math.abs(p - a), pb = Math.abs(p - b), pc = Math.abs(p - c);
    const paeth = pa <= pb && pa <= pc ? a : pb <= pc ? b : c;
    row[i] += [0, a, b, (a + b) >> 1, paeth][type];
  }
}

/** Width, height, pixels (RGB) and chunk names of an 8-bit RGB PNG; asserts that it is one. */
export function readPng(file) {
  assert.ok(file.subarray(0, 8).equals(signature), 'not a PNG');
  const chunks = [], data = [];
  for (let at = 8; at < file.length;) {
    const length = file.readUInt32BE(at), type = file.toString('latin1', at + 4, at + 8);
    assert.equal(file.readUInt32BE(at + 8 + length), crc32(file.subarray(at + 4, at + 8 + length)));
    chunks.push(type);
    if (type === 'IDAT') data.push(file.subarray(at + 8, at + 8 + length));
    at += 12 + length;
  }
  const width = file.readUInt32BE(16), height = file.readUInt32BE(20);
  assert.deepEqual([...file.subarray(24, 29)], [8, 2, 0, 0, 0], 'not plain 8-bit RGB');
  const raw = zlib.inflateSync(Buffer.concat(data)), stride = width * 3;
  const pixels = Buffer.alloc(stride * height);
  let above = Buffer.alloc(stride);
  for (let y = 0; y < height; y++) {
    const row = pixels.subarray(y * stride, (y + 1) * stride);
    raw.copy(row, 0, y * (stride + 1) + 1);
    unfilter(raw[y * (stride + 1)], row, above, 3);
    above = row;
  }
  return {width, height, pixels, chunks};
}

/** The picture in an answer of the server. */
export function pictureOf(answer) {
  const [, base64] = /^data:image\/png;base64,([A-Za-z0-9+/]+={0,2})$/.exec(answer.json.images[0].url);
  return readPng(Buffer.from(base64, 'base64'));
}

export function meanColor({pixels}) {
  const sums = [0, 0, 0];
  pixels.forEach((value, i) => (sums[i % 3] += value));
  return sums.map((sum) => sum / (pixels.length / 3));
}
