'use strict';
// Sends the form to /upscale and shows progress and result, which come as server-sent events.

const at = (id) => document.getElementById(id);
let running = null;  // the AbortController of the request under way
let shown = [];      // object URLs to let go of
let previewed = '';  // likewise

function say(text, isError = false) {
  at('status').textContent = text;
  at('status').classList.toggle('error', isError);
  if (!isError) return;
  at('status').focus({preventScroll: true});
  at('status').scrollIntoView({block: 'nearest'});
}

/** 75 s: "about 1 min 15 s left". */
function left(seconds) {
  const whole = Math.max(1, Math.round(seconds));
  return `about ${whole < 60 ? '' : `${Math.floor(whole / 60)} min `}${whole % 60} s left`;
}

/** Tells how far the picture is. Time left is known once some of it is done. */
function tell(progress, began) {
  at('progress').value = progress;
  const passed = (performance.now() - began) / 1000;
  say(progress > 0 && progress < 1 ? `Working: ${Math.round(100 * progress)} %, ${left(passed / progress * (1 - progress))}` : 'Working ...');
}

function busy(controller) {
  running = controller;
  at('go').disabled = controller !== null;
  at('stop').hidden = at('progress').hidden = controller === null;
  at('progress').removeAttribute('value');
}

function message(body) {
  const detail = body.detail;
  if (!detail) return 'The server gave an answer that this page does not understand.';
  if (!Array.isArray(detail)) return detail.msg || String(detail);
  return detail.map((item) => `${item.loc[item.loc.length - 1]}: ${item.msg}`).join('; ');
}

async function* events(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = '';
  for (;;) {
    const {done, value} = await reader.read();
    if (done) return;
    text += value;
    if (!value.includes('\n')) continue;  // in the middle of a picture, which may be long
    const blocks = text.split('\n\n');
    text = blocks.pop();
    for (const block of blocks) {
      if (block.startsWith(':')) continue;  // a comment, so that the connection is not silent
      const [, name, data] = block.match(/^event: (.*)\ndata: (.*)$/);
      yield {name, data: JSON.parse(data)};
    }
  }
}

async function show(file, image) {
  shown.forEach(URL.revokeObjectURL);
  const picture = await (await fetch(image.url)).blob();
  const after = URL.createObjectURL(picture);
  const before = URL.createObjectURL(file);
  shown = [after, before];
  at('after').src = at('download').href = after;
  at('before').src = before;
  await at('after').decode();
  const {naturalWidth, naturalHeight} = at('after');
  at('result').hidden = false;
  say(`${naturalWidth} x ${naturalHeight}, seed ${image.seed}` +
      (image.nsfw ? '. The safety check flagged this picture.' : ''));
}

async function upscale(file) {
  const form = new FormData();
  const preset = at('preset').value;
  form.append('image', file);
  form.append('prompt', at('prompt').value);
  form.append('num_inference_steps', preset === 'custom' ? at('steps').value : preset);
  if (at('seed').value) form.append('seed', at('seed').value);
  const headers = {Accept: 'text/event-stream'};
  if (at('token').value) headers.Authorization = `Bearer ${at('token').value}`;
  const response =
      await fetch('upscale', {method: 'POST', body: form, headers, signal: running.signal});
  if (response.status === 401) at('token-label').hidden = false;
  if (!response.ok) throw new Error(message(await response.json()));
  let began = performance.now();
  for await (const {name, data} of events(response)) {
    if (name === 'queue') {
      say(`Waiting, number ${data.place} in the queue ...`);
      began = performance.now();
    }
    if (name === 'progress' && data.fraction > 0) tell(data.fraction, began);
    if (name === 'error') throw new Error(message(data));
    if (name === 'result') return show(file, data.images[0]);
  }
  throw new Error('The connection broke off.');
}

function choose() {
  const file = at('file').files[0];
  URL.revokeObjectURL(previewed);
  at('preview').hidden = true;
  at('chosen').textContent = file ? file.name : 'Drop a picture here, or choose one';
  say('');
  if (file) at('preview').src = previewed = URL.createObjectURL(file);
}

at('form').addEventListener('submit', async (event) => {
  event.preventDefault();
  busy(new AbortController());
  say('Working ...');
  try {
    await upscale(await upright(at('file').files[0]));
  } catch (error) {
    say(error.name === 'AbortError' ? 'Cancelled.' : error.message, error.name !== 'AbortError');
  } finally {
    busy(null);
  }
});
at('stop').addEventListener('click', () => running && running.abort());
at('file').addEventListener('change', choose);
at('preview').addEventListener('load', ({target}) => {  // not for a format that the browser cannot show
  target.hidden = false;
  at('chosen').textContent = `${at('file').files[0].name}, ${target.naturalWidth} x ${target.naturalHeight}`;
});
at('preset').addEventListener('change', () => (at('steps-label').hidden = at('preset').value !== 'custom'));
at('split').addEventListener('input', () =>
    at('compare').style.setProperty('--split', `${at('split').value}%`));
for (const name of ['dragover', 'dragleave', 'drop']) {
  at('drop').addEventListener(name, (event) => {
    event.preventDefault();
    at('drop').classList.toggle('over', name === 'dragover');
    if (name !== 'drop' || !event.dataTransfer.files.length) return;
    at('file').files = event.dataTransfer.files;
    choose();
  });
}
