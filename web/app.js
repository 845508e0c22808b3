/*
 * app.js: the page. It follows the stream named in <body data-events data-last> with freshet.js, all types, and shows it.
 *
 * The parts do not know each other; this module hands every event to each of them: list.js (rows), chart.js (rate), totals.js
 * (topics). Rows are drawn once per frame, figures once a second, the state when it changes.
 *
 * The filter lives in the page's address (?topic=…, repeatable, a prefix ends in *), so a filtered page can be shared and the
 * browser's back button works. Applying one opens a new stream and starts the view anew.
 *
 * For measurements it sets performance marks: `freshet:open` when a stream opens, `freshet:first-paint-500` when the history that the
 * page asked for (or all there is) has been painted. document.body.dataset carries state, and counted: events seen since the view began.
 */
import { RateChart } from './chart.js';
import { clock, topicOf } from './describe.js';
import { Freshet } from './freshet.js';
import { EventList } from './list.js';
import { liveText, resetText, stateText } from './messages.js';
import { Totals } from './totals.js';

const LAST = Number(document.body.dataset.last);
const CUT_MS = 2000;
const LOG_MAX = 5;
const FIGURES_MS = 100;
const HISTORY_MS = 250; // the history is drawn in one piece when it is complete, or in parts when it takes longer

const at = (id) => document.getElementById(id);
const number = new Intl.NumberFormat('en');
const setText = (node, text) => {
  if (node.textContent !== text) node.textContent = text;
};

const list = new EventList(at('events'), LAST);
const chart = new RateChart(at('chart'));
const totals = new Totals(at('totals'));

let stream = null;
let topics = [];
let only = ''; // the one exact topic of the filter, if it is that
let previous = { seq: 0, epoch: '' };
let repeated = 0;
let painted = 0;
let due = Infinity; // how many events the history has, known when it is through
let isMarked = false;
let isFirst = true; // this view's first connection, the one with the history

/* ---- what comes from the stream ---- */

const onevent = (event) => {
  event.at = Date.now();
  const epoch = event.id.slice(event.id.indexOf('-') + 1);
  if (epoch === previous.epoch && event.seq <= previous.seq) repeated += 1;
  previous = { seq: event.seq, epoch };
  const topic = topicOf(event, only);
  totals.add(topic);
  list.push(event, topic);
  const isHistory = event.replayed && isFirst;
  if (!isHistory) chart.add(event.at, event.replayed);
  scheduleFigures();
};

const log = (text) => {
  const item = document.createElement('li');
  const time = document.createElement('time');
  time.textContent = clock(Date.now());
  item.append(time, ` ${text}`);
  at('log').prepend(item);
  while (at('log').childElementCount > LOG_MAX) at('log').lastElementChild.remove();
};

const onstate = ({ detail }) => {
  const { label, hint } = stateText(detail);
  document.body.dataset.state = detail.reason === 'cut' && detail.state === 'waiting' ? 'cut' : detail.state;
  setText(at('state'), label);
  at('cut').disabled = detail.state !== 'live' && detail.state !== 'open';
  chart.connected(Date.now(), detail.state === 'open' || detail.state === 'live');
  if (detail.state === 'open') {
    repeated = 0;
    performance.mark('freshet:open');
    if (isFirst) list.hold(HISTORY_MS);
  }
  if (detail.state === 'waiting') log(hint);
};

const onreset = ({ detail }) => {
  const text = resetText(detail);
  log(text);
  list.mark(text);
};

const onlive = ({ detail }) => {
  performance.mark('freshet:live');
  const text = liveText(detail, repeated);
  log(text);
  if (!isFirst) list.mark(text);
  if (isFirst) {
    due = detail.events;
    list.flush();
  }
  isFirst = false;
  markHistory();
  drawFigures();
};

const markHistory = () => {
  if (isMarked || painted < Math.min(LAST, due)) return;
  isMarked = true;
  performance.mark('freshet:first-paint-500');
};

list.ondrawn = (count) => {
  painted += count;
  markHistory();
};

/* ---- figures: the position ten times a second at most, since each change costs a layout; the rest once a second ---- */

let figuresTimer = 0;
const scheduleFigures = () => {
  if (figuresTimer === 0) figuresTimer = setTimeout(drawFigures, FIGURES_MS);
};

const drawFigures = () => {
  clearTimeout(figuresTimer);
  figuresTimer = 0;
  const [seq, epoch = '–'] = stream.lastId.split('-');
  setText(at('position'), seq || '–');
  setText(at('epoch'), epoch);
  setText(at('total'), number.format(totals.total));
  document.body.dataset.counted = String(totals.total);
  const isHeld = at('pause').getAttribute('aria-pressed') === 'true' && list.pending > 0;
  setText(at('held'), isHeld ? `${number.format(list.pending)} new` : '');
};

const drawSecond = () => {
  const now = Date.now();
  if (!document.hidden) {
    chart.draw(now);
    totals.draw();
    setText(at('rate'), number.format(chart.rate(now)));
    setText(at('peak'), number.format(chart.peak(now)));
  }
  setTimeout(drawSecond, 1000 - (Date.now() % 1000));
};

/* ---- the filter and the stream that goes with it ---- */

const topicsOfPage = () => new URLSearchParams(location.search).getAll('topic').flatMap((text) => text.split(/\s+/)).filter(Boolean);

const queryOf = (names) => new URLSearchParams(names.map((name) => ['topic', name])).toString();

const follow = () => {
  stream?.close();
  topics = topicsOfPage();
  only = topics.length === 1 && !topics[0].endsWith('*') ? topics[0] : '';
  at('filter').value = topics.join(' ');
  at('all').hidden = topics.length === 0;
  isFirst = true;
  due = Infinity;
  isMarked = false;
  painted = 0;
  previous = { seq: 0, epoch: '' };
  list.clear();
  totals.clear();
  chart.clear();
  const query = queryOf(topics);
  stream = new Freshet(`${document.body.dataset.events}?last=${LAST}${query && `&${query}`}`, { types: '*', envelope: true });
  stream.onevent = onevent;
  stream.addEventListener('freshet:state', onstate);
  stream.addEventListener('freshet:reset', onreset);
  stream.addEventListener('freshet:live', onlive);
  list.prepare(); // while the answer is under way
  scheduleFigures();
};

const filterBy = (names) => {
  const query = queryOf(names);
  history.pushState(null, '', query ? `?${query}` : location.pathname);
  follow();
};

at('filter-form').addEventListener('submit', (submit) => {
  submit.preventDefault();
  filterBy(at('filter').value.split(/\s+/).filter(Boolean));
});
at('all').addEventListener('click', () => {
  filterBy([]);
  at('filter').focus();
});
totals.onpick = (topic) => filterBy([topic]);
window.addEventListener('popstate', follow);

at('pause').addEventListener('click', () => {
  const paused = at('pause').getAttribute('aria-pressed') !== 'true';
  at('pause').setAttribute('aria-pressed', String(paused));
  list.pause(paused);
  drawFigures();
});

at('cut').addEventListener('click', () => stream.reconnect(CUT_MS, 'cut'));

follow();
drawSecond();
