// Requests that are answered and done (doc/freshet-events.7, "PAGES OF HISTORY"): pages, long polls, one
// event, the topics, and what caches may keep; through nginx and lighttpd.
import assert from 'node:assert/strict';
import { mkdirSync, renameSync, rmSync } from 'node:fs';
import net from 'node:net';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { Database } from './kit/database.mjs';
import { get } from './kit/get.mjs';
import { scaled, until } from './kit/wait.mjs';
import { World, servers } from './kit/world.mjs';

const ROWS = 250;
const PRUNED = 20;

/** The responder's counters, as SIGUSR1 logs them. */
async function counters(world) {
    const lines = () => world.responderLog().split('\n').filter((line) => line.includes(' counters '));
    const before = lines().length;
    world.responder.signal('SIGUSR1');
    await until('a line of counters', () => lines().length > before);
    return Object.fromEntries(lines().at(-1).split(' ').filter((word) => word.includes('='))
        .map((word) => word.split('=')).map(([name, value]) => [name, Number(value)]));
}

for (const server of servers) {
    describe(`history through ${server}`, { concurrency: 4 }, () => {
        let world;
        let db;

        before(async () => {
            world = await World.open({
                server,
                prepare: (fresh) => {
                    fresh.sql(`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${ROWS})
                        INSERT INTO events(topic, type, data, created)
                        SELECT 'old/' || (i % 3), CASE i % 2 WHEN 0 THEN 'even' END, 'row ' || i, 1000 * i FROM n`);
                    fresh.sql(`DELETE FROM events WHERE id <= ${PRUNED}`);
                },
            });
            db = world.db;
        });
        after(() => world?.close());

        const id = (seq) => `${seq}-${db.epoch}`;
        const page = (query, options) => get(world.url(query), options);
        const seqs = (events) => events.map((event) => parseInt(event.id, 10));
        const range = (from, to) => Array.from({ length: Math.abs(to - from) + 1 },
            (_, i) => from < to ? from + i : from - i);

        // ---- pages

        it('a page is one JSON object whose events are as they are stored', async () => {
            const data = 'two\r\nlines, "quoted" \\ \u0001 \u2028 👋🏽';
            const seq = db.publish({ topic: 'odd "topic"', type: 'odd', data, created: 77 });
            const seen = await page(`?last_event_id=${seq - 1}&topic=odd "topic"`.replaceAll(' ', '%20'));
            assert.equal(seen.status, 200);
            assert.match(seen.headers['content-type'], /^application\/json/);
            assert.deepEqual(seen.json.events,
                [{ id: id(seq), topic: 'odd "topic"', type: 'odd', created: 77, data }]);
            assert.equal(seen.json.live, true);
        });

        it('pages that follow next give every event once, and end live', async () => {
            const all = [];
            let query = '?since=earliest&limit=60&topic=old/*';
            for (let pages = 0; ; pages++) {
                const { json } = await page(query);
                all.push(...seqs(json.events));
                if (json.live)
                    break;
                assert.equal(json.events.length, 60);
                query = `?last_event_id=${json.next}&limit=60&topic=old/*`;
                assert.ok(pages < 10);
            }
            assert.deepEqual(all, range(PRUNED + 1, ROWS));
        });

        it('a page and the stream after it have no gap and no double', async () => {
            const { json } = await page('?topic=join&since=earliest');
            db.publish({ topic: 'join', data: 'between' });
            const stream = await world.stream(`?topic=join&last_event_id=${json.next}`);
            await stream.take(1);
            db.publish({ topic: 'join', data: 'later' });
            await stream.take(2);
            assert.deepEqual(stream.events.map((event) => event.data), ['between', 'later']);
        });

        it('without a start it is empty and says where now is', async () => {
            const { json } = await page('?topic=old/*');
            assert.deepEqual(json.events, []);
            assert.ok(parseInt(json.next, 10) >= ROWS);
            assert.equal(json.live, true);
        });

        it('starts and filters are those of a stream: last, since, type, topic, the header', async () => {
            assert.deepEqual(seqs((await page('?topic=old/1&type=even&last=2')).json.events), [244, 250]);
            assert.deepEqual(seqs((await page('?topic=old/*&last=3&limit=2')).json.events), [248, 249]);
            assert.deepEqual(seqs((await page('?topic=old/*&since=1970-01-01T00:04:05Z&limit=2')).json.events),
                [245, 246]);
            assert.deepEqual(seqs((await page('?topic=old/*&last=3&limit=1',
                { headers: { 'Last-Event-ID': id(100) } })).json.events), [101]);
        });

        it('NDJSON has one event a line; the rest is in the head', async () => {
            const seen = await page('?topic=old/*&last_event_id=100&limit=3', { accept: 'ndjson' });
            assert.match(seen.headers['content-type'], /^application\/x-ndjson/);
            assert.deepEqual(seqs(seen.body.trimEnd().split('\n').map((line) => JSON.parse(line))), [101, 102, 103]);
            assert.equal(seen.headers['freshet-next'], id(103));
            assert.equal(seen.headers['freshet-live'], 'false');
        });

        it('Link names the next page', async () => {
            const seen = await page('?topic=old/*&last_event_id=100&limit=3');
            const [, link] = /^<(.*)>; rel="next"$/.exec(seen.headers.link);
            const next = await get(new URL(link, world.url()).href);
            assert.deepEqual(seqs(next.json.events), [104, 105, 106]);
        });

        it('going back: the newest first, down to the oldest', async () => {
            const all = [];
            let before = 251;
            while (before !== null) {
                const { json } = await page(`?topic=old/*&limit=100&before=${before}`);
                all.push(...seqs(json.events));
                before = json.next;
            }
            assert.deepEqual(all, range(ROWS, PRUNED + 1));
            assert.deepEqual(seqs((await page('?topic=old/0&type=message&limit=2&before=now')).json.events),
                [249, 243]);
        });

        it('HEAD has the head of the page and no body', async () => {
            const seen = await page('?topic=old/*&last_event_id=100&limit=3', { method: 'HEAD' });
            assert.equal(seen.status, 200);
            assert.equal(seen.headers['freshet-next'], id(103));
            assert.equal(seen.body, '');
        });

        it('a page of large events ends early and goes on', async () => {
            const data = 'x'.repeat(100_000);
            for (let i = 0; i < 5; i++)
                db.publish({ topic: 'large', data: `${i}${data}` });
            const first = (await page('?topic=large&since=earliest')).json;
            assert.deepEqual(first.events.map((event) => event.data[0]), ['0', '1']);
            assert.equal(first.live, false);
            const second = (await page(`?topic=large&last_event_id=${first.next}`)).json;
            assert.deepEqual(second.events.map((event) => event.data[0]), ['2', '3']);
        });

        it('one event larger than a page comes whole', async () => {
            const data = 'ü'.repeat(512 * 1024);
            db.publish({ topic: 'huge', data });
            assert.equal((await page('?topic=huge&last=1')).json.events[0].data, data);
        });

        it('EventSource, browsers and plain curl get the stream', async () => {
            for (const accept of ['text/event-stream', '*/*', 'text/html,application/xml;q=0.9,*/*;q=0.8']) {
                const stream = await world.stream('?topic=silence', { headers: { Accept: accept } });
                assert.match(stream.headers['content-type'], /^text\/event-stream/, accept);
            }
        });

        // ---- cursors that cannot be honoured

        const resets = {
            pruned: ['?last_event_id=5&limit=1&topic=old/*', PRUNED + 1],
            future: ['?last_event_id=99999&limit=1&topic=old/*', PRUNED + 1],
            epoch: ['?last_event_id=5-zzz0&limit=1&topic=old/*', PRUNED + 1],
            invalid: ['?last_event_id=hello&limit=1&topic=old/*', PRUNED + 1],
        };
        for (const [reason, [query, first]] of Object.entries(resets)) {
            it(`a cursor that is ${reason} is told in the page, which begins at the oldest event`, async () => {
                const seen = await page(query);
                assert.equal(seen.status, 200);
                assert.equal(seen.json.reset.reason, reason);
                assert.equal(seen.json.reset.oldest, id(PRUNED + 1));
                assert.deepEqual(seqs(seen.json.events), [first]);
                assert.equal(seen.headers['freshet-reset'], reason);
                assert.match(seen.headers['cache-control'], /no-cache/);
            });
        }

        it('with reset=now the page is empty instead', async () => {
            const { json } = await page('?last_event_id=5&reset=now&topic=old/*');
            assert.equal(json.reset.reason, 'pruned');
            assert.deepEqual(json.events, []);
            assert.equal(json.live, true);
        });

        for (const query of ['limit=0', 'limit=many', 'wait=soon', 'before=x', 'before=9&last=3',
            'before=9&wait=1s', 'since=yesterday', 'topic=']) {
            it(`a malformed request is 400 with a problem body: ?${query}`, async () => {
                const seen = await page(`?${query}`);
                assert.equal(seen.status, 400);
                assert.equal(seen.headers['content-type'], 'application/problem+json');
                assert.ok(seen.json.detail.length > 0);
            });
        }

        it('a stream does not know the names of pages', async () => {
            const stream = await world.stream('?topic=silence&limit=many&before=x&wait=soon');
            assert.equal(stream.status, 200);
        });

        // ---- long polls

        it('a long poll is answered when an event is inserted, within milliseconds', async (t) => {
            const shell = db.shell();
            const waits = [];
            for (let i = 0; i < 10; i++) {
                const { next } = (await page('?topic=poll')).json;
                const answer = page(`?topic=poll&last_event_id=${next}&wait=20s`);
                await until('the poll to wait', async () => (await counters(world)).history_waits > i);
                await shell.publish('poll', `event ${i}`);
                const published = performance.now();
                const { json } = await answer;
                waits.push(performance.now() - published);
                assert.deepEqual(json.events.map((event) => event.data), [`event ${i}`]);
                assert.equal(json.live, true);
            }
            await shell.close();
            waits.sort((a, b) => a - b);
            t.diagnostic(`long poll, from INSERT to answer, median: ${waits[5].toFixed(1)} ms`);
            assert.ok(waits[5] < scaled(50), `median ${waits[5].toFixed(1)} ms`);
        });

        it('events that do not match do not end a long poll; its end is an empty page', async () => {
            const { next } = (await page('?topic=nothing')).json;
            const answer = page(`?topic=nothing&last_event_id=${next}&wait=600ms`);
            for (let i = 0; i < 3; i++)
                db.publish({ topic: 'something', data: 'else' });
            const seen = await answer;
            assert.ok(seen.ms >= 550 && seen.ms < scaled(5000), `${seen.ms} ms`);
            assert.deepEqual(seen.json.events, []);
            assert.equal(seen.json.live, true);
            const again = page(`?topic=nothing&last_event_id=${seen.json.next}&wait=20s`);
            db.publish({ topic: 'nothing', data: 'at last' });
            assert.equal((await again).json.events[0].data, 'at last');
        });

        // ---- one event

        it('an event has a place of its own', async () => {
            const seen = await get(world.url(`/${id(100)}`), { accept: '*/*' });
            assert.equal(seen.status, 200);
            assert.deepEqual(seen.json,
                { id: id(100), topic: 'old/1', type: 'even', created: 100_000, data: 'row 100' });
            assert.match(seen.headers['cache-control'], /immutable/);
            // Without its epoch it would be another event after the database was replaced.
            const bare = await get(world.url('/100'));
            assert.equal(bare.json.data, 'row 100');
            assert.equal(bare.headers['cache-control'], 'no-cache');
        });

        it('404 for what is not there, 410 for what has been deleted', async () => {
            for (const [rest, status] of [['/99999', 404], [`/5`, 410], ['/100-zzz0', 404], ['/0', 404]]) {
                const seen = await get(world.url(rest));
                assert.equal(seen.status, status, rest);
                assert.equal(seen.json.status, status);
            }
        });

        // ---- topics

        it('the topics with their counts, page by page', async () => {
            const { json } = await page('?topics&topic=old/*&limit=2');
            assert.deepEqual(json.topics[0], { topic: 'old/0', count: 77, first: id(21), last: id(249) });
            assert.equal(json.topics.length, 2);
            assert.equal(json.next, 'old/1');
            const rest = (await page(`?topics=${json.next}&topic=old/*&limit=2`, { accept: '*/*' })).json;
            assert.deepEqual(rest.topics.map((topic) => topic.topic), ['old/2']);
            assert.equal(rest.next, null);
        });

        it('400 for a list of topics that would have to be counted by something else', async () => {
            for (const name of ['type=tick', 'where=/n', 'since=1h', 'last=5', 'before=now']) {
                const seen = await page(`?topics&${name}`);
                assert.equal(seen.status, 400, name);
                assert.match(seen.json.detail, new RegExp(`\\?topics counts all .*${name.split('=')[0]}=`));
            }
        });

        // ---- caching

        it('a page between two rows may be kept for ever, one at the head must be asked for', async () => {
            const fixed = await page(`?topic=old/*&last_event_id=${id(100)}&limit=3`);
            assert.equal(fixed.headers['cache-control'], 'public, max-age=3600, immutable');
            assert.match(fixed.headers.vary, /Accept/);
            const back = await page(`?topic=old/*&before=${id(100)}&limit=3`);
            assert.match(back.headers['cache-control'], /immutable/);
            for (const query of ['?last=3', '?since=earliest&limit=2', '?before=now&limit=2', `?since=1970-01-01`,
                '?topic=old/*&last_event_id=100&limit=3', '?topic=old/*&since=100&limit=3', '?before=100&limit=3'])
                assert.equal((await page(query)).headers['cache-control'], 'no-cache', query);
        });

        it('If-None-Match gives 304 until there is something new', async () => {
            const first = await page('?topic=etag&since=earliest');
            const headers = { 'If-None-Match': `"other", W/${first.headers.etag}` };
            const same = await page('?topic=etag&since=earliest', { headers });
            // next moves with every row of the table, and other stories write: only a page between two
            // rows is certain to be the same.
            assert.ok([200, 304].includes(same.status));
            const fixed = await page('?topic=old/*&last_event_id=100&limit=3');
            const again = await page('?topic=old/*&last_event_id=100&limit=3',
                { headers: { 'If-None-Match': fixed.headers.etag } });
            assert.equal(again.status, 304);
            assert.equal(again.body, '');
            assert.equal(again.headers.etag, fixed.headers.etag);
        });
    });
}

