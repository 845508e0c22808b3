// Who writes, and what counts as acknowledged. Each publisher goes on until stop() and then finishes
// what it has begun; `acknowledged` then holds what must be in the table exactly once:
// name of the event → { key, id }; id: as it was answered, or undefined.
import { spawn } from 'node:child_process';
import { appendFileSync, existsSync, renameSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { literal } from '../e2e/kit/database.mjs';
import { tool } from '../e2e/kit/env.mjs';
import { post } from '../e2e/kit/post.mjs';
import { keep } from '../e2e/kit/process.mjs';
import { eventNamed } from './seeded.mjs';

class Publisher {
    constructor(name, random) {
        this.name = name;
        this.random = random;
        this.made = 0;
        this.acknowledged = new Map();
        this.retries = 0;
    }

    start() {
        this.done = this.run();
        return this;
    }

    async run() {
        while (!this.stopping)
            await this.step();
        await this.finish?.();
    }

    stop() {
        this.stopping = true;
        return this.done;
    }

    names(n) {
        return Array.from({ length: n }, () => `${this.name}/${++this.made}`);
    }
}

/* As a publisher writes it: an event without a type has no such member. */
function json(name, key) {
    const { topic, type, data } = eventNamed(name);
    return { topic, ...(type ? { type } : {}), data, ...(key ? { key: name } : {}) };
}

/** POSTs through a web server and repeats the same request, with the same keys, until it is answered. */
export class Poster extends Publisher {
    /** early: counts a request as acknowledged whatever becomes of it, which is wrong on purpose. */
    constructor(name, random, url, pauseMs, early = false) {
        super(name, random);
        Object.assign(this, { url, pauseMs, early, strange: [] });
    }

    /* One event under Idempotency-Key, several under it, or several with keys of their own. */
    request() {
        const form = this.random.below(3);
        const names = this.names(form === 0 ? 1 : 1 + this.random.below(4));
        const key = names[0];
        if (form === 0)
            return { names, keys: [key], body: json(names[0]), headers: { 'Idempotency-Key': key } };
        if (form === 1) {
            const keys = names.length === 1 ? [key] : names.map((_, i) => `${key}\x1f${i + 1}`);
            return { names, keys, body: names.map((name) => json(name)), headers: { 'Idempotency-Key': key } };
        }
        return { names, keys: names, type: 'ndjson', body: names.map((name) =>
            `${JSON.stringify(json(name, true))}\n`).join('') };
    }

    async step() {
        const { names, keys, body, type, headers } = this.request();
        for (;;) {
            const answer = await post(this.url, body, { type, headers }).catch(() => ({ status: 0 }));
            const ids = this.ids(answer, names.length);
            if (ids || this.early) {
                names.forEach((name, i) => this.acknowledged.set(name, { key: keys[i], id: ids?.[i] }));
                break;
            }
            this.retries++;
            await delay(this.random.between(20, 120));
        }
        await delay(this.random.between(0, 2 * this.pauseMs));
    }

    /* The ids of an answer that acknowledges, which one that was cut does not. */
    ids(answer, count) {
        // A web server whose responder dies in the middle of a request says 500 to 504: nobody knows
        // whether the events were written, which is what the keys are for.
        if (![0, 500, 502, 503, 504].includes(answer.status) && ![200, 201].includes(answer.status))
            this.strange.push(`${answer.status} ${answer.text}`);
        if (![200, 201].includes(answer.status))
            return undefined;
        try {
            const { ids } = answer.json();
            return ids.length === count ? ids.map((id) => parseInt(id, 10)) : undefined;
        } catch {
            return undefined;
        }
    }
}

/**
 * INSERTs in transactions of one to five rows by an sqlite3 shell, which may be killed: then another
 * one repeats the transaction. Every fifth transaction is rolled back, and must never be seen.
 */
export class Inserter extends Publisher {
    constructor(name, random, file, pauseMs) {
        super(name, random);
        Object.assign(this, { file, pauseMs, kills: 0 });
    }

    get pid() {
        return this.shell?.exitCode === null && this.shell.signalCode === null ? this.shell.pid : undefined;
    }

    open() {
        this.shell = keep(spawn(tool('sqlite3'), ['-batch', '-bail', this.file],
            { stdio: ['pipe', 'pipe', 'ignore'] }));
        this.shell.stdin.on('error', () => {});
        this.lines = createInterface({ input: this.shell.stdout })[Symbol.asyncIterator]();
        this.shell.stdin.write('.timeout 10000\n');
    }

    /* True when the shell says, after COMMIT, that it has come so far. */
    async execute(sql) {
        if (this.pid === undefined)
            this.open();
        this.shell.stdin.write(`${sql}\n.print done\n`);
        const { value, done } = await this.lines.next();
        if (!done && value === 'done')
            return true;
        this.shell.kill('SIGKILL');
        return false;
    }

    async step() {
        const names = this.names(1 + this.random.below(5));
        const rollBack = this.random.below(5) === 0;
        const inserts = names.map((name) => {
            const { topic, type, data } = eventNamed(name);
            return `INSERT INTO events(topic, type, data, key) SELECT ${literal(topic)}, ${literal(type)}, ` +
                `${literal(data)}, ${literal(name)} ` +
                `WHERE NOT EXISTS (SELECT 1 FROM events WHERE key = ${literal(name)});`;
        });
        const sql = `BEGIN IMMEDIATE; ${inserts.join('\n')} ${rollBack ? 'ROLLBACK' : 'COMMIT'};`;
        while (!await this.execute(sql)) {
            this.retries++;
            await delay(this.random.between(20, 120));
        }
        if (!rollBack)
            names.forEach((name) => this.acknowledged.set(name, { key: name }));
        await delay(this.random.between(0, 2 * this.pauseMs));
    }

    finish() {
        this.shell?.kill('SIGKILL');
    }
}

/**
 * Appends lines to a file that freshet-ingest follows, now and then half of a line first, and rotates
 * it as logrotate does. A line counts as acknowledged once it stands in the file: nothing tells its
 * writer more. There are no keys, only the position that freshet-ingest keeps.
 */
export class Appender extends Publisher {
    constructor(name, random, file, { perSecond, rotateMs }) {
        super(name, random);
        Object.assign(this, { file, perSecond, rotateMs, rotations: 0, rotated: performance.now() });
    }

    async step() {
        for (const name of this.names(1 + this.random.below(5))) {
            const line = `${JSON.stringify(json(name))}\n`;
            if (this.random.below(20) === 0) {
                const cut = this.random.below(line.length);
                appendFileSync(this.file, line.slice(0, cut));
                await delay(this.random.between(0, 30));
                appendFileSync(this.file, line.slice(cut));
            } else {
                appendFileSync(this.file, line);
            }
            this.acknowledged.set(name, {});
        }
        if (performance.now() - this.rotated > this.rotateMs)
            this.rotate();
        await delay(this.random.between(0, 2 * 3000 / this.perSecond));
    }

    rotate() {
        for (let i = this.rotations; i >= 1; i--)
            renameSync(`${this.file}.${i}`, `${this.file}.${i + 1}`);
        if (existsSync(this.file))
            renameSync(this.file, `${this.file}.1`);
        this.rotations++;
        this.rotated = performance.now();
        appendFileSync(this.file, '');
    }
}
