// What go-livepeer's documentation says of an orchestrator's route to a live runner, as a reverse proxy.
import {randomUUID} from 'node:crypto';
import {once} from 'node:events';
import http from 'node:http';

/** Runs `config` (the contents of runners.json). `seen` counts what it said by itself. */
export async function startOrchestrator(config, {interval = 5000, timeout = 3000} = {}) {
  const agent = new http.Agent({keepAlive: true});
  const runners = new Map(config.runners.map((runner) => [runner.label, {...runner, used: 0, healthy: false}]));
  const seen = {full: 0, unhealthy: 0, broken: 0, healthChanges: 0};
  const secrets = [];

  function check(runner) {
    const asked = http.get(runner.runner_url + runner.health_url, {agent: false, timeout}, (answer) => {
      answer.resume();
      note(runner, answer.statusCode === runner.healthy_status_code);
    });
    asked.on('timeout', () => asked.destroy(new Error('timeout')));
    asked.on('error', () => note(runner, false));
  }
  function note(runner, healthy) {
    if (runner.healthy !== healthy) seen.healthChanges++;
    runner.healthy = healthy;
  }
  const checkAll = () => runners.forEach(check);
  const timer = setInterval(checkAll, interval);
  checkAll();

  const say = (response, status, body) => {
    response.writeHead(status, {'Content-Type': 'application/json'});
    response.end(JSON.stringify(body));
  };

  function discover(response) {
    say(response, 200, [{address: '0x0', runners: [...runners.values()].filter(({healthy}) => healthy).map((runner) => ({
      url: `${orchestrator.url}/apps/${runner.label}/app`, app: runner.app, version: runner.version, metadata: runner.metadata,
      mode: runner.mode, capacity: runner.capacity, capacity_used: runner.used, capacity_available: runner.capacity - runner.used}))}]);
  }

  function forward(runner, path, request, response) {
    const secret = randomUUID();
    secrets.push(secret);
    runner.used++;
    response.on('close', () => {
      runner.used--;
      if (!response.writableFinished) outgoing.destroy();  // the client broke off
    });
    const outgoing = http.request(runner.runner_url + path, {agent, method: request.method, headers: {
      ...request.headers, 'Livepeer-Runner-Route': runner.label, 'Livepeer-Session-Id': randomUUID(),
      'Livepeer-Session-Token': secret, 'Livepeer-Session-Control': `${orchestrator.url}/sessions`}});
    outgoing.on('response', (incoming) => {
      response.writeHead(incoming.statusCode, incoming.headers);
      response.flushHeaders();
      incoming.on('error', () => {
        seen.broken++;
        response.destroy();
      });
      incoming.pipe(response);
    });
    outgoing.on('error', () => {
      if (response.headersSent || response.destroyed) return response.destroy();
      seen.broken++;
      say(response, 502, {error: 'the runner broke off'});
    });
    request.pipe(outgoing);
  }

  const server = http.createServer((request, response) => {
    if (request.url === '/discovery') return discover(response);
    const [, label, path] = /^\/apps\/([^/?]+)\/app(\/[^]*)?$/.exec(request.url) ?? [];
    const runner = runners.get(label);
    if (!runner) return say(response, 404, {error: 'no such runner'});
    if (!runner.healthy) return seen.unhealthy++, say(response, 503, {error: 'the runner is not healthy'});
    if (runner.used >= runner.capacity) return seen.full++, say(response, 503, {error: 'no capacity'});
    forward(runner, path ?? '/', request, response);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');

  const orchestrator = {
    url: `http://127.0.0.1:${server.address().port}`, seen, secrets, runners,
    discovery: async () => (await (await fetch(`${orchestrator.url}/discovery`)).json())[0].runners,
    stop() {
      clearInterval(timer);
      agent.destroy();
      server.closeAllConnections();
      server.close();
    }};
  return orchestrator;
}
