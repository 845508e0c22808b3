// Formats of the database as operators and pages meet them: one of the first version is served, and upgraded
// while everything goes on; freshet is a guest in an application's database; a page and its stream leave no gap.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { program, root, tool } from './kit/env.mjs';
import { post } from './kit/post.mjs';
import { keep, run } from './kit/process.mjs';
import { until } from './kit/wait.mjs';
import { World } from './kit/world.mjs';

const QUICK = ['--retry-min', '200ms', '--retry-max', '400ms'];
const PUBLISH = { options: [...QUICK, '--publish'], parameters: { FRESHET_PUBLISH: 'on' } };
const OLD = /made by an older version of freshet \(format 1\), and used as it is/;

function succeed(command, args, input) {
    const done = run(command, args, { input });
    assert.equal(done.code, 0, `${command} ${args.join(' ')}: ${done.stderr}`);
    return done.stdout.toString();
}

/** In the place of the database: nothing but what the function makes. */
function replace(db, make) {
    for (const beside of ['', '-wal', '-shm'])
        rmSync(db.file + beside, { force: true });
    make();
}

/** As version 0.1 made it. */
function makeFormat1(db) {
    replace(db, () => succeed(tool('sqlite3'), ['-batch', '-bail', db.file],
        readFileSync(join(root, 'sql/schema-1.sql'))));
    db.epoch = db.sql('SELECT epoch FROM feed').trim();
    assert.equal(db.sql('PRAGMA user_version').trim(), '1');
}

/** An application's, with a table `events` of its own, and freshet as a guest. */
function makeGuest(db) {
    replace(db, () => succeed(tool('sqlite3'), ['-batch', db.file], `
        CREATE TABLE events(what TEXT); CREATE TABLE orders(id INTEGER PRIMARY KEY, what TEXT);
        PRAGMA application_id = 77; PRAGMA user_version = 5; PRAGMA journal_mode = WAL;`));
    succeed(program('tests/unit/make_db'), ['--guest', db.file]);
    db.epoch = db.sql('SELECT epoch FROM freshet_feed').trim();
}

const numbers = (text) => text.trim().split('\n').filter(Boolean).map(Number);

async function open(t, place) {
    const world = await World.open(place);
    t.after(() => world.close());
    return world;
}

describe('a database of the first version', () => {
    it('is served, and upgraded under clients, publishers and ingest: nobody is cut, nothing is missing', async (t) => {
        const world = await open(t, { ...PUBLISH, prepare: makeFormat1 });
        const { db } = world;
        assert.match(world.responderLog(), OLD);
        const clients = Array.from({ length: 5 }, () => world.source('?since=earliest', ['freshet:reset']));
        const ingest = keep(spawn(program('freshet-ingest'), ['--db', db.file, '--topic', 'piped', '--batch-events', '1'],
            { stdio: ['pipe', 'ignore', 'pipe'] }));
        const said = [];
        ingest.stderr.on('data', (chunk) => said.push(chunk));
        const flow = db.shell().flow('inserted', 100);
        const send = (i) => post(world.url(), { topic: 'posted', data: `${i}` });
        const everywhere = async (topic, n) => until(`${n} events of topic ${topic} in the table`,
            () => db.ids(topic).length >= n);

        ingest.stdin.write('{"data":"before"}\n');
        assert.equal((await send(1)).status, 201);
        await everywhere('piped', 1);
        await until('some events at each client', () => clients.every((client) => client.events.length > 20));
        const upgraded = succeed(program('freshet'), ['upgrade', '--db', db.file]);
        assert.match(upgraded, /upgraded from format 1 to 2; epoch and positions stay as they are/);
        assert.equal(db.sql('PRAGMA user_version; SELECT epoch FROM feed').trim(), `2\n${db.epoch}`);
        ingest.stdin.end('{"data":"after"}\n');
        assert.equal((await send(2)).status, 201);
        await everywhere('piped', 2);
        await until('some more at each client', () => clients.every((client) => client.events.length > 60));
        assert.ok(clients.every((client) => client.opens === 1), 'somebody was cut');
        assert.match(Buffer.concat(said).toString(), OLD);

        // Positions of before hold when the responder has been started again, with the new format.
        const at = world.responderLog().length;
        await world.responder.crash();
        assert.doesNotMatch(world.responderLog().slice(at), /older version/);
        await until('each client to be back', () => clients.every((client) => client.opens === 2));
        await flow.end();
        const ids = numbers(db.sql('SELECT id FROM events ORDER BY id'));
        await until('all events at each client', () => clients.every((client) => client.events.length >= ids.length));
        for (const client of clients) {
            assert.deepEqual(client.events.map((event) => event.lastEventId), ids.map((id) => `${id}-${db.epoch}`));
            assert.equal(client.seen('freshet:reset').length, 0);
        }
        const check = run(program('freshet'), ['check', '--db', db.file]);
        assert.equal(check.code, 0, check.stdout.toString());
        assert.match(succeed(program('freshet'), ['upgrade', '--db', db.file]), /already has format 2/);
    });
});

