// Scenarios about delivering: how much, how soon, to readers of every kind.
//
// A scenario has
//   name, title    what `make bench SCENARIO=` takes, and the heading in the report
//   servers        who takes part, by the names in servers.mjs
//   why            what is measured and how, for the report
//   seconds        [full, quick]: how long one measurement lasts
//   repetitions    [full, quick]: how often
//   measure        (name, ctx) => { figures, faults?, curve? }: one run of one server. ctx.open(options)
//                  gives the server, which is closed afterwards; ctx.load(server, options) a client;
//                  ctx.size(n) is n, or less when everything is scaled down
//   columns        { figure: heading }; the order is that of the table
//   judge          (of) => [{ what, value, target, met }]; of(server)(figure) is a median
import { anyFault, faults, publish } from './client.mjs';

const QUEUE_GONE_S = 15; // so long may what a server still owes take to come
const LATE = 0.05;       // of its time: a publisher so far behind its schedule was held up

const perSecond = (n) => Math.round(n);

const NEAR = 1.05; // rates closer than this are one

/** One rate for one time: a point of the curve. */
async function step(server, load, rate, seconds) {
    await load.command('mark');
    const first = server.next;
    const sent = await publish(server, { rate, seconds });
    const end = await load.command('aim', sent.last, 0, QUEUE_GONE_S);
    const wrong = anyFault(faults(end));
    // From the publisher's beginning to the last event that a client got.
    const span = Math.max(end.last_event_s - (sent.began_ns - end.mark_ns) / 1e9, seconds);
    return {
        rate, offered: rate * load.streams,
        deliveries: perSecond(end.fast.events / span),
        p50: end.fast.latency_ms.p50, p99: end.fast.latency_ms.p99,
        cpu: end.server_cpu_s / span,
        cpu_per_million: end.server_cpu_s / end.fast.events * 1e6,
        client_cpu: end.client_cpu_s / span,
        late_ms: sent.late_ms, events: sent.last - first + 1, faults: wrong,
        drained: end.ok, held: end.ok && sent.late_ms < LATE * seconds * 1000,
    };
}

/* Where to begin: well below what each did in earlier runs, so that the first step succeeds. */
const GENTLE = { freshet: 200_000, nchan: 16_000, node: 16_000, php: 4_000 };

/** The most deliveries among the points that nothing was wrong with. */
function most(curve, p99) {
    return curve.filter((point) => point.held && !point.faults && point.p99 < p99)
        .reduce((best, point) => (point.deliveries > (best?.deliveries ?? 0) ? point : best), undefined);
}

/**
 * Doubles the rate until the publisher is held up or somebody waits for a second, then looks between
 * the last rate within each limit and the first one beyond. All of it is the curve.
 */
async function climb(server, name, load, seconds) {
    const curve = [];
    const within = (point, limit) => point.held && !point.faults && point.p99 < limit;
    const take = async (rate, limit, time = seconds) => {
        const point = await step(server, load, Math.max(1, Math.round(rate)), time);
        curve.push(point);
        return within(point, limit);
    };
    const start = GENTLE[name] / load.streams;
    await take(start, 1000, 1); // warms up
    curve.pop();
    let rate = start;
    while (curve.length < 10 && await take(rate, 1000))
        rate *= 2;
    for (rate = start / 2; !most(curve, 1000) && curve.length < 4; rate /= 2)
        await take(rate, 1000);
    for (const limit of [200, 1000]) {
        const base = most(curve, limit)?.rate;
        const known = (beyond) => curve.some((p) => p.rate > base && p.rate <= beyond * NEAR && !within(p, limit));
        for (const factor of [1.06, 1.12, 1.19, 1.3, 1.41, 1.54, 1.68, 1.83]) {
            if (!base || known(base * factor) || !curve.every((p) => p.drained))
                break;
            await take(base * factor, limit);
        }
    }
    return curve.sort((one, other) => one.rate - other.rate);
}

