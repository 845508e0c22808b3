// Two users write to one database, as freshet(1) says under WRITERS: the responder is one, an application
// another. They start in either order, with the umask that lets nobody in, and are started again. And what
// those are told who did not prepare it so.
import assert from 'node:assert/strict';
import { chmodSync, chownSync, copyFileSync, existsSync, mkdirSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { program, root, tool } from './kit/env.mjs';
import { accepts } from './kit/net.mjs';
import { Nginx } from './kit/nginx.mjs';
import { Process, run } from './kit/process.mjs';
import { Stream } from './kit/stream.mjs';
import { until } from './kit/wait.mjs';

/* Numbers are enough to be users; nobody has to be made for it. */
const RESPONDER = 41001;
const APPLICATION = 41002;
const STRANGER = 41003;
const GROUP = 41000;

/** The command as this user, who is a member of these groups too. */
function as(user, [command, ...args], groups = [GROUP]) {
    return [tool('setpriv'), `--reuid=${user}`, `--regid=${user}`,
        groups.length ? `--groups=${groups}` : '--clear-groups', '--',
        'sh', '-c', 'umask 077; exec "$0" "$@"', command, ...args];
}

/** A machine with programs, a web server, and no database yet. */
class Machine {
    static async open(t) {
        assert.equal(process.getuid(), 0, 'becoming other users needs root');
        const machine = new Machine();
        machine.dir = mkdtempSync(join(tmpdir(), 'freshet-test-'));
        chmodSync(machine.dir, 0o755);
        t.after(() => machine.close());
        // Where the build is, other users perhaps may not go.
        for (const name of ['freshet', 'freshet-fcgi', 'freshet-ingest']) {
            copyFileSync(program(name), join(machine.dir, name));
            chmodSync(join(machine.dir, name), 0o755);
        }
        mkdirSync(join(machine.dir, 'run'));
        chownSync(join(machine.dir, 'run'), RESPONDER, RESPONDER);
        machine.socket = join(machine.dir, 'run', 'f.sock');
        machine.db = join(machine.dir, 'log', 'events.db');
        machine.nginx = await Nginx.open({ dir: machine.dir, web: join(root, 'web'), socket: machine.socket }, 'minimal');
        return machine;
    }

    own(name) {
        return join(this.dir, name);
    }

    init(...options) {
        const done = run(this.own('freshet'), ['init', '--db', this.db, ...options]);
        assert.equal(done.code, 0, done.stderr);
    }

    async startResponder() {
        const [command, ...args] = as(RESPONDER, [this.own('freshet-fcgi'), '--db', this.db,
            '--listen', `unix:${this.socket}`, '--socket-mode', '0666', '--publish', '--poll', '100ms']);
        this.responder = new Process(command, args, { log: this.own('responder.log') });
        await this.responder.ready('the responder to listen', () => accepts(this.socket));
    }

    stream(rest) {
        return Stream.open(`http://127.0.0.1:${this.nginx.port}/events${rest}`);
    }

    /** One event by the sqlite3 shell, as the application. */
    insert(data) {
        const [command, ...args] = as(APPLICATION, [tool('sqlite3'), '-batch', '-bail', '-cmd', '.timeout 5000', this.db,
            `INSERT INTO events(topic, data) VALUES('a', '${data}')`]);
        const done = run(command, args);
        assert.equal(done.code, 0, done.stderr);
    }

    /** The application with the database open: it has written something, and stays. */
    async openApplication(data) {
        const ready = this.own(`ready-${data}`);
        const [command, ...args] = as(APPLICATION, [tool('sqlite3'), '-batch', '-bail', this.db,
            `INSERT INTO events(topic, data) VALUES('a', '${data}')`, `.shell touch ${ready}`, '.shell sleep 60']);
        chmodSync(this.dir, 0o777);
        const application = new Process(command, args, { log: this.own('application.log') });
        (this.applications ??= []).push(application);
        await application.ready('the application to have written', () => existsSync(ready));
        return application;
    }

    /** [user, group, mode] of what lies beside the database. */
    beside() {
        return ['-wal', '-shm'].map((suffix) => {
            const st = statSync(this.db + suffix);
            return [st.uid, st.gid, (st.mode & 0o7777).toString(8)];
        });
    }

    async close() {
        for (const application of this.applications ?? [])
            await application.stop('SIGKILL');
        await this.responder?.stop();
        await this.nginx?.close();
        rmSync(this.dir, { recursive: true, force: true });
    }
}

async function has(stream, ...data) {
    await stream.take(data.length);
    assert.deepEqual(stream.events.map((event) => event.data), data);
    stream.close();
}

describe('two users write to one database', { concurrency: 2 }, () => {
    it('the responder starts first', async (t) => {
        const machine = await Machine.open(t);
        machine.init('--group', String(GROUP));
        await machine.startResponder();
        assert.deepEqual(machine.beside(), Array(2).fill([RESPONDER, GROUP, '660']));
        const live = await machine.stream('?topic=a&since=earliest');
        machine.insert('one');
        await has(live, 'one');
        // Started again while the application has it open, and then alone.
        const application = await machine.openApplication('two');
        await machine.responder.stop();
        await machine.startResponder();
        machine.insert('three');
        await has(await machine.stream('?since=earliest'), 'one', 'two', 'three');
        await application.stop('SIGKILL');
        machine.insert('four');
        await has(await machine.stream('?since=earliest'), 'one', 'two', 'three', 'four');
        await machine.responder.stop();
        machine.insert('five');
        await machine.startResponder();
        await has(await machine.stream('?since=earliest'), 'one', 'two', 'three', 'four', 'five');
    });

    it('the application starts first', async (t) => {
        const machine = await Machine.open(t);
        machine.init('--group', String(GROUP));
        const application = await machine.openApplication('one');
        assert.deepEqual(machine.beside(), Array(2).fill([APPLICATION, GROUP, '660']));
        await machine.startResponder();
        const live = await machine.stream('?topic=a&since=earliest');
        machine.insert('two');
        await has(live, 'one', 'two');
        // What the killed one leaves behind is the next one's to tidy up.
        await machine.responder.stop('SIGKILL');
        await application.stop('SIGKILL');
        assert.ok(existsSync(`${machine.db}-wal`));
        machine.insert('three');
        await machine.startResponder();
        const page = await fetch(`http://127.0.0.1:${machine.nginx.port}/events?since=earliest`,
            { headers: { Accept: 'application/json' } });
        assert.deepEqual((await page.json()).events.map((event) => event.data), ['one', 'two', 'three']);
    });

    it('freshet check finds nothing against it, whoever asks; a stranger is told what is in its way', async (t) => {
        const machine = await Machine.open(t);
        machine.init('--group', String(GROUP));
        await machine.startResponder();
        const check = (user, groups) => {
            const [command, ...args] = as(user, [machine.own('freshet'), 'check', '--db', machine.db], groups);
            const done = run(command, args);
            return { code: done.code, text: done.stdout.toString().replaceAll(/\s+/g, ' ') };
        };
        const good = check(APPLICATION);
        assert.equal(good.code, 0, good.text);
        assert.match(good.text, /ok writers group 41000, mode 0660/);
        const stranger = check(STRANGER, []);
        assert.equal(stranger.code, 1);
        assert.match(stranger.text, /\/log may not be entered by user 41003: it has mode 2770, owner 0 and group 41000/);
    });

    it('a database that was made for one user: the other one is told which file is in its way', async (t) => {
        const machine = await Machine.open(t);
        mkdirSync(join(machine.dir, 'log'));
        machine.init();
        const publish = () => {
            const [command, ...args] = as(APPLICATION, [machine.own('freshet'), 'publish', '--db', machine.db,
                '--topic', 'a', 'x']);
            return run(command, args);
        };
        const told = (file, mode) => {
            const done = publish();
            assert.equal(done.code, 1);
            assert.match(done.stderr, new RegExp(`${file} may not be (read|written) by user ${APPLICATION}: it has ` +
                `mode ${mode}, owner 0 and group 0; several users need one group: freshet init --group`));
        };
        told('log/events\\.db', '0600');
        // What people try next.
        chmodSync(machine.db, 0o666);
        told('/log', '0755');
        chmodSync(join(machine.dir, 'log'), 0o777);
        assert.equal(publish().code, 0, 'everybody may write everything');
        // A group, but a directory that does not hand it on: the user who opens it first shuts the others out.
        chmodSync(machine.db, 0o660);
        chownSync(machine.db, RESPONDER, GROUP);
        chownSync(join(machine.dir, 'log'), RESPONDER, GROUP);
        chmodSync(join(machine.dir, 'log'), 0o770);
        await machine.startResponder();
        const shut = publish();
        assert.equal(shut.code, 1);
        assert.match(shut.stderr, new RegExp(`events\\.db-(wal|shm) may not be (read|written) by user ${APPLICATION}: it ` +
            `has mode 0660, owner ${RESPONDER} and group ${RESPONDER}`));
        const check = run(machine.own('freshet'), ['check', '--db', machine.db]).stdout.toString().replaceAll(/\s+/g, ' ');
        assert.match(check, /warn writers group 41000 may write the database, but \S+-shm keeps some of them out/);
        assert.match(check, /does not pass its group on/);
        // The advice, followed.
        await machine.responder.stop();
        machine.init('--group', String(GROUP));
        await machine.startResponder();
        assert.equal(publish().code, 0);
    });
});
