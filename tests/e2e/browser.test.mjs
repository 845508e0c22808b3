// The page in Chromium through the real thing: rows inserted by the sqlite3 shell, the responder, nginx
// or lighttpd. What the page must do is told in browser/page-suite.mjs, which fails when anything is said on the
// console: so what Content-Security-Policy forbids is nothing that the page needs.
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { describe, it } from 'node:test';
import { chromium } from 'playwright-core';
import { CHROMIUM, pageSuite } from '../browser/page-suite.mjs';
import { literal } from './kit/database.mjs';
import { until } from './kit/wait.mjs';
import { World, servers } from './kit/world.mjs';

for (const server of servers) {
    pageSuite(`the page through ${server}`, async () => {
        const world = await World.open({ server });
        const shell = world.db.shell();
        return {
            url: world.base,
            publish: (events) => shell.execute(`BEGIN; ${events.map(({ topic, type, data }) =>
                `INSERT INTO events(topic, type, data) VALUES(${literal(topic)}, ${literal(type)}, ` +
                `${literal(data)});`).join('\n')} COMMIT`),
            stop: async () => {
                await shell.close();
                await world.close();
            },
        };
    });
}

describe('what the page may do', () => {
    for (const server of servers)
        it(`in production through ${server}: its own things, and nothing of anybody else's`, async (t) => {
            const world = await World.open({ server, variant: 'production' });
            t.after(() => world.close());
            const stranger = createServer((request, response) => {
                response.writeHead(200, { 'Content-Type': 'text/html' })
                    .end(`<title>stranger</title><iframe src="${world.base}/"></iframe>`);
            });
            await new Promise((resolve) => stranger.listen(0, '127.0.0.1', resolve));
            t.after(() => stranger.close());
            const browser = await chromium.launch(CHROMIUM);
            t.after(() => browser.close());
            const context = await browser.newContext({ ignoreHTTPSErrors: true });
            const page = await context.newPage();
            const said = [];
            page.on('console', (message) => message.type() === 'error' && said.push(message.text()));
            page.on('pageerror', (error) => said.push(String(error)));

            await page.goto(`${world.base}/?topic=csp`);
            await until('Live', async () => await page.locator('#state').innerText() === 'Live');
            world.db.publish({ topic: 'csp', data: '{"title":"A title"}' });
            await page.getByText('A title').first().waitFor();
            assert.deepEqual(said, []);

            // What somebody might get into the page: a script in it, one from elsewhere, a request to elsewhere.
            const { port } = stranger.address();
            await page.evaluate((from) => {
                const inline = document.createElement('script');
                inline.textContent = 'window.caught = true';
                const foreign = document.createElement('script');
                foreign.src = from;
                const picture = document.createElement('img');
                picture.src = from;
                document.body.append(inline, foreign, picture);
                return fetch(from, { mode: 'no-cors' }).catch(() => {});
            }, `http://127.0.0.1:${port}/x`);
            await until('four refusals', () => said.filter((text) => /Content Security Policy/.test(text)).length >= 4);
            assert.equal(await page.evaluate(() => window.caught), undefined);

            const frame = await context.newPage();
            const refusals = [];
            frame.on('console', (message) => refusals.push(message.text()));
            await frame.goto(`http://127.0.0.1:${port}/`);
            await until('the frame to be refused', () => refusals.some((text) => /frame-ancestors/.test(text)));
        });
});