function fanout(name, streams, pace, times) {
    const reading = pace ? `each client reads once in ${pace} ms` : 'clients read at once';
    return {
        name, title: `Most deliveries a second, ${streams.toLocaleString('en')} clients, ${reading}`,
        servers: streams > 100 ? ['freshet', 'nchan', 'node'] : ['freshet', 'nchan', 'node', 'php'],
        why: 'One topic, events of 200 bytes. The rate goes up until clients wait or the publisher is ' +
            'held up. A rate counts when every client got every event, in order.',
        seconds: [4, 2], repetitions: [3, 1], axes: ['deliveries a second', 'p99, ms'],
        slow: pace === 0,
        async measure(server, ctx) {
            const target = await ctx.open();
            const load = ctx.load(target, { streams: ctx.size(streams), pace: pace || undefined });
            await load.open(target.next);
            const curve = await climb(target, server, load, ctx.seconds);
            const within200 = most(curve, 200);
            const within1000 = most(curve, 1000);
            return {
                figures: {
                    within200: within200?.deliveries ?? 0, p50_there: within200?.p50, p99_there: within200?.p99,
                    within1000: within1000?.deliveries ?? 0, cpu: within200?.cpu,
                    cpu_per_million: within200?.cpu_per_million, client_cpu: within200?.client_cpu,
                },
                curve,
                // Rates above a server's best may go wrong; that is the point of them. What went wrong
                // below it is a fault.
                faults: anyFault(...curve.filter((p) => p.rate < (within1000?.rate ?? 0)).map((p) => p.faults)),
            };
        },
        columns: { within200: 'deliveries/s, p99 < 200 ms', p50_there: 'p50 ms there', p99_there: 'p99 ms there',
            within1000: 'deliveries/s, p99 < 1 s', cpu: 'server CPU there', client_cpu: 'client CPU there',
            cpu_per_million: 'CPU s per million' },
        judge: (of) => [{
            what: `deliveries/s with p99 < 200 ms against nchan's with p99 < 1 s`,
            value: of('freshet')('within200') / of('nchan')('within1000'), unit: '×', least: times,
        }],
    };
}

/** target: the limits for p50 and p99 against nchan, where there are any. */
function latency(name, streams, rate, nginxWorkers, target) {
    return {
        name, title: `Latency, ${streams.toLocaleString('en')} clients, ${rate} events a second`,
        servers: ['freshet', 'nchan', 'node'],
        why: 'From the INSERT (or POST) to the client; clients read at once.',
        seconds: [15, 6], repetitions: [3, 1],
        async measure(server, ctx) {
            const target = await ctx.open(server === 'freshet' ? { nginxWorkers } : {});
            const load = ctx.load(target, { streams: ctx.size(streams) });
            const opened = await load.open(target.next);
            await publish(target, { rate, seconds: 1 });
            await load.command('aim', target.next - 1);
            const point = await step(target, load, rate, ctx.seconds);
            return {
                figures: { p50: point.p50, p99: point.p99, cpu: point.cpu,
                    connects: perSecond(load.streams / opened.last_open_s) },
                faults: point.faults,
            };
        },
        columns: { p50: 'p50 ms', p99: 'p99 ms', cpu: 'server CPU', connects: 'connects/s' },
        judge: (of) => (target ? ['p50', 'p99'] : []).map((name) => (
            { what: `${name} against nchan`, value: of('freshet')(name) / of('nchan')(name), unit: '×', most: target[name] })),
    };
}

const commit = {
    name: 'commit', title: 'From commit to client, one idle client',
    servers: ['freshet', 'nchan', 'node', 'php'],
    why: 'INSERT by another process with synchronous=NORMAL (or POST), 50 a second at uneven times.',
    seconds: [20, 6], repetitions: [3, 2],
    async measure(server, ctx) {
        const target = await ctx.open();
        const load = ctx.load(target, { streams: 1 });
        await load.open(target.next);
        await publish(target, { rate: 50, seconds: 1, jitter: true });
        await load.command('aim', target.next - 1);
        await load.command('mark');
        const sent = await publish(target, { rate: 50, seconds: ctx.seconds, jitter: true });
        const end = await load.command('aim', sent.last);
        const { p50, p99, max } = end.fast.latency_ms;
        return { figures: { p50, p99, max, cpu: end.server_cpu_s / end.seconds }, faults: anyFault(faults(end)) };
    },
    columns: { p50: 'p50 ms', p99: 'p99 ms', max: 'longest ms', cpu: 'server CPU' },
    judge: (of) => [
        { what: 'p50', value: of('freshet')('p50'), unit: 'ms', most: 0.5 },
        { what: 'p99', value: of('freshet')('p99'), unit: 'ms', most: 3 },
    ],
};

