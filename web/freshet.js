/*
 * freshet.js: follow a freshet stream and never lose the place. No dependencies; browsers, and Node from 20.
 *
 *     import { Freshet } from './freshet.js';
 *     const stream = new Freshet('/events?topic=news&last=50', { types: ['edit', 'new'] });
 *     stream.addEventListener('edit', (e) => show(JSON.parse(e.data), e.lastEventId));
 *     stream.addEventListener('freshet:state', (e) => banner(e.detail.state));
 *
 * A Freshet is one position in a log and, most of the time, one connection that moves it forward.
 *
 * What it adds to EventSource
 *   - A native EventSource ends for good on any status but 200. A Freshet makes a new one, after a jittered and growing
 *     delay, and puts the last id into the query (`last_event_id`), because a new EventSource has forgotten it.
 *   - The id that `freshet:live` brings is kept as the position even if no event ever came, so a quiet stream resumes exactly.
 *   - It wakes: when the page comes back from the background or the network returns, a stream that may be dead is renewed.
 *   - It says what happens: states, resets, and after each connection what was caught up.
 *
 * Transports: option `types` chooses
 *   - an array of type names (default []): native EventSource. An EventSource delivers only types that somebody listens
 *     for, so name them here, or add a listener later: addEventListener('edit', …) makes the connection listen too.
 *     Untyped events ('message') always arrive. Events of other types are skipped by the browser, silently.
 *   - '*': every event whatever its type, by fetch() and the parser below. This is also the only transport that sees
 *     heartbeats, `retry:`, HTTP status codes and problem bodies. A native EventSource hides comments: with it silence
 *     cannot be told from a quiet topic. There `silence` is off unless you set it to a time your topic is never quiet for.
 *
 * Operations
 *   new Freshet(url, options)   connects at once; `url` may be relative
 *   onevent = (event) => …      every delivered event: { id, seq, type, data, replayed }; seq = parseInt(id); with the option
 *                               envelope also its { topic, created }, created in milliseconds since 1970
 *   addEventListener(type, fn)  the same events one type at a time, as MessageEvent, like EventSource
 *   reconnect(delayMs, reason)  drops the connection, resumes after the delay from the last id
 *   close()                     ends it for good
 *   state, lastId, transport    what is true now
 *
 * Signals are CustomEvents with this `detail` (the prefix is reserved, so no event type can collide):
 *   freshet:state   { state, reason, delay, attempt, status, problem, lastId }
 *                   connecting → open (200 came, history follows) → live → waiting (for delay ms; null = the browser decides) → connecting …; closed
 *                   reason: start ended network status content-type silence wake online asked, or what reconnect() was given
 *   freshet:reset   { reason, requested, oldest, newest }: the position was not honoured exactly; the stream says why and goes on
 *   freshet:live    { id, from, events, reset, reconnects }: history is through. `events` came since the connection opened, after
 *                   position `from` ('' on the first one). reset is the detail above, or null: then nothing is missing in between.
 *
 * Options: types, lastId (resume from here), withCredentials, envelope (true: ask for each event's topic and time, too),
 *   minDelay 1000 and maxDelay 30000 ms (reconnection), silence ms (default 40000 with '*': more than two heartbeats; else 0 = off),
 *   openTimeout 20000 ms (until the answer's head), wakeAfter 30000 ms (native: hidden for longer = renew),
 *   fetch, EventSource (other implementations of these).
 *
 * Limits: one event is held in memory whole (the server bounds it, 1 MiB by default). Over HTTP/1.1 browsers allow six
 * connections per host in all tabs: use HTTP/2. It does not sort or de-duplicate: the server's replay after an id is exact.
 */

const PREFIX = 'freshet:';
const CURSOR_PARAMETERS = ['last_event_id', 'lastEventId', 'lastEventID', 'since', 'last'];
const RETRY_MAX_MS = 3_600_000; // an absurd `retry:` must not overflow setTimeout, which would then fire at once

/*
 * SseParser: text chunks in, events out, as https://html.spec.whatwg.org/#parsing-an-event-stream says.
 * onevent({ type, data, id }) per dispatched block, onretry(ms). Line ends are LF, CR and CRLF, also split across chunks: a CR
 * ends the line at once, and an LF that follows it is swallowed whenever it comes, so no event is ever held back.
 * An unfinished block at the end of the input is never dispatched. The caller decodes UTF-8 (TextDecoder drops the BOM).
 * `lastId` is the last event id string. Cost: each character is looked at once.
 */
