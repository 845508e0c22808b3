// What the responder has given up while it serves, as the kernel tells it: system calls, privileges,
// and the right to write to a database that it only reads. That everything still works in the sandbox
// is shown by all the other tests, since it is the default.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, readlinkSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, it } from 'node:test';
import { program } from './kit/env.mjs';
import { get } from './kit/get.mjs';
import { childrenOf, run } from './kit/process.mjs';
import { post } from './kit/post.mjs';
import { makeToken } from './kit/token.mjs';
import { until } from './kit/wait.mjs';
import { World } from './kit/world.mjs';

/* A build with sanitizers says that it has none. */
const available = /^sandbox: available$/m.test(run(program('freshet-fcgi'), ['--version']).stdout);

/** The lines of /proc/PID/task/TID/status, a Map for each thread. */
function threads(pid) {
    return readdirSync(`/proc/${pid}/task`).map((tid) => new Map(
        readFileSync(`/proc/${pid}/task/${tid}/status`, 'utf8').split('\n').map((line) => line.split(':\t'))));
}

/** How many filters hold for each thread beyond those that this process has: the responder's first one forbids
 * io_uring while it starts, the second is the sandbox. Linux counts them since 5.9. */
function filters(pid) {
    const count = (status) => Number(status.get('Seccomp_filters'));
    const mine = count(threads(process.pid)[0]);
    return threads(pid).map((status) => count(status) - mine);
}

/** [name, access mode] of an open file with 0 = read, 1 = write, 2 = both; nothing when it was closed meanwhile. */
function openFile(pid, fd) {
    try {
        return [[readlinkSync(`/proc/${pid}/fd/${fd}`),
            parseInt(/flags:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/fdinfo/${fd}`, 'utf8'))[1], 8) & 3]];
    } catch (error) {
        if (error.code !== 'ENOENT')
            throw error;
        return [];
    }
}

/** The open files whose names begin so. */
function openFiles(pid, prefix) {
    return readdirSync(`/proc/${pid}/fd`).flatMap((fd) => openFile(pid, fd))
        .filter(([name]) => name.startsWith(prefix));
}

function assertSandboxed(pid, least) {
    const all = threads(pid);
    assert.ok(all.length >= least, `${all.length} threads`);
    for (const status of all)
        assert.equal(status.get('NoNewPrivs'), '1', status.get('Name'));
    assert.deepEqual(filters(pid), all.map(() => available ? 2 : 0));
}

describe('the sandbox', () => {
    let world;
    afterEach(async () => {
        await world?.close();
        world = undefined;
    });

    it('holds for every thread, and streams go on in it', async () => {
        world = await World.open({ options: ['--publish'], parameters: { FRESHET_PUBLISH: 'on' } });
        const stream = await world.live('?topic=a');
        assertSandboxed(world.responder.pid, 3); // loop, reader, writer
        assert.match(world.responder.output(), available ? /info: the sandbox is on/ : /there is no sandbox: /);
        assert.equal((await post(world.url(), { topic: 'a', data: 'x' })).status, 201);
        await stream.take(1);
    });

    it('holds for every worker, also for one that was started again', async () => {
        world = await World.open({ options: ['--workers', '2'] });
        const parent = world.responder.pid;
        const workers = () => childrenOf(parent).filter((pid) => threads(pid).length >= 2 &&
            (!available || filters(pid).every((count) => count === 2)));
        const two = (but) => until('two workers in the sandbox', () => {
            const now = workers();
            return now.length === 2 && !now.includes(but) && now;
        });
        const [first] = await two();
        process.kill(first, 'SIGKILL');
        for (const pid of await two(first))
            assertSandboxed(pid, 2);
        assert.equal(threads(parent)[0].get('NoNewPrivs'), '1');
    });

    it('can be turned off, by an option or in the file of settings', async () => {
        world = await World.open({ options: ['--sandbox', 'off'] });
        await until('the log to say so', () =>
            /info: the sandbox is off, as --sandbox says/.test(world.responder.output()));
        for (const status of threads(world.responder.pid))
            assert.equal(status.get('NoNewPrivs'), '0');
        assert.ok(filters(world.responder.pid).every((count) => count === 0));
        const file = join(world.dir, 'settings.ini');
        writeFileSync(file, '[freshet-fcgi]\nsandbox = off\n');
        const off = run(program('freshet-fcgi'), ['--config', file, '--db', world.db.file],
            { env: { REQUEST_METHOD: 'HEAD' } });
        assert.equal(off.code, 0, off.stderr);
        assert.match(off.stderr, /the sandbox is off/);
    });

    it('lets settings and the token key be read again', async () => {
        const keys = ['a', 'b'].map((letter) => letter.repeat(32));
        const make = (key) => makeToken(key, { exp: 4e9, freshet: { read: ['*'] } });
        let file;
        world = await World.open({ prepare: (db) => {
            file = `${db.file}.key`;
            writeFileSync(file, keys[0]);
        }, options: [] }).then(async (plain) => {
            await plain.responder.close();
            plain.responder.command.push('--token-key', file);
            await plain.responder.start();
            return plain;
        });
        const status = async (key) =>
            (await get(world.url(), { headers: { Authorization: `Bearer ${make(key)}` } })).status;
        assert.equal(await status(keys[0]), 200);
        writeFileSync(`${file}.new`, keys[1]);
        renameSync(`${file}.new`, file);
        world.responder.signal('SIGHUP');
        await until('the new key', async () => await status(keys[1]) === 200);
        assert.equal(await status(keys[0]), 401);
    });

    it('goes on when the database is checkpointed, vacuumed and left by all writers', async () => {
        world = await World.open();
        const stream = await world.live('?topic=a');
        for (let i = 1; i <= 3; i++) {
            world.db.publish({ topic: 'a', data: `${i}` });
            world.db.sql('PRAGMA wal_checkpoint(TRUNCATE); VACUUM');
        }
        await stream.take(3);
        const page = await get(world.url('?since=earliest'));
        assert.equal(page.json.events.length, 3);
    });
});

describe('a responder that does not publish', () => {
    for (const [options, modes] of [[[], [0]], [['--publish'], [0, 2]]]) {
        it(`has the database open ${modes.includes(2) ? 'for writing once, with --publish' : 'for reading only'}`,
            async () => {
                const world = await World.open({ options });
                try {
                    await world.seen(world.db.publish({ topic: 'a', data: 'x' }));
                    const files = openFiles(world.responder.pid, world.db.file);
                    const found = files.filter(([name]) => name === world.db.file).map(([, mode]) => mode);
                    assert.deepEqual([...new Set(found)].sort(), modes, JSON.stringify(files));
                } finally {
                    await world.close();
                }
            });
    }
});
