// Many connections that want nothing, say nothing or take nothing, while honest streams go on: these get
// every event in time, and memory and descriptors stay within what freshet-fcgi(8) says.
import assert from 'node:assert/strict';
import { renameSync, writeFileSync } from 'node:fs';
import { afterEach, describe, it } from 'node:test';
import { tool } from '../e2e/kit/env.mjs';
import { post as publish } from '../e2e/kit/post.mjs';
import { makeToken } from '../e2e/kit/token.mjs';
import { scaled, until } from '../e2e/kit/wait.mjs';
import { World } from '../e2e/kit/world.mjs';
import { Front, PARAMS, STDIN, begin, exchange, post, record, request } from '../e2e/kit/fastcgi.mjs';
import { descriptors, instrumented, residentKB } from '../e2e/kit/memory.mjs';

const HONEST = 20;
const LATE_MS = 3000; // generous: it is about streams that stand still, not about speed

describe('a flood', () => {
    let world;
    const fronts = [];
    afterEach(async () => {
        for (const front of fronts.splice(0))
            front.close();
        await world?.close();
        world = undefined;
    });

    const open = (n, make) => Promise.all(Array.from({ length: n }, async (_, i) => {
        const front = await Front.connect(world.responder.socket);
        fronts.push(front);
        await make?.(front, i);
        return front;
    }));

    /** Streams that check their events: data is the time at which it was published. */
    async function honestStreams(query = '?topic=honest') {
        const streams = await Promise.all(Array.from({ length: HONEST }, () => world.live(query)));
        const shell = world.db.shell();
        return {
            /** Publishes n events, one after the other, and waits until each stream has all of them. */
            async check(n) {
                const had = streams[0].events.length;
                const at = [];
                for (let i = 0; i < n; i++) {
                    await shell.publish('honest', String(had + i));
                    at.push(performance.now());
                }
                let worst = 0;
                for (const stream of streams) {
                    const events = (await stream.take(had + n)).slice(had);
                    assert.deepEqual(events.map(({ data }) => data), at.map((_, i) => String(had + i)));
                    events.forEach((block, i) => { worst = Math.max(worst, block.at - at[i]); });
                }
                assert.ok(worst < scaled(LATE_MS), `an event came ${Math.round(worst)} ms late`);
                return Math.round(worst);
            },
            end: () => shell.close(),
        };
    }

    it('of 1,000 connections that say nothing or stop in the middle is not noticed, and ends', async (t) => {
        world = await World.open({ options: ['--publish', '--request-timeout', '5s'], parameters: { FRESHET_PUBLISH: 'on' } });
        const { pid } = world.responder;
        const honest = await honestStreams();
        const before = await honest.check(30);
        const [memory, files] = [residentKB(pid), descriptors(pid)];
        const whole = request('topic=a');
        await open(1000, (front, i) => [
            () => {},
            () => front.send(begin(), record(PARAMS, 'x'.repeat(100), { length: 60_000 })),
            () => front.send(whole.subarray(0, 1 + i % (whole.length - 9))),
            () => front.send(post(1_000_000), record(STDIN, Buffer.alloc(10_000), { length: 60_000 })),
        ][i % 4]());
        assert.ok(descriptors(pid) > files + 500, `${descriptors(pid)} descriptors: the flood is not there`);
        const during = await honest.check(30);
        const grown = residentKB(pid) - memory;
        assert.ok(grown < 64 * 1024 * instrumented, `${grown} KB for 1,000 connections`);
        assert.equal((await publish(world.url(), { topic: 'other', data: 'x' })).status, 201);
        await Promise.all(fronts.map((front) => front.end()));
        await until('the descriptors to be given back', () => descriptors(pid) <= files + 4);
        assert.equal(fronts.filter((front) => front.received.length > 0).length, 0);
        await honest.check(30);
        await honest.end();
        t.diagnostic(`the latest of 30 events to ${HONEST} streams: ${before} ms before the flood, ${during} ms in it, ` +
            `which took ${grown} KB`);
    });

    it('that takes all descriptors keeps nobody out for longer than --request-timeout', async () => {
        const keys = ['a', 'b'].map((letter) => letter.repeat(32));
        const tokens = keys.map((key) => makeToken(key, { exp: 4e9, freshet: { read: ['*'] } }));
        let file;
        world = await World.open({ options: ['--request-timeout', '2s'], prepare: (db) => { file = `${db.file}.key`; } });
        writeFileSync(file, keys[0]);
        await world.responder.close();
        world.responder.command = [tool('prlimit'), '--nofile=200:200', ...world.responder.command, '--token-key', file];
        await world.responder.start();
        const { pid } = world.responder;
        const parameters = (token) => ({ HTTP_AUTHORIZATION: `Bearer ${token}` });

        const [honest] = await open(1, (front) => front.send(request('topic=honest', parameters(tokens[0]))));
        await honest.until('the stream', () => honest.output.includes('freshet:live'));
        await open(400);
        await until('accepting to pause', () => /accepting pauses/.test(world.responder.output()));
        assert.ok(descriptors(pid) <= 200);
        world.db.publish({ topic: 'honest', data: 'in the flood' });
        await honest.until('an event', () => honest.output.includes('in the flood'));

        // What has to be opened can be opened: a new key, though all connections are taken.
        writeFileSync(`${file}.new`, keys[1]);
        renameSync(`${file}.new`, file);
        world.responder.signal('SIGHUP');
        await until('the key to be read', () => /token key read again/.test(world.responder.output()));

        const [late] = await open(1, (front) => front.send(request('topic=honest&last=1', parameters(tokens[1]))));
        await late.until('its turn', () => late.output.includes('in the flood'), 15_000);
        const pauses = world.responder.output().match(/accepting pauses/g).length;
        assert.ok(pauses <= 3, `${pauses} lines about it`);
    });

    it('of streams leaves places for pages and POSTs, and streams beyond that are told to come back', async () => {
        world = await World.open();
        await world.responder.close();
        world.responder.command = [tool('prlimit'), '--nofile=200:200', ...world.responder.command, '--publish'];
        await world.responder.start();
        const admitted = [];
        await open(300, async (front) => {
            await front.send(request('topic=honest'));
            await front.until('an answer', () => /freshet:live/.test(front.output) || front.ended);
            assert.equal(front.status, 200);
            if (!front.ended)
                admitted.push(front);
            else
                assert.ok(Number(/retry: (\d+)/.exec(front.output)[1]) >= 30_000, front.output);
            if (front.ended) // as a web server does
                front.close();
        });
        assert.ok(admitted.length > 100 && admitted.length < 150, `${admitted.length} streams`);
        assert.match(world.responder.output(), new RegExp(`at most ${admitted.length} streams`));
        // What comes while all of them are there is answered, and reaches them.
        const body = JSON.stringify({ topic: 'honest', data: 'posted' });
        const posted = await exchange(world.responder.socket, Buffer.concat([post(body.length), record(STDIN, body), record(STDIN)]));
        assert.equal(posted.status, 201);
        for (const front of admitted)
            await front.until('the event', () => front.output.includes('data: posted'));
        const page = await exchange(world.responder.socket, request('since=earliest', { HTTP_ACCEPT: 'application/json' }));
        assert.match(page.output, /"data":"posted"/);
        // One that leaves makes room for another.
        admitted[0].close();
        await until('the free place', async () => {
            const [front] = await open(1, (one) => one.send(request('topic=honest')));
            await front.until('an answer', () => /freshet:live/.test(front.output) || front.ended);
            return !front.ended;
        });
    });

    it('of readers that never read takes no more than the window and a record each, and is ended', async () => {
        world = await World.open({ options: ['--stall-timeout', '2s', '--window-bytes', '4M', '--page-cache', '4M'] });
        const { pid } = world.responder;
        const honest = await honestStreams();
        await open(100, async (front) => {
            await front.send(request('topic=*'));
            await front.until('the stream', () => front.status === 200);
            front.socket.pause();
        });
        const memory = residentKB(pid);
        for (let i = 0; i < 20; i++)
            world.db.sql(`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000)
                INSERT INTO events(topic, data) SELECT 'big', hex(zeroblob(1000)) FROM n`);
        await honest.check(20);
        const grown = residentKB(pid) - memory;
        assert.ok(grown < 64 * 1024 * instrumented, `${grown} KB for 40 MB to 100 readers that read nothing`);
        await until('the end of all of them', () => world.responder.output().match(/reason=stalled/g)?.length === 100);
        await honest.check(5);
        await honest.end();
    });

    /** A slow client's own reading: the text of the events of a topic, from records of any size. */
    const dataOf = (front) => front.output.split('\n').filter((line) => line.startsWith('data: ')).map((line) => line.slice(6));

    it('of readers that never read costs a record each, however large an event is', async () => {
        const READERS = 200, large = 'x'.repeat(1 << 20);
        world = await World.open();
        const { pid } = world.responder;
        const honest = await honestStreams();
        await open(READERS, async (front) => {
            await front.send(request('topic=large'));
            await front.until('the stream', () => front.output.includes('freshet:live'));
            front.socket.pause();
        });
        const slow = fronts.at(-1);
        const memory = residentKB(pid);
        for (const letter of ['a', 'b', 'c'])
            world.db.publish({ topic: 'large', data: letter + large });
        await honest.check(20);
        const grown = residentKB(pid) - memory;
        assert.ok(grown < 32 * 1024 * instrumented, `${grown} KB for 3 events of 1 MB to ${READERS} readers that read nothing`);
        // One that reads at last has lost nothing of them.
        slow.socket.resume();
        await slow.until('the events', () => slow.received.length > 3 * large.length && /\n\n$/.test(slow.output), 30_000);
        assert.deepEqual(dataOf(slow).filter((line) => line.length > 100), ['a', 'b', 'c'].map((letter) => letter + large));
        await honest.end();
    });

    it('of readers that never read takes --unsent-bytes at most: those that took nothing for longest come back', async () => {
        const READERS = 60, EVENTS = 6, large = 'y'.repeat(200_000);
        // A kernel buffer as small as this takes a part of each record.
        world = await World.open({ options: ['--unsent-bytes', '1M', '--send-buffer', '4K', '--record-bytes', '65535'] });
        const honest = await honestStreams();
        await open(READERS, async (front) => {
            await front.send(request('topic=large'));
            await front.until('the stream', () => front.output.includes('freshet:live'));
            front.socket.pause();
        });
        for (let i = 0; i < EVENTS; i++)
            world.db.publish({ topic: 'large', data: `${i}${large}` });
        await honest.check(20);
        await until('some of them to be closed', () => /reason=unsent/.test(world.responder.output()));
        world.responder.signal('SIGUSR1');
        await until('the counters', () => /unsent_bytes=/.test(world.responder.output()));
        const [, kept] = /unsent_bytes=(\d+)/.exec(world.responder.output());
        const [, drops] = /unsent_drops=(\d+)/.exec(world.responder.output());
        assert.ok(Number(kept) > 512 * 1024 && Number(kept) <= 1024 * 1024, `${kept} bytes are kept`);
        assert.ok(Number(drops) > 0 && Number(drops) < READERS, `${drops} are closed`);
        assert.equal(world.responder.output().match(/--unsent-bytes is reached/g).length, 1);
        // Who was closed comes back to its position, who was not reads on: nobody has lost anything.
        const eventsOf = (front) => [...front.output.matchAll(/\nid: (\S+)\ndata: (\d)(y+)\n(?=\n)/g)];
        fronts.forEach((front) => front.socket.resume());
        await until('those that were closed to notice', () => fronts.filter((front) => front.ended).length >= Number(drops));
        for (const front of [...fronts]) {
            if (!front.ended) {
                await front.until('all events, or the end', () => front.ended || eventsOf(front).length === EVENTS, 30_000);
            }
            const got = eventsOf(front);
            if (front.ended) {
                const [next] = await open(1);
                const last = got.at(-1)?.[1];
                await next.send(last ? request('topic=large', { HTTP_LAST_EVENT_ID: last }) : request('topic=large&since=earliest'));
                await next.until('the rest', () => got.length + eventsOf(next).length >= EVENTS, 30_000);
                got.push(...eventsOf(next));
                next.close();
            }
            assert.deepEqual(got.map(([, , number, data]) => number + data), Array.from({ length: EVENTS }, (_, i) => `${i}${large}`));
            front.close();
        }
        await honest.end();
    });

    it('an event that is deleted while it is sent is not sent on, and nothing else takes its place', async () => {
        world = await World.open({ options: ['--poll', '20ms', '--send-buffer', '4K', '--record-bytes', '65535'] });
        const [front] = await open(1, (one) => one.send(request('topic=large')));
        await front.until('the stream', () => front.output.includes('freshet:live'));
        front.socket.pause();
        const id = world.db.publish({ topic: 'large', data: `a${'x'.repeat(4 << 20)}` });
        await until('it to be sent in part', () => {
            world.responder.signal('SIGUSR1');
            return /unsent_bytes=[1-9]/.test(world.responder.output());
        });
        world.db.sql(`DELETE FROM events WHERE id = ${id}`);
        const next = world.db.publish({ topic: 'large', data: `b${'x'.repeat(4 << 20)}` });
        world.db.publish({ topic: 'large', data: 'small' });
        front.socket.resume();
        await front.until('its end, or all', () => front.ended || /data: small/.test(front.output), 30_000);
        // Either it was deleted too late, and all of it came, or it was cut where no blank line follows.
        const blocks = front.output.split('\n\n');
        const whole = blocks.filter((block) => /\ndata: [ab]x/.test(block));
        for (const block of front.ended ? whole.slice(0, -1) : whole)
            assert.match(block, /^id: \S+\ndata: (ax{4194304}|bx{4194304})$/);
        if (front.ended)
            assert.ok(!front.output.endsWith('\n\n'));
        assert.ok(next > id);
    });

    it('of clients that close their half of the connection is forgotten', async () => {
        world = await World.open();
        const files = descriptors(world.responder.pid);
        await open(100, async (front) => {
            front.socket.end(request('topic=a'));
            await front.end();
        });
        await until('the descriptors to be given back', () => descriptors(world.responder.pid) <= files);
    });

    it('of different filters takes no more than --feed-bytes, and all of them get all', async () => {
        const FILTERS = 300, EVENTS = 5000;
        world = await World.open({ options: ['--feed-bytes', '1M', '--page-cache', '1M'] });
        const { pid } = world.responder;
        const honest = await honestStreams();
        const counts = new Array(FILTERS).fill(0);
        await open(FILTERS, async (front, i) => {
            await front.send(request(`topic=flood&topic=filter${i}`));
            await front.until('the stream', () => front.output.includes('freshet:live'));
        });
        const memory = residentKB(pid);
        fronts.forEach((front, i) => {
            front.received = Buffer.alloc(0);
            front.socket.removeAllListeners('data');
            let tail = '';
            front.socket.on('data', (chunk) => { // no more is kept than is needed to count
                const text = tail + chunk.toString('latin1');
                counts[i] += text.split('\ndata: ').length - 1;
                tail = text.slice(-6).includes('\ndata: ') ? '' : text.slice(-6);
            });
        });
        for (let i = 0; i < EVENTS / 1000; i++)
            world.db.fill('flood', 1000);
        await until('all events at all streams', () => counts.every((n) => n >= EVENTS), { within: 30_000 });
        assert.deepEqual([...new Set(counts)], [EVENTS]);
        await honest.check(5);
        await honest.end();
        const grown = residentKB(pid) - memory;
        assert.ok(grown < 24 * 1024 * instrumented, `${grown} KB for ${FILTERS} filters; their rings alone would be ` +
            `${FILTERS * 8192 * 16 / 1024} KB`);
    });

    it('of POST bodies takes no more than --publish-bytes; the next ones are told to come back', async () => {
        world = await World.open({ options: ['--publish', '--publish-bytes', '8M', '--request-timeout', '3s'] });
        const { pid } = world.responder;
        const honest = await honestStreams();
        const memory = residentKB(pid);
        const piece = record(STDIN, Buffer.alloc(65_000, 0x20));
        await open(100, async (front) => {
            await front.send(post());
            for (let i = 0; i < 16 && !front.status; i++)
                await front.send(piece);
        });
        const grown = residentKB(pid) - memory;
        assert.ok(grown < 40 * 1024 * instrumented, `${grown} KB`);
        const refused = () => fronts.filter((front) => front.status === 503).length;
        await until('more than 80 to be told so', () => refused() > 80);
        await honest.check(5);
        await Promise.all(fronts.map((front) => front.end()));
        const body = Buffer.from('{"topic":"a","data":"x"}');
        const [next] = await open(1, (front) => front.send(post(body.length), record(STDIN, body), record(STDIN)));
        await next.until('an answer', () => next.status);
        assert.equal(next.status, 201, 'what was taken is given back');
        await honest.end();
    });
});
