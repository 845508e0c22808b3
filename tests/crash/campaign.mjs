// The crash campaign: everything between a publisher and a client is killed with -9, in random order
// and under load, and started again; at the end every client must hold every acknowledged event of
// its topics exactly once and in order, and nothing else.
//
//   FRESHET_BUILD=… node tests/crash/campaign.mjs [--seed N] [--kills N] [--seconds N] [--no-browser]
//                                                 [--sabotage drop|double|skip|early]
//
// The seed is printed: it repeats the order of the kills and all that is published, though not, of
// course, the times at which the machine does things. --sabotage makes one participant wrong on purpose
// (a client that loses or doubles one event or skips one when it resumes, a publisher that takes a
// request for acknowledged before it is): the campaign must then fail. FRESHET_KEEP=1 leaves its directory.
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { Database } from '../e2e/kit/database.mjs';
import { program, root } from '../e2e/kit/env.mjs';
import { Lighttpd } from '../e2e/kit/lighttpd.mjs';
import { Nginx } from '../e2e/kit/nginx.mjs';
import { childrenOf, Process } from '../e2e/kit/process.mjs';
import { Responder } from '../e2e/kit/responder.mjs';
import { quiet, until } from '../e2e/kit/wait.mjs';
import { Browser, CClient, PackageClient } from './clients.mjs';
import { Appender, Inserter, Poster } from './publishers.mjs';
import { Random } from './seeded.mjs';
import { Supervisor } from './supervisor.mjs';
import { expected, judgeClient, judgeTable, longestGap } from './verdict.mjs';

/* Clients come back quickly, silence is noticed, and an ending worker ends within a kill or two. */
const OPTIONS = ['--workers', '2', '--publish', '--retry-min', '100ms', '--retry-max', '300ms', '--heartbeat',
    '2s', '--drain', '300ms'];
const RETRY_MS = 300; // what the web servers say while the responder is away; 3000 as shipped
const CATCH_UP_MS = 60_000;

/** freshet-ingest, following the file that an Appender writes. */
class Ingest {
    constructor(dir, db, file) {
        this.log = join(dir, 'ingest.log');
        this.args = ['--db', db, '--source', 'app', '--follow', file, '--quiet'];
    }

    async start() {
        this.process = new Process(program('freshet-ingest'), this.args, { log: this.log });
    }
}

class Campaign {
    constructor(options, say) {
        this.options = options;
        this.say = say;
        this.began = performance.now();
        this.kills = new Map();
        // One generator each, so that what one of them draws does not depend on how fast the others are.
        const seeds = new Random(options.seed);
        this.random = () => new Random(seeds.below(0xffffffff));
    }

    get seconds() {
        return (performance.now() - this.began) / 1000;
    }

    async open() {
        this.dir = mkdtempSync(join(tmpdir(), 'freshet-crash-'));
        chmodSync(this.dir, 0o755);
        this.db = new Database(this.dir);
        const place = { dir: this.dir, db: this.db.file, web: join(root, 'web'), retryMs: RETRY_MS,
            // nginx keeps connections to the responder, as production.conf does; lighttpd does not.
            parameters: { FRESHET_PUBLISH: 'on' }, keep: 4, orphans: true };
        this.responder = await Responder.open(place, 'unix', OPTIONS);
        place.socket = this.responder.socket;
        this.nginx = await Nginx.open(place, 'minimal');
        this.lighttpd = await Lighttpd.open(place, 'minimal');
        this.file = join(this.dir, 'app.ndjson');
        this.ingest = new Ingest(this.dir, this.db.file, this.file);
        await this.ingest.start();
        this.supervisors = Object.entries({ responder: this.responder, nginx: this.nginx,
            lighttpd: this.lighttpd, ingest: this.ingest })
            .map(([name, server]) => new Supervisor(name, server, this.random()));
        await this.openClients();
        this.openPublishers();
    }

