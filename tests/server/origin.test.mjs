// Which web pages may post. A browser says in Origin whose page it is; nobody else has to.
import assert from 'node:assert/strict';
import {networkInterfaces} from 'node:os';
import {after, before, describe, test} from 'node:test';

import {testPng} from './lib/png.mjs';
import {fakeEngine, request, runProgram, startServer, upscale} from './lib/server.mjs';

const fields = {prompt: 'x', image: testPng(4, 4), num_inference_steps: '1'};
let server;

before(async () => (server = await startServer({env: fakeEngine({}), args: [
  '--host', '0.0.0.0', '--allow-origin', 'https://gallery.example', '--allow-origin', 'http://other.example:81']})));
after(async () => assert.equal(await server.stop(), 0));

const local = () => ({...server, url: `http://127.0.0.1:${server.port}`});
const post = (headers, where = local()) => upscale(where, fields, {headers});
const preflight = (origin, path = '/upscale', more = {}) => request(local(), path, {
  method: 'OPTIONS', headers: {Origin: origin, 'Access-Control-Request-Method': 'POST', ...more}});
const allowed = ({headers}) => headers['access-control-allow-origin'];

const good = ['http://localhost:3000', 'https://LOCALHOST', 'http://app.localhost:8080', 'http://127.0.0.1:8000', 'http://127.9.9.9',
              'http://[::1]:99', 'https://gallery.example', 'HTTPS://Gallery.Example', 'http://other.example:81'];
const bad = ['http://evil.example', 'http://evil.example:8000', 'null', 'http://localhost.evil.example', 'http://evillocalhost',
             'http://gallery.example', 'https://gallery.example:444', 'https://sub.gallery.example', 'http://other.example',
             'http://127.0.0.1.evil.example', 'http://10.11.12.13', 'file://', 'localhost', '', 'http://'];

describe('pages that may', () => {
  for (const origin of good) {
    test(origin, async () => {
      const answer = await post({Origin: origin});
      assert.equal(answer.status, 200, answer.text);
      assert.equal(allowed(answer), origin);
      const before = await preflight(origin, '/upscale', {'Access-Control-Request-Headers': 'authorization,content-type'});
      assert.deepEqual([before.status, allowed(before), before.headers['access-control-allow-methods'], before.headers['access-control-allow-headers']],
                       [200, origin, 'POST', 'authorization,content-type']);
    });
  }
  const own = Object.values(networkInterfaces()).flat().find(({family, internal}) => family === 'IPv4' && !internal)?.address;
  test('one of the address that is listened on', {skip: !own && 'this machine has no other address'}, async () => {
    const there = {...server, url: `http://${own}:${server.port}`};
    assert.equal((await post({Origin: `http://${own}:1234`}, there)).status, 200);
    assert.equal((await post({Origin: `http://${own}:1234`})).status, 400, 'by another way');
  });
});

describe('pages that may not', () => {
  for (const origin of bad) {
    test(origin || 'an empty origin', async () => {
      for (const answer of [await post({Origin: origin}), await preflight(origin)]) {
        assert.equal(answer.status, 400);
        assert.match(answer.headers['content-type'], /^application\/json/);
        assert.match(answer.json.detail.msg, /--allow-origin/);
        assert.equal(allowed(answer), undefined);
      }
    });
  }
});

describe('--allow-origin', () => {
  const meant = {'https://Gallery.Example/': 'https://gallery.example', 'HTTPS://gallery.example:443': 'https://gallery.example',
                 'http://gallery.example:80/': 'http://gallery.example'};
  test('what is obviously meant', async () => {
    const server = await startServer({env: fakeEngine({}), args: Object.keys(meant).flatMap((origin) => ['--allow-origin', origin])});
    for (const origin of Object.values(meant)) assert.equal((await post({Origin: origin}, server)).status, 200, origin);
    assert.equal(await server.stop(), 0);
  });
  for (const origin of ['gallery.example', 'https://gallery.example/path', 'https://gallery.example?x', 'https://gallery.example#x',
                        'https://user@gallery.example', 'https://*.example', 'https://', 'gallery.example:8080', '', 'https://a b']) {
    test(`${origin || 'nothing'} is refused`, async () => {
      const {code, output} = await runProgram(['--no-safety-checker', '--port', '0', '--allow-origin', origin]);
      assert.equal(code, 1);
      assert.match(output, /^livepeer-upscale-server: --allow-origin .*https:\/\/HOST/m);
    });
  }
});

test('Host is no reason', async () => {
  for (const Host of ['evil.example', 'evil.example:8000', '10.0.0.5']) assert.equal((await post({Host})).status, 200);
});

test('errors can be read by pages that may', async () => {
  const answer = await request(local(), '/upscale', {method: 'POST', headers: {Origin: 'http://localhost:3000'}});
  assert.deepEqual([answer.status, allowed(answer)], [422, 'http://localhost:3000']);
});

test('what is no preflight has no other answer than before', async () => {
  const answer = await request(local(), '/upscale', {method: 'OPTIONS', headers: {Origin: 'http://localhost'}});
  assert.deepEqual([answer.status, answer.headers.allow], [405, 'POST']);
});

test('a star lets all pages, a token is still asked for, and before the origin', async () => {
  const open = await startServer({args: ['--allow-origin', '*'], env: fakeEngine({AUTH_TOKEN: 'Sesame'})});
  const [Origin, Authorization] = ['http://evil.example', 'Bearer Sesame'];
  const answer = await post({Origin, Authorization}, open);
  assert.deepEqual([answer.status, allowed(answer)], [200, Origin]);
  const without = await post({Origin}, open);
  assert.deepEqual([without.status, allowed(without)], [401, Origin]);
  assert.equal(await open.stop(), 0);
});
