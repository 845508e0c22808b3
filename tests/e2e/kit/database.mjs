// The database as a stranger uses it: made by `freshet init`, written by the sqlite3 shell.
import { once } from 'node:events';
import { join } from 'node:path';
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { program, tool } from './env.mjs';
import { keep, run } from './process.mjs';

/** A text as an SQL expression; through hex, so that no byte of it means anything to the shell. */
export function literal(text) {
    if (text === undefined || text === null)
        return 'NULL';
    return `CAST(x'${Buffer.from(text).toString('hex')}' AS TEXT)`;
}

export class Database {
    constructor(dir) {
        this.file = join(dir, 'events.db');
        const done = run(program('freshet'), ['init', '--db', this.file]);
        if (done.code !== 0)
            throw new Error(`freshet init: ${done.stderr}`);
        this.epoch = this.sql('SELECT epoch FROM feed').trim();
    }

    /** One run of the sqlite3 shell; gives back what it printed. */
    sql(text) {
        const done = run(tool('sqlite3'), ['-batch', '-bail', this.file],
            { input: `.timeout 10000\n${text};\n` });
        if (done.code !== 0)
            throw new Error(`sqlite3: ${done.stderr}\n${text.slice(0, 300)}`);
        return done.stdout.toString();
    }

    /** One INSERT in a transaction of its own; gives back the row's id. */
    publish({ topic, type, data = '', created }) {
        const when = created === undefined ? ['', ''] : [', created', `, ${created}`];
        return Number(this.sql(`INSERT INTO events(topic, type, data${when[0]}) VALUES(${literal(topic)}, ` +
            `${literal(type)}, ${literal(data)}${when[1]}) RETURNING id`));
    }

    /** Many rows in one transaction: data is "1" … "count". Gives back [first id, last id]. */
    fill(topic, count) {
        const ids = this.sql(`BEGIN; WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n ` +
            `WHERE i < ${count}) INSERT INTO events(topic, data) SELECT ${literal(topic)}, i FROM n ` +
            `RETURNING id; COMMIT`).trim().split('\n').map(Number);
        return [ids[0], ids.at(-1)];
    }

    /** The ids of a topic, oldest first. */
    ids(topic) {
        return this.sql(`SELECT id FROM events WHERE topic = ${literal(topic)} ORDER BY id`)
            .trim().split('\n').filter(Boolean).map(Number);
    }

    /** A sqlite3 shell that stays open, for writing at a rate. */
    shell() {
        const shell = new Shell(this.file);
        (this.shells ??= []).push(shell);
        return shell;
    }

    /** Ends shells that a failed test has left open; they would keep its process alive. */
    close() {
        for (const shell of this.shells ?? [])
            shell.kill();
    }
}

class Shell {
    constructor(file) {
        this.child = keep(spawn(tool('sqlite3'), ['-batch', file], { stdio: ['pipe', 'pipe', 'inherit'] }));
        this.lines = createInterface({ input: this.child.stdout })[Symbol.asyncIterator]();
        this.child.stdin.write('.timeout 10000\n');
    }

    /** Runs statements and waits until they are done. */
    async execute(text) {
        this.child.stdin.write(`${text};\n.print done\n`);
        await this.lines.next();
    }

    /** Commits one row and waits for its id. */
    async publish(topic, data) {
        this.child.stdin.write(`INSERT INTO events(topic, data) VALUES(${literal(topic)}, ` +
            `${literal(data)}) RETURNING id;\n`);
        return Number((await this.lines.next()).value);
    }

    /**
     * Commits rows one by one at `rate` a second, their data counting from 1, until end() of what is
     * given back is called; that resolves to the number written.
     */
    flow(topic, rate) {
        const started = performance.now();
        let written = 0;
        this.timer = setInterval(() => {
            const due = Math.floor((performance.now() - started) * rate / 1000);
            for (; written < due; written++)
                this.child.stdin.write(`INSERT INTO events(topic, data) VALUES(${literal(topic)}, ` +
                    `'${written + 1}');\n`);
        }, 5);
        return {
            written: () => written,
            end: async () => {
                clearInterval(this.timer);
                await this.close();
                return written;
            },
        };
    }

    kill() {
        clearInterval(this.timer);
        this.child.stdin.on('error', () => {});
        this.child.kill('SIGKILL');
    }

    /** Waits until all that was given to it is done; may be called again. */
    async close() {
        this.child.stdin.end();
        if (this.child.exitCode === null && this.child.signalCode === null)
            await once(this.child, 'exit');
    }
}