    async openClients() {
        const front = { nginx: `http://127.0.0.1:${this.nginx.port}`, lighttpd: `http://127.0.0.1:${this.lighttpd.port}` };
        const log = (name) => join(this.dir, `client-${name}.log`);
        const wrong = ['drop', 'double', 'skip'].includes(this.options.sabotage)
            ? ['--sabotage', this.options.sabotage] : [];
        this.front = front;
        this.clients = [
            new PackageClient('eventsource, nginx, all', front.nginx, []),
            new PackageClient('eventsource, nginx, a', front.nginx, ['a']),
            new PackageClient('eventsource, lighttpd, c/*', front.lighttpd, ['c/*']),
            new CClient('C, nginx, all', this.nginx.port, [], log(1), wrong),
            new CClient('C, nginx, all, slow', this.nginx.port, [], log(2), ['--slow']),
            new CClient('C, lighttpd, all', this.lighttpd.port, [], log(3)),
            new CClient('C, lighttpd, b and c/1', this.lighttpd.port, ['b', 'c/1'], log(4)),
        ];
        if (!this.options.browser)
            return;
        this.browser = await Browser.open([
            { name: 'Chromium, nginx, a and c/*', base: front.nginx, filter: ['a', 'c/*'], kind: 'native' },
            { name: 'Chromium, freshet.js, nginx, all', base: front.nginx, filter: [], kind: 'events' },
            { name: 'Chromium, freshet.js by fetch, nginx, b', base: front.nginx, filter: ['b'], kind: 'fetch' },
            { name: 'Chromium, lighttpd, b', base: front.lighttpd, filter: ['b'], kind: 'native' },
        ]);
        this.clients.push(...this.browser.clients());
    }

    openPublishers() {
        const early = this.options.sabotage === 'early';
        const posters = [['post-1', 'nginx'], ['post-2', 'nginx'], ['post-3', 'lighttpd']].map(([name, server]) =>
            new Poster(name, this.random(), `${this.front[server]}/events`, 80, early));
        this.inserter = new Inserter('insert', this.random(), this.db.file, 50);
        this.publishers = [
            this.inserter,
            new Appender('line', this.random(), this.file, { perSecond: 60, rotateMs: 7000 }),
            ...posters,
        ];
        for (const publisher of this.publishers)
            publisher.start();
    }

    /* What can be killed at this moment: kind → process ids. */
    victims() {
        const up = (name) => this.supervisors.find((supervisor) => supervisor.name === name).up;
        const children = (server) => {
            try {
                return childrenOf(server.process.pid);
            } catch {
                return []; // it has just ended
            }
        };
        const found = {
            'responder': up('responder') ? [this.responder.pid] : [],
            'responder worker': up('responder') ? children(this.responder) : [],
            'nginx': up('nginx') ? [this.nginx.process.pid] : [],
            'nginx worker': up('nginx') ? children(this.nginx) : [],
            'lighttpd': up('lighttpd') ? [this.lighttpd.process.pid] : [],
            'ingest': up('ingest') ? [this.ingest.process.pid] : [],
            'inserting shell': this.inserter.pid === undefined ? [] : [this.inserter.pid],
        };
        const wanted = ([kind, pids]) => pids.length > 0 && (!this.options.only || this.options.only.includes(kind));
        return Object.entries(found).filter(wanted);
    }

    async killAll() {
        const random = this.random();
        const started = this.seconds;
        const mean = this.options.seconds / this.options.kills;
        for (let n = 1; n <= this.options.kills; n++) {
            const due = started + (n - random.next()) * mean;
            await delay(Math.max(0, (due - this.seconds) * 1000));
            const victims = await until('something to kill', () => {
                const all = this.victims();
                return all.length > 0 && all;
            });
            const [kind, pids] = random.pick(victims);
            const pid = random.pick(pids);
            this.say(`${this.seconds.toFixed(3).padStart(8)} s  kill ${n}: ${kind} ${pid}`);
            try {
                process.kill(pid, 'SIGKILL');
                this.kills.set(kind, (this.kills.get(kind) ?? 0) + 1);
            } catch (error) {
                if (error.code !== 'ESRCH') // its supervisor has just ended it with the rest
                    throw error;
                n--;
            }
        }
    }

    rows() {
        // The shell's sha3() spares moving all the data through a pipe.
        const text = this.db.sql(`.mode list
.separator "|"
SELECT id, topic, ifnull(type, ''), ifnull(key, ''), hex(substr(data, 1, 40)), hex(sha3(data, 224))
    FROM events ORDER BY id`);
        return text.split('\n').filter(Boolean).map((line) => {
            const [id, topic, type, key, start, sha3] = line.split('|');
            return { id: Number(id), topic, type: type || null, key: key || null, sha3,
                name: Buffer.from(start, 'hex').toString().split(/[ \r\n]/)[0] };
        });
    }

    /* What is in the table once every publisher has finished and the file has been taken in. */
    async settle() {
        await Promise.all(this.publishers.map((publisher) => publisher.stop()));
        const total = this.publishers.reduce((sum, { acknowledged }) => sum + acknowledged.size, 0);
        // What is sabotaged may never come.
        const within = this.options.sabotage ? 3000 : CATCH_UP_MS;
        const count = () => Number(this.db.sql('SELECT count(*) FROM events'));
        await until(`${total} events in the table`, () => count() >= total, { within, every: 200 })
            .catch((error) => this.say(`         ${error.message}; there are ${count()}`));
        const rows = this.rows();
        for (const client of this.clients) {
            const newest = expected(rows, client.filter, this.db.epoch).at(-1)?.id;
            await until(`event ${newest} at ${client.name}`, async () => await client.last() === newest,
                { within, every: 200 }).catch((error) => this.say(`         ${error.message}`));
        }
        await quiet(1000); // for what comes twice
        return rows;
    }

