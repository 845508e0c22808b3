// Waiting for a condition with a deadline. Tests never sleep to synchronise: they name what they
// wait for, and a wait that does not end says so by that name.
import { readFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';

/** How many times longer everything takes: for programs that something slow runs (valgrind, a sanitizer). */
const patience = Number(process.env.FRESHET_PATIENCE ?? 1);

/** A deadline of a machine that has nothing else to do; see scaled(). */
export const PATIENCE_MS = 15_000;

/** What is slower than this does not end in a useful time. */
const SLOWEST = 10;

/**
 * How many times longer everything takes on this machine, now: so many threads want each of its processors,
 * on the average of the last minute or at this moment.
 */
export function slowness() {
    const [, minute, running] = /^([\d.]+) .* (\d+)\//.exec(readFileSync('/proc/loadavg', 'utf8'));
    return Math.min(Math.max(1, Math.max(Number(minute), Number(running)) / cpus().length), SLOWEST);
}

/** A time that is enough where nothing else runs, as it is on this machine now: in whole milliseconds. */
export function scaled(ms) {
    return Math.round(ms * patience * slowness());
}

/**
 * Calls probe() until it gives something true, and gives that back. An exception of the last try
 * becomes the cause of the failure. The deadline is scaled, by how things are when it is reached.
 */
export async function until(what, probe, { within = PATIENCE_MS, every = 10 } = {}) {
    const began = performance.now();
    let cause;
    for (;;) {
        try {
            const value = await probe();
            if (value)
                return value;
            cause = undefined;
        } catch (error) {
            cause = error;
        }
        if (isLate(began, within))
            throw tooLate(what, began, cause);
        await delay(every);
    }
}

/** The promise, or a failure by name when it takes too long. */
export async function before(what, promise, within = PATIENCE_MS) {
    const began = performance.now();
    const clock = new AbortController();
    try {
        return await Promise.race([promise, lateness(what, began, within, clock.signal)]);
    } finally {
        clock.abort();
    }
}

function isLate(began, within) {
    const waited = performance.now() - began;
    return waited > within * patience && waited > scaled(within);
}

function tooLate(what, began, cause) {
    return new Error(`waited ${Math.round(performance.now() - began)} ms in vain for: ${what}`, { cause });
}

/** Fails when it is late; never ends after the signal. */
async function lateness(what, began, within, signal) {
    try {
        do
            await delay(Math.max(100, began + scaled(within) - performance.now()), undefined, { signal });
        while (!isLate(began, within));
    } catch {
        return new Promise(() => {});
    }
    throw tooLate(what, began);
}

/**
 * Observes for a while that something does NOT happen. Silence has no event to wait for, so this is
 * the one place where time passes by itself; keep it short.
 */
export function quiet(ms) {
    return delay(ms);
}
