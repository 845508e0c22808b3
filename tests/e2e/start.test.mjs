// Every way to start the responder, and how it behaves as a process: idle, signalled, left by its
// clients.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import {
    existsSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, renameSync, rmSync, statSync, writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { program } from './kit/env.mjs';
import { Front, head } from './kit/fastcgi.mjs';
import { instrumented, residentKB } from './kit/memory.mjs';
import { accepts, freePort } from './kit/net.mjs';
import { childrenOf, Process, run } from './kit/process.mjs';
import { quiet, until } from './kit/wait.mjs';
import { World } from './kit/world.mjs';

/** Runs a story in a world of its own. */
function story(name, place, body) {
    it(name, () => World.during(place, body));
}

/** What the descriptors of a process are open on. */
function descriptors(pid) {
    return readdirSync(`/proc/${pid}/fd`).map((fd) => {
        try {
            return readlinkSync(`/proc/${pid}/fd/${fd}`);
        } catch {
            return ''; // closed meanwhile
        }
    });
}

function sockets(pid) {
    return descriptors(pid).filter((on) => on.startsWith('socket:')).length;
}

function opened(pid, file) {
    return descriptors(pid).includes(file);
}

/** What a process has read so far, in bytes; not from sockets if it uses recv(), as nginx does. */
function readBytes(pid) {
    return Number(/rchar: (\d+)/.exec(readFileSync(`/proc/${pid}/io`, 'utf8'))[1]);
}

describe('every way to start the responder', { concurrency: 3 }, () => {
    const ways = [
        ['nginx', 'unix'], ['nginx', 'tcp'], ['nginx', 'spawn-fcgi'], ['nginx', 'activation'],
        ['lighttpd', 'unix'], ['lighttpd', 'tcp'], ['lighttpd', 'spawn-fcgi'], ['lighttpd', 'activation'],
        ['lighttpd', 'bin-path'], ['lighttpd', 'cgi'],
    ];
    for (const [server, way] of ways) {
        story(`${way} behind ${server}: history, then an INSERT by the sqlite3 shell`, { server, way },
            async (world) => {
                world.db.fill('start', 3);
                const stream = await world.stream('?topic=start&since=earliest');
                await stream.take(3);
                assert.deepEqual(stream.events.map((event) => event.data), ['1', '2', '3']);
                world.db.publish({ topic: 'start', data: 'live' });
                await stream.take(4);
                assert.equal(stream.events[3].data, 'live');
                const other = await world.stream('?topic=start&last=1');
                assert.deepEqual((await other.take(1)).map((event) => event.data), ['live']);
            });
    }
});

