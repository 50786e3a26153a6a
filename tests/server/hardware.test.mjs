// What nvidia-smi says, by a script in its place.
import assert from 'node:assert/strict';
import {chmodSync, existsSync, mkdtempSync, readFileSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {afterEach, test} from 'node:test';

import {fakeEngine, footprint, request, startServer, waitFor} from './lib/server.mjs';

const table = {info: 'GPU-1, NVIDIA H100, 81559, 80994, 9.0', stats: 'GPU-1, NVIDIA H100, 81559, 80994, 97, 41'};
const common = {id: 'GPU-1', name: 'NVIDIA H100', memory_total: 81559 * 2 ** 20, memory_free: 80994 * 2 ** 20};
const info = {0: {...common, major: 9, minor: 0}};
const stats = {0: {...common, utilization_compute: 97, utilization_memory: 41}};
let server, folder;

/** A server whose nvidia-smi does `work`, and notes each start in a file. */
async function start(work) {
  folder = mkdtempSync(path.join(tmpdir(), 'upscale-server-'));
  writeFileSync(path.join(folder, 'nvidia-smi'), `#!/bin/sh\necho $$ >> ${folder}/starts\n${work}\n`);
  chmodSync(path.join(folder, 'nvidia-smi'), 0o755);
  server = await startServer({env: fakeEngine({PATH: `${folder}:${process.env.PATH}`})});
}
afterEach(async () => assert.equal(await server.stop(), 0));

const tell = `case $1 in *utilization*) echo "${table.stats}";; *) echo "${table.info}";; esac`;
const starts = () => (existsSync(`${folder}/starts`) ? readFileSync(`${folder}/starts`, 'utf8').trim().split('\n') : []);
const alive = (pid) => existsSync(`/proc/${pid}`);

test('GPUs as nvidia-smi lists them', async () => {
  await start(tell);
  assert.deepEqual((await request(server, '/hardware/info')).json.gpu_info, info);
  assert.deepEqual((await request(server, '/hardware/stats')).json.gpu_stats, stats);
});

test('150 requests at once: one process at a time, whose answer is for all', async () => {
  // It ends early, and with an error, where it is not alone.
  await start(`mkdir ${folder}/alone || exit 1; ${tell}; sleep 0.3; rmdir ${folder}/alone`);
  const began = Date.now();
  const answers = await Promise.all(Array.from({length: 150}, (_, i) => request(server, i % 2 ? '/hardware/info' : '/hardware/stats')));
  answers.forEach(({json}, i) => assert.deepEqual(json[i % 2 ? 'gpu_info' : 'gpu_stats'], i % 2 ? info : stats));
  const seconds = (Date.now() - began) / 1000;
  assert.ok(starts().length <= 2 * (1 + seconds), `${starts().length} processes in ${seconds} s`);
});

test('one that hangs is killed, and nobody waits for it', async () => {
  await start('exec sleep 1000');
  const answers = await Promise.all([request(server, '/hardware/info'), request(server, '/hardware/stats')]);
  assert.deepEqual(answers.map(({json}) => json.gpu_info ?? json.gpu_stats), [{}, {}]);
  await waitFor('it to be gone', () => !alive(starts()[0]));
  assert.match(server.log, /nvidia-smi does not answer/);
});

test('what it started is killed, too', async () => {
  await start('sleep 1000 & echo $! > $(dirname $0)/child; wait');
  assert.deepEqual((await request(server, '/hardware/info')).json.gpu_info, {});
  const child = readFileSync(`${folder}/child`, 'utf8').trim();
  await waitFor('both to be gone', () => !alive(starts()[0]) && !alive(child));
});

test('one that does not stop talking is not listened to', async () => {
  await start(`yes "${table.info}"`);
  const {rss} = footprint(server);
  assert.deepEqual((await request(server, '/hardware/info')).json.gpu_info, {});
  await waitFor('it to be gone', () => !alive(starts()[0]));
  assert.ok(footprint(server).rss < rss + 2 ** 24);
  assert.doesNotMatch(server.log, /does not answer/);
});

test('one that says too much is not believed', async () => {
  await start(`yes "${table.info}" | head -n 5000`);
  assert.deepEqual((await request(server, '/hardware/info')).json.gpu_info, {});
});

test('numbers that are none', async () => {
  await start('echo "GPU-1, NVIDIA H100, 99999999999999999999, -5, x"');
  const most = (2 ** 43 - 1) * 2 ** 20;
  assert.deepEqual((await request(server, '/hardware/info')).json.gpu_info, {
    0: {...common, memory_total: most, memory_free: 0, major: 0, minor: 0}});
});

test('one that leaves a child with its output behind does no harm', async () => {
  await start('sleep 20 & exit 0');
  await request(server, '/health');
  const {descriptors} = footprint(server);
  for (let i = 0; i < 2; i++) assert.deepEqual((await request(server, '/hardware/info')).json.gpu_info, {});
  await waitFor('no descriptors of it', () => footprint(server).descriptors <= descriptors);
});
