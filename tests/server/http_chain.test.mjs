// examples/http-chain between two addresses of a server that this test plays.
import assert from 'node:assert/strict';
import {spawn, spawnSync} from 'node:child_process';
import {once} from 'node:events';
import {mkdtempSync, readFileSync, writeFileSync} from 'node:fs';
import http from 'node:http';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {fileURLToPath} from 'node:url';
import {after, before, describe, test} from 'node:test';

import {waitFor} from './lib/server.mjs';

const script = fileURLToPath(new URL('../../examples/http-chain/http-chain.sh', import.meta.url));
const folder = mkdtempSync(path.join(tmpdir(), 'http-chain-'));
const frames = 20, width = 40, height = 24;

function launch(line) {
  const {status, stderr} = spawnSync('gst-launch-1.0', ['-q', ...line.split(' ')], {encoding: 'utf8'});
  assert.equal(status, 0, stderr);
}

async function chain(from, to, env = {}) {
  const child = spawn(script, [from, to], {stdio: ['ignore', 'ignore', 'pipe'], env: {...process.env, ...env}});
  let log = '';
  child.stderr.on('data', (data) => (log += data));
  const [code] = await once(child, 'close');
  return {code, log};
}

describe('http-chain', () => {
  let server, url, received, broken;

  before(async () => {
    const video = `videotestsrc num-buffers=${frames} pattern=snow ! video/x-raw,width=${width},height=${height},framerate=10/1 ! videoconvert ! vp8enc ! webmmux name=m`;
    const sound = `audiotestsrc num-buffers=40 samplesperbuffer=2400 ! audio/x-raw,rate=48000,channels=1 ! opusenc ! m.`;
    launch(`${video} ! filesink location=${folder}/clip.webm`);
    launch(`${video} ! filesink location=${folder}/sound.webm ${sound}`);
    server = http.createServer(async (request, response) => {
      if (request.method === 'GET' && ['/clip.webm', '/sound.webm'].includes(request.url)) return response.end(readFileSync(folder + request.url));
      if (request.method !== 'PUT' || request.url !== '/out.webm') return response.writeHead(404).end();
      const parts = [];
      try {
        for await (const part of request) parts.push(part);
      } catch {
        broken = true;
        return;
      }
      received.push(Buffer.concat(parts));
      response.end();
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    url = `http://127.0.0.1:${server.address().port}`;
  });
  after(() => server.close());

  test('a clip goes through', async () => {
    received = [];
    const {code, log} = await chain(`${url}/clip.webm`, `${url}/out.webm`);
    assert.equal(code, 0, log);
    assert.equal(received.length, 1);
    const result = path.join(folder, 'out.webm');
    writeFileSync(result, received[0]);
    const raw = path.join(folder, 'out.rgb');
    launch(`filesrc location=${result} ! matroskademux ! vp8dec ! videoconvert ! video/x-raw,format=RGB,width=${4 * width},height=${4 * height} ! filesink location=${raw}`);
    assert.equal(readFileSync(raw).length, frames * 3 * 16 * width * height);
  });

  test('its sound is kept', async () => {
    received = [];
    const {code, log} = await chain(`${url}/sound.webm`, `${url}/out.webm`);
    assert.equal(code, 0, log);
    const result = path.join(folder, 'sound-out.webm'), raw = path.join(folder, 'out.pcm');
    writeFileSync(result, received[0]);
    launch(`filesrc location=${result} ! matroskademux name=d d.audio_0 ! opusdec ! audioconvert ! audio/x-raw,format=S16LE,rate=48000,channels=1 ! filesink location=${raw}`);
    const samples = readFileSync(raw).length / 2;
    assert.ok(samples >= 40 * 2400 && samples < 40 * 2400 + 4800, `${samples} samples`);
  });

  test('an error on the way breaks the PUT off', async () => {
    received = [];
    broken = false;
    const {code, log} = await chain(`${url}/clip.webm`, `${url}/out.webm`, {UPSCALE: 'identity error-after=15 ! livepeerupscale safety-check=false'});
    assert.notEqual(code, 0);
    assert.match(log, /ERROR: from element/);
    await waitFor('the receiver to notice', () => broken);
    assert.equal(received.length, 0);
  });

  test('a source that is not there ends the line with an error', async () => {
    const {code, log} = await chain(`${url}/nothing.webm`, `${url}/out.webm`);
    assert.notEqual(code, 0);
    assert.match(log, /Not Found/);
  });

  test('a sink that refuses ends the line with an error', async () => {
    const {code, log} = await chain(`${url}/clip.webm`, `${url}/nowhere.webm`);
    assert.notEqual(code, 0);
    assert.match(log, /404/);
  });
});
