// A whole installation in a temporary directory: database, responder, web server. Opened by a test,
// closed by it; whatever a failed test leaves running is ended with its process (process.mjs).
//
//     const world = await World.open({ server: 'nginx' });
//     const stream = await world.stream('?topic=news');
//     world.db.publish({ topic: 'news', data: 'hello' });
//     await stream.take(1);
//     await world.close();
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Database } from './database.mjs';
import { root } from './env.mjs';
import { Lighttpd } from './lighttpd.mjs';
import { Nginx } from './nginx.mjs';
import { Responder } from './responder.mjs';
import { Source } from './source.mjs';
import { Follower, Stream } from './stream.mjs';
import { makeCertificate } from './tls.mjs';

export const servers = ['nginx', 'lighttpd'];

/* Clients of a test come back soon; the spread stays, so that its test means something. */
const QUICK = ['--retry-min', '200ms', '--retry-max', '400ms'];

export class World {
    /**
     * server: "nginx" or "lighttpd"; variant: which of its configurations; way: how the responder is
     * started (see responder.mjs; "bin-path" and "cgi": by lighttpd); options: more options of the
     * responder; prepare(db): called before the responder starts; limit, auth, parameters, keep, edits,
     * retryMs, sites: see nginx.mjs; users: see lighttpd.mjs; env(dir): more environment for the responder.
     */
    static async open({ server = 'nginx', variant, way = 'unix', options = QUICK, prepare, limit, auth,
        parameters, users, keep, edits, retryMs, sites, env } = {}) {
        const world = new World();
        world.dir = mkdtempSync(join(tmpdir(), 'freshet-test-'));
        // A server started by root may serve the page as another user.
        chmodSync(world.dir, 0o755);
        try {
            world.db = new Database(world.dir);
            prepare?.(world.db);
            const byServer = way === 'bin-path' || way === 'cgi';
            variant ??= byServer ? way : 'minimal';
            const place = { dir: world.dir, db: world.db.file, web: join(root, 'web'), options, limit, auth,
                parameters, users, keep, edits, retryMs, sites, env: env?.(world.dir) };
            if (variant === 'production')
                place.tls = world.tls = makeCertificate(world.dir);
            if (!byServer) {
                world.responder = await Responder.open(place, way, options);
                place.socket = world.responder.socket;
            }
            world.server = await (server === 'nginx' ? Nginx : Lighttpd).open(place, variant);
        } catch (error) {
            await world.close({ keep: true });
            throw error;
        }
        return world;
    }

    /** Opens a world for body(world), and closes it whatever happens. */
    static async during(place, body) {
        const world = await World.open(place);
        try {
            await body(world);
        } finally {
            await world.close();
        }
    }

    get base() {
        return this.tls ? `https://127.0.0.1:${this.server.tlsPort}` : `http://127.0.0.1:${this.server.port}`;
    }

    url(rest = '') {
        return `${this.base}/events${rest}`;
    }

    /** Opens one response; see stream.mjs. It is closed with the world. */
    async stream(rest = '', options = {}) {
        const stream = await Stream.open(this.url(rest), { ca: this.tls?.ca, ...options });
        (this.open ??= []).push(stream);
        return stream;
    }

    /** Waits until the responder knows of this row: from then on it is history for new clients. */
    async seen(seq) {
        const stream = await this.stream(`?last_event_id=${seq - 1}`);
        await stream.take(1);
        stream.close();
    }

    /** Opens one response and waits until what follows is live. */
    async live(rest = '', options = {}) {
        const stream = await this.stream(rest, options);
        await stream.signal('live');
        return stream;
    }

    follow(rest = '') {
        const follower = new Follower(this.url(rest), { ca: this.tls?.ca });
        (this.open ??= []).push(follower);
        return follower;
    }

    /** The `eventsource` package; see source.mjs. */
    source(rest = '', types = [], init = undefined) {
        const source = new Source(this.url(rest), types, init);
        (this.open ??= []).push(source);
        return source;
    }

    /** What the responder has written to its log, wherever that goes. */
    responderLog() {
        if (this.responder)
            return this.responder.output();
        return ['error.log', 'output.log'].map((name) => join(this.server.dir, name))
            .filter(existsSync).map((file) => readFileSync(file, 'utf8')).join('');
    }

    /** Ends everything and removes the directory; keep: leaves the directory for a look. */
    async close({ keep = false } = {}) {
        for (const client of this.open ?? [])
            client.close();
        this.db?.close();
        await this.server?.close();
        await this.responder?.close().catch((error) => {
            if (!keep)
                throw error;
        });
        if (!keep && !process.env.FRESHET_KEEP)
            rmSync(this.dir, { recursive: true, force: true });
    }
}
