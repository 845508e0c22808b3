// lighttpd with the configuration files of lighttpd/, in a directory of its own.
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { configure } from './config.mjs';
import { program, root, tool } from './env.mjs';
import { accepts, freePort } from './net.mjs';
import { childrenOf, Process } from './process.mjs';

export class Lighttpd {
    /**
     * place: { dir, db, socket, web, tls, options, parameters, retryMs, edits }; variant: "minimal",
     * with further FastCGI parameters and a retry time in place of 2 to 5 s, "bin-path", "cgi" or
     * "production", the last with place.users (lines of htpasswd) as the logins of auth.conf. With
     * bin-path and cgi lighttpd starts the responder, with place.options. edits: see nginx.mjs.
     */
    static async open(place, variant) {
        const lighttpd = new Lighttpd();
        lighttpd.dir = join(place.dir, 'lighttpd');
        lighttpd.port = await freePort();
        lighttpd.tlsPort = variant === 'production' ? await freePort() : undefined;
        lighttpd.conf = join(lighttpd.dir, 'lighttpd.conf');
        mkdirSync(lighttpd.dir, { recursive: true });

        const responder = [program('freshet-fcgi'), '--db', place.db, ...(place.options ?? [])].join(' ');
        const exchanges = [
            ...place.edits ?? [],
            // lighttpd refuses to become root, and only root can become another user.
            ['server.username ', '#server.username '],
            ['server.groupname ', '#server.groupname '],
            ['server.port ', `server.bind = "127.0.0.1"\nserver.port `],
            [' = 80\n', ` = ${lighttpd.port}\n`],
            ['/usr/share/freshet/web', place.web],
        ];
        if (variant === 'cgi') {
            const script = join(lighttpd.dir, 'events.cgi');
            configure('lighttpd/events.cgi', script,
                [['/usr/sbin/freshet-fcgi --db /var/lib/freshet/events.db', responder]]);
            chmodSync(script, 0o755);
            exchanges.push(['/usr/share/freshet/lighttpd/events.cgi', script]);
        } else {
            const script = join(lighttpd.dir, 'retry.cgi');
            configure('lighttpd/retry.cgi', script,
                place.retryMs ? [['$((2000 + $$ % 3000))', String(place.retryMs)]] : []);
            exchanges.push(['/usr/share/freshet/lighttpd/retry.cgi', script]);
        }
        if (variant === 'minimal')
            exchanges.push(...this.backend(place));
        if (variant === 'bin-path') {
            exchanges.push(
                ['/usr/sbin/freshet-fcgi --db /var/lib/freshet/events.db', responder],
                ['/run/lighttpd/freshet.sock', join(place.dir, 'bin-path.sock')],
                ['/var/log/lighttpd/', `${lighttpd.dir}/`]);
        }
        if (variant === 'production') {
            exchanges.push(...this.backend(place),
                ['":443"', `"127.0.0.1:${lighttpd.tlsPort}"`],
                ['/etc/ssl/certs/freshet.pem', place.tls.certificate],
                ['/etc/ssl/private/freshet.key', place.tls.key],
                ['/var/log/lighttpd/', `${lighttpd.dir}/`]);
        }
        const parameters = Object.entries(place.parameters ?? {});
        if (variant === 'minimal' && parameters.length > 0)
            exchanges.push(['index-file.names', `setenv.add-environment = ( ${parameters
                    .map(([name, value]) => `"${name}" => "${value}"`).join(', ')} )\nindex-file.names`]);
        if (place.users) {
            const users = join(lighttpd.dir, 'users');
            writeFileSync(users, place.users);
            configure('lighttpd/auth.conf', join(lighttpd.dir, 'freshet-auth.conf'), [
                ['/etc/lighttpd/freshet.users', users], ...this.backend(place)]);
            exchanges.push(['#include "freshet-auth.conf"', 'include "freshet-auth.conf"']);
        }
        configure(`lighttpd/${variant}.conf`, lighttpd.conf, exchanges);
        await lighttpd.start();
        return lighttpd;
    }

    /** One that passes everything on to `inner` (a URL), with the one line that streams need. */
    static async openProxy(dir, inner) {
        const lighttpd = new Lighttpd();
        const { hostname, port } = new URL(inner);
        lighttpd.dir = dir;
        lighttpd.port = await freePort();
        lighttpd.conf = join(dir, 'lighttpd.conf');
        mkdirSync(dir);
        writeFileSync(lighttpd.conf, `server.modules = ( "mod_proxy" )\nserver.bind = "127.0.0.1"\n` +
            `server.port = ${lighttpd.port}\nserver.document-root = "${dir}"\n` +
            `proxy.server = ( "" => (( "host" => "${hostname}", "port" => ${port} )) )\n` +
            'server.stream-response-body = 2\n');
        await lighttpd.start();
        return lighttpd;
    }

    static backend(place) {
        if (place.socket.startsWith('/'))
            return [['/run/freshet/freshet.sock', place.socket]];
        const [host, port] = place.socket.split(':');
        return [['"socket"      => "/run/freshet/freshet.sock"', `"host" => "${host}", "port" => ${port}`]];
    }

    async start() {
        this.process = new Process(tool('lighttpd'), ['-D', '-f', this.conf],
            { log: join(this.dir, 'output.log') });
        await this.process.ready('lighttpd to listen', () => accepts(this.port));
    }

    /** Ends it as the service manager would, and starts it again. */
    async restart() {
        await this.process.stop('SIGTERM', 10_000);
        await this.start();
    }

    /** Process ids of the responders that lighttpd has started (bin-path: one; cgi: one per stream). */
    responders() {
        return childrenOf(this.process.pid).filter((pid) => {
            try {
                // A process that is just gone has no command line.
                return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('freshet-fcgi');
            } catch {
                return false;
            }
        });
    }

    /** lighttpd is one process. */
    pids() {
        return [this.process.pid];
    }

    log(name) {
        return readFileSync(join(this.dir, name), 'utf8');
    }

    async close() {
        await this.process.stop();
    }
}
