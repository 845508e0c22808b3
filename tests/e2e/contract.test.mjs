// What a client sees (doc/freshet-events.7), through nginx and through lighttpd: each story is one
// thing that a user relies on.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { curl } from './kit/curl.mjs';
import { scaled } from './kit/wait.mjs';
import { World, servers } from './kit/world.mjs';

const HISTORY = 60;
const PRUNED = 10;
const MINUTE_MS = 60_000;

for (const server of servers) {
    describe(`the contract through ${server}`, { concurrency: 4 }, () => {
        let world;
        let db;
        let epoch;
        let oldest;

        before(async () => {
            world = await World.open({
                server,
                prepare: (fresh) => {
                    fresh.fill('old', HISTORY);
                    fresh.sql(`DELETE FROM events WHERE id <= ${PRUNED}`);
                },
            });
            db = world.db;
            epoch = db.epoch;
            oldest = PRUNED + 1;
        });
        after(() => world?.close());

        const id = (seq) => `${seq}-${epoch}`;
        const seqs = (blocks) => blocks.map((block) => parseInt(block.id, 10));

        // ---- the answer itself

        it('the head and a first block arrive at once, though nothing has happened', async () => {
            const stream = await world.stream('?topic=silence');
            await stream.until('a first block', () => stream.blocks.length > 0);
            const first = stream.blocks[0].at - stream.opened;
            assert.ok(first < scaled(1000), `first block after ${first} ms`);
            await stream.until('a first comment', () => stream.comments.length > 0, 1000);
        });

        it('curl sees 200, text/event-stream, no-cache and no-transform', async () => {
            const seen = await curl([world.url('?topic=silence')]);
            assert.equal(seen.status, 200);
            assert.match(seen.headers['content-type'], /^text\/event-stream(; ?charset=utf-8)?$/i);
            assert.match(seen.headers['cache-control'], /no-cache/);
            assert.match(seen.headers['cache-control'], /no-transform/);
            assert.equal(seen.code, undefined, 'it was still open when it was left');
        });

        it('retry comes first, lies in the configured range and differs between clients', async () => {
            const seen = new Set();
            for (let i = 0; i < 12; i++) {
                const stream = await world.stream('?topic=silence');
                await stream.until('retry', () => stream.blocks.some((block) => block.retry));
                const first = stream.blocks.find((block) => block.event || block.id || block.retry);
                assert.match(first.retry, /^\d+$/);
                const value = Number(first.retry);
                assert.ok(value >= 200 && value <= 400, `retry ${value}`);
                seen.add(value);
                stream.close();
            }
            assert.ok(seen.size > 3, `12 clients were told only ${[...seen]}`);
        });

        it('HEAD answers like GET, without a body', async () => {
            const seen = await curl(['-I', world.url()]);
            assert.equal(seen.code, 0, seen.stderr);
            assert.equal(seen.status, 200);
            assert.match(seen.headers['content-type'], /^text\/event-stream/);
            assert.equal(seen.body, '');
        });

        it('OPTIONS names the methods', async () => {
            const seen = await curl(['-X', 'OPTIONS', world.url()]);
            assert.equal(seen.code, 0, seen.stderr);
            assert.ok([200, 204].includes(seen.status), `status ${seen.status}`);
            assert.match(seen.headers.allow, /GET/);
            assert.match(seen.headers.allow, /HEAD/);
        });

        it('another method is 405 with Allow and a problem body', async () => {
            const seen = await curl(['-X', 'DELETE', world.url()]);
            assert.equal(seen.status, 405);
            assert.match(seen.headers.allow, /GET/);
            assert.equal(seen.headers['content-type'], 'application/problem+json');
            const problem = JSON.parse(seen.body);
            assert.equal(problem.status, 405);
            assert.equal(typeof problem.title, 'string');
        });

        const malformed = ['since=yesterday', 'last=many', 'last=-1', 'topic=', 'topic=%00',
            `topic=${'x'.repeat(300)}`, 'type=a%0Ab'];
        // lighttpd repairs a broken escape (to %25zz) before the responder can see it.
        if (server === 'nginx')
            malformed.push('topic=%zz');
        for (const query of malformed) {
            it(`a malformed request is 400 with a problem body: ?${query.slice(0, 24)}`, async () => {
                const seen = await curl([world.url(`?${query}`)]);
                assert.equal(seen.status, 400);
                // A web server may refuse such a URL itself, which is as good.
                if (seen.headers['content-type'] === 'text/html')
                    return;
                assert.equal(seen.headers['content-type'], 'application/problem+json');
                const problem = JSON.parse(seen.body);
                assert.equal(problem.status, 400);
                assert.ok(problem.detail?.length > 0, 'the reason is told');
            });
        }

        // ---- framing

        it('a row inserted by the sqlite3 shell arrives with id, type and data', async () => {
            const stream = await world.live('?topic=shell');
            const seq = Number(db.sql(`INSERT INTO events(topic, type, data) ` +
                `VALUES('shell', 'greeting', 'hello') RETURNING id`));
            await stream.take(1);
            assert.equal(stream.events[0].raw, `id: ${id(seq)}\nevent: greeting\ndata: hello`);
            assert.equal(parseInt(stream.events[0].id, 10), seq);
        });

        it('a row without a type has no event line', async () => {
            const stream = await world.live('?topic=untyped');
            const seq = db.publish({ topic: 'untyped', data: 'plain' });
            await stream.take(1);
            assert.equal(stream.events[0].raw, `id: ${id(seq)}\ndata: plain`);
        });

        const framings = {
            'a line feed': 'one\ntwo',
            'a carriage return': 'one\rtwo',
            'both': 'one\r\ntwo',
            'line ends at both ends': '\n\none\n',
            'a forged id after a carriage return': 'x\rid: 999999999\revent: forged\r\rdata: more',
            'a leading space': ' indented',
            'only a space': ' ',
            'a leading colon': ': no comment',
            'a colon inside': 'a: b',
            'what looks like fields': 'id: 7\nevent: no\nretry: 1',
            'emoji and other scripts': 'Grüße 👋🏽 γειά 你好 \u2028 \u0085',
            'a byte order mark': '\uFEFFmarked',
            'tabs and other controls': '\tx\u0001\u001f\u007f',
        };
        for (const [name, data] of Object.entries(framings)) {
            it(`data arrives as it went in: ${name}`, async () => {
                const topic = `framing/${name.replaceAll(' ', '-')}`;
                const stream = await world.live(`?topic=${topic}`);
                const seq = db.publish({ topic, data });
                const after = db.publish({ topic, data: 'end' });
                await stream.take(2);
                assert.deepEqual(seqs(stream.events), [seq, after]);
                assert.equal(stream.events[0].data, data.replace(/\r\n|\r/g, '\n'));
                assert.equal(stream.events[0].event, undefined);
                assert.ok(!stream.events[0].raw.includes('\r'));
            });
        }

        it('empty data is an event with empty data', async () => {
            const stream = await world.live('?topic=empty');
            const seq = db.publish({ topic: 'empty', data: '' });
            await stream.take(1);
            assert.ok([`id: ${id(seq)}\ndata: `, `id: ${id(seq)}\ndata:`].includes(stream.events[0].raw),
                JSON.stringify(stream.events[0].raw));
        });

        it('1 MiB of data arrives whole, live and from history', async () => {
            const data = 'ü'.repeat(512 * 1024);
            const stream = await world.live('?topic=large');
            const seq = db.publish({ topic: 'large', data });
            const next = db.publish({ topic: 'large', data: 'next' });
            await stream.take(2);
            assert.equal(stream.events[0].data, data);
            assert.equal(stream.events[1].data, 'next');
            const again = await world.stream(`?topic=large&last_event_id=${seq - 1}`);
            await again.take(2);
            assert.equal(again.events[0].data, data);
            assert.deepEqual(seqs(again.events), [seq, next]);
        });

        it('a transaction arrives whole and in order; one rolled back never arrives', async () => {
            const stream = await world.live('?topic=tx');
            db.sql(`BEGIN; INSERT INTO events(topic, data) VALUES('tx', 'never'); ROLLBACK`);
            db.sql(`BEGIN; INSERT INTO events(topic, data) VALUES('tx', 'a'), ('tx', 'b'); ` +
                `INSERT INTO events(topic, data) VALUES('tx', 'c'); COMMIT`);
            await stream.take(3);
            db.publish({ topic: 'tx', data: 'd' });
            await stream.take(4);
            assert.deepEqual(stream.events.map((event) => event.data), ['a', 'b', 'c', 'd']);
        });

        // ---- where a stream starts

        it('by default it starts now', async () => {
            await world.seen(db.publish({ topic: 'default', data: 'before' }));
            const stream = await world.live('?topic=default');
            const seq = db.publish({ topic: 'default', data: 'after' });
            await stream.take(1);
            assert.deepEqual(seqs(stream.events), [seq]);
        });

        for (const name of ['last_event_id', 'lastEventId', 'lastEventID']) {
            it(`the query ${name} resumes after that id`, async () => {
                const [first, last] = db.fill(`resume/${name}`, 5);
                const stream = await world.stream(`?topic=resume/${name}&${name}=${id(first + 1)}`);
                assert.deepEqual(seqs(await stream.take(3)), [first + 2, first + 3, last]);
                assert.equal(stream.signals('reset').length, 0);
            });
        }

        it('the header Last-Event-ID wins over the query', async () => {
            const [first, last] = db.fill('winner', 5);
            const stream = await world.stream(`?topic=winner&last_event_id=${id(first)}&since=earliest`,
                { headers: { 'Last-Event-ID': id(last - 1) } });
            assert.deepEqual(seqs(await stream.take(1)), [last]);
        });

        it('a bare number is an id too', async () => {
            const [first, last] = db.fill('bare', 3);
            const byHeader = await world.stream('?topic=bare', { headers: { 'Last-Event-ID': `${first + 1}` } });
            assert.deepEqual(seqs(await byHeader.take(1)), [last]);
            for (const start of [`last_event_id=${first}`, `since=${first}`, `since=${id(first)}`]) {
                const stream = await world.stream(`?topic=bare&${start}`);
                assert.deepEqual(seqs(await stream.take(2)), [first + 1, last], start);
            }
        });

        it('since=earliest gives everything that is kept', async () => {
            const stream = await world.live('?topic=old&since=earliest');
            assert.equal(stream.events.length, HISTORY - PRUNED);
            assert.equal(parseInt(stream.events[0].id, 10), oldest);
            assert.equal(stream.signals('reset').length, 0, 'earliest asks for nothing that is gone');
        });

        it('since=now gives nothing that was', async () => {
            const stream = await world.live('?topic=old&since=now');
            assert.equal(stream.events.length, 0);
        });

        it('since takes a duration and a time', async () => {
            const now = Date.now();
            await world.seen(db.publish({ topic: 'timed', data: 'new' }));
            const byDuration = await world.live('?topic=timed&since=10m');
            assert.deepEqual(byDuration.events.map((event) => event.data), ['new']);
            const iso = new Date(now - 5000).toISOString();
            const byTime = await world.live(`?topic=timed&since=${encodeURIComponent(iso)}`);
            assert.deepEqual(byTime.events.map((event) => event.data), ['new']);
            const later = new Date(now + 60 * MINUTE_MS).toISOString();
            const none = await world.live(`?topic=timed&since=${encodeURIComponent(later)}`);
            assert.equal(none.events.length, 0);
        });

        it('last=N gives the newest N that match', async () => {
            const [first] = db.fill('lastn', 8);
            await world.seen(db.fill('lastn-noise', 5)[1]);
            const stream = await world.live('?topic=lastn&last=3');
            assert.deepEqual(seqs(stream.events), [first + 5, first + 6, first + 7]);
            const more = await world.live('?topic=lastn&last=100');
            assert.equal(more.events.length, 8);
            const none = await world.live('?topic=lastn&last=0');
            assert.equal(none.events.length, 0);
        });

        it('freshet:live comes once, after history and before what is new', async () => {
            const [, last] = db.fill('livesignal', 4);
            await world.seen(last);
            const stream = await world.live('?topic=livesignal&since=earliest');
            const seq = db.publish({ topic: 'livesignal', data: 'new' });
            await stream.take(5);
            assert.equal(stream.signals('live').length, 1);
            const order = stream.blocks.filter((block) => block.event || block.id)
                .map((block) => block.event ?? parseInt(block.id, 10));
            assert.deepEqual(order, [last - 3, last - 2, last - 1, last, 'freshet:live', seq]);
            const live = JSON.parse(stream.signals('live')[0].data);
            assert.ok(parseInt(live.id, 10) >= last, JSON.stringify(live));
            assert.equal(stream.signals('live')[0].id, live.id, 'a browser keeps it as its position');
        });

        // ---- filters

        it('a topic is exact, a star at its end makes it a prefix, several add up', async () => {
            const exact = await world.live('?topic=f/a');
            const prefix = await world.live('?topic=f/*');
            const several = await world.live('?topic=f/b&topic=f/c&topic=f/b');
            const all = await world.live('');
            const a = db.publish({ topic: 'f/a' });
            const b = db.publish({ topic: 'f/b' });
            db.publish({ topic: 'f' });
            db.publish({ topic: 'F/a' });
            const c = db.publish({ topic: 'f/c' });
            const end = db.publish({ topic: 'f/a', data: 'end' });
            await prefix.take(4);
            await exact.take(2);
            await several.take(2);
            await all.until('all topics', () => seqs(all.events).includes(end));
            assert.deepEqual(seqs(prefix.events), [a, b, c, end]);
            assert.deepEqual(seqs(exact.events), [a, end]);
            assert.deepEqual(seqs(several.events), [b, c]);
            for (const seq of [a, b, c, end])
                assert.ok(seqs(all.events).includes(seq));
        });

        it('a topic may hold spaces, slashes, signs and any script', async () => {
            const topic = 'über alles/50% & more? 👋';
            const stream = await world.live(`?topic=${encodeURIComponent(topic)}`);
            const plus = await world.live('?topic=a+b');
            const seq = db.publish({ topic });
            const spaced = db.publish({ topic: 'a b' });
            assert.deepEqual(seqs(await stream.take(1)), [seq]);
            assert.deepEqual(seqs(await plus.take(1)), [spaced]);
        });

        it('types filter too, and "message" is the row without a type', async () => {
            const edits = await world.live('?topic=typed&type=edit&type=new');
            const plain = await world.live('?topic=typed&type=message');
            const e = db.publish({ topic: 'typed', type: 'edit' });
            db.publish({ topic: 'typed', type: 'log' });
            const m = db.publish({ topic: 'typed' });
            const n = db.publish({ topic: 'typed', type: 'new' });
            await world.seen(n);
            assert.deepEqual(seqs(await edits.take(2)), [e, n]);
            assert.deepEqual(seqs(await plain.take(1)), [m]);
            const history = await world.live('?topic=typed&type=new&since=earliest');
            assert.deepEqual(seqs(history.events), [n]);
        });

        // ---- positions that cannot be honoured

        const resets = {
            pruned: () => id(PRUNED - 5),
            future: () => id(1_000_000_000),
            epoch: () => `30-${epoch === 'zzzz' ? 'yyyy' : 'zzzz'}`,
            invalid: () => 'no such thing',
        };
        for (const [reason, cursor] of Object.entries(resets)) {
            it(`a position that is ${reason} is told by freshet:reset, then the stream starts with the oldest`,
                async () => {
                    const stream = await world.stream('?topic=old', { headers: { 'Last-Event-ID': cursor() } });
                    const reset = await stream.signal('reset');
                    assert.equal(reset.reason, reason);
                    assert.equal(String(reset.requested), cursor());
                    assert.equal(parseInt(reset.oldest, 10), oldest);
                    assert.ok(parseInt(reset.newest, 10) >= HISTORY);
                    const first = stream.blocks.find((block) => block.event || block.id);
                    assert.equal(first.event, 'freshet:reset', 'it comes before any event');
                    assert.equal(first.id, undefined, 'it carries no id');
                    await stream.signal('live');
                    assert.equal(parseInt(stream.events[0].id, 10), oldest);
                    assert.equal(stream.events.length, HISTORY - PRUNED);
                });
        }

        it('with reset=now a lost position goes on with what is new', async () => {
            const stream = await world.live(`?topic=old&reset=now&last_event_id=${resets.epoch()}`);
            assert.equal((await stream.signal('reset')).reason, 'epoch');
            assert.equal(stream.events.length, 0);
        });

        it('the position just below the oldest row is no loss', async () => {
            const stream = await world.live(`?topic=old&last_event_id=${PRUNED}`);
            assert.equal(stream.signals('reset').length, 0);
            assert.equal(parseInt(stream.events[0].id, 10), oldest);
        });

        it('a resume in the middle of a long history has no gap and no duplicate', async () => {
            const [first, last] = db.fill('long', 3000);
            const stream = await world.live(`?topic=long&last_event_id=${first + 499}`);
            const seq = db.publish({ topic: 'long', data: 'tail' });
            await stream.take(2501);
            const expected = Array.from({ length: last - first - 499 }, (_, i) => first + 500 + i);
            assert.deepEqual(seqs(stream.events), [...expected, seq]);
        });
    });
}
