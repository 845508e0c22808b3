// An SSE client that hides nothing: raw HTTP by node's own client, every block recorded as it came.
// It does not reconnect (Follower does), so that tests see what one response says.
import http from 'node:http';
import https from 'node:https';
import { StringDecoder } from 'node:string_decoder';
import { before, PATIENCE_MS } from './wait.mjs';

/* What ends with its own line, of which no blank line follows. */
const ALONE = /^(retry)?:/;

/** The fields of one block: { raw, comment } or { raw, id, event, data, retry }; absent = undefined. */
function parse(raw, at) {
    const block = { raw, at };
    for (const line of raw.split('\n')) {
        const colon = line.indexOf(':');
        const name = colon < 0 ? line : line.slice(0, colon);
        let value = colon < 0 ? '' : line.slice(colon + 1);
        if (value.startsWith(' '))
            value = value.slice(1);
        if (name === '')
            block.comment = value;
        else if (name === 'data')
            block.data = block.data === undefined ? value : `${block.data}\n${value}`;
        else
            block[name] = value;
    }
    return block;
}

const isEvent = (block) => block.id !== undefined && !block.event?.startsWith('freshet:');

export class Stream {
    /** Resolves when the response's head is there. */
    static async open(url, { headers = {}, method = 'GET', ca } = {}) {
        const stream = new Stream();
        stream.blocks = [];
        stream.waiting = new Set();
        stream.opened = performance.now();
        const request = (url.startsWith('https:') ? https : http).request(url, {
            method, ca, agent: false, headers: { Accept: 'text/event-stream', ...headers },
        });
        stream.request = request;
        request.on('error', (error) => { stream.error = error; stream.finish(); });
        const response = await before(`a head from ${url}`, new Promise((resolve, reject) => {
            request.once('response', resolve);
            request.once('error', reject);
            request.end();
        }));
        stream.headAfter = performance.now() - stream.opened;
        stream.status = response.statusCode;
        stream.headers = response.headers;
        stream.response = response;
        const decoder = new StringDecoder('utf8');
        let rest = '';
        let searched = 0;
        response.on('data', (chunk) => {
            const at = performance.now();
            rest += decoder.write(chunk);
            for (;;) {
                const alone = ALONE.test(rest);
                const end = alone ? rest.indexOf('\n') : rest.indexOf('\n\n', searched);
                if (end < 0)
                    break;
                stream.blocks.push(parse(rest.slice(0, end), at));
                rest = rest.slice(end + (alone ? 1 : 2));
                searched = 0;
            }
            searched = Math.max(0, rest.length - 1);
            stream.rest = rest;
            stream.wake();
        });
        response.on('error', (error) => { stream.error = error; });
        response.on('close', () => stream.finish());
        return stream;
    }

    finish() {
        this.ended = true;
        this.wake();
    }

    wake() {
        for (const check of this.waiting)
            check();
    }

    /** Resolves as soon as condition() is true; checked whenever something arrives. */
    async until(what, condition, within = PATIENCE_MS) {
        let check;
        try {
            await before(`${what}; got so far:\n${this.summary()}`, new Promise((resolve) => {
                check = () => { if (condition()) resolve(); };
                this.waiting.add(check);
                check();
            }), within).catch((error) => {
                throw new Error(`${error.message.split(';')[0]}; got:\n${this.summary()}`);
            });
        } finally {
            this.waiting.delete(check);
        }
    }

    /** Real events: blocks with an id that are no signals, in the order in which they came. */
    get events() {
        return this.blocks.filter(isEvent);
    }

    /** Signals by name, without their prefix: signals("live"). Their data is JSON. */
    signals(name) {
        return this.blocks.filter((block) => block.event === `freshet:${name}`);
    }

    get comments() {
        return this.blocks.filter((block) => block.comment !== undefined);
    }

    /** Waits for n events in all, as long as one comes within the time, and gives them back. */
    async take(n, within) {
        for (let had = this.events.length; had < n; had = this.events.length)
            await this.until(`${n} events`, () => this.events.length > had, within);
        return this.events.slice(0, n);
    }

    /** Waits for a signal and gives back its data. */
    async signal(name, within) {
        await this.until(`freshet:${name}`, () => this.signals(name).length > 0 || this.ended, within);
        const block = this.signals(name)[0];
        if (!block)
            throw new Error(`the stream ended without freshet:${name}; got:\n${this.summary()}`);
        return JSON.parse(block.data);
    }

    /** Waits for the end of the response, which is not an error here. */
    async end(within) {
        await this.until('the end of the stream', () => this.ended, within);
    }

    summary() {
        const last = this.blocks.slice(-12).map((block) => JSON.stringify(block.raw.slice(0, 120)));
        return `status ${this.status}, ${this.blocks.length} blocks, ended ${this.ended === true}, ` +
            `error ${this.error?.code ?? 'none'}\n  ${last.join('\n  ')}`;
    }

    close() {
        this.request.destroy();
    }
}

/**
 * A client as HTML describes it, on top of Stream: it reconnects after the last `retry` it was told,
 * with the id of the last event, for as long as the answer is 200 and text/event-stream.
 */
export class Follower {
    constructor(url, options = {}) {
        this.url = url;
        this.options = options;
        this.events = [];
        this.resets = [];
        this.opens = 0;
        this.retry = 1000;
        this.closed = false;
        this.done = this.loop();
    }

    async loop() {
        while (!this.closed) {
            const headers = this.lastId === undefined ? {} : { 'Last-Event-ID': this.lastId };
            try {
                this.stream = await Stream.open(this.url, { ...this.options, headers });
            } catch {
                await this.pause();
                continue;
            }
            this.opens++;
            if (this.stream.status !== 200) {
                this.dead = true;
                return;
            }
            let seen = 0;
            const collect = () => {
                for (; seen < this.stream.blocks.length; seen++) {
                    const block = this.stream.blocks[seen];
                    if (block.retry !== undefined)
                        this.retry = Number(block.retry);
                    if (block.event === 'freshet:reset')
                        this.resets.push(block.data);
                    if (block.id !== undefined)
                        this.lastId = block.id;
                    if (isEvent(block))
                        this.events.push(block);
                }
                return this.stream.ended;
            };
            await this.stream.until('the end of a followed stream', collect, 600_000);
            await this.pause();
        }
    }

    async pause() {
        if (!this.closed)
            await new Promise((resolve) => setTimeout(resolve, this.retry));
    }

    close() {
        this.closed = true;
        this.stream?.close();
    }
}
