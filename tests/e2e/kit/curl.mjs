// curl, for what a user would type: { status, headers, body, code }.
import { tool } from './env.mjs';
import { start } from './process.mjs';

/** Runs curl with these arguments; a stream ends after `seconds`, which is not a failure. */
export async function curl(args, { seconds = 5 } = {}) {
    const done = await start(tool('curl'), ['-sS', '-i', '-N', '--max-time', String(seconds), ...args]);
    const text = done.stdout.toString();
    const end = text.indexOf('\r\n\r\n');
    const [first, ...lines] = text.slice(0, end).split('\r\n');
    const headers = {};
    for (const line of lines) {
        const colon = line.indexOf(':');
        headers[line.slice(0, colon).toLowerCase()] = line.slice(colon + 1).trim();
    }
    return { code: done.code, status: Number(first.split(' ')[1]), protocol: first.split(' ')[0],
        headers, body: text.slice(end + 4), stderr: done.stderr };
}
