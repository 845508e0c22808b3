// What pages use in place of EventSource: @microsoft/fetch-event-source and sse.js. They parse blocks in
// their own way, and applications call JSON.parse on whatever comes out of them.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { libraries, library } from './kit/libraries.mjs';
import { until } from './kit/wait.mjs';
import { World, servers } from './kit/world.mjs';

const RETRY = ['--retry-min', '200ms', '--retry-max', '200ms'];

async function using(place, name, query, types, body) {
    const world = await World.open(place);
    let client;
    try {
        client = library(name, world.url(query), types);
        await body(world, client);
    } finally {
        client?.close();
        await world.close();
    }
}

const live = (client) => client.events.filter(([type]) => type === 'freshet:live').length;
const values = (client) => client.events.filter(([type]) => !type.startsWith('freshet:')).map(([, value]) => value.n);

for (const server of servers)
    for (const name of libraries)
        describe(`${name} through ${server}`, { concurrency: 2 }, () => {
            it('gets the events and nothing else, over one connection, however many heartbeats pass', async () => {
                const options = ['--heartbeat', '100ms', ...RETRY];
                await using({ server, options }, name, '?topic=a', ['goal', 'freshet:live'], async (world, client) => {
                    await until('live', () => live(client) > 0 || client.errors.length > 0);
                    const stream = await world.stream('?topic=other');
                    for (let n = 1; n <= 3; n++) {
                        const beats = stream.comments.length;
                        await stream.until('two heartbeats', () => stream.comments.length >= beats + 2);
                        world.db.publish({ topic: 'a', type: n === 2 ? 'goal' : undefined, data: `{"n":${n}}` });
                    }
                    await until('three events', () => values(client).length >= 3 || client.errors.length > 0);
                    assert.deepEqual(client.errors, [], 'what the application could not parse');
                    assert.deepEqual(values(client), [1, 2, 3]);
                    assert.equal(client.requests, 1, 'connections');
                });
            });

            it('while the responder is away it gets no event, waits, and then misses nothing', async () => {
                await using({ server, options: RETRY, retryMs: 150 }, name, '?topic=a&since=earliest',
                    ['freshet:live'], async (world, client) => {
                        await until('live', () => live(client) > 0 || client.errors.length > 0);
                        world.db.publish({ topic: 'a', data: '{"n":1}' });
                        await until('the first', () => values(client).length === 1 || client.errors.length > 0);
                        await world.responder.process.stop('SIGKILL');
                        const before = client.requests;
                        await until('two more tries', () => client.requests >= before + 2);
                        world.db.publish({ topic: 'a', data: '{"n":2}' });
                        await world.responder.start();
                        await until('the second', () => values(client).includes(2) || client.errors.length > 0);
                        assert.deepEqual(client.errors, [], 'what the application could not parse');
                        assert.deepEqual(values(client), [1, 2]);
                    });
            });
        });
