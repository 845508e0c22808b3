// curl, for what a user would type: { status, headers, body, code }.
import { tool } from './env.mjs';
import { start } from './process.mjs';
import { scaled } from './wait.mjs';

/**
 * Runs curl with these arguments. A stream is left when it is live, after what it has to tell of the past; code
 * is undefined then, which shows that curl did not end by itself.
 */
export async function curl(args, { seconds = 15 } = {}) {
    const done = await start(tool('curl'), ['-sS', '-i', '-N', '--max-time', String(scaled(seconds)), ...args],
        { within: 2 * seconds * 1000, enough: (bytes) => /\nevent: freshet:live\n(.+\n)+\n/.test(bytes.toString()) });
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
