// What goes wrong below the programs: disks that fail or are full, descriptors that run out, a clock that
// is set back, a database that is locked, damaged, deleted or replaced. The programs live on where they can,
// say what happened, and lose nothing in silence. System calls are made to fail by shim.c.
import assert from 'node:assert/strict';
import { appendFileSync, closeSync, copyFileSync, mkdtempSync, openSync, readFileSync, renameSync, rmSync,
    statSync, unlinkSync, writeFileSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { Database } from '../e2e/kit/database.mjs';
import { program, root, tool } from '../e2e/kit/env.mjs';
import { get } from '../e2e/kit/get.mjs';
import { post } from '../e2e/kit/post.mjs';
import { run } from '../e2e/kit/process.mjs';
import { until } from '../e2e/kit/wait.mjs';
import { World } from '../e2e/kit/world.mjs';

const OPTIONS = ['--retry-min', '100ms', '--retry-max', '200ms', '--poll', '100ms', '--publish'];
const ALLOWED = { FRESHET_PUBLISH: 'on' };

let made; // a directory with the shim

before(() => {
    made = mkdtempSync(join(tmpdir(), 'freshet-shim-'));
    const done = run(tool('cc'), ['-std=gnu11', '-D_GNU_SOURCE', '-O1', '-Wall', '-Wextra', '-fPIC', '-shared',
        '-o', join(made, 'shim.so'), join(root, 'tests/faults/shim.c'), '-ldl', '-pthread']);
    assert.equal(done.code, 0, done.stderr);
});
after(() => rmSync(made, { recursive: true }));

const faultsOf = (dir) => join(dir, 'faults');
const shim = (dir) => ({ LD_PRELOAD: join(made, 'shim.so'), FAULTS: faultsOf(dir) });

/** A world whose responder meets what break() says, until mend(). */
async function open(t, { options = [], ...place } = {}) {
    const world = await World.open({ options: [...OPTIONS, ...options], parameters: ALLOWED, env: shim, ...place });
    t.after(() => world.close());
    world.break = (...rules) => writeFileSync(faultsOf(world.dir), `${rules.join('\n')}\n`);
    world.mend = () => writeFileSync(faultsOf(world.dir), '');
    world.logged = (pattern) => until(`${pattern} in the log:\n${world.responderLog().slice(-2000)}`,
        () => pattern.test(world.responderLog()));
    world.count = () => Number(world.db.sql('SELECT count(*) FROM events'));
    return world;
}

/** A copy of the live database, as the manual says. */
function copy(world, file) {
    const done = run(tool('sqlite3'), [world.db.file, `.backup ${file}`]);
    assert.equal(done.code, 0, done.stderr);
}

const event = (text) => ({ topic: 'a', data: text });

/** Refused with a problem body, and nothing was written. */
async function refused(world, status, why) {
    const there = world.count();
    const answer = await post(world.url(), event('refused'));
    assert.equal(answer.status, status, answer.text);
    assert.equal(answer.type, 'application/problem+json');
    assert.equal(answer.json().status, status);
    assert.match(answer.json().detail, why);
    assert.match(answer.json().detail, /nothing was written/);
    assert.equal(world.count(), there);
    return answer;
}

async function accepted(world, text) {
    const answer = await post(world.url(), event(text));
    assert.equal(answer.status, 201, answer.text);
    return answer.json().ids[0];
}

const texts = (stream) => stream.events.map((e) => e.data);

describe('publishing', { concurrency: 4 }, () => {
    const stories = {
        'on a full disk is a 507': ['write events.db-wal ENOSPC', 507, /disk is full/, /database or disk is full/],
        'on a disk that cannot write is a 500': ['write events.db-wal EIO', 500, /cannot be written/, /disk I\/O error/],
        'on a read-only file system is a 500': ['write events.db EROFS', 500, /cannot be written/, /disk I\/O error/],
        'that cannot be synced is a 500': ['sync events.db-wal EIO', 500, /cannot be written/, /disk I\/O error/],
    };
    for (const [name, [rule, status, detail, log]] of Object.entries(stories)) {
        it(`${name}; a stream does not notice, and afterwards it works again`, async (t) => {
            const world = await open(t);
            const stream = await world.live('?topic=a');
            await accepted(world, 'before');
            world.break(rule);
            await refused(world, status, detail);
            await refused(world, status, detail);
            await world.logged(log);
            world.mend();
            await accepted(world, 'after');
            await stream.take(2);
            assert.deepEqual(texts(stream), ['before', 'after']);
        });
    }

    it('waits out interruptions', async (t) => {
        const world = await open(t);
        const stream = await world.live('?topic=a');
        world.break('write events.db-wal EINTR 0 5', 'read events.db EINTR 0 5', 'send socket: EINTR 0 5',
            'send socket: EAGAIN 2 1', 'accept socket: EINTR 0 3', 'sync events.db EINTR 0 0');
        await accepted(world, 'one');
        await accepted(world, 'two');
        await stream.take(2);
        assert.deepEqual(texts(stream), ['one', 'two']);
    });
});

describe('reading', { concurrency: 4 }, () => {
    it('streams outlive a disk that cannot be read; the log says when it fails and when it works', async (t) => {
        const world = await open(t);
        const stream = await world.live('?topic=a');
        world.break('read events.db EIO');
        const id = world.db.publish(event('meanwhile'));
        await world.logged(/following the table: .*the disk could not be read.*trying again every 100 ms/);
        const page = await get(world.url('?last=1'));
        assert.equal(page.status, 500, page.body);
        assert.equal(page.headers['content-type'], 'application/problem+json');
        const head = await get(world.url('?last=1'), { method: 'HEAD' });
        assert.equal(head.status, 500);
        assert.equal(head.body, '');
        const unanswered = await get(`${world.url()}/${id}`);
        assert.equal(unanswered.status, 500);
        assert.equal(stream.ended, undefined);
        world.mend();
        await stream.take(1);
        assert.deepEqual(texts(stream), ['meanwhile']);
        await world.logged(/following the table works again/);
        assert.equal(world.responderLog().match(/following the table: /g).length, 1, 'said once');
    });

    it('a damaged database is called that; streams stay, and the process too', async (t) => {
        // More than the responder's connection keeps in memory.
        const world = await open(t, { prepare: (db) => db.sql('WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL ' +
            "SELECT i + 1 FROM n WHERE i < 4000) INSERT INTO events(topic, data) SELECT 'a', " +
            'hex(randomblob(2500)) FROM n') });
        const stream = await world.live('?topic=a');
        world.db.sql('PRAGMA wal_checkpoint(TRUNCATE)');
        // All pages but the first: what is not in the responder's cache is garbage now.
        const file = openSync(world.db.file, 'r+');
        for (let at = 4096; at < statSync(world.db.file).size; at += 4096)
            writeSync(file, Buffer.alloc(4096, 0xa5), 0, 4096, at);
        closeSync(file);
        const page = await get(world.url('?since=earliest'));
        assert.equal(page.status, 500, page.body);
        await world.logged(/malformed.*the file is damaged, or.*restore it from a backup/);
        assert.equal(stream.ended, undefined);
        const again = run(program('freshet-fcgi'), ['--db', world.db.file, '--listen', `unix:${world.dir}/x.sock`]);
        assert.equal(again.code, 1);
        assert.match(again.stderr, /events\.db: .*malformed.*restore it from a backup/);
    });
});

describe('descriptors', () => {
    it('when there are none, accepting pauses and goes on by itself', async (t) => {
        const world = await open(t);
        const stream = await world.live('?topic=a');
        world.break('accept socket: EMFILE');
        const late = world.stream('?topic=a'); // waits in the listening socket's queue
        await world.logged(/accepting pauses for 100 ms at a time: Too many open files; \d+ connections are open/);
        world.db.publish(event('one'));
        await stream.take(1);
        world.mend();
        await (await late).signal('live');
    });

    it('with a limit of 40 forty streams do not fit, and come when others leave', async (t) => {
        const world = await open(t);
        run(tool('prlimit'), ['--pid', String(world.responder.pid), '--nofile=40:40']);
        const streams = [];
        const opening = Array.from({ length: 40 }, async () => streams.push(await world.stream('?topic=a')));
        await world.logged(/accepting pauses/);
        await until('streams', () => streams.length > 10);
        const closed = new Set();
        while (closed.size < 40) {
            const next = streams.find((stream) => !closed.has(stream));
            if (!next) {
                await until('another stream', () => streams.length > closed.size);
                continue;
            }
            closed.add(next);
            next.close();
        }
        await Promise.all(opening);
        await (await world.stream('?topic=a')).signal('live');
    });
});

describe('a database that is not the one any more', { concurrency: 4 }, () => {
    /** Another database with n events, moved over the first as one does after restoring a backup. */
    // It takes two steps, the WAL and the file. The responder sees both at once, unless it is said to look in
    // between, or that somebody forgets the first.
    const another = (world, n) => {
        const other = new Database(mkdtempSync(join(world.dir, 'other-')));
        if (n > 0)
            other.fill('a', n);
        other.sql('PRAGMA wal_checkpoint(TRUNCATE)');
        return other;
    };
    const replace = async (world, n, { mixed = false, seen = false, other = another(world, n) } = {}) => {
        if (mixed) {
            renameSync(other.file, world.db.file);
            await world.logged(/has been replaced, but the old -wal is still beside it.*remove/);
        }
        const atOnce = !mixed && !seen;
        if (atOnce) {
            world.responder.signal('SIGSTOP');
            await until('the responder to stand still',
                () => /^State:\tT/m.test(readFileSync(`/proc/${world.responder.pid}/status`, 'utf8')));
        }
        for (const suffix of ['-wal', '-shm'])
            rmSync(world.db.file + suffix, { force: true });
        if (seen)
            await world.logged(/events\.db-wal: has been deleted or replaced/);
        if (!mixed)
            renameSync(other.file, world.db.file);
        if (atOnce)
            world.responder.signal('SIGCONT');
        world.db.epoch = other.epoch;
    };

    for (const workers of [1, 2]) {
        it(`replaced: clients come back by themselves and are told; ${workers} worker(s)`, async (t) => {
            const world = await open(t, { options: ['--workers', String(workers)],
                prepare: (db) => db.fill('a', 99) });
            world.db.publish(event('in the WAL'));
            const old = world.db.epoch;
            const source = world.source('?topic=a&since=earliest', ['freshet:reset']);
            await until('the old events', () => source.events.length === 100);
            await replace(world, 5, { mixed: workers === 2 });
            await world.logged(new RegExp(`has been replaced by another database \\(epoch ${world.db.epoch} ` +
                `instead of ${old}\\)`));
            await until('a reset', () => source.seen('freshet:reset').length > 0);
            const reset = JSON.parse(source.seen('freshet:reset')[0].data);
            assert.equal(reset.reason, 'epoch');
            assert.equal(reset.requested, `100-${old}`);
            const id = await until('a place for it', async () => {
                const answer = await post(world.url(), event('new'));
                return answer.status === 201 && answer.json().ids[0];
            });
            assert.equal(id, `6-${world.db.epoch}`);
            await until('the new events', () => source.events.length === 106);
            assert.deepEqual(source.events.slice(100).map((e) => e.lastEventId),
                [1, 2, 3, 4, 5, 6].map((n) => `${n}-${world.db.epoch}`));
        });
    }

    for (const workers of [1, 2]) {
        it(`a restored backup gets a new epoch while it is served: clients are told; ${workers} worker(s)`, async (t) => {
            const world = await open(t, { options: ['--workers', String(workers)], prepare: (db) => db.fill('a', 10) });
            const backup = join(world.dir, 'backup.db');
            copy(world, backup);
            world.db.fill('a', 5);
            const source = world.source('?topic=a&since=earliest', ['freshet:reset']);
            await until('15 events', () => source.events.length === 15);
            await world.responder.process.stop();
            for (const suffix of ['-wal', '-shm'])
                rmSync(world.db.file + suffix, { force: true });
            renameSync(backup, world.db.file);
            await world.responder.start();
            const told = (epoch) => source.seen('freshet:reset').some((reset) => {
                const { reason, requested } = JSON.parse(reset.data);
                return reason === 'epoch' && requested.endsWith(`-${epoch}`);
            });
            await until('the client to be back', () => source.seen('freshet:reset').length > 0);
            assert.ok(!told(world.db.epoch), 'the copy has the epoch of before');

            const old = world.db.epoch;
            const renewed = run(program('freshet'), ['epoch', '--new', '--db', world.db.file]);
            assert.equal(renewed.code, 0, renewed.stderr);
            const epoch = renewed.stdout.toString().trim();
            assert.notEqual(epoch, old);
            await world.logged(new RegExp(`has a new epoch \\(${epoch} instead of ${old}\\)`));
            await until('the client to be told', () => told(old));
            const id = await until('a place for it', async () => {
                const answer = await post(world.url(), event('after the restore'));
                return answer.status === 201 && answer.json().ids[0];
            });
            assert.equal(id, `11-${epoch}`);
            await until('the new event', () => source.events.at(-1).data === 'after the restore');
            assert.equal(source.events.at(-1).lastEventId, id);
        });
    }

    it('replaced by a copy of itself: the log says what to do when it is an older one', async (t) => {
        const world = await open(t, { prepare: (db) => db.fill('a', 10) });
        const backup = join(world.dir, 'backup.db');
        copy(world, backup);
        await replace(world, 0, { other: { file: backup, epoch: world.db.epoch } });
        await world.logged(/is a copy of what was there before.*freshet epoch --new --db /);
    });

    it('replaced, and seen in mid-replacement: clients are told, and have the events of the other one', async (t) => {
        const world = await open(t, { prepare: (db) => db.fill('a', 99) });
        world.db.publish(event('in the WAL'));
        const source = world.source('?topic=a&since=earliest', ['freshet:reset']);
        await until('the old events', () => source.events.length === 100);
        await replace(world, 5, { seen: true });
        await until('a reset', () => source.seen('freshet:reset')
            .some((reset) => JSON.parse(reset.data).reason === 'epoch'));
        const wanted = [1, 2, 3, 4, 5].map((n) => `${n}-${world.db.epoch}`);
        const there = () => source.events.map((e) => e.lastEventId).filter((id) => id.endsWith(world.db.epoch));
        await until('the new events', () => there().length >= wanted.length);
        assert.deepEqual(there(), wanted);
    });

    it('replaced, and ended by SIGTERM in the same moment: with status 0', async (t) => {
        for (let i = 0; i < 5; i++) {
            const world = await open(t);
            await replace(world, 0);
            await world.logged(/has been replaced/);
            assert.deepEqual(await world.responder.process.stop(), { code: 0, signal: null });
        }
    });

    it('deleted: said, streams stay, nothing can be published; put back, it goes on', async (t) => {
        const world = await open(t);
        const stream = await world.live('?topic=a');
        await accepted(world, 'one');
        renameSync(world.db.file, `${world.db.file}.aside`);
        await world.logged(/events\.db: has been deleted or moved away; streams continue/);
        const answer = await post(world.url(), event('lost?'));
        assert.equal(answer.status, 503, answer.text);
        assert.equal(answer.headers['retry-after'], '1');
        assert.match(answer.json().detail, /not in its place; nothing was written/);
        const tool1 = run(program('freshet'), ['publish', '--db', world.db.file, '--topic', 'a', 'x']);
        assert.match(tool1.stderr, /no such file; make it with: freshet init/);
        // A file that is only being made is not taken for a database.
        writeFileSync(world.db.file, '');
        await world.logged(/(has been replaced by a file that cannot be opened: .*empty.*trying again|the old -wal is still beside it)/);
        renameSync(`${world.db.file}.aside`, world.db.file);
        await world.logged(/is in its place again/);
        await accepted(world, 'two');
        await stream.take(2);
        assert.deepEqual(texts(stream), ['one', 'two']);
        assert.equal(stream.ended, undefined);
    });

    it('freshet-ingest does not write into a file that nobody can find', async (t) => {
        const world = await open(t);
        const input = join(world.dir, 'in.ndjson');
        writeFileSync(input, '{"topic":"a","data":"one"}\n');
        const args = ['--db', world.db.file, '--source', 's', '--follow', input];
        const { Process } = await import('../e2e/kit/process.mjs');
        const ingest = new Process(program('freshet-ingest'), args, { log: join(world.dir, 'ingest.log') });
        t.after(() => ingest.stop());
        await until('one event', () => world.count() === 1);
        await replace(world, 0);
        appendFileSync(input, '{"topic":"a","data":"two"}\n');
        const how = await ingest.exited;
        assert.equal(how.code, 1);
        assert.match(ingest.output(), /no longer the one that was opened; start again/);
        // As its supervisor would; the new database knows nothing of this source.
        const done = run(program('freshet-ingest'), ['--db', world.db.file, '--source', 's', input]);
        assert.equal(done.code, 0, done.stderr);
        assert.equal(world.count(), 2);
    });
});

describe('the WAL', { concurrency: 2 }, () => {
    it('checkpoints that truncate it, again and again, lose nothing', async (t) => {
        const world = await open(t);
        const source = world.source('?topic=flow&since=earliest', ['freshet:reset']);
        const shell = world.db.shell();
        await shell.execute('PRAGMA synchronous = OFF'); // nothing is pulled here
        const flow = shell.flow('flow', 300);
        for (let i = 0; i < 20; i++) {
            const goal = flow.written() + 15;
            await until('more rows', () => flow.written() >= goal);
            world.db.sql('PRAGMA wal_checkpoint(TRUNCATE)');
        }
        const written = await flow.end();
        await until('all events', () => source.events.length === written);
        assert.deepEqual(source.events.map((e) => e.data), Array.from({ length: written }, (_, i) => String(i + 1)));
        assert.equal(source.seen('freshet:reset').length, 0);
    });

    // What SQLite itself does not notice: readers and writers would each have a log of their own.
    it('deleted: reported, and the database is opened again, so that all see the same', async (t) => {
        const world = await open(t, { prepare: (db) => db.fill('a', 3) });
        const source = world.source('?topic=a&since=earliest', ['freshet:reset']);
        await until('what is there', () => source.events.length === 3);
        world.db.sql('PRAGMA wal_checkpoint(TRUNCATE)');
        await accepted(world, 'only in the WAL');
        await until('it', () => source.events.length === 4);
        for (const suffix of ['-wal', '-shm'])
            unlinkSync(world.db.file + suffix);
        await world.logged(/events\.db-wal: has been deleted or replaced.*may be lost.*freshet check/);
        await until('a reset', () => source.seen('freshet:reset').length > 0);
        assert.equal(JSON.parse(source.seen('freshet:reset')[0].data).reason, 'future');
        world.db.publish(event('from outside'));
        await until('what others write', () => source.events.at(-1).data === 'from outside');
        await until('a place for it', async () => (await post(world.url(), event('from inside'))).status === 201);
        await until('what it writes', () => source.events.at(-1).data === 'from inside');
        assert.equal(world.db.sql('PRAGMA integrity_check').trim(), 'ok');
        assert.equal(world.db.sql("SELECT group_concat(data) FROM events").trim(), '1,2,3,from outside,from inside');
    });
});

describe('the clock', () => {
    it('set back one hour: ids, streams and timers go on; created is what the clock says', async (t) => {
        const world = await open(t, { options: ['--heartbeat', '1s'] });
        const stream = await world.live('?topic=a');
        const first = await accepted(world, 'before');
        const now = Date.now();
        world.break('clock - -3600');
        const second = await accepted(world, 'after');
        assert.ok(parseInt(second, 10) > parseInt(first, 10));
        await stream.take(2);
        const beats = stream.comments.length;
        await stream.until('two heartbeats', () => stream.comments.length >= beats + 2, 5000);
        const [, created] = world.db.sql('SELECT created FROM events ORDER BY id').trim().split('\n').map(Number);
        assert.ok(Math.abs(created - (now - 3_600_000)) < 60_000, `created ${created}`);
        const resumed = await world.stream('', { headers: { 'Last-Event-ID': first } });
        assert.equal((await resumed.take(1))[0].data, 'after');
    });
});

describe('freshet-ingest', { concurrency: 4 }, () => {
    const lines = (from, to) => Array.from({ length: to - from + 1 },
        (_, i) => `{"topic":"a","data":"${from + i}"}\n`).join('');
    const stories = {
        'a full disk ends it': ['write events.db-wal ENOSPC 6', 1, /database or disk is full/],
        'a disk that cannot write ends it': ['write events.db-wal EIO 6', 1, /disk I\/O error/],
        'a disk that cannot sync ends it': ['sync events.db-wal EIO 3', 1, /disk I\/O error/],
        'interruptions do not': ['read in.ndjson EINTR 0 20', 0, /^/],
    };
    for (const [name, [rule, code, why]] of Object.entries(stories)) {
        it(`${name}; started again, nothing is missing and nothing is doubled`, () => {
            const dir = mkdtempSync(join(tmpdir(), 'freshet-test-'));
            try {
                const db = new Database(dir);
                const input = join(dir, 'in.ndjson');
                const args = ['--db', db.file, '--source', 's', '--batch-events', '100', input];
                writeFileSync(input, lines(1, 5000));
                writeFileSync(faultsOf(dir), `${rule}\n`);
                const done = run(program('freshet-ingest'), args, { env: shim(dir) });
                assert.equal(done.code, code, done.stderr);
                assert.match(done.stderr, why);
                const again = run(program('freshet-ingest'), args);
                assert.equal(again.code, 0, again.stderr);
                assert.deepEqual(db.sql('SELECT data FROM events ORDER BY id').trim().split('\n').map(Number),
                    Array.from({ length: 5000 }, (_, i) => i + 1));
            } finally {
                rmSync(dir, { recursive: true });
            }
        });
    }

    // Where it stands in the input is found by reading some of it again: a read that fails there must not
    // be taken for another file, which would be read from its beginning, a second time.
    for (const [call, error, why] of [['read', 'EIO', 'Input\/output error'],
        ['open', 'EMFILE', 'Too many open files'], ['open', 'EACCES', 'Permission denied']]) {
        it(`every ${call} of its input fails in turn with ${error}: each event is there once`, () => {
            const dir = mkdtempSync(join(tmpdir(), 'freshet-test-'));
            try {
                const db = new Database(dir);
                const input = join(dir, 'in.ndjson');
                const args = ['--db', db.file, '--source', 's', '--batch-events', '1000', input];
                let failed = 1;
                let written = 0;
                for (let skip = 0; failed; skip++) {
                    appendFileSync(input, lines(written + 1, written + 3000));
                    written += 3000;
                    writeFileSync(faultsOf(dir), `${call} in.ndjson ${error} ${skip} 1\n`);
                    const done = run(program('freshet-ingest'), args, { env: shim(dir) });
                    failed = done.code;
                    if (failed)
                        assert.match(done.stderr, new RegExp(`in\\.ndjson: .*${why}`));
                    assert.doesNotMatch(done.stderr, /starting at the beginning/);
                    const again = run(program('freshet-ingest'), args);
                    assert.equal(again.code, 0, again.stderr);
                    assert.equal(db.sql('SELECT count(*), count(DISTINCT data), max(CAST(data AS INTEGER)) FROM events'),
                        `${written}|${written}|${written}\n`, `call ${skip + 1}`);
                }
                assert.ok(written > 3000, 'something has failed');
            } finally {
                rmSync(dir, { recursive: true });
            }
        });
    }
});