describe('history in production', () => {
    it('a hundred clients that catch up cost the responder one page', async () => {
        const world = await World.open({ variant: 'production', limit: 200, prepare: (db) => db.fill('herd', 1000) });
        try {
            const herd = async (position, size) => {
                const url = world.url(`?topic=herd&last_event_id=${position}-${world.db.epoch}&limit=200`);
                const before = (await counters(world)).history_requests;
                const answers = await Promise.all(Array.from({ length: size }, () => get(url, { ca: world.tls.ca })));
                for (const answer of answers) {
                    assert.equal(answer.status, 200);
                    assert.equal(answer.json.events.length, 200);
                }
                return (await counters(world)).history_requests - before;
            };
            assert.equal(await herd(100, 1), 1);
            assert.equal(await herd(100, 50), 0);
            // All at once at a page that the cache does not have yet: a client that has waited for 50 ms goes to the
            // responder all the same, so on a busy machine there may be a few.
            const cold = await herd(200, 45);
            assert.ok(cold >= 1 && cold <= 10, `${cold} requests of 45`);
            // The same URL is still a stream, and NDJSON is another page.
            const stream = await world.stream('?topic=herd&last_event_id=100');
            await stream.take(900);
            const lines = await get(world.url('?topic=herd&last_event_id=100&limit=200'), { accept: 'ndjson', ca: world.tls.ca });
            assert.equal(lines.body.trimEnd().split('\n').length, 200);
        } finally {
            await world.close();
        }
    });

    it('after the database was replaced the cache gives nothing of the old one for a bare id', async () => {
        const world = await World.open({ variant: 'production', prepare: (db) => db.fill('old', 50) });
        try {
            const ask = (rest, headers) => get(world.url(rest), { ca: world.tls.ca, headers });
            const bare = ['/7', '?last_event_id=7&limit=3', '?before=7&limit=3', '?since=7&limit=3', '?since=earliest&limit=3'];
            const old = world.db.epoch;
            for (const rest of [...bare, `/7-${old}`])
                for (let i = 0; i < 2; i++)
                    assert.equal((await ask(rest)).status, 200, rest);
            assert.equal((await ask(`/7-${old}`)).headers['x-cache-status'], 'HIT');
            assert.equal((await ask('?limit=3', { 'Last-Event-ID': '7' })).status, 200);

            // As after a fresh start: another database takes its place.
            const place = join(world.dir, 'other');
            mkdirSync(place);
            const other = new Database(place);
            other.fill('new', 50);
            other.sql('PRAGMA wal_checkpoint(TRUNCATE); PRAGMA journal_mode = DELETE');
            for (const suffix of ['-wal', '-shm'])
                rmSync(world.db.file + suffix, { force: true });
            renameSync(other.file, world.db.file);
            world.db.sql('PRAGMA journal_mode = WAL');
            world.db.epoch = other.epoch;
            assert.notEqual(world.db.epoch, old);
            await until('the new database', async () => (await ask('?before=now&limit=1')).json.events[0].topic === 'new');
            for (const rest of bare) {
                const { json } = await ask(rest);
                for (const event of json.events ?? [json]) {
                    assert.equal(event.topic, 'new', rest);
                    assert.match(event.id, new RegExp(`-${world.db.epoch}$`));
                }
            }
            assert.equal((await ask('?limit=3', { 'Last-Event-ID': '7' })).json.events[0].topic, 'new');
        } finally {
            await world.close();
        }
    });

    it('through the cache a page that still changes costs a 304, and no 304 is kept', async () => {
        const world = await World.open({ variant: 'production', prepare: (db) => db.fill('a', 50) });
        try {
            const ask = (rest, tag) => get(world.url(rest),
                { ca: world.tls.ca, headers: tag ? { 'If-None-Match': tag } : {} });
            const changing = '?topic=a&since=earliest&limit=100';
            const first = await ask(changing);
            const same = await ask(changing, first.headers.etag);
            assert.equal(same.status, 304);
            assert.equal(same.body, '');
            world.db.publish({ topic: 'a', data: 'one more' });
            const more = await until('another page', async () => {
                const answer = await ask(changing, first.headers.etag);
                return answer.status === 200 && answer;
            });
            assert.equal(more.json.events.length, 51);

            // One that does not change: the first client has it already, and gets 304 from the responder.
            const fixed = `?topic=a&last_event_id=10-${world.db.epoch}&limit=3`;
            const tag = (await get(world.url(`${fixed}&x=1`), { ca: world.tls.ca })).headers.etag;
            assert.equal((await ask(fixed, tag)).status, 304);
            const whole = await ask(fixed);
            assert.equal(whole.status, 200);
            assert.equal(whole.json.events.length, 3);
            assert.equal((await ask(fixed)).headers['x-cache-status'], 'HIT');
            assert.equal((await ask(fixed, tag)).status, 304);
            assert.equal((await ask(fixed, '"another"')).status, 200);
        } finally {
            await world.close();
        }
    });

    it('while the responder is away JSON is a 503, a stream is told to come back', async () => {
        const world = await World.open({ variant: 'production' });
        try {
            await world.responder.process.stop();
            const page = await get(world.url('?last=1'), { ca: world.tls.ca });
            assert.equal(page.status, 503);
            const stream = await world.stream();
            assert.equal(stream.status, 200);
            await stream.until('retry', () => stream.blocks.some((block) => block.retry));
        } finally {
            await world.close();
        }
    });
});