export class SseParser {
  lastId = '';
  #onevent;
  #onretry;
  #tail = ''; // the unfinished line
  #afterCR = false;
  #data = null; // null: no data line yet, which is not the same as an empty one
  #type = '';
  #id = null; // an id takes effect with its block, not before

  constructor({ onevent, onretry = () => {} }) {
    this.#onevent = onevent;
    this.#onretry = onretry;
  }

  push(chunk) {
    if (chunk === '') return;
    let at = 0;
    if (this.#afterCR && chunk[0] === '\n') at = 1;
    this.#afterCR = false;
    let cr = chunk.indexOf('\r', at);
    let lf = chunk.indexOf('\n', at);
    while (cr >= 0 || lf >= 0) {
      const end = cr < 0 ? lf : lf < 0 ? cr : Math.min(cr, lf);
      const line = this.#tail + chunk.slice(at, end);
      this.#tail = '';
      at = end + 1;
      if (end === cr) {
        if (lf === at) at += 1;
        else this.#afterCR = at === chunk.length;
        cr = chunk.indexOf('\r', at);
      }
      if (lf >= 0 && lf < at) lf = chunk.indexOf('\n', at);
      this.#line(line);
    }
    this.#tail += chunk.slice(at);
  }

  #line(line) {
    if (line === '') return this.#dispatch();
    const colon = line.indexOf(':');
    if (colon === 0) return undefined; // a comment
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? '' : line.slice(line[colon + 1] === ' ' ? colon + 2 : colon + 1);
    if (field === 'data') this.#data = this.#data === null ? value : `${this.#data}\n${value}`;
    else if (field === 'event') this.#type = value;
    else if (field === 'id') this.#id = value.includes('\0') ? this.#id : value;
    else if (field === 'retry' && /^[0-9]+$/.test(value)) this.#onretry(Number(value));
    return undefined;
  }

  #dispatch() {
    const data = this.#data;
    const type = this.#type || 'message';
    if (this.#id !== null) this.lastId = this.#id;
    this.#data = null;
    this.#type = '';
    this.#id = null;
    if (data !== null) this.#onevent({ type, data, id: this.lastId });
  }
}

/*
 * A transport is a function (url, sink, settings) → { listen(type), close() } that tells the sink:
 *   opened()                 200 and the right content type
 *   alive()                  any byte came (fetch), any event came (native)
 *   event({ type, data, id })
 *   retry(ms)                the server's wish
 *   interrupted(ownId)       native only: the browser reconnects by itself and will send ownId
 *   ended({ reason, status, problem, retryAfter })   it is over; the owner decides when to try again
 */

const problemOf = async (response) => {
  if (!/\bjson\b/i.test(response.headers.get('content-type') ?? '')) return null;
  try {
    const { type, title, status, detail } = JSON.parse((await response.text()).slice(0, 65_536));
    return { type, title, status, detail };
  } catch {
    return null; // a status without a readable body is still a status
  }
};

const fetchTransport = (url, sink, settings) => {
  const abort = new AbortController();
  const run = async () => {
    const response = await settings.fetch(url, {
      headers: { Accept: 'text/event-stream' },
      cache: 'no-store',
      credentials: settings.withCredentials ? 'include' : 'same-origin',
      signal: abort.signal,
    });
    const isStream = /^text\/event-stream\s*(;|$)/i.test(response.headers.get('content-type') ?? '');
    if (response.status !== 200 || !isStream) {
      const problem = await problemOf(response);
      const retryAfter = Number(response.headers.get('retry-after')) * 1000 || 0;
      abort.abort();
      return { reason: response.status === 200 ? 'content-type' : 'status', status: response.status, problem, retryAfter };
    }
    sink.opened();
    const parser = new SseParser({ onevent: sink.event, onretry: sink.retry });
    const decoder = new TextDecoder();
    const reader = response.body.getReader();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return { reason: 'ended', status: 200 };
      sink.alive();
      parser.push(decoder.decode(value, { stream: true }));
    }
  };
  run().catch(() => ({ reason: 'network' })).then(sink.ended);
  return { listen() {}, close: () => abort.abort() };
};

