// Scenarios about streams: what they cost, how they begin, how they come back. See fanout.mjs for
// what a scenario is.
import { join } from 'node:path';
import { anyFault, faults, publish } from './client.mjs';
import { directory, discard } from './machine.mjs';
import { emptyDatabase } from './servers.mjs';

/** Bytes per stream by which a process (all of them without a name) grew since the mark. */
function bytesPerStream(answer, name) {
    const some = name ? [answer.servers[name]] : Object.values(answer.servers);
    return some.reduce((sum, s) => sum + s.pss_kb - s.pss_kb_before, 0) * 1024 / answer.streams;
}

const memory = {
    name: 'memory', title: 'Memory per idle stream at 10,000 streams',
    servers: ['freshet', 'nchan', 'node', 'php'],
    why: 'Growth of the proportional set size (PSS) of all processes. freshet with nginx/quiet.conf, and ' +
        'with nginx/fanout.conf for comparison. The PHP loop: 100 streams.',
    seconds: [5, 2], repetitions: [2, 1],
    async measure(server, ctx) {
        const idle = async (options, streams) => {
            const target = await ctx.open(options);
            const load = ctx.load(target, { streams });
            // The first streams pay for what all of them share, and are closed before the count.
            const warm = ctx.load(target, { streams: 10 });
            await warm.open(1);
            await warm.close();
            await load.open(1);
            await load.command('sleep', ctx.seconds);
            const end = await load.command('report');
            await load.close();
            return end;
        };
        const quiet = server === 'freshet' ? { site: 'quiet', nginxWorkers: 2 } : {};
        const end = await idle(quiet, server === 'php' ? 100 : ctx.size(10_000));
        const figures = { bytes: bytesPerStream(end), kernel: (end.tcp_kb - end.tcp_kb_before) * 1024 / end.streams };
        if (server === 'freshet') {
            figures.responder = bytesPerStream(end, 'responder');
            figures.nginx = bytesPerStream(end, 'nginx');
            figures.fanout = bytesPerStream(await idle({ nginxWorkers: 2 }, ctx.size(10_000)));
        }
        return { figures, faults: anyFault({ closed: end.fast.closed }) };
    },
    columns: { bytes: 'bytes, all processes', responder: 'responder', nginx: 'nginx',
        fanout: 'all, with fanout.conf', kernel: 'TCP buffers' },
    judge: (of) => [
        { what: 'responder', value: of('freshet')('responder'), unit: 'bytes', most: 600 },
        { what: 'nginx and responder', value: of('freshet')('bytes'), unit: 'bytes', most: 12_800 },
    ],
};

const REPLAYED = 10_000;

/** Rounds of 100 clients that ask for everything, at first alone, then beside 50 live ones. */
function replay(name, title, options, least, names) {
    return {
        name, title: `Replay of 10,000 events to each of 100 clients, ${title}`, servers: names,
        why: 'All at once; first alone, then while 50 clients follow 100 events a second.',
        seconds: [4, 2], repetitions: [3, 1],
        async measure(server, ctx) {
            const seed = (target) => publish(target, { rate: 0, count: REPLAYED });
            const target = await ctx.open({ ...(server === 'freshet' ? { options } : {}), seed });
            const all = ctx.load(target, { streams: ctx.size(100), path: target.earliest });
            const live = ctx.load(target, { streams: 50 });
            await all.command('target', REPLAYED);
            const times = [];
            const found = [];
            const round = async () => {
                await all.open(1);
                const end = await all.command('aim', REPLAYED, 0, 120);
                await all.command('close');
                found.push(faults(end));
                return end.ok ? end.last_reached_s : NaN;
            };
            for (let i = 0; i < (ctx.quick ? 2 : 4); i++)
                times.push(await round());

            await live.open(target.next);
            await publish(target, { rate: 100, seconds: 1 });
            await live.command('aim', target.next - 1);
            await live.command('mark');
            await publish(target, { rate: 100, seconds: ctx.seconds });
            const calm = await live.command('aim', target.next - 1);
            await live.command('mark');
            let replaying = true;
            const rounds = (async () => {
                const until = Date.now() + ctx.seconds * 1000;
                do
                    await round();
                while (Date.now() < until);
                replaying = false;
            })();
            rounds.catch(() => { replaying = false; }); // told below, also when publishing fails first
            while (replaying)
                await publish(target, { rate: 100, seconds: 0.5 });
            await rounds;
            const busy = await live.command('aim', target.next - 1);
            times.sort((a, b) => a - b);
            return {
                figures: { events: Math.round(all.streams * REPLAYED / times[Math.floor(times.length / 2)]),
                    seconds: times[Math.floor(times.length / 2)],
                    calm_p99: calm.fast.latency_ms.p99, live_p99: busy.fast.latency_ms.p99 },
                faults: anyFault(...found, faults(calm), faults(busy)),
            };
        },
        columns: { events: 'events/s', seconds: 'seconds', calm_p99: 'live p99 ms before',
            live_p99: 'live p99 ms meanwhile' },
        judge: (of) => [
            { what: 'events/s', value: of('freshet')('events'), unit: '/s', least },
            { what: 'p99 of live clients meanwhile', value: of('freshet')('live_p99'), unit: 'ms', most: 50 },
        ],
    };
}

