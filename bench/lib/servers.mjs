// The servers that are compared. Each is opened for one run in a directory of its own, with all its
// processes on one core, and has:
//   port, path   what clients ask for; %d stands for the topic's number
//   earliest     the same, from the first event on
//   sink         where publish sends events
//   next         the seq of the next event
//   pids         { name: process id }, for CPU time and memory
//   crash(away)  kills everything without warning, awaits away() and starts it again
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { configure } from '../../tests/e2e/kit/config.mjs';
import { program, root, tool } from '../../tests/e2e/kit/env.mjs';
import { accepts, freePort } from '../../tests/e2e/kit/net.mjs';
import { run } from '../../tests/e2e/kit/process.mjs';
import { descriptors, directory, discard, serve } from './machine.mjs';

const SPARE = 100; // descriptors that nginx needs in addition to its connections
const asRoot = process.getuid() === 0;

/** Fills the places in capitals. */
function fill(source, target, places) {
    let text = readFileSync(join(root, 'bench/peers', source), 'utf8');
    for (const [name, value] of Object.entries(places))
        text = text.replaceAll(new RegExp(`(?<![A-Z_])${name}(?![A-Z_])`, 'g'), value);
    writeFileSync(target, text);
}

export function emptyDatabase(path) {
    const made = run(program('tests/unit/make_db'), [path]);
    if (made.code !== 0)
        throw new Error(made.stderr);
}

class Server {
    constructor() {
        this.dir = directory();
        this.next = 1;
        this.processes = {};
    }

    get pids() {
        return Object.fromEntries(Object.entries(this.processes).map(([name, p]) => [name, p.pid]));
    }

    get places() {
        return { USER: asRoot ? 'user root root;' : '', DIRECTORY: this.dir, PORT: this.port,
            DESCRIPTORS: descriptors, CONNECTIONS: descriptors - SPARE };
    }

    /** Starts a process and waits until it accepts connections at `where`. */
    async launch(name, where, command, args) {
        this.processes[name] = await serve(this.dir, command, args)
            .ready(`${name} to listen`, () => accepts(where));
    }

    launchNginx(config) {
        return this.launch('nginx', this.port, tool('nginx'),
            ['-e', join(this.dir, 'start.log'), '-p', this.dir, '-c', config, '-g', 'daemon off;']);
    }

    /** The given database, or an empty one. */
    database(existing) {
        this.db = existing ?? join(this.dir, 'events.db');
        this.sink = ['--db', this.db];
        if (!existing)
            emptyDatabase(this.db);
    }

    /** Ends everything at once. */
    async kill() {
        await Promise.all(Object.values(this.processes).map((p) => p.stop('SIGKILL')));
    }

    async crash(away = async () => {}) {
        await this.kill();
        await away();
        await this.start();
    }

    async close() {
        await Promise.all(Object.values(this.processes).map((p) => p.stop('SIGKILL')));
        discard(this.dir);
    }
}

/** What the head of that file in nginx/ tells to start the responder with, besides its places. */
function optionsOf(site) {
    const use = /^#.* freshet-fcgi (.*)--db FILE /m.exec(readFileSync(join(root, 'nginx', `${site}.conf`), 'utf8'));
    return use?.[1].split(' ').filter(Boolean) ?? [];
}

/** site: a file of nginx/; seed: what to do with the database before the responder starts. */
class Freshet extends Server {
    static async open({ site = 'fanout', nginxWorkers = 1, workers = 1, options = [], seed, db } = {}) {
        const server = new Freshet();
        server.options = [...optionsOf(site), ...options, '--workers', String(workers)];
        server.port = await freePort();
        server.path = '/events?topic=t%d';
        server.earliest = '/events?topic=t%d&since=earliest';
        server.database(db);
        await seed?.(server);
        server.configure(site, nginxWorkers);
        await server.start();
        return server;
    }

