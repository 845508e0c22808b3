// The production configurations: TLS with HTTP/2, limits, the answer while the responder is away, login
// by auth_request, the access log.
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { connect } from 'node:http2';
import { describe, it } from 'node:test';
import { join } from 'node:path';
import { curl } from './kit/curl.mjs';
import { program } from './kit/env.mjs';
import { Process } from './kit/process.mjs';
import { until } from './kit/wait.mjs';
import { World, servers } from './kit/world.mjs';

function story(name, place, body) {
    it(name, () => World.during(place, body));
}

describe('in production', { concurrency: 3 }, () => {
    for (const server of servers) {
        const place = { server, variant: 'production' };

        story(`${server}: a stream over TLS, and plain HTTP is sent there`, place, async (world) => {
            const stream = await world.live('?topic=tls');
            world.db.publish({ topic: 'tls', data: 'secret' });
            await stream.take(1);
            const seen = await curl([`http://127.0.0.1:${world.server.port}/events?topic=a`]);
            assert.equal(seen.status, 301);
            assert.match(seen.headers.location, /^https:\/\/127\.0\.0\.1.*\/events\?topic=a$/);
        });

        // lighttpd allows no more on one connection; see its production.conf.
        const many = server === 'nginx' ? 20 : 8;
        story(`${server}: ${many} streams over one HTTP/2 connection`, place, async (world) => {
            const session = connect(world.base, { ca: world.tls.ca });
            const streams = Array.from({ length: many }, (_, i) => {
                const stream = session.request({ ':path': `/events?topic=h2/${i}`, accept: 'text/event-stream' });
                const seen = { text: '' };
                stream.setEncoding('utf8');
                stream.on('response', (headers) => { seen.status = headers[':status']; });
                stream.on('data', (chunk) => { seen.text += chunk; });
                return seen;
            });
            await until('live streams', () => streams.every((seen) => seen.text.includes('freshet:live')));
            for (let i = 0; i < many; i++)
                world.db.publish({ topic: `h2/${i}`, data: `for ${i}` });
            await until('an event in each', () => streams.every((seen, i) => seen.text.includes(`data: for ${i}\n`)));
            assert.ok(streams.every((seen) => seen.status === 200));
            session.close();
            session.destroy();
        });

        story(`${server}: the page comes with its types and may be checked for change`, place, async (world) => {
            const page = await curl(['-k', `${world.base}/`]);
            assert.equal(page.protocol, 'HTTP/2');
            assert.equal(page.status, 200);
            assert.match(page.headers['content-type'], /^text\/html/);
            assert.equal(page.headers['cache-control'], 'no-cache');
            assert.match((await curl(['-k', `${world.base}/style.css`])).headers['content-type'], /^text\/css/);
        });

        story(`${server}: the access log is JSON, and freshet-ingest can follow it`, place, async (world) => {
            const agent = 'curious "quoted" \\ ünïcode';
            await curl(['-k', '-A', agent, `${world.base}/index.html`]);
            await world.server.close();
            const lines = world.server.log('freshet.json.log').trim().split('\n').map((line) => JSON.parse(line));
            const line = lines.find((entry) => entry.agent === agent);
            assert.ok(line, 'the request is in the log');
            assert.equal(line.topic, 'access');
            assert.equal(line.status, '200');
            const ingest = new Process(program('freshet-ingest'), ['--db', world.db.file, '--topic-from', '/topic',
                '--type-from', '/type', join(world.server.dir, 'freshet.json.log')],
            { log: join(world.dir, 'ingest.log') });
            assert.equal((await ingest.exited).code, 0, ingest.output());
            assert.equal(world.db.ids('access').length, lines.length);
        });
    }

    for (const [server, variant] of [['nginx', 'minimal'], ['nginx', 'production'], ['lighttpd', 'minimal'],
        ['lighttpd', 'production']]) {
        story(`${server} ${variant}: while the responder is away EventSource is told to come back, and does`,
            { server, variant }, async (world) => {
                await world.responder.process.stop('SIGKILL');
                const away = await curl(['-k', world.url()]);
                assert.equal(away.status, 200);
                assert.match(away.headers['content-type'], /^text\/event-stream/);
                assert.match(away.body, /^retry: [1-9]\d{3}\n$/);

                const client = world.follow('?topic=a&since=earliest');
                const source = world.tls ? undefined : world.source('?topic=a&since=earliest');
                await until('a first answer', () => client.opens > 0 && (!source || source.opens > 0));
                await world.responder.start();
                world.db.publish({ topic: 'a', data: 'back' });
                await until('the event', () => client.events.length === 1 && (!source || source.events.length === 1));
            });
    }

    story('nginx: above the limit of streams per address a client is told to come back later',
        { server: 'nginx', variant: 'production', limit: 3 }, async (world) => {
            const streams = [await world.live(), await world.live(), await world.live()];
            const over = await curl(['-k', world.url()]);
            assert.equal(over.status, 200);
            assert.match(over.headers['content-type'], /^text\/event-stream/);
            assert.match(over.body, /^retry: [2-4]\d{4}\n$/);
            streams[0].close();
            await until('room again', async () =>
                (await curl(['-k', world.url()])).body.includes('freshet:live'));
        });

    it('nginx: while the login is away or broken clients are told to come back, and do', async () => {
        let broken = false;
        const login = createServer((request, response) => {
            if (broken)
                response.writeHead(500).end();
            else
                response.writeHead(204, { 'X-Freshet-Topics': 'news' }).end();
        });
        await new Promise((resolve) => login.listen(0, '127.0.0.1', resolve));
        const { port } = login.address();
        const world = await World.open({ server: 'nginx', variant: 'production', auth: `http://127.0.0.1:${port}/` });
        try {
            const ask = (...args) => curl(['-k', ...args, `${world.base}/private/events`]);
            const away = async () => {
                const answer = await ask();
                assert.equal(answer.status, 200);
                assert.match(answer.headers['content-type'], /^text\/event-stream/);
                assert.match(answer.body, /^retry: [1-9]\d{3}\n$/);
                assert.equal((await ask('-H', 'Accept: application/json')).status, 503);
                assert.equal((await ask('-d', 'topic=news&data=x')).status, 503);
            };
            assert.match((await ask()).body, /freshet:live/);
            broken = true;
            await away();
            login.closeAllConnections();
            await new Promise((resolve) => login.close(resolve));
            await away();
            broken = false;
            await new Promise((resolve) => login.listen(port, '127.0.0.1', resolve));
            assert.match((await ask()).body, /freshet:live/);
        } finally {
            await world.close();
            login.closeAllConnections();
            login.close();
        }
    });

    story('lighttpd: behind a login, too, clients are told to come back while the responder is away; 401 stays 401',
        { server: 'lighttpd', variant: 'production', users: 'alice:{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=\n' },
        async (world) => {
            const ask = (...args) => curl(['-k', ...args, `${world.base}/private/events`]);
            const alice = ['-u', 'alice:password'];
            const refused = async (...args) => {
                const answer = await ask(...args);
                assert.equal(answer.status, 401);
                assert.match(answer.headers['www-authenticate'], /^Basic realm="freshet"/);
                assert.equal(answer.body, '');
            };
            await refused();
            await refused('-u', 'alice:wrong');
            await refused('-H', 'Accept: application/json');
            assert.match((await ask(...alice)).body, /freshet:live/);
            await world.responder.process.stop('SIGKILL');
            const away = await ask(...alice);
            assert.equal(away.status, 200);
            assert.match(away.body, /^retry: [1-9]\d{3}\n$/);
            assert.equal((await ask(...alice, '-H', 'Accept: application/json')).status, 503);
            // Over HTTP/2 lighttpd may answer by resetting the stream, when the body comes after its answer.
            const posted = await ask(...alice, '--http1.1', '-d', 'topic=news&data=x');
            assert.equal(posted.status, 503, posted.stderr);
        });

    it('nginx: auth_request lets those in who are logged in, with the topics they may read', async () => {
        const login = createServer((request, response) => {
            const known = request.headers.cookie === 'session=ok';
            response.writeHead(known ? 204 : 401, known ? { 'X-Freshet-Topics': 'user/42/* news' } : {});
            response.end();
        });
        await new Promise((resolve) => login.listen(0, '127.0.0.1', resolve));
        const world = await World.open({
            server: 'nginx', variant: 'production', auth: `http://127.0.0.1:${login.address().port}/`,
        });
        try {
            const url = `${world.base}/private/events`;
            assert.equal((await curl(['-k', url])).status, 401);
            assert.equal((await curl(['-k', '-H', 'Cookie: session=forged', url])).status, 401);
            const seen = await curl(['-k', '-H', 'Cookie: session=ok', `${url}?topic=news`]);
            assert.equal(seen.status, 200);
            assert.match(seen.body, /freshet:live/);
        } finally {
            await world.close();
            login.closeAllConnections();
            login.close();
        }
    });
});