const TOPICS = 100;

/** A database with so many rows, made once and kept for all repetitions. */
const tables = new Map();
async function table(rows) {
    if (!tables.has(rows)) {
        const dir = directory();
        const db = join(dir, 'events.db');
        emptyDatabase(db);
        await publish({ sink: ['--db', db], next: 1 },
            { rate: 0, count: rows, bytes: 60, topics: TOPICS, batch: 100_000 });
        tables.set(rows, { dir, db });
    }
    return tables.get(rows).db;
}

/** Time to the first event of clients that come one after the other with this Last-Event-ID. */
async function firstEvent(ctx, rows, cursor, path) {
    const target = await ctx.open({ db: await table(rows), options: ['--window-events', '16'] });
    const load = ctx.load(target, { path, streams: 200, opening: 1, 'leave-after': 1, 'last-id': cursor });
    // Row i has topic (i - 1) modulo TOPICS, so the first seq after a cursor is known.
    await load.command('open', cursor / TOPICS + 1);
    const end = await load.command('left');
    await load.close();
    return { head: end.connect_ms.p50, p50: end.first_ms.p50,
        faults: anyFault({ ...faults(end, 0), unreached: end.streams - end.left }) };
}

const resume = {
    name: 'resume', title: 'Resume in a large table',
    servers: ['freshet'],
    why: '100 topics; clients come one after the other with a Last-Event-ID 500 rows before the end, and ' +
        'follow one topic, or all; besides, from the middle of the large table, where a whole page of ' +
        'events follows. Time from connect() to the first event.',
    seconds: [0, 0], repetitions: [3, 1],
    rows: [10_000_000, 10_000_000],
    async measure(server, ctx) {
        const rows = Math.max(1000, ctx.size(ctx.rows));
        const one = '/events?topic=t7';
        const all = '/events';
        const small = await firstEvent(ctx, 1000, 500, one);
        const large = await firstEvent(ctx, rows, rows - 500, one);
        const smallAll = await firstEvent(ctx, 1000, 500, all);
        const largeAll = await firstEvent(ctx, rows, rows - 500, all);
        const middle = Math.floor(rows / 2 / TOPICS) * TOPICS;
        const middleOne = await firstEvent(ctx, rows, middle, one);
        const middleAll = await firstEvent(ctx, rows, middle, all);
        return {
            figures: { rows, small: small.p50, large: large.p50, ratio: large.p50 / small.p50,
                small_all: smallAll.p50, large_all: largeAll.p50, ratio_all: largeAll.p50 / smallAll.p50,
                head: largeAll.head, middle: middleOne.p50, middle_all: middleAll.p50 },
            faults: anyFault(...[small, large, smallAll, largeAll, middleOne, middleAll].map((found) => found.faults)),
        };
    },
    finish() {
        for (const { dir } of tables.values())
            discard(dir);
        tables.clear();
    },
    columns: { rows: 'rows', small: 'one topic, 1,000 rows, ms', large: 'one topic, all rows, ms', ratio: 'ratio',
        small_all: 'all topics, 1,000 rows, ms', large_all: 'all topics, all rows, ms', ratio_all: 'ratio, all topics',
        head: 'head of the answer, ms', middle: 'from the middle, one topic, ms',
        middle_all: 'from the middle, all topics, ms' },
    judge: (of) => [
        { what: 'first event of one topic, against 1,000 rows', value: of('freshet')('ratio'), unit: '×', most: 2 },
        { what: 'first event of all topics, against 1,000 rows', value: of('freshet')('ratio_all'), unit: '×', most: 2 },
    ],
};