const nativeTransport = (url, sink, settings) => {
  const source = new settings.EventSource(url, { withCredentials: settings.withCredentials });
  let ownId = '';
  // A row may have the type 'open' or 'error': those come as events with data, the connection's own ones without.
  const isOwn = (event) => typeof event.data !== 'string';
  const deliver = (event) => {
    if (isOwn(event)) return;
    ownId = event.lastEventId;
    sink.alive();
    sink.event({ type: event.type, data: event.data, id: event.lastEventId });
  };
  source.onopen = (event) => isOwn(event) && sink.opened();
  source.onerror = (event) => {
    if (!isOwn(event)) return;
    if (source.readyState === 2) sink.ended({ reason: 'status' });
    else sink.interrupted(ownId);
  };
  const listen = (type) => source.addEventListener(type, deliver);
  for (const type of settings.listening) listen(type);
  return { listen, close: () => source.close() };
};

/* jitter(ms, random): somewhere in the upper half, so that clients that fell together do not return together. */
const jitter = (ms, random = Math.random) => ms / 2 + (random() * ms) / 2;

const isRefusal = (status) => status >= 400 && status < 500 && ![408, 425, 429].includes(status);

/*
 * reconnectDelay: ms until the next attempt.
 *   - The stream ended well and the server had sent `retry:`: that value as it is (it is already random per connection).
 *   - Refused for what was asked (400, 401, 403, …): the maximum at once; asking again quickly cannot help.
 *   - All else: exponential from `retry:` or minDelay up to maxDelay, never less than Retry-After.
 */
export const reconnectDelay = ({ reason, status = 0, retryAfter = 0 }, { attempt, retry, minDelay, maxDelay }, random = Math.random) => {
  if (reason === 'ended' && retry !== null) return retry;
  const grown = isRefusal(status) ? maxDelay : Math.min(maxDelay, (retry ?? minDelay) * 2 ** attempt);
  return Math.max(jitter(grown, random), Math.min(retryAfter, RETRY_MAX_MS));
};

/* The position in `freshet:live` data: {"id": …}, or the id alone, as a string or a number. '' if there is none. */
export const liveId = (data) => {
  let value = data;
  try {
    value = JSON.parse(data);
  } catch {
    // an id such as 12-ab3d is not JSON, and is fine as it is
  }
  const id = String((value && typeof value === 'object' ? value.id : value) ?? '');
  return /^[0-9a-z-]+$/.test(id) ? id : '';
};

/* Is position a at or past b? Positions of different epochs cannot be compared: the later word counts, so yes. */
const covers = (a, b) => {
  const [seqA, epochA] = a.split('-');
  const [seqB, epochB] = b.split('-');
  if (epochA && epochB && epochA !== epochB) return true;
  return Number(seqA) > Number(seqB) || (seqA === seqB && !epochB);
};

/* What is inside an envelope; data that is none, from a server that does not know it, is what it is. */
const envelopeOf = (text) => {
  try {
    const { id, topic, created, data } = JSON.parse(text);
    if (typeof id === 'string' && typeof topic === 'string' && typeof data === 'string') return { data, topic, created };
  } catch {
    // not JSON
  }
  return { data: text };
};

const objectOf = (data) => {
  try {
    return Object(JSON.parse(data));
  } catch {
    return {};
  }
};

export class Freshet extends EventTarget {
  onevent = null;
  state = 'closed';
  lastId;
  transport;

  #url;
  #settings;
  #connection = null;
  #timer = 0; // the next attempt
  #watch = 0; // the next look at how long it has been silent
  #aliveAt = 0;
  #hiddenAt = 0;
  #attempt = 0;
  #patient = false; // the wait was asked for: coming back to the page does not shorten it
  #retry = null;
  #opens = 0;
  #from = '';
  #events = 0;
  #reset = null;
  #heard = new Set(); // types with a listener: others need no MessageEvent

