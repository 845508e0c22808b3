// Waiting for a condition with a deadline. Tests never sleep to synchronise: they name what they
// wait for, and a wait that does not end says so by that name.
import { setTimeout as delay } from 'node:timers/promises';

/** How many times longer to wait for anything: for programs that something slow runs (valgrind, a sanitizer). */
const patience = Number(process.env.FRESHET_PATIENCE ?? 1);

/** Everything here is quick; the deadline is for machines that are busy with something else. */
export const PATIENCE_MS = 15_000;

/**
 * Calls probe() until it gives something true, and gives that back. An exception of the last try
 * becomes the cause of the failure.
 */
export async function until(what, probe, { within = PATIENCE_MS, every = 10 } = {}) {
    const deadline = performance.now() + within * patience;
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
        if (performance.now() > deadline)
            throw new Error(`waited ${within * patience} ms in vain for: ${what}`, { cause });
        await delay(every);
    }
}

/** The promise, or a failure by name when it takes too long. */
export async function before(what, promise, within = PATIENCE_MS) {
    const clock = new AbortController();
    const late = delay(within * patience, undefined, { signal: clock.signal }).then(
        () => { throw new Error(`waited ${within * patience} ms in vain for: ${what}`); },
        () => new Promise(() => {}));
    try {
        return await Promise.race([promise, late]);
    } finally {
        clock.abort();
    }
}

/**
 * Observes for a while that something does NOT happen. Silence has no event to wait for, so this is
 * the one place where time passes by itself; keep it short.
 */
export function quiet(ms) {
    return delay(ms);
}
