// A web server that has no time: it is not written to for every event, but gets what has come meanwhile in
// one piece (fcgi/round.h).
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { until } from '../e2e/kit/wait.mjs';
import { World } from '../e2e/kit/world.mjs';
import { Front, request, STDOUT } from '../e2e/kit/fastcgi.mjs';

const STREAMS = 2000; // so many that a round is waited for longer than a commit takes
const EVENTS = 20;
const RATE = 200; // commits a second, one by one
const PAUSES = { readableHighWaterMark: 1 }; // a socket that is paused goes on reading until it has so much
const ATTEMPTS = 3; // a machine that stands still for a moment lets too much time pass between two commits

describe('a web server that does not keep up', () => {
    let world, fronts;
    before(async () => {
        world = await World.open({ server: 'nginx' });
        fronts = [];
        // Each asks at once: all connections before the first request may take longer than --request-timeout.
        for (let i = 0; i < STREAMS; i++) {
            fronts.push(await Front.connect(world.responder.where, PAUSES));
            await fronts[i].send(request('topic=a'));
        }
        await Promise.all(fronts.map((front) => front.until('a live stream',
            () => front.received.includes('freshet:live'), 20_000)));
    });
    after(async () => {
        fronts.forEach((front) => front.close());
        await world.close();
    });

    /** Commits events while nobody reads; then everybody does. Gives back how many they were. */
    async function publishUnread() {
        const shell = world.db.shell();
        await shell.execute('PRAGMA synchronous = OFF');
        fronts.forEach((front) => { front.received = Buffer.alloc(0); front.socket.pause(); });
        const flow = shell.flow('a', RATE);
        await until('the events to be written', () => flow.written() >= EVENTS);
        const n = await flow.end();
        fronts.forEach((front) => front.socket.resume());
        await Promise.all(fronts.map((front) => front.until('the last event',
            () => front.received.includes(`data: ${n}\n`), 20_000)));
        return n;
    }

    it('gets several events in one piece, and each of them once and in order', async () => {
        const data = ({ output }) => [...output.matchAll(/^data: (.*)$/gm)].map((match) => Number(match[1]));
        const pieces = ({ records }) => records.filter(({ type }) => type === STDOUT).length;
        const tries = [];
        for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
            const n = await publishUnread();
            for (const front of fronts)
                assert.deepEqual(data(front), Array.from({ length: n }, (_, i) => i + 1));
            const each = fronts.reduce((sum, front) => sum + pieces(front), 0) / STREAMS;
            if (each < n / 3)
                return;
            tries.push(`${n} in ${each.toFixed(1)} pieces`);
        }
        assert.fail(`events came in nearly as many pieces: ${tries.join(', ')}`);
    });
});
