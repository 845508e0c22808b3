// Connections that the web server keeps for the next request (FCGI_KEEP_CONN): by a front that sends what
// the test says, and through nginx.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { Front, STDIN, body, head, record } from './kit/fastcgi.mjs';
import { get } from './kit/get.mjs';
import { post } from './kit/post.mjs';
import { quiet, until } from './kit/wait.mjs';
import { World } from './kit/world.mjs';

const JSON_ = { HTTP_ACCEPT: 'application/json' };
const GET = { REQUEST_METHOD: 'GET', QUERY_STRING: '', SCRIPT_NAME: '/events', ...JSON_ };
const POST = { REQUEST_METHOD: 'POST', QUERY_STRING: '', SCRIPT_NAME: '/events', FRESHET_PUBLISH: 'on',
    CONTENT_TYPE: 'application/json' };
const event = (data) => JSON.stringify({ topic: 'a', data });
const page = (query) => head({ ...GET, QUERY_STRING: query });

/** The counters as the responder logs them. */
async function counters(world) {
    const before = world.responderLog().length;
    world.responder.signal('SIGUSR1');
    const line = await until('the counters', () => /counters .*/.exec(world.responderLog().slice(before))?.[0]);
    return Object.fromEntries([...line.matchAll(/(\w+)=(\d+)/g)].map(([, name, n]) => [name, Number(n)]));
}

