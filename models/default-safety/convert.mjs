// Makes this folder's config.json, model.safetensors and LICENSE from the MobileNetV2 of the npm
// package nsfwjs 4.3.0 (MIT). Needs node alone:
//
//   npm install --prefix build/safety --ignore-scripts --legacy-peer-deps nsfwjs@4.3.0
//   node models/default-safety/convert.mjs build/safety/node_modules/nsfwjs [output folder]
//
// The package stores every keras tensor as uint8 with one scale and one minimum. The 8-bit numbers
// of the kernels are kept; batch normalisation, a factor and an offset per output channel, goes into
// that channel's scale, minimum and bias: weight[o] = q[o] * weight_scale[o] + weight_min[o].

import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const [packageFolder, output = dirname(fileURLToPath(import.meta.url))] = process.argv.slice(2);
if (!packageFolder) throw new Error('usage: convert.mjs <.../node_modules/nsfwjs> [output folder]');

const version = JSON.parse(readFileSync(join(packageFolder, 'package.json'))).version;
expect(version === '4.3.0', `nsfwjs 4.3.0 is wanted, not ${version}`);
const load = async (...path) =>
  (await import(pathToFileURL(resolve(packageFolder, 'dist', ...path)))).default;
const model = await load('models', 'mobilenet_v2', 'model.min.js');
const bytes = Buffer.from(await load('models', 'mobilenet_v2', 'group1-shard1of1.min.js'), 'base64');
const { NSFW_CLASSES } = await import(
  pathToFileURL(resolve(packageFolder, 'dist', 'esm', 'nsfw_classes.js')));

function expect(condition, message) {
  if (!condition) throw new Error(message);
}

// name -> {shape, scale, min, q}
const tensors = new Map();
let offset = 0;
for (const { name, shape, quantization } of model.weightsManifest.flatMap((group) => group.weights)) {
  expect(quantization?.dtype === 'uint8', `${name} is not uint8`);
  const size = shape.reduce((a, b) => a * b, 1);
  tensors.set(name, { shape, ...quantization, q: bytes.subarray(offset, (offset += size)) });
}
expect(offset === bytes.length, `${bytes.length - offset} bytes of weights are left over`);

const values = (name) => {
  const { q, scale, min } = tensors.get(name);
  return Array.from(q, (value) => value * scale + min);
};

// Keras keeps convolutions as [h, w, in, out], depthwise ones as [h, w, channels, 1] and dense layers
// as [in, out]; torch wants [out, in / groups, h, w].
function kernel(name, depthwise) {
  const { shape, q } = tensors.get(name);
  let [h, w, inputs, outputs] = shape.length === 2 ? [1, 1, ...shape] : shape;
  if (depthwise) [inputs, outputs] = [outputs, inputs];
  const data = Buffer.alloc(q.length);
  for (let place = 0; place < h * w; ++place)
    for (let i = 0; i < inputs; ++i)
      for (let o = 0; o < outputs; ++o)
        data[(o * inputs + i) * h * w + place] = q[(place * inputs + i) * outputs + o];
  return { shape: [outputs, inputs, h, w], data };
}

const result = [];
const add = (name, dtype, shape, data) => result.push({ name, dtype, shape, data });

function addLayer(name, kernelName, depthwise, factors, biases) {
  const { shape, data } = kernel(kernelName, depthwise);
  const { scale, min } = tensors.get(kernelName);
  const floats = (numbers) => Buffer.from(Float32Array.from(numbers).buffer);
  add(`${name}.weight`, 'U8', shape, data);
  add(`${name}.weight_scale`, 'F32', [shape[0]], floats(factors.map((f) => f * scale)));
  add(`${name}.weight_min`, 'F32', [shape[0]], floats(factors.map((f) => f * min)));
  add(`${name}.bias`, 'F32', [shape[0]], floats(biases));
}

// What the engine's network takes for granted, checked layer by layer.
function checkConvolution({ class_name, config }, before) {
  const padded = before.class_name === 'ZeroPadding2D';
  const same = config.padding === 'same' || config.kernel_size[0] === 1;
  expect(config.activation === 'linear' && !config.use_bias, `${config.name}: activation or bias`);
  expect(config.strides[0] === 2 ? padded && config.padding === 'valid' : same && !padded,
    `${config.name}: padding`);
  if (padded)
    expect(JSON.stringify(before.config.padding) === '[[0,1],[0,1]]', `${config.name}: zero padding`);
  expect(class_name === 'Conv2D' || config.depth_multiplier === 1, `${config.name}: multiplier`);
}

const flatten = (list) => list.flatMap((layer) => layer.config.layers ? flatten(layer.config.layers) : [layer]);
const { config: topology } = model.modelTopology.model_config;
const layers = flatten(topology.layers ?? topology);
layers.forEach((layer, index) => {
  const { class_name, config } = layer;
  if (class_name === 'Conv2D' || class_name === 'DepthwiseConv2D') {
    checkConvolution(layer, layers[index - 1]);
    const { class_name: next, config: norm } = layers[index + 1];
    expect(next === 'BatchNormalization', `${config.name}: no batch normalisation behind it`);
    const [gamma, beta, mean, variance] =
      ['gamma', 'beta', 'moving_mean', 'moving_variance'].map((part) => values(`${norm.name}/${part}`));
    const factors = gamma.map((g, o) => g / Math.sqrt(variance[o] + norm.epsilon));
    const biases = beta.map((b, o) => b - mean[o] * factors[o]);
    const depthwise = class_name === 'DepthwiseConv2D';
    addLayer(config.name, `${config.name}/${depthwise ? 'depthwise_kernel' : 'kernel'}`, depthwise,
      factors, biases);
  } else if (class_name === 'Dense') {
    const biases = values(`${config.name}/bias`);
    addLayer(config.name, `${config.name}/kernel`, false, biases.map(() => 1), biases);
  } else if (class_name === 'ReLU') {
    expect(config.max_value === 6, `${config.name} is not ReLU6`);
  }
});

// The widest type first, so that every tensor is aligned.
result.sort((a, b) => (a.dtype === b.dtype ? 0 : a.dtype === 'F32' ? -1 : 1));
const header = { __metadata__: { format: 'pt', source: `nsfwjs ${version}, mobilenet_v2` } };
let end = 0;
for (const { name, dtype, shape, data } of result)
  header[name] = { dtype, shape, data_offsets: [end, (end += data.length)] };
let text = JSON.stringify(header);
text = text.padEnd(Math.ceil(text.length / 8) * 8);
const length = Buffer.alloc(8);
length.writeBigUInt64LE(BigInt(text.length));
writeFileSync(join(output, 'model.safetensors'),
  Buffer.concat([length, Buffer.from(text), ...result.map(({ data }) => data)]));

const config = {
  _class_name: 'MobileNetV2SafetyClassifier',
  labels: Object.values(NSFW_CLASSES),
  flagged_labels: ['Hentai', 'Porn'],
  threshold: 0.7,
};
writeFileSync(join(output, 'config.json'), JSON.stringify(config, null, 2) + '\n');
copyFileSync(join(packageFolder, 'LICENSE'), join(output, 'LICENSE'));
