/*
 * chart.js: events per second over the last 60 s, as bars on a canvas, with the time without a connection shaded.
 *
 *   add(at, caughtUp)     counts one event; caughtUp ones (sent again after a reconnect) get their own colour
 *   connected(at, yes)    outages are shaded from the first no to the next yes
 *   draw(now)             once a second by the owner, and by itself when size or colours change
 *   clear()
 *   rate(now), peak(now)  of whole seconds: the last one, the highest shown
 *
 * Bounds: 61 buckets and as many outages as fit on the chart. Colours come from the canvas's custom properties, so the style sheet
 * decides; device pixels are used one to one, so it is crisp at any zoom.
 */
const SECONDS = 60;
const number = new Intl.NumberFormat('en');

/* The next round number: a scale that does not jump with every event. */
const niceCeiling = (value) => {
  const power = 10 ** Math.floor(Math.log10(Math.max(1, value)));
  return [1, 2, 3, 4, 6, 8, 10].map((n) => n * power).find((n) => n >= value);
};

const emptyBucket = () => ({ second: 0, live: 0, caughtUp: 0 });

export class RateChart {
  #canvas;
  #buckets = Array.from({ length: SECONDS + 1 }, emptyBucket);
  #outages = []; // { from, to }, ms; to is Infinity while it lasts
  #start = Infinity;

  constructor(canvas) {
    this.#canvas = canvas;
    const redraw = () => this.draw(Date.now());
    redraw(); // the canvas is set up now, and not while the first events are waiting to be drawn
    new ResizeObserver(redraw).observe(canvas);
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', redraw);
  }

  add(at, caughtUp) {
    const bucket = this.#bucket(Math.floor(at / 1000), true);
    if (caughtUp) bucket.caughtUp += 1;
    else bucket.live += 1;
  }

  connected(at, yes) {
    const last = this.#outages.at(-1);
    const isOut = last?.to === Infinity;
    if (yes && isOut) last.to = at;
    // The time before the first connection is not an outage.
    if (yes) this.#start = Math.min(this.#start, at);
    if (!yes && !isOut && this.#start < at) this.#outages.push({ from: at, to: Infinity });
    this.#outages = this.#outages.filter(({ to }) => to > at - SECONDS * 1000);
  }

  clear() {
    this.#buckets = this.#buckets.map(emptyBucket);
    this.#outages = [];
    this.#start = Infinity;
  }

  rate(now) {
    const { live, caughtUp } = this.#at(Math.floor(now / 1000) - 1);
    return live + caughtUp;
  }

  peak(now) {
    const last = Math.floor(now / 1000);
    let peak = 0;
    for (let second = last - SECONDS; second < last; second += 1) peak = Math.max(peak, this.#at(second).live + this.#at(second).caughtUp);
    return peak;
  }

  #bucket(second, make) {
    const bucket = this.#buckets[second % this.#buckets.length];
    if (make && bucket.second !== second) Object.assign(bucket, { second, live: 0, caughtUp: 0 });
    return bucket;
  }

  #at(second) {
    const bucket = this.#bucket(second, false);
    return bucket.second === second ? bucket : { live: 0, caughtUp: 0 };
  }

  draw(now) {
    const canvas = this.#canvas;
    const scale = window.devicePixelRatio || 1;
    const width = Math.round(canvas.clientWidth * scale);
    const height = Math.round(canvas.clientHeight * scale);
    if (width === 0 || height === 0) return;
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
    const style = getComputedStyle(canvas);
    const colour = (name) => style.getPropertyValue(name).trim();
    const context = canvas.getContext('2d');
    context.clearRect(0, 0, width, height);

    const top = Math.round(14 * scale); // room for the scale's label
    const bottom = height - Math.round(scale);
    const end = Math.floor(now / 1000);
    const first = end - SECONDS;
    const step = width / SECONDS;
    const x = (second) => Math.round((second - first) * step);
    const ceiling = niceCeiling(this.peak(now));
    const y = (value) => bottom - Math.round((value / ceiling) * (bottom - top));

    context.fillStyle = colour('--chart-outage');
    for (const { from, to } of this.#outages) {
      const left = x(Math.max(first, from / 1000));
      const right = x(Math.min(end, to / 1000));
      if (right > left) context.fillRect(left, top, right - left, bottom - top);
    }

    context.fillStyle = colour('--chart-grid');
    const hair = Math.max(1, Math.round(scale));
    for (const value of [ceiling, ceiling / 2, 0]) context.fillRect(0, y(value), width, hair);
    context.font = `${Math.round(10 * scale)}px ${style.fontFamily}`;
    context.fillStyle = colour('--chart-text');
    context.fillText(`${number.format(ceiling)}/s`, 0, top - Math.round(4 * scale));

    const gap = Math.max(1, Math.round(step / 5));
    for (let second = first; second < end; second += 1) {
      const { live, caughtUp } = this.#at(second);
      const left = x(second);
      const wide = Math.max(1, x(second + 1) - left - gap);
      context.fillStyle = colour('--chart-live');
      context.fillRect(left, y(live), wide, bottom - y(live));
      context.fillStyle = colour('--chart-caught-up');
      context.fillRect(left, y(live + caughtUp), wide, y(live) - y(live + caughtUp));
    }
    canvas.setAttribute('aria-label', `Events per second over the last ${SECONDS} seconds: now ${this.rate(now)}, highest ${this.peak(now)}`);
  }
}
