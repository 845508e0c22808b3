// Greedy neighbours: what one client asks for must not be felt by the others. See fanout.mjs for what a
// scenario is.
import http from 'node:http';
import { join } from 'node:path';
import { run } from '../../tests/e2e/kit/process.mjs';
import { tool } from '../../tests/e2e/kit/env.mjs';
import { anyFault, faults, publish } from './client.mjs';
import { directory } from './machine.mjs';
import { emptyDatabase } from './servers.mjs';

const ROWS = 5000;
const ROW_BYTES = 10_000;
const SCANNERS = 4;
const ABANDONED = 60;

/* 50 MB of JSON made of small objects, which cost most to look through. */
let made;
function heavyTable() {
    if (made)
        return made;
    made = join(directory(), 'events.db');
    emptyDatabase(made);
    const element = '{"a":1,"b":"x","c":[1,2,3]},';
    const n = Math.floor(ROW_BYTES / element.length);
    run(tool('sqlite3'), [made, `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${ROWS})
        INSERT INTO events(topic, data) SELECT 'heavy', '{"n":' || i || ',"list":[' ||
        replace(printf('%.*c', ${n}, 'x'), 'x', '${element}') || '0]}' FROM n`]);
    return made;
}

/* One request from an address of its own. until(text): closes it then; resolves with the milliseconds that took. */
function ask(target, address, rest, { headers = {}, until = () => false, abandonAfter } = {}) {
    return new Promise((resolve, reject) => {
        const began = performance.now();
        const done = () => {
            request.destroy();
            resolve(performance.now() - began);
        };
        const request = http.get({ host: '127.0.0.1', port: target.port, path: `/events?${rest}`, agent: false,
            localAddress: address, headers: { Accept: 'text/event-stream', ...headers } }, (response) => {
            let text = '';
            response.on('data', (chunk) => {
                text = (text + chunk).slice(-4096);
                if (until(text))
                    done();
            });
            response.on('end', done);
            response.on('error', done);
        });
        request.on('error', (error) => (abandonAfter === undefined ? reject(error) : done()));
        if (abandonAfter !== undefined)
            setTimeout(done, abandonAfter);
    });
}

const isLive = (text) => text.includes('freshet:live');

/* Whole scans of the table, one after the other, for conditions that nothing meets. */
async function scan(target, state, number) {
    for (let i = 0; !state.over; i++)
        await ask(target, `127.0.0.${20 + number}`, `since=earliest&where=/nope=${number}.${i}`, { until: (text) => isLive(text) || state.over });
}

async function abandon(target, state) {
    while (!state.over) {
        await Promise.all(Array.from({ length: ABANDONED }, (_, i) =>
            ask(target, '127.0.0.30', `last=1000000&where=/no${i}=1`, { abandonAfter: 20 })));
        await new Promise((resolve) => setTimeout(resolve, 300));
    }
}

/* Another client's pages and streams meanwhile. */
async function honest(target, state) {
    const seen = { page: [], live: [] };
    while (!state.over) {
        seen.page.push(await ask(target, '127.0.0.5', 'topic=heavy&before=now&limit=5', { headers: { Accept: 'application/json' } }));
        seen.live.push(await ask(target, '127.0.0.6', 'topic=heavy&last=3', { until: isLive }));
        await new Promise((resolve) => setTimeout(resolve, 50));
    }
    return seen;
}

const most = (list) => Math.max(...list);

const greedy = {
    name: 'greedy', title: 'Live delivery beside greedy clients, on a table of 50 MB',
    servers: ['freshet'],
    why: `50 clients follow 100 events a second; then beside ${SCANNERS} clients that scan the whole table for a where= that nothing ` +
        `meets, again and again, and ${ABANDONED} searches for the newest million that are given up after 20 ms, three times a ` +
        'second. Another client asks for pages and opens streams meanwhile; the slowest counts.',
    seconds: [10, 4], repetitions: [3, 1],
    async measure(server, ctx) {
        const target = await ctx.open({ db: heavyTable(), options: ['--window-events', '1024', '--window-bytes', '4M'] });
        const newest = Number(run(tool('sqlite3'), [heavyTable(), 'SELECT max(id) FROM events']).stdout);
        target.next = newest + 1;
        const live = ctx.load(target, { streams: 50 });
        await live.open(target.next);
        await publish(target, { rate: 100, seconds: 1 });
        await live.command('aim', target.next - 1);
        await live.command('mark');
        await publish(target, { rate: 100, seconds: ctx.seconds });
        const calm = await live.command('aim', target.next - 1);
        await live.command('mark');
        const state = { over: false };
        const busy = [abandon(target, state), ...Array.from({ length: SCANNERS }, (_, i) => scan(target, state, i))];
        const other = honest(target, state);
        await publish(target, { rate: 100, seconds: ctx.seconds });
        const end = await live.command('aim', target.next - 1);
        state.over = true;
        const seen = await other;
        await Promise.all(busy);
        return {
            figures: { calm_p99: calm.fast.latency_ms.p99, live_p99: end.fast.latency_ms.p99,
                times: end.fast.latency_ms.p99 / calm.fast.latency_ms.p99, page: most(seen.page), live: most(seen.live) },
            faults: anyFault(faults(calm), faults(end)),
        };
    },
    columns: { calm_p99: 'live p99 ms alone', live_p99: 'live p99 ms beside them', times: 'times',
        page: 'slowest page, ms', live: 'slowest stream until live, ms' },
    judge: (of) => [
        { what: 'p99 of live delivery', value: of('freshet')('times'), unit: 'x', most: 2 },
        { what: "another client's page", value: of('freshet')('page'), unit: 'ms', most: 200 },
        { what: 'another client is live after', value: of('freshet')('live'), unit: 'ms', most: 100 },
    ],
};

export const scenarios = [greedy];
