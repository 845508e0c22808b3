// The web server's side of FastCGI, by hand, for what nginx and lighttpd do not do on demand: a connection that
// is kept, a body in pieces, and what no web server does: cut, stall, lie.
import net from 'node:net';
import { before } from './wait.mjs';

export const BEGIN = 1, ABORT = 2, END = 3, PARAMS = 4, STDIN = 5, STDOUT = 6, DATA = 8, GET_VALUES = 9, VALUES = 10,
    UNKNOWN_TYPE = 11;
export const RESPONDER = 1, AUTHORIZER = 2, FILTER = 3;

/** One record; more: { id, version, padding, length }, the last to lie about the content's length. */
export function record(type, content = Buffer.alloc(0), { id = 1, version = 1, padding = 0, length } = {}) {
    const bytes = Buffer.from(content);
    const head = Buffer.alloc(8);
    head[0] = version;
    head[1] = type;
    head.writeUInt16BE(id, 2);
    head.writeUInt16BE(length ?? bytes.length, 4);
    head[6] = padding;
    return Buffer.concat([head, bytes, Buffer.alloc(padding)]);
}

export function begin({ role = RESPONDER, flags = 0, ...more } = {}) {
    return record(BEGIN, Buffer.from([role >> 8, role & 255, flags, 0, 0, 0, 0, 0]), more);
}

function length(n) {
    if (n < 128)
        return Buffer.from([n]);
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32BE((n | 0x80000000) >>> 0);
    return bytes;
}

export function pair(name, value) {
    const [n, v] = [Buffer.from(name), Buffer.from(value)];
    return Buffer.concat([length(n.length), length(v.length), n, v]);
}

export function pairs(parameters) {
    return Buffer.concat(Object.entries(parameters).map(([name, value]) => pair(name, value)));
}

/** PARAMS records with these bytes, and the end of the stream. */
export function params(bytes, more = {}) {
    const records = [];
    for (let at = 0; at < bytes.length; at += 65535)
        records.push(record(PARAMS, bytes.subarray(at, at + 65535), more));
    return Buffer.concat([...records, record(PARAMS, '', more)]);
}

/** All of a GET, or of another method, as nginx would send it. */
export function request(query = '', parameters = {}, more = {}) {
    return Buffer.concat([begin(more), params(pairs({
        REQUEST_METHOD: 'GET', QUERY_STRING: query, SCRIPT_NAME: '/events', REMOTE_ADDR: '127.0.0.1',
        ...parameters,
    }), more), record(STDIN, '', more)]);
}

/** A POST without its body; `n` is what CONTENT_LENGTH says. */
export function post(n, parameters = {}, more = {}) {
    return Buffer.concat([begin(more), params(pairs({
        REQUEST_METHOD: 'POST', QUERY_STRING: '', SCRIPT_NAME: '/events', REMOTE_ADDR: '127.0.0.1',
        CONTENT_TYPE: 'application/json', FRESHET_PUBLISH: 'on',
        ...(n === undefined ? {} : { CONTENT_LENGTH: String(n) }), ...parameters,
    }), more)]);
}

function stdout(records) {
    return Buffer.concat(records.filter(({ type }) => type === STDOUT).map(({ content }) => content));
}

/** A request of exactly these parameters, up to where its body begins; keep: the connection is for the next one too. */
export function head(parameters, { keep = true } = {}) {
    return Buffer.concat([begin({ flags: keep ? 1 : 0 }), params(pairs(parameters))]);
}

/** A body, and its end. */
export function body(text = '', padding = 0) {
    return Buffer.concat([...text ? [record(STDIN, text, { padding })] : [], record(STDIN, '', { padding })]);
}

export class Front {
    /** where: the path of a socket, or a port; options: of node's net.Socket. What the responder ends is not ended by us. */
    static async connect(where, options = {}) {
        const front = new Front();
        front.received = Buffer.alloc(0);
        front.taken = 0;
        front.checks = new Set();
        const address = typeof where === 'number' ? { port: where } : { path: where };
        front.socket = net.connect({ ...address, allowHalfOpen: true, ...options });
        front.socket.on('data', (chunk) => {
            front.received = Buffer.concat([front.received, chunk]);
            front.wake();
        });
        for (const event of ['end', 'close'])
            front.socket.on(event, () => { front.ended = true; front.wake(); });
        front.socket.on('close', () => { front.closed = true; front.wake(); });
        await before('a connection', new Promise((resolve, reject) => {
            front.socket.once('connect', resolve);
            front.socket.once('error', reject);
        }));
        front.socket.on('error', (error) => { front.error = error; });
        return front;
    }

    wake() {
        for (const check of this.checks)
            check();
    }

    send(...pieces) {
        return new Promise((resolve) => this.socket.write(Buffer.concat(pieces), resolve));
    }

    /** The records received so far: { type, id, content }. */
    get records() {
        const all = [];
        for (let at = 0; at + 8 <= this.received.length;) {
            const n = this.received.readUInt16BE(at + 4);
            const end = at + 8 + n + this.received[at + 6];
            if (end > this.received.length)
                break;
            all.push({ type: this.received[at + 1], id: this.received.readUInt16BE(at + 2),
                content: this.received.subarray(at + 8, at + 8 + n) });
            at = end;
        }
        return all;
    }

    /** What was sent to standard output. */
    get output() {
        return stdout(this.records).toString('latin1');
    }

    /** The next of several responses, whole: { status, head, body }. Fails when the connection ends before it does. */
    async response() {
        const whole = () => this.records.findIndex(({ type }, i) => i >= this.taken && type === END) + 1;
        await this.until('a whole response', () => whole() || this.ended);
        const end = whole();
        if (!end)
            throw new Error('the responder has closed the connection');
        const [lines, ...rest] = stdout(this.records.slice(this.taken, end)).toString().split('\r\n\r\n');
        this.taken = end;
        return { status: Number(/^Status: (\d+)/m.exec(lines)[1]), head: lines, body: rest.join('\r\n\r\n') };
    }

    get status() {
        return Number(/^Status: (\d+)/m.exec(this.output)?.[1] ?? 0);
    }

    async until(what, condition, within) {
        let check;
        try {
            await before(what, new Promise((resolve) => {
                check = () => { if (condition()) resolve(); };
                this.checks.add(check);
                check();
            }), within);
        } catch (error) {
            throw new Error(`${error.message}; got ${JSON.stringify(this.output.slice(-300))}`);
        } finally {
            this.checks.delete(check);
        }
        return this;
    }

    /** Waits until the responder has ended the connection. */
    end(within) {
        return this.until('the end of the connection', () => this.ended, within);
    }

    close() {
        this.socket.destroy();
    }
}

/** Sends the bytes on a connection of their own, waits for its end, and gives back what came. */
export async function exchange(where, bytes, within) {
    const front = await Front.connect(where);
    try {
        await front.send(bytes);
        return await front.end(within);
    } finally {
        front.close();
    }
}
