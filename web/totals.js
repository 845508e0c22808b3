/*
 * totals.js: how many events each topic brought, as a table whose topics can be clicked.
 *
 *   add(topic)       counts one event
 *   draw()           once a second by the owner; touches the document only where something changed
 *   clear()
 *   onpick(topic)    a topic was chosen
 *
 * Bounds: TOPICS_MAX topics are told apart, later ones are counted together; the SHOWN_MAX largest have a line each and the rest one
 * line in common, so the lines always add up to `total`.
 */
import { hueOf, isTopic } from './describe.js';

const TOPICS_MAX = 2000;
const SHOWN_MAX = 10;
const REST = Symbol('the rest');

const number = new Intl.NumberFormat('en');

export class Totals {
  onpick = null;
  total = 0;
  #body;
  #counts = new Map();

  constructor(tbody) {
    this.#body = tbody;
    tbody.addEventListener('click', (click) => {
      const button = click.target.closest('button');
      if (button) this.onpick?.(button.textContent);
    });
  }

  add(topic) {
    this.total += 1;
    const known = this.#counts.has(topic) || this.#counts.size < TOPICS_MAX;
    const name = known ? topic : REST;
    this.#counts.set(name, (this.#counts.get(name) ?? 0) + 1);
  }

  clear() {
    this.total = 0;
    this.#counts.clear();
    this.draw();
  }

  draw() {
    const named = [...this.#counts].filter(([topic]) => topic !== REST).sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1));
    const shown = named.slice(0, SHOWN_MAX);
    const others = named.length - shown.length;
    const rest = this.total - shown.reduce((sum, [, count]) => sum + count, 0);
    const lines = shown.map(([name, count]) => ({ name, count, canPick: isTopic(name) }));
    if (rest > 0) lines.push({ name: `${number.format(others)}${this.#counts.has(REST) ? '+' : ''} others`, count: rest });
    while (this.#body.rows.length > lines.length) this.#body.rows[this.#body.rows.length - 1].remove();
    const most = Math.max(1, ...lines.map(({ count }) => count));
    lines.forEach((line, index) => this.#line(this.#body.rows[index] ?? this.#newLine(), line, most));
  }

  #newLine() {
    const row = this.#body.insertRow();
    const head = document.createElement('th');
    head.scope = 'row';
    const bar = document.createElement('span');
    bar.className = 'bar';
    const count = document.createElement('td');
    row.append(head, count);
    head.append(bar);
    return row;
  }

  #line(row, { name, count, canPick = false }, most) {
    const [head, cell] = row.cells;
    if (head.textContent !== name) {
      const text = document.createElement(canPick ? 'button' : 'span');
      text.textContent = name;
      text.className = 'name';
      if (canPick) {
        text.type = 'button';
        text.title = 'Show this topic only';
      }
      head.replaceChildren(text, head.lastElementChild);
      head.className = canPick ? `hue-${hueOf(name)}` : '';
    }
    head.lastElementChild.style.inlineSize = `${(100 * count) / most}%`;
    const figure = number.format(count);
    if (cell.textContent !== figure) cell.textContent = figure;
  }
}
