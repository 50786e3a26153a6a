// Livepeer's own SDKs as clients, as they come from the npm registry.
import assert from 'node:assert/strict';
import {after, before, describe, test} from 'node:test';

import {readPng, testPng} from './lib/png.mjs';
import {install} from './lib/packages.mjs';
import {startServer} from './lib/server.mjs';

const load = install('clients', {'@livepeer/ai': '0.6.2', 'livepeer': '3.5.0'});
const skip = load ? false : 'the npm registry cannot be reached';
const modelId = 'stabilityai/stable-diffusion-x4-upscaler';
const image = testPng(6, 5);
let server, guarded;

before(async () => {
  server = await startServer({args: ['--model-id', modelId]});
  guarded = await startServer({args: ['--model-id', modelId], env: {AUTH_TOKEN: 'Sesame'}});
});
after(async () => {
  assert.equal(await server.stop(), 0);
  assert.equal(await guarded.stop(), 0);
  setTimeout(() => process.exit(), 1000).unref();  // node 18 keeps ports open that the SDKs leave
});

/** Each SDK: how to make a client, and how its answers are wrapped. */
const sdks = {
  '@livepeer/ai': {token: 'httpBearer', make: ({Livepeer}, options) => new Livepeer(options), errors: '@livepeer/ai/models/errors'},
  'livepeer': {token: 'apiKey', make: ({Livepeer}, options) => new Livepeer(options), errors: 'livepeer/models/errors'},
};

for (const [name, {token, make, errors}] of Object.entries(sdks)) {
  describe(name, {skip}, () => {
    let sdk, kinds;
    const client = (to, options = {}) => make(sdk, {serverURL: to.url, ...options});
    before(async () => {
      sdk = await load(name);
      kinds = await load(errors);
    });

    const upscale = (to, fields, options) =>
      client(to, options).generate.upscale({prompt: 'a white cat', image, numInferenceSteps: 1, ...fields});
    function assertPicture(result, seed) {
      assert.equal(result.imageResponse.images.length, 1);
      const [one] = result.imageResponse.images;
      const {width, height} = readPng(Buffer.from(one.url.split(',')[1], 'base64'));
      assert.deepEqual([width, height], [24, 20]);
      assert.equal(one.nsfw, false);
      if (seed !== undefined) assert.equal(one.seed, seed);
    }

    test('a Blob', async () => assertPicture(await upscale(server, {image: new Blob([image], {type: 'image/png'}), seed: 7, safetyCheck: false}), 7));
    test('a stream', async () => assertPicture(await upscale(server, {image: {fileName: 'cat.png', content: new Blob([image]).stream()}, modelId})));
    test('fileName and content', async () => assertPicture(await upscale(server, {image: {fileName: 'cat.png', content: image}, seed: 8}), 8));
    test('with a token', async () => assertPicture(await upscale(guarded, {image: {fileName: 'cat.png', content: image}}, {[token]: 'Sesame'})));

    const form = {fileName: 'cat.png', content: image};
    test('a wrong token', () => assert.rejects(upscale(guarded, {image: form}, {[token]: 'nope'}), (error) =>
      error instanceof kinds.HTTPError && error.detail.msg === 'Invalid bearer token.'));
    test('another model', () => assert.rejects(upscale(server, {image: form, modelId: 'other/model'}), (error) =>
      error instanceof kinds.HTTPError && error.detail.msg === `pipeline configured with ${modelId} but called with other/model.`));
    test('not a picture', () => assert.rejects(upscale(server, {image: {fileName: 'x', content: Buffer.from('text')}}), (error) =>
      error instanceof kinds.HTTPError && /decoded/.test(error.detail.msg)));
    test('too many steps', () => assert.rejects(upscale(server, {image: form, numInferenceSteps: 100000}), kinds.HTTPError));
  });
}
