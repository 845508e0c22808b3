// freshet doctor: the shipped configurations pass; each misconfiguration of admin/doctor.def, made on
// purpose, is named together with the line that fixes it.
import assert from 'node:assert/strict';
import { createServer, request } from 'node:http';
import { after, before, describe, it } from 'node:test';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { curl } from './kit/curl.mjs';
import { program, root } from './kit/env.mjs';
import { freePort } from './kit/net.mjs';
import { Nginx } from './kit/nginx.mjs';
import { run, start } from './kit/process.mjs';
import { scaled, slowness } from './kit/wait.mjs';
import { World } from './kit/world.mjs';

/* A heartbeat that a test can wait for, and one that it cannot. */
const SOON = ['--heartbeat', '600ms'];
const LATER = ['--heartbeat', '1h'];

const seen = new Set();

/** Runs it: { code, findings: [{ level, part, text, cure }], bad: those that are warn or fail }. */
async function doctor(...args) {
    const done = await start(program('freshet'), ['doctor', '--json', '--wait', '4s', ...args]);
    const report = JSON.parse(done.stdout);
    for (const finding of report.findings)
        seen.add(finding.text);
    assert.equal(report.result === 'fail' ? 1 : 0, done.code);
    return {
        ...report, code: done.code, texts: report.findings.map((finding) => finding.text).join('\n'),
        bad: report.findings.filter((finding) => finding.level === 'warn' || finding.level === 'fail'),
    };
}

/** The options by which a world's certificate is trusted. */
function trust(world) {
    return world.tls ? ['--ca', world.tls.certificate] : [];
}

function story(name, place, body) {
    it(name, () => World.during({ options: SOON, ...place }, body));
}

/** What is wrong, less the warnings that things take long, where that is true: of a machine that runs many tests. */
function findings(report, part) {
    const slow = slowness() > 1.5 ? ['first byte', 'delay'] : ['first byte'];
    return report.bad.filter((one) => one.part === part || !slow.includes(one.part) || one.level !== 'warn');
}

/** Exactly one thing is wrong, of this part, with these patterns in text and cure. */
function onlyFinding(report, level, part, text, cure) {
    const found = findings(report, part);
    assert.deepEqual(found.map((finding) => [finding.level, finding.part]), [[level, part]],
        JSON.stringify(report.bad));
    assert.match(found[0].text, text);
    assert.match(found[0].cure.join('\n'), cure);
}

function clean(report) {
    assert.deepEqual(findings(report), []);
    assert.equal(report.code, 0);
}

/** [name, server, what is changed in its minimal.conf, level, part, text, cure, the responder's options, --wait] */
const wrong = [
    ['buffering', 'nginx', [['include fastcgi_params;',
        'include fastcgi_params; fastcgi_ignore_headers X-Accel-Buffering;']],
    'fail', 'buffering', /no byte of the stream in 5\.\d s, while a page of history came/,
    /nginx: fastcgi_buffering off;.*fastcgi_ignore_headers/],
    ['buffering', 'lighttpd', [['server.stream-response-body = 2', 'server.stream-response-body = 0']],
        'fail', 'buffering', /no byte of the stream/, /lighttpd: server\.stream-response-body = 2/],
    ['compression', 'nginx', [['include fastcgi_params;',
        'include fastcgi_params; gzip on; gzip_types text/event-stream;']],
    'warn', 'compression', /compressed \(Content-Encoding: gzip\)/, /nginx: gzip off;/],
    ['a timeout under the heartbeat', 'nginx', [['include fastcgi_params;',
        'include fastcgi_params; fastcgi_read_timeout 2s;']],
    'fail', 'timeout', /cut after [2-3]\.\d s of silence/, /nginx: fastcgi_read_timeout 60s;/, LATER],
    ['a timeout under the heartbeat', 'lighttpd', [['"check-local" => "disable"',
        '"check-local" => "disable", "read-timeout" => 2']],
    'fail', 'timeout', /cut after [2-8]\.\d s of silence/, /lighttpd: "read-timeout" => 60/, LATER, '12s'],
    ['no Last-Event-ID', 'nginx', [['include fastcgi_params;',
        'include fastcgi_params; fastcgi_param HTTP_LAST_EVENT_ID "";']],
    'fail', 'resume', /freshet-doctor, which is not a position/, /nginx: fastcgi_pass_request_headers on;/],
    ['no Last-Event-ID', 'lighttpd', [['"mod_fastcgi",', '"mod_setenv", "mod_fastcgi",'],
        ['index-file.names', 'setenv.set-request-header = ( "Last-Event-ID" => "" )\nindex-file.names']],
    'fail', 'resume', /freshet-doctor, which is not a position/, /lighttpd: no setenv\.set-request-header/],
    ['no Accept', 'nginx', [['include fastcgi_params;',
        'include fastcgi_params; fastcgi_param HTTP_ACCEPT "";']],
    'warn', 'history', /requested, and a stream came/, /fastcgi_pass_request_headers/],
    ['another Cache-Control', 'nginx', [['include fastcgi_params;', 'include fastcgi_params; expires 1h;']],
        'warn', 'caching', /Cache-Control:/, /no expires/],
    ['no heartbeat', 'nginx', [], 'warn', 'timeout', /no heartbeat in 4\.\d s of silence/, /longer --wait|--wait/, LATER],
];

