// make bench: freshet and its peers under the same load, in the same run, on the same cores.
//
// usage: node bench/run.mjs [--scenario=NAME[,NAME…]] [--server=NAME[,NAME…]] [--quick=1] [--seconds=S]
//                           [--repetitions=N] [--scale=F] [--fresh=1] [--out=DIRECTORY]
//        node bench/run.mjs --list=1
//        node bench/run.mjs --report=DIRECTORY    writes report, JSON and curves there, measures nothing
//
// An empty value is as if it were not given.
// --scale=0.1: with a tenth of the streams, for a machine that has not the memory or the time.
// FRESHET_BUILD names the build directory. Every run is written down when it is done: started again
// with the same programs and settings it goes on where it was, --fresh starts again.
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { build, program } from '../tests/e2e/kit/env.mjs';
import { before } from '../tests/e2e/kit/wait.mjs';
import { Load } from './lib/client.mjs';
import { scenarios as fanout } from './lib/fanout.mjs';
import { scenarios as greedy } from './lib/greedy.mjs';
import { describe, install, load } from './lib/machine.mjs';
import { terminal, write } from './lib/report.mjs';
import { servers } from './lib/servers.mjs';
import { scenarios as streams } from './lib/streams.mjs';

const scenarios = [...fanout, ...streams, ...greedy];

const { values: asked } = parseArgs({ options: Object.fromEntries(
    ['scenario', 'server', 'seconds', 'repetitions', 'scale', 'quick', 'fresh', 'out', 'list', 'report']
        .map((name) => [name, { type: 'string', default: '' }])) });
const out = asked.out || join(build, 'bench', 'out');

function say(text) {
    process.stdout.write(`${text}\n`);
}

function chosen(list, names, what) {
    if (!names)
        return undefined;
    return names.split(',').map((name) => list.find((one) => (one.name ?? one) === name) ??
        (() => { throw new Error(`there is no ${what} ${name}; --list shows all scenarios`); })());
}

function settingsOf(scenario) {
    const which = asked.quick ? 1 : 0;
    return {
        quick: Boolean(asked.quick),
        seconds: Number(asked.seconds || scenario.seconds[which]),
        repetitions: Number(asked.repetitions || scenario.repetitions[which]),
        scale: Number(asked.scale || 1),
        ...(scenario.rows ? { rows: scenario.rows[which] } : {}),
    };
}

/** Figures of other programs or settings are not continued. */
function fingerprint(settings) {
    const hash = createHash('sha1').update(JSON.stringify(settings));
    for (const name of ['freshet-fcgi', 'bench/load', 'bench/publish'])
        hash.update(readFileSync(program(name)));
    return hash.digest('hex').slice(0, 12);
}

/** So long may a run of a peer take, in seconds: some never come back from what freshet does in ten. */
const PEER_LIMIT_S = 150;
const LONGEST_S = 3 * 3600;

/** One run of one server: whatever happens, its processes end with it. */
async function measure(scenario, server, settings) {
    const opened = [];
    const began = Date.now();
    const ctx = {
        ...settings,
        size: (n) => Math.max(1, Math.round(n * settings.scale)),
        async open(options) {
            return keep(await servers[server].open(options));
        },
        load(target, options) {
            return keep(new Load(target, options));
        },
    };
    let over = false;
    const keep = (one) => {
        opened.push(one);
        if (over) {
            one.close().catch(() => {});
            throw new Error('the run has been given up');
        }
        return one;
    };
    const limit = server === 'freshet' ? LONGEST_S : PEER_LIMIT_S;
    const run = { server, busy: +load().toFixed(2) };
    try {
        Object.assign(run, await before('the end of the run', scenario.measure(server, ctx), limit * 1000));
    } catch (error) {
        run.error = error.message.split('\n')[0];
    }
    over = true;
    for (const one of opened.reverse())
        await one.close().catch((error) => { run.error ??= error.message; });
    run.took = (Date.now() - began) / 1000;
    return run;
}

async function take(scenario, file) {
    const settings = settingsOf(scenario);
    const mark = fingerprint(settings);
    let result = existsSync(file) && !asked.fresh ? JSON.parse(readFileSync(file, 'utf8')) : undefined;
    if (result?.mark !== mark)
        result = { name: scenario.name, mark, settings, machine: describe(), runs: [] };
    const wanted = asked.server ? asked.server.split(',') : scenario.servers;
    say(`${scenario.name}: ${scenario.title}`);
    for (let repetition = 1; repetition <= settings.repetitions; repetition++) {
        for (const server of scenario.servers.filter((name) => wanted.includes(name))) {
            const same = (run) => run.server === server && run.repetition === repetition;
            if (result.runs.some((run) => same(run) && !run.error))
                continue;
            const run = await measure(scenario, server, settings);
            result.runs = [...result.runs.filter((one) => !same(one)), { repetition, ...run }];
            writeFileSync(file, `${JSON.stringify(result, undefined, 1)}\n`);
            say(`  ${repetition}/${settings.repetitions} ${server}: ${run.error ?? 'done'} (${run.took.toFixed(1)} s${
                run.busy > 1 ? `, load average before: ${run.busy}` : ''})`);
        }
    }
    scenario.finish?.();
    say(terminal(scenario, result));
    return result;
}

function resultsIn(directory) {
    const results = {};
    for (const name of existsSync(directory) ? readdirSync(directory) : []) {
        if (scenarios.some((scenario) => `${scenario.name}.json` === name))
            results[name.slice(0, -'.json'.length)] = JSON.parse(readFileSync(join(directory, name), 'utf8'));
    }
    return results;
}

const runs = join(out, 'runs');
if (asked.list) {
    for (const { name, title } of scenarios)
        say(`${name.padEnd(20)} ${title}`);
} else if (asked.report) {
    const results = resultsIn(runs);
    if (Object.keys(results).length === 0)
        throw new Error('nothing has been measured yet');
    write(scenarios, results, asked.report);
    say(`written: ${join(asked.report, 'REPORT.md')}`);
} else {
    const wanted = chosen(scenarios, asked.scenario, 'scenario') ??
        scenarios.filter((scenario) => !(asked.quick && scenario.slow));
    const peers = asked.server ? asked.server.split(',') : Object.keys(servers);
    chosen(Object.keys(servers), asked.server, 'server');
    install([...new Set(wanted.flatMap((scenario) => scenario.servers)
        .filter((name) => peers.includes(name)).flatMap((name) => servers[name].packages ?? []))]);
    mkdirSync(runs, { recursive: true });
    const began = Date.now();
    let flawed = 0;
    for (const [i, scenario] of wanted.entries()) {
        say(`\n[${i + 1}/${wanted.length}, ${((Date.now() - began) / 60_000).toFixed(1)} min]`);
        const result = await take(scenario, join(runs, `${scenario.name}.json`));
        flawed += result.runs.some((run) => run.server === 'freshet' && (run.error || run.faults));
        write(scenarios, resultsIn(runs), out);
    }
    say(`\n${((Date.now() - began) / 60_000).toFixed(1)} min; the report: ${join(out, 'REPORT.md')}`);
    if (flawed)
        say(`freshet was not clean in ${flawed} scenarios`);
    process.exitCode = flawed ? 1 : 0;
}
