// Compares the built-in safety classifier with the npm package that its weights come from, picture
// by picture, and fails where a probability differs by more than 1e-3.
//
//   ninja -C build tests/safety/write_golden_pictures && node tests/safety/compare.mjs build [--update]
//
// Installs nsfwjs and its peer dependencies into build/safety. --update writes what nsfwjs says into
// tests/golden/nsfw_samples.json, which the unit tests compare with where there is no npm.

import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const tolerance = 1e-3;
const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const [build, flag] = process.argv.slice(2);
if (!build || (flag && flag !== '--update')) {
  console.error('usage: compare.mjs <build folder> [--update]');
  process.exit(2);
}
const folder = resolve(build, 'safety');
mkdirSync(folder, { recursive: true });
execFileSync('npm', ['install', '--prefix', folder, '--ignore-scripts', '--no-audit', '--no-fund',
  'nsfwjs@4.3.0', '@tensorflow/tfjs@4.22.0', 'buffer@6.0.3'], { stdio: ['ignore', 'ignore', 'inherit'] });

const require = createRequire(join(folder, 'index.cjs'));
const tf = require('@tensorflow/tfjs');
const nsfwjs = require('nsfwjs/core');
const { MobileNetV2Model } = require('nsfwjs/models/mobilenet_v2');
console.info = () => {};  // nsfwjs and tfjs advertise themselves
await tf.setBackend('cpu');
const network = await nsfwjs.load('MobileNetV2', { modelDefinitions: [MobileNetV2Model] });

const ours = JSON.parse(execFileSync(
  join(resolve(build), 'tests', 'safety', 'write_golden_pictures'), [root, folder]));
const goldenFile = join(root, 'tests', 'golden', 'nsfw_samples.json');
const golden = JSON.parse(readFileSync(goldenFile));
if (ours.length !== golden.pictures.length || ours.length < 10) throw new Error('pictures are missing');

function readPpm(path) {
  const bytes = readFileSync(path);
  const [header, width, height] = /^P6\n(\d+) (\d+)\n255\n/.exec(bytes.toString('latin1', 0, 40));
  return tf.tensor3d(new Uint8Array(bytes.subarray(header.length)), [+height, +width, 3], 'int32');
}

let worst = 0;
for (const [index, { name, probabilities }] of ours.entries()) {
  const picture = readPpm(join(folder, `${index}.ppm`));
  const output = network.infer(picture);
  const theirs = Array.from(output.dataSync());
  const difference = Math.max(...theirs.map((value, label) => Math.abs(value - probabilities[label])));
  worst = Math.max(worst, difference);
  console.log(`${difference.toExponential(1)}  ${name}: ${theirs.map((p) => p.toFixed(4)).join(' ')}`);
  golden.pictures[index].probabilities = theirs.map((value) => Number(value.toFixed(6)));
  tf.dispose([picture, output]);
}
if (flag) {
  const lines = golden.pictures.map((picture) => '    ' + JSON.stringify(picture));
  writeFileSync(goldenFile, `{
  "source": ${JSON.stringify(golden.source)},
  "labels": ${JSON.stringify(golden.labels)},
  "pictures": [
${lines.join(',\n')}
  ]
}
`);
}
console.log(`largest difference ${worst.toExponential(2)}, allowed ${tolerance}`);
process.exitCode = worst <= tolerance ? 0 : 1;
