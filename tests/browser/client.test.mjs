/*
 * web/freshet.js as an application meets it, on both transports: fetch ('*') and an EventSource (the eventsource package, which
 * follows the standard; the browser's own one is tried in page.test.mjs). The server is the fake one, which fails on demand.
 */
import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { after, afterEach, beforeEach, describe, test } from 'node:test';
import { EventSource } from 'eventsource';
import { Freshet, liveId, reconnectDelay } from '../../web/freshet.js';
import { problem, startFakeServer, until } from './fake-server.mjs';

let server;
let opened = [];

beforeEach(async () => { server = await startFakeServer(); });
afterEach(async () => {
  opened.forEach((stream) => stream.close());
  opened = [];
  await server.stop();
});

/* A stream with everything it says written down. */
const follow = (query, options = {}) => {
  const stream = new Freshet(`${server.url}/events${query}`, { minDelay: 10, maxDelay: 80, EventSource, ...options });
  const seen = { events: [], states: [], resets: [], lives: [] };
  stream.onevent = (event) => seen.events.push(event);
  stream.addEventListener('freshet:state', ({ detail }) => seen.states.push(detail));
  stream.addEventListener('freshet:reset', ({ detail }) => seen.resets.push(detail));
  stream.addEventListener('freshet:live', ({ detail }) => seen.lives.push(detail));
  opened.push(stream);
  return { stream, ...seen, data: () => seen.events.map(({ data }) => data) };
};

const publish = (...data) => server.publish(data.map((text) => ({ data: text })));
const lives = (client, n) => until(() => client.lives.length >= n, `live ${n} times`);
const waits = (client) => client.states.filter(({ state }) => state === 'waiting');
const cursor = (n) => server.requests.at(n).query.get('last_event_id');

