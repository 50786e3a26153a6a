// LoRAs that requests name (examples/upscale-server/README.md): out of one folder, never by path.
import assert from 'node:assert/strict';
import {copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {after, before, test} from 'node:test';
import {fileURLToPath} from 'node:url';

import {pictureOf, testPng} from './lib/png.mjs';
import {runProgram, startServer, upscale} from './lib/server.mjs';

const data = fileURLToPath(new URL('../golden/data', import.meta.url));
const good = {prompt: 'a white cat', image: testPng(8, 8), num_inference_steps: '1', seed: '1'};
const folder = mkdtempSync(join(tmpdir(), 'livepeerupscale-'));
const loras = join(folder, 'lo ras "1"');
let server;

before(async () => {
  mkdirSync(join(loras, 'adapter'), {recursive: true});
  copyFileSync(`${data}/lora/kohya.safetensors`, join(loras, 'my ink.safetensors'));
  copyFileSync(`${data}/lora/peft.safetensors`, join(loras, 'adapter', 'adapter_model.safetensors'));
  copyFileSync(`${data}/lora/peft.safetensors`, join(folder, 'outside.safetensors'));
  writeFileSync(join(loras, 'damaged.safetensors'), 'x');
  writeFileSync(join(loras, '.hidden.safetensors'), 'x');
  server = await startServer({args: ['--model', `${data}/tiny-upscaler`, '--lora-dir', loras]});
});
after(async () => {
  assert.equal(await server.stop(), 0);
  rmSync(folder, {recursive: true});
});

async function pixelsWith(lora) {
  const answer = await upscale(server, lora === undefined ? good : {...good, lora});
  assert.equal(answer.status, 200, answer.text);
  return Buffer.from(pictureOf(answer).pixels).toString('base64');
}

test('a name changes the picture, and only that one', async () => {
  const plain = await pixelsWith();
  const ink = await pixelsWith('my ink');
  assert.notEqual(ink, plain);
  assert.equal(await pixelsWith('my ink@1.0'), ink);
  assert.notEqual(await pixelsWith('my ink@0.5'), ink);
  assert.equal(await pixelsWith('my ink@0'), plain);
  const both = await pixelsWith(' my ink , adapter@-0.4 ');
  assert.ok(both !== ink && both !== plain);
  assert.equal(await pixelsWith(''), plain);
  assert.equal(await pixelsWith(' '), plain);
});

test('what is no name of the folder is refused', async () => {
  for (const lora of ['none', '../outside', `${folder}/outside`, 'adapter/adapter_model', '..', '.', '.hidden',
                      '\\..\\outside', 'my ink,', ',', 'my ink@', 'my ink@x', 'my ink@inf', 'my ink@0x1', 'my ink@1@x',
                      '@1', '"my ink"', `${'a'.repeat(300)}`, Array(17).fill('my ink').join()]) {
    const answer = await upscale(server, {...good, lora});
    assert.equal(answer.status, 400, `${lora}: ${answer.text}`);
    assert.ok(!answer.text.includes(folder), answer.text);
  }
  assert.equal((await upscale(server, {...good, lora: 'damaged'})).status, 500);
  await pixelsWith('my ink');
});

test('without a folder there is none', async () => {
  const bare = await startServer();
  const answer = await upscale(bare, {...good, lora: 'my ink'});
  assert.equal(answer.status, 400, answer.text);
  assert.match(answer.json.detail.msg, /--lora-dir/);
  assert.equal((await upscale(bare, {...good, lora: ''})).status, 200);
  assert.equal(await bare.stop(), 0);
  const {code, output} = await runProgram(['--lora-dir', join(folder, 'none')]);
  assert.notEqual(code, 0);
  assert.match(output, /--lora-dir must name a folder/);
});
