// One request that is answered and done, body and all: { status, headers, body, json, ms }.
import http from 'node:http';
import https from 'node:https';
import { before } from './wait.mjs';

/** accept: "json", "ndjson", or a whole header. */
export async function get(url, { accept = 'json', method = 'GET', headers = {}, ca, signal, within } = {}) {
    const Accept = { json: 'application/json', ndjson: 'application/x-ndjson' }[accept] ?? accept;
    const started = performance.now();
    return before(`an answer from ${url}`, new Promise((resolve, reject) => {
        const request = (url.startsWith('https:') ? https : http).request(url, {
            method, ca, signal, agent: false, headers: { Accept, ...headers },
        }, (response) => {
            const chunks = [];
            response.on('data', (chunk) => chunks.push(chunk));
            response.on('error', reject);
            response.on('end', () => {
                const body = Buffer.concat(chunks).toString();
                resolve({
                    status: response.statusCode, headers: response.headers, body,
                    ms: performance.now() - started,
                    get json() { return JSON.parse(body); },
                });
            });
        });
        request.on('error', reject);
        request.end();
    }), within);
}
