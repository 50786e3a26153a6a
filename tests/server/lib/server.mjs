// Starts the server under test and talks to it.
import assert from 'node:assert/strict';
import {spawn} from 'node:child_process';
import {once} from 'node:events';
import {readdirSync, readFileSync} from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import {setTimeout as sleep} from 'node:timers/promises';

const program = process.env.LIVEPEER_UPSCALE_SERVER;
if (!program) throw new Error('LIVEPEER_UPSCALE_SERVER must name the program under test');

/** Environment of the tests without what the operator of this machine may have set. */
function cleanEnvironment(extra) {
  const env = {...process.env, ...extra};
  for (const name of ['HOST', 'PORT', 'AUTH_TOKEN', 'MODEL_DIR', 'MODEL_ID', 'PIPELINE', 'VERBOSE_LOGGING'])
    if (!(name in extra)) delete env[name];
  return env;
}

/** Environment for the real element on an engine without a model; see fake_plugin.cpp. */
export function fakeEngine(env) {
  const plugins = process.env.LIVEPEER_FAKE_PLUGIN;
  return {GST_PLUGIN_PATH_1_0: plugins, GST_REGISTRY: `${plugins}/fake.registry`, ...env};
}

/** Runs the program to its end. */
export async function runProgram(args, env = {}) {
  const child = spawn(program, args, {env: cleanEnvironment(env)});
  let output = '';
  child.stdout.on('data', (data) => (output += data));
  child.stderr.on('data', (data) => (output += data));
  const [code] = await once(child, 'close');
  return {code, output};
}

/** Starts a server on a free port and waits until it listens. `safe`: with a safety checker;
 *  `descriptors`: how many it may have. */
export async function startServer({args = [], env = {}, safe = false, descriptors} = {}) {
  const limited = descriptors ? ['sh', '-c', `ulimit -n ${descriptors}; exec "$0" "$@"`] : [];
  const [file, ...rest] = [...limited, program, '--port', '0', ...(safe ? [] : ['--no-safety-checker']), ...args];
  const child = spawn(file, rest, {env: cleanEnvironment(env), stdio: ['ignore', 'pipe', 'pipe']});
  const server = {child, log: '', exited: once(child, 'close').then(([code]) => code)};
  child.stdout.on('data', (data) => (server.log += data));  // what is logged with --verbose
  const listening = new Promise((resolve, reject) => {
    child.stderr.on('data', (data) => {
      server.log += data;
      const found = /listening on (http:\S+?)\/?,/.exec(server.log);
      if (found) resolve(found[1]);
    });
    server.exited.then((code) => reject(new Error(`ended with ${code}: ${server.log}`)));
  });
  server.url = await listening;
  server.port = Number(new URL(server.url).port);
  server.stop = async () => {
    child.kill('SIGTERM');
    const code = await server.exited;
    if (code !== 0) console.log(server.log.split('\n').slice(-20).join('\n'));
    return code;
  };
  return server;
}

/** One request; the answer has status, headers, text and, where the type says so, json. */
export function request(server, path, {method = 'GET', headers = {}, body, agent, chunked} = {}) {
  return new Promise((resolve, reject) => {
    const length = body && !chunked ? {'Content-Length': body.length} : {};
    const outgoing = http.request(server.url + path, {method, agent, headers: {...length, ...headers}});
    outgoing.on('error', reject);
    outgoing.on('response', (incoming) => {
      const parts = [];
      incoming.on('data', (part) => parts.push(part));
      incoming.on('error', reject);
      incoming.on('end', () => {
        const text = Buffer.concat(parts).toString();
        const isJson = /^application\/json/.test(incoming.headers['content-type'] ?? '');
        resolve({status: incoming.statusCode, headers: incoming.headers, text,
                 json: isJson && text ? JSON.parse(text) : undefined});
      });
    });
    if (chunked) for (let at = 0; at < body.length; at += 1000) outgoing.write(body.subarray(at, at + 1000));
    outgoing.end(chunked ? undefined : body);
  });
}