describe('a guest in the database of an application', () => {
    it('streams what the application commits with its own rows, and leaves the rest alone', async (t) => {
        const world = await open(t, { ...PUBLISH, prepare: makeGuest });
        const { db } = world;
        const client = await world.live('?topic=orders/*');
        db.sql(`BEGIN; INSERT INTO orders VALUES (1, 'bread');
            INSERT INTO freshet_events(topic, data) VALUES ('orders/1', 'new'); COMMIT`);
        db.sql(`BEGIN; INSERT INTO orders VALUES (2, 'salt');
            INSERT INTO freshet_events(topic, data) VALUES ('orders/2', 'undone'); ROLLBACK`);
        db.sql("INSERT INTO events VALUES ('of the application')");
        assert.equal((await post(world.url(), { topic: 'orders/1', data: 'paid' })).status, 201);
        await client.take(2);
        assert.deepEqual(client.events.map((event) => event.data), ['new', 'paid']);
        assert.equal(client.events[1].id, db.sql('SELECT id FROM freshet_position').trim());
        for (const command of [['check'], ['status'], ['prune', '--through', '1'], ['tail', '--no-follow'],
            ['publish', '--topic', 'a', '1'], ['epoch', '--new']])
            succeed(program('freshet'), [command[0], '--db', db.file, ...command.slice(1)]);
        succeed(program('freshet-ingest'), ['--db', db.file, '--topic', 'piped'], '{"data":1}\n');
        assert.deepEqual(numbers(db.sql('SELECT id FROM freshet_events ORDER BY id')), [2, 3, 4]);
        assert.deepEqual(db.sql(`SELECT what FROM events; SELECT what FROM orders; PRAGMA application_id;
            PRAGMA user_version`).trim().split('\n'), ['of the application', 'bread', '77', '5']);
    });

    it('says which table a migration tool has dropped, and streams go on', async (t) => {
        const world = await open(t, { ...PUBLISH, prepare: makeGuest });
        const { db } = world;
        const client = await world.live();
        db.sql('DROP TABLE freshet_events');
        const answer = await post(world.url(), { topic: 'a', data: 'x' });
        assert.equal(answer.status, 503, answer.text);
        assert.doesNotMatch(answer.text, new RegExp(world.dir), 'a path of the machine');
        await until('the log to name the table', () => /table freshet_events is missing: another program has dropped it/
            .test(world.responderLog()));
        const check = run(program('freshet'), ['check', '--db', db.file]);
        assert.equal(check.code, 1);
        assert.match(check.stdout.toString(), /FAIL {2}schema +table freshet_events is missing/);
        assert.equal(client.ended, undefined);
    });
});

describe('a page that is made from the same database', () => {
    const ORDERS = 1500;
    const PAGES = 20;

    it('shows each order once, from its rows or from its stream, whenever it was made', async (t) => {
        const world = await open(t, { options: QUICK,
            prepare: (db) => db.sql('CREATE TABLE orders(id INTEGER PRIMARY KEY, what TEXT)') });
        const { db } = world;
        const shell = db.shell();
        // All at once, so that the shell works through them while pages are made here; one of ten is undone.
        const writing = shell.execute(Array.from({ length: ORDERS }, (_, i) => `BEGIN IMMEDIATE;
            INSERT INTO orders(what) VALUES ('x');
            INSERT INTO events(topic, data) SELECT 'orders/' || max(id), max(id) FROM orders;
            ${i % 10 ? 'COMMIT' : 'ROLLBACK'}`).join(';\n'));
        const pages = [];
        while (pages.length < PAGES) {
            const [position, rows] = db.sql(`SELECT (SELECT id FROM position), coalesce(group_concat(o.id), '')
                FROM orders o`).trim().split('|');
            assert.match(position, new RegExp(`^\\d+-${db.epoch}$`));
            pages.push({ rows: rows.split(',').filter(Boolean).map(Number),
                source: world.source(`?topic=orders/*&last_event_id=${position}`, ['freshet:reset']) });
        }
        await writing;
        await shell.close();
        const all = numbers(db.sql('SELECT id FROM orders ORDER BY id'));
        await until('the last order on each page', () => pages.every(({ rows, source }) =>
            rows.length + source.events.length >= all.length), { within: 30_000 });
        for (const { rows, source } of pages)
            assert.deepEqual([...rows, ...source.events.map((event) => Number(event.data))], all);
        const sizes = new Set(pages.map(({ rows }) => rows.length));
        assert.ok(sizes.size > 3, `the pages were made while nothing moved: they have ${[...sizes]} rows`);
    });
});
