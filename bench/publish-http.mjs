// make bench-publish: publishing over HTTP through nginx against writing to SQLite directly, on the
// same machine in alternating runs, each into a fresh database with synchronous=FULL.
//
// usage: node bench/publish-http.mjs [SINGLES [EVENTS [RUNS]]]
//
// Singles: 64 connections with one event a request (group commit), against one commit per event: a bare
// loop of prepared INSERTs, and one publisher through nginx that waits for each answer.
// Batches: 4 connections with 1,000 lines of NDJSON a request, against a bare loop of prepared INSERTs
// with a commit every 1,000, whose events are parsed before its clock starts. FRESHET_BUILD names the
// build directory.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { Database } from '../tests/e2e/kit/database.mjs';
import { program } from '../tests/e2e/kit/env.mjs';
import { start } from '../tests/e2e/kit/process.mjs';
import { World } from '../tests/e2e/kit/world.mjs';

const [singles, events, runs] = [20_000, 200_000, 5].map((usual, i) => Number(process.argv[i + 2] ?? usual));
const WITHIN = 10 * 60_000;
const BATCH = 1000;
const dir = mkdtempSync(join(tmpdir(), 'freshet-bench-'));
process.on('exit', () => rmSync(dir, { recursive: true, force: true }));

function makeEvents(name, n) {
    const file = join(dir, name);
    writeFileSync(file, Array.from({ length: n }, (_, i) => `${JSON.stringify({
        topic: `wiki/${i % 100}`, type: 'edit', data: {
            n: i, user: `user${i % 1000}`, title: `An article with a title of usual length, number ${i}`,
            comment: 'what was changed and why it was',
        },
    })}\n`).join(''));
    return file;
}

async function rate(command, args) {
    const done = await start(program(command), args.map(String), { within: WITHIN });
    if (done.code !== 0)
        throw new Error(`${command} ${args.join(' ')}: ${done.stderr}`);
    return Number(done.stdout);
}

async function bare(file, batch) {
    const place = mkdtempSync(join(dir, 'bare-'));
    const db = new Database(place);
    const value = await rate('bench/bare_insert', [db.file, file, batch]);
    rmSync(place, { recursive: true });
    return value;
}

async function http(file, connections, batch, expected) {
    const world = await World.open({ options: ['--publish'], parameters: { FRESHET_PUBLISH: 'on' } });
    try {
        const value = await rate('bench/post', [world.server.port, connections, batch, file]);
        const there = Number(world.db.sql('SELECT count(*) FROM events'));
        if (there !== expected)
            throw new Error(`${there} of ${expected} events are there`);
        return value;
    } finally {
        await world.close();
    }
}

const median = (values) => [...values].sort((a, b) => a - b)[Math.floor((values.length - 1) / 2)];
const load = () => loadavg().map((one) => one.toFixed(1)).join(' ');

const few = makeEvents('singles', singles);
const alone = makeEvents('alone', singles / 10);
const many = makeEvents('events', events);
const kinds = {
    'a commit per event': () => bare(few, 1),
    '64 publishers, single events': () => http(few, 64, 1, singles),
    '1 publisher': () => http(alone, 1, 1, singles / 10),
    'bare loop': () => bare(many, BATCH),
    'NDJSON batches': () => http(many, 4, BATCH, events),
};
const seen = Object.fromEntries(Object.keys(kinds).map((name) => [name, []]));

console.log(`${singles} single events, ${events} in batches of ${BATCH}, ${runs} runs of each in turn, ` +
    `${cpus().length} processors, load ${load()}`);
for (let run = 1; run <= runs; run++) {
    for (const [name, measure] of Object.entries(kinds))
        seen[name].push(await measure());
    console.log(`run ${run}: ${Object.entries(seen).map(([name, values]) => `${name} ${values.at(-1)}/s`).join(', ')}`);
}
/* Runs that follow each other saw the same machine: their ratio says more than that of the medians. */
const compare = (name, other, goal) => {
    const ratios = seen[name].map((one, i) => one / seen[other][i]);
    console.log(`median: ${name} ${median(seen[name])}/s, ${other} ${median(seen[other])}/s, ratio ` +
        `${median(ratios).toFixed(2)} (goal ${goal}; by run ${ratios.map((one) => one.toFixed(2)).join(' ')})`);
};
compare('64 publishers, single events', 'a commit per event', 10);
compare('64 publishers, single events', '1 publisher', 10);
compare('NDJSON batches', 'bare loop', 0.6);
console.log(`load ${load()}`);