/** CPU per delivery with so many topics, one client each, when events go to one of them. */
async function topicCost(ctx, options, topics) {
    const target = await ctx.open(options);
    const load = ctx.load(target, { streams: topics, topics });
    await load.open(1);
    await publish(target, { rate: 500, seconds: 1 });
    await load.command('aim', target.next - 1, 1);
    await load.command('mark');
    const sent = await publish(target, { rate: 500, seconds: ctx.seconds });
    const end = await load.command('aim', sent.last, 1);
    const found = faults(end, 1);
    if (end.fast.events !== sent.events)
        found.unreached += Math.abs(sent.events - end.fast.events);
    await load.close();
    const each = (seconds) => seconds / sent.events * 1e6;
    return { all: each(end.server_cpu_s), responder: each(end.servers.responder?.cpu_s ?? NaN),
        p99: end.fast.latency_ms.p99, faults: anyFault(found) };
}

const topics = {
    name: 'topics', title: '10,000 topics with one client each, events to one of them',
    servers: ['freshet', 'nchan', 'node'],
    why: 'Server CPU per delivery at 500 events a second, against one topic with one client.',
    seconds: [6, 3], repetitions: [3, 1],
    async measure(server, ctx) {
        const options = server === 'freshet' ? { nginxWorkers: 2 } : {};
        const one = await topicCost(ctx, options, 1);
        const many = await topicCost(ctx, options, ctx.size(10_000));
        return {
            figures: { one: one.all, many: many.all, ratio: many.all / one.all,
                responder: many.responder / one.responder, p99: many.p99 },
            faults: anyFault(one.faults, many.faults),
        };
    },
    columns: { one: 'µs CPU, 1 topic', many: 'µs CPU, 10,000 topics', ratio: 'ratio',
        responder: 'ratio of the responder alone', p99: 'p99 ms, 10,000 topics' },
    judge: (of) => [{ what: 'cost per delivery against one topic', value: of('freshet')('ratio'), unit: '×', most: 1.3 }],
};

/** A run with so many of 1,000 clients reading 1 KB/s. */
async function withSlow(ctx, rate, slow) {
    const target = await ctx.open();
    const streams = ctx.size(1000);
    const load = ctx.load(target, { streams, slow, 'slow-rate': 1024, pace: 5 });
    await load.open(1);
    await publish(target, { rate, seconds: 1 });
    await load.command('aim', target.next - 1, streams - slow);
    await load.command('mark');
    const sent = await publish(target, { rate, seconds: ctx.seconds });
    const end = await load.command('aim', sent.last, streams - slow, QUEUE_GONE_S);
    const pss = Object.values(end.servers).reduce((sum, s) => sum + s.pss_kb - s.pss_kb_before, 0);
    await load.command('thaw');
    const caught = await load.command('aim', sent.last, streams, 60);
    await load.close();
    return { p50: end.fast.latency_ms.p50, p99: end.fast.latency_ms.p99, grown_mb: pss / 1024,
        kernel_mb: (end.peak_tcp_kb - end.tcp_kb_before) / 1024, late_ms: sent.late_ms,
        lost: caught.slow.missing + caught.slow.closed + streams - caught.reached,
        faults: anyFault(faults(end, streams - slow), slow ? {} : faults(caught)) };
}

function slowReaders(name, rate, names) {
    return {
        name, title: `100 of 1,000 clients read 1 KB/s, ${rate} events a second`,
        servers: names,
        why: 'The others against a run without slow ones; then the slow ones read on at full speed ' +
            'and must find all they missed.',
        seconds: [8, 4], repetitions: [3, 1],
        async measure(server, ctx) {
            const none = await withSlow(ctx, rate, 0);
            const some = await withSlow(ctx, rate, ctx.size(100));
            return {
                figures: { none_p99: none.p99, p50: some.p50, p99: some.p99, ratio: some.p99 / none.p99,
                    grown_mb: some.grown_mb, kernel_mb: some.kernel_mb, lost: some.lost },
                faults: anyFault(none.faults, some.faults, server === 'freshet' ? { lost: some.lost } : {}),
            };
        },
        columns: { none_p99: 'p99 ms, none slow', p50: 'p50 ms of the others', p99: 'p99 ms of the others',
            ratio: 'ratio', grown_mb: 'processes grew, MB', kernel_mb: 'kernel buffers grew, MB',
            lost: 'events or streams lost by slow ones' },
        judge: (of) => [
            { what: 'p99 of the others against no slow ones', value: of('freshet')('ratio'), unit: '×', most: 1.5 },
            { what: 'lost by slow ones', value: of('freshet')('lost'), unit: '', most: 0 },
        ],
    };
}

