/*
 * fake-server.mjs: a small stand-in for the web server and freshet, for what a real one will not do on demand: refuse, fall
 * silent, break off in the middle of a frame. It speaks the same contract as far as clients can see it, and serves web/.
 *
 *   const server = await startFakeServer({ retryMs, heartbeatMs, pageRows });
 *   server.url                    http://127.0.0.1:<ephemeral>
 *   server.publish([{ topic, type, data }])    appends; data is text. Returns the ids
 *   server.prune(throughSeq)      forgets rows, so that older positions get a reset
 *   server.renew()                a new epoch and an empty table
 *   server.answerNext(fn)         fn(request, response, proceed) answers the next /events request instead
 *   server.drop(), server.end()   every stream: broken off, or ended well
 *   server.requests               the /events requests: { url, query, headers, at }
 *   server.streams                how many are open
 *   await server.stop()
 *
 * Loopback and memory only. The page is sent with a strict Content-Security-Policy, so that the tests notice what it would forbid.
 */
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { extname, normalize } from 'node:path';
import { scaled } from '../e2e/kit/wait.mjs';

const WEB = new URL('../../web/', import.meta.url);
const CONTENT_TYPES = { '.html': 'text/html; charset=utf-8', '.js': 'text/javascript; charset=utf-8', '.css': 'text/css; charset=utf-8', '.svg': 'image/svg+xml' };
const POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

const matches = (topics, topic) => topics.length === 0 || topics.some((wanted) => (wanted.endsWith('*') ? topic.startsWith(wanted.slice(0, -1)) : topic === wanted));

export const problem = (response, status, title, detail, headers = {}) => {
  response.writeHead(status, { 'Content-Type': 'application/problem+json', ...headers });
  response.end(JSON.stringify({ type: 'about:blank', title, status, detail }));
};

export const startFakeServer = async ({ retryMs = 20, heartbeatMs = 15_000, pageRows = 100 } = {}) => {
  let epoch = 'k3f9';
  let seq = 0;
  let rows = [];
  let oldest = 1;
  const streams = new Set();
  const answers = [];
  const requests = [];

  const enveloped = ({ id, topic, type, created, data }) => JSON.stringify({ id, topic, type, created, data });
  const inDialect = (row, envelope) => frame(envelope ? { ...row, data: enveloped(row) } : row);
  const frame = ({ id, type, data }) => `id: ${id}\n${type ? `event: ${type}\n` : ''}${data.split(/\r\n|\r|\n/).map((line) => `data: ${line}\n`).join('')}\n`;
  const signal = (name, detail) => `${name === 'live' ? `id: ${detail.id}\n` : ''}event: freshet:${name}\ndata: ${JSON.stringify(detail)}\n\n`;
  const newest = () => `${seq}-${epoch}`;

  /* Where a request starts: { after: seq, reset } */
  const positionOf = (request, query) => {
    const requested = request.headers['last-event-id'] ?? query.get('last_event_id');
    const all = () => oldest - 1;
    const refuse = (reason) => ({ after: all(), reset: { reason, requested, oldest: `${oldest}-${epoch}`, newest: newest() } });
    if (requested !== null && requested !== undefined) {
      const [, number, itsEpoch] = /^(\d+)(?:-([0-9a-z]+))?$/.exec(requested) ?? [];
      if (number === undefined) return refuse('invalid');
      if (itsEpoch !== undefined && itsEpoch !== epoch) return refuse('epoch');
      if (Number(number) > seq) return refuse('future');
      if (Number(number) < oldest - 1) return refuse('pruned');
      return { after: Number(number), reset: null };
    }
    if (query.has('last')) {
      const matching = rows.filter(({ topic }) => matches(query.getAll('topic'), topic));
      return { after: (matching.at(-Number(query.get('last')))?.seq ?? oldest) - 1, reset: null };
    }
    return { after: query.get('since') === 'earliest' ? all() : seq, reset: null };
  };

  const stream = (request, response, query) => {
    const topics = query.getAll('topic');
    const envelope = query.get('envelope') === '1';
    const { after, reset } = positionOf(request, query);
    response.writeHead(200, { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-cache, no-transform' });
    response.write(`: freshet\nretry: ${retryMs}\n`);
    if (reset) response.write(signal('reset', reset));
    const wanted = rows.filter((row) => row.seq > after && matches(topics, row.topic));
    for (let at = 0; at < wanted.length; at += pageRows) response.write(wanted.slice(at, at + pageRows).map((row) => inDialect(row, envelope)).join(''));
    response.write(signal('live', { id: newest() }));
    const one = { topics, envelope, response, beat: setInterval(() => response.write(':\n'), heartbeatMs) };
    streams.add(one);
    response.on('close', () => {
      clearInterval(one.beat);
      streams.delete(one);
    });
  };

  const file = async (path, response) => {
    const name = normalize(path === '/' ? '/index.html' : path).slice(1);
    try {
      const body = await readFile(new URL(name, WEB));
      response.writeHead(200, { 'Content-Type': CONTENT_TYPES[extname(name)] ?? 'application/octet-stream', 'Content-Security-Policy': POLICY, 'Cache-Control': 'no-cache' });
      response.end(body);
    } catch {
      response.writeHead(404).end();
    }
  };

  const http = createServer((request, response) => {
    const { pathname, searchParams: query } = new URL(request.url, 'http://localhost');
    if (pathname !== '/events') {
      file(pathname, response);
      return;
    }
    requests.push({ url: request.url, query, headers: request.headers, at: Date.now() });
    const proceed = () => stream(request, response, query);
    const answer = answers.shift();
    if (answer) answer(request, response, proceed);
    else proceed();
  });
  await new Promise((resolve) => { http.listen(0, '127.0.0.1', resolve); });

  const server = {
    url: `http://127.0.0.1:${http.address().port}`,
    requests,
    get streams() { return streams.size; },
    publish(events) {
      const added = events.map(({ topic = 'test', type = null, data }) => {
        seq += 1;
        return { seq, id: newest(), topic, type, created: Date.now(), data };
      });
      rows.push(...added);
      for (const { topics, envelope, response } of streams) {
        const text = added.filter(({ topic }) => matches(topics, topic)).map((row) => inDialect(row, envelope)).join('');
        if (text) response.write(text);
      }
      return added.map(({ id }) => id);
    },
    prune(through) {
      rows = rows.filter((row) => row.seq > through);
      oldest = through + 1;
    },
    renew() {
      epoch = Math.random().toString(36).slice(2, 6).padEnd(4, '0');
      seq = 0;
      rows = [];
      oldest = 1;
    },
    answerNext: (answer) => answers.push(answer),
    drop: () => streams.forEach(({ response }) => response.destroy()),
    end: () => streams.forEach(({ response }) => response.end()),
    stop: () => new Promise((resolve) => {
      http.close(resolve);
      http.closeAllConnections();
    }),
  };
  return server;
};

/* Waits until check() gives something true and returns it; fails with what was waited for when the deadline passes. */
export const until = async (check, what, deadlineMs = 5000) => {
  const began = performance.now();
  for (;;) {
    const result = await check();
    if (result) return result;
    const waited = performance.now() - began;
    if (waited > scaled(deadlineMs)) throw new Error(`not within ${Math.round(waited)} ms: ${what}`);
    await new Promise((resolve) => { setTimeout(resolve, 5); });
  }
};