describe('the responder as a process', { concurrency: 3 }, () => {
    for (const server of ['nginx', 'lighttpd']) {
        story(`a client that leaves is forgotten within a second (${server})`, { server }, async (world) => {
            const one = await world.live('?topic=a');
            const before = sockets(world.responder.pid);
            const others = [];
            for (let i = 0; i < 10; i++)
                others.push(await world.live('?topic=a'));
            assert.equal(sockets(world.responder.pid), before + 10);
            for (const other of others)
                other.close();
            await until('the connections to be gone', () => sockets(world.responder.pid) <= before,
                { within: 1000 });
            world.db.publish({ topic: 'a', data: 'still here' });
            await one.take(1);
        });
    }

    story('plain CGI: the process ends with its client', { server: 'lighttpd', way: 'cgi' }, async (world) => {
        const stream = await world.live('?topic=a');
        assert.equal(world.server.responders().length, 1);
        stream.close();
        await until('the process to end', () => world.server.responders().length === 0, { within: 3000 });
    });

    story('silence is broken by a heartbeat', { options: ['--heartbeat', '300ms'] }, async (world) => {
        const stream = await world.live('?topic=a');
        const first = stream.comments.length;
        await stream.until('three heartbeats', () => stream.comments.length >= first + 3, 5000);
        const took = stream.comments[first + 2].at - stream.opened;
        assert.ok(took > 450, `three heartbeats within ${took} ms`);
        assert.equal(stream.events.length, 0);
    });

    story('SIGTERM ends every stream cleanly, after what was committed, and the process with status 0', {},
        async (world) => {
            const streams = [];
            for (let i = 0; i < 10; i++)
                streams.push(await world.live('?topic=a'));
            world.db.fill('a', 50);
            world.responder.signal('SIGTERM');
            for (const stream of streams) {
                await stream.end();
                assert.equal(stream.error, undefined, 'a clean end, not a cut');
                assert.equal(stream.rest, '', 'no half a block');
                const ids = stream.events.map((event) => parseInt(event.id, 10));
                assert.deepEqual(ids, ids.map((_, i) => ids[0] + i), 'no gap before the end');
            }
            const how = await world.responder.process.exited;
            assert.deepEqual(how, { code: 0, signal: null });
        });

    story('SIGTERM removes the socket it made; the next start needs no cleaning', {}, async (world) => {
        await world.responder.process.stop('SIGTERM');
        await world.responder.start();
        await world.live('?topic=a');
    });

    for (const workers of ['1', '2']) {
        story(`one that still drains leaves its successor's socket alone (${workers} at work)`,
            { options: ['--workers', workers, '--drain', '60s', '--request-timeout', '60s'] }, async (world) => {
                const old = world.responder.process;
                const open = () => [old.pid, ...childrenOf(old.pid)].reduce((n, pid) => n + sockets(pid), 0);
                const before = open();
                // A request that is on its way for a long time: the old one does not end before it.
                const front = await Front.connect(world.responder.where);
                front.send(head({ REQUEST_METHOD: 'GET' }).subarray(0, 20));
                await until('the request to be begun', () => open() > before);
                old.signal('SIGTERM');
                await until('the old one to listen no more', async () => !await accepts(world.responder.where));
                await world.responder.start();
                assert.equal(old.how, undefined, 'the old one is still there');
                old.signal('SIGTERM'); // the second time all ends at once
                assert.deepEqual(await old.exited, { code: 0, signal: null });
                front.close();
                const stream = await world.live('?topic=a');
                world.db.publish({ topic: 'a', data: 'of the new one' });
                assert.equal((await stream.take(1))[0].data, 'of the new one');
            });
    }

    story('SIGHUP keeps streams and process', {}, async (world) => {
        const stream = await world.live('?topic=a');
        const pid = world.responder.pid;
        world.responder.signal('SIGHUP');
        world.db.publish({ topic: 'a', data: '1' });
        await stream.take(1);
        world.responder.signal('SIGHUP');
        world.db.publish({ topic: 'a', data: '2' });
        await stream.take(2);
        assert.equal(world.responder.pid, pid);
        assert.equal(world.responder.process.how, undefined);
    });

    // What takes signals is made last of all; until then they have to wait.
    const starting = async (world) => {
        await world.responder.process.stop();
        const shell = world.db.shell();
        await shell.execute('PRAGMA locking_mode = EXCLUSIVE; SELECT 1 FROM feed');
        const started = world.responder.start();
        await until('the responder to wait for the database', () => opened(world.responder.pid, world.db.file));
        return { started, unlock: () => shell.close() };
    };

    story('SIGHUP while it starts is no end', {}, async (world) => {
        const { started, unlock } = await starting(world);
        world.responder.signal('SIGHUP');
        await unlock();
        await started;
        await world.live('?topic=a');
    });

    story('SIGTERM while it starts ends it cleanly', {}, async (world) => {
        const { started, unlock } = await starting(world);
        world.responder.signal('SIGTERM');
        await unlock();
        await started.catch(() => {}); // perhaps it ended before anybody saw it listen
        assert.deepEqual(await world.responder.process.exited, { code: 0, signal: null });
        assert.ok(!existsSync(world.responder.socket), 'no socket is left');
    });

    it('SIGHUP reads the configuration file again', async () => {
        const dir = mkdtempSync(join(tmpdir(), 'freshet-test-'));
        const config = join(dir, 'freshet.ini');
        writeFileSync(config, '[freshet-fcgi]\nheartbeat = 1h\nretry-min = 7s\nretry-max = 7s\n');
        const world = await World.open({ options: ['--config', config] });
        try {
            const retry = async () => {
                const stream = await world.live('?topic=a');
                return stream.blocks.find((block) => block.retry).retry;
            };
            assert.equal(await retry(), '7000');
            writeFileSync(config, '[freshet-fcgi]\nheartbeat = 200ms\nretry-min = 9s\nretry-max = 9s\n');
            world.responder.signal('SIGHUP');
            await until('the new retry', async () => await retry() === '9000');
            const stream = await world.live('?topic=a');
            await stream.until('a heartbeat', () => stream.comments.length >= 2, 5000);
            // What cannot be read changes nothing, and is told.
            writeFileSync(config, '[freshet-fcgi]\nheartbeat = often\n');
            world.responder.signal('SIGHUP');
            await until('a complaint in the log', () => /often/.test(world.responder.output()));
            assert.equal(await retry(), '9000');
        } finally {
            await world.close();
            rmSync(dir, { recursive: true, force: true });
        }
    });

    for (const server of ['nginx', 'lighttpd']) {
        story(`a client that does not read holds nobody up, costs little and loses nothing (${server})`,
            { server, options: ['--window-bytes', '4M', '--page-cache', '4M'] }, async (world) => {
                const rows = 240;
                const lazy = await world.live('?topic=bulk');
                const eager = await world.live('?topic=bulk');
                lazy.response.pause();
                const processes = [world.responder.pid, ...world.server.pids()];
                const before = processes.map(residentKB);
                const readBefore = world.server.pids().map(readBytes);
                // 60 MB are much more than all socket buffers between here and there take.
                const shell = world.db.shell();
                for (let i = 0; i < rows; i += 60)
                    await shell.execute(`BEGIN; WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n ` +
                        `WHERE i < 60) INSERT INTO events(topic, data) SELECT 'bulk', hex(zeroblob(131072)) || i ` +
                        'FROM n; COMMIT');
                await shell.close();
                await eager.take(rows, 30_000);
                assert.ok(lazy.events.length < rows / 2, 'it did hold back');
                const grown = processes.map((pid, i) => residentKB(pid) - before[i]);
                const read = world.server.pids().map((pid, i) => readBytes(pid) - readBefore[i]);
                lazy.response.resume();
                await lazy.take(rows, 30_000);
                assert.deepEqual(lazy.events.map((event) => event.id), eager.events.map((event) => event.id));
                console.log(`# 60 MB to a client that did not read: the responder grew by ${grown[0]} KB, ` +
                    `${server} by ${grown.slice(1).join(' + ')} KB`);
                // The responder keeps its window, pages and what the allocator has not given back; the
                // web server keeps buffers.
                assert.ok(grown[0] < 48 * 1024 * instrumented, `the responder grew by ${grown[0]} KB`);
                // The eager client's 60 MB and what buffers hold, not the lazy one's 60 MB: into memory or
                // into files, taking them would have no bound.
                for (const bytes of read)
                    assert.ok(bytes < 1.8 * rows * 262144, `${server} took ${bytes} bytes`);
                for (const kb of grown.slice(1))
                    assert.ok(kb < 16 * 1024, `${server} grew by ${kb} KB`);
            });
    }

    story('what it is given is checked before it starts', {}, async (world) => {
        const fcgi = program('freshet-fcgi');
        assert.equal(run(fcgi, ['--no-such-option']).code, 64);
        assert.equal(run(fcgi, ['--help']).code, 0);
        assert.equal(run(fcgi, ['--version']).code, 0);
        const listen = ['--listen', `unix:${join(world.dir, 'other.sock')}`];
        const missing = run(fcgi, ['--db', join(world.dir, 'nothing.db'), ...listen]);
        assert.equal(missing.code, 1);
        assert.match(missing.stderr, /nothing\.db/);
        assert.throws(() => statSync(join(world.dir, 'nothing.db')), 'it makes no database');
        const foreign = run(fcgi, ['--db', program('freshet-fcgi'), ...listen]);
        assert.equal(foreign.code, 1);
    });

    story('where it cannot listen is told, with the address as it was given', {}, async (world) => {
        const fcgi = program('freshet-fcgi');
        const taken = await freePort();
        const holder = createServer().listen(taken, '127.0.0.1');
        await once(holder, 'listening');
        const file = join(world.dir, 'a-file');
        writeFileSync(file, 'precious');
        const refused = [
            [`unix:${file}`, 1, /a-file: there is a file that is not a socket/],
            [`unix:${join(world.dir, 'none', 's')}`, 1, /none\/s: No such file or directory/],
            ['unix:', 64, /the path must have 1 to 107 bytes/],
            [`unix:/${'x'.repeat(107)}`, 64, /the path must have 1 to 107 bytes/],
            ['tcp:9000', 64, /tcp:9000: expected tcp:HOST:PORT/],
            ['tcp:127.0.0.1:', 64, /expected tcp:HOST:PORT/],
            ['tcp:[::1]:no-such-service', 64, /--listen tcp:\[::1\]:no-such-service: /],
            ['9000', 64, /"9000": expected unix:PATH or tcp:HOST:PORT/],
        ];
        try {
            for (const [address, code, text] of refused) {
                const how = run(fcgi, ['--db', world.db.file, '--listen', address], { within: 5000 });
                assert.deepEqual([address, how.code], [address, code], how.stderr);
                assert.match(how.stderr, text);
            }
            const busy = run(fcgi, ['--db', world.db.file, '--listen', `tcp:127.0.0.1:${taken}`]);
            assert.notEqual(busy.code, 0);
            assert.match(busy.stderr, new RegExp(`tcp:127\\.0\\.0\\.1:${taken}: Address already in use`));
        } finally {
            holder.close();
        }
        assert.equal(readFileSync(file, 'utf8'), 'precious');
    });

    story('a start that is not meant so is told what is wrong with it', {}, async (world) => {
        const fcgi = program('freshet-fcgi');
        const socket = join(world.dir, 'other.sock');
        // By hand, in a shell: neither a socket nor a CGI request.
        const bare = run(fcgi, ['--db', world.db.file]);
        assert.equal(bare.code, 64);
        assert.match(bare.stderr, /no socket to listen on: give --listen ADDRESS/);
        const mode = run(fcgi, ['--db', world.db.file, '--listen', `unix:${socket}`, '--socket-mode', '9']);
        assert.equal(mode.code, 64);
        assert.match(mode.stderr, /--socket-mode: "9" is not an octal mode/);
        // What a unit of systemd may pass by mistake: something that does not listen, or too much.
        const passed = (count) => run('sh', ['-c', 'LISTEN_PID=$$ LISTEN_FDS=$1 exec "$2" --db "$3" 3</dev/null',
            'sh', count, fcgi, world.db.file]);
        const wrong = passed('1');
        assert.equal(wrong.code, 64);
        assert.match(wrong.stderr, /descriptor 3, which was passed, is not a listening stream socket/);
        const many = passed('99');
        assert.equal(many.code, 64);
        assert.match(many.stderr, /99 sockets were passed; at most \d+ can be served/);
        // It had begun to listen: the socket is gone again.
        const key = run(fcgi, ['--db', world.db.file, '--listen', `unix:${socket}`,
            '--token-key', join(world.dir, 'no-key')]);
        assert.equal(key.code, 1);
        assert.match(key.stderr, /no-key: No such file or directory/);
        assert.throws(() => statSync(socket), { code: 'ENOENT' });
    });

    story('a worker that cannot start is told of, and tried again until it can',
        { options: ['--workers', '2', '--retry-min', '200ms', '--retry-max', '400ms'] }, async (world) => {
            const { pid } = world.responder;
            const [victim, other] = childrenOf(pid);
            const db = world.db.file;
            renameSync(db, `${db}.away`);
            process.kill(victim, 'SIGKILL');
            await until('a worker that has no database',
                () => /worker \d+ ended with status 1; restarting it/.test(world.responder.output()));
            assert.ok(childrenOf(pid).includes(other), 'the other one goes on');
            renameSync(`${db}.away`, db);
            await until('two workers that stay', async () => {
                const first = childrenOf(pid);
                await quiet(1500); // longer than the pause between two attempts
                return first.length === 2 && String(childrenOf(pid)) === String(first);
            });
            const stream = await world.live('?topic=a');
            world.db.publish({ topic: 'a', data: 'back' });
            assert.equal((await stream.take(1))[0].data, 'back');
        });

    story('a second responder does not take over the socket of one that lives', {}, async (world) => {
        const second = new Process(program('freshet-fcgi'),
            ['--db', world.db.file, '--listen', `unix:${world.responder.where}`],
            { log: join(world.dir, 'second.log') });
        try {
            await until('the second to give up', () => second.how, { within: 5000 });
            assert.notEqual(second.how.code, 0);
        } finally {
            await second.stop();
        }
        await world.live('?topic=a');
    });
});

