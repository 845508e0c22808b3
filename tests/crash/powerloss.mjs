// Records what a whole installation does to its files, for powercut.c: a database is made, two
// responder processes take POSTs through nginx and send a stream, freshet-ingest follows a file, an
// sqlite3 shell INSERTs, all at once; then everything is ended gently.
//
//   FRESHET_BUILD=… node tests/crash/powerloss.mjs DIR [--seconds N] [--sync full|normal]
//
// leaves in DIR: live/ (the directory whose files were recorded), log, truth.db. With --sync normal
// freshet-ingest is the only one that writes, because the syncs of the others would be good for it too.
import { appendFileSync, closeSync, mkdirSync, openSync, realpathSync, statSync, writeSync } from 'node:fs';
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { literal } from '../e2e/kit/database.mjs';
import { program, root, tool } from '../e2e/kit/env.mjs';
import { Nginx } from '../e2e/kit/nginx.mjs';
import { post } from '../e2e/kit/post.mjs';
import { keep, Process, run } from '../e2e/kit/process.mjs';
import { Responder } from '../e2e/kit/responder.mjs';
import { Stream } from '../e2e/kit/stream.mjs';
import { scaled, until } from '../e2e/kit/wait.mjs';

const MAGIC = 0x706c6f67;
const POSTERS = 8;
const FILLERS = ['', 'x'.repeat(100), 'y'.repeat(3000)]; // rows of one page and of several

class Record {
    constructor(dir) {
        mkdirSync(join(dir, 'live'), { recursive: true });
        this.dir = realpathSync(join(dir, 'live'));
        this.log = join(realpathSync(dir), 'log');
        this.fd = openSync(this.log, 'a');
        this.env = { LD_PRELOAD: program('tests/crash/powerloss.so'), POWERLOSS_DIR: this.dir, POWERLOSS_LOG: this.log };
    }

    append(kind, file, offset, payload) {
        const head = Buffer.alloc(32);
        head.writeUInt32LE(MAGIC, 0);
        head.writeUInt32LE(kind.charCodeAt(0), 4);
        head.writeBigUInt64LE(BigInt(file), 8);
        head.writeBigUInt64LE(BigInt(offset), 16);
        head.writeBigUInt64LE(BigInt(payload.length), 24);
        writeSync(this.fd, Buffer.concat([head, payload]));
    }

    mark(text) {
        this.append('M', 0, 0, Buffer.from(text));
    }

    close() {
        closeSync(this.fd);
    }
}

/** The file that is followed. Its writer, as most do, never syncs it. */
class Lines {
    constructor(record) {
        this.record = record;
        this.file = join(record.dir, 'app.ndjson');
        this.size = 0;
        this.written = 0;
        appendFileSync(this.file, '');
        this.inode = statSync(this.file).ino;
        record.append('C', this.inode, 0, Buffer.from('app.ndjson'));
        record.append('D', 0, 0, Buffer.alloc(0)); // it has been there for long
    }

    add() {
        const n = ++this.written;
        const line = Buffer.from(`${JSON.stringify({ topic: 'line', data: `${n} ${FILLERS[n % 3].slice(0, 500)}` })}\n`);
        // First the record: nobody can have read, or synced, what has not been written yet.
        this.record.append('W', this.inode, this.size, line);
        appendFileSync(this.file, line);
        this.size += line.length;
    }
}

async function insertAll(record, db, busy) {
    const shell = keep(spawn(tool('sqlite3'), ['-batch', '-bail', db],
        { stdio: ['pipe', 'pipe', 'inherit'], env: { ...process.env, ...record.env } }));
    const lines = createInterface({ input: shell.stdout })[Symbol.asyncIterator]();
    shell.stdin.write('.timeout 10000\n');
    for (let n = 1; busy(); n++) {
        shell.stdin.write(`INSERT INTO events(topic, data) VALUES('insert', ${literal(`${n} ${FILLERS[n % 3]}`)}) ` +
            'RETURNING id;\n.print done\n');
        const id = (await lines.next()).value;
        await lines.next();
        record.mark(id);
        await delay(10);
    }
    shell.stdin.end();
    await new Promise((resolve) => shell.once('exit', resolve));
}

