// Clients that resume by themselves. Each has a name, a filter (patterns of topics), last(), the id of
// the newest event that it has, and record(), what its application saw:
// { name, filter, events: [{ at, id, type, length, hash }], opens, resets, dead }.
import { closeSync, openSync, readFileSync } from 'node:fs';
import { spawn } from 'node:child_process';
import { chromium } from 'playwright-core';
import { CHROMIUM } from '../browser/page-suite.mjs';
import { program } from '../e2e/kit/env.mjs';
import { keep } from '../e2e/kit/process.mjs';
import { Source } from '../e2e/kit/source.mjs';
import { hash, types } from './seeded.mjs';

/** ["a", "c/*"] as a query; every client begins with the first event. */
export function query(filter) {
    return `?${new URLSearchParams([...filter.map((topic) => ['topic', topic]), ['since', 'earliest']])}`;
}

/** The `eventsource` package. */
export class PackageClient {
    constructor(name, base, filter) {
        Object.assign(this, { name, filter, events: [] });
        this.source = new Source(`${base}/events${query(filter)}`, ['freshet:reset']);
        for (const type of ['message', ...types])
            this.source.source.addEventListener(type, ({ lastEventId, data }) => {
                const bytes = Buffer.from(data);
                this.events.push({ at: Date.now(), id: lastEventId, type, length: bytes.length, hash: hash(bytes) });
            });
    }

    last() {
        return this.events.at(-1)?.id;
    }

    record() {
        return { name: this.name, filter: this.filter, events: this.events, opens: this.source.opens,
            resets: this.source.seen('freshet:reset').map((event) => event.data),
            dead: this.source.dead ? 'readyState is CLOSED' : undefined };
    }

    close() {
        this.source.close();
    }
}

/** tests/crash/client.c; args: its options. */
export class CClient {
    constructor(name, port, filter, log, args = []) {
        Object.assign(this, { name, filter, log });
        const out = openSync(log, 'w');
        this.child = keep(spawn(program('tests/crash/client'),
            [...args, `127.0.0.1:${port}`, `/events${query(filter)}`], { stdio: ['ignore', out, 'inherit'] }));
        closeSync(out);
    }

    rows() {
        return readFileSync(this.log, 'utf8').split('\n').slice(0, -1).map((line) => line.split('\t'));
    }

    last() {
        return this.rows().findLast(([kind]) => kind === 'event')?.[2];
    }

    record() {
        const rows = this.rows();
        const of = (kind) => rows.filter((row) => row[0] === kind);
        return { name: this.name, filter: this.filter, opens: of('open').length,
            events: of('event').map(([, at, id, type, length, digest]) =>
                ({ at: Number(at), id, type, length: Number(length), hash: digest })),
            resets: of('signal').filter((row) => row[2] === 'freshet:reset').map((row) => row[3]),
            dead: of('dead')[0]?.[2] };
    }

    close() {
        this.child.kill('SIGKILL');
    }
}

/* Runs in the page. */
function followInPage({ streams, types, hashSource }) {
    const hash = new Function(`return ${hashSource}`)();
    const encoder = new TextEncoder();
    globalThis.records = streams.map(({ url, kind }) => {
        const record = { events: [], opens: 0, resets: [] };
        const add = (id, type, data) => {
            const bytes = encoder.encode(data);
            record.events.push({ at: Date.now(), id, type, length: bytes.length, hash: hash(bytes) });
        };
        if (kind === 'native') {
            const source = new EventSource(url);
            source.onopen = () => { record.opens++; };
            source.onerror = () => { if (source.readyState === EventSource.CLOSED) record.dead = 'CLOSED'; };
            for (const type of ['message', ...types])
                source.addEventListener(type, (e) => add(e.lastEventId, type, e.data));
            source.addEventListener('freshet:reset', (e) => record.resets.push(e.data));
        } else {
            import('/freshet.js').then(({ Freshet }) => {
                const stream = new Freshet(url, { types: kind === 'fetch' ? '*' : types, minDelay: 200, maxDelay: 400 });
                stream.onevent = ({ id, type, data }) => add(id, type, data);
                stream.addEventListener('freshet:state', ({ detail }) => {
                    if (detail.state === 'open') record.opens++;
                    if (detail.state === 'closed') record.dead = detail.reason;
                });
                stream.addEventListener('freshet:reset', ({ detail }) => record.resets.push(JSON.stringify(detail)));
            }).catch((error) => { record.dead = String(error); });
        }
        return record;
    });
}

/** One Chromium with a page per web server; streams: { name, base, filter, kind: native | events | fetch }. */
export class Browser {
    static async open(streams) {
        const browser = new Browser();
        browser.streams = streams;
        browser.chromium = await chromium.launch(CHROMIUM);
        browser.pages = [];
        for (const base of new Set(streams.map((stream) => stream.base))) {
            const page = await browser.chromium.newPage();
            const own = streams.filter((stream) => stream.base === base);
            // A document of the same origin without a stream of its own.
            await page.goto(`${base}/icon.svg`);
            await page.evaluate(followInPage, { types, hashSource: hash.toString(),
                streams: own.map(({ filter, kind }) => ({ url: `${base}/events${query(filter)}`, kind })) });
            browser.pages.push({ page, own });
        }
        return browser;
    }

    clients() {
        return this.pages.flatMap(({ page, own }) => own.map(({ name, filter }, i) => ({
            name, filter,
            last: () => page.evaluate((at) => globalThis.records[at].events.at(-1)?.id, i),
            record: async () => ({ name, filter, ...await page.evaluate((at) => globalThis.records[at], i) }),
        })));
    }

    async close() {
        await this.chromium.close();
    }
}
