// Nothing is lost and nothing is doubled, whatever is restarted while 200 events a second flow: every
// client, the `eventsource` package's and a plain one, has every event exactly once and in order.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { until } from './kit/wait.mjs';
import { World } from './kit/world.mjs';

const RATE = 200;
const CLIENTS = 5;

const stories = {
    'nginx: the responder is killed with -9 and started again': {
        server: 'nginx', way: 'unix', disturb: (world, more) => world.responder.crash(() => more(50)),
    },
    'nginx: the responder on TCP is killed with -9 and started again': {
        server: 'nginx', way: 'tcp', disturb: (world, more) => world.responder.crash(() => more(50)),
    },
    'nginx: the responder is killed with -9 while systemd holds its socket': {
        server: 'nginx', way: 'activation', disturb: (world) => world.responder.crash(),
    },
    'nginx: the responder is ended with SIGTERM and started again': {
        server: 'nginx', way: 'unix',
        disturb: async (world, more) => {
            await world.responder.process.stop('SIGTERM');
            await more(20);
            await world.responder.start();
        },
    },
    'nginx: reloaded': { server: 'nginx', way: 'unix', disturb: (world) => world.server.reload() },
    'nginx: restarted': { server: 'nginx', way: 'unix', disturb: (world) => world.server.restart() },
    'lighttpd: the responder is killed with -9 and started again': {
        server: 'lighttpd', way: 'unix', disturb: (world, more) => world.responder.crash(() => more(50)),
    },
    'lighttpd: the responder is killed with -9 while systemd holds its socket': {
        server: 'lighttpd', way: 'activation', disturb: (world) => world.responder.crash(),
    },
    'lighttpd: its own responder (bin-path) is killed with -9': {
        server: 'lighttpd', way: 'bin-path',
        disturb: async (world) => {
            const old = world.server.responders();
            assert.equal(old.length, 1);
            process.kill(old[0], 'SIGKILL');
            await until('lighttpd to start another', () => {
                const now = world.server.responders();
                return now.length === 1 && now[0] !== old[0];
            });
        },
    },
    'lighttpd: restarted': { server: 'lighttpd', way: 'unix', disturb: (world) => world.server.restart() },
};

describe('exactly once and in order', { concurrency: 3 }, () => {
    for (const [name, story] of Object.entries(stories)) {
        it(name, async () => {
            const world = await World.open(story);
            try {
                await survive(world, story.disturb);
            } finally {
                await world.close();
            }
        });
    }
});

async function survive(world, disturb) {
    // Each client starts with the first event, so all must end with the same list.
    const rest = '?topic=flow&since=earliest';
    const sources = Array.from({ length: CLIENTS }, () => world.source(rest, ['freshet:reset']));
    const followers = Array.from({ length: CLIENTS }, () => world.follow(rest));
    const clients = [...sources, ...followers];
    const flow = world.db.shell().flow('flow', RATE);
    const more = (n) => {
        const goal = flow.written() + n;
        return until(`${n} more rows`, () => flow.written() >= goal);
    };
    const everyone = (n) => until(`${n} events at every client`,
        () => clients.every((client) => client.events.length >= n), { within: 30_000 });
    const state = () => clients.map((client) =>
        `${client.opens} opens, ${client.events.length} events${client.dead ? ', given up' : ''}`).join('; ');

    try {
        await everyone(RATE / 2);
        const opens = clients.map((client) => client.opens);
        await disturb(world, more);
        await until('every client to have been cut and be back',
            () => clients.every((client, i) => client.opens > opens[i]), { within: 30_000 });
        await more(RATE / 2);
        await flow.end();
        await everyone(flow.written());
    } catch (error) {
        throw new Error(`${error.message}; of ${flow.written()} rows: ${state()}`);
    } finally {
        await flow.end();
    }

    const ids = world.db.ids('flow');
    assert.equal(ids.length, flow.written());
    for (const client of clients) {
        const got = client.events.map((event) => parseInt(event.lastEventId ?? event.id, 10));
        assert.deepEqual(got, ids, 'each id once, in order');
        assert.deepEqual(client.events.map((event) => event.data), ids.map((_, i) => String(i + 1)));
    }
    assert.ok(sources.every((source) => source.seen('freshet:reset').length === 0), 'no position was lost');
    assert.ok(followers.every((follower) => follower.resets.length === 0), 'no position was lost');
}
