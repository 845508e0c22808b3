// Conditions on the data (where=): the same from memory, from the table, and live; through nginx and lighttpd.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { curl } from './kit/curl.mjs';
import { get } from './kit/get.mjs';
import { World, servers } from './kit/world.mjs';

const CONDITION = encodeURIComponent('/lang=en');
const MANY = 300;

/** Numbers that a double cannot tell apart, or has not at all; in rising order, in all spellings. */
const NUMBERS = [
    '-1E400', '-9007199254740993', '-9007199254740992.5', '-9007199254740992', '-1.5', '-1e-400', '0', '-0.0', '1e-400',
    '0.1', '0.10000000000000000000001', '1', '1.0', '10e-1', '1000', '1e3', '9007199254740992', '9007199254740993',
    '9007199254740993.0', '9.007199254740993e15', '9007199254740994', '1732792500123456788', '1732792500123456789',
    '18446744073709551616', '18446744073709551617', '1e400', '1e999999999', '1e99999999999999999999',
];

/** A number as [digits, exponent] of BigInts: a reference that converts nothing. */
function exact(text) {
    const [, sign, whole, fraction = '', exponent = '0'] = /^(-?)(\d+)(?:\.(\d+))?(?:[eE](.*))?$/.exec(text);
    return [BigInt(sign + whole + fraction), BigInt(exponent) - BigInt(fraction.length)];
}
function compare(a, b) {
    const [[x, m], [y, n]] = [exact(a), exact(b)];
    const sign = (v) => (v > 0n) - (v < 0n);
    if (x === 0n || y === 0n || sign(x) !== sign(y))
        return sign(x) - sign(y);
    const size = (v, e) => BigInt(String(v).replace('-', '').length) + e;
    if (size(x, m) !== size(y, n))
        return sign(x) * (size(x, m) > size(y, n) ? 1 : -1);
    const least = m < n ? m : n;
    return sign(x * 10n ** (m - least) - y * 10n ** (n - least));
}
const HOLDS = {
    '=': (o) => o === 0, '!=': (o) => o !== 0, '<': (o) => o < 0, '<=': (o) => o <= 0, '>': (o) => o > 0, '>=': (o) => o >= 0,
};

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

        const numbers = (stream) => stream.events.map((b) => JSON.parse(b.data).n);

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

        it('numbers are compared exactly, whatever their length, in history and live', async () => {
            const wanted = ['9007199254740993', '9007199254740993.0', '9.007199254740993e15'];
            const stream = await world.live(`?topic=number&where=${encodeURIComponent('/v=9007199254740993')}`);
            world.db.sql(NUMBERS.map((number) =>
                `INSERT INTO events(topic, data) VALUES('number', '{"v":${number}}')`).join(';'));
            await stream.take(wanted.length);
            assert.deepEqual(stream.events.map((e) => e.data), wanted.map((number) => `{"v":${number}}`));
            for (const number of NUMBERS) {
                for (const [operator, holds] of Object.entries(HOLDS)) {
                    const where = encodeURIComponent(`/v${operator}${number}`);
                    const page = await get(world.url(`?topic=number&since=earliest&limit=100&where=${where}`));
                    assert.deepEqual(page.json.events.map((e) => e.data.slice(5, -1)),
                        NUMBERS.filter((other) => holds(compare(other, number))), `v ${operator} ${number}`);
                }
            }
        });

        it('a condition that is none is a 400 that says how one is written', async () => {
            const seen = await curl([world.url('?where=lang')]);
            assert.equal(seen.status, 400);
            assert.match(seen.body, /JSON Pointer/);
        });
    });
}