    async judge() {
        const rows = await this.settle();
        const records = await Promise.all(this.clients.map((client) => client.record()));
        const integrity = this.db.sql('PRAGMA integrity_check').trim();
        const strange = this.publishers.flatMap((publisher) => publisher.strange ?? []);
        const complaints = [
            ...judgeTable(rows, this.publishers),
            ...(integrity === 'ok' ? [] : [`database: ${integrity}`]),
            ...strange.slice(0, 5).map((answer) => `a POST was answered with ${answer}`),
            ...records.flatMap((record) => judgeClient(record, rows, this.db.epoch)),
        ];
        this.report(rows, records, integrity, complaints);
        return complaints;
    }

    report(rows, records, integrity, complaints) {
        const sum = (numbers) => numbers.reduce((a, b) => a + b, 0);
        const kills = [...this.kills].sort().map(([kind, n]) => `${kind} ${n}`).join(', ');
        const events = this.publishers.map(({ name, acknowledged }) => `${name} ${acknowledged.size}`).join(', ');
        this.say(`kills: ${sum([...this.kills.values()])} (${kills})`);
        this.say(`acknowledged: ${sum(this.publishers.map((p) => p.acknowledged.size))} events (${events}), ` +
            `requests and transactions repeated: ${sum(this.publishers.map((p) => p.retries))}; ` +
            `rotations of the file: ${this.publishers.find((p) => p.rotations !== undefined).rotations}`);
        this.say(`table: ${rows.length} events, integrity ${integrity}`);
        for (const record of records) {
            const bad = judgeClient(record, rows, this.db.epoch).length > 0;
            this.say(`client: ${record.name}: ${record.events.length} events, ${record.opens} connections, ` +
                `longest gap ${longestGap(record)} ms: ${bad ? 'WRONG' : 'exactly once, in order'}`);
        }
        this.say(`reconnects: ${sum(records.map((record) => Math.max(0, record.opens - 1)))}, ` +
            `longest gap of a client that follows everything: ` +
            `${Math.max(...records.filter((r) => r.filter.length === 0).map(longestGap))} ms`);
        for (const supervisor of this.supervisors.filter(({ failures }) => failures.length > 0))
            this.say(`starts of ${supervisor.name} that failed and were repeated: ${supervisor.failures.length}, ` +
                `the first: ${supervisor.failures[0].split('\n').slice(0, 3).join(' ')}`);
        for (const complaint of complaints)
            this.say(`WRONG: ${complaint}`);
        this.say(complaints.length === 0 ? 'verdict: every client holds every acknowledged event exactly once'
            : `verdict: ${complaints.length} complaints`);
    }

    async close() {
        for (const client of this.clients ?? [])
            client.close?.();
        await this.browser?.close();
        const stop = async (server) => {
            const supervisor = this.supervisors?.find((one) => one.server === server);
            const end = () => server?.process?.stop();
            await (supervisor ? supervisor.stop(end) : end());
        };
        for (const server of [this.nginx, this.lighttpd, this.ingest, this.responder])
            await stop(server);
        if (!process.env.FRESHET_KEEP)
            rmSync(this.dir, { recursive: true, force: true });
    }
}

/**
 * Runs one campaign and gives back its complaints. options: { seed, kills, seconds, browser, sabotage,
 * only: kinds of what is killed }.
 */
export async function campaign(options, say = console.log) {
    const run = new Campaign(options, say);
    try {
        await run.open();
        say(`seed ${options.seed}: ${options.kills} kills in ${options.seconds} s`);
        await until('the first events', () => run.publishers.every(({ acknowledged }) => acknowledged.size > 0));
        await run.killAll();
        return await run.judge();
    } finally {
        await run.close();
    }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
    const { values } = parseArgs({ options: {
        seed: { type: 'string', default: String(Date.now() % 1e9) },
        kills: { type: 'string', default: '300' },
        seconds: { type: 'string', default: '300' },
        'no-browser': { type: 'boolean', default: false },
        sabotage: { type: 'string', default: '' },
    } });
    const complaints = await campaign({ seed: Number(values.seed), kills: Number(values.kills),
        seconds: Number(values.seconds), browser: !values['no-browser'], sabotage: values.sabotage });
    process.exit(complaints.length === 0 ? 0 : 1);
}