async function postAll(url, who, busy) {
    for (let n = 1; busy(); n++) {
        const body = { topic: 'post', data: `${n} ${FILLERS[n % 3]}` };
        const answer = await post(url, n % 4 ? body : [body, body],
            n % 4 ? { headers: { 'Idempotency-Key': `${who}-${n}` } } : {});
        if (answer.status !== 201)
            throw new Error(`POST was answered with ${answer.status}: ${answer.text}`);
    }
}

/** Gives back { live, log, truth, lines }. */
export async function recordLife(dir, { seconds = 4, sync = 'full' } = {}) {
    const record = new Record(dir);
    const db = join(record.dir, 'events.db');
    const opened = [];
    try {
        const init = run(program('freshet'), ['init', '--db', db], { env: record.env });
        if (init.code !== 0)
            throw new Error(`freshet init: ${init.stderr}`);
        record.mark('init');
        const lines = new Lines(record);
        // The socket and the logs are elsewhere.
        const place = { dir, db, web: join(root, 'web'), parameters: { FRESHET_PUBLISH: 'on' },
            env: { ...record.env, POWERLOSS_OUT: '1' } };
        const responder = await Responder.open(place, 'unix', ['--workers', '2', '--publish']);
        opened.push(responder);
        const nginx = await Nginx.open({ ...place, socket: responder.socket }, 'minimal');
        opened.push(nginx);
        const ingest = new Process(program('freshet-ingest'), ['--db', db, '--source', 'app', '--follow', lines.file,
            '--quiet', '--sync', sync], { log: join(dir, 'ingest.log'), env: record.env });
        const url = `http://127.0.0.1:${nginx.port}/events`;
        const stream = await Stream.open(`${url}?since=earliest`);
        const began = performance.now();
        const size = statSync(db).size;
        // A checkpoint is what is most delicate: the life has one, however slow the machine is.
        const checkpointed = () => sync === 'normal' || statSync(db).size > size;
        let ends = began + seconds * 1000;
        const busy = () => {
            const now = performance.now();
            if (!checkpointed() && now < began + scaled(60_000))
                ends = Math.max(ends, now + 1000); // and some of what follows it
            return now < ends;
        };
        const follow = async () => {
            for (; busy(); await delay(5))
                lines.add();
        };
        const others = sync === 'normal' ? [] : [insertAll(record, db, busy),
            ...Array.from({ length: POSTERS }, (_, i) => postAll(url, i, busy))];
        await Promise.all([follow(), ...others]);
        const count = () => Number(run(tool('sqlite3'), ['-readonly', db, "SELECT count(*) FROM events WHERE topic = 'line'"]).stdout);
        await until('every line to be in the table', () => count() === lines.written, { every: 100 });
        stream.close();
        await ingest.stop();
        while (opened.length > 0)
            await opened.pop().close();
        const truth = join(dir, 'truth.db');
        const copied = run(tool('sqlite3'), [db, `.backup '${truth}'`]); // with what the WAL still has
        if (copied.code !== 0)
            throw new Error(`sqlite3: ${copied.stderr}`);
        return { live: record.dir, log: record.log, truth, lines: lines.file };
    } finally {
        for (const one of opened)
            await one.close();
        record.close();
    }
}

/** powercut with these further arguments: { code, text }. */
export function cutPower(dir, made, args) {
    const scratch = join(dir, 'scratch');
    mkdirSync(scratch, { recursive: true });
    const done = run(program('tests/crash/powercut'), ['--log', made.log, '--truth', made.truth, '--scratch', scratch,
        '--lines', made.lines, '--ingest', program('freshet-ingest'), '--responder', program('freshet-fcgi'),
        '--init', program('freshet'), ...args], { within: 600_000 });
    return { code: done.code, text: done.stdout.toString() + done.stderr };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
    const { values, positionals: [dir] } = parseArgs({ allowPositionals: true, options: {
        seconds: { type: 'string', default: '4' }, sync: { type: 'string', default: 'full' },
    } });
    mkdirSync(dir, { recursive: true });
    console.log(await recordLife(dir, { seconds: Number(values.seconds), sync: values.sync }));
}
