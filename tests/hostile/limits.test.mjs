// Requests that are too much of something, through nginx and lighttpd and straight to the responder: each
// gets an answer that says so, never a 5xx, and never a look at what is not its business.
import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import { get } from '../e2e/kit/get.mjs';
import { raw } from '../e2e/kit/net.mjs';
import { post } from '../e2e/kit/post.mjs';
import { World, servers } from '../e2e/kit/world.mjs';
import { Front, exchange, request } from '../e2e/kit/fastcgi.mjs';

const statusOf = (answer) => Number(/^HTTP\/1.[01] (\d+)/.exec(answer)?.[1] ?? 0);
const nested = (n) => `${'['.repeat(n)}${']'.repeat(n)}`;

for (const server of servers) {
    describe(`limits through ${server}`, () => {
        let world;
        before(async () => {
            world = await World.open({ server, options: ['--publish', '--retry-min', '200ms'],
                parameters: { FRESHET_PUBLISH: 'on' } });
            world.db.publish({ topic: 'secret', data: 'secret' });
        });
        afterEach(async () => {
            assert.equal(world.responder.process.how, undefined);
            assert.equal((await get(world.url('?since=earliest&limit=1'))).status, 200);
        });
        after(() => world?.close());
        const ask = (line, headers = '', body = '') => raw(world.server.port,
            `${line} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n${headers}\r\n${body}`);
        const page = (query, headers = {}) => get(world.url(`?${query}`), { headers });

        it('a cursor of 1 MB, in the header and in the query', async () => {
            const cursor = '9'.repeat(1 << 20);
            for (const answer of [await ask('GET /events', `Last-Event-ID: ${cursor}\r\n`),
                await ask(`GET /events?last_event_id=${cursor}`)]) {
                const status = statusOf(answer);
                assert.ok(status === 0 || (status >= 400 && status < 500), `status ${status}`);
            }
        });

        it('the longest cursor that gets through is answered with a reset that does not repeat it', async () => {
            const stream = await world.stream('', { headers: { 'Last-Event-ID': 'x'.repeat(6000) } });
            const reset = await stream.signal('reset');
            assert.equal(reset.reason, 'invalid');
            assert.equal(reset.requested, 'x'.repeat(64));
        });

        it('an Accept header as long as gets through', async () => {
            const answer = await page('since=earliest', { Accept: `${'text/x;q=0.1, '.repeat(450)}application/json` });
            assert.equal(answer.status, 200);
            assert.match(answer.headers['content-type'], /application\/json/);
        });

        it('100 filters, and no more', async () => {
            const topics = (n) => Array.from({ length: n }, (_, i) => `topic=t${i}`).join('&');
            assert.equal((await page(`since=earliest&${topics(100)}`)).status, 200);
            assert.equal((await page(`since=earliest&${topics(101)}`)).status, 400);
            const mixed = `${topics(50)}&${'type=a&where=/x&'.repeat(30)}`;
            assert.equal((await page(mixed)).status, 400);
            const many = statusOf(await ask(`GET /events?${topics(10_000)}`));
            assert.ok(many === 0 || (many >= 400 && many < 500), `status ${many}`);
        });

        for (const [query, status] of [['limit=4294967296', 200], ['limit=9223372036854775807', 200],
            ['limit=9223372036854775808', 400], ['limit=99999999999999999999999999', 400], ['limit=-1', 400], ['limit=0', 400],
            ['limit=1e3', 400], ['limit=', 400], ['last=1000000', 200], ['last=1000001', 400], ['last=-0', 400],
            ['last=18446744073709551617', 400], ['since=9223372036854775807', 200], ['since=99999999999999999999', 400],
            ['since=9999999999d', 200], ['since=106751991168d', 400], ['since=9999-12-31T23:59:60Z', 200],
            ['since=0000-00-00', 400], ['before=9223372036854775807', 200], ['before=0', 200], ['wait=9999999999999d', 400],
            ['where=/x%3C1e999', 200], ['where=/x%3C-1e999', 200], ['where=/x%3C1e-999', 200], ['where=/x%3C0x10', 400],
            ['where=/x%3Cinf', 400], ['where=/x%3CNaN', 400], [`where=/x%3C${'9'.repeat(1000)}`, 200],
            [`where=/x%3C1e${'9'.repeat(1000)}`, 200],
            ['where=x', 400], ['where=/~2', 400], ['where=/x!', 400], ['topic=%00', 400], ['topic=', 400], ['type=', 400]]) {
            it(`?${query.slice(0, 40)} is ${status}`, async () => {
                const answer = await page(`since=earliest&${query}`.replace(/since=earliest&(?=(last|since|before)=)/, ''));
                assert.equal(answer.status, status, answer.body);
                assert.ok(answer.body.length < 2000);
            });
        }

        it('a condition deep in the data, and data deep below any condition', async () => {
            const deep = '/a'.repeat(3000);
            const stream = await world.live(`?topic=deep&where=${deep}`);
            const other = await world.live(`?topic=deep&where=${encodeURIComponent('/a/a!=1')}`);
            for (const data of [nested(128), `${'{"a":'.repeat(120)}1${'}'.repeat(120)}`, nested(5000), '[]'])
                world.db.publish({ topic: 'deep', data });
            await other.take(4);
            assert.equal(stream.events.length, 0);
            assert.equal((await page(`since=earliest&topic=deep&where=${deep}`)).json.events.length, 0);
        });

        it('JSON that is deep, wide or extreme', async () => {
            for (const [body, status] of [[`{"topic":"json","data":${nested(100)}}`, 201],
                [`{"topic":"json","data":${nested(128)}}`, 400], [nested(100_000), 400], ['['.repeat(100_000), 400],
                [`${'{"a":'.repeat(100_000)}`, 400], ['{"topic":"json","data":1e999}', 201],
                ['{"topic":"json","data":-0}', 201], ['{"topic":"json","data":9223372036854775808}', 201],
                [`{"topic":"json","data":${'9'.repeat(10_000)}}`, 201], [`{"topic":"json","data":0.${'9'.repeat(10_000)}}`, 201],
                ['{"topic":1e999,"data":1}', 201], [`{"topic":"json","data":1,${'"a":1,'.repeat(20_000)}"b":2}`, 201],
                [`{"topic":"json","data":"x","topic":"other"}`, 201], ['{"topic":"json","data":"\\ud800"}', 400],
                ['{"topic":"json","data":["\\ud800"]}', 201], [`{"topic":${'9'.repeat(256)},"data":1}`, 400],
                [`{"topic":"${'x'.repeat(256)}","data":1}`, 400], [`{"topic":"json","key":"${'x'.repeat(256)}","data":1}`, 400],
                ['', 400], ['null', 400], ['[]', 400], ['\0', 400], ['\ufeff{"topic":"json","data":1}', 400]]) {
                const answer = await post(world.url(), body);
                assert.equal(answer.status, status, `${body.slice(0, 60)}: ${answer.text}`);
            }
        });

        it('paths that try to leave /events', async () => {
            for (const path of ['/events/../', '/events/..', '/events/../events', '/events/%2e%2e/%2e%2e/etc/passwd', '/events/%00',
                '/events/1%00', '/events%2f1', '/events/%2f1', '/events/1/2', '/events//1', '//events', '/events/.', '/./events',
                '/events/-1', '/events/9999999999999999999999', '/events/1-zzzz', '/events/1-', '/events/0', '/events/1;x',
                '/events/%ff', '/events\\1', '/EVENTS', '/events/..%5c..%5cx', `/events/${'1'.repeat(5000)}`, '/events/%', '/events/%zz']) {
                const status = statusOf(await raw(world.server.port, `GET ${path} HTTP/1.1\r\nHost: x\r\nAccept: application/json\r\n` +
                    'Connection: close\r\n\r\n'));
                assert.ok([0, 200, 301, 302, 400, 403, 404, 405, 410, 414].includes(status), `${path}: ${status}`);
            }
        });

        it('headers that contradict each other, or are missing', async () => {
            const body = '{"topic":"headers","data":1}';
            const json = 'Content-Type: application/json\r\n';
            const chunked = `${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`;
            for (const [headers, sent, statuses] of [
                [`Content-Length: ${body.length}\r\nContent-Length: 5\r\n`, body, [400]],
                ['Content-Length: -1\r\n', body, [400]],
                ['Content-Length: 1e1\r\n', body, [400]],
                ['Content-Length: 99999999999999999999\r\n', body, [400, 413]],
                ['Content-Length: 999999999\r\n', body, [0, 413]],
                ['', body, [400, 411]],
                ['Transfer-Encoding: chunked\r\n', chunked, [201]],
                [`Transfer-Encoding: chunked\r\nContent-Length: 3\r\n`, chunked, [201, 400]],
                ['Transfer-Encoding: chunked\r\n', 'zz\r\nx\r\n', [400]],
                ['Transfer-Encoding: chunked\r\n', 'fffffffffffffffff\r\n', [400, 413]],
                ['Transfer-Encoding: gzip\r\n', body, [400, 411, 501]],
            ]) {
                const status = statusOf(await ask('POST /events', `${json}${headers}`, sent));
                assert.ok(statuses.includes(status), `${headers}: ${status}`);
            }
            const rows = world.db.ids('headers').length;
            assert.ok(rows === 1 || rows === 2, `${rows} rows`);
        });

        it('a parameter that only the web server may set cannot be set by a client', async () => {
            const headers = { 'Freshet-Topics': '*', 'Freshet-Publish': 'on', FRESHET_TOPICS: '*', FRESHET_PUBLISH: 'on',
                HTTP_FRESHET_PUBLISH: 'on', 'Content-Type': 'application/json' };
            const other = await World.open({ server, options: ['--publish'], parameters: { FRESHET_TOPICS: 'public' } });
            try {
                other.db.publish({ topic: 'secret', data: 'secret' });
                assert.equal((await post(other.url(), { topic: 'forbidden', data: 1 }, { headers })).status, 403);
                assert.equal((await get(other.url('?topic=secret&since=earliest'), { headers })).status, 403);
                assert.deepEqual((await get(other.url('?since=earliest'), { headers })).json.events, []);
                assert.equal(other.db.ids('forbidden').length, 0);
            } finally {
                await other.close();
            }
        });
    });
}

