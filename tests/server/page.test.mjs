// The web page at / in a real browser.
import assert from 'node:assert/strict';
import {existsSync, mkdtempSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {fileURLToPath} from 'node:url';
import {after, before, describe, test} from 'node:test';

import {startOrchestrator} from './lib/orchestrator.mjs';
import {install} from './lib/packages.mjs';
import {testPng} from './lib/png.mjs';
import {metric, patience, startServer, waitFor} from './lib/server.mjs';

const browserPath = process.env.CHROMIUM ?? '/usr/bin/chromium';
const load = existsSync(browserPath) ? install('page', {'puppeteer-core': '24.8.2'}) : undefined;
const skip = load ? false : 'Chromium or the npm registry is missing';
const folder = mkdtempSync(path.join(tmpdir(), 'upscale-page-'));
const file = (name, data) => (writeFileSync(path.join(folder, name), data), path.join(folder, name));

describe('the page', {skip}, () => {
  let server, guarded, browser, page, requested, problems;

  before(async () => {
    server = await startServer();
    guarded = await startServer({env: {AUTH_TOKEN: 'Sesame'}});
    const {default: puppeteer} = await load('puppeteer-core');
    browser = await puppeteer.launch({executablePath: browserPath, args: ['--no-sandbox', '--disable-gpu'],
                                      timeout: patience, protocolTimeout: patience});
  });
  after(async () => {
    await browser?.close();
    assert.equal(await server.stop(), 0);
    assert.equal(await guarded.stop(), 0);
  });

  async function open(url) {
    page = await browser.newPage();
    page.setDefaultTimeout(patience);
    requested = [];
    problems = [];
    page.on('request', (request) => requested.push(request.url()));
    page.on('pageerror', (error) => problems.push(error.message));
    page.on('console', (message) => message.type() === 'error' && problems.push(message.text()));
    await page.goto(url);
  }

  const status = () => page.$eval('#status', (element) => element.textContent);
  const fill = async (picture, fields) => {
    await (await page.$('#file')).uploadFile(picture);
    if (fields.steps) await page.select('#preset', 'custom');
    for (const [id, value] of Object.entries(fields)) await page.$eval(`#${id}`, (input, text) => (input.value = text), value);
  };

  test('a picture goes in and comes out four times as large', async () => {
    await open(server.url);
    await fill(file('in.png', testPng(20, 10)), {prompt: 'a cat', steps: '3', seed: '77'});
    await page.click('#go');
    await page.waitForFunction(() => !document.getElementById('result').hidden);
    assert.equal(await status(), '80 x 40, seed 77');
    const sizes = await page.$$eval('#compare img', (images) => images.map((image) => [image.id, image.naturalWidth, image.naturalHeight]));
    assert.deepEqual(sizes, [['after', 80, 40], ['before', 20, 10]]);
    assert.equal(await page.$eval('#go', (button) => button.disabled), false);
    const [name, isResult] = await page.$eval('#download', (link) => [link.download, link.href === document.getElementById('after').src]);
    assert.deepEqual([name, isResult], ['upscaled.png', true]);
    const foreign = requested.filter((url) => !url.startsWith(server.url) && !/^(blob|data):/.test(url));
    assert.deepEqual(foreign, []);
    assert.deepEqual(problems, []);
  });

  test('the slider moves the border between before and after', async () => {
    const clip = () => page.$eval('#before', (image) => getComputedStyle(image).clipPath);
    const at = async (value) => {
      await page.$eval('#split', (input, text) => {
        input.value = text;
        input.dispatchEvent(new Event('input'));
      }, value);
      return clip();
    };
    assert.notEqual(await at('10'), await at('90'));
  });

  test('the keyboard is enough', async () => {
    await open(server.url);
    const reached = [];
    for (let i = 0; i < 5; i++) {
      await page.keyboard.press('Tab');
      reached.push(await page.evaluate(() => document.activeElement.id));
    }
    assert.deepEqual(reached, ['file', 'prompt', 'preset', 'seed', 'go']);
    await fill(file('keys.png', testPng(12, 8)), {steps: '1'});
    await page.focus('#prompt');
    await page.keyboard.type('a cat\n');
    await page.waitForFunction(() => !document.getElementById('result').hidden);
    const clip = () => page.$eval('#before', (image) => getComputedStyle(image).clipPath);
    const before = await clip();
    await page.focus('#split');
    await page.keyboard.press('ArrowRight');
    assert.notEqual(await clip(), before);
  });

  test('cancel gives the picture up', async () => {
    await fill(file('slow.png', testPng(48, 48)), {steps: '1000'});
    await page.click('#go');
    await page.waitForFunction(() => document.getElementById('progress').value > 0);
    await page.click('#stop');
    await page.waitForFunction(() => document.getElementById('status').textContent === 'Cancelled.');
    await waitFor('the server to stop, too', async () => (await metric(server, 'upscale_running')) === 0);
  });

  test('an error is told', async () => {
    await fill(file('text.png', 'not a picture'), {steps: '1'});
    await page.click('#go');
    await page.waitForFunction(() => document.getElementById('status').classList.contains('error'));
    assert.match(await status(), /cannot be decoded/);
    assert.equal(await page.evaluate(() => document.activeElement.id), 'status');
    const [bottom, height] = await page.evaluate(() => [document.getElementById('status').getBoundingClientRect().bottom, innerHeight]);
    assert.ok(bottom > 0 && bottom <= height, 'the error is out of sight');
  });

  test('a photo that is stored sideways: before, after and preview are upright', async () => {
    await open(server.url);
    const rotated = fileURLToPath(new URL('pictures/rotated.jpg', import.meta.url));
    await fill(rotated, {});
    await page.waitForFunction(() => !document.getElementById('preview').hidden);
    assert.match(await page.$eval('#chosen', (text) => text.textContent), /^rotated.jpg, 8 x 12$/);
    await page.click('#go');
    await page.waitForFunction(() => !document.getElementById('result').hidden);
    const sizes = await page.$$eval('#compare img', (images) => images.map((image) => [image.naturalWidth, image.naturalHeight]));
    assert.deepEqual(sizes, [[32, 48], [8, 12]]);
    assert.deepEqual(problems, []);
  });

  test('only what the server takes is offered, so that phones convert', async () => {
    const accept = await page.$eval('#file', (input) => input.accept);
    assert.deepEqual(accept.split(','), ['png', 'jpeg', 'gif', 'webp', 'bmp', 'tiff'].map((name) => `image/${name}`));
  });

  test('progress, and the time left', async () => {
    await fill(file('slow.png', testPng(48, 48)), {steps: '200'});
    await page.click('#go');
    await page.waitForFunction(() => /^Working: \d+ %, about (\d+ min )?\d+ s left$/.test(document.getElementById('status').textContent));
    await page.click('#stop');
    await page.waitForFunction(() => document.getElementById('status').textContent === 'Cancelled.');
  });

  test('a phone, and the dark: nothing sticks out', async () => {
    await page.emulateMediaFeatures([{name: 'prefers-color-scheme', value: 'dark'}]);
    await page.setViewport({width: 360, height: 740, isMobile: true, hasTouch: true});
    const [wide, dark] = await page.evaluate(() => [document.documentElement.scrollWidth, matchMedia('(prefers-color-scheme: dark)').matches]);
    assert.ok(wide <= 360, `${wide} pixels`);
    assert.equal(dark, true);
    if (process.env.SCREENSHOTS) await page.screenshot({path: path.join(process.env.SCREENSHOTS, 'phone-dark.png'), fullPage: true});
  });

  test('behind a path, without its last slash', async () => {
    const orchestrator = await startOrchestrator({runners: [
      {label: 'upscale', runner_url: server.url, health_url: '/health', healthy_status_code: 200, capacity: 9}]});
    await waitFor('a healthy runner', async () => (await fetch(`${orchestrator.url}/apps/upscale/app/health`)).ok);
    await open(`${orchestrator.url}/apps/upscale/app`);
    await page.waitForFunction(() => location.pathname === '/apps/upscale/app/' && document.styleSheets.length === 1);
    await fill(file('in.png', testPng(20, 10)), {steps: '1'});
    await page.click('#go');
    await page.waitForFunction(() => !document.getElementById('result').hidden);
    orchestrator.stop();
  });

  test('a server with a token asks for it', async () => {
    await open(guarded.url);
    await fill(file('in.png', testPng(20, 10)), {steps: '1'});
    await page.click('#go');
    await page.waitForFunction(() => !document.getElementById('token-label').hidden);
    await page.type('#token', 'Sesame');
    await page.click('#go');
    await page.waitForFunction(() => !document.getElementById('result').hidden);
  });
});