// One after the other: these measure.
describe('what it costs', () => {
    story('idle with open streams it uses no measurable processor time', {}, async (world) => {
        for (let i = 0; i < 20; i++)
            await world.live(`?topic=t${i}`);
        world.db.publish({ topic: 't1', data: 'x' });
        const before = world.responder.cpuTicks();
        await quiet(2000);
        const ticks = world.responder.cpuTicks() - before;
        console.log(`# idle: ${ticks * 10} ms of processor time in 2 s with 20 streams`);
        assert.ok(ticks < 3, `${ticks} ticks in 2 s`);
    });

    story('the time from INSERT to the client is a few milliseconds', {}, async (world) => {
        const stream = await world.live('?topic=latency');
        const shell = world.db.shell();
        const took = [];
        for (let i = 0; i < 200; i++) {
            const started = performance.now();
            await shell.publish('latency', String(i));
            await stream.take(i + 1);
            took.push(stream.events[i].at - started);
        }
        await shell.close();
        took.sort((a, b) => a - b);
        const at = (share) => took[Math.floor(took.length * share)].toFixed(2);
        console.log(`# sqlite3 shell to client through nginx: median ${at(0.5)} ms, p90 ${at(0.9)} ms, ` +
            `p99 ${at(0.99)} ms`);
        // Generous: the machine runs other tests. A poll instead of a wake-up would be 125 ms in the mean.
        assert.ok(took[100] < 50, `median ${took[100]} ms`);
        assert.ok(took.filter((ms) => ms > 200).length < 10, 'wake-ups were missed');
    });
});
