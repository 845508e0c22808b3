// The load client and the publisher, driven from here. See the head of bench/load.c for the commands.
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { program } from '../../tests/e2e/kit/env.mjs';
import { keep, start } from '../../tests/e2e/kit/process.mjs';
import { before } from '../../tests/e2e/kit/wait.mjs';
import { CLIENT_CORE, pinned } from './machine.mjs';

const LONGEST_MS = 3 * 3600 * 1000;

export class Load {
    /** server: where to, and whom to watch. options: those of bench/load, without dashes. */
    constructor(server, options = {}) {
        const all = { port: server.port, path: server.path, ...options };
        const args = Object.entries(all).filter(([, value]) => value !== undefined)
            .flatMap(([name, value]) => [`--${name}`, String(value)]);
        for (const [name, pid] of Object.entries(server.pids))
            args.push('--watch', `${name}=${pid}`);
        this.streams = options.streams ?? 1;
        const [command, rest] = pinned(CLIENT_CORE, program('bench/load'), args);
        this.child = keep(spawn(command, rest, { stdio: ['pipe', 'pipe', 'inherit'] }));
        this.lines = createInterface({ input: this.child.stdout })[Symbol.asyncIterator]();
        this.child.stdin.on('error', () => {});
    }

    /** Sends a line and waits for its answer. */
    async command(...words) {
        const line = words.filter((word) => word !== undefined).join(' ');
        this.child.stdin.write(`${line}\n`);
        const { value, done } = await before(`the load client: ${line}`, this.lines.next(), LONGEST_MS);
        if (done)
            throw new Error(`the load client ended at: ${line}`);
        return JSON.parse(value);
    }

    /** Opens all streams; a failure when they cannot be opened. */
    async open(seq) {
        const answer = await this.command('open', seq);
        if (!answer.ok)
            throw new Error(`only ${answer.open} of ${answer.streams} streams opened ` +
                `(${answer.open_failed} failed, ${answer.fast.closed} closed)`);
        return answer;
    }

    async close() {
        this.child.stdin.end();
        const ended = new Promise((resolve) => {
            if (this.child.exitCode !== null || this.child.signalCode !== null)
                resolve();
            else
                this.child.once('exit', resolve);
        });
        // It does not look at its input while it waits for what may never come.
        await before('the end of the load client', ended).catch(() => this.child.kill('SIGKILL'));
    }
}

/** Publishes to a server: { events, seconds, late_ms, last }. options: those of bench/publish. */
export async function publish(server, options) {
    const args = Object.entries({ bytes: 200, start: server.next, ...options })
        .flatMap(([name, value]) => (value === true ? [`--${name}`] : [`--${name}`, String(value)]));
    const [command, rest] = pinned(CLIENT_CORE, program('bench/publish'), [...server.sink, ...args]);
    const done = await start(command, rest, { within: LONGEST_MS });
    if (done.code !== 0)
        throw new Error(`publish ${args.join(' ')}: ${done.stderr.trim().split('\n')[0]}`);
    const answer = JSON.parse(done.stdout.toString());
    server.next = answer.last + 1;
    return answer;
}

/** What must be zero in every run; reached: how many streams should have seen the last event. */
export function faults(answer, reached = answer.streams) {
    const sum = (name) => answer.fast[name] + answer.slow[name];
    return {
        missing: sum('missing'),
        doubled: sum('doubled'),
        backward: sum('backward'),
        closed: sum('closed'),
        resets: answer.resets,
        unnumbered: answer.unnumbered,
        unreached: Math.max(0, reached - answer.reached),
    };
}

/** Adds up faults; undefined when there are none. */
export function anyFault(...all) {
    const sum = {};
    for (const one of all)
        for (const [name, count] of Object.entries(one ?? {}))
            if (count)
                sum[name] = (sum[name] ?? 0) + count;
    return Object.keys(sum).length ? sum : undefined;
}
