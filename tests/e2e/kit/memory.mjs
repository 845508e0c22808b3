// What the kernel says about a process: memory and descriptors.
import { readdirSync, readFileSync } from 'node:fs';

export function residentKB(pid) {
    return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1]);
}

/** The most that it ever was. */
export function peakKB(pid) {
    return Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1]);
}

export function descriptors(pid) {
    return readdirSync(`/proc/${pid}/fd`).length;
}

/** How many times as much memory the responder takes when it is built to be watched: TSan notes four bytes about each. */
export const instrumented = Number(process.env.FRESHET_MEMORY ?? 1);
