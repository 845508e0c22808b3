// nginx with the configuration files of nginx/, in a directory of its own. Its main file is that of Debian
// (debian-nginx.conf is Debian 12's without its comments), with the three lines that production.conf wants in it.
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { configure } from './config.mjs';
import { root, tool } from './env.mjs';
import { accepts, freePort } from './net.mjs';
import { childrenOf, Process, run } from './process.mjs';
import { until } from './wait.mjs';

/** The lines for /etc/nginx/nginx.conf that the head of production.conf names. */
function wantedLines() {
    const text = readFileSync(join(root, 'nginx/production.conf'), 'utf8');
    const lines = [...text.matchAll(/^# {7}(worker_\w+ \S+;)$/gm)].map(([, line]) => line);
    if (lines.length !== 3)
        throw new Error('nginx/production.conf does not name three lines for nginx.conf');
    return lines;
}

/** Writes nginx.conf of a directory; sites are in conf.d/ and sites-enabled/ there. */
function writeMain(dir) {
    for (const name of ['conf.d', 'sites-enabled'])
        mkdirSync(join(dir, name), { recursive: true });
    for (const name of ['mime.types', 'fastcgi_params'])
        symlinkSync(`/etc/nginx/${name}`, join(dir, name));
    const [descriptors, connections, shutdown] = wantedLines();
    configure('tests/e2e/kit/debian-nginx.conf', join(dir, 'nginx.conf'), [
        ['worker_processes auto;', `worker_processes auto;\n${descriptors}\n${shutdown}`],
        ['worker_connections 768;', connections],
        // As root, workers keep the rights to reach this directory; else nginx ignores the line.
        ['user www-data;', process.getuid() === 0 ? 'user root root;' : ''],
        ['pid /run/nginx.pid;', 'pid nginx.pid;'],
        ['/var/log/nginx/', `${dir}/`],
        ['include /etc/nginx/modules-enabled/*.conf;', ''],
        ['/etc/nginx/', ''],
        // Old workers must end within a test, and every connection of a test fits here.
        ['worker_shutdown_timeout 30s;', 'worker_shutdown_timeout 1s;'],
        ['worker_connections 16000;', 'worker_connections 2000;'],
    ]);
    // Compiled-in places that only root may write to.
    writeFileSync(join(dir, 'conf.d', 'temp.conf'),
        ['client_body', 'fastcgi', 'proxy', 'scgi', 'uwsgi']
            .map((name) => `${name}_temp_path ${dir}/temp-${name};\n`).join(''));
}

export class Nginx {
    /**
     * place: { dir, socket, web, tls, auth, parameters, keep, retryMs, sites, edits }; variant: "minimal",
     * with further FastCGI parameters and, if wanted, so many kept connections and another retry time,
     * "fanout", "quiet" or "production". sites(port): the text of the machine's other sites. edits:
     * [old, new] pairs, what is made different on purpose.
     */
    static async open(place, variant) {
        const nginx = new Nginx();
        nginx.dir = join(place.dir, 'nginx');
        nginx.port = await freePort();
        nginx.tlsPort = variant === 'production' ? await freePort() : undefined;
        mkdirSync(nginx.dir);
        mkdirSync(join(nginx.dir, 'snippets'));
        writeMain(nginx.dir);
        if (place.sites)
            writeFileSync(join(nginx.dir, 'sites-enabled', 'others'), place.sites(nginx.port));

        const fastcgi = place.socket.startsWith('/') ? `unix:${place.socket}` : place.socket;
        const common = [
            ...place.edits ?? [],
            ['unix:/run/freshet/freshet.sock', fastcgi],
            ['/usr/share/freshet/web', place.web],
            ['listen 80', `listen 127.0.0.1:${nginx.port}`],
        ];
        const site = join(nginx.dir, 'conf.d', 'freshet.conf');
        if (variant === 'production') {
            configure('nginx/production.conf', site, [
                ...common,
                ['listen 443 ssl', `listen 127.0.0.1:${nginx.tlsPort} ssl`],
                ['/etc/ssl/certs/freshet.pem', place.tls.certificate],
                ['/etc/ssl/private/freshet.key', place.tls.key],
                ['/var/log/nginx/', `${nginx.dir}/`],
                ['/var/lib/nginx/', `${nginx.dir}/`],
                ...place.auth ? [['#include snippets', 'include snippets']] : [],
                // All clients of a test have one address, and a test has no minutes.
                ['limit_conn freshet_streams 100;', `limit_conn freshet_streams ${place.limit ?? 100};`],
            ]);
            configure('nginx/auth.conf', join(nginx.dir, 'snippets', 'freshet-auth.conf'), [
                ['http://127.0.0.1:9000/', place.auth ?? 'http://127.0.0.1:9/'],
            ]);
        } else {
            const parameters = Object.entries(place.parameters ?? {})
                .map(([name, value]) => `\n        fastcgi_param ${name} ${value};`).join('');
            const keep = place.keep === undefined ? [] : [
                [`fastcgi_pass ${fastcgi};`, 'fastcgi_pass freshet; fastcgi_keep_conn on;'],
                ['server {', `upstream freshet { server ${fastcgi}; keepalive ${place.keep}; }\nserver {`]];
            const retry = place.retryMs ? [['retry: 3000', `retry: ${place.retryMs}`]] : [];
            const include = parameters ? [['include fastcgi_params;', `include fastcgi_params;${parameters}`]] : [];
            configure(`nginx/${variant}.conf`, site, [...common, ...include, ...keep, ...retry]);
        }
        await nginx.start();
        return nginx;
    }

    /** One that passes everything on to `inner` (a URL), with nothing but defaults. */
    static async openProxy(dir, inner) {
        const nginx = new Nginx();
        nginx.dir = dir;
        nginx.port = await freePort();
        mkdirSync(dir);
        writeMain(dir);
        writeFileSync(join(dir, 'sites-enabled', 'default'),
            `server { listen 127.0.0.1:${nginx.port}; location / { proxy_pass ${inner}; } }\n`);
        await nginx.start();
        return nginx;
    }

    get args() {
        return ['-e', join(this.dir, 'start.log'), '-p', this.dir, '-c', 'nginx.conf'];
    }

    async start() {
        this.process = new Process(tool('nginx'), [...this.args, '-g', 'daemon off;'],
            { log: join(this.dir, 'output.log') });
        await this.process.ready('nginx to listen', () => accepts(this.port));
    }

    async restart() {
        await this.process.stop('SIGQUIT', 3000);
        await this.start();
    }

    /** `nginx -s reload`, and waits until the new workers have taken over. */
    async reload() {
        const old = new Set(this.pids());
        const done = run(tool('nginx'), [...this.args, '-s', 'reload']);
        if (done.code !== 0)
            throw new Error(`nginx -s reload: ${done.stderr}`);
        await until('workers after the reload', () => this.pids().some((pid) => !old.has(pid)));
    }

    /** Process ids of the workers, which do the work. */
    pids() {
        return childrenOf(this.process.pid);
    }

    log(name) {
        return readFileSync(join(this.dir, name), 'utf8');
    }

    async close() {
        await this.process.stop();
    }
}
