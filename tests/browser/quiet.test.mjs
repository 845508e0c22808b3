// A stream of a quiet topic in real browsers: the EventSource has had no event yet when it is cut, and
// gets what was committed meanwhile. The page is on an origin of its own and tells this test what it sees.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { keep } from '../e2e/kit/process.mjs';
import { until } from '../e2e/kit/wait.mjs';
import { World } from '../e2e/kit/world.mjs';

const browsers = {
    chromium: (home, url) => ['/usr/bin/chromium', ['--headless', '--no-sandbox', '--disable-gpu', '--no-first-run',
        `--user-data-dir=${home}`, url]],
    firefox: (home, url) => ['/usr/bin/firefox-esr', ['--headless', '--no-remote', '--profile', home, url]],
};

const page = (events) => `<!doctype html><title>quiet</title><script>
    const tell = (what) => fetch('/seen', { method: 'POST', body: JSON.stringify(what) });
    const source = new EventSource(${JSON.stringify(events)});
    source.onopen = () => tell({ open: true });
    source.onmessage = (event) => tell({ data: event.data, id: event.lastEventId });
    for (const name of ['live', 'reset', 'at'])
        source.addEventListener('freshet:' + name, (event) => tell({ signal: name, id: event.lastEventId }));
</script>`;

/* What the page has told so far; serves it. */
async function teller() {
    const seen = [];
    const server = createServer((request, response) => {
        if (request.method !== 'POST') {
            response.writeHead(200, { 'Content-Type': 'text/html' }).end(server.page ?? '');
            return;
        }
        let body = '';
        request.on('data', (chunk) => { body += chunk; });
        request.on('end', () => {
            seen.push(JSON.parse(body));
            response.end();
        });
    });
    await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
    return { server, seen, origin: `http://127.0.0.1:${server.address().port}` };
}

describe('a quiet stream that is cut by a restart', () => {
    for (const [name, command] of Object.entries(browsers))
        it(`loses nothing in ${name}`, async (t) => {
            const { server, seen, origin } = await teller();
            t.after(() => { server.closeAllConnections(); server.close(); });
            const world = await World.open({ options: ['--retry-min', '500ms', '--retry-max', '600ms', '--cors-origin', origin] });
            t.after(() => world.close());
            server.page = page(world.url('?topic=quiet'));
            const home = mkdtempSync(join(tmpdir(), 'freshet-browser-'));
            const [program, args] = command(home, `${origin}/`);
            const child = keep(spawn(program, args, { stdio: 'ignore', env: { ...process.env, HOME: home } }));
            t.after(async () => {
                const ended = new Promise((resolve) => child.once('exit', resolve));
                child.kill();
                await ended;
                rmSync(home, { recursive: true, force: true, maxRetries: 5 });
            });
            const is = (what) => seen.filter((one) => Object.entries(what).every(([k, v]) => one[k] === v));
            await until('it to be live', () => is({ signal: 'live' }).length === 1, { within: 60_000 });
            world.db.publish({ topic: 'another', data: 'not for it' });
            await world.responder.process.stop('SIGTERM');
            const missed = world.db.publish({ topic: 'quiet', data: 'while it was away' });
            await world.responder.start();
            await until('the event', () => seen.some((one) => one.data !== undefined), { within: 60_000 });
            assert.deepEqual(seen.filter((one) => one.data !== undefined),
                [{ data: 'while it was away', id: `${missed}-${world.db.epoch}` }]);
            assert.deepEqual(is({ signal: 'reset' }), []);
        });
});