/** A request straight at the responder, since web servers buffer: a paused socket with the response. */
function askByHand(world, query) {
    const record = (type, body) => Buffer.concat(
        [Buffer.from([1, type, 0, 1, body.length >> 8, body.length & 255, 0, 0]), body]);
    const parameter = (name, value) => Buffer.concat(
        [Buffer.from([name.length, value.length]), Buffer.from(name), Buffer.from(value)]);
    const socket = net.connect(world.responder.where);
    socket.pause();
    socket.write(Buffer.concat([
        record(1, Buffer.from([0, 1, 0, 0, 0, 0, 0, 0])),
        record(4, Buffer.concat([parameter('REQUEST_METHOD', 'GET'), parameter('QUERY_STRING', query),
            parameter('HTTP_ACCEPT', 'application/json')])),
        record(4, Buffer.alloc(0)), record(5, Buffer.alloc(0)),
    ]));
    return socket;
}

describe('slow clients of history', () => {
    const prepare = (db) => db.publish({ topic: 'big', data: 'x'.repeat(900_000) });

    it('a page that is taken slowly arrives whole', async () => {
        const world = await World.open({ prepare });
        try {
            const socket = askByHand(world, 'since=earliest');
            const started = performance.now();
            let bytes = 0;
            let ended = false;
            socket.on('data', (chunk) => {
                bytes += chunk.length;
                socket.pause();
                setTimeout(() => socket.resume(), 200);
            });
            socket.on('end', () => { ended = true; });
            socket.resume();
            await until('the end of the page', () => ended);
            assert.ok(bytes > 900_000, `${bytes} bytes`);
            // Longer than the two seconds that the end of any other response may take.
            assert.ok(performance.now() - started > 2000, 'it was taken slowly');
            assert.equal((await counters(world)).stalled, 0);
        } finally {
            await world.close();
        }
    });

    it('what clients do not take is bounded: then others are told to come back', async () => {
        // The other must have come and gone while the first is stuck.
        const world = await World.open({ prepare, options: ['--history-bytes', '4096',
            '--request-timeout', `${scaled(500)}ms`, '--stall-timeout', `${scaled(2000)}ms`] });
        try {
            const socket = askByHand(world, 'since=earliest');
            await until('a page that is stuck', async () => (await counters(world)).bytes_sent > 0);
            const refused = await get(world.url('?last=1'));
            assert.equal(refused.status, 503);
            assert.match(refused.headers['retry-after'], /^\d+$/);
            await until('the stuck one to be cut', async () => (await counters(world)).stalled === 1);
            assert.equal((await get(world.url('?last=1'))).status, 200);
            socket.destroy();
        } finally {
            await world.close();
        }
    });
});

