// Which path is the endpoint and which names an event; topics that the web server takes from paths, with the
// very lines of the manual; and what other web servers send than nginx and lighttpd.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from './kit/env.mjs';
import { Front, body, head } from './kit/fastcgi.mjs';
import { get } from './kit/get.mjs';
import { World } from './kit/world.mjs';

/** The literal block of freshet-fcgi(8) that begins like this. */
function example(beginning) {
    const blocks = readFileSync(join(root, 'doc/freshet-fcgi.8'), 'utf8').split('.Bd -literal -offset indent\n')
        .map((text) => text.split('.Ed\n')[0].replaceAll('\\e', '\\'));
    const block = blocks.find((text) => text.startsWith(beginning));
    assert.ok(block, beginning);
    return block;
}

const edits = {
    nginx: () => [['    location @retry {',
        `${example('location ~ ^/rooms')}\n    location @retry {`]],
    lighttpd: () => [['"mod_fastcgi",', '"mod_rewrite", "mod_fastcgi",'],
        ['index-file.names', `${example('url.rewrite-once')}\nindex-file.names`]],
};

for (const server of ['nginx', 'lighttpd'])
    describe(`topics from paths through ${server}`, { concurrency: 4 }, () => {
        let world;

        before(async () => {
            world = await World.open({ server, prepare: (db) => db.fill('a', 100), edits: edits[server]() });
        });
        after(() => world?.close());

        // What looks like the id of an event, with and without an epoch, is the name of a room.
        for (const room of ['kitchen', '42', '4hx0ab', '7-k3f9', 'a.b_c-d'])
            it(`/rooms/${room} streams the topic rooms/${room}, live and from the past`, async () => {
                world.db.publish({ topic: `rooms/${room}`, data: 'before' });
                world.db.publish({ topic: 'rooms/other', data: 'elsewhere' });
                const stream = await world.stream(`/../rooms/${room}?since=earliest`);
                assert.equal(stream.status, 200);
                await stream.signal('live');
                world.db.publish({ topic: 'rooms/other', data: 'elsewhere' });
                world.db.publish({ topic: `rooms/${room}`, data: 'after' });
                assert.deepEqual((await stream.take(2)).map((event) => event.data), ['before', 'after']);
                const page = (await get(`${world.base}/rooms/${room}?before=now`)).json;
                assert.deepEqual(page.events.map((event) => event.data), ['after', 'before']);
            });

        it('what would be another parameter or pattern is no room', async () => {
            for (const room of ['a%26topic=b', '*', 'a%2A', 'a%20b', '%25'])
                assert.equal((await get(`${world.base}/rooms/${room}`)).status, 404, room);
        });

        it('below the endpoint there are events only', async () => {
            assert.equal((await get(world.url('/42'))).json.id, `42-${world.db.epoch}`);
            assert.equal((await get(world.url(`/42-${world.db.epoch}`))).json.id, `42-${world.db.epoch}`);
            for (const id of ['4hx0ab', 'kitchen', '42-zzzz', '42x'])
                assert.equal((await get(world.url(`/${id}`))).status, 404, id);
        });
    });

describe('what other web servers send', { concurrency: 4 }, () => {
    const event = '{"topic":"a","data":"x"}';
    const JSON_ = { REQUEST_METHOD: 'GET', QUERY_STRING: '', HTTP_ACCEPT: 'application/json' };
    const POST = { REQUEST_METHOD: 'POST', QUERY_STRING: '', FRESHET_PUBLISH: 'on', CONTENT_TYPE: 'application/json' };
    let world;

    before(async () => {
        world = await World.open({ options: ['--publish', '--body-bytes', '1K'], prepare: (db) => db.fill('a', 9) });
    });
    after(() => world?.close());

    const answer = async (parameters, ...more) => {
        const front = await Front.connect(world.responder.where);
        front.send(head(parameters), body(...more));
        try {
            return await front.response();
        } finally {
            front.close();
        }
    };

    it('HAProxy takes the later of Location and Status: Location comes first', async () => {
        const { status, head: lines } = await answer({ ...POST, SCRIPT_NAME: '/events' }, event);
        assert.equal(status, 201);
        assert.match(lines, /^Location: \/events\/\d+-.{4}\r\nStatus: 201 Created\r\n/);
    });

    it('h2o, and Caddy without `split`: PATH_INFO is the path when SCRIPT_NAME is empty', async () => {
        for (const path of [{ SCRIPT_NAME: '', PATH_INFO: '/events' }, { PATH_INFO: '/events' },
            { SCRIPT_NAME: '', PATH_INFO: '/12' }]) {
            const page = await answer({ ...JSON_, ...path, QUERY_STRING: 'limit=2&since=earliest' });
            assert.equal(page.status, 200);
            assert.equal(JSON.parse(page.body).events.length, 2);
        }
        const posted = await answer({ ...POST, SCRIPT_NAME: '', PATH_INFO: '/events' }, event);
        assert.match(posted.head, /^Location: \/events\/\d+-.{4}\r$/m);
        const front = await Front.connect(world.responder.where);
        front.send(head({ REQUEST_METHOD: 'GET', QUERY_STRING: '', SCRIPT_NAME: '', PATH_INFO: '/events' }), body());
        await front.until('a stream', () => front.output.includes('freshet:live'));
        front.close();
    });

    for (const length of ['-1', '', undefined])
        it(`CONTENT_LENGTH ${JSON.stringify(length) ?? 'missing'}: the body is read to its end`, async () => {
            const parameters = { ...POST, SCRIPT_NAME: '/events',
                ...length === undefined ? {} : { CONTENT_LENGTH: length } };
            assert.equal((await answer(parameters, event)).status, 201);
            assert.equal((await answer(parameters, event.slice(0, -1))).status, 400);
            assert.equal((await answer(parameters, ' '.repeat(2000) + event)).status, 413);
        });
});