const herd = {
    name: 'herd', title: '5,000 clients return at once, 100 events behind',
    servers: ['freshet', 'nchan', 'node'],
    why: "freshet: its responder is killed meanwhile and started anew. The peers are not: they would lose what " +
        'the clients want. Time from the first connect() until the last client has everything.',
    seconds: [0, 0], repetitions: [3, 1],
    async measure(server, ctx) {
        const target = await ctx.open();
        const load = ctx.load(target, { streams: ctx.size(5000), opening: 4000, return: 1 });
        const opened = await load.open(1);
        await publish(target, { rate: 20, count: 5 });
        const before = await load.command('aim', target.next - 1);
        await load.command('close');
        const away = () => publish(target, { rate: 0, count: 100 });
        await (server === 'freshet' ? target.crash(away) : away());
        await load.command('target', target.next - 1);
        await load.command('open');
        const end = await load.command('aim', target.next - 1, 0, 60);
        return {
            figures: { caught: end.ok ? end.last_reached_s : NaN, connects: Math.round(load.streams / end.last_open_s),
                first_connects: Math.round(load.streams / opened.last_open_s), failed: end.open_failed,
                cpu: end.server_cpu_s },
            faults: anyFault(faults(before), faults(end)),
        };
    },
    columns: { caught: 's until all have caught up', connects: 'connects/s', first_connects: 'connects/s at first',
        failed: 'attempts that failed', cpu: 'server CPU s' },
    judge: (of) => [
        { what: 'all caught up', value: of('freshet')('caught'), unit: 's', most: 0.9 },
        { what: 'connects/s', value: of('freshet')('connects'), unit: '/s', least: 12_000 },
    ],
};

const kill = {
    name: 'kill', title: 'kill -9, and 100 clients that were away meanwhile',
    servers: ['freshet', 'nchan', 'node'],
    why: '50 events are published while the clients are away, then the server is killed and started again. ' +
        'How many of the clients get what they missed?',
    seconds: [0, 0], repetitions: [1, 1],
    async measure(server, ctx) {
        const target = await ctx.open();
        const load = ctx.load(target, { streams: 100, return: 1 });
        await load.open(1);
        await publish(target, { rate: 100, count: 20 });
        const before = await load.command('aim', target.next - 1);
        await load.command('close');
        await publish(target, { rate: 0, count: 50 });
        await target.crash();
        await load.command('open');
        const end = await load.command('aim', target.next - 1, 0, 5);
        return { figures: { got: end.reached }, faults: anyFault(faults(before), server === 'freshet' ? faults(end) : {}) };
    },
    columns: { got: 'of 100 got what they missed' },
    judge: (of) => [{ what: 'clients that get what they missed', value: of('freshet')('got'), unit: 'of 100', least: 100 }],
};

function held(name, streams, heartbeat, workers, nginxWorkers, processes) {
    return {
        name, title: `${streams.toLocaleString('en')} streams held by ${workers} responder${
            workers > 1 ? 's' : ''} and ${nginxWorkers} nginx workers, a heartbeat every ${heartbeat} s`,
        servers: ['freshet'],
        why: `Idle, with heartbeats every ${heartbeat} s, which is all that costs anything; then one event to ` +
            'all. CPU is that of all processes in percent of one core.',
        seconds: [60, heartbeat], repetitions: [1, 1],
        async measure(server, ctx) {
            const target = await ctx.open({ site: 'quiet', workers, nginxWorkers,
                options: ['--heartbeat', `${heartbeat}s`] });
            const load = ctx.load(target, { streams: ctx.size(streams), processes });
            const opened = await load.open(1);
            await load.command('sleep', 2);
            await load.command('mark');
            // Whole periods: in each, every stream has one heartbeat.
            const periods = Math.max(1, Math.round(ctx.seconds / heartbeat));
            const end = await load.command('sleep', periods * heartbeat);
            await publish(target, { count: 1 });
            const last = await load.command('aim', 1);
            const beats = Math.floor(0.9 * periods * load.streams); // one may be due a moment later
            return {
                figures: { open: last.open, cpu: end.server_cpu_s / end.seconds * 100,
                    responder_cpu: end.servers.responder.cpu_s / end.seconds * 100, heartbeats: end.comments,
                    bytes: bytesPerStream(opened), connects: Math.round(load.streams / opened.last_open_s),
                    one_event_ms: last.fast.latency_ms.max },
                faults: anyFault(faults(last), { heartbeats: Math.max(0, beats - end.comments) }),
            };
        },
        columns: { open: 'open at the end', cpu: 'CPU %, all', responder_cpu: 'CPU %, responder',
            heartbeats: 'heartbeats', bytes: 'bytes per stream', connects: 'connects/s',
            one_event_ms: 'one event reached all after ms' },
        judge: (of) => [
            { what: 'streams held', value: of('freshet')('open'), unit: '', least: streams },
            { what: 'CPU while idle', value: of('freshet')('cpu'), unit: '% of a core', most: 3 },
        ],
    };
}

