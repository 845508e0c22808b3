// What is sent comes out as it was sent: JSON documents of every kind, by freshet-ingest, freshet publish and POST,
// read back as a page. JSON.parse() says what is JSON and what it means; a few lines say what it looks like without
// blanks.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { program } from './kit/env.mjs';
import { get } from './kit/get.mjs';
import { post } from './kit/post.mjs';
import { run } from './kit/process.mjs';
import { World, servers } from './kit/world.mjs';

const RANDOM = 400;
const SEED = Number(process.env.FRESHET_SEED ?? 20_251);

/** What JSON.parse() takes, and so must we; a text in which a tree loses something is marked with it. */
const GOOD = [
    '{}', '[]', '""', '0', '-0', 'null', 'true', 'false', '" "', '{"":0}', '{"a":{"b":{"c":[[[]]]}}}',
    ' [ 1 , 2 ] ', '\t{ "a" :\r 1 }\n', '{"a b" : " c  d "}', '[\n]', '{\t}', '"\\" \\\\"', '[ "\\\\" , "\\"" ]',
    // numbers
    '123456789012345678', '1234567890123456789', '9223372036854775807', '9223372036854775808', '18446744073709551616',
    '-9223372036854775809', '1732792500123456789', '1' + '0'.repeat(400), '0.1', '1.0', '1.50', '-0.0', '1e3', '1E+3',
    '1e-7', '0e0', '1E400', '-1E400', '1e-400', '0.' + '3'.repeat(100), '123456789.123456789123456789',
    '1e99999999999999999999',
    // names
    '{"a":1,"a":2}', '{"a":1,"\\u0061":2}', '{"foo\\u0000bar":42}', '{"a\\u0000b":1,"a\\u0000c":2}', '{"\\u0000":0}',
    '{"\\ud800":1,"\\ud801":2}', '{"__proto__x":1,"constructor":2}', '{"b":1,"a":2,"10":3,"9":4}',
    // strings
    '["\\u0000"]', '["\\ud800"]', '["\\udc00\\ud800"]', '["\\ud83d\\udc26"]', '["🐦"]', '["\\u00e9","é"]', '["\\/"]',
    '["\\b\\f\\n\\r\\t"]', '["\\u2028\u2028"]', '["\u007f"]', '["\\ufeff\ufeff"]', '["\uffff\u{10ffff}"]',
    '["' + 'x'.repeat(5000) + '\\n"]',
    // size
    '['.repeat(100) + ']'.repeat(100), '{"a":'.repeat(100) + '1' + '}'.repeat(100), `[${'0,'.repeat(2000)}0]`,
    `{${Array.from({ length: 500 }, (_, i) => `"k${i}" : ${i}`).join(' , ')}}`,
];

const BAD = [
    '', '{', '[1,]', '[,1]', '{"a":1,}', "{'a':1}", '{a:1}', '{"a" 1}', '[1 2]', '01', '+1', '1.', '.5', '1e', '- 1', 'NaN',
    'Infinity', 'nul', 'True', '"\\x"', '"\\u12g4"', '"\\u123"', '"a', '"\t"', '1 2', '{}{}', '[1]]', '[1}', '/**/1', '1//',
    '[1]\u00a0', '\u{feff}[1]', '"\\\n"',
];

/** Blanks outside strings are left out, and nothing else. */
const without = (text) => text.replace(/("(?:[^"\\]|\\.)*")|[ \t\r\n]+/gs, (_, string) => string ?? '');

/** Numbers that follow from a seed. */
function random(seed) {
    let a = seed;
    return (below) => {
        a = (a + 0x6d2b79f5) | 0;
        let t = Math.imul(a ^ (a >>> 15), 1 | a);
        t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
        return ((t ^ (t >>> 14)) >>> 0) % below;
    };
}

const LETTERS = ['a', 'b', ' ', '"', '\\', '\\n', '\\u0000', '\\ud83d', '\\udc26', '\\/', 'é', '🐦', '{', ',', '\\u0061', '\u2028'];

