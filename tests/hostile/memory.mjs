// What the kernel says about a process: memory and descriptors.
import { readdirSync, readFileSync } from 'node:fs';

/* A sanitizer's shadow and its red zones are not what the program takes. */
export function residentKB(pid) {
    return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1]);
}

export function descriptors(pid) {
    return readdirSync(`/proc/${pid}/fd`).length;
}
