/*
 * list.js: the newest events as rows, newest first, drawn in batches.
 *
 *   push(event, topic)    to be drawn with the next frame
 *   mark(text)            a divider between what came before and after (a resume, a reset)
 *   hold(ms)              for a history: rows are made as events come, but put into the document only by flush(), or after so long
 *   flush()               draws now what is waiting, for the end of the history: the next frame may be 16 ms away
 *   pause(on)             a paused list keeps what would be newest for later; pending says how many came meanwhile
 *   prepare()             makes the rows beforehand, when there is time for it
 *   clear()
 *   ondrawn(count)        after the browser has painted a batch
 *
 * The rows are in blocks of BLOCK, each an <ol>. A block out of sight is neither laid out nor painted (content-visibility in the
 * style sheet): at a row each that would cost a layer and an observer per row, in one piece the whole list would be laid out.
 *
 * Bounds: at most `max` rows in the document and `max` items waiting, however many come per frame or while the page is in the
 * background, where no frames are drawn. Rows are cloned from one template and used again when they drop off the end: at a thousand
 * events per second nothing but text changes. All data goes in as text.
 */
import { clock, describe, fullText, hueOf } from './describe.js';

const BLOCK = 25;
const BUSY_ROWS = 10; // a batch of more than this is a flood that nobody reads row by row:
const BUSY_MS = 80; // then draw that seldom, and leave the time between to scrolling and typing
const ROW_MIN_PX = 32; // no row is lower: so many rows fill a window at most
const FLASH_MAX = 4; // new rows light up briefly; more at once than this would only flicker

const element = (tag, className, text) => {
  const node = document.createElement(tag);
  node.className = className;
  if (text !== undefined) node.append(text); // a text node even for '', to be filled later
  return node;
};

/*
 * A row: its element and the places in it that an event fills. Always the same parts, the style sheet hides empty ones. What is set is
 * text (`data` of a text node) and, for a title, a link that describe.js has vetted.
 */
const template = (() => {
  const row = element('li', 'row');
  const source = element('span', 'source');
  source.append(element('span', 'topic', ''), ' ', element('span', 'type', ''));
  const what = element('p', 'what');
  what.append(element('a', 'title', ''), ' ', element('span', 'tag', ''), ' ', element('span', 'by', ''), ' ', element('span', 'note', ''), ' ', element('span', 'pairs'));
  const id = element('button', 'id', '');
  id.type = 'button';
  row.append(element('time', 'when', ''), source, what, element('span', 'amount', ''), id);
  return row;
})();

class Row {
  constructor() {
    this.node = template.cloneNode(true);
    [this.when, this.source, this.what, this.amount, this.id] = this.node.children;
    [this.topic, this.type] = this.source.children;
    [this.title, this.tag, this.by, this.note, this.pairs] = this.what.children;
    this.event = null;
  }

  fill(event, topic, flash) {
    const view = describe(event, topic);
    this.event = event;
    this.node.className = `row${view.amount ? '' : ' wide'}${flash ? ' new' : ''}`;
    // Replayed rows without a time of their own came some time before now: better no time than a wrong one.
    const ms = view.when ?? (event.replayed ? null : event.at);
    this.when.firstChild.data = ms === null ? '' : clock(ms);
    this.topic.firstChild.data = view.topic;
    this.topic.className = `topic hue-${hueOf(view.topic)}`;
    this.type.firstChild.data = view.type;
    this.title.firstChild.data = view.title;
    if (view.href) this.title.href = view.href;
    else this.title.removeAttribute('href');
    this.tag.firstChild.data = view.tags.join(' · ');
    this.by.firstChild.data = view.by;
    this.note.firstChild.data = view.note;
    this.amount.firstChild.data = view.amount;
    this.amount.className = `amount ${view.tone}`;
    this.id.firstChild.data = Number.isNaN(event.seq) ? 'data' : String(event.seq);
    if (view.pairs.length > 0 || this.pairs.firstChild) this.#fillPairs(view.pairs);
    this.close();
  }

  #fillPairs(pairs) {
    this.pairs.replaceChildren(...pairs.map(([key, value]) => {
      const pair = element('span', 'pair');
      pair.append(element('span', 'key', key), ' ', element('span', 'value', value), ' ');
      return pair;
    }));
  }

  get isOpen() { return this.node.children.length > template.children.length; }

  open() {
    this.node.append(element('pre', 'full', fullText(this.event)));
    this.id.setAttribute('aria-expanded', 'true');
  }

  close() {
    if (!this.isOpen) return;
    this.node.lastElementChild.remove();
    this.id.setAttribute('aria-expanded', 'false');
  }
}