/** A random JSON text, with blanks where they may stand. */
function document(dice, depth = 0) {
    const pick = (list) => list[dice(list.length)];
    const blank = () => pick(['', '', '', ' ', '\t', '\r ', '  ']);
    const many = (make) => Array.from({ length: dice(4) }, make).join(`${blank()},${blank()}`);
    const digits = (n) => Array.from({ length: 1 + dice(n) }, (_, i) => (i ? dice(10) : 1 + dice(9))).join('');
    const string = () => `"${Array.from({ length: dice(6) }, () => pick(LETTERS))
        .map((c) => (c === '"' || c === '\\' ? `\\${c}` : c)).join('')}"`;
    const value = () => blank() + document(dice, depth + 1) + blank();
    switch (dice(depth > 4 ? 4 : 6)) {
        case 0: return string();
        case 1: return pick(['null', 'true', 'false', '0', '-0']);
        case 2: return `${pick(['', '-'])}${digits(25)}`;
        case 3: return `${pick(['', '-'])}${pick(['0', digits(20)])}.${pick(['', '0'])}${digits(20)}${
            pick(['', 'e5', 'E-400', 'e+999'])}`;
        case 4: return `[${blank()}${many(value)}${blank()}]`;
        default: return `{${blank()}${many(() => `${string()}${blank()}:${value()}`)}${blank()}}`;
    }
}

const dice = random(SEED);
const documents = [...GOOD, ...Array.from({ length: RANDOM }, () => document(dice))];
/** In a line of NDJSON a line end would be another line. */
const oneLine = (text) => text.replaceAll('\n', ' ');
const isJSON = (text) => {
    try {
        JSON.parse(text);
        return true;
    } catch {
        return false;
    }
};
/** A string is stored as what it stands for, which must be a text: without half a character or a NUL. */
const storable = (text) => typeof JSON.parse(text) !== 'string' ||
    (!/[\ud800-\udfff]/u.test(JSON.parse(text)) && !JSON.parse(text).includes('\0'));
const stored = (text) => (typeof JSON.parse(text) === 'string' ? JSON.parse(text) : without(text));

const good = documents.filter(storable);
const unstorable = documents.filter((text) => !storable(text));

/** The data of all events of a topic, as the web server gives it. */
async function pages(world, topic) {
    const data = [];
    for (let position = 'since=earliest'; ;) {
        const page = await get(world.url(`?topic=${encodeURIComponent(topic)}&${position}&limit=500`));
        assert.equal(page.status, 200, page.body);
        data.push(...page.json.events.map((event) => event.data));
        if (page.json.events.length === 0)
            return data;
        position = `last_event_id=${page.json.next}`;
    }
}

function asSent(got, texts) {
    assert.equal(got.length, texts.length);
    for (const [i, text] of texts.entries()) {
        assert.equal(got[i], stored(text), `seed ${SEED}: ${text}`);
        if (typeof JSON.parse(text) !== 'string')
            assert.deepEqual(JSON.parse(got[i]), JSON.parse(text));
    }
}

it('the documents are what they say', () => {
    for (const text of documents)
        assert.ok(isJSON(text), text);
    for (const text of BAD)
        assert.ok(!isJSON(text), text);
    assert.ok(unstorable.length > 5);
});

