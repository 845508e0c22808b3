/*
 * describe.js: what one event looks like in the list, from its data alone. Pure: no DOM.
 *
 *   topicOf(event, fallback)    the topic that totals and colours go by
 *   describe(event, topic)      { topic, type, when, title, href, by, tags, note, pairs, amount, tone }: plain strings, for textContent
 *
 * The page asks for the envelope, which has the topic and the time of each event. From a server that does not know the envelope the
 * single exact topic that the page is filtered to is the topic; without that, the type stands in, in brackets, since it is no topic
 * one could filter by.
 *
 * Data is whatever somebody has published: a member may be of any kind, an object where a number is usual, so nothing is converted
 * that is not a string or a number already ({"valueOf":1} throws when it is).
 */
export const isTopic = (name) => !name.startsWith('(');

const TEXT_MAX = 400; // characters of one field that reach the page
const PAIRS_MAX = 12;

const clip = (text) => (text.length > TEXT_MAX ? `${text.slice(0, TEXT_MAX)}…` : text);
const textOf = (value) => (typeof value === 'string' ? clip(value) : typeof value === 'number' ? String(value) : '');
const firstOf = (object, names) => names.map((name) => object[name]).find((value) => value !== undefined && value !== null && value !== '');

/* The data as an object, parsed once per event and kept with it; null if it is not a JSON object. */
const objectOf = (event) => {
  if (event.object === undefined) event.object = parse(event.data);
  return event.object;
};

const parse = (data) => {
  if (!data.trimStart().startsWith('{')) return null;
  try {
    return JSON.parse(data);
  } catch {
    return null; // shown as the text it is
  }
};

export const topicOf = (event, fallback = '') => {
  if (event.topic) return clip(event.topic);
  return fallback || (event.type === 'message' ? '(no topic)' : `(${clip(event.type)})`);
};

const decimals = new Intl.NumberFormat('en', { maximumFractionDigits: 2 });
const sizeOf = (bytes) => {
  const unit = Math.min(4, Math.floor(Math.log2(Math.max(1, bytes)) / 10));
  return `${decimals.format(Number((bytes / 1024 ** unit).toPrecision(3)))} ${['B', 'KiB', 'MiB', 'GiB', 'TiB'][unit]}`;
};

/* Milliseconds from what people write as a time: seconds, milliseconds, or a date text. null if it is none. */
const timeOf = (value) => {
  if (typeof value !== 'string' && typeof value !== 'number') return null;
  const number = typeof value === 'string' && /^\d+(\.\d+)?$/.test(value) ? Number(value) : value;
  const ms = typeof number === 'number' ? (number > 1e11 ? number : number * 1000) : Date.parse(value);
  return ms > 1e11 && ms < 1e14 ? ms : null;
};

/* NaN for what is neither a number nor the text of one. */
const numberOf = (value) => (typeof value === 'number' || (typeof value === 'string' && value.trim() !== '') ? Number(value) : NaN);

const two = (n) => String(n).padStart(2, '0');
export const clock = (ms) => {
  const date = new Date(ms);
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
};

/* A MediaWiki recent change. The comment may begin with the section that was edited, between slash-star marks. */
const change = (object) => {
  const comment = textOf(object.comment ?? object.log_action_comment).replace(/^\/\* *(.*?) *\*\/ */, '→ $1 · ').replace(/ · $/, '');
  const length = object.length && typeof object.length === 'object' ? object.length : null;
  const size = length && (numberOf(length.new ?? 0) - numberOf(length.old ?? 0));
  const href = [object.title_url, object.notify_url, object.meta?.uri].find((url) => typeof url === 'string' && url.startsWith('https://'));
  return {
    title: textOf(object.title),
    href: href ?? '',
    by: textOf(object.user),
    tags: [object.bot === true && 'bot', object.minor === true && 'minor', object.log_type && textOf(object.log_action ?? object.log_type)].filter(Boolean),
    note: comment,
    amount: size === null || Number.isNaN(size) ? '' : size > 0 ? `+${size}` : size < 0 ? `−${-size}` : '±0',
    tone: size > 0 ? 'good' : size < 0 ? 'bad' : '',
  };
};

