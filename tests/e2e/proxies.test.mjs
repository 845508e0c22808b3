// Two web servers in a row, as behind an ingress, a proxy manager or a CDN: the outer one, which somebody
// else has set up with nothing but defaults, must not keep what the inner one passes on.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { join } from 'node:path';
import { curl } from './kit/curl.mjs';
import { get } from './kit/get.mjs';
import { Lighttpd } from './kit/lighttpd.mjs';
import { Nginx } from './kit/nginx.mjs';
import { Stream } from './kit/stream.mjs';
import { until } from './kit/wait.mjs';
import { World } from './kit/world.mjs';

/** Opens a world and an outer web server in front of it, and gives body(world, url) the outer URL. */
async function behind(outer, place, body) {
    const world = await World.open(place);
    let front;
    try {
        front = await outer.openProxy(join(world.dir, 'outer'), world.base);
        await body(world, `http://127.0.0.1:${front.port}`);
    } finally {
        await front?.close();
        await world.close();
    }
}

const shipped = [
    ['nginx', 'minimal'], ['nginx', 'production'], ['nginx', 'fanout'], ['nginx', 'quiet'],
    ['lighttpd', 'minimal'], ['lighttpd', 'production'], ['lighttpd', 'bin-path'], ['lighttpd', 'cgi'],
];

describe('behind a second web server', { concurrency: 3 }, () => {
    for (const [outer, front] of [['nginx', Nginx], ['lighttpd', Lighttpd]])
        for (const [server, variant] of shipped) {
            if (front === Lighttpd && variant === 'production')
                continue; // it would have to speak TLS to the inner one
            const way = ['bin-path', 'cgi'].includes(variant) ? variant : undefined;
            it(`${server} ${variant}, ${outer} in front: the head and each event come at once`, async () => {
                await behind(front, { server, variant, way }, async (world, url) => {
                    const stream = await Stream.open(`${url}/events?topic=a`);
                    try {
                        await stream.signal('live');
                        for (let n = 1; n <= 3; n++) {
                            world.db.publish({ topic: 'a', data: String(n) });
                            assert.equal((await stream.take(n)).at(-1).data, String(n));
                        }
                    } finally {
                        stream.close();
                    }
                    if (way !== 'cgi')
                        assert.equal((await get(`${url}/events?since=earliest`)).json.events.length, 3);
                });
            });
        }

    it('behind a login as well', async () => {
        const users = 'alice:{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=\n';
        await behind(Nginx, { server: 'lighttpd', variant: 'production', users }, async (world, url) => {
            const headers = { Authorization: `Basic ${btoa('alice:password')}` };
            const stream = await Stream.open(`${url}/private/events`, { headers });
            await stream.signal('live');
            stream.close();
        });
    });

    it('a client that leaves is noticed at the responder', async () => {
        await behind(Nginx, { server: 'nginx' }, async (world, url) => {
            const stream = await Stream.open(`${url}/events`);
            await stream.signal('live');
            stream.close();
            await until('the line of the log', () => / ended: |client gone|gone/.test(world.responderLog()));
        });
    });

    it('while the responder is away clients are told to come back', async () => {
        await behind(Nginx, { server: 'nginx' }, async (world, url) => {
            await world.responder.process.stop('SIGKILL');
            const answer = await curl([`${url}/events`]);
            assert.equal(answer.status, 200);
            assert.equal(answer.body, 'retry: 3000\n');
        });
    });
});

describe("the machine's other sites", () => {
    for (const variant of ['minimal', 'production'])
        it(`stay as they are beside nginx/${variant}.conf`, async () => {
            const sites = (port) => `
                server { listen 127.0.0.1:${port} default_server; server_name _; return 200 "the default\\n"; }
                server { listen 127.0.0.1:${port}; server_name shop.example; return 200 "the shop\\n"; }`;
            const edits = variant === 'minimal' ? [['listen 80;', 'listen 80; server_name events.example;']] : [];
            const world = await World.open({ server: 'nginx', variant, sites, edits });
            try {
                const ask = async (host) => (await curl(['-H', `Host: ${host}`, `http://127.0.0.1:${world.server.port}/`]));
                assert.equal((await ask('shop.example')).body, 'the shop\n');
                assert.equal((await ask('other.example')).body, 'the default\n');
                const own = await ask('events.example');
                assert.equal(own.status, variant === 'minimal' ? 200 : 301);
                assert.doesNotMatch(own.body, /the default/);
            } finally {
                await world.close();
            }
        });
});