describe('long polls', () => {
    // With nginx: lighttpd 1.4.69 looks at a client again only when there is something to send, so there a
    // poll ends with its wait.
    it('a client that leaves while it waits leaves nothing behind', async () => {
        const world = await World.open();
        try {
            const leave = new AbortController();
            const answer = get(world.url('?topic=leaver&wait=30s'), { signal: leave.signal });
            await until('the poll to wait', async () => (await counters(world)).streams_open === 1);
            leave.abort();
            await assert.rejects(answer);
            await until('the place to be free', async () => {
                const { streams_open: open, feeds } = await counters(world);
                return open === 0 && feeds === 0;
            });
        } finally {
            await world.close();
        }
    });

    it('long polls are answered when the responder ends', async () => {
        const world = await World.open();
        try {
            const answers = Array.from({ length: 20 }, (_, i) => get(world.url(`?topic=t${i % 3}&wait=30s`)));
            await until('all to wait', async () => (await counters(world)).history_waits === 20);
            world.responder.signal('SIGTERM');
            for (const answer of await Promise.all(answers)) {
                assert.equal(answer.status, 200);
                assert.deepEqual(answer.json.events, []);
                assert.ok(answer.ms < scaled(5000), `${answer.ms} ms`);
            }
            assert.equal((await world.responder.process.exited).code, 0);
        } finally {
            await world.close();
        }
    });

    it('a herd of long polls that wake together shares reads', async () => {
        const world = await World.open();
        try {
            const answers = Array.from({ length: 200 }, () => get(world.url('?topic=herd&wait=30s')));
            await until('all to wait', async () => (await counters(world)).history_waits === 200);
            const before = (await counters(world)).history_reads;
            world.db.publish({ topic: 'herd', data: 'now' });
            for (const answer of await Promise.all(answers))
                assert.deepEqual(answer.json.events.map((event) => event.data), ['now']);
            const reads = (await counters(world)).history_reads - before;
            assert.ok(reads < 20, `${reads} reads`);
        } finally {
            await world.close();
        }
    });
});
