// Conditions on the data (where=): the same from memory, from the table, and live; through nginx and lighttpd.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { curl } from './kit/curl.mjs';
import { World, servers } from './kit/world.mjs';

const CONDITION = encodeURIComponent('/lang=en');
const MANY = 300;

for (const server of servers) {
    describe(`where= through ${server}`, () => {
        let world;

        before(async () => {
            world = await World.open({
                server,
                prepare: (db) => {
                    for (let n = 1; n <= MANY; n += 3)
                        db.sql(['en', 'de', 'fr'].map((lang, i) => `INSERT INTO events(topic, data) VALUES(
                            'w/${lang}', '{"lang":"${lang}","n":${n + i}}')`).join(';'));
                },
            });
        });
        after(() => world?.close());

        const numbers = (stream) => stream.blocks.filter((b) => b.id).map((b) => JSON.parse(b.data).n);

        it('history has the events that match, all of them, in order, and then what is new', async () => {
            const stream = await world.stream(`?since=earliest&where=${CONDITION}`);
            await stream.signal('live');
            const expected = Array.from({ length: MANY / 3 }, (_, i) => 3 * i + 1);
            assert.deepEqual(numbers(stream), expected);
            world.db.publish({ topic: 'w/de', data: '{"lang":"de","n":-1}' });
            world.db.publish({ topic: 'w/en', data: '{"lang":"en","n":-2}' });
            await stream.take(expected.length + 1);
            assert.deepEqual(numbers(stream), [...expected, -2]);
        });

        it('last= counts what matches', async () => {
            const stream = await world.stream(`?last=5&topic=w/*&where=${encodeURIComponent('/n>100')}`
                + `&where=${encodeURIComponent('/n<=200')}`);
            await stream.signal('live');
            assert.deepEqual(numbers(stream), [196, 197, 198, 199, 200]);
        });

        it('a condition that is none is a 400 that says how one is written', async () => {
            const seen = await curl([world.url('?where=lang')], { seconds: 5 });
            assert.equal(seen.status, 400);
            assert.match(seen.body, /JSON Pointer/);
        });
    });
}