  constructor(url, options = {}) {
    super();
    const types = options.types ?? [];
    this.transport = types === '*' ? 'fetch' : 'eventsource';
    this.lastId = options.lastId ?? '';
    this.#url = new URL(url, globalThis.location?.href).href;
    this.#settings = {
      minDelay: 1000,
      maxDelay: 30_000,
      silence: types === '*' ? 40_000 : 0,
      openTimeout: 20_000,
      wakeAfter: 30_000,
      withCredentials: false,
      envelope: false,
      fetch: (...args) => globalThis.fetch(...args),
      EventSource: globalThis.EventSource,
      ...options,
      listening: new Set(['message', `${PREFIX}reset`, `${PREFIX}live`, ...(types === '*' ? [] : types)]),
    };
    globalThis.document?.addEventListener('visibilitychange', this.#onvisibility);
    globalThis.addEventListener?.('pageshow', this.#onpageshow);
    globalThis.addEventListener?.('online', this.#ononline);
    this.#connect('start');
  }

  addEventListener(type, listener, options) {
    super.addEventListener(type, listener, options);
    this.#heard.add(type);
    const { listening } = this.#settings;
    if (type.startsWith(PREFIX) || listening.has(type)) return;
    listening.add(type);
    this.#connection?.listen(type);
  }

  reconnect(delay = 0, reason = 'asked') {
    if (this.state === 'closed') return;
    this.#patient = true;
    this.#wait(delay, { reason });
  }

  close() {
    this.#drop();
    globalThis.document?.removeEventListener('visibilitychange', this.#onvisibility);
    globalThis.removeEventListener?.('pageshow', this.#onpageshow);
    globalThis.removeEventListener?.('online', this.#ononline);
    this.#become('closed', { reason: 'asked' });
  }

  /* ---- the connection: one at a time; what an old one still says is ignored ---- */

  #connect(reason) {
    this.#drop();
    const url = this.#resumeUrl();
    const cursor = this.lastId;
    let connection = null;
    const ifCurrent = (method) => (argument) => {
      if (connection !== null && this.#connection === connection) method(argument);
    };
    const sink = {
      opened: ifCurrent(() => this.#opened()),
      alive: ifCurrent(() => { this.#aliveAt = Date.now(); }),
      event: ifCurrent((event) => this.#event(event)),
      retry: ifCurrent((ms) => { this.#retry = Math.min(ms, RETRY_MAX_MS); }),
      interrupted: ifCurrent((ownId) => this.#interrupted(ownId || cursor)),
      ended: ifCurrent((cause) => this.#ended(cause)),
    };
    this.#become('connecting', { reason });
    if (this.state !== 'connecting') return; // a listener closed or moved it
    connection = (this.transport === 'fetch' ? fetchTransport : nativeTransport)(url, sink, this.#settings);
    this.#connection = connection;
    this.#aliveAt = Date.now();
    this.#watchSilence(this.#settings.openTimeout);
  }

  #resumeUrl() {
    const url = new URL(this.#url);
    if (this.#settings.envelope) url.searchParams.set('envelope', '1');
    if (this.lastId !== '') {
      for (const name of CURSOR_PARAMETERS) url.searchParams.delete(name);
      url.searchParams.set('last_event_id', this.lastId);
    }
    return url.href;
  }

  #drop() {
    clearTimeout(this.#timer);
    clearTimeout(this.#watch);
    const connection = this.#connection;
    this.#connection = null;
    connection?.close();
  }

  #wait(delay, detail) {
    this.#drop();
    this.#timer = setTimeout(() => this.#connect(detail.reason), delay);
    this.#become('waiting', { delay, ...detail });
  }

  #opened() {
    this.#opens += 1;
    this.#from = this.lastId;
    this.#events = 0;
    this.#reset = null;
    this.#aliveAt = Date.now();
    this.#watchSilence(this.#settings.silence);
    this.#become('open', {});
  }

  #ended(cause) {
    const delay = reconnectDelay(cause, { attempt: this.#attempt, retry: this.#retry, ...this.#settings });
    const { reason, status, problem, retryAfter } = cause;
    this.#attempt += 1;
    this.#patient = reason === 'ended' || isRefusal(status) || retryAfter > 0;
    this.#wait(delay, { reason, status, problem });
  }

  /*
   * The browser reconnects by itself, after the server's `retry:`. That is right as long as it will ask for our position. It will not
   * when ours came from `freshet:live`: it would ask from the start again, or from now, and that is a silent gap.
   */
  #interrupted(itsCursor) {
    clearTimeout(this.#watch);
    if (itsCursor === this.lastId) {
      this.#patient = false;
      this.#become('waiting', { reason: 'network', delay: null });
    } else this.#ended({ reason: 'network' });
  }

  #watchSilence(limit) {
    clearTimeout(this.#watch);
    if (!limit) return;
    const look = () => {
      const left = this.#aliveAt + limit - Date.now();
      if (left > 0) this.#watch = setTimeout(look, left);
      else this.#ended({ reason: 'silence' });
    };
    this.#watch = setTimeout(look, limit);
  }

  /* ---- what arrives ---- */

  #event(event) {
    if (event.type.startsWith(PREFIX)) return this.#signal(event);
    this.#attempt = 0;
    this.#events += 1;
    if (event.id !== '') this.lastId = event.id;
    const { type, id } = event;
    const inside = this.#settings.envelope ? envelopeOf(event.data) : { data: event.data };
    if (this.onevent) this.#guard(() => this.onevent({ id, seq: parseInt(id, 10), type, ...inside, replayed: this.state !== 'live' }));
    if (this.#heard.has(type)) this.dispatchEvent(new MessageEvent(type, { data: inside.data, lastEventId: id }));
    return undefined;
  }

  #signal({ type, data }) {
    this.#attempt = 0;
    if (type === `${PREFIX}live`) return this.#live(liveId(data));
    if (type === `${PREFIX}at`) this.#reached(liveId(data));
    const detail = objectOf(data);
    // The old position stays until an event or `freshet:live` brings a valid one: if the connection breaks before that, the
    // server resets again and nothing retained is skipped.
    if (type === `${PREFIX}reset`) this.#reset = detail;
    this.dispatchEvent(new CustomEvent(type, { detail }));
    return undefined;
  }

  /* Everything up to there has been sent, whether anything matched or not. */
  #reached(id) {
    const restarted = this.#reset !== null && this.#events === 0; // then ours is the position that was refused
    if (id !== '' && (this.lastId === '' || restarted || covers(id, this.lastId))) this.lastId = id;
  }

  #live(id) {
    this.#reached(id);
    const detail = { id: this.lastId, from: this.#from, events: this.#events, reset: this.#reset, reconnects: this.#opens - 1 };
    this.#become('live', {});
    this.dispatchEvent(new CustomEvent(`${PREFIX}live`, { detail }));
  }

  /* A listener's mistake must not end the stream: report it as an uncaught error and go on, as dispatchEvent does. */
  #guard(call) {
    try {
      call();
    } catch (error) {
      if (globalThis.reportError) globalThis.reportError(error);
      else queueMicrotask(() => { throw error; });
    }
  }

  #become(state, { reason = '', delay = 0, status = 0, problem = null }) {
    this.state = state;
    const detail = { state, reason, delay, attempt: this.#attempt, status, problem, lastId: this.lastId };
    this.dispatchEvent(new CustomEvent(`${PREFIX}state`, { detail }));
  }

  /* ---- waking up ---- */

  #onvisibility = () => {
    if (globalThis.document.visibilityState === 'hidden') this.#hiddenAt = Date.now();
    else this.#wake();
  };

  // Restored from the back/forward cache: the old connection is gone whatever it says.
  #onpageshow = (event) => { if (event.persisted) this.#connect('wake'); };

  #ononline = () => { if (this.state === 'waiting' && !this.#patient) this.#connect('online'); };

  /*
   * Phones may leave a dead stream behind without an error. With '*' more than half the silence limit without a byte is a missed
   * heartbeat. A native EventSource cannot show that: there a long absence is enough. Renewing is cheap and exact.
   */
  #wake() {
    const { silence, wakeAfter } = this.#settings;
    const now = Date.now();
    const stale = this.transport === 'fetch' && silence
      ? now - this.#aliveAt > silence / 2
      : this.#hiddenAt > 0 && now - this.#hiddenAt > wakeAfter;
    this.#hiddenAt = 0;
    if (this.state === 'waiting' ? !this.#patient : stale && this.state !== 'closed') this.#connect('wake');
  }
}
