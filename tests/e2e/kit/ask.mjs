// One request, of which only the answer's head is awaited, so that it does not matter whether a stream
// follows. It is written as for curl, of whose options it knows -H, -d, -I and -u.
import http from 'node:http';
import { before } from './wait.mjs';

/** Gives back { status, headers, body }; body: what came with the head, for messages. */
export async function ask(args, url) {
    const headers = ['Host', new URL(url).host];
    let method = 'GET';
    let body;
    for (let i = 0; i < args.length; i++) {
        if (args[i] === '-I') {
            method = 'HEAD';
        } else if (args[i] === '-H') {
            const [, name, value] = /^([^:]+): ?(.*)$/s.exec(args[++i]);
            headers.push(name, value);
        } else if (args[i] === '-d') {
            method = 'POST';
            body = args[++i];
            headers.push('Content-Length', String(Buffer.byteLength(body)));
        } else if (args[i] === '-u') {
            headers.push('Authorization', `Basic ${btoa(args[++i])}`);
        } else {
            throw new Error(`ask does not know ${args[i]}`);
        }
    }
    const request = http.request(url, { method, headers, agent: false });
    try {
        return await before(`an answer from ${url}`, new Promise((resolve, reject) => {
            request.once('error', reject);
            request.once('response', (response) => {
                const head = { status: response.statusCode, headers: response.headers, body: '' };
                response.on('error', () => {});
                if (response.headers['content-type']?.startsWith('text/event-stream') || method === 'HEAD')
                    resolve(head);
                response.on('data', (chunk) => { head.body += chunk; });
                response.on('end', () => resolve(head));
            });
            request.end(body);
        }));
    } finally {
        request.on('error', () => {});
        request.destroy();
    }
}