/* One line of an access log. */
const access = (object) => {
  const status = numberOf(firstOf(object, ['status']));
  const bytes = numberOf(firstOf(object, ['bytes', 'body_bytes_sent', 'bytes_sent']));
  const duration = numberOf(firstOf(object, ['duration', 'request_time']));
  const note = [
    Number.isFinite(bytes) && sizeOf(bytes),
    Number.isFinite(duration) && (duration < 1 ? `${decimals.format(duration * 1000)} ms` : `${decimals.format(duration)} s`),
    textOf(firstOf(object, ['user_agent', 'http_user_agent', 'agent'])),
  ].filter(Boolean).join(' · ');
  return {
    title: `${textOf(object.method)} ${textOf(firstOf(object, ['uri', 'path', 'request_uri']))}`,
    by: textOf(firstOf(object, ['remote', 'remote_addr', 'remote_address', 'address', 'client'])),
    note,
    amount: Number.isFinite(status) ? String(status) : '',
    tone: status >= 500 ? 'bad' : status >= 400 ? 'warn' : status >= 300 ? '' : 'good',
  };
};

const valueText = (key, value) => {
  if (typeof value === 'number') return /bytes$/.test(key) && value >= 0 ? sizeOf(value) : decimals.format(value);
  return clip(typeof value === 'string' ? value : JSON.stringify(value) ?? '');
};

const TIME_MEMBERS = ['time', 'timestamp', 'ts', 'created', 'dt'];

/* Any other object: its members, in their order, without those that are shown elsewhere. */
const members = (object) => ({
  pairs: Object.entries(object)
    .filter(([key]) => key !== 'topic' && key !== 'type' && !TIME_MEMBERS.includes(key))
    .slice(0, PAIRS_MAX)
    .map(([key, value]) => [clip(key), valueText(key, value)]),
});

const isChange = (object) => typeof object.title === 'string' && ('user' in object || 'wiki' in object);
const isAccess = (object) => typeof object.method === 'string' && firstOf(object, ['uri', 'path', 'request_uri']) !== undefined;

export const describe = (event, topic) => {
  const object = objectOf(event);
  const shape = !object ? () => ({ note: clip(event.data) }) : isChange(object) ? change : isAccess(object) ? access : members;
  const when = (object && timeOf(firstOf(object, TIME_MEMBERS) ?? object.meta?.dt)) ?? event.created ?? null;
  return {
    topic,
    type: event.type === 'message' ? '' : clip(event.type),
    when,
    title: '', href: '', by: '', tags: [], note: '', pairs: [], amount: '', tone: '',
    ...shape(object),
  };
};

/* The data as text for reading in full. */
export const fullText = (event) => {
  const object = objectOf(event);
  return object ? JSON.stringify(object, null, 2) : event.data;
};

/*
 * One of eight colours per topic. The first topics get different ones, near where their name's hash points, so that a page mostly
 * looks the same on every visit; when all are taken the hash alone decides, and nothing more is remembered.
 */
const HUES = 8;
const taken = new Map(); // topic → hue, at most HUES entries

export const hueOf = (topic) => {
  if (taken.has(topic)) return taken.get(topic);
  let hash = 0x811c9dc5; // FNV-1a
  for (let i = 0; i < topic.length; i += 1) hash = Math.imul(hash ^ topic.charCodeAt(i), 0x01000193) >>> 0;
  let hue = ((hash ^ (hash >>> 15)) >>> 0) % HUES;
  if (taken.size === HUES) return hue;
  const used = new Set(taken.values());
  while (used.has(hue)) hue = (hue + 1) % HUES;
  taken.set(topic, hue);
  return hue;
};
