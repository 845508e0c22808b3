// A client always knows how far it has had everything, also when nothing matched; what was published by
// mistake can be taken back; the envelope says which topic an event has.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { until } from './kit/wait.mjs';
import { World, servers } from './kit/world.mjs';

const QUICK = ['--retry-min', '200ms', '--retry-max', '400ms', '--heartbeat', '100ms', '--search-time', '1ms',
    '--window-events', '64'];
const seq = (id) => parseInt(id, 10);

/* n rows of one topic in one transaction. */
const many = (db, topic, n, data = "''") =>
    db.sql(`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${n})
        INSERT INTO events(topic, data) SELECT '${topic}', ${data} FROM n`);

for (const server of servers) {
    describe(`positions through ${server}`, () => {
        let world;
        let db;

        before(async () => {
            world = await World.open({ server, options: QUICK });
            db = world.db;
        });
        after(() => world?.close());

        it('a stream of a quiet topic that is cut by a restart gets what was committed meanwhile', async () => {
            db.publish({ topic: 'other', data: 'before' });
            const source = world.source('?topic=quiet', ['freshet:live', 'freshet:reset']);
            await source.until('live', () => source.seen('freshet:live').length === 1);
            await world.responder.process.stop('SIGTERM');
            const missed = db.publish({ topic: 'quiet', data: 'while it was away' });
            await world.responder.start();
            await source.until('the event', () => source.events.length === 1, { within: 30_000 });
            assert.equal(source.events[0].data, 'while it was away');
            assert.equal(seq(source.events[0].lastEventId), missed);
            assert.equal(source.seen('freshet:reset').length, 0);
        });

        it('a quiet stream is told its position when the log has moved far', async () => {
            const stream = await world.live('?topic=quiet');
            many(db, 'noise', 10_000);
            await stream.until('freshet:at', () => stream.signals('at').length > 0);
            const at = stream.signals('at')[0];
            assert.equal(JSON.parse(at.data).id, at.id);
            assert.equal(seq(at.id), Math.max(...db.ids('noise')));
            const missed = db.publish({ topic: 'quiet', data: 'later' });
            const [event] = await stream.take(1);
            assert.equal(seq(event.id), missed);
            stream.close();
        });

        it('a long search that finds nothing is not begun again from far back', async () => {
            many(db, 'noise', 15_000);
            const stream = await world.stream('?topic=nothing-has-this*&since=earliest');
            await stream.signal('live');
            const ids = stream.signals('at').map((block) => seq(block.id));
            assert.ok(ids.length >= 1, stream.summary());
            assert.deepEqual(ids, [...ids].sort((a, b) => a - b));
            assert.ok(seq(stream.signals('live')[0].id) >= ids.at(-1));
        });

        it('what was published by mistake can be taken back, without a restart', async () => {
            const [first, last] = db.fill('mistake', 3);
            await world.seen(last);
            const before_ = await world.live(`?topic=mistake&last_event_id=${first - 1}`);
            assert.equal(before_.events.length, 3);
            db.sql(`DELETE FROM events WHERE id = ${first + 1}`);
            await until('it to be forgotten', async () => {
                const stream = await world.live(`?topic=mistake&last_event_id=${first - 1}`);
                stream.close();
                return stream.events.every((event) => seq(event.id) !== first + 1) &&
                    stream.signals('reset').length === 1;
            });
            const newest = await world.live('?topic=mistake&last=3');
            assert.deepEqual(newest.events.map((event) => seq(event.id)), [first, last]);
        });

        it('a search for the newest N that takes too long says so, and begins where it has got to', async () => {
            many(db, 'heap', 60_000, "'{\"n\":' || i || '}'");
            const stream = await world.live('?topic=heap&last=3&where=/n<3', { });
            const [limited] = stream.signals('limited');
            assert.ok(limited, stream.summary());
            const { asked, found, from } = JSON.parse(limited.data);
            assert.equal(asked, 3);
            assert.equal(found, stream.events.length);
            assert.ok(stream.events.every((event) => seq(event.id) > seq(from)));
            const page = await (await fetch(world.url('?topic=heap&last=3&where=/n%3C3'),
                { headers: { Accept: 'application/json' } })).json();
            assert.equal(page.limited, true);
            const head = await fetch(world.url('?topic=heap&last=3&where=/n%3C3'),
                { headers: { Accept: 'application/x-ndjson' } });
            assert.equal(head.headers.get('freshet-limited'), 'true');
        });

        it('the envelope has topic, time and type of each event, live and from the table', async () => {
            const first = db.publish({ topic: 'env/a', data: '{"x": 1}' });
            const stream = await world.live(`?topic=env/*&envelope=1&last_event_id=${first - 1}`);
            const second = db.publish({ topic: 'env/b', type: 'edit', data: 'two\nlines "quoted" 👋', created: 1795344000000 });
            await stream.take(2);
            const [a, b] = stream.events.map((event) => JSON.parse(event.data));
            assert.equal(a.id, stream.events[0].id);
            assert.equal(a.topic, 'env/a');
            assert.equal(a.type, null);
            assert.equal(a.data, '{"x": 1}');
            assert.ok(Math.abs(a.created - Date.now()) < 60_000);
            assert.deepEqual(b, { id: `${second}-${db.epoch}`, topic: 'env/b', type: 'edit', created: 1795344000000,
                data: 'two\nlines "quoted" 👋' });
            assert.equal(stream.events[1].event, 'edit');
            const page = await (await fetch(world.url(`?topic=env/*&last_event_id=${first - 1}`),
                { headers: { Accept: 'application/json' } })).json();
            assert.deepEqual(page.events, [a, b], 'as pages have them');
            const plain = await world.live(`?topic=env/*&last_event_id=${first}`);
            assert.equal(plain.events[0].data, 'two\nlines "quoted" 👋');
            const again = await world.live(`?topic=env/*&envelope=1&last_event_id=${first}`);
            assert.deepEqual(JSON.parse(again.events[0].data), b);
        });

        it('envelope= must be 1 or 0', async () => {
            assert.equal((await world.stream('?envelope=yes')).status, 400);
        });
    });
}
