// Where things run: the cores, the descriptors, the temporary directory, the packages; and what the
// report says about the machine.
import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import os from 'node:os';
import { join } from 'node:path';
import { root, tool } from '../../tests/e2e/kit/env.mjs';
import { Process } from '../../tests/e2e/kit/process.mjs';

/** All server processes share the first core; client and publisher have the second. */
export const SERVER_CORE = 0;
export const CLIENT_CORE = os.cpus().length > 1 ? 1 : 0;

/** Descriptors that a process may have. */
export const descriptors = Number(execFileSync('sh', ['-c', 'ulimit -H -n']).toString().trim()) || 1048576;

/** The command, on that core and with every descriptor that is allowed. */
export function pinned(core, command, args) {
    return ['sh', ['-c', `ulimit -n ${descriptors} && exec "$@"`, 'sh', 'taskset', '-c', String(core),
        command, ...args]];
}

/** Starts a server process. Its own id is that of the process: sh and taskset become it. */
export function serve(directory, command, args, options = {}) {
    const [first, rest] = pinned(SERVER_CORE, command, args);
    return new Process(first, rest, { log: join(directory, 'output.log'), ...options });
}

const temporary = new Set();
process.on('exit', () => {
    for (const directory of temporary)
        rmSync(directory, { recursive: true, force: true });
});

/** A directory that is removed at the end at the latest. */
export function directory() {
    const path = mkdtempSync(join(os.tmpdir(), 'freshet-bench-'));
    chmodSync(path, 0o755);
    temporary.add(path);
    return path;
}

export function discard(path) {
    rmSync(path, { recursive: true, force: true });
    temporary.delete(path);
}

/** Installs Debian packages that only the bench needs; says which. */
export function install(packages) {
    const done = spawnSync('sh', ['-c', '. "$root/tests/lib/common.sh"; install_missing "$@"', 'bench',
        ...packages], { env: { ...process.env, root }, stdio: ['ignore', 'inherit', 'inherit'] });
    if (done.status !== 0)
        throw new Error(`cannot install ${packages.join(' ')}: install them by hand and start again`);
}

function output(command, args) {
    const done = spawnSync(command, args, { encoding: 'utf8' });
    return `${done.stdout ?? ''}${done.stderr ?? ''}`.trim();
}

function version(name) {
    return output('dpkg-query', ['-W', '-f', '${Version}', name]) || 'not from a package';
}

/** Everything a reader needs to judge the figures. */
export function describe() {
    const cpu = os.cpus();
    const dirty = output('git', ['-C', root, 'status', '--porcelain', '--', ':!bench/REPORT.md',
        ':!bench/results.json', ':!bench/curves']);
    return {
        commit: output('git', ['-C', root, 'rev-parse', '--short', 'HEAD']) + (dirty ? ' with changes' : ''),
        date: new Date().toISOString().slice(0, 16).replace('T', ' '),
        cpu: `${cpu.length} × ${cpu[0].model.trim()}`,
        memory: `${Math.round(os.totalmem() / 2 ** 30)} GB`,
        kernel: os.release(),
        system: /PRETTY_NAME="(.*)"/.exec(readFileSync('/etc/os-release', 'utf8'))?.[1] ?? os.type(),
        descriptors,
        versions: {
            nginx: output(tool('nginx'), ['-v']).replace('nginx version: nginx/', ''),
            nchan: version('libnginx-mod-nchan'),
            node: process.version,
            php: version('php8.2-fpm'),
            sqlite: version('libsqlite3-0'),
            libuv: version('libuv1'),
            libfcgi: version('libfcgi0ldbl'),
        },
    };
}

/** How busy the machine is with other things, in processes: figures taken above 0.3 are doubtful. */
export function load() {
    return os.loadavg()[0];
}