for (const [transport, options] of [['fetch', { types: '*' }], ['EventSource', { types: ['edit', 'new', 'error'] }]]) {
  describe(`by ${transport}`, () => {
    test('history, then live, each event once, in order', async () => {
      publish('1', '2', '3');
      const client = follow('?last=2', options);
      await lives(client, 1);
      publish('4');
      await until(() => client.events.length === 3, 'three events');
      assert.deepEqual(client.data(), ['2', '3', '4']);
      assert.deepEqual(client.events.map(({ replayed }) => replayed), [true, true, false]);
      assert.deepEqual(client.events[2], { id: '4-k3f9', seq: 4, type: 'message', data: '4', replayed: false });
      assert.deepEqual(client.states.map(({ state }) => state), ['open', 'live']);
      assert.deepEqual(client.lives, [{ id: '3-k3f9', from: '', events: 2, reset: null, reconnects: 0 }]);
    });

    test('after a refusal a new connection asks from the last id, and says what it caught up', async () => {
      const client = follow('?last=500&since=now&topic=test', options);
      await lives(client, 1);
      publish('a', 'b');
      await until(() => client.events.length === 2, 'two events');
      server.answerNext((request, response) => problem(response, 503, 'Busy', 'try later'));
      server.drop();
      publish('c', 'd', 'e');
      await lives(client, 2);
      assert.deepEqual(client.data(), ['a', 'b', 'c', 'd', 'e']);
      const { query } = server.requests.at(-1);
      assert.equal(query.get('last_event_id'), '2-k3f9');
      assert.deepEqual([query.has('last'), query.has('since'), query.get('topic')], [false, false, 'test']);
      assert.deepEqual(client.lives[1], { id: '5-k3f9', from: '2-k3f9', events: 3, reset: null, reconnects: 1 });
    });

    test('a stream that never had an event resumes from the id of freshet:live', async () => {
      publish('old');
      const client = follow('?since=now', options);
      await lives(client, 1);
      assert.equal(client.stream.lastId, '1-k3f9');
      server.answerNext((request, response, proceed) => {
        publish('while away');
        proceed();
      });
      server.drop();
      await lives(client, 2);
      const { query, headers } = server.requests.at(-1);
      assert.equal(headers['last-event-id'] ?? query.get('last_event_id'), '1-k3f9');
      assert.deepEqual(client.data(), ['while away']);
    });

    test('with the envelope each event has its topic and its time, and a resume goes on with it', async () => {
      server.publish([{ topic: 'test', data: '{"a":1}' }]);
      const client = follow('?since=earliest', { ...options, envelope: true });
      await lives(client, 1);
      server.drop();
      await lives(client, 2);
      server.publish([{ topic: 'test', data: 'plain' }]);
      await until(() => client.events.length === 2, 'both');
      assert.deepEqual(client.events.map(({ topic, data }) => [topic, data]), [['test', '{"a":1}'], ['test', 'plain']]);
      assert.ok(client.events.every(({ created }) => Math.abs(created - Date.now()) < 60_000));
    });

    test('a reset is reported, and the stream goes on from what is left', async () => {
      const client = follow('', options);
      await lives(client, 1);
      publish('1');
      await until(() => client.events.length === 1, 'an event');
      server.answerNext((request, response) => response.writeHead(502).end());
      server.drop();
      await until(() => server.streams === 0, 'the stream is gone');
      publish('2', '3', '4');
      server.prune(3);
      await lives(client, 2);
      const reset = { reason: 'pruned', requested: '1-k3f9', oldest: '4-k3f9', newest: '4-k3f9' };
      assert.deepEqual(client.resets, [reset]);
      assert.deepEqual(client.lives[1].reset, reset);
      assert.deepEqual(client.data(), ['1', '4']);
    });

    test('a new epoch: the old position is given up for the one that freshet:live brings', async () => {
      const client = follow('', options);
      await lives(client, 1);
      publish('1', '2', '3');
      await until(() => client.events.length === 3, 'three events');
      server.answerNext((request, response) => response.writeHead(502).end());
      server.renew();
      server.drop();
      await lives(client, 2);
      assert.equal(client.resets[0].reason, 'epoch');
      assert.match(client.stream.lastId, /^0-(?!k3f9)/);
    });

    test('a position ahead of the table is given up as well, in the same epoch', async () => {
      publish('1', '2');
      const client = follow('', { ...options, lastId: '900-k3f9' });
      await lives(client, 1);
      assert.equal(client.resets[0].reason, 'future');
      assert.deepEqual(client.data(), ['1', '2']);
      server.prune(2);
      server.answerNext((request, response) => response.writeHead(502).end());
      server.drop();
      await lives(client, 2);
      assert.equal(client.stream.lastId, '2-k3f9');
    });

    test('a position ahead of an empty table gives way to that of freshet:live', async () => {
      const client = follow('', { ...options, lastId: '900-k3f9' });
      await lives(client, 1);
      assert.equal(client.stream.lastId, '0-k3f9');
    });

    test('a row of type "error" or "open" is an event, not a failure', async () => {
      const client = follow('', options);
      const errors = [];
      client.stream.addEventListener('error', ({ data }) => errors.push(data));
      client.stream.addEventListener('open', ({ data }) => errors.push(data));
      await lives(client, 1);
      server.publish([{ type: 'error', data: 'x' }, { type: 'open', data: 'y' }]);
      await until(() => errors.length === 2, 'both');
      assert.deepEqual(errors, ['x', 'y']);
      assert.equal(client.stream.state, 'live');
      assert.equal(server.requests.length, 1);
    });

    test('cut and resume: nothing missing, nothing twice', async () => {
      const client = follow('', options);
      await lives(client, 1);
      publish('1');
      await until(() => client.events.length === 1, 'an event');
      client.stream.reconnect(30, 'cut');
      assert.deepEqual([client.stream.state, waits(client)[0].reason, waits(client)[0].delay], ['waiting', 'cut', 30]);
      await until(() => server.streams === 0, 'the server sees it go');
      publish('2', '3');
      await lives(client, 2);
      assert.deepEqual(client.data(), ['1', '2', '3']);
      assert.deepEqual([client.lives[1].from, client.lives[1].events], ['1-k3f9', 2]);
    });

    test('a listener that throws neither ends the stream nor repeats the event', async (t) => {
      const client = follow('', options);
      await lives(client, 1);
      const thrown = [];
      globalThis.reportError = (error) => thrown.push(error.message);
      t.after(() => { delete globalThis.reportError; });
      const { onevent } = client.stream;
      client.stream.onevent = (event) => {
        onevent(event);
        throw new Error(`over ${event.data}`);
      };
      publish('1', '2');
      await until(() => client.events.length === 2, 'both events');
      assert.deepEqual(thrown, ['over 1', 'over 2']);
      assert.equal(server.requests.length, 1);
    });

    test('close is for good', async () => {
      const client = follow('', options);
      await lives(client, 1);
      client.stream.close();
      await until(() => server.streams === 0, 'the server sees it go');
      client.stream.reconnect();
      assert.equal(client.stream.state, 'closed');
      assert.equal(server.requests.length, 1);
    });

    test('an answer that never begins is given up', async () => {
      server.answerNext(() => {});
      const client = follow('', { ...options, openTimeout: 40 });
      await lives(client, 1);
      assert.equal(waits(client)[0].reason, 'silence');
    });
  });
}