const soak = {
    name: 'soak', title: 'Soak: 1,000 clients coming and going',
    servers: ['freshet'],
    why: 'Streams stay for about 10 s and come back with their Last-Event-ID, 50 events a second. Memory ' +
        '(without what is mapped from files) and descriptors after the first third against the end. The window ' +
        'holds 1 MB and 4,096 events, so that each of its pages has been in use for long by then.',
    seconds: [60, 30], repetitions: [1, 1], samples: true,
    async measure(server, ctx) {
        const target = await ctx.open({ options: ['--window-bytes', '1M', '--window-events', '4096'] });
        const load = ctx.load(target, { streams: ctx.size(1000), stay: 10, away: 0.5, return: 1 });
        await load.open(1);
        const curve = [];
        const until = Date.now() + ctx.seconds * 1000;
        const began = Date.now();
        const slice = Math.max(2, ctx.seconds / 60);
        while (Date.now() < until) {
            await publish(target, { rate: 50, seconds: slice });
            const now = await load.command('report');
            const { responder, nginx } = now.servers;
            curve.push({ seconds: (Date.now() - began) / 1000, responder_kb: responder.own_kb, nginx_kb: nginx.own_kb,
                responder_fds: responder.descriptors, nginx_fds: nginx.descriptors, opened: now.opened });
        }
        const end = await load.command('aim', target.next - 1, 0, 30);
        const third = curve.slice(Math.floor(curve.length / 3), Math.ceil(curve.length / 2));
        const mean = (points, name) => points.reduce((sum, p) => sum + p[name], 0) / points.length;
        const tail = curve.slice(-Math.max(2, Math.ceil(curve.length / 6)));
        await load.command('close');
        await load.command('sleep', 1);
        const idle = await load.command('report');
        return {
            figures: { seconds: ctx.seconds, opened: end.opened,
                responder_grown_kb: mean(tail, 'responder_kb') - mean(third, 'responder_kb'),
                nginx_grown_kb: mean(tail, 'nginx_kb') - mean(third, 'nginx_kb'),
                fds_grown: mean(tail, 'responder_fds') - mean(third, 'responder_fds'),
                fds_idle: idle.servers.responder.descriptors, p99: end.fast.latency_ms.p99 },
            faults: anyFault(faults(end)), curve,
        };
    },
    columns: { seconds: 'seconds', opened: 'streams opened', responder_grown_kb: 'responder grew, KB',
        nginx_grown_kb: 'nginx grew, KB', fds_grown: 'descriptors grew', fds_idle: 'descriptors when all have left',
        p99: 'p99 ms with replays' },
    judge: (of) => [
        { what: 'growth of the responder', value: of('freshet')('responder_grown_kb'), unit: 'KB', most: 256 },
        { what: 'growth of descriptors', value: of('freshet')('fds_grown'), unit: '', most: 100 },
    ],
};

const everyone = ['freshet', 'nchan', 'node', 'php'];
export const scenarios = [
    memory,
    replay('replay-table', 'from the table', ['--window-bytes', '4096', '--window-events', '16'], 1_500_000, everyone),
    replay('replay-window', 'from the window', [], 2_500_000, ['freshet']),
    resume,
    herd,
    kill,
    held('held-18000', 18_000, 15, 1, 3, 2),
    held('held-18000-slow-beat', 18_000, 40, 1, 3, 2),
    held('held-50000', 50_000, 40, 4, 8, 4),
    soak,
];
