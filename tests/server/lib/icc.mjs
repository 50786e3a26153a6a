// Colour profiles as small as they can be, and what a colour of theirs is in sRGB.
import zlib from 'node:zlib';

import {chunk} from './png.mjs';

/** Red, green and blue of a space as XYZ under D50, one a row. */
export const spaces = {
  srgb: [[0.4360747, 0.2225045, 0.0139322], [0.3850649, 0.7168786, 0.0971045], [0.1430804, 0.0606169, 0.7141733]],
  adobe: [[0.6097559, 0.3111242, 0.0194811], [0.2052401, 0.6256560, 0.0608902], [0.1492240, 0.0632197, 0.7448387]],
  p3: [[0.5151187, 0.2411892, -0.0010505], [0.2919778, 0.6922441, 0.0418782], [0.1571035, 0.0665668, 0.7840713]],
};

/** The curve of sRGB, in numbers of 16 bits. */
export const srgbCurve = Array.from({length: 1024}, (_, i) => i / 1023)
  .map((value) => 65535 * (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4));

/** A profile whose numbers are light to the power of 1 / gamma, or by a curve. `space`: 'RGB ', 'CMYK', ... */
export function profile(primaries, gamma, space = 'RGB ') {
  const fixed = (value) => {
    const bytes = Buffer.alloc(4);
    bytes.writeInt32BE(Math.round(value * 65536));
    return bytes;
  };
  const xyz = (values) => Buffer.concat([Buffer.from('XYZ \0\0\0\0'), ...values.map(fixed)]);
  const points = Array.isArray(gamma) ? gamma : [gamma * 256];
  const curve = Buffer.alloc(12 + Math.ceil(points.length / 2) * 4);
  curve.write('curv');
  curve.writeUInt32BE(points.length, 8);
  points.forEach((value, i) => curve.writeUInt16BE(Math.round(value), 12 + 2 * i));
  const tags = [['wtpt', xyz([0.9642, 1, 0.8249])], ...['rXYZ', 'gXYZ', 'bXYZ'].map((name, i) => [name, xyz(primaries[i])]),
                ...['rTRC', 'gTRC', 'bTRC'].map((name) => [name, curve])];
  const head = Buffer.alloc(128), table = [], data = [];
  let at = 132 + tags.length * 12;
  for (const [name, value] of tags) {
    const entry = Buffer.alloc(12);
    entry.write(name);
    entry.writeUInt32BE(at, 4);
    entry.writeUInt32BE(value.length, 8);
    table.push(entry);
    data.push(value);
    at += value.length;
  }
  head.writeUInt32BE(at);
  head.writeUInt32BE(0x02400000, 8);
  head.write(`mntr${space}XYZ `, 12);
  head.write('acsp', 36);
  [0.9642, 1, 0.8249].forEach((value, i) => fixed(value).copy(head, 68 + 4 * i));
  const count = Buffer.alloc(4);
  count.writeUInt32BE(tags.length);
  return Buffer.concat([head, count, ...table, ...data]);
}

/** A colour (0 to 255) of a space, as sRGB has it. */
export function toSrgb(color, primaries, gamma) {
  const light = color.map((value) => (value / 255) ** gamma);
  const xyz = [0, 1, 2].map((i) => light.reduce((sum, value, c) => sum + value * primaries[c][i], 0));
  const inverse = [[3.1338561, -1.6168667, -0.4906146], [-0.9787684, 1.9161415, 0.0334540], [0.0719453, -0.2289914, 1.4052427]];
  return inverse.map((row) => row.reduce((sum, value, i) => sum + value * xyz[i], 0))
    .map((value) => Math.min(1, Math.max(0, value)))
    .map((value) => 255 * (value <= 0.0031308 ? 12.92 * value : 1.055 * value ** (1 / 2.4) - 0.055));
}

/** The piece of a PNG, and of a JPEG behind its first two bytes, that holds a profile. */
export const inPng = (icc) => chunk('iCCP', Buffer.concat([Buffer.from('x\0\0'), zlib.deflateSync(icc)]));
export function inJpeg(icc) {
  const head = Buffer.from([0xff, 0xe2, 0, 0]);
  head.writeUInt16BE(icc.length + 16, 2);
  return Buffer.concat([head, Buffer.from('ICC_PROFILE\0\x01\x01', 'latin1'), icc]);
}