describe('by fetch only', () => {
  const all = (query, options) => follow(query, { types: '*', ...options });

  test('every type arrives, declared nowhere, and also at listeners of its name', async () => {
    const client = all('');
    const edits = [];
    client.stream.addEventListener('edit', ({ data, lastEventId }) => edits.push([data, lastEventId]));
    await lives(client, 1);
    server.publish([{ type: 'edit', data: 'e' }, { type: 'categorize', data: 'c' }, { data: 'm' }]);
    await until(() => client.events.length === 3, 'three events');
    assert.deepEqual(client.events.map(({ type }) => type), ['edit', 'categorize', 'message']);
    assert.deepEqual(edits, [['e', '1-k3f9']]);
  });

  test('frames and characters cut anywhere, after a BOM', async () => {
    server.answerNext(async (request, response) => {
      response.writeHead(200, { 'Content-Type': 'text/event-stream;charset=utf-8' });
      for (const byte of Buffer.from('\uFEFFid: 1-ab\r\ndata: größer 🌊\r\n\r\n')) {
        response.write(Buffer.of(byte));
        await new Promise(setImmediate);
      }
    });
    const client = all('');
    await until(() => client.events.length === 1, 'the event');
    assert.deepEqual([client.events[0].data, client.events[0].id], ['größer 🌊', '1-ab']);
  });

  test('a stream cut in the middle of an event delivers it once, whole, after the resume', async () => {
    publish('1', '2');
    server.answerNext((request, response) => {
      response.writeHead(200, { 'Content-Type': 'text/event-stream' });
      response.write('id: 1-k3f9\ndata: 1\n\nid: 2-k3f9\ndata: 2\n', () => response.destroy());
    });
    const client = all('?since=earliest');
    await lives(client, 1);
    assert.deepEqual(client.data(), ['1', '2']);
    assert.equal(cursor(-1), '1-k3f9');
  });

  test('silence: heartbeats keep a quiet stream, their absence renews it', async () => {
    await server.stop();
    server = await startFakeServer({ heartbeatMs: 20 });
    const beating = all('', { silence: 150 });
    await lives(beating, 1);
    const started = Date.now();
    await until(() => Date.now() - started > 450, 'three limits have passed');
    assert.equal(waits(beating).length, 0);
    beating.stream.close();

    server.answerNext((request, response) => {
      response.writeHead(200, { 'Content-Type': 'text/event-stream' });
      response.write('id: 0-k3f9\ndata: then nothing\n\n');
    });
    const silent = all('', { silence: 60 });
    await lives(silent, 1);
    assert.equal(waits(silent)[0].reason, 'silence');
    assert.equal(cursor(-1), '0-k3f9');
  });

  test('a refusal is reported with its problem body and waits for the maximum', async () => {
    server.answerNext((request, response) => problem(response, 403, 'Not allowed', 'topic secret is not yours'));
    const client = all('?topic=secret');
    await lives(client, 1);
    const [wait] = waits(client);
    assert.deepEqual([wait.reason, wait.status], ['status', 403]);
    assert.deepEqual(wait.problem, { type: 'about:blank', title: 'Not allowed', status: 403, detail: 'topic secret is not yours' });
    assert.ok(wait.delay >= 40, `half of maxDelay or more, not ${wait.delay}`);
  });

  test('200 with another content type is no stream', async () => {
    server.answerNext((request, response) => {
      response.writeHead(200, { 'Content-Type': 'text/html' });
      response.end('<p>Log in');
    });
    const client = all('');
    await lives(client, 1);
    assert.equal(waits(client)[0].reason, 'content-type');
  });

  test('an ended stream comes back after the very retry: that the server gave', async () => {
    await server.stop();
    server = await startFakeServer({ retryMs: 123 });
    const client = all('');
    await lives(client, 1);
    server.end();
    await lives(client, 2);
    assert.deepEqual([waits(client)[0].reason, waits(client)[0].delay], ['ended', 123]);
  });

  test('the delay grows from attempt to attempt and falls back after an event', async () => {
    for (let i = 0; i < 3; i += 1) server.answerNext((request, response) => response.destroy());
    const client = all('');
    await lives(client, 1);
    assert.deepEqual(waits(client).map(({ attempt }) => attempt), [1, 2, 3]);
    publish('x');
    await until(() => client.events.length === 1, 'an event');
    server.answerNext((request, response) => response.destroy());
    server.drop();
    await lives(client, 2);
    assert.deepEqual(waits(client).map(({ attempt }) => attempt), [1, 2, 3, 1, 2]);
  });

  test('freshet:live may be an object, an id or a number', async () => {
    server.answerNext((request, response) => {
      response.writeHead(200, { 'Content-Type': 'text/event-stream' });
      response.write('event: freshet:live\ndata: 41\n\n');
    });
    const client = all('');
    await lives(client, 1);
    assert.equal(client.stream.lastId, '41');
  });

  test('an older freshet:live does not take the position back', async () => {
    server.answerNext((request, response) => {
      response.writeHead(200, { 'Content-Type': 'text/event-stream' });
      response.write('id: 9-k3f9\ndata: x\n\nevent: freshet:live\ndata: {"id":"7-k3f9"}\n\n');
    });
    const client = all('');
    await lives(client, 1);
    assert.equal(client.stream.lastId, '9-k3f9');
  });
});

