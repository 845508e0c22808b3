// The `eventsource` package, which follows the HTML standard as browsers do: any status but 200 ends
// it for good, a cut makes it come back with Last-Event-ID.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { curl } from './kit/curl.mjs';
import { World, servers } from './kit/world.mjs';

for (const server of servers) {
    describe(`EventSource through ${server}`, { concurrency: 4 }, () => {
        let world;

        before(async () => { world = await World.open({ server }); });
        after(() => world?.close());

        it('opens, and gets messages and typed events with lastEventId', async () => {
            const source = world.source('?topic=es', ['greeting', 'freshet:live']);
            await source.until('live', () => source.seen('freshet:live').length > 0);
            const first = world.db.publish({ topic: 'es', data: 'line one\nline two 👋' });
            const second = world.db.publish({ topic: 'es', type: 'greeting', data: ' hi' });
            await source.until('both', () => source.events.length >= 2);
            assert.deepEqual(source.events.map((event) => [event.type, event.data, event.lastEventId]), [
                ['message', 'line one\nline two 👋', `${first}-${world.db.epoch}`],
                ['greeting', ' hi', `${second}-${world.db.epoch}`],
            ]);
        });

        it('a malformed request ends it for good', async () => {
            const source = world.source('?since=rubbish');
            await source.until('the end', () => source.dead);
            assert.equal(source.opens, 0);
        });

        it('the page is served beside the stream', async () => {
            const seen = await curl([`${world.base}/`]);
            assert.equal(seen.status, 200);
            assert.match(seen.headers['content-type'], /^text\/html/);
            const script = await curl([`${world.base}/freshet.js`]);
            assert.equal(script.status, 200);
            assert.match(script.headers['content-type'], /javascript/);
        });
    });
}
