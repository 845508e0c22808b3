/*
 * page-suite.mjs: what the page in web/ must do in Chromium, whatever serves it.
 *
 *   pageSuite(name, connect)   declares the tests. connect() gives, before the first one,
 *     { url,                   where the page is; its stream is /events of the same host
 *       publish(events),       [{ topic, type, data }], data a string; may return a promise; keeps the order
 *       stop() }
 *
 * Every test uses topics of its own, so the table may hold anything before, and nothing has to be cleaned after. Times are measured and
 * printed as diagnostics; asserted are correctness and bounds so wide that a busy machine does not cross them.
 */
import assert from 'node:assert/strict';
import { availableParallelism, loadavg } from 'node:os';
import { after, before, describe, test } from 'node:test';
import { chromium } from 'playwright-core';
import { scaled } from '../e2e/kit/wait.mjs';
import { until } from './fake-server.mjs';

export const CHROMIUM = {
  executablePath: '/usr/bin/chromium',
  args: ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
};
const DESKTOP = { viewport: { width: 1280, height: 800 } };
const PHONE = { viewport: { width: 390, height: 844 }, deviceScaleFactor: 2, isMobile: true, hasTouch: true };

const PAINT_GOAL_MS = 100;
const PAINT_BOUND_MS = 2000;
const LOAD = () => `load ${loadavg()[0].toFixed(1)} on ${availableParallelism()} processors`;
const RATE = 1000;
const RATE_SECONDS = 4;

/* About 1 KB each, as long and as deep as the recent changes of a wiki. */
const change = (topic, n) => ({
  topic,
  type: ['edit', 'new', 'log', 'categorize'][n % 4],
  data: JSON.stringify({
    topic, title: `Page number ${n}`, title_url: `https://example.org/wiki/Page_${n}`, user: `User ${n % 37}`, bot: n % 5 === 0, comment: `/* Section ${n % 9} */ what was changed, in a few words`,
    timestamp: 1_690_617_099 + n, length: { old: 1000, new: 1000 + (n % 101) - 50 }, namespace: 0, minor: false,
    meta: { uri: `https://example.org/wiki/Page_${n}`, id: `97e4dc39-fb32-4774-9c9a-${String(n).padStart(12, '0')}`, domain: 'example.org', stream: 'recentchange', partition: 0, offset: 4_820_784_717 + n },
    parsedcomment: `<span dir="auto"><span class="autocomment"><a href="/wiki/Page_${n}#Section" title="Page">${'→ Section '.repeat(12)}</a></span></span>`, server_name: 'example.org',
  }),
});
const changes = (topic, from, count) => Array.from({ length: count }, (_, i) => change(topic, from + i));

let number = 0;
const newTopic = (name) => {
  number += 1;
  return `${name}-${process.pid}-${number}`;
};

const markTimes = (page) => page.evaluate(() => ['freshet:open', 'freshet:first-paint-500'].map((name) => performance.getEntriesByName(name)[0]?.startTime));
const counted = (page) => page.evaluate(() => Number(document.body.dataset.counted));
const text = (page, selector) => page.locator(selector).innerText();
const titles = (page) => page.locator('#events .title').allTextContents();

