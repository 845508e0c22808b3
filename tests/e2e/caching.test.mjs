// Pages of history in a browser that several people use, one after the other: each sees what he may see, and nothing of the one
// before him, though the browser has a cache.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { chromium } from 'playwright-core';
import { CHROMIUM } from '../browser/page-suite.mjs';
import { makeKeys, makeToken } from './kit/token.mjs';
import { World, servers } from './kit/world.mjs';

const { secret } = makeKeys();
const reader = (...read) => makeToken(secret, { freshet: { read } });
const dir = mkdtempSync(join(tmpdir(), 'freshet-keys-'));
process.on('exit', () => rmSync(dir, { recursive: true, force: true }));

for (const server of servers) {
    describe(`one browser through ${server}, one user after the other`, () => {
        let world;
        let browser;
        before(async () => {
            const key = join(dir, 'key');
            writeFileSync(key, secret);
            world = await World.open({
                server, options: ['--token-key', key, '--token-cookie', 'login'],
                prepare: (db) => ['a', 'b', 'a', 'b', 'end'].forEach((topic, i) => db.publish({ topic, data: `${topic}${i + 1}` })),
            });
            browser = await chromium.launch(CHROMIUM);
        });
        after(async () => {
            await browser?.close();
            await world?.close();
        });

        /* A page of world.base in a browser of its own; visit(token, rest) is what it gets with this login. */
        const open = async (t) => {
            const context = await browser.newContext();
            t.after(() => context.close());
            const page = await context.newPage();
            const statuses = [];
            page.on('response', (response) => statuses.push(response.status()));
            await page.goto(`${world.base}/`);
            return async (token, rest) => {
                await context.clearCookies();
                if (token)
                    await context.addCookies([{ name: 'login', value: token, url: world.base }]);
                return page.evaluate(async (path) => {
                    const response = await fetch(path, { headers: { Accept: 'application/json' } });
                    const body = response.ok ? await response.json() : null;
                    return { status: response.status, data: (body?.events ?? [body]).map((event) => event?.data) };
                }, `/events${rest}`);
            };
        };
        const PAGE = '?last_event_id=0&limit=2'; // between two rows: it can never change

        it('the next user does not see the pages of the one before, nor does somebody who is logged out', async (t) => {
            const visit = await open(t);
            assert.deepEqual((await visit(reader('a'), PAGE)).data, ['a1', 'a3']);
            assert.deepEqual((await visit(reader('b'), PAGE)).data, ['b2', 'b4']);
            assert.equal((await visit(undefined, PAGE)).status, 401);
        });

        it('one event is shown to those who may read it', async (t) => {
            const visit = await open(t);
            assert.deepEqual((await visit(reader('a'), '/1')).data, ['a1']);
            assert.equal((await visit(reader('b'), '/1')).status, 404);
            assert.equal((await visit(undefined, '/1')).status, 401);
        });

        it('who is given more rights sees more at once', async (t) => {
            const visit = await open(t);
            assert.deepEqual((await visit(reader('a'), PAGE)).data, ['a1', 'a3']);
            assert.deepEqual((await visit(reader('a', 'b'), PAGE)).data, ['a1', 'b2']);
        });

        it('the page is kept all the same: asked for again, it costs 304', async () => {
            const headers = { Accept: 'application/json', Cookie: `login=${reader('a')}` };
            const first = await fetch(world.url(PAGE), { headers });
            assert.equal(first.headers.get('cache-control'), 'private, no-cache');
            const vary = first.headers.get('vary').split(/, */);
            for (const name of ['Accept', 'Last-Event-ID', 'Authorization', 'Cookie'])
                assert.ok(vary.includes(name), `${name} in ${vary}`);
            await first.arrayBuffer();
            const etag = first.headers.get('etag');
            const again = await fetch(world.url(PAGE), { headers: { ...headers, 'If-None-Match': etag } });
            assert.equal(again.status, 304);
            const other = await fetch(world.url(PAGE), { headers: { ...headers, Cookie: `login=${reader('b')}`, 'If-None-Match': etag } });
            assert.equal(other.status, 200);
        });
    });
}
