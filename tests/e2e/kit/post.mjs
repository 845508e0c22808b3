// One POST over a connection of its own: { status, headers, type, text, json() }; a connection that
// ends without a response gives { status: 0 }.
import http from 'node:http';
import { before } from './wait.mjs';

export const types = {
    json: 'application/json', ndjson: 'application/x-ndjson', form: 'application/x-www-form-urlencoded',
};

/** type: a name of `types`, or a media type itself; chunked: in two pieces, without Content-Length. */
export function post(url, body, { type = 'json', headers = {}, chunked = false } = {}) {
    const bytes = Buffer.from(typeof body === 'string' || Buffer.isBuffer(body) ? body : JSON.stringify(body));
    return before(`the answer to a POST to ${url}`, new Promise((resolve) => {
        const request = http.request(url, {
            method: 'POST', agent: false,
            headers: {
                ...(type ? { 'Content-Type': types[type] ?? type } : {}),
                ...(chunked ? {} : { 'Content-Length': bytes.length }), ...headers,
            },
        });
        const nothing = (error) => resolve({ status: 0, headers: {}, type: '', text: '', error });
        request.on('error', nothing);
        request.on('response', (response) => {
            const chunks = [];
            response.on('data', (chunk) => chunks.push(chunk));
            response.on('error', nothing);
            response.on('end', () => {
                const text = Buffer.concat(chunks).toString();
                resolve({
                    status: response.statusCode, headers: response.headers, text,
                    type: response.headers['content-type'] ?? '', json: () => JSON.parse(text),
                });
            });
        });
        // end(bytes) alone would add a Content-Length.
        if (chunked)
            request.write(bytes.subarray(0, bytes.length / 2), () => request.end(bytes.subarray(bytes.length / 2)));
        else
            request.end(bytes);
    }), 30_000);
}
