// ./demo as a stranger runs it: it comes up by itself, shows live input, and leaves nothing, however it ends.
import assert from 'node:assert/strict';
import {
    existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, symlinkSync, writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { describe, it } from 'node:test';
import { root, tool } from './kit/env.mjs';
import { Process, run, start } from './kit/process.mjs';
import { Stream } from './kit/stream.mjs';
import { before, until } from './kit/wait.mjs';

/** Command lines with this text in them. */
function processesNaming(text) {
    return readdirSync('/proc').filter((name) => /^\d+$/.test(name)).map((pid) => {
        try {
            return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
        } catch {
            return ''; // it is gone already
        }
    }).filter((command) => command.includes(text));
}

/** A demo that runs, in a directory of its own for its files. */
async function open(t, args, { command = join(root, 'demo'), ...options } = {}) {
    const dir = mkdtempSync(join(tmpdir(), 'freshet-test-'));
    const log = join(dir, 'demo.log');
    const demo = new Process(command, args, { log, env: { TMPDIR: dir }, orphans: true, ...options });
    t.after(async () => {
        await demo.stop();
        rmSync(dir, { recursive: true, force: true });
    });
    // The first time it builds, which takes a while.
    await until('the demo to be up', () => demo.how || demo.output().includes('Ctrl-C ends it'), { within: 180_000 });
    if (demo.how)
        throw new Error(demo.output());
    const url = /http:\/\/127\.0\.0\.1:\d+\//.exec(demo.output())[0];
    return { dir, demo, url, database: /sqlite3 (\S+)/.exec(demo.output())[1] };
}

/** Everything is over: the processes, the files, and the port. */
async function nothingIsLeft({ dir, url, database }) {
    await until('its processes to end', () => processesNaming(`${dir}/freshet-demo`).length === 0);
    await until('its files to be removed', () => !existsSync(dirname(database)));
    await assert.rejects(fetch(url), 'nothing listens any more');
}

describe('./demo', () => {
    it('replays a file beside live input, and Ctrl-C ends all of it', async (t) => {
        const inputs = mkdtempSync(join(tmpdir(), 'freshet-test-'));
        t.after(() => rmSync(inputs, { recursive: true }));
        const input = join(inputs, 'input.ndjson');
        writeFileSync(input, Array.from({ length: 30 }, (_, i) => `${JSON.stringify({
            wiki: 'examplewiki', type: 'edit', meta: { id: `id-${i}` }, title: `Page ${i}`,
        })}\n`).join(''));
        const running = await open(t, [input, '--rate', '30']);
        const stream = await Stream.open(`${running.url}events?since=earliest`);
        const topics = () => new Set(stream.events.map((event) => JSON.parse(event.data).topic ??
            JSON.parse(event.data).wiki));
        await stream.until('all inputs', () => ['host/cpu', 'host/memory', 'host/disk', 'host/network',
            'access', 'examplewiki'].every((topic) => topics().has(topic)));
        stream.close();
        const page = await (await fetch(running.url)).text();
        assert.match(page, /freshet/i);
        assert.ok(existsSync(running.database));
        // As a terminal does: to the whole group.
        process.kill(-running.demo.pid, 'SIGINT');
        await before('the end of the demo', running.demo.exited);
        assert.ok(!existsSync(running.database), 'its files are removed when it has ended');
        assert.deepEqual(processesNaming(running.dir), [], 'no process is left when it has ended');
        await nothingIsLeft(running);
    });

    for (const [name, signal] of [['a hang-up', 'SIGHUP'], ['SIGTERM', 'SIGTERM'], ['even kill -9', 'SIGKILL']]) {
        it(`${name} ends all of it`, async (t) => {
            const running = await open(t, []);
            running.demo.signal(signal);
            await before('the end of the demo', running.demo.exited);
            await nothingIsLeft(running);
        });
    }

    it('closing its terminal ends all of it', async (t) => {
        // script(1) is the terminal.
        const running = await open(t, ['-qfec', join(root, 'demo'), '/dev/null'], { command: tool('script') });
        running.demo.signal('SIGKILL');
        await before('the end of the terminal', running.demo.exited);
        await nothingIsLeft(running);
    });

    it('does not say that it runs when no event comes through it, but what is wrong', async (t) => {
        const dir = mkdtempSync(join(tmpdir(), 'freshet-test-'));
        t.after(() => rmSync(dir, { recursive: true, force: true }));
        // A socket's path cannot be that long.
        const deep = join(dir, 'd'.repeat(100));
        mkdirSync(deep);
        const demo = await start(join(root, 'demo'), [], { env: { TMPDIR: deep }, within: 180_000 });
        assert.equal(demo.code, 1);
        assert.doesNotMatch(demo.stdout.toString(), /is running/);
        assert.match(demo.stderr, /no event comes through/);
        assert.match(demo.stderr, /the path must have 1 to 107 bytes/);
        assert.deepEqual(readdirSync(deep), [], 'nothing is left');
    });

    it('says what to do where packages are missing and there is no sudo', async (t) => {
        const dir = mkdtempSync(join(tmpdir(), 'freshet-test-'));
        t.after(() => rmSync(dir, { recursive: true, force: true }));
        const bin = join(dir, 'bin');
        mkdirSync(bin);
        for (const name of ['sh', 'dirname'])
            symlinkSync(tool(name), join(bin, name));
        writeFileSync(join(bin, 'dpkg-query'), '#!/bin/sh\nexit 1\n', { mode: 0o755 });
        writeFileSync(join(bin, 'id'), '#!/bin/sh\necho 1000\n', { mode: 0o755 });
        const demo = run('/bin/sh', ['-c', 'PATH=$1 exec sh "$2"', 'sh', bin, join(root, 'demo')]);
        assert.equal(demo.code, 1);
        assert.match(demo.stderr, /packages are missing, and there is no sudo.*As root: \S+\/tests\/lib\/install\.sh .*\bsqlite3\b/);
        assert.doesNotMatch(demo.stderr, /lighttpd/, 'which it does not need');
    });
});