export const pageSuite = (name, connect) => describe(name, () => {
  let server;
  let browser;

  before(async () => {
    server = await connect();
    browser = await chromium.launch(CHROMIUM);
  });
  after(async () => {
    await browser?.close();
    await server?.stop();
  });

  /* The page, filtered to the topics, when its history is painted. Anything that goes wrong in it or leaves its host fails the test. */
  const open = async (t, topics, { device = DESKTOP, prepare = () => {} } = {}) => {
    const context = await browser.newContext(device);
    const page = await context.newPage();
    const faults = [];
    page.on('pageerror', (error) => faults.push(String(error)));
    page.on('console', (message) => message.type() === 'error' && faults.push(message.text()));
    page.on('request', (request) => new URL(request.url()).origin === new URL(server.url).origin || faults.push(`asked ${request.url()}`));
    await prepare(page);
    await page.goto(`${server.url}/?${new URLSearchParams(topics.map((topic) => ['topic', topic]))}`);
    await until(() => page.evaluate(() => performance.getEntriesByName('freshet:first-paint-500').length > 0), 'the history is painted');
    t.after(async () => {
      await context.close();
      assert.deepEqual(faults, []);
    });
    return page;
  };

  test('the last 500 events are on the screen at once, newest first, whatever their type', async (t) => {
    const topic = newTopic('history');
    await server.publish(changes(topic, 0, 620));
    const times = [];
    for (let i = 0; i < 5; i += 1) {
      const page = await open(t, [topic]);
      const [opened, painted] = await markTimes(page);
      times.push(painted - opened);
      const shown = await titles(page);
      assert.deepEqual(shown, Array.from({ length: 500 }, (_, n) => `Page number ${619 - n}`));
      assert.equal(await counted(page), 500);
      assert.equal(await text(page, '#state'), 'Live');
      await page.context().close();
    }
    times.sort((a, b) => a - b);
    t.diagnostic(`open → 500 painted: median ${times[2].toFixed(0)} ms, ${times.map((ms) => ms.toFixed(0)).join(', ')} (goal ${PAINT_GOAL_MS} ms; ${LOAD()})`);
    assert.ok(times[2] < scaled(PAINT_BOUND_MS), `median ${times[2]} ms`);
  });

  test('new events come at the top, and no more than 500 rows stay', async (t) => {
    const topic = newTopic('live');
    await server.publish(changes(topic, 0, 499));
    const page = await open(t, [topic]);
    await server.publish(changes(topic, 499, 10));
    await until(async () => (await counted(page)) === 509, '509 counted');
    await until(async () => (await titles(page))[0] === 'Page number 508', 'the newest is drawn');
    assert.equal((await titles(page)).length, 500);
    assert.equal(await text(page, '#total'), '509');
    await until(async () => (await text(page, '#totals')).includes('509'), 'the total of the topic');
  });

  test(`${RATE} events a second: every one counted once, and the page stays fluent`, async (t) => {
    const topic = newTopic('flood');
    await server.publish(changes(topic, 0, 500));
    const page = await open(t, [topic], {
      prepare: (it) => it.addInitScript(() => {
        globalThis.fluency = { frames: 0, worstFrame: 0, longTasks: [] };
        new PerformanceObserver((entries) => fluency.longTasks.push(...entries.getEntries().map(({ duration }) => duration))).observe({ type: 'longtask' });
      }),
    });
    await page.evaluate(() => {
      fluency.longTasks = [];
      fluency.start = performance.now();
      let last = fluency.start;
      const frame = (now) => {
        fluency.frames += 1;
        fluency.worstFrame = Math.max(fluency.worstFrame, now - last);
        last = now;
        requestAnimationFrame(frame);
      };
      requestAnimationFrame(frame);
    });
    const total = RATE * RATE_SECONDS;
    const started = Date.now();
    let sent = 0;
    while (sent < total) {
      const due = Math.min(total, Math.floor(((Date.now() - started) * RATE) / 1000));
      if (due > sent) await server.publish(changes(topic, 500 + sent, due - sent));
      sent = Math.max(sent, due);
      await new Promise((resolve) => { setTimeout(resolve, 10); }); // the pace of the publisher, not a wait for the page
    }
    const { frames, worstFrame, longTasks, ms } = await page.evaluate(() => ({ ...fluency, ms: performance.now() - fluency.start }));
    await until(async () => (await counted(page)) >= 500 + total, 'all counted', 20_000);
    assert.equal(await counted(page), 500 + total);
    await until(async () => (await titles(page))[0] === `Page number ${499 + total}`, 'the last is drawn');
    assert.deepEqual(await titles(page), Array.from({ length: 500 }, (_, n) => `Page number ${499 + total - n}`));
    const longest = Math.max(0, ...longTasks);
    t.diagnostic(`${RATE}/s for ${RATE_SECONDS} s: ${((frames * 1000) / ms).toFixed(0)} frames/s, worst frame ${worstFrame.toFixed(0)} ms, ${longTasks.length} tasks over 50 ms (longest ${longest.toFixed(0)} ms; ${LOAD()})`);
  });

  test('each kind of data is readable: a change, an access, figures, plain text', async (t) => {
    const topic = newTopic('kinds');
    await server.publish([
      { topic, data: 'plain text,\nin two lines' },
      { topic, data: JSON.stringify({ topic, time: '2023-07-29T07:51:39Z', method: 'GET', uri: '/missing?x=1', status: 404, bytes: 2048, duration: 0.25, remote_addr: '192.0.2.7' }) },
      { topic, data: JSON.stringify({ topic, busy: 12.345, free_bytes: 1_572_864, device: 'vda', nested: { a: 1 } }) },
      { topic, type: 'edit', data: JSON.stringify({ wiki: 'enwiki', title: 'A page', user: 'Somebody', comment: '/* Part */ word', length: { old: 10, new: 4 }, title_url: 'https://example.org/A' }) },
    ]);
    const page = await open(t, [topic]);
    const [edit, figures, access, plain] = (await page.locator('#events .row').allInnerTexts()).map((row) => row.replaceAll(/\s+/g, ' '));
    assert.match(edit, new RegExp(`${topic}.*edit.*A page Somebody → Part · word −6`), 'the topic is the event\'s own');
    assert.match(figures, /busy 12\.35 free_bytes 1\.5 MiB device vda nested \{"a":1\}/);
    assert.match(access, /GET \/missing\?x=1 192\.0\.2\.7 2 KiB · 250 ms.*404/);
    assert.match(plain, /plain text, in two lines/);
    assert.match(plain, new RegExp(topic), 'the filter names the topic where the data does not');
    assert.equal(await page.locator('#events .title[href]').getAttribute('href'), 'https://example.org/A');
  });

  test('data cannot become markup, script or a link of another kind', async (t) => {
    const topic = newTopic('hostile');
    const hostile = '<img src=x onerror="document.title=1"><script>document.title=2</script>';
    await server.publish([
      { topic, data: hostile },
      { topic, type: 'edit', data: JSON.stringify({ topic: hostile, title: hostile, user: hostile, comment: hostile, title_url: 'javascript:alert(1)' }) },
      { topic, data: JSON.stringify({ topic, [hostile]: hostile }) },
      { topic, data: '{"time":{"toString":1,"valueOf":1},"status":{"valueOf":1},"method":"GET","uri":"/","bytes":{"toString":null}}' },
      { topic, data: '{"title":"t","user":"u","length":{"new":{"valueOf":1},"old":[]},"time":[{"toString":1}]}' },
      { topic, data: `{"topic": 3, "__proto__": {"title": "x"}, "title": {}, "length": {"new": {}}, "user": [], "method": 1}` },
    ]);
    const page = await open(t, [topic]);
    assert.equal(await page.locator('#events .row').count(), 6, 'each, whatever kind its members are of');
    assert.equal(await page.locator('main img, main script, #events a[href]').count(), 0);
    assert.equal(await page.title(), 'freshet');
    await page.locator('#events .id').nth(3).click();
    assert.match(await page.locator('pre').innerText(), /onerror/);
  });

  test('the filter: typed, applied, in the address, taken back', async (t) => {
    const [one, two, other] = ['one', 'two', 'other'].map((word) => newTopic(word));
    await server.publish([change(one, 1), change(two, 2), change(other, 3)]);
    const page = await open(t, [other]);
    assert.equal(await page.locator('#filter').inputValue(), other);
    await page.locator('#filter').fill(` ${one}  two-${process.pid}-* `);
    await page.locator('#filter').press('Enter');
    await until(async () => (await titles(page)).length === 2, 'both topics');
    assert.deepEqual(await titles(page), ['Page number 2', 'Page number 1']);
    assert.deepEqual(new URL(page.url()).searchParams.getAll('topic'), [one, `two-${process.pid}-*`]);
    await until(async () => (await text(page, '#totals')).includes(two), 'the totals of the new view');
    assert.ok(!(await text(page, '#totals')).includes(other));
    await page.getByRole('button', { name: two }).click();
    await until(async () => (await titles(page)).join() === 'Page number 2', 'the topic that was clicked');
    await page.goBack();
    await page.goBack();
    await until(async () => (await titles(page)).join() === 'Page number 3', 'the first view again');
  });

  test('cut and resume: the page says what was caught up, and that nothing is missing', async (t) => {
    const topic = newTopic('cut');
    await server.publish(changes(topic, 0, 3));
    const page = await open(t, [topic]);
    const position = await text(page, '#position');
    await page.locator('#cut').press('Enter');
    await until(async () => (await text(page, '#state')) === 'Cut', 'the cut is shown');
    await server.publish(changes(topic, 3, 37));
    await until(async () => (await text(page, '#state')) === 'Live', 'live again', 10_000);
    await until(async () => (await counted(page)) === 40, 'all counted');
    assert.match((await text(page, '#log li:first-child')), new RegExp(`Resumed from ${position}.*: 37 events caught up, none missing$`));
    assert.deepEqual(await titles(page), Array.from({ length: 40 }, (_, n) => `Page number ${39 - n}`));
    assert.match(await text(page, '#events .mark'), /37 events caught up/);
  });

  test('pause holds the list while counting goes on', async (t) => {
    const topic = newTopic('pause');
    await server.publish(changes(topic, 0, 2));
    const page = await open(t, [topic]);
    await page.locator('#pause').press('Space');
    assert.equal(await page.locator('#pause').getAttribute('aria-pressed'), 'true');
    await server.publish(changes(topic, 2, 700));
    await until(async () => (await counted(page)) === 702, 'all counted');
    assert.equal(await text(page, '#held'), '700 new');
    assert.equal((await titles(page)).length, 2);
    await page.locator('#pause').press('Space');
    await until(async () => (await titles(page))[0] === 'Page number 701', 'the newest is drawn');
    assert.equal((await titles(page)).length, 500);
  });

  test('a phone: nothing is wider than the screen, and the list is on the first one', async (t) => {
    const topic = newTopic('phone');
    await server.publish([...changes(topic, 0, 50), { topic, data: JSON.stringify({ topic, long: 'w'.repeat(500) }) }]);
    const page = await open(t, [topic], { device: PHONE });
    const { width, top } = await page.evaluate(() => ({ width: document.documentElement.scrollWidth, top: document.querySelector('#events').getBoundingClientRect().top }));
    assert.equal(width, PHONE.viewport.width);
    assert.ok(top < PHONE.viewport.height * 0.75, `the list begins at ${top}`);
  });

  test('the state is announced, the flood is not; every control has a name', async (t) => {
    const page = await open(t, [newTopic('access')]);
    assert.equal(await page.locator('#events').evaluate((it) => it.closest('[aria-live], [role=log], [role=status]')), null);
    assert.equal(await page.locator('[role=status] #state').count(), 1);
    for (const role of ['button', 'textbox', 'link']) {
      for (const control of await page.getByRole(role).all()) {
        const names = await control.evaluate((it) => [it.getAttribute('aria-label'), it.textContent, ...[...(it.labels ?? [])].map((label) => label.textContent)]);
        assert.ok(names.some((it) => it?.trim()), await control.evaluate((it) => it.outerHTML));
      }
    }
  });

  test("with the browser's own EventSource: named types, signals and a resume after the connection is given up", async (t) => {
    const topic = newTopic('native');
    await server.publish(changes(topic, 0, 3));
    const page = await open(t, [topic]);
    const follow = (query) => page.evaluate(async ([name, more]) => {
      const { Freshet } = await import('/freshet.js');
      globalThis.client?.close();
      globalThis.seen = { data: [], lives: [], waits: [] };
      globalThis.client = new Freshet(`/events?topic=${name}${more}`, { types: ['edit', 'new', 'log', 'categorize', 'error'] });
      client.onevent = ({ type, data }) => seen.data.push([type, JSON.parse(data).title]);
      client.addEventListener('freshet:live', ({ detail }) => seen.lives.push(detail));
      client.addEventListener('freshet:state', ({ detail }) => detail.state === 'waiting' && seen.waits.push(detail.reason));
    }, [topic, query]);
    const seen = () => page.evaluate(() => globalThis.seen);
    await follow('&last=2');
    await until(async () => (await seen()).lives.length === 1, 'live');
    assert.equal(await page.evaluate(() => client.transport), 'eventsource');
    await page.evaluate(() => client.reconnect(0, 'test'));
    await until(async () => (await seen()).lives.length === 2, 'live again');
    await server.publish([change(topic, 3), { ...change(topic, 4), type: 'error' }]);
    await until(async () => (await seen()).data.length === 4, 'four events');
    assert.deepEqual((await seen()).data, [['new', 'Page number 1'], ['log', 'Page number 2'], ['categorize', 'Page number 3'], ['error', 'Page number 4']]);
    assert.deepEqual((await seen()).waits, ['test'], 'a row of type error is no failure of the connection');
    assert.equal((await seen()).lives[1].from, (await seen()).lives[0].id);
  });
});