for (const server of servers) {
    describe(`what is sent through ${server} comes out as it was sent`, () => {
        let world;
        const ingest = (lines, ...options) =>
            run(program('freshet-ingest'), ['--db', world.db.file, ...options], { input: `${lines.join('\n')}\n` });
        const event = (topic, data) => `{"topic":"${topic}","data":${data}}`;

        before(async () => {
            world = await World.open({
                server, options: ['--publish'], parameters: { FRESHET_PUBLISH: 'on' },
            });
        });
        after(() => world?.close());

        it('an array of events', async () => {
            const answer = await post(world.url(), `[${good.map((text) => event('array', text)).join(',\n ')}]`);
            assert.equal(answer.status, 201, answer.text);
            asSent(await pages(world, 'array'), good);
        });

        it('NDJSON', async () => {
            const texts = good.map(oneLine);
            const answer = await post(world.url(), texts.map((text) => event('nd', text)).join('\n'), { type: 'ndjson' });
            assert.equal(answer.status, 201, answer.text);
            asSent(await pages(world, 'nd'), texts);
        });

        it('freshet-ingest, as data and by --data-from', async () => {
            const texts = good.map(oneLine);
            let done = ingest(texts.map((text) => event('in', text)));
            assert.match(done.stderr.toString(), new RegExp(`${texts.length} events committed, 0 repeated, 0 rejected`));
            asSent(await pages(world, 'in'), texts);
            done = ingest(texts.map((text) => `{"x":[{},{"y/z":${text}}]}`), '--topic', 'from', '--data-from', '/x/1/y~1z');
            assert.match(done.stderr.toString(), new RegExp(`${texts.length} events committed, 0 repeated, 0 rejected`));
            asSent(await pages(world, 'from'), texts);
        });

        it('freshet publish --json', async () => {
            const texts = good.map(oneLine);
            const done = run(program('freshet'), ['publish', '--db', world.db.file, '--json'],
                { input: texts.map((text) => event('tool', text)).join('\n') });
            assert.equal(done.code, 0, done.stderr.toString());
            asSent(await pages(world, 'tool'), texts);
        });

        it('a string that is no text is refused with its reason, and nothing else is', async () => {
            for (const text of unstorable) {
                const answer = await post(world.url(), event('no', text));
                assert.equal(answer.status, 400, text);
                assert.match(answer.json().detail, /data has (half a surrogate pair, \\ud[89a-f]|a NUL byte)/);
            }
            const done = ingest(unstorable.map(oneLine).map((text) => event('no', text)));
            assert.match(done.stderr.toString(), new RegExp(`0 events committed, 0 repeated, ${unstorable.length} rejected`));
            assert.deepEqual(await pages(world, 'no'), []);
        });

        it('what is no JSON is refused', async () => {
            for (const text of BAD) {
                const answer = await post(world.url(), event('bad', text));
                assert.equal(answer.status, 400, text);
                assert.match(answer.json().detail, /not JSON/);
            }
            assert.deepEqual(await pages(world, 'bad'), []);
        });

        it('a document that is deeper than the bound is refused with its reason', async () => {
            const answer = await post(world.url(), event('deep', '['.repeat(500) + ']'.repeat(500)));
            assert.equal(answer.status, 400);
            assert.match(answer.json().detail, /less depth/);
        });

        it('keys that differ in the last of twenty digits are two keys', async () => {
            const ids = ['18446744073709551616', '18446744073709551617'];
            const first = await post(world.url(), `{"topic":"big","key":${ids[0]},"data":1}`);
            const second = await post(world.url(), `{"topic":"big","key":${ids[1]},"data":2}`);
            assert.deepEqual([first.status, second.status], [201, 201]);
            const done = ingest(ids.map((id) => `{"id":${id}}`), '--key-from', '/id', '--topic-from', '/id');
            assert.match(done.stderr.toString(), /0 events committed, 2 repeated/);
            ingest(ids.map((id) => `{"id":${id}}`), '--topic-from', '/id');
            for (const id of ids)
                assert.deepEqual(await pages(world, id), [`{"id":${id}}`]);
            assert.deepEqual(await pages(world, 'big'), ['1', '2']);
        });

        it('half a character makes no key, and a name with a NUL is another name', async () => {
            for (const half of ['\\ud83d', '\\ud83c']) {
                const answer = await post(world.url(), `{"topic":"half","key":"k${half}","data":1}`);
                assert.equal(answer.status, 400);
                assert.ok(answer.json().detail.includes(`key has half a surrogate pair, ${half}`), answer.text);
            }
            let done = ingest(['{"id\\u0000a":1}', '{"id\\u0000b":1}'], '--topic', 'nul', '--key-from', '/id');
            assert.match(done.stderr.toString(), /2 events committed, 0 repeated/);
            done = ingest(['{"topic":"t","topic\\u0000x":"u","data":1}']);
            assert.deepEqual(await pages(world, 't'), ['1']);
        });

        it('of members with the same name the last one counts', async () => {
            const answer = await post(world.url(),
                '{"topic":"first","data":1,"topic":"last","data":{"a":1,"a":2},"type":"t","type":null}');
            assert.equal(answer.status, 201);
            assert.deepEqual(await pages(world, 'last'), ['{"a":1,"a":2}']);
            assert.deepEqual(await pages(world, 'first'), []);
        });
    });
}
