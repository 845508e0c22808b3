// What the shipped configurations say to browsers about each answer, so that nothing is taken for what it is
// not and no other page shows it: nosniff and a Content-Security-Policy, also on errors and on the answers that the
// web server gives by itself.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { curl } from './kit/curl.mjs';
import { World } from './kit/world.mjs';

const USERS = 'alice:{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=\n';

const shipped = [
    ['nginx', 'minimal'], ['nginx', 'production'], ['nginx', 'fanout'], ['nginx', 'quiet'],
    ['lighttpd', 'minimal'], ['lighttpd', 'production'], ['lighttpd', 'bin-path'], ['lighttpd', 'cgi'],
];

function guarded(answer, what) {
    assert.equal(answer.headers['x-content-type-options'], 'nosniff', what);
    assert.match(answer.headers['content-security-policy'] ?? '', /^default-src 'none';.*frame-ancestors 'none'$/, what);
}

describe('headers for browsers', { concurrency: 3 }, () => {
    for (const [server, variant] of shipped)
        it(`${server} ${variant}`, async () => {
            const way = ['bin-path', 'cgi'].includes(variant) ? variant : undefined;
            const users = server === 'lighttpd' && variant === 'production' ? USERS : undefined;
            const world = await World.open({ server, variant, way, users });
            try {
                const ask = (path, ...args) => curl(['-k', ...args, `${world.base}${path}`]);
                const [id] = [world.db.publish({ topic: 'news', data: '<script>alert(1)</script>' })];
                for (const [path, status, ...args] of [['/', 200], ['/freshet.js', 200], ['/events', 200],
                    ['/events?since=earliest', 200, '-H', 'Accept: application/json'], [`/events/${id}`, 200],
                    ['/events?since=rubbish', 400], ['/events/99', 404], ['/events', 405, '-X', 'PUT'], ['/none', 404]]) {
                    // These have no place for single events.
                    if (['cgi', 'fanout', 'quiet'].includes(variant) && /^.events.\d/.test(path))
                        continue;
                    const answer = await ask(path, ...args);
                    if (path !== '/none' || variant !== 'cgi')
                        assert.equal(answer.status, status, path);
                    guarded(answer, path);
                    // A stream says how it may be kept, once.
                    if (path === '/events' && status === 200)
                        assert.equal(answer.headers['cache-control'], 'no-cache, no-transform');
                }
                if (variant === 'production')
                    assert.equal((await ask('/')).headers['cache-control'], 'no-cache');
                if (way)
                    return;
                await world.responder.process.stop('SIGKILL');
                guarded(await ask('/events'), 'told to come back');
                guarded(await ask('/events', '-H', 'Accept: application/json'), '503');
            } finally {
                await world.close();
            }
        });

    for (const [server, place, login] of [
        ['nginx', { auth: 'http://127.0.0.1:9/' }, []], ['lighttpd', { users: USERS }, ['-u', 'alice:password']]])
        it(`${server} behind a login`, async () => {
            const world = await World.open({ server, variant: 'production', ...place });
            try {
                guarded(await curl(['-k', ...login, `${world.base}/private/events`]), 'private');
            } finally {
                await world.close();
            }
        });
});
