// Ports and reachability, on loopback only.
import net from 'node:net';

/* Below the kernel's own range for outgoing connections (from 32768), so that no client's
 * connection sits on a port between our choosing it and the server's binding it. */
const LOWEST = 20_000;
const COUNT = 12_000;

function canListen(port) {
    return new Promise((resolve) => {
        const probe = net.createServer();
        probe.once('error', () => resolve(false));
        probe.listen(port, '127.0.0.1', () => probe.close(() => resolve(true)));
    });
}

/** A TCP port of 127.0.0.1 that was free a moment ago. */
export async function freePort() {
    for (let tries = 0; tries < 100; tries++) {
        const port = LOWEST + Math.floor(Math.random() * COUNT);
        if (await canListen(port))
            return port;
    }
    throw new Error('no free port found');
}

/** True when something accepts connections there: a port number or the path of a socket. */
export function accepts(where) {
    return new Promise((resolve) => {
        const to = typeof where === 'number' ? { host: '127.0.0.1', port: where } : { path: where };
        const socket = net.connect(to);
        socket.once('connect', () => { socket.destroy(); resolve(true); });
        socket.once('error', () => resolve(false));
    });
}

/** One HTTP request as bytes on a connection of its own; resolves to all that was answered until it was closed. */
export function raw(port, text) {
    return new Promise((resolve) => {
        const socket = net.connect(port, '127.0.0.1');
        const chunks = [];
        socket.setTimeout(5000, () => socket.destroy());
        socket.on('data', (chunk) => chunks.push(chunk));
        socket.on('error', () => {});
        socket.on('close', () => resolve(Buffer.concat(chunks).toString('latin1')));
        socket.write(Buffer.from(text, 'latin1'));
    });
}
