// Publishing over HTTP, through both web servers: what is written, what is refused and why, and that an
// acknowledged event is there whatever happens to the responder.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';
import { post } from './kit/post.mjs';
import { until } from './kit/wait.mjs';
import { World, servers } from './kit/world.mjs';

const QUICK = ['--retry-min', '200ms', '--retry-max', '400ms'];
const OPTIONS = [...QUICK, '--publish', '--body-bytes', '64K', '--event-bytes', '8K'];
const ALLOWED = { FRESHET_PUBLISH: 'on' };
const KILLS = 30;
const PUBLISHERS = 64;

const rows = (db, topic) => db.sql(`SELECT json_array(id, type, data, key) FROM events ` +
    `WHERE topic = '${topic}' ORDER BY id`).trim().split('\n').filter(Boolean).map((row) => JSON.parse(row));
const count = (db) => Number(db.sql('SELECT count(*) FROM events'));
const lines = (...values) => values.map((value) => JSON.stringify(value)).join('\n');

/** Refused, with a problem body that says why, and nothing was written. */
async function refused(world, status, why, body, options, rest = '') {
    const there = count(world.db);
    const answer = await post(world.url(rest), body, options);
    assert.equal(answer.status, status, answer.text);
    assert.equal(answer.type, 'application/problem+json');
    assert.equal(answer.json().status, status);
    assert.match(answer.json().detail, why);
    assert.equal(count(world.db), there, 'something was written');
    return answer;
}