describe('by EventSource only', () => {
  test('types are those named, and those listened for later', async () => {
    const client = follow('', { types: ['edit'] });
    await lives(client, 1);
    server.publish([{ type: 'edit', data: 'e' }, { type: 'log', data: 'unheard' }]);
    await until(() => client.events.length === 1, 'the edit');
    const logs = [];
    client.stream.addEventListener('log', ({ data }) => logs.push(data));
    server.publish([{ type: 'log', data: 'heard' }]);
    await until(() => logs.length === 1, 'the log');
    assert.deepEqual([client.data(), logs], [['e', 'heard'], ['heard']]);
  });

  test('where the browser knows the position, it reconnects by itself, with its header', async () => {
    const client = follow('?last=500', {});
    await lives(client, 1);
    publish('1');
    await until(() => client.events.length === 1, 'an event');
    server.drop();
    await lives(client, 2);
    assert.deepEqual([waits(client)[0].reason, waits(client)[0].delay], ['network', null]);
    assert.equal(server.requests[1].headers['last-event-id'], '1-k3f9');
    assert.equal(server.requests[1].query.get('last'), '500');
    assert.deepEqual(client.data(), ['1']);
    assert.deepEqual([client.lives[1].from, client.lives[1].events], ['1-k3f9', 0]);
  });

  test('silence is noticed where the user says how long the topic may be quiet', async () => {
    const client = follow('', { silence: 60 });
    await lives(client, 2);
    assert.equal(waits(client)[0].reason, 'silence');
  });
});