/** 10 fast clients and so many that read nothing. */
async function withBlocked(ctx, blocked) {
    const target = await ctx.open();
    const fast = 10;
    const load = ctx.load(target, { streams: fast + blocked, slow: blocked, 'slow-rate': 0 });
    await load.open(1);
    await publish(target, { rate: 2000, seconds: 1, bytes: 1024 });
    await load.command('aim', target.next - 1, fast);
    await load.command('mark');
    const sent = await publish(target, { rate: 2000, seconds: ctx.seconds, bytes: 1024 });
    const end = await load.command('aim', sent.last, fast, QUEUE_GONE_S);
    await load.command('thaw');
    const caught = await load.command('aim', sent.last, fast + blocked, 60);
    await load.close();
    return { p50: end.fast.latency_ms.p50, p99: end.fast.latency_ms.p99,
        got: end.fast.events / fast / sent.events, peak_kb: end.peak_rss_kb + end.peak_tcp_kb - end.tcp_kb_before,
        lost: caught.slow.missing + caught.slow.closed + fast + blocked - caught.reached,
        faults: anyFault(faults(end, fast)) };
}

const blocked = {
    name: 'blocked', title: '10 blocked and 10 fast clients, 2,000 events a second of 1 KB',
    servers: ['freshet', 'nchan', 'node'],
    why: 'The blocked ones read nothing until the end, then all. Growth: peak of all processes and the ' +
        "kernel's TCP buffers, less that of a run without blocked ones.",
    seconds: [8, 8], repetitions: [3, 1],
    async measure(server, ctx) {
        const none = await withBlocked(ctx, 0);
        const some = await withBlocked(ctx, 10);
        return {
            figures: { got: some.got * 100, p50: some.p50, p99: some.p99,
                grown: (some.peak_kb - none.peak_kb) / 10 / 1024, peak: some.peak_kb / 1024, lost: some.lost },
            faults: anyFault(none.faults, some.faults, server === 'freshet' ? { lost: some.lost } : {}),
        };
    },
    columns: { got: 'fast ones got, %', p50: 'p50 ms', p99: 'p99 ms', grown: 'MB per blocked client',
        peak: 'peak MB', lost: 'lost by blocked ones' },
    judge: (of) => [
        { what: 'fast ones got', value: of('freshet')('got'), unit: '%', least: 100 },
        { what: 'p99 of the fast ones', value: of('freshet')('p99'), unit: 'ms', most: 50 },
        { what: 'growth per blocked client', value: of('freshet')('grown'), unit: 'MB', most: 1 },
    ],
};

const scale = {
    name: 'scale', title: '4 responders and 4 nginx workers against one each, same load, same core',
    servers: ['freshet'],
    why: '1,000 clients, 300 events a second: CPU seconds of all server processes per million deliveries.',
    seconds: [8, 4], repetitions: [3, 2],
    async measure(server, ctx) {
        const run = async (n) => {
            const target = await ctx.open({ nginxWorkers: n, workers: n });
            const load = ctx.load(target, { streams: ctx.size(1000) });
            await load.open(1);
            await step(target, load, 300, 1);
            const point = await step(target, load, 300, ctx.seconds);
            await load.close();
            return point;
        };
        const one = await run(1);
        const four = await run(4);
        return {
            figures: { one: one.cpu_per_million, four: four.cpu_per_million,
                ratio: four.cpu_per_million / one.cpu_per_million, one_p99: one.p99, four_p99: four.p99 },
            faults: anyFault(one.faults, four.faults),
        };
    },
    columns: { one: 'CPU s per million, 1 + 1', four: 'CPU s per million, 4 + 4', ratio: 'ratio',
        one_p99: 'p99 ms, 1 + 1', four_p99: 'p99 ms, 4 + 4' },
    judge: (of) => [{ what: 'CPU of 4 + 4 against 1 + 1', value: of('freshet')('ratio'), unit: '×', most: 1.15 }],
};

export const scenarios = [
    fanout('fanout-1000', 1000, 5, 16),
    fanout('fanout-100', 100, 5, 8),
    fanout('fanout-1000-eager', 1000, 0, 16),
    fanout('fanout-100-eager', 100, 0, 8),
    latency('latency-1000', 1000, 10, 1, { p50: 1.2, p99: 1 }),
    latency('latency-10000', 10_000, 1, 2, { p50: 1.2, p99: 1 }),
    latency('latency-1000-busy', 1000, 300, 1),
    commit,
    topics,
    slowReaders('slow-100', 100, ['freshet', 'nchan', 'node']),
    slowReaders('slow-1000', 1000, ['freshet']),
    blocked,
    scale,
];
