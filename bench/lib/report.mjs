// Medians, the table on the terminal, and the report with its curves.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from '../../tests/e2e/kit/env.mjs';
import { servers } from './servers.mjs';
import { chart } from './svg.mjs';

const PUBLISH = 'bench/publish.md'; // the table of `make bench-publish`, and what there is to say about it
const NOTES = 'bench/notes.md'; // by hand: what was tried where a target is missed

/* Where it is said which way is better; the other figures only describe. */
const MORE = new Set(['within200', 'within1000', 'events', 'connects', 'got']);
const LESS = new Set(['p50', 'p99', 'max', 'bytes', 'many', 'ratio', 'caught', 'calm_p99', 'live_p99',
    'grown', 'grown_mb', 'lost']);
const SAME = 1.05; // closer than this is a draw

export function median(values) {
    const sorted = values.filter(Number.isFinite).sort((a, b) => a - b);
    const middle = sorted.length / 2;
    if (sorted.length === 0)
        return undefined;
    return sorted.length % 2 ? sorted[Math.floor(middle)] : (sorted[middle - 1] + sorted[middle]) / 2;
}

export function format(value) {
    if (value === undefined || !Number.isFinite(value))
        return '–';
    const size = Math.abs(value);
    if (size >= 10_000)
        return Math.round(value).toLocaleString('en');
    if (size >= 100 || Number.isInteger(value))
        return String(Math.round(value));
    return String(+value.toPrecision(3));
}

/** The results of a scenario, by server: (server) => (figure) => median. */
function medians(result) {
    return (server) => (figure) => median(result.runs
        .filter((run) => run.server === server && run.figures).map((run) => run.figures[figure] ?? NaN));
}

function span(result, server, figure) {
    const values = result.runs.filter((run) => run.server === server && run.figures)
        .map((run) => run.figures[figure]).filter(Number.isFinite);
    return values.length > 1 ? ` (${format(Math.min(...values))}–${format(Math.max(...values))})` : '';
}

function wrong(result, server) {
    const texts = new Set();
    for (const run of result.runs.filter((one) => one.server === server)) {
        if (run.error)
            texts.add(`failed: ${run.error}`);
        for (const [name, count] of Object.entries(run.faults ?? {}))
            texts.add(`${name} ${format(count)}`);
    }
    return [...texts].join('; ');
}

/** [{ what, value, target, met }] of a scenario. */
function verdicts(scenario, result) {
    const of = medians(result);
    return scenario.judge(of).map(({ what, value, unit, least, most }) => ({
        what, value: `${format(value)} ${unit}`.trim(),
        target: `${least === undefined ? '≤' : '≥'} ${format(least ?? most)} ${unit}`.trim(),
        known: Number.isFinite(value),
        met: least === undefined ? value <= most : value >= least,
    }));
}

function taking(scenario, result) {
    return scenario.servers.filter((server) => result.runs.some((run) => run.server === server));
}

function verdictText(verdict) {
    return verdict.known ? (verdict.met ? 'yes' : '**no**') : 'not measured';
}

/** What is printed when a scenario is done. */
export function terminal(scenario, result) {
    const of = medians(result);
    const lines = [];
    for (const server of taking(scenario, result)) {
        const figures = Object.entries(scenario.columns)
            .filter(([figure]) => of(server)(figure) !== undefined)
            .map(([figure, heading]) => `${heading}: ${format(of(server)(figure))}`);
        lines.push(`  ${servers[server].title.padEnd(13)} ${figures.join(' | ')}`);
        const text = wrong(result, server);
        if (text)
            lines.push(`  ${''.padEnd(13)} NOT CLEAN: ${text}`);
    }
    for (const verdict of verdicts(scenario, result))
        lines.push(`  → ${verdict.what}: ${verdict.value} (target ${verdict.target}) ${
            verdict.known ? (verdict.met ? 'met' : 'MISSED') : 'not measured'}`);
    return lines.join('\n');
}

function row(cells) {
    return `| ${cells.join(' | ')} |`;
}

function tableOf(scenario, result) {
    const of = medians(result);
    const names = taking(scenario, result);
    const figures = Object.entries(scenario.columns)
        .filter(([figure]) => names.some((server) => of(server)(figure) !== undefined));
    const flawed = names.some((server) => wrong(result, server));
    const lines = [row(['', ...figures.map(([, heading]) => heading), ...(flawed ? ['what went wrong'] : [])]),
        row(['---', ...figures.map(() => '---:'), ...(flawed ? ['---'] : [])])];
    for (const server of names)
        lines.push(row([servers[server].title,
            ...figures.map(([figure]) => format(of(server)(figure)) + span(result, server, figure)),
            ...(flawed ? [wrong(result, server) || 'nothing'] : [])]));
    return lines;
}