describe('a connection that is kept', { concurrency: 4 }, () => {
    let world;
    before(async () => {
        world = await World.open({ options: ['--publish', '--body-bytes', '1K'], prepare: (db) => db.fill('a', 5) });
    });
    after(() => world?.close());

    const open = async (t, where = world.responder.where) => {
        const front = await Front.connect(where);
        t.after(() => front.close());
        return front;
    };
    /** Sends, and the answer has this status. */
    const answered = async (front, status, ...pieces) => {
        front.send(...pieces);
        const response = await front.response();
        assert.equal(response.status, status, response.head + response.body);
        return response;
    };

    it('pages, publications and refusals one after the other', async (t) => {
        const front = await open(t);
        for (let round = 0; round < 20; round++) {
            const first = await answered(front, 200, page('since=earliest&limit=1'), body());
            assert.equal(JSON.parse(first.body).events[0].data, '1');
            await answered(front, 201, head(POST), body(event(`round ${round}`), round % 9));
            await answered(front, 400, head(POST), body('{'));
            await answered(front, 403, head({ ...POST, FRESHET_PUBLISH: '' }), body(event('x')));
            await answered(front, 404, head({ ...GET, PATH_INFO: '/99999' }), body());
            await answered(front, 405, head({ ...GET, REQUEST_METHOD: 'PUT' }), body());
            await answered(front, 200, head({ ...GET, REQUEST_METHOD: 'HEAD' }), body());
        }
    });

    it('nothing of one request is left in the next', async (t) => {
        const front = await open(t);
        const one = await answered(front, 201, head({ ...POST, SCRIPT_NAME: '/elsewhere' }), body(event('1')));
        assert.match(one.head, /Location: \/elsewhere\//);
        const two = await answered(front, 201, head(POST), body(event('2')));
        assert.match(two.head, /Location: \/events\//);
        await answered(front, 200, head({ ...GET, QUERY_STRING: 'wait=50ms' }), body());
        const stream = head({ ...GET, HTTP_ACCEPT: 'text/event-stream', QUERY_STRING: 'last=1&topic=a' });
        front.send(stream, body());
        await front.until('the event', () => front.output.includes('data: '));
        assert.ok(!front.ended);
    });

    it('a byte at a time', async (t) => {
        const front = await open(t);
        front.socket.setNoDelay(true);
        for (const [pieces, status] of [[[page('limit=1'), body()], 200], [[head(POST), body(event('slow'), 3)], 201]]) {
            for (const byte of Buffer.concat(pieces)) {
                front.send(Buffer.from([byte]));
                await new Promise(setImmediate);
            }
            assert.equal((await front.response()).status, status);
        }
    });

    it('a body that is refused before it has come is read to its end', async (t) => {
        const front = await open(t);
        await answered(front, 415, head({ ...POST, CONTENT_TYPE: 'text/plain' }));
        front.send(record(STDIN, 'x'.repeat(5000)));
        front.send(record(STDIN));
        await answered(front, 200, page('limit=1'), body());
        await answered(front, 413, head(POST), body('x'.repeat(5000)));
        await answered(front, 200, page('limit=1'), body());
    });

    it('a request before the answer to the one before it closes the connection', async (t) => {
        const front = await open(t);
        front.send(page('wait=10s'), body(), page('limit=1'), body());
        await front.end();
        assert.equal(front.received.length, 0);
    });

    it('a stream that ends leaves it for what comes next', async (t) => {
        const full = await World.open({ options: ['--streams-max', '1'] });
        t.after(() => full.close());
        await full.live();
        const front = await open(t, full.responder.where);
        const busy = await answered(front, 200, head({ ...GET, HTTP_ACCEPT: '*/*' }), body());
        assert.match(busy.body, /^retry: \d+\n$/);
        await answered(front, 200, page('limit=1'), body());
    });

    it('who does not ask for it gets the end of the connection', async (t) => {
        const front = await open(t);
        await answered(front, 200, head({ ...GET, QUERY_STRING: 'limit=1' }, { keep: false }), body());
        await front.end();
    });

    it('an idle one is closed after --keep-idle, one with half a request after --request-timeout', async (t) => {
        const short = await World.open({ options: ['--keep-idle', '1s', '--request-timeout', '1s'] });
        t.after(() => short.close());
        const idle = await open(t, short.responder.where);
        await answered(idle, 200, page('limit=1'), body());
        await idle.end();
        assert.doesNotMatch(short.responderLog(), /no whole request/);
        const half = await open(t, short.responder.where);
        await answered(half, 200, page('limit=1'), body());
        half.send(page('limit=1').subarray(0, 9));
        await half.end();
        assert.match(short.responderLog(), /no whole request/);
    });

    it('SIGTERM closes idle ones at once', async (t) => {
        const ending = await World.open({ options: ['--drain', '10s'] });
        t.after(() => ending.close());
        const front = await open(t, ending.responder.where);
        await answered(front, 200, page('limit=1'), body());
        ending.responder.signal('SIGTERM');
        await front.end();
    });
});

describe('connections that nginx keeps', () => {
    it('are used for pages and publications, and a stream has its own', async (t) => {
        const world = await World.open({ options: ['--publish'], parameters: { FRESHET_PUBLISH: 'on' }, keep: 4,
            prepare: (db) => db.fill('a', 5) });
        t.after(() => world.close());
        const stream = await world.live('?topic=b');
        const before = await counters(world);
        for (let i = 0; i < 50; i++) {
            assert.equal((await post(world.url(), { topic: 'b', data: i })).status, 201);
            const { json } = await get(world.url('?topic=b&since=earliest'), { headers: { Accept: 'application/json' } });
            assert.equal(json.events.length, i + 1);
        }
        await stream.take(50);
        const after = await counters(world);
        // Each of nginx's workers has its own.
        assert.ok(after.connections - before.connections <= world.server.pids().length,
            `${after.connections - before.connections} connections for 100 requests`);
        stream.close();
        await quiet(50);
        assert.equal((await post(world.url(), { topic: 'b', data: 'last' })).status, 201);
    });

    it('a responder that was killed meanwhile is found again', async (t) => {
        const world = await World.open({ options: ['--publish'], parameters: { FRESHET_PUBLISH: 'on' }, keep: 4 });
        t.after(() => world.close());
        for (let round = 0; round < 5; round++) {
            assert.equal((await post(world.url(), { topic: 'b', data: round })).status, 201);
            await world.responder.crash();
        }
        assert.equal((await post(world.url(), { topic: 'b', data: 'last' })).status, 201);
    });
});
