// freshet-fcgi in every way it can be started by itself: "unix" and "tcp" (--listen), "spawn-fcgi"
// (socket on descriptor 0) and "activation" (LISTEN_FDS, with a socket that outlives it). The ways in
// which lighttpd starts it ("bin-path", "cgi") are in lighttpd.mjs.
//
// FRESHET_WRAP is a command that runs the responder and is to end with its status, or with another one where
// it found something: FRESHET_WRAP='valgrind --quiet --error-exitcode=99'. It is slow perhaps (FRESHET_PATIENCE,
// wait.mjs), and makes system calls that the responder's sandbox would refuse.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { program, tool } from './env.mjs';
import { accepts, freePort } from './net.mjs';
import { Process } from './process.mjs';
import { until } from './wait.mjs';

const wrap = process.env.FRESHET_WRAP?.split(' ').filter(Boolean) ?? [];

const holder = fileURLToPath(new URL('holder.sh', import.meta.url));

export class Responder {
    /**
     * place: { dir, db, env, orphans }; options: further command line options; env: see world.mjs;
     * orphans: see process.mjs.
     */
    static async open(place, way, options = []) {
        const responder = new Responder();
        responder.way = way;
        responder.around = { env: place.env, orphans: place.orphans };
        responder.log = join(place.dir, 'responder.log');
        responder.pidfile = join(place.dir, 'responder.pid');
        const path = join(place.dir, 'f.sock');
        responder.port = way === 'tcp' ? await freePort() : undefined;
        responder.where = responder.port ?? path;
        /** As the web servers' configurations want it. */
        responder.socket = responder.port ? `127.0.0.1:${responder.port}` : path;
        const own = [...wrap, program('freshet-fcgi'), '--db', place.db, ...(wrap.length ? ['--sandbox=off'] : []),
            ...options];
        responder.command = {
            unix: () => [...own, '--listen', `unix:${path}`],
            tcp: () => [...own, '--listen', `tcp:127.0.0.1:${responder.port}`],
            'spawn-fcgi': () => [tool('spawn-fcgi'), '-n', '-s', path, '--', ...own],
            activation: () => [tool('spawn-fcgi'), '-n', '-s', path, '-b', '1024', '--', holder,
                responder.pidfile, ...own],
        }[way]();
        await responder.start();
        return responder;
    }

    async start() {
        const [command, ...args] = this.command;
        this.process = new Process(command, args, { log: this.log, ...this.around });
        await this.process.ready('the responder to listen', () => accepts(this.where));
        if (this.way === 'activation')
            await until('the first responder under the holder', () => existsSync(this.pidfile));
    }

    /** The responder's own process id. */
    get pid() {
        return this.way === 'activation' ? Number(readFileSync(this.pidfile, 'utf8')) : this.process.pid;
    }

    signal(name) {
        process.kill(this.pid, name);
    }

    /** Ended without warning, then there again: by the holder, or by us after `away` has passed. */
    async crash(away = async () => {}) {
        const old = this.pid;
        this.signal('SIGKILL');
        if (this.way === 'activation') {
            await until('a new responder under the holder', () => this.pid !== old);
            return;
        }
        await this.process.exited;
        await away();
        await this.start();
    }

    /** User and system time spent so far, in clock ticks (10 ms). */
    cpuTicks() {
        const stat = readFileSync(`/proc/${this.pid}/stat`, 'utf8');
        const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
        return Number(fields[11]) + Number(fields[12]);
    }

    output() {
        return readFileSync(this.log, 'utf8');
    }

    /** Ends it. A crash, a leak or another find of a sanitizer fails the test that ran it. */
    async close() {
        const running = !this.process.how;
        const how = await this.process.stop();
        const found = /.*(Sanitizer|runtime error:|[Aa]ssert).*/.exec(this.output());
        if (found || (running && this.way !== 'activation' && how.code !== 0))
            throw new Error(`the responder ended with ${JSON.stringify(how)}: ${found?.[0] ?? ''}\n` +
                this.output().slice(-3000));
    }
}
