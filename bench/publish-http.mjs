// make bench-publish: publishing over HTTP through nginx against writing to SQLite directly, on the
// same machine in alternating runs, each into a fresh database with synchronous=FULL.
//
// usage: node bench/publish-http.mjs [RUNS [SECONDS]]
//
// Singles: 64 connections with one event a request (group commit), against one commit per event: a bare
// loop of prepared INSERTs; with the disk as it is and with one whose fsync takes longer
// (slow_sync.c). One publisher who waits for each answer is for comparison.
// Batches: 4 connections with 1,000 lines of NDJSON a request, against a bare loop of prepared INSERTs
// with a commit every 1,000, whose events are parsed before its clock starts.
// nginx has minimal.conf and keeps its connections as in production.conf. Each measurement takes about
// SECONDS. FRESHET_BUILD names the build directory; the table is also written there, to
// bench/out/publish.md; put into bench/publish.md it becomes a part of the report.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { Database } from '../tests/e2e/kit/database.mjs';
import { build, program } from '../tests/e2e/kit/env.mjs';
import { start } from '../tests/e2e/kit/process.mjs';
import { World } from '../tests/e2e/kit/world.mjs';
import { describe as machine } from './lib/machine.mjs';

const [runs, seconds] = [3, 1.5].map((usual, i) => Number(process.argv[i + 2] ?? usual));
const SYNCS_MS = [0, 1, 2, 5, 10];
const CLIENTS = 64;
const BATCH = 1000;
const WITHIN = 10 * 60_000;
const dir = mkdtempSync(join(tmpdir(), 'freshet-bench-'));
process.on('exit', () => rmSync(dir, { recursive: true, force: true }));

const files = new Map();
function eventsFile(n) {
    const file = files.get(n) ?? join(dir, `${n}.ndjson`);
    if (!files.has(n)) {
        files.set(n, file);
        writeFileSync(file, Array.from({ length: n }, (_, i) => `${JSON.stringify({
            topic: `wiki/${i % 100}`, type: 'edit', data: {
                n: i, user: `user${i % 1000}`, title: `An article with a title of usual length, number ${i}`,
                comment: 'what was changed and why it was',
            },
        })}\n`).join(''));
    }
    return file;
}

const environment = (syncMs) => (syncMs > 0
    ? { LD_PRELOAD: join(build, 'bench', 'slow_sync.so'), SYNC_MS: String(syncMs) } : {});

async function rate(command, args, env) {
    const done = await start(program(command), args.map(String), { env, within: WITHIN });
    if (done.code !== 0)
        throw new Error(`${command} ${args.join(' ')}: ${done.stderr}`);
    return Number(done.stdout);
}

async function bare(n, batch, syncMs) {
    const place = mkdtempSync(join(dir, 'bare-'));
    const db = new Database(place);
    const value = await rate('bench/bare_insert', [db.file, eventsFile(n), batch], environment(syncMs));
    rmSync(place, { recursive: true });
    return value;
}

async function http(n, clients, batch, syncMs) {
    const world = await World.open({ options: ['--publish'], parameters: { FRESHET_PUBLISH: 'on' }, keep: CLIENTS,
        env: () => environment(syncMs) });
    try {
        const value = await rate('bench/post', [world.server.port, clients, batch, eventsFile(n)]);
        const there = Number(world.db.sql('SELECT count(*) FROM events'));
        if (there !== n)
            throw new Error(`${there} of ${n} events are there`);
        return value;
    } finally {
        await world.close();
    }
}

/** How many events take about so long, guessed from what a commit takes. */
const some = (perSecond) => Math.max(100, Math.round(seconds * perSecond));
const commits = (syncMs) => some(1000 / (0.2 + syncMs));
const grouped = (syncMs) => some(Math.min(8000, CLIENTS * 1000 / (6 + syncMs)));

const median = (values) => [...values].sort((a, b) => a - b)[Math.floor((values.length - 1) / 2)];
const load = () => loadavg().map((one) => one.toFixed(1)).join(' ');
const number = (value) => Math.round(value).toLocaleString('en');

const kinds = [
    ...SYNCS_MS.map((syncMs) => ({
        what: `${CLIENTS} publishers, one event each`, syncMs, against: 'one commit per event', goal: 10,
        measure: () => http(grouped(syncMs), CLIENTS, 1, syncMs), other: () => bare(commits(syncMs), 1, syncMs),
    })),
    { what: '1 publisher who waits', syncMs: 0, against: 'one commit per event',
        measure: () => http(some(1500), 1, 1, 0), other: () => bare(commits(0), 1, 0) },
    { what: `NDJSON, ${number(BATCH)} lines a request`, syncMs: 0, against: `bare loop, a commit every ${number(BATCH)}`,
        goal: 0.6, measure: () => http(some(100) * BATCH, 4, BATCH, 0), other: () => bare(some(100) * BATCH, BATCH, 0) },
].map((kind) => ({ ...kind, seen: [], others: [] }));

console.log(`${runs} runs of each in turn, ${cpus().length} processors, load ${load()}`);
for (let run = 1; run <= runs; run++) {
    for (const kind of kinds) {
        kind.others.push(await kind.other());
        kind.seen.push(await kind.measure());
        console.log(`run ${run}: ${kind.what}, fsync + ${kind.syncMs} ms: ${kind.seen.at(-1)}/s, ` +
            `${kind.against}: ${kind.others.at(-1)}/s`);
    }
}

/* Runs that follow each other saw the same machine: their ratio says more than that of the medians. */
const { cpu, commit, date } = machine();
const table = [
    '## Publishing over HTTP against writing directly', '',
    `\`make bench-publish\`, median of ${runs} runs in turn, synchronous=FULL on both sides; client, nginx, responder`,
    `and loop share ${cpus().length} processors (${cpu}; freshet ${commit}, ${date} UTC, load ${load()}). Events`,
    'a second. "fsync + n ms": both sides\' fsync takes so much longer than this machine\'s.', '',
    '| | fsync | over HTTP | directly | ratio (by run) | goal | reached |', '| --- | ---: | ---: | ---: | ---: | ---: | --- |',
    ...kinds.map(({ what, syncMs, against, goal, seen, others }) => {
        const ratios = seen.map((one, i) => one / others[i]);
        const ratio = median(ratios);
        return `| ${what}, against ${against} | ${syncMs ? `+ ${syncMs} ms` : 'as it is'} | ${number(median(seen))} | ` +
            `${number(median(others))} | ${ratio.toFixed(2)} (${ratios.map((one) => one.toFixed(2)).join(' ')}) | ` +
            `${goal ? `≥ ${goal}` : ''} | ${goal ? (ratio >= goal ? 'yes' : '**no**') : ''} |`;
    }), '',
].join('\n');
console.log(`\n${table}`);
mkdirSync(join(build, 'bench', 'out'), { recursive: true });
writeFileSync(join(build, 'bench', 'out', 'publish.md'), table);