describe('in the background', () => {
  const page = new EventTarget();
  const show = (visibilityState) => {
    page.visibilityState = visibilityState;
    page.dispatchEvent(new Event('visibilitychange'));
  };
  beforeEach(() => {
    page.visibilityState = 'visible';
    globalThis.document = page;
  });
  afterEach(() => opened.forEach((stream) => stream.close()));
  after(() => { delete globalThis.document; });

  test('a page that returns reconnects at once instead of waiting out its delay', async () => {
    const client = follow('', { types: '*', minDelay: 60_000, maxDelay: 60_000 });
    await lives(client, 1);
    await server.stop();
    await until(() => client.stream.state === 'waiting', 'the connection is lost');
    server = await startFakeServer();
    show('hidden');
    show('visible');
    await until(() => client.states.some(({ state, reason }) => state === 'connecting' && reason === 'wake'), 'a new attempt');
  });

  test('by fetch: a returning page renews a stream that missed a heartbeat, and keeps one that did not', async () => {
    const client = follow('', { types: '*', silence: 60_000 });
    await lives(client, 1);
    show('hidden');
    show('visible');
    assert.equal(client.stream.state, 'live');
    const { now } = Date;
    try {
      Date.now = () => now() + 31_000;
      show('hidden');
      show('visible');
    } finally {
      Date.now = now;
    }
    await lives(client, 2);
    assert.equal(server.requests.length, 2);
  });

  test('by EventSource: a long absence renews, a short one does not', async () => {
    const client = follow('', { wakeAfter: 1000 });
    await lives(client, 1);
    show('hidden');
    show('visible');
    assert.equal(client.stream.state, 'live');
    const { now } = Date;
    show('hidden');
    try {
      Date.now = () => now() + 2000;
      show('visible');
    } finally {
      Date.now = now;
    }
    await lives(client, 2);
    assert.equal(cursor(-1), '0-k3f9');
  });

  test('coming back does not shorten a wait that the server asked for', async () => {
    await server.stop();
    server = await startFakeServer({ retryMs: 60_000 });
    const client = follow('', { types: '*' });
    await lives(client, 1);
    server.end();
    await until(() => client.stream.state === 'waiting', 'the end');
    show('hidden');
    show('visible');
    assert.equal(client.stream.state, 'waiting');
  });

  test('nor a wait after a refusal', async () => {
    server.answerNext((request, response) => problem(response, 403, 'Not allowed', ''));
    const client = follow('', { types: '*', maxDelay: 60_000 });
    await until(() => client.stream.state === 'waiting', 'the refusal');
    show('hidden');
    show('visible');
    assert.equal(client.stream.state, 'waiting');
  });

  test('a closed stream leaves no listener behind', () => {
    const { stream } = follow('', { types: '*' });
    assert.equal(getEventListeners(page, 'visibilitychange').length, 1);
    stream.close();
    assert.equal(getEventListeners(page, 'visibilitychange').length, 0);
  });
});

describe('the delay', () => {
  const settings = { attempt: 0, retry: null, minDelay: 1000, maxDelay: 30_000 };
  const range = (cause, over = {}) => [0, 1].map((random) => reconnectDelay(cause, { ...settings, ...over }, () => random));

  test('is jittered over its upper half, doubles, and has a ceiling', () => {
    assert.deepEqual(range({ reason: 'network' }), [500, 1000]);
    assert.deepEqual(range({ reason: 'network' }, { attempt: 3 }), [4000, 8000]);
    assert.deepEqual(range({ reason: 'network' }, { attempt: 2000 }), [15_000, 30_000]);
    assert.deepEqual(range({ reason: 'network' }, { retry: 4000, attempt: 1 }), [4000, 8000]);
  });

  test('is the maximum for a refusal, and not for a server in trouble', () => {
    for (const status of [400, 401, 403, 404, 405]) assert.deepEqual(range({ reason: 'status', status }), [15_000, 30_000]);
    for (const status of [0, 408, 429, 500, 502, 503]) assert.deepEqual(range({ reason: 'status', status }), [500, 1000]);
  });

  test('is never below Retry-After, nor too long for a timer', () => {
    assert.deepEqual(range({ reason: 'status', status: 503, retryAfter: 20_000 }), [20_000, 20_000]);
    assert.deepEqual(range({ reason: 'status', status: 503, retryAfter: 1e12 }), [3_600_000, 3_600_000]);
  });
});

test('liveId takes what the contract allows and nothing else', () => {
  assert.deepEqual(['{"id":"7-ab3d"}', '{"id":7}', '7', '"7-ab3d"', '7-ab3d'].map(liveId), ['7-ab3d', '7', '7', '7-ab3d', '7-ab3d']);
  assert.deepEqual(['', '{}', 'null', '[]', '{"id":null}', '{"id":"A B"}'].map(liveId), ['', '', '', '', '', '']);
});