    /** The shipped files; only what names places and this machine's limits is exchanged. */
    configure(site, workers) {
        const nginx = join(this.dir, 'nginx.conf');
        mkdirSync(join(this.dir, 'conf.d'));
        for (const name of ['mime.types', 'fastcgi_params'])
            symlinkSync(`/etc/nginx/${name}`, join(this.dir, name));
        configure('nginx/nginx.conf', nginx, [
            ['user www-data;', asRoot ? 'user root root;' : ''],
            ['pid /run/nginx.pid;', 'pid nginx.pid;'],
            ['access_log /var/log/nginx/access.log;', 'access_log off;'],
            ['/var/log/nginx/', `${this.dir}/`],
            ['worker_processes auto;', `worker_processes ${workers};`],
            ['worker_rlimit_nofile 16384;', `worker_rlimit_nofile ${descriptors};`],
            ['worker_connections 16000;', `worker_connections ${descriptors - SPARE};`],
        ]);
        writeFileSync(join(this.dir, 'conf.d', 'temp.conf'),
            ['client_body', 'fastcgi', 'proxy', 'scgi', 'uwsgi']
                .map((name) => `${name}_temp_path ${this.dir}/temp-${name};\n`).join(''));
        configure(`nginx/${site}.conf`, join(this.dir, 'conf.d', 'freshet.conf'), [
            ['listen 80 ', `listen 127.0.0.1:${this.port} `],
            ['unix:/run/freshet/freshet.sock', `unix:${this.dir}/f.sock`],
        ]);
    }

    async start() {
        await this.startResponder();
        if (!this.processes.nginx || this.processes.nginx.how)
            await this.launchNginx('nginx.conf');
    }

    startResponder() {
        const socket = join(this.dir, 'f.sock');
        return this.launch('responder', socket, program('freshet-fcgi'),
            ['--db', this.db, '--listen', `unix:${socket}`, '--socket-mode', '0666', ...this.options]);
    }

    /** Only the responder is killed: nginx stays, as it does in an installation. */
    async kill() {
        await this.processes.responder.stop('SIGKILL');
    }
}

class Nchan extends Server {
    static async open({ seed } = {}) {
        const server = new Nchan();
        server.port = await freePort();
        server.path = '/sub/t%d';
        server.earliest = '/all/t%d';
        server.sink = ['--http', server.port];
        fill('nchan.conf', join(server.dir, 'nginx.conf'), {
            ...server.places, MODULES: '/usr/lib/nginx/modules' });
        await server.start();
        await seed?.(server);
        return server;
    }

    start() {
        return this.launchNginx('nginx.conf');
    }
}

class NodeFanout extends Server {
    static async open({ seed } = {}) {
        const server = new NodeFanout();
        server.port = await freePort();
        server.path = '/events?topic=t%d';
        server.earliest = '/events?topic=t%d&since=earliest';
        server.sink = ['--http', server.port];
        await server.start();
        await seed?.(server);
        return server;
    }

    start() {
        return this.launch('node', this.port, process.execPath,
            ['--max-old-space-size=4096', join(root, 'bench/peers/node-fanout.mjs'), this.port]);
    }
}

class Php extends Server {
    static async open({ children = 110, seed } = {}) {
        const server = new Php();
        server.port = await freePort();
        server.path = '/events?topic=t%d';
        server.earliest = '/events?topic=t%d&since=earliest';
        server.database();
        await seed?.(server);
        const places = { ...server.places, CHILDREN: children, DATABASE: server.db,
            SCRIPT: join(root, 'bench/peers/php/events.php'), FASTCGI_PARAMS: '/etc/nginx/fastcgi_params' };
        fill('php/nginx.conf', join(server.dir, 'nginx.conf'), places);
        fill('php/fpm.conf', join(server.dir, 'fpm.conf'), {
            ...places, USER: asRoot ? 'user = root\ngroup = root' : '' });
        await server.start();
        return server;
    }

    async start() {
        await this.launch('fpm', join(this.dir, 'fpm.sock'), tool(Php.fpm()),
            ['--nodaemonize', '--fpm-config', join(this.dir, 'fpm.conf'), ...(asRoot ? ['-R'] : [])]);
        await this.launchNginx('nginx.conf');
    }

    static fpm() {
        for (const version of ['8.2', '8.4', '8.3', '8.1', '7.4']) {
            try {
                tool(`php-fpm${version}`);
                return `php-fpm${version}`;
            } catch {
                continue;
            }
        }
        throw new Error('php-fpm is not installed');
    }
}

/** By the names that results use. */
export const servers = {
    freshet: { title: 'freshet', open: (options) => Freshet.open(options) },
    nchan: { title: 'nchan', open: (options) => Nchan.open(options), packages: ['libnginx-mod-nchan'] },
    node: { title: 'plain Node', open: (options) => NodeFanout.open(options) },
    php: { title: 'PHP-FPM loop', open: (options) => Php.open(options),
        packages: ['php-fpm', 'php-sqlite3'] },
};