describe('freshet doctor', { concurrency: 14 }, () => {
    for (const [server, variant] of [['nginx', 'minimal'], ['nginx', 'production'], ['lighttpd', 'minimal'],
        ['lighttpd', 'production'], ['lighttpd', 'bin-path']]) {
        const way = variant === 'bin-path' ? variant : undefined;
        story(`${server} ${variant} passes`, { server, variant, way, limit: 100 }, async (world) => {
            const report = await doctor(...trust(world), '--db', world.db.file, world.url());
            clean(report);
            const parts = report.findings.filter((finding) => finding.level === 'ok').map((finding) => finding.part);
            for (const part of ['connect', 'answer', 'first byte', 'live', 'compression', 'caching', 'protocol',
                'history', 'delay', 'resume', 'timeout'])
                assert.ok(parts.includes(part), `${part} in ${parts}`);
            // Not published to: the position of the newest event but one is what it comes back with.
            clean(await doctor(...trust(world), world.url()));
        });
        if (way)
            continue;
        story(`${server} ${variant} passes while the responder is away`, { server, variant }, async (world) => {
            const up = await doctor(...trust(world), '--expect-down', world.url());
            onlyFinding(up, 'fail', 'away', /is live at/, /stop the responder/);
            await world.responder.process.stop('SIGKILL');
            const report = await doctor(...trust(world), '--expect-down', world.url());
            clean(report);
            assert.match(report.texts, /"retry: [1-9]\d{3}"/);
            assert.match(report.texts, /status 503/);
            onlyFinding(await doctor(...trust(world), world.url()), 'fail', 'away',
                /contains only "retry:/, /start the responder/);
        });
    }

    for (const [name, server, edits, level, part, text, cure, options, wait] of wrong)
        story(`${server}: ${name}`, { server, edits, options: options ?? SOON }, async (world) => {
            onlyFinding(await doctor('--wait', wait ?? '4s', world.url()), level, part, text, cure);
        });

    story('no Last-Event-ID, where events are known', { edits: [['include fastcgi_params;',
        'include fastcgi_params; fastcgi_param HTTP_LAST_EVENT_ID "";']] }, async (world) => {
        onlyFinding(await doctor('--db', world.db.file, world.url('?since=earliest')), 'fail', 'resume',
            /after Last-Event-ID: 1-.{4} comes 1-.{4} instead of 2-/, /fastcgi_pass_request_headers/);
    });

    story('nginx: events without a URL of their own, as its configuration was before', { edits: [
        ['fastcgi_param PATH_INFO $fastcgi_path_info;', '']], prepare: (db) => db.fill('a', 3) }, async (world) => {
        onlyFinding(await doctor(world.url()), 'warn', 'events', /events\/2-.{4} is answered with something else/,
            /fastcgi_split_path_info[^]*PATH_INFO/);
    });

    story('nginx that keeps X-Accel-Buffering: said in front of it, and found behind another nginx',
        { edits: [['fastcgi_pass_header X-Accel-Buffering;', '']] }, async (world) => {
            const inner = await doctor(world.url());
            clean(inner);
            const note = inner.findings.find((finding) => finding.part === 'buffering');
            assert.equal(note.level, 'note');
            assert.match(note.cure.join(), /fastcgi_pass_header X-Accel-Buffering;/);
            const outer = await Nginx.openProxy(join(world.dir, 'outer'), world.base);
            try {
                onlyFinding(await doctor(`http://127.0.0.1:${outer.port}/events`), 'fail', 'buffering',
                    /no byte of the stream/, /fastcgi_pass_header X-Accel-Buffering;/);
            } finally {
                await outer.close();
            }
        });

    story('a second nginx in front of it passes', {}, async (world) => {
        const outer = await Nginx.openProxy(join(world.dir, 'outer'), world.base);
        try {
            clean(await doctor(`http://127.0.0.1:${outer.port}/events`));
        } finally {
            await outer.close();
        }
    });

    story('redirected to another origin: no header, cookie or token goes there', {}, async (world) => {
        const SECRETS = ['authorization', 'cookie', 'x-secret'];
        const heard = [];
        const note = (name, incoming) => heard.push([name, ...SECRETS.filter((secret) => incoming.headers[secret])]);
        const listen = async (handler) => {
            const server = createServer(handler);
            await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
            return server;
        };
        const there = await listen((incoming, outgoing) => {
            note('there', incoming);
            outgoing.writeHead(307, { location: `${world.base}${incoming.url}` }).end();
        });
        const here = await listen((incoming, outgoing) => {
            note('here', incoming);
            if (incoming.url.startsWith('/moved'))
                outgoing.writeHead(301, { location: '/events' }).end('moved');
            else
                outgoing.writeHead(302, { location: `http://127.0.0.1:${there.address().port}${incoming.url}` }).end('away');
        });
        try {
            const report = await doctor('--header', 'X-Secret: s', '--cookie', 'login=s', '--token', 's',
                `http://127.0.0.1:${here.address().port}/moved`);
            clean(report);
            assert.match(report.texts, /redirected to http:.*another origin, to which --token/);
            assert.ok(heard.length >= 6);
            for (const [name, ...secrets] of heard)
                assert.deepEqual(secrets, name === 'here' ? SECRETS : [], name);
        } finally {
            for (const server of [here, there]) {
                server.closeAllConnections();
                server.close();
            }
        }
    });

    it('behind a login here, and open to everybody beside it', async () => {
        const login = createServer((incoming, outgoing) => {
            const known = incoming.headers.cookie === 'session=ok';
            outgoing.writeHead(known ? 204 : 401, known ? { 'X-Freshet-Topics': '*' } : {}).end();
        });
        await new Promise((resolve) => login.listen(0, '127.0.0.1', resolve));
        const auth = `http://127.0.0.1:${login.address().port}/`;
        const prepare = (db) => db.fill('secret', 3);
        try {
            for (const [options, edits] of [[SOON, []],
                [[...SOON, '--public-topics', 'public/*'], [['fastcgi_param FRESHET_TOPICS $freshet_open if_not_empty;', '']]],
                [SOON, [['fastcgi_param FRESHET_TOPICS $freshet_open if_not_empty;', '']]]]) {
                const world = await World.open({ variant: 'production', auth, options, edits, prepare });
                try {
                    const report = await doctor(...trust(world), '--cookie', 'session=ok', `${world.base}/private/events`);
                    if (edits.length === 0 || options !== SOON)
                        clean(report);
                    else
                        onlyFinding(report, 'fail', 'access', /\/events is not/, /FRESHET_TOPICS "public[^]*--public-topics/);
                } finally {
                    await world.close();
                }
            }
        } finally {
            login.closeAllConnections();
            login.close();
        }
    });

    // It compresses only what is complete, so there is nothing to name.
    story('lighttpd: mod_deflate leaves streams alone', { server: 'lighttpd', edits: [
        ['"mod_fastcgi",', '"mod_fastcgi", "mod_deflate",'],
        ['index-file.names', 'deflate.mimetypes = ( "text/" )\n' +
            'deflate.allowed-encodings = ( "gzip" )\nindex-file.names']] }, async (world) => {
        const page = await curl(['-H', 'Accept-Encoding: gzip', `${world.base}/index.html`]);
        assert.equal(page.headers['content-encoding'], 'gzip');
        clean(await doctor(world.url()));
    });

    story('a timeout behind HTTP/2 is seen too', { server: 'nginx', variant: 'production', options: LATER,
        edits: [['fastcgi_read_timeout 60s;', 'fastcgi_read_timeout 1s;']] }, async (world) => {
        onlyFinding(await doctor(...trust(world), world.url()), 'fail', 'timeout', /cut after 1\.\d s/,
            /fastcgi_read_timeout 60s;/);
    });

    story('HTTP/1.1 over TLS', { server: 'nginx', variant: 'production', edits: [[' ssl http2;', ' ssl;']] },
        async (world) => {
            onlyFinding(await doctor(...trust(world), world.url()), 'warn', 'protocol', /HTTP\/1\.1 over TLS/,
                /listen 443 ssl http2;/);
        });

    for (const [server, edits, cure] of [
        ['nginx', [['error_page 502 503 504 = @retry;', '']], /error_page 502 503 504 = @retry;[^]*return 200/],
        ['lighttpd', [['server.error-handler = "/retry"', '']], /server\.error-handler = "\/retry"[^]*retry\.cgi/]])
        story(`${server}: a responder that is away, and nobody tells clients to come back`, { server, edits },
            async (world) => {
                await world.responder.process.stop('SIGKILL');
                for (const options of [[], ['--expect-down']])
                    onlyFinding(await doctor(...options, world.url()), 'fail', 'away', /status 50[23]/, cure);
            });

    story('nginx: programs are told that all is well, and clients not when to come back', { server: 'nginx', edits: [
        ['if ($http_accept ~ application/)', 'if ($http_accept ~ nobody)'], ['"retry: 3000\\n"', '": hello\\n"']] },
    async (world) => {
        await world.responder.process.stop('SIGKILL');
        const report = await doctor('--expect-down', world.url());
        assert.deepEqual(report.bad.map((finding) => finding.level), ['warn', 'warn']);
        assert.match(report.bad[0].text, /no retry: time/);
        assert.match(report.bad[1].cure.join(), /http_accept ~ application/);
    });

    story('probe events by POST', { options: [...SOON, '--publish'], parameters: { FRESHET_PUBLISH: 'on' } },
        async (world) => {
            const report = await doctor('--publish-to', world.url(), '--topic', 'a b/"c"', world.url());
            clean(report);
            assert.match(report.texts, /5 events, from sending the POST/);
            assert.equal(world.db.ids('a b/"c"').length, 5);
        });

    story('what may not be published', { options: SOON }, async (world) => {
        onlyFinding(await doctor('--publish-to', world.url(), world.url()), 'fail', 'delay', /status 40\d/,
            /FRESHET_PUBLISH/);
        onlyFinding(await doctor('--db', join(world.dir, 'none.db'), world.url()), 'fail', 'delay', /no such file/,
            /allowed to write to/);
    });

    story('events that do not come', {}, async (world) => {
        const other = join(world.dir, 'other.db');
        run(program('freshet'), ['init', '--db', other]);
        onlyFinding(await doctor('--db', other, world.url()), 'fail', 'delay', /was committed, but did not come/,
            /compare --db/);
    });

    story('origins', { options: [...SOON, '--cors-origin', 'https://app.example'] }, async (world) => {
        clean(await doctor('--origin', 'https://app.example', world.url()));
        onlyFinding(await doctor('--origin', 'https://other.example', world.url()), 'fail', 'origin', /missing/,
            /--cors-origin/);
    });
    story('an origin that is allowed twice', { options: [...SOON, '--cors-origin', 'https://app.example'],
        edits: [['include fastcgi_params;', 'include fastcgi_params; add_header Access-Control-Allow-Origin *;']] },
    async (world) => {
        onlyFinding(await doctor('--origin', 'https://app.example', world.url()), 'fail', 'origin', /2 lines/,
            /no add_header/);
    });

    it('tokens', async () => {
        const secret = 'a secret of thirty-two bytes or so';
        const options = [...SOON, '--token-cookie', 'login', '--token-key'];
        const world = await World.open({ options, prepare(db) {
            options.push(`${db.file}.key`);
            writeFileSync(options.at(-1), secret);
        } });
        try {
            const token = run(program('freshet'), ['token', '--key', `${world.db.file}.key`, '--read', 'news/*'])
                .stdout.toString().trim();
            onlyFinding(await doctor(world.url()), 'fail', 'access', /status 401 \(.+\)/, /freshet token --inspect/);
            onlyFinding(await doctor('--token', token, world.url('?topic=other')), 'fail', 'access',
                /status 403 \(.+\)/, /FRESHET_TOPICS/);
            clean(await doctor('--token', token, world.url('?topic=news/sport')));
            clean(await doctor('--cookie', `login=${token}`, world.url()));
            clean(await doctor('--header', `Authorization: Bearer ${token}`, world.url()));
        } finally {
            await world.close();
        }
    });

    story('other paths', {}, async (world) => {
        onlyFinding(await doctor(`${world.base}/nothing`), 'fail', 'answer', /status 404/, /fastcgi_pass/);
        onlyFinding(await doctor(`${world.base}/index.html`), 'fail', 'answer', /Content-Type text\/html/, /fastcgi_pass/);
    });

    it('nobody there', async () => {
        onlyFinding(await doctor(`http://127.0.0.1:${await freePort()}/events`), 'fail', 'connect', /connect/,
            /start the web server/);
    });

    story('a certificate that nobody vouches for', { variant: 'production' }, async (world) => {
        onlyFinding(await doctor(world.url()), 'fail', 'connect', /certificate/, /--ca FILE/);
    });
});

// What no web server here does is done by a server of our own, in this very process: so nothing else is
// started meanwhile, and all have one world.
describe('freshet doctor, with something in front', { concurrency: 14 }, () => {
    let world;
    before(async () => { world = await World.open({ options: SOON }); });
    after(() => world?.close());

    const fronts = [
        ['a cache', 'fail', 'caching', /Age: 7/, /from the cache/, { headers: { age: '7' } }],
        ['a proxy that says so', undefined, undefined, /Via: 1\.1 other/, undefined, { headers: { via: '1.1 other' } }],
        ['a slow start', 'warn', 'first byte', /after [1-4]\d{3}\./, /load/, { start: 1200 }],
        ['late events', 'warn', 'delay', /median (\d{3}|1\d{3})\./, /load/, { late: 600 }, true],
        ['events in lumps', 'fail', 'delay', /median [2-4]\d{3}\./, /must not buffer/, { late: 2050 }, true],
        ['a body that does not come', 'fail', 'buffering', /the head came, but no byte/, /must not buffer/, { late: 1e6 }],
        ['compression that keeps the body', 'fail', 'compression', /compressed/, /text\/event-stream/,
            { late: 1e6, headers: { 'content-encoding': 'gzip' } }],
        ['a limit of the duration', 'warn', 'timeout', /ended after/, /whole duration/, { cut: true }],
        ['no answer', 'fail', 'answer', /no byte in/, /look at the log/, { silent: true }],
        ['half an answer', 'fail', 'answer', /./, /log of the web server/, { destroy: true }],
        ['a status of its own', 'fail', 'answer', /status 500/, /log/, { status: 500 }],
        ['no history', 'warn', 'history', /status 500 came/, /log/, { history: 500 }],
        ['a redirect', undefined, undefined, /redirected to http:.*\/events:/, undefined, { redirect: true }],
    ];
    for (const [name, level, part, text, cure, how, publish] of fronts)
        it(name, async () => {
            const front = await openFront(world.url(), how);
            try {
                const report = await doctor(...publish ? ['--db', world.db.file] : [], front.url);
                if (level)
                    onlyFinding(report, level, part, text, cure);
                else
                    clean(report);
                assert.match(report.texts, text);
            } finally {
                front.close();
            }
        });

    it('it ends in time, and says so to people', async () => {
        const front = await openFront(world.url(), { silent: true });
        const began = performance.now();
        const done = await start(program('freshet'), ['doctor', '--timeout', '1s', front.url]);
        front.close();
        assert.ok(performance.now() - began < scaled(4000));
        assert.equal(done.code, 1);
        assert.match(done.stdout.toString(), /^FAIL {2}answer {6}no byte in \d+\.\d s/m);
        assert.match(done.stdout.toString(), /^ {18}→ look at the log of freshet-fcgi$/m);
    });

    after(() => {
        const rows = [...readFileSync(join(root, 'admin/doctor.def'), 'utf8').matchAll(
            /^SYMPTOM\(([A-Z_]+), "[a-z ]+", [A-Z]+,\s+((?:"[^"]*"\s*)+),/gm)];
        const texts = [...seen].join('\n');
        const missed = rows.filter(([, , meaning]) =>
            !texts.includes(meaning.replace(/"\s*"/g, '').trim().slice(1, -1))).map(([, name]) => name);
        assert.deepEqual(missed, [], 'symptoms that no test has made happen');
        assert.ok(rows.length > 25);
    });
});

/** A proxy that spoils what it passes on; see `fronts`. */
async function openFront(to, how) {
    const target = new URL(to);
    const sockets = new Set();
    let cut;
    const server = createServer((incoming, outgoing) => {
        const stream = incoming.headers.accept === 'text/event-stream';
        if (how.silent)
            return;
        if (how.destroy) {
            outgoing.destroy();
            return;
        }
        if (how.status || (!stream && how.history)) {
            outgoing.writeHead(how.status ?? how.history).end('no');
            return;
        }
        if (how.redirect && incoming.url.startsWith('/old')) {
            outgoing.writeHead(302, { location: incoming.url.replace('/old', '') }).end();
            return;
        }
        const onward = request({ host: target.hostname, port: target.port, path: incoming.url,
            headers: incoming.headers, agent: false }, (answer) => setTimeout(() => {
            outgoing.writeHead(answer.statusCode, { ...answer.headers, server: 'front', ...stream ? how.headers : {} });
            outgoing.flushHeaders();
            answer.on('data', (chunk) => {
                // Heartbeats and the start of the stream are not held back, unless everything is.
                const held = stream && (chunk.includes('id: ') || how.late > 1e5) ? how.late ?? 0 : 0;
                setTimeout(() => outgoing.write(chunk), held).unref();
            });
            // Behind what is still on its way.
            answer.on('end', () => setTimeout(() => outgoing.end(), stream ? how.late ?? 0 : 0).unref());
            // In the middle of events, not of silence: when the history has been asked for too.
            if (how.cut && !stream)
                answer.on('end', () => cut.end('data: the last\n\n'));
            else if (how.cut)
                cut = outgoing;
        }, stream ? how.start ?? 0 : 0));
        onward.on('error', () => outgoing.destroy());
        outgoing.on('close', () => onward.destroy());
        onward.end();
    });
    server.on('connection', (socket) => {
        sockets.add(socket);
        socket.on('close', () => sockets.delete(socket));
    });
    await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
    return {
        url: `http://127.0.0.1:${server.address().port}${how.redirect ? '/old' : ''}/events`,
        close() {
            server.close();
            for (const socket of sockets)
                socket.destroy();
        },
    };
}
