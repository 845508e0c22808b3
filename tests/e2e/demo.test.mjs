// ./demo as a stranger runs it: it comes up by itself, shows live input, and Ctrl-C leaves nothing.
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { root } from './kit/env.mjs';
import { Process } from './kit/process.mjs';
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

describe('./demo', () => {
    it('replays a file beside live input, and Ctrl-C ends all of it', async () => {
        const dir = mkdtempSync(join(tmpdir(), 'freshet-test-'));
        const log = join(dir, 'demo.log');
        const input = join(dir, 'input.ndjson');
        writeFileSync(input, Array.from({ length: 30 }, (_, i) => `${JSON.stringify({
            wiki: 'examplewiki', type: 'edit', meta: { id: `id-${i}` }, title: `Page ${i}`,
        })}\n`).join(''));
        const demo = new Process(join(root, 'demo'), [input, '--rate', '30'], { log, env: { TMPDIR: dir } });
        try {
            // The first time it builds, which takes a while.
            await until('the demo to be up', () => {
                if (demo.how)
                    throw new Error(demo.output());
                return demo.output().includes('Ctrl-C ends it');
            }, { within: 180_000 });
            const url = /http:\/\/127\.0\.0\.1:\d+\//.exec(demo.output())[0];
            const stream = await Stream.open(`${url}events?since=earliest`);
            const topics = () => new Set(stream.events.map((event) => JSON.parse(event.data).topic ??
                JSON.parse(event.data).wiki));
            await stream.until('all inputs', () => ['host/cpu', 'host/memory', 'host/disk', 'host/network',
                'access', 'examplewiki'].every((topic) => topics().has(topic)));
            stream.close();
            const page = await (await fetch(url)).text();
            assert.match(page, /freshet/i);

            const database = /sqlite3 (\S+)/.exec(demo.output())[1];
            assert.ok(existsSync(database));
            // As a terminal does: to the whole group.
            process.kill(-demo.pid, 'SIGINT');
            await before('the end of the demo', demo.exited);
            assert.ok(!existsSync(database), 'its files are removed');
            assert.deepEqual(processesNaming(dir), [], 'no process is left');
            await assert.rejects(fetch(url), 'nothing listens any more');
        } finally {
            await demo.stop();
            rmSync(dir, { recursive: true, force: true });
        }
    });
});