for (const server of servers) {
    /** A world of one test, closed with it. */
    const open = async (t, place) => {
        const world = await World.open({ server, ...place });
        t.after(() => world.close());
        return world;
    };

    describe(`publishing through ${server}`, { concurrency: 4 }, () => {
        let world;
        let db;
        const seqs = (answer) => answer.json().ids.map((id) => {
            assert.match(id, new RegExp(`^\\d+-${db.epoch}$`));
            return parseInt(id, 10);
        });
        /** Accepted with 201 (or status), and these rows are there; gives back the answer. */
        const accepted = async (topic, expected, body, options = {}, rest = '', status = 201) => {
            const answer = await post(world.url(rest), body, options);
            assert.equal(answer.status, status, answer.text);
            assert.equal(answer.type, 'application/json');
            const there = rows(db, topic);
            assert.deepEqual(there.map(([, ...others]) => others), expected);
            if (status === 201)
                assert.deepEqual(seqs(answer), there.slice(-seqs(answer).length).map(([id]) => id));
            return answer;
        };

        before(async () => {
            world = await World.open({ server, options: OPTIONS, parameters: ALLOWED });
            db = world.db;
        });
        after(() => world?.close());

        // ---- what is written

        it('one event as JSON: 201, its id and where it is', async () => {
            const answer = await accepted('one', [['t', '{"a":[1,2]}', null]],
                { topic: 'one', type: 't', data: { a: [1, 2] } });
            assert.equal(answer.headers.location, `/events/${answer.json().ids[0]}`);
            assert.equal(answer.headers['cache-control'], 'no-store');
        });

        it('an array: all of them, in order, and no Location', async () => {
            const answer = await accepted('array', [[null, 'a', null], [null, 'null', null], [null, '7', null]],
                ['a', null, 7].map((data) => ({ topic: 'array', data })));
            assert.equal(answer.headers.location, undefined);
        });

        it('NDJSON, with blank lines and CRLF', () => accepted('nd', [[null, '1', null], [null, 'x', null]],
            '{"topic":"nd","data":1}\r\n\r\n\n{"topic":"nd","data":"x"}', { type: 'ndjson' }));

        it('a form', () => accepted('form & more', [['t', 'a=1&b é', null]],
            new URLSearchParams({ topic: 'form & more', type: 't', data: 'a=1&b é', other: 'x' }).toString(),
            { type: 'form' }));

        it('a media type with parameters, whatever its case', () => accepted('media', [[null, 'x', null]],
            { topic: 'media', data: 'x' }, { type: 'Application/JSON; charset=utf-8' }));

        for (const [what, type] of [['a tab', '\t'], ['blanks and tabs', ' \t ']]) {
            it(`a media type with ${what} wherever white space may stand`, async () => {
                for (const media of ['application/json', 'application/x-ndjson'])
                    for (const value of [`${media}${type};${type}charset=utf-8`, `${type}${media}${type}`]) {
                        const answer = await post(world.url(), { topic: `white ${media}`, data: 'x' }, { type: value });
                        assert.equal(answer.status, 201, `${JSON.stringify(value)}: ${answer.text}`);
                    }
            });
        }

        it('the topic of the query is for events that name none', async () => {
            const answer = await post(world.url('?topic=of+query%2F1'),
                lines({ data: 1 }, { topic: 'own topic', data: 2 }), { type: 'ndjson' });
            assert.equal(answer.status, 201, answer.text);
            assert.deepEqual(rows(db, 'of query/1').map(([, , data]) => data), ['1']);
            assert.deepEqual(rows(db, 'own topic').map(([, , data]) => data), ['2']);
        });

        it('a body without Content-Length', () => accepted('chunked', [[null, 'x', null]],
            { topic: 'chunked', data: 'x' }, { chunked: true }));

        // nginx collects a body, and then says its length; so it does not have to. lighttpd does too, and answers
        // 411 by itself when it is not to collect it.
        if (server === 'nginx')
            it('a body in chunks that are passed on as they come', async (t) => {
                const passing = await open(t, { options: OPTIONS, parameters: ALLOWED, edits: [
                    ['include fastcgi_params;', 'include fastcgi_params; fastcgi_request_buffering off;']] });
                const answer = await post(passing.url(), { topic: 'a', data: 'x'.repeat(5000) }, { chunked: true });
                assert.equal(answer.status, 201, answer.text);
                assert.equal(rows(passing.db, 'a').length, 1);
            });

        for (const n of [2, 3, 4, 7]) {
            it(`a body that comes in several reads: ${n} events of 8,000 bytes`, async () => {
                const topic = `large ${n}`;
                const data = Array.from({ length: n }, (_, i) => `${i}`.repeat(8000));
                await accepted(topic, data.map((text) => [null, text, null]),
                    lines(...data.map((text) => ({ topic, data: text }))), { type: 'ndjson' });
            });
        }

        it('what is posted is what a stream gets', async () => {
            const stream = await world.live('?topic=seen');
            const answer = await post(world.url(), { topic: 'seen', type: 'hello', data: 'a\nb\rc' });
            await stream.take(1);
            assert.equal(stream.events[0].id, answer.json().ids[0]);
            assert.equal(stream.events[0].raw, `id: ${answer.json().ids[0]}\nevent: hello\ndata: a\ndata: b\ndata: c`);
        });

        // ---- again

        it('Idempotency-Key: the second request gets the first id, with 200', async () => {
            const options = { headers: { 'Idempotency-Key': 'request 1' } };
            const first = await accepted('again', [[null, 'first', 'request 1']], { topic: 'again', data: 'first' },
                options);
            const second = await accepted('again', [[null, 'first', 'request 1']], { topic: 'again', data: 'first' },
                options, '', 200);
            assert.deepEqual(second.json(), first.json());
            assert.equal(second.headers.location, first.headers.location);
        });

        it('Idempotency-Key in quotes, as the draft has it, is the same key as without', async () => {
            const body = { topic: 'quoted', data: 'x' };
            const send = (key) => post(world.url(), body, { headers: { 'Idempotency-Key': key } });
            const answers = [await send('"quoted \\"1\\\\"'), await send('\t"quoted \\"1\\\\" '), await send('quoted "1\\')];
            assert.deepEqual(answers.map((answer) => answer.status), [201, 200, 200]);
            assert.deepEqual(rows(db, 'quoted'), [[seqs(answers[0])[0], null, 'x', 'quoted "1\\']]);
            for (const bad of ['"open', '"a" b', '"a";p', '"a\\b"', '""']) {
                const answer = await send(bad);
                assert.equal(answer.status, 400, `${bad}: ${answer.text}`);
            }
        });

        it('of several events the key is numbered', async () => {
            const options = { type: 'ndjson', headers: { 'Idempotency-Key': 'many' } };
            const body = lines({ topic: 'many', data: 1 }, { topic: 'many', data: 2, key: 'own' });
            const expected = [[null, '1', 'many\x1f1'], [null, '2', 'own']];
            const first = await accepted('many', expected, body, options);
            const second = await accepted('many', expected, body, options, '', 200);
            assert.deepEqual(second.json(), first.json());
        });

        it('a key of several events is not the key of one that looks like it', async () => {
            const send = (key, ...data) => post(world.url(), data.map((value) => ({ topic: 'apart', data: value })),
                { headers: { 'Idempotency-Key': key } });
            const answers = [await send('a/1', 'single'), await send('a', 'x', 'y'), await send('a/1', 'single'), await send('a', 'x', 'y')];
            assert.deepEqual(answers.map((answer) => answer.status), [201, 201, 200, 200]);
            assert.deepEqual(answers[2].json(), answers[0].json());
            assert.deepEqual(answers[3].json(), answers[1].json());
            assert.deepEqual(rows(db, 'apart').map(([, , data]) => data), ['single', 'x', 'y']);
        });

        it('a key per event: what is new is written, with 201', async () => {
            await accepted('keys', [[null, 'a', 'k1']], { topic: 'keys', data: 'a', key: 'k1' });
            const answer = await post(world.url(), [{ topic: 'keys', data: 'b', key: 'k1' },
                { topic: 'keys', data: 'c', key: 'k2' }]);
            assert.equal(answer.status, 201);
            assert.deepEqual(rows(db, 'keys').map(([id, , data, key]) => [id, data, key]),
                [[seqs(answer)[0], 'a', 'k1'], [seqs(answer)[1], 'c', 'k2']]);
        });

        it('the same key twice in one request is one event', async () => {
            const answer = await post(world.url(), [1, 2].map((data) => ({ topic: 'twice', data, key: 'twice' })));
            assert.equal(answer.status, 201);
            assert.equal(new Set(seqs(answer)).size, 1);
            assert.deepEqual(rows(db, 'twice').map(([, , data]) => data), ['1']);
        });

        it('many at once with one key are one event', async () => {
            const answers = await Promise.all(Array.from({ length: 16 }, () =>
                post(world.url(), { topic: 'race', data: 'same' }, { headers: { 'Idempotency-Key': 'race' } })));
            assert.deepEqual(answers.map((answer) => answer.status).sort(), [...Array(15).fill(200), 201]);
            assert.equal(new Set(answers.map((answer) => answer.text)).size, 1);
            assert.equal(rows(db, 'race').length, 1);
        });

        it(`${PUBLISHERS} publishers at once: every event once, ids of their own`, async () => {
            const each = 10;
            const ids = await Promise.all(Array.from({ length: PUBLISHERS }, async (_, publisher) => {
                const mine = [];
                for (let i = 0; i < each; i++) {
                    const answer = await post(world.url(), { topic: 'crowd', data: `${publisher}/${i}` });
                    assert.equal(answer.status, 201, answer.text);
                    mine.push([seqs(answer)[0], `${publisher}/${i}`]);
                }
                return mine;
            }));
            assert.deepEqual(rows(db, 'crowd').map(([id, , data]) => [id, data]),
                ids.flat().sort(([a], [b]) => a - b));
            assert.equal(ids.flat().length, PUBLISHERS * each);
        });
    });

    it(`1,000 events in one request are not kept aside page by page for each of them, ${server}`, async (t) => {
        const world = await open(t, { options: ['--publish'], parameters: ALLOWED });
        const body = lines(...Array.from({ length: 1000 }, (_, i) => ({ topic: 'thousand', data: `${i} `.padEnd(150, '.') })));
        const written = () => Number(/^wchar: (\d+)/m.exec(readFileSync(`/proc/${world.responder.pid}/io`, 'utf8'))[1]);
        let bytes;
        for (let times = 0; times < 5; times++) { // pages that were there before are those that would be kept
            const start = written();
            const answer = await post(world.url(), body, { type: 'ndjson' });
            assert.equal(answer.status, 201, answer.text);
            bytes = written() - start;
        }
        assert.ok(bytes < 10 * body.length, `${bytes} bytes were written for a body of ${body.length}`);
    });

    describe(`what ${server} and the responder refuse`, { concurrency: false }, () => {
        let world;
        before(async () => {
            world = await World.open({ server, options: OPTIONS, parameters: ALLOWED });
        });
        after(() => world?.close());

        const ok = { topic: 'a', data: 'x' };
        const bad = [
            ['broken JSON', /not JSON: .* at byte 10/, '{"topic":'],
            ['what browsers do not take as JSON', /not JSON/, "{'topic':'a','data':1}"],
            ['two values', /not JSON/, '{"topic":"a","data":1} 2'],
            ['no object', /not a JSON object/, '"text"'],
            ['null', /not a JSON object/, 'null'],
            ['an empty body', /./, ''],
            ['an empty array', /no event/, '[]'],
            ['the second of three', /event 2: topic has 0 bytes/, [ok, { ...ok, topic: '' }, ok]],
            ['an array in an array', /event 2: not a JSON object/, [ok, [ok]]],
            ['no topic', /topic/, { data: 'x' }],
            ['no data', /data is missing/, { topic: 'a' }],
            ['a topic of 256 bytes', /topic has 256 bytes/, { ...ok, topic: 'x'.repeat(256) }],
            ['a topic with a control character', /control character 0x0a/, { ...ok, topic: 'a\nb' }],
            ['a topic that is an object', /topic is an object/, { ...ok, topic: {} }],
            ['an empty type', /type has 0 bytes/, { ...ok, type: '' }],
            ['a type kept for signals', /kept for signals/, { ...ok, type: 'freshet:reset' }],
            ['an empty key', /key has 0 bytes/, { ...ok, key: '' }],
            ['NUL in the data', /NUL/, { ...ok, data: 'a\0b' }],
            ['NUL in the key', /NUL/, { ...ok, key: 'a\0b' }],
            ['half a character in the data', /data has half a surrogate pair, \\ud83d/, '{"topic":"a","data":"\\ud83d"}'],
            ['half a character in the key', /key has half a surrogate pair/, '{"topic":"a","data":1,"key":"\\udc26"}'],
            ['too deep', /JSON/, `{"topic":"a","data":${'['.repeat(200)}${']'.repeat(200)}}`],
            ['NDJSON with a bad third line', /line 3: not JSON/, `${lines(ok, ok)}\n{"topic"`, 'ndjson'],
            ['NDJSON with a bad event', /line 2: type is an array|event 2/, lines(ok, { ...ok, type: [] }), 'ndjson'],
            ['NDJSON over several lines', /line 1: not JSON/, JSON.stringify(ok, null, 1), 'ndjson'],
            ['NDJSON of blank lines', /no event/, '\n \r\n', 'ndjson'],
            ['a form with a bad escape', /malformed %-escape/, 'topic=a&data=%zz', 'form'],
            ['a form with NUL', /NUL/, 'topic=a&data=%00', 'form'],
            ['a form without data', /data is missing/, 'topic=a', 'form'],
            ['a form that is not UTF-8', /UTF-8/, 'topic=a&data=%ff', 'form'],
        ];
        for (const [name, why, body, type] of bad)
            it(`400: ${name}`, () => refused(world, 400, why, body, { type }));

        it('400: JSON that is not UTF-8', () => refused(world, 400, /UTF-8/,
            Buffer.from('{"topic":"a","data":"\xff"}', 'latin1')));
        it('400: an Idempotency-Key of 256 bytes', () => refused(world, 400, /Idempotency-Key/, ok,
            { headers: { 'Idempotency-Key': 'k'.repeat(256) } }));
        it('422: an Idempotency-Key that was used with another body; the same body again is known', async () => {
            const one = { topic: 'once', type: 't', data: 'x' };
            const options = (key) => ({ headers: { 'Idempotency-Key': key } });
            const key = options('"of one"');
            const first = await post(world.url(), one, key);
            assert.equal(first.status, 201);
            for (const other of [{ ...one, data: 'y' }, { ...one, data: '' }, { ...one, type: 'u' }, { topic: 'once', data: 'x' },
                { ...one, topic: 'elsewhere' }, [one, one], [one, { ...one, data: 'y' }]]) {
                const answer = await refused(world, 422, /Idempotency-Key "of one" was used for another request/, other, key);
                assert.ok(!answer.text.includes(world.db.epoch), answer.text);
            }
            const several = ['1', '2', '3'].map((data) => ({ topic: 'once', data }));
            const many = options('of several');
            assert.equal((await post(world.url(), several, many)).status, 201);
            for (const other of [several.slice(0, 2), several.slice(1), [...several, one], several.toReversed(), several[0]])
                await refused(world, 422, /was used for another request/, other, many);
            for (const [body, again] of [[one, key], [several, many]])
                assert.equal((await post(world.url(), body, again)).status, 200);
            // Events of their own keys are not part of it: what is new among them is written.
            const mixed = [several[0], { topic: 'once', data: 'own', key: 'own 1' }];
            const half = options('half');
            assert.equal((await post(world.url(), mixed, half)).status, 201);
            assert.equal((await post(world.url(), mixed, half)).status, 200);
            assert.equal((await post(world.url(), [mixed[0], { ...mixed[1], key: 'own 2' }], half)).status, 201);
        });
        it('422: what of a request was deleted is not written again, all of it is', async () => {
            const body = ['1', '2', '3'].map((data) => ({ topic: 'pruned', data }));
            const key = { headers: { 'Idempotency-Key': 'pruned' } };
            const ids = (await post(world.url(), body, key)).json().ids.map((id) => parseInt(id, 10));
            for (const id of ids.slice(0, 2)) {
                world.db.sql(`DELETE FROM events WHERE id = ${id}`);
                await refused(world, 422, /some of its events have been deleted/, body, key);
            }
            world.db.sql(`DELETE FROM events WHERE id = ${ids[2]}`);
            assert.equal((await post(world.url(), body, key)).status, 201);
            assert.deepEqual(rows(world.db, 'pruned').map(([, , data]) => data), ['1', '2', '3']);
        });
        it('400: a key that is made like those of several events', async () => {
            await refused(world, 400, /control character 0x1f/, { ...ok, key: 'a\x1f1' });
            await refused(world, 400, /event 2: .*control character 0x1f/, [ok, { ...ok, key: 'a\x1f1' }]);
        });
        it('409: a key that an event of another topic has; nothing is written and no id is told', async () => {
            await post(world.url(), { topic: 'keeper', data: 'a', key: 'held' });
            const single = { topic: 'other', data: 'b', key: 'held' };
            const taken = async (why, body, options) => {
                const answer = await refused(world, 409, why, body, options);
                assert.equal(answer.headers.location, undefined);
                assert.ok(!answer.text.includes(world.db.epoch), answer.text);
            };
            await taken(/^key "held" .* another topic/, single);
            await taken(/^event 3: key "held" .* another topic/,
                [{ topic: 'other', data: 1 }, { topic: 'other', data: 2, key: 'free' }, single]);
            await taken(/^event 2: key "both" .* another topic/,
                [{ topic: 'other', data: 1, key: 'both' }, { topic: 'third', data: 2, key: 'both' }]);
            // The ids that those would have got are not lost either, and the others' publications go on.
            const [before, after] = await Promise.all([
                post(world.url(), { topic: 'keeper', data: 'a', key: 'held' }),
                post(world.url(), { topic: 'keeper', data: 'c' })]);
            assert.deepEqual([before.status, after.status], [200, 201]);
            assert.deepEqual(rows(world.db, 'other'), []);
        });
        it('413: a body that says its length', () => refused(world, 413, /longer than 65536 bytes/,
            { ...ok, data: 'x'.repeat(70_000) }));
        it('413: a body that does not', () => refused(world, 413, /longer than 65536 bytes/,
            { ...ok, data: 'x'.repeat(70_000) }, { chunked: true }));
        it('413: one event that is too long, and the one before it is not written', () =>
            refused(world, 413, /event 2: data has 8193 bytes; the most allowed is 8192/,
                lines(ok, { ...ok, data: 'x'.repeat(8193) }), { type: 'ndjson' }));
        it('415: another media type', () => refused(world, 415, /application\/x-ndjson/, ok, { type: 'text/plain' }));
        it('415: none', () => refused(world, 415, /Content-Type/, ok, { type: null }));
        it('405: another method names POST', async () => {
            const answer = await fetch(world.url(), { method: 'PUT', body: '{}' });
            assert.equal(answer.status, 405);
            assert.match(answer.headers.get('allow'), /\bPOST\b/);
        });
        it('what is longest is accepted', async () => {
            const answer = await post(world.url(), { ...ok, data: 'x'.repeat(8192) });
            assert.equal(answer.status, 201);
        });
    });

    describe(`a trigger of the operator's refuses events, through ${server}`, { concurrency: false }, () => {
        const ROUNDS = 6;
        const kinds = [
            ['RAISE(ABORT)', "RAISE(ABORT, 'no poison')", 400, /no poison/],
            ['RAISE(FAIL)', "RAISE(FAIL, 'no poison')", 400, /no poison/],
            ['RAISE(ROLLBACK), which ends the whole transaction', "RAISE(ROLLBACK, 'no poison')", 400, /no poison/],
            ['an error in the trigger itself', "json_extract(NEW.data, '$.x')", 500, /cannot be written/],
            ['a foreign key that COMMIT finds', null, 400, /FOREIGN KEY/],
        ];
        for (const [name, what, status, why] of kinds) {
            it(`${name}: ${PUBLISHERS} publishers at once, and only the one with the poison is refused`, async (t) => {
                const world = await open(t, {
                    options: OPTIONS, parameters: ALLOWED,
                    prepare: (db) => db.sql(what
                        ? `CREATE TRIGGER picky AFTER INSERT ON events WHEN NEW.topic = 'poison' BEGIN SELECT ${what}; END`
                        : 'CREATE TABLE user(name TEXT PRIMARY KEY); CREATE TABLE log(user TEXT REFERENCES user(name) DEFERRABLE INITIALLY DEFERRED); ' +
                          "CREATE TRIGGER picky AFTER INSERT ON events WHEN NEW.topic = 'poison' BEGIN INSERT INTO log VALUES ('nobody'); END"),
                });
                await Promise.all(Array.from({ length: PUBLISHERS }, async (_, publisher) => {
                    for (let round = 0; round < ROUNDS; round++) {
                        const answer = await post(world.url(), publisher === 0
                            ? lines({ topic: 'good', data: 'undone' }, { topic: 'poison', data: '{' })
                            : { topic: 'good', data: `${publisher}/${round}` }, { type: publisher === 0 ? 'ndjson' : 'json' });
                        assert.equal(answer.status, publisher === 0 ? status : 201, `${publisher}: ${answer.text}`);
                        if (publisher === 0)
                            assert.match(answer.json().detail, why);
                        assert.ok(!answer.text.includes(world.dir) && !answer.text.includes('.db'), answer.text);
                    }
                }));
                const data = rows(world.db, 'good').map(([, , one]) => one);
                assert.equal(new Set(data).size, data.length);
                assert.equal(data.length, (PUBLISHERS - 1) * ROUNDS);
                assert.ok(!data.includes('undone'));
                assert.match(world.responderLog(), /publishing: \d+ of \d+ requests were refused/);
            });
        }
    });

    describe(`publishing through ${server} is not allowed`, () => {
        it('403: where the web server does not say so', async (t) => {
            const world = await open(t, { options: OPTIONS });
            await refused(world, 403, /not allowed|may not/, { topic: 'a', data: 'x' });
            const forged = { 'Freshet-Publish': 'on', FRESHET_PUBLISH: 'on' };
            await refused(world, 403, /not allowed|may not/, { topic: 'a', data: 'x' }, { headers: forged });
        });
        it('405: without --publish', async (t) => {
            const world = await open(t, { parameters: ALLOWED });
            const answer = await refused(world, 405, /GET/, { topic: 'a', data: 'x' });
            assert.doesNotMatch(answer.headers.allow, /POST/);
        });
    });

    describe(`when something is in the way, through ${server}`, { concurrency: false }, () => {
        it('503 when another writer holds the database, and when too many wait for it', async (t) => {
            const world = await open(t, { options: [...OPTIONS, '--publish-queue', '2'],
                parameters: ALLOWED });
            const holder = world.db.shell();
            await holder.execute('BEGIN IMMEDIATE');
            const answers = await Promise.all(Array.from({ length: 8 }, (_, i) =>
                post(world.url(), { topic: 'held', data: i })));
            for (const answer of answers) {
                assert.equal(answer.status, 503, answer.text);
                assert.equal(answer.type, 'application/problem+json');
                assert.match(answer.headers['retry-after'], /^\d+$/);
                assert.match(answer.json().detail, /busy|wait/);
            }
            assert.ok(answers.some((answer) => /wait/.test(answer.text)), 'the queue is bounded');
            assert.ok(answers.some((answer) => /nothing was written/.test(answer.text)));
            await holder.execute('COMMIT');
            await holder.close();
            assert.equal(count(world.db), 0);
            const answer = await post(world.url(), { topic: 'held', data: 'later' });
            assert.equal(answer.status, 201);
        });

        it('a responder that is away is no success', async (t) => {
            const world = await open(t, { options: OPTIONS, parameters: ALLOWED });
            await world.responder.crash(async () => {
                const answer = await post(world.url(), { topic: 'away', data: 'x' });
                assert.ok(answer.status >= 500, `status ${answer.status}: ${answer.text}`);
                // Who reads is told to come back, as ever.
                const stream = await world.stream();
                assert.equal(stream.status, 200);
            });
            // lighttpd leaves a backend alone for a second after it failed.
            await until('the responder to be asked again', async () =>
                (await post(world.url(), { topic: 'away', data: 'x' })).status === 201);
        });

        it(`what was acknowledged survives kill -9, ${KILLS} times`, async (t) => {
            const world = await open(t, { options: OPTIONS, parameters: ALLOWED });
            const acknowledged = [];
            for (let round = 0; round < KILLS; round++) {
                let first;
                const some = new Promise((resolve) => { first = resolve; });
                let killed = false;
                // lighttpd leaves a backend alone for a second after it failed: then nobody gets through at first.
                const all = Array.from({ length: 6 }, async (_, i) => {
                    for (let n = 0; !killed; n++) {
                        const half = `${round}/${i}/${n}`;
                        const answer = await post(world.url(), lines(
                            { topic: 'kept', data: `${half}/a` }, { topic: 'kept', data: `${half}/b` }),
                        { type: 'ndjson' });
                        if (answer.status === 201) {
                            acknowledged.push(...answer.json().ids.map((id) => parseInt(id, 10)));
                            return first();
                        }
                    }
                });
                await some;
                killed = true;
                await world.responder.crash();
                await Promise.all(all);
            }
            const there = new Map(rows(world.db, 'kept').map(([id, , data]) => [id, data]));
            for (const id of acknowledged)
                assert.ok(there.has(id), `event ${id} was acknowledged and is gone`);
            assert.ok(acknowledged.length >= 2 * KILLS);
            // All or nothing, also for those that were not acknowledged.
            const halves = [...there.values()].map((data) => data.slice(0, -2));
            for (const half of new Set(halves))
                assert.equal(halves.filter((other) => other === half).length, 2, `half of ${half}`);
        });
    });
}
