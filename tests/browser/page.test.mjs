/*
 * The page in Chromium: the whole suite against the fake server or, if FRESHET_URL names one, against a running freshet; and what only
 * the fake server can bring about.
 *
 *   FRESHET_URL      where the page is served, e.g. http://127.0.0.1:8080
 *   FRESHET_INGEST   a shell command that appends NDJSON lines {"topic", "type", "data"} from its standard input to that freshet's
 *                    table as they come, e.g. "freshet-ingest --db events.db"
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { after, before, describe, test } from 'node:test';
import { existsSync } from 'node:fs';
import { chromium } from 'playwright-core';
import { problem, startFakeServer, until } from './fake-server.mjs';
import { CHROMIUM, pageSuite } from './page-suite.mjs';

const running = () => {
  const ingest = spawn(process.env.FRESHET_INGEST, { shell: true, stdio: ['pipe', 'inherit', 'inherit'] });
  return {
    url: process.env.FRESHET_URL.replace(/\/$/, ''),
    publish: (events) => new Promise((resolve) => { ingest.stdin.write(events.map((event) => `${JSON.stringify(event)}\n`).join(''), resolve); }),
    stop: async () => {
      ingest.stdin.end();
      await once(ingest, 'exit');
    },
  };
};

const skip = existsSync(CHROMIUM.executablePath) ? false : `${CHROMIUM.executablePath} is not installed`;

describe('the page', { skip }, () => {
  if (process.env.FRESHET_URL) {
    pageSuite(`served by ${process.env.FRESHET_URL}`, async () => running());
    return;
  }
  pageSuite('served by the fake server', () => startFakeServer());

  describe('when things go wrong', () => {
    let server;
    let browser;
    before(async () => { browser = await chromium.launch(CHROMIUM); });
    after(() => browser?.close());

    const open = async (t, options) => {
      server = await startFakeServer(options);
      const page = await browser.newPage();
      t.after(async () => {
        await page.close();
        await server.stop();
      });
      return page;
    };
    const state = (page, wanted) => until(async () => (await page.locator('#state').innerText()) === wanted, `state ${wanted}`);
    const lastLog = (page) => page.locator('#log li:first-child').innerText();
    const logs = async (page) => (await page.locator('#log').innerText()).split('\n').map((line) => line.replace(/^[\d:]+\s+/, ''));

    test('a reset is shown with its reason, in the log and in the list', async (t) => {
      const page = await open(t);
      server.publish([{ data: '1' }, { data: '2' }]);
      await page.goto(server.url);
      await state(page, 'Live');
      server.answerNext((request, response, proceed) => {
        server.publish([{ data: '3' }, { data: '4' }, { data: '5' }]);
        server.prune(3);
        proceed();
      });
      server.drop();
      await until(async () => (await page.locator('#events .mark').count()) === 2, 'the reset and the reconnection');
      const [now, reset] = await logs(page);
      assert.equal(now, 'Reconnected: 2 events since the reset');
      assert.equal(reset, 'Reset: events after position 2-k3f9 were pruned before they could be read; the stream goes on from 4-k3f9 (newest 5-k3f9)');
    });

    test('a refusal is shown with the words of the server', async (t) => {
      const page = await open(t);
      server.answerNext((request, response) => problem(response, 403, 'Not allowed', 'topic secret is not yours'));
      await page.goto(`${server.url}/?topic=secret`);
      await state(page, 'Waiting');
      assert.match(await lastLog(page), /The server answered 403: Not allowed: topic secret is not yours; next attempt in \d/);
    });

    test('a server that goes away and comes back: the page resumes by itself', async (t) => {
      const page = await open(t);
      server.publish([{ data: '1' }]);
      await page.goto(server.url);
      await state(page, 'Live');
      server.answerNext((request, response) => response.destroy());
      server.drop();
      await until(async () => server.requests.length >= 3, 'it comes back');
      await state(page, 'Live');
      assert.match(await lastLog(page), /Resumed from 1-k3f9: 0 events caught up, none missing$/);
    });

    test('restored from the back/forward cache, the page makes a new connection from where it was', async (t) => {
      const page = await open(t);
      server.publish([{ data: '1' }]);
      await page.goto(server.url);
      await state(page, 'Live');
      await page.evaluate(() => window.dispatchEvent(new PageTransitionEvent('pageshow', { persisted: false })));
      await page.evaluate(() => window.dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true })));
      await until(() => server.requests.length === 2, 'a new connection');
      assert.equal(server.requests[1].query.get('last_event_id'), '1-k3f9');
    });

    test('when the network returns, the page does not wait out its delay', async (t) => {
      const page = await open(t, { retryMs: 60_000 });
      await page.goto(server.url);
      await state(page, 'Live');
      server.drop();
      await state(page, 'Waiting');
      await page.evaluate(() => window.dispatchEvent(new Event('online')));
      await state(page, 'Live');
    });

    test("the browser's own EventSource ends on a 503: a new one asks from the last id", async (t) => {
      const page = await open(t);
      await page.goto(server.url);
      await state(page, 'Live');
      await page.evaluate(async () => {
        const { Freshet } = await import('/freshet.js');
        globalThis.seen = [];
        globalThis.client = new Freshet('/events?topic=mine', { types: [], minDelay: 10, maxDelay: 50 });
        client.addEventListener('freshet:live', ({ detail }) => seen.push(detail));
        client.addEventListener('message', ({ data }) => seen.push(data));
      });
      const seen = (n) => until(async () => (await page.evaluate(() => seen.length)) >= n, `${n} things seen`);
      await seen(1);
      server.publish([{ topic: 'mine', data: 'x' }]);
      await seen(2);
      const refuse = (request, response, proceed) => {
        if (request.url.includes('topic=mine')) problem(response, 503, 'Busy', '');
        else proceed();
        if (!request.url.includes('topic=mine')) server.answerNext(refuse);
      };
      server.answerNext(refuse);
      server.drop();
      await seen(3);
      const mine = server.requests.filter(({ url }) => url.includes('topic=mine'));
      assert.equal(mine.at(-1).query.get('last_event_id'), '1-k3f9');
    });
  });
});