/** A part: {name, value, filename, type, headers}. `value` is text or bytes. */
export function multipart(parts, boundary = 'x-boundary-4711') {
  const pieces = [];
  for (const part of parts) {
    let head = `--${boundary}\r\nContent-Disposition: form-data; name="${part.name}"`;
    if (part.filename !== undefined) head += `; filename="${part.filename}"`;
    if (part.type) head += `\r\nContent-Type: ${part.type}`;
    pieces.push(Buffer.from(`${head}\r\n\r\n`), Buffer.from(part.value), Buffer.from('\r\n'));
  }
  pieces.push(Buffer.from(`--${boundary}--\r\n`));
  return {body: Buffer.concat(pieces),
          headers: {'Content-Type': `multipart/form-data; boundary=${boundary}`}};
}

/** {prompt: 'x', image: bytes, seed: '7'} as parts; bytes become a file, an array repeats a field. */
export function parts(fields) {
  return Object.entries(fields).flatMap(([name, value]) => (Array.isArray(value) ? value : [value])
    .map((one) => (Buffer.isBuffer(one) ? {name, value: one, filename: 'picture'} : {name, value: one})));
}

export function upscale(server, fields, {path = '/upscale', headers = {}, ...rest} = {}) {
  const form = multipart(parts(fields));
  return request(server, path,
                 {method: 'POST', body: form.body, headers: {...form.headers, ...headers}, ...rest});
}

/** Follows a stream of server-sent events; `onEvent` may return false to hang up. It gets comments,
 *  too, which are not among the events; `events.headers` has the headers. */
export function follow(server, fields, onEvent) {
  const form = multipart(parts(fields));
  return new Promise((resolve, reject) => {
    const outgoing = http.request(`${server.url}/upscale`, {
      method: 'POST', headers: {...form.headers, Accept: 'text/event-stream'}});
    const events = [];
    outgoing.on('error', reject);
    outgoing.on('response', (incoming) => {
      events.headers = incoming.headers;
      let text = '';
      incoming.on('data', (data) => {
        const blocks = (text += data).split('\n\n');
        text = blocks.pop();
        for (const block of blocks) {
          const [, name, value] = /^event: (.*)\ndata: (.*)$/.exec(block) ?? [];
          if (name) events.push({name, data: JSON.parse(value)});
          else assert.match(block, /^: /);
          if (onEvent?.(name ? events.at(-1) : {name: 'comment'}) === false) return resolve(events), outgoing.destroy();
        }
      });
      incoming.on('error', () => {});
      incoming.on('close', () => resolve(events));
    });
    outgoing.end(form.body);
  });
}

/** A bare connection: write() sends, ended resolves with all that came until the server closed. */
export async function connect(server, options = {}) {
  const socket = net.connect({port: server.port, host: '127.0.0.1', ...options});
  let text = '';
  socket.on('data', (data) => (text += data));
  socket.on('error', () => {});
  socket.ended = new Promise((resolve) => socket.on('close', () => resolve(text)));
  socket.received = () => text;
  await once(socket, 'connect');
  return socket;
}

/** Milliseconds after which a test gives a wait up: not what anything should take, but what it may
 *  where the machine does other work, too. */
export const patience = 240_000;

export async function waitFor(what, condition) {
  const start = Date.now();
  do {
    const value = await condition();
    if (value) return value;
    await sleep(50);
  } while (Date.now() - start < patience);
  throw new Error(`waited ${patience / 1000} s in vain: ${what}`);
}

export async function metric(server, name) {
  const {text} = await request(server, '/metrics');
  const found = text.split('\n').find((line) => line.startsWith(`${name} `));
  return Number(found.slice(name.length + 1));
}

/** What must not grow. */
export function footprint(server) {
  const proc = `/proc/${server.child.pid}`;
  const status = readFileSync(`${proc}/status`, 'utf8');
  const field = (name) => Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(status)[1]);
  return {rss: field('VmRSS') * 1024, threads: field('Threads'),
          descriptors: readdirSync(`${proc}/fd`).length};
}

/** Waits until the server is back to what `before` says; memory may be `slack` bytes more. */
export async function assertFlat(server, before, slack) {
  let after;
  try {
    await waitFor('threads and descriptors as before', () => {
      after = footprint(server);
      return after.descriptors <= before.descriptors && after.threads <= before.threads;
    });
  } catch {
    throw new Error(`grown from ${JSON.stringify(before)} to ${JSON.stringify(after)}`);
  }
  if (after.rss > before.rss + slack)
    throw new Error(`memory grew from ${before.rss} to ${after.rss} bytes`);
  return after;
}
