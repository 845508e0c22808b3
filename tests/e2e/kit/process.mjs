// Child processes that never outlive the test: each gets a process group of its own, its output goes
// to a file, and whatever still runs when this process ends is killed by the recorded id.
import { spawn, spawnSync } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { before, scaled, until } from './wait.mjs';

const running = new Set();

function signalGroup(pid, signal) {
    if (!pid)
        return; // it could not be started
    try {
        process.kill(-pid, signal);
    } catch (error) {
        if (error.code !== 'ESRCH')
            throw error;
    }
}

process.on('exit', () => {
    for (const child of running) {
        child.kill('SIGKILL');
        signalGroup(child.pid, 'SIGKILL');
    }
});
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'])
    process.on(signal, () => process.exit(1));

/** Records a child that was started elsewhere, so that it is ended with this process at the latest. */
export function keep(child) {
    running.add(child);
    child.once('exit', () => running.delete(child));
    return child;
}

export class Process {
    /**
     * Starts it; output (stdout and stderr) is appended to the file `log`. orphans: its children are to
     * end by themselves when it is gone, as they must where nobody ends the rest of its group.
     */
    constructor(command, args, { log, env, cwd, stdin = 'ignore', orphans = false } = {}) {
        const out = openSync(log, 'a');
        this.command = [command, ...args].join(' ');
        this.log = log;
        this.child = spawn(command, args, {
            cwd, env: { ...process.env, ...env }, detached: true, stdio: [stdin, out, out],
        });
        closeSync(out);
        running.add(this.child);
        this.exited = new Promise((resolve) => {
            this.child.on('error', (error) => resolve({ error }));
            this.child.on('exit', (code, signal) => resolve({ code, signal }));
        }).then((how) => {
            // The leader is gone; take what is left of its group along (a crashed nginx master's
            // workers would keep the port).
            if (!orphans)
                signalGroup(this.child.pid, 'SIGKILL');
            running.delete(this.child);
            this.how = how;
            return how;
        });
    }

    get pid() {
        return this.child.pid;
    }

    signal(name) {
        return this.child.kill(name);
    }

    /** Ends it, gently first. Gives back how it ended: { code, signal }. */
    async stop(signal = 'SIGTERM', within = 10_000) {
        if (!this.how) {
            this.child.kill(signal);
            await before(`the end of ${this.command}`, this.exited, within).catch(async () => {
                signalGroup(this.child.pid, 'SIGKILL');
                await this.exited;
            });
        }
        return this.how;
    }

    /** Waits until it is up, as told by probe(); a process that ended meanwhile is a failure. */
    async ready(what, probe) {
        await until(what, async () => {
            if (this.how)
                return true;
            return probe();
        });
        if (this.how)
            throw new Error(`${this.command} ended (${JSON.stringify(this.how)}):\n${this.output()}`);
        return this;
    }

    output() {
        return readFileSync(this.log, 'utf8');
    }
}

/** Process ids of the direct children of a process. */
export function childrenOf(pid) {
    return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number);
}

/**
 * Runs a program to its end: { code, stdout, stderr }. Never throws for a non-zero status. Nothing else
 * of this process moves meanwhile: for what ends in milliseconds; start() is for the rest.
 */
export function run(command, args, { input, env, within = 30_000 } = {}) {
    const done = spawnSync(command, args, {
        input, env: { ...process.env, ...env }, timeout: scaled(within), maxBuffer: 64 * 1024 * 1024,
    });
    if (done.error && done.error.code !== 'ETIMEDOUT')
        throw done.error;
    return { code: done.status, stdout: done.stdout, stderr: done.stderr.toString() };
}

/**
 * Like run(), while this process goes on. enough() is given what has come of standard output: when it is true
 * the program has done what it was needed for and is ended; code is undefined then.
 */
export async function start(command, args, { env, within = 30_000, enough = () => false } = {}) {
    const child = spawn(command, args, { env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
    running.add(child);
    const out = [];
    const err = [];
    child.stderr.on('data', (chunk) => err.push(chunk));
    const closed = new Promise((resolve, reject) => {
        child.stdout.on('data', (chunk) => {
            out.push(chunk);
            if (enough(Buffer.concat(out)))
                resolve(undefined);
        });
        child.on('error', reject);
        child.on('close', (code) => resolve(code));
    });
    try {
        const code = await before(`the end of ${command}`, closed, within);
        return { code, stdout: Buffer.concat(out), stderr: Buffer.concat(err).toString() };
    } finally {
        child.kill('SIGKILL');
        running.delete(child);
    }
}