describe('limits of the responder itself', () => {
    let world;
    before(async () => { world = await World.open({ options: ['--request-bytes', '1M', '--topics-max', '10000'] }); });
    after(() => world?.close());
    const ask = (query, parameters) => exchange(world.responder.socket, request(query, parameters));

    it('an Accept header of 100 kB and an Origin, a Host and cookies as long', async () => {
        const long = 'x, '.repeat(33_000);
        const answer = await ask('since=earliest', { HTTP_ACCEPT: `${long}application/json`, HTTP_ORIGIN: long, HTTP_HOST: long,
            HTTP_COOKIE: long, HTTP_IF_NONE_MATCH: long });
        assert.equal(answer.status, 200);
        assert.match(answer.output, /application\/json/);
    });

    it('a cursor of 900 kB is repeated in 64 bytes', async () => {
        const front = await Front.connect(world.responder.socket);
        await front.send(request('', { HTTP_LAST_EVENT_ID: '\u20ac'.repeat(300_000) }));
        await front.until('the reset', () => /freshet:live/.test(front.output));
        assert.ok(front.output.length < 1000);
        const text = Buffer.from(front.output, 'latin1').toString();
        assert.equal(/"requested":"(\u20ac*)"/.exec(text)[1].length, 21);
        front.close();
    });

    it('10,000 topics, where so many are allowed', async () => {
        const topics = Array.from({ length: 10_000 }, (_, i) => `topic=t${i}`).join('&');
        const front = await Front.connect(world.responder.socket);
        await front.send(request(topics));
        await front.until('the stream', () => /freshet:live/.test(front.output));
        world.db.publish({ topic: 't9999', data: 'found' });
        await front.until('the event', () => /data: found/.test(front.output));
        front.close();
        assert.equal((await ask(`${topics}&topic=one-more`)).status, 400);
    });
});