/** Figures in which a peer is better, in words. */
function behind(scenario, result) {
    const of = medians(result);
    const found = [];
    for (const peer of taking(scenario, result).filter((server) => server !== 'freshet')) {
        for (const [figure, heading] of Object.entries(scenario.columns)) {
            const ours = of('freshet')(figure);
            const theirs = of(peer)(figure);
            if (ours === undefined || theirs === undefined)
                continue;
            const worse = MORE.has(figure) ? theirs > ours * SAME : LESS.has(figure) && ours > theirs * SAME;
            if (worse)
                found.push(`- ${scenario.title}: ${heading} is ${format(ours)}, ${servers[peer].title} has ${
                    format(theirs)}${wrong(result, peer) ? ' (but not clean)' : ''}`);
        }
    }
    return found;
}

/** Writes the curve of a scenario; gives the file's name, or nothing. */
function drawCurve(scenario, result, directory) {
    const runs = result.runs.filter((run) => run.curve?.length);
    if (runs.length === 0)
        return undefined;
    const svg = scenario.samples
        ? chart(scenario.title, runs.flatMap((run) => ['responder_kb', 'nginx_kb'].map((name) => ({
            name: name.replace('_kb', ''), points: run.curve.map((p) => [p.seconds, p[name]]) }))),
        { label: 'seconds' }, { label: 'memory (PSS), KB' })
        : chart(scenario.title, runs.map((run) => ({ name: servers[run.server].title,
            points: run.curve.map((p) => [p.deliveries, p.p99]) })),
        { label: 'deliveries a second', log: true }, { label: 'p99, ms', log: true }, 200);
    if (!svg)
        return undefined;
    mkdirSync(join(directory, 'curves'), { recursive: true });
    writeFileSync(join(directory, 'curves', `${scenario.name}.svg`), svg);
    return `curves/${scenario.name}.svg`;
}

function settingsText({ seconds, repetitions, quick, scale }) {
    const parts = [`${repetitions} ${repetitions === 1 ? 'run' : 'runs'} each`];
    if (seconds)
        parts.push(`${seconds} s a measurement`);
    if (quick)
        parts.push('quick');
    if (scale !== 1)
        parts.push(`**scaled: with ${scale} of the streams**`);
    return parts.join(', ');
}

/** REPORT.md, results.json and curves/ in the directory, out of the results that there are. */
export function write(scenarios, results, directory) {
    const measured = scenarios.filter((scenario) => results[scenario.name]);
    const { machine } = results[measured.at(-1).name];
    const out = [
        '# Measurements', '',
        'Written by `make bench`; the text below is made from `results.json`. Medians of the runs, with the',
        'least and the greatest in brackets. All server processes share one core, client and publisher have',
        'another; servers take turns (A B C A B C). Events have 200 bytes. In every run every client is checked',
        'for missing, doubled and misplaced events; what is not clean says so.', '',
        row(['', '']), row(['---', '---']),
        row(['Machine', `${machine.cpu}, ${machine.memory}, ${machine.system}, Linux ${machine.kernel}`]),
        row(['Versions', Object.entries(machine.versions).map(([name, text]) => `${name} ${text}`).join(', ')]),
        row(['freshet', `${machine.commit}, ${machine.date} UTC`]),
        row(['Again', '`make bench`, or one of them: `make bench SCENARIO=` with a name below']), '',
        '## Targets', '',
        row(['', 'measured', 'target', 'reached']), row(['---', '---:', '---:', '---']),
    ];
    for (const scenario of measured)
        for (const verdict of verdicts(scenario, results[scenario.name]))
            out.push(row([`${scenario.title}: ${verdict.what}`, verdict.value, verdict.target, verdictText(verdict)]));
    const worse = measured.flatMap((scenario) => behind(scenario, results[scenario.name]));
    out.push('', '## Where a peer is better', '', ...(worse.length ? worse : ['In none of the figures below.']), '');
    for (const scenario of measured) {
        const result = results[scenario.name];
        out.push(`## ${scenario.title}`, '', `\`SCENARIO=${scenario.name}\`, ${settingsText(result.settings)}.`,
            scenario.why, '', ...tableOf(scenario, result), '');
        const curve = drawCurve(scenario, result, directory);
        if (curve)
            out.push(`![${scenario.title}](${curve})`, '');
    }
    for (const file of [PUBLISH, NOTES].map((name) => join(root, name)))
        if (existsSync(file))
            out.push(readFileSync(file, 'utf8').trimEnd(), '');
    writeFileSync(join(directory, 'REPORT.md'), out.join('\n'));
    writeFileSync(join(directory, 'results.json'), `${JSON.stringify(results, undefined, 1)}\n`);
}
