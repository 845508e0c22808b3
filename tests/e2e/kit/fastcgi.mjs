// The web server's side of FastCGI, for what nginx and lighttpd do not do on demand: a connection that
// is kept, a body in pieces, records that should not come.
import net from 'node:net';
import { until } from './wait.mjs';

const BEGIN = 1;
const END = 3;
const PARAMS = 4;
const STDIN = 5;
const STDOUT = 6;
const NOTHING = Buffer.alloc(0);

export function record(type, content = NOTHING, padding = 0) {
    const bytes = Buffer.from(content);
    const head = Buffer.from([1, type, 0, 1, bytes.length >> 8, bytes.length & 255, padding, 0]);
    return Buffer.concat([head, bytes, Buffer.alloc(padding)]);
}

function pair(name, value) {
    const long = Buffer.alloc(4);
    long.writeUInt32BE((0x80000000 | value.length) >>> 0);
    return Buffer.concat([Buffer.from([name.length]), long, Buffer.from(name + value)]);
}

/** A request's beginning, up to where its body begins. */
export function head(parameters, { keep = true } = {}) {
    const pairs = Buffer.concat(Object.entries(parameters).map(([name, value]) => pair(name, value)));
    return Buffer.concat([record(BEGIN, [0, 1, keep ? 1 : 0, 0, 0, 0, 0, 0]), record(PARAMS, pairs), record(PARAMS)]);
}

/** A body, and its end. */
export function body(text = '', padding = 0) {
    return Buffer.concat([text ? record(STDIN, text, padding) : NOTHING, record(STDIN, NOTHING, padding)]);
}

export class Peer {
    /** where: a unix socket's path, or a port. */
    static async open(where) {
        const peer = new Peer();
        peer.bytes = NOTHING;
        peer.closed = false;
        peer.socket = net.connect(where);
        peer.socket.on('data', (bytes) => { peer.bytes = Buffer.concat([peer.bytes, bytes]); });
        peer.socket.on('error', () => { peer.closed = true; });
        for (const event of ['end', 'close'])
            peer.socket.on(event, () => { peer.closed = true; });
        await until('the connection', () => !peer.socket.connecting);
        return peer;
    }

    send(...pieces) {
        this.socket.write(Buffer.concat(pieces));
    }

    /** The next response: { status, head, body }. Fails when the connection ends before it does. */
    async response() {
        let out = NOTHING;
        for (;;) {
            const [type, content] = await this.next();
            if (type === STDOUT)
                out = Buffer.concat([out, content]);
            if (type === END)
                break;
        }
        const [first, ...rest] = out.toString().split('\r\n\r\n');
        return { status: Number(/^Status: (\d+)/m.exec(first)[1]), head: first, body: rest.join('\r\n\r\n') };
    }

    async next() {
        const length = () => 8 + this.bytes.readUInt16BE(4) + this.bytes[6];
        await until('a record', () => {
            if (this.bytes.length >= 8 && this.bytes.length >= length())
                return true;
            if (this.closed)
                throw new Error('the responder has closed the connection');
            return false;
        });
        const content = this.bytes.subarray(8, 8 + this.bytes.readUInt16BE(4));
        const type = this.bytes[1];
        this.bytes = this.bytes.subarray(length());
        return [type, content];
    }

    async ended() {
        await until('the end of the connection', () => this.closed);
    }

    close() {
        this.socket.destroy();
    }
}