export class EventList {
  ondrawn = null;
  pending = 0;
  #root;
  #max;
  #items = [];
  #shown = 0; // rows and marks in the document
  #frame = 0;
  #timer = 0;
  #busyUntil = 0;
  #paused = false;
  #held = false;
  #rows = new WeakMap(); // element → its Row
  #spare = []; // rows not in the document
  #painted = new MessageChannel();

  constructor(root, max) {
    this.#root = root;
    this.#max = max;
    this.#painted.port1.onmessage = ({ data }) => this.ondrawn?.(data);
    root.addEventListener('click', (click) => {
      const row = click.target.closest('button.id') && this.#rows.get(click.target.closest('.row'));
      if (row?.isOpen) row.close();
      else row?.open();
    });
  }

  push(event, topic) {
    this.pending += 1;
    this.#add({ event, topic });
  }

  mark(text) {
    this.#add({ text });
  }

  hold(ms) {
    this.#busyUntil = performance.now() + ms;
    this.#held = true;
  }

  flush() {
    this.#draw(false);
  }

  pause(on) {
    this.#paused = on;
    if (!on) this.#schedule();
  }

  clear() {
    this.#items = [];
    this.pending = 0;
    while (this.#shown > 0) this.#removeLast();
  }

  prepare() {
    for (let i = this.#shown + this.#spare.length; i < this.#max; i += 1) this.#spare.push(this.#newRow());
  }

  #add(item) {
    if (this.#held) item.node = this.#nodeOf(item, false);
    this.#items.push(item);
    // Cut only now and then: shifting the array for every event would cost more than the few extra items.
    if (this.#items.length >= 2 * this.#max) this.#items = this.#items.slice(-this.#max);
    this.#schedule();
  }

  #schedule() {
    if (this.#frame !== 0 || this.#timer !== 0 || this.#paused) return;
    const rest = this.#busyUntil - performance.now();
    if (rest <= 0) this.#frame = requestAnimationFrame(() => this.#draw(true));
    else {
      this.#timer = setTimeout(() => {
        this.#timer = 0;
        this.#schedule();
      }, rest);
    }
  }

  #draw(inFrame) {
    cancelAnimationFrame(this.#frame);
    this.#frame = 0;
    this.#held = false;
    if (this.#paused || this.#items.length === 0) return undefined;
    const items = this.#items.slice(-this.#max);
    const count = this.pending;
    this.#items = [];
    this.pending = 0;
    if (items.length > BUSY_ROWS) this.#busyUntil = performance.now() + BUSY_MS;
    while (this.#shown + items.length > this.#max) this.#removeLast();
    const flash = items.length <= FLASH_MAX;
    let at = 0;
    while (at < items.length) {
      const block = this.#topBlock();
      const batch = document.createDocumentFragment();
      const end = Math.min(items.length, at + BLOCK - block.childElementCount);
      for (let i = end - 1; i >= at; i -= 1) batch.append(items[i].node ?? this.#nodeOf(items[i], flash));
      block.prepend(batch);
      at = end;
    }
    this.#shown += items.length;
    // A message posted from a frame is delivered after that frame's layout and paint.
    const painted = () => this.#painted.port2.postMessage(count);
    if (inFrame) return painted();
    this.#postpone();
    return requestAnimationFrame(painted);
  }

  /*
   * Browsers also lay out what is just outside the window, several times its height. For a whole history that would be most of the work
   * before anything is seen, so the blocks below the window wait for the frame after.
   */
  #postpone() {
    let rows = 0;
    const below = [...this.#root.children].filter((block) => {
      const isBelow = rows * ROW_MIN_PX > window.innerHeight;
      rows += block.childElementCount;
      return isBelow;
    });
    for (const block of below) block.classList.add('later');
    requestAnimationFrame(() => requestAnimationFrame(() => below.forEach((block) => block.classList.remove('later'))));
  }

  /* A block with room at its top. */
  #topBlock() {
    const top = this.#root.firstElementChild;
    if (top !== null && top.childElementCount < BLOCK) return top;
    const block = element('ol', 'block');
    this.#root.prepend(block);
    return block;
  }

  #removeLast() {
    const block = this.#root.lastElementChild;
    const node = block.lastElementChild;
    const row = this.#rows.get(node);
    if (row) this.#spare.push(row);
    node.remove();
    if (block.childElementCount === 0) block.remove();
    this.#shown -= 1;
  }

  #nodeOf({ event, topic, text }, flash) {
    if (!event) return element('li', 'mark', text);
    const row = this.#spare.pop() ?? this.#newRow();
    try {
      row.fill(event, topic, flash);
    } catch (error) {
      // One event must not take the others of its batch away.
      console.error(error);
      row.fill({ ...event, object: null }, topic, flash);
    }
    return row.node;
  }

  #newRow() {
    const row = new Row();
    this.#rows.set(row.node, row);
    return row;
  }
}
