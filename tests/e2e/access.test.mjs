// Who may read and write what, end to end: a table of requests through nginx with the status of each,
// and the stories behind it: streams that end with their token, a new key, logins, other origins,
// limits per address.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { ask } from './kit/ask.mjs';
import { curl } from './kit/curl.mjs';
import { program } from './kit/env.mjs';
import { run } from './kit/process.mjs';
import { makeKeys, makeKeySet, makeToken, tamper } from './kit/token.mjs';
import { scaled, until } from './kit/wait.mjs';
import { World } from './kit/world.mjs';

const keys = makeKeys();
const now = () => Math.floor(Date.now() / 1000);

/** How many seconds a token needs, so that the request with it arrives before its end. */
const soon = () => Math.ceil(scaled(2000) / 1000);
const grants = { freshet: { read: ['news/*', 'own'], write: ['chat'] } };
const good = (more = {}) => makeToken(keys.secret, { exp: now() + 600, ...grants, ...more });
const APP = 'https://app.example';

/* The test says what a web server would say: by headers that nginx turns into parameters. */
const parameters = {
    FRESHET_TOPICS: '$http_x_topics if_not_empty',
    FRESHET_PUBLISH: '$http_x_publish if_not_empty',
    FRESHET_ADDRESS: '$http_x_address if_not_empty',
};

const dir = mkdtempSync(join(tmpdir(), 'freshet-keys-'));
process.on('exit', () => rmSync(dir, { recursive: true, force: true }));

/** A world whose responder verifies tokens of one kind; world.keyFile is where its key is. */
async function openWorld(name, key, algorithm, options = []) {
    const file = join(dir, name);
    writeFileSync(file, key);
    const world = await World.open({
        parameters,
        prepare: (db) => ['news/a', 'own', 'chat', 'secret'].forEach((topic) => db.publish({ topic, data: topic })),
        options: ['--token-key', file, '--token-algorithm', algorithm, ...options],
    });
    world.keyFile = file;
    return world;
}

const bearer = (token) => ['-H', `Authorization: Bearer ${token}`];
const cookie = (token) => ['-H', `Cookie: theme=dark; login=${token}`];
const header = (name, value) => ['-H', `${name}: ${value}`];
const event = (topic) => JSON.stringify({ topic, data: 'x' });
const post = (topic = 'chat') => ['-H', 'Content-Type: application/json', '-d', event(topic)];

/* What is asked, of whom, and the status. A function, because tokens are made when they are used. */
const table = () => [
    // HS256
    ['no token', 'hs', [], 401],
    ['no token, HEAD', 'hs', ['-I'], 401],
    ['a good token', 'hs', bearer(good()), 200],
    ['a good token, scheme in lower case', 'hs', header('Authorization', `bearer ${good()}`), 200],
    ['a good token in the cookie', 'hs', cookie(good()), 200],
    ['a good token in the cookie, in double quotes', 'hs', header('Cookie', `theme="dark"; login="${good()}"`), 200],
    ['a bad token in the cookie, in double quotes', 'hs', header('Cookie', `login="${good()}x"`), 401],
    ['the cookie of another name', 'hs', header('Cookie', `token=${good()}`), 401],
    ['two cookies', 'hs', header('Cookie', `login=${good()}; login=${good()}`), 401],
    ['a token in the query', 'hs', [], 401, `?access_token=${good()}&token=${good()}&authorization=${good()}`],
    ['two Authorization headers: nginx refuses them itself', 'hs', [...bearer(good()), ...bearer(good())], 400],
    ['Basic is no token', 'hs', ['-u', 'user:password'], 401],
    ['a topic that is granted', 'hs', bearer(good()), 200, '?topic=news/a'],
    ['a pattern wider than the grant', 'hs', bearer(good()), 200, '?topic=*'],
    ['a topic that is not granted', 'hs', bearer(good()), 403, '?topic=secret'],
    ['one of two topics is not granted', 'hs', bearer(good()), 403, '?topic=own&topic=secret'],
    ['a token that grants nothing', 'hs', bearer(makeToken(keys.secret, { sub: '42' })), 403],
    ['the web server vouches instead', 'hs', header('X-Topics', 'own'), 200],
    ['the web server vouches for something else', 'hs', header('X-Topics', 'own'), 403, '?topic=news/a'],
    ['both vouch', 'hs', [...bearer(good()), ...header('X-Topics', 'own secret')], 200, '?topic=own'],
    ['both vouch, only the web server for this', 'hs', [...bearer(good()), ...header('X-Topics', 'own secret')], 403, '?topic=secret'],
    ['both vouch, only the token for this', 'hs', [...bearer(good()), ...header('X-Topics', 'own secret')], 403, '?topic=news/a'],
    ['a bad token where the web server vouches', 'hs', [...bearer('x.y.z'), ...header('X-Topics', '*')], 401],
    ['a forged parameter', 'hs', [...header('FRESHET_TOPICS', '*'), ...header('FRESHET-TOPICS', '*')], 401],
    // what is public beside tokens
    ['no token, all topics: what is public', 'public', [], 200],
    ['no token, a public topic', 'public', [], 200, '?topic=news/a'],
    ['no token, another topic: log in', 'public', [], 401, '?topic=own'],
    ['no token, one of two topics is public', 'public', [], 401, '?topic=news/a&topic=own'],
    ['a token that does not grant it', 'public', bearer(good()), 403, '?topic=secret'],
    ['a token does not get what is public on top', 'public', bearer(makeToken(keys.secret, { freshet: { read: ['own'] } })), 403, '?topic=news/a'],
    ['a bad token, though it is public', 'public', bearer('x.y.z'), 401, '?topic=news/a'],
    ['a grant does not get what is public on top', 'public', header('X-Topics', 'own'), 403, '?topic=news/a'],
    ['POST without a token, though its topic is public', 'public', post('news/a'), 401],
    // time, audience, issuer
    ['expired', 'hs', bearer(good({ exp: now() - 1 })), 401],
    ['expired long ago, by cookie', 'hs', cookie(good({ exp: 1 })), 401],
    ['not valid yet', 'hs', bearer(good({ nbf: now() + 60 })), 401],
    ['exp is a text', 'hs', bearer(good({ exp: `${now() + 60}` })), 401],
    ['for another audience', 'hs', bearer(good({ aud: 'billing' })), 401],
    ['for us', 'strict', bearer(good({ aud: ['billing', 'events'], iss: 'login' })), 200],
    ['for nobody in particular', 'strict', bearer(good({ iss: 'login' })), 401],
    ['for somebody else', 'strict', bearer(good({ aud: 'billing', iss: 'login' })), 401],
    ['from somebody else', 'strict', bearer(good({ aud: 'events', iss: 'evil' })), 401],
    ['from nobody', 'strict', bearer(good({ aud: 'events' })), 401],
    ['expired within the leeway', 'strict', bearer(good({ aud: 'events', iss: 'login', exp: now() - 5 })), 200],
    ['expired beyond the leeway', 'strict', bearer(good({ aud: 'events', iss: 'login', exp: now() - 60 })), 401],
    // attacks
    ['alg none', 'hs', bearer(makeToken('', grants, { alg: 'none' })), 401],
    ['alg none over a signature', 'hs', bearer(tamper(good(), { header: { alg: 'none' } })), 401],
    ['alg None', 'hs', bearer(`${tamper(good(), { header: { alg: 'None' } })}`), 401],
    ['no alg', 'hs', bearer(makeToken(keys.secret, grants, { header: { alg: undefined } })), 401],
    ['another HMAC than configured', 'hs', bearer(makeToken(keys.secret, grants, { alg: 'HS512' })), 401],
    ['another secret', 'hs', bearer(makeToken('another secret that is long enough', grants)), 401],
    ['an empty secret', 'hs', bearer(makeToken('', grants)), 401],
    ['other claims under the signature', 'hs', bearer(tamper(good(), { claims: { freshet: { read: ['*'] } } })), 401],
    ['kid is not looked at', 'hs', bearer(makeToken(keys.secret, grants, { header: { kid: '../../../dev/null' } })), 200],
    ['kid does not choose a key', 'hs', bearer(makeToken('', grants, { header: { kid: '/dev/null' } })), 401],
    ['jwk does not bring a key', 'rs', bearer(makeToken(makeKeys().rsa.private, grants, { alg: 'RS256', header: { jwk: { kty: 'RSA' } } })), 401],
    ['jku does not bring a key', 'rs', bearer(makeToken(makeKeys().rsa.private, grants, { alg: 'RS256', header: { jku: 'http://127.0.0.1:9/' } })), 401],
    ['crit', 'hs', bearer(makeToken(keys.secret, grants, { header: { crit: ['b64'], b64: false } })), 401],
    ['garbage', 'hs', bearer('%00{}..'), 401],
    ['nothing', 'hs', bearer(''), 401],
    ['two parts', 'hs', bearer(good().split('.').slice(0, 2).join('.')), 401],
    ['four parts', 'hs', bearer(`${good()}.AAAA`), 401],
    ['longer than what is looked at', 'hs', cookie('A'.repeat(4000)), 401],
    ['longer than what nginx takes', 'hs', bearer('A'.repeat(9000)), 400],
    // public keys
    ['RS256', 'rs', bearer(makeToken(keys.rsa.private, grants, { alg: 'RS256' })), 200],
    ['ES256', 'es', bearer(makeToken(keys.ec.private, grants, { alg: 'ES256' })), 200],
    ['EdDSA', 'ed', bearer(makeToken(keys.ed.private, grants, { alg: 'EdDSA' })), 200],
    ['EdDSA with another key', 'ed', bearer(makeToken(makeKeys().ed.private, grants, { alg: 'EdDSA' })), 401],
    ['other claims under an EdDSA signature', 'ed', bearer(tamper(makeToken(keys.ed.private, grants, { alg: 'EdDSA' }), { claims: { freshet: { read: ['*'] } } })), 401],
    ['the Ed25519 public key as an HMAC secret', 'ed', bearer(makeToken(keys.ed.public, grants)), 401],
    // a key set: alg and kid choose among its keys
    ['RS256 of a set', 'set', bearer(makeToken(keys.rsa.private, grants, { alg: 'RS256', header: { kid: 'rsa' } })), 200],
    ['ES256 of a set', 'set', bearer(makeToken(keys.ec.private, grants, { alg: 'ES256', header: { kid: 'ec' } })), 200],
    ['EdDSA of a set', 'set', bearer(makeToken(keys.ed.private, grants, { alg: 'EdDSA', header: { kid: 'ed' } })), 200],
    ['HS256 of a set', 'set', bearer(makeToken(keys.secret, grants, { header: { kid: 'secret' } })), 200],
    ['no kid: every key of the algorithm is tried', 'set', bearer(makeToken(keys.ec.private, grants, { alg: 'ES256' })), 200],
    ['a kid that the set does not have', 'set', bearer(makeToken(keys.ec.private, grants, { alg: 'ES256', header: { kid: 'old' } })), 401],
    ['the kid of another key', 'set', bearer(makeToken(keys.ec.private, grants, { alg: 'ES256', header: { kid: 'rsa' } })), 401],
    ['the kid of another key of this algorithm', 'set', bearer(makeToken(keys.ec.private, grants, { alg: 'ES256', header: { kid: 'ec2' } })), 401],
    ['a kid that is no text', 'set', bearer(makeToken(keys.ec.private, grants, { alg: 'ES256', header: { kid: 7 } })), 200],
    ['a public key of the set as an HMAC secret', 'set', bearer(makeToken(keys.rsa.public, grants, { header: { kid: 'rsa' } })), 401],
    ['a public key of the set as the secret with the secret\'s kid', 'set', bearer(makeToken(keys.rsa.public, grants, { header: { kid: 'secret' } })), 401],
    ['alg none where a set is configured', 'set', bearer(makeToken('', grants, { alg: 'none', header: { kid: 'secret' } })), 401],
    ['the RSA public key as an HMAC secret', 'rs', bearer(makeToken(keys.rsa.public, grants)), 401],
    ['the same without its last line end', 'rs', bearer(makeToken(keys.rsa.public.trim(), grants)), 401],
    ['the EC public key as an HMAC secret', 'es', bearer(makeToken(keys.ec.public, grants)), 401],
    ['RS256 where ES256 is configured', 'es', bearer(makeToken(keys.rsa.private, grants, { alg: 'RS256' })), 401],
    ['alg none where RS256 is configured', 'rs', bearer(makeToken('', grants, { alg: 'none' })), 401],
    // publishing
    ['POST without a token', 'hs', post(), 401],
    ['POST, granted', 'hs', [...bearer(good()), ...post()], 201],
    ['POST, another topic', 'hs', [...bearer(good()), ...post('secret')], 403],
    ['POST with a token that only reads', 'hs', [...bearer(makeToken(keys.secret, { freshet: { read: ['*'] } })), ...post()], 403],
    ['POST, the web server forbids it', 'hs', [...bearer(good()), ...header('X-Publish', 'off'), ...post()], 403],
    ['POST, the web server vouches', 'hs', [...header('X-Publish', 'on'), ...post('secret')], 201],
    ['POST, both vouch', 'hs', [...bearer(good()), ...header('X-Publish', 'on'), ...post('secret')], 403],
    ['POST, alg none', 'hs', [...bearer(makeToken('', grants, { alg: 'none' })), ...post()], 401],
    ['POST where publishing is off', 'strict', [...bearer(good({ aud: 'events', iss: 'login' })), ...post()], 405],
    ['POST by cookie from nowhere', 'hs', [...cookie(good()), ...post()], 403],
    ['POST by cookie from a listed origin', 'hs', [...cookie(good()), ...header('Origin', APP), ...post()], 201],
    ['POST by cookie from another site', 'hs', [...cookie(good()), ...header('Origin', 'https://evil.example'), ...post()], 403],
    ['POST by cookie from a sandboxed frame', 'hs', [...cookie(good()), ...header('Origin', 'null'), ...post()], 403],
    ['POST by cookie, same origin', 'hs', [...cookie(good()), ...header('Origin', 'SELF'), ...post()], 201],
    ['POST by cookie, same origin but cross-site', 'hs', [...cookie(good()), ...header('Origin', 'SELF'), ...header('Sec-Fetch-Site', 'cross-site'), ...post()], 403],
    ['POST by cookie, Sec-Fetch-Site alone', 'hs', [...cookie(good()), ...header('Sec-Fetch-Site', 'same-origin'), ...post()], 201],
    ['POST by cookie from a sister domain', 'hs', [...cookie(good()), ...header('Sec-Fetch-Site', 'same-site'), ...post()], 403],
    ['a foreign page where the web server vouches', 'hs', [...header('X-Publish', 'on'), ...header('Origin', 'https://evil.example'), ...post()], 403],
];

describe('access through nginx', () => {
    const worlds = {};

    before(async () => {
        const publish = ['--publish', '--token-cookie', 'login', '--cors-origin', `${APP},https://b.example`];
        worlds.hs = await openWorld('hs', `${keys.secret}\n`, 'HS256', publish);
        worlds.public = await openWorld('public', keys.secret, 'HS256', ['--publish', '--public-topics', 'news/* faq']);
        worlds.strict = await openWorld('strict', keys.secret, 'HS256',
            ['--token-audience', 'events', '--token-issuer', 'login', '--token-leeway', '20s']);
        worlds.rs = await openWorld('rs', keys.rsa.public, 'RS256');
        worlds.es = await openWorld('es', keys.ec.public, 'ES256');
        worlds.ed = await openWorld('ed', keys.ed.public, 'EdDSA');
        worlds.set = await openWorld('set', makeKeySet({ rsa: keys.rsa.public, ec: keys.ec.public,
            ec2: makeKeys().ec.public, ed: keys.ed.public, secret: keys.secret }), 'HS256');
    });
    after(async () => {
        for (const world of Object.values(worlds))
            await world.close();
    });

    it('each request of the table gets its status', async () => {
        const rows = table();
        const wrong = [];
        assert.ok(rows.length >= 60);
        for (let i = 0; i < rows.length; i += 8) {
            await Promise.all(rows.slice(i, i + 8).map(async ([what, name, args, status, query = '']) => {
                const world = worlds[name];
                const own = args.map((arg) => arg.replace('Origin: SELF', `Origin: ${world.base}`));
                const got = await ask(own, world.url(query));
                if (got.status !== status)
                    wrong.push(`${what}: ${got.status} instead of ${status} ${got.body.slice(0, 200)}`);
                if (got.status === 401 && !/^Bearer realm="freshet"/.test(got.headers['www-authenticate']))
                    wrong.push(`${what}: ${got.headers['www-authenticate']}`);
            }));
        }
        assert.deepEqual(wrong, []);
    });

    it('a repeated key tells nothing about a topic that is not granted', async () => {
        const world = worlds.hs;
        const key = header('Idempotency-Key', 'of a secret');
        assert.equal((await ask([...header('X-Publish', 'on'), ...key, ...post('secret')], world.url())).status, 201);
        for (const [topic, status] of [['secret', 403], ['chat', 409]]) {
            const got = await ask([...bearer(good()), ...key, ...post(topic)], world.url());
            assert.equal(got.status, status);
            assert.equal(got.headers.location, undefined);
            assert.ok(!got.body.includes(world.db.epoch), got.body);
        }
    });

    it('a token shows what it grants, no more', async () => {
        const world = worlds.hs;
        const stream = await world.live('?since=earliest', { headers: { Authorization: `Bearer ${good()}` } });
        world.db.publish({ topic: 'secret', data: 'hidden' });
        world.db.publish({ topic: 'news/b', data: 'shown' });
        await stream.until('the event', () => stream.events.some((one) => one.data === 'shown'));
        assert.deepEqual(stream.events.map((one) => one.data), ['news/a', 'own', 'shown']);
        stream.close();
    });

    it('history shows what the token grants, to its bearer only', async () => {
        const world = worlds.hs;
        const json = header('Accept', 'application/json');
        const get = (rest, ...args) => ask([...json, ...args], world.url(rest));
        const seq = (topic) => world.db.ids(topic)[0];
        const all = bearer(makeToken(keys.secret, { freshet: { read: ['*'] } }));
        for (const [args, topics] of [[bearer(good()), ['news/a', 'own']], [cookie(good()), ['news/a', 'own']],
            [all, ['news/a', 'own', 'chat', 'secret']]]) {
            const { status, headers, body } = await get('?since=earliest&limit=4', ...args);
            assert.equal(status, 200);
            assert.match(headers['cache-control'], /private/);
            const seen = JSON.parse(body).events.map((one) => one.topic);
            assert.deepEqual(seen.slice(0, topics.length), topics);
        }
        assert.equal((await get('?since=earliest')).status, 401);
        assert.equal((await get('?topics')).status, 401);
        assert.equal((await get(`/${seq('own')}`)).status, 401);
        assert.equal((await get('?topic=secret', ...bearer(good()))).status, 403);
        assert.equal((await get(`/${seq('own')}`, ...bearer(good()))).status, 200);
        assert.equal((await get(`/${seq('secret')}`, ...bearer(good()))).status, 404);
        const { topics } = JSON.parse((await get('?topics', ...bearer(good()))).body);
        assert.ok(topics.every(({ topic }) => topic === 'own' || topic.startsWith('news/')), JSON.stringify(topics));
    });

    it('a long poll ends with its token', async () => {
        const began = performance.now();
        const seconds = soon();
        const { status } = await curl([...header('Accept', 'application/json'),
            ...bearer(good({ exp: now() + seconds })), worlds.hs.url('?topic=own&wait=60')], { seconds: 55 });
        assert.equal(status, 200);
        assert.ok(performance.now() - began < seconds * 1000 + scaled(2000));
    });

    it('a problem says why, and never how the token should have been', async () => {
        const { body, headers } = await curl([...bearer(tamper(good(), { claims: {} })), worlds.hs.url()]);
        assert.equal(headers['www-authenticate'], 'Bearer realm="freshet", error="invalid_token"');
        assert.deepEqual(JSON.parse(body),
            { type: 'about:blank', title: 'Unauthorized', status: 401, detail: "the token's signature does not match" });
    });

    it('a stream ends when its token does, and goes on with the next one', async () => {
        const world = worlds.hs;
        const topic = '?topic=own';
        const end = now() + soon();
        const stream = await world.live(topic, { headers: { Cookie: `login=${good({ exp: end })}` } });
        const other = await world.live(topic, { headers: { Cookie: `login=${good()}` } });
        const id = world.db.publish({ topic: 'own', data: 'before' });
        await stream.take(1);
        await stream.end();
        const late = Date.now() - end * 1000;
        assert.ok(late > -50 && late < scaled(1000), `ended ${late} ms after exp`);
        assert.equal(stream.error, undefined);
        assert.equal(other.ended, undefined);
        world.db.publish({ topic: 'own', data: 'between' });
        const next = await world.stream(topic,
            { headers: { Cookie: `login=${good()}`, 'Last-Event-ID': `${id}-${world.db.epoch}` } });
        assert.deepEqual((await next.take(1)).map((one) => one.data), ['between']);
        await until('the log line', () => world.responderLog().includes('stream end reason=expired'));
        next.close();
        other.close();
    });

    it('SIGHUP takes a new key; one that cannot be used leaves the old one', async () => {
        const world = await openWorld('changing', keys.secret, 'HS256');
        try {
            const fresh = makeKeys().secret;
            const status = async (key) => (await curl([...bearer(makeToken(key, grants)), '-I', world.url()])).status;
            const said = (text, times) => until(text, () => world.responderLog().split(text).length > times);
            assert.equal(await status(keys.secret), 200);
            writeFileSync(world.keyFile, fresh);
            world.responder.process.signal('SIGHUP');
            await said('token key read again', 1);
            assert.equal(await status(keys.secret), 401);
            assert.equal(await status(fresh), 200);
            writeFileSync(world.keyFile, 'short');
            world.responder.process.signal('SIGHUP');
            await said('the token key stays as it is', 1);
            assert.equal(await status(fresh), 200);
            assert.equal(await status('short'), 401);
        } finally {
            await world.close();
        }
    });

    it('two keys are good side by side; streams and polls of one that goes end, and come back with the next one', async () => {
        const [old, fresh] = [makeKeys().secret, makeKeys().secret];
        const second = join(dir, 'second');
        writeFileSync(second, fresh);
        const world = await openWorld('first', old, 'HS256', ['--token-key', second]);
        try {
            const token = (key) => ({ Authorization: `Bearer ${makeToken(key, grants)}` });
            const follow = (key, from) => world.live('?topic=own', { headers: { ...token(key), ...from } });
            const poll = (key) => curl([...header('Accept', 'application/json'), ...header('Authorization', token(key).Authorization),
                world.url('?topic=own&wait=30')], { seconds: 25 });
            const [a, b, vouched] = [await follow(old), await follow(fresh), await world.live('?topic=own', { headers: { 'X-Topics': 'own' } })];
            const twoPollsWait = () => {
                const { length } = world.responderLog(); // what the log says from now on
                return until('two polls that wait', () => {
                    world.responder.process.signal('SIGUSR1');
                    return /streams_open=5 /.test(world.responderLog().slice(length).split('\n')
                        .findLast((line) => line.includes('streams_open=')) ?? '');
                });
            };
            const [pollA, pollB] = [poll(old), poll(fresh)];
            await twoPollsWait();
            const id = world.db.publish({ topic: 'own', data: 'to both' });
            await Promise.all([a, b].map((stream) => stream.take(1)));
            assert.equal((await pollA).status, 200);
            await pollB;
            const waits = [poll(old), poll(fresh)];
            await twoPollsWait();
            writeFileSync(world.keyFile, fresh); // the old one is gone
            world.responder.process.signal('SIGHUP');
            await a.end(6000);
            assert.equal(a.error, undefined);
            assert.equal((await waits[0]).status, 200);
            await until('the log line', () => /token key read again: 2 in use, 0 ignored; ended 2 streams/.test(world.responderLog()));
            assert.match(world.responderLog(), /stream end reason=expired/);
            assert.equal((await ask(['-H', `Authorization: ${token(old).Authorization}`], world.url())).status, 401);
            world.db.publish({ topic: 'own', data: 'after' });
            await Promise.all([b, vouched].map((stream) => stream.until('the event', () => stream.events.at(-1)?.data === 'after')));
            assert.equal(JSON.parse((await waits[1]).body).events.at(-1).data, 'after');
            const next = await world.stream('?topic=own', { headers: { ...token(fresh), 'Last-Event-ID': `${id}-${world.db.epoch}` } });
            assert.deepEqual((await next.take(1)).map((one) => one.data), ['after']);
            // A file that cannot be used changes nothing, and ends nobody.
            writeFileSync(second, '{"keys":[]}');
            world.responder.process.signal('SIGHUP');
            await until('the log line', () => /the token key stays as it is: .*no key in it/.test(world.responderLog()));
            assert.equal(b.ended, undefined);
        } finally {
            await world.close();
        }
    });

    it('a key that leaves its set takes its streams along, the others stay', async () => {
        const set = (...names) => makeKeySet(Object.fromEntries(names.map((name) => [name, { rsa: keys.rsa, ec: keys.ec, ed: keys.ed }[name].public])));
        const world = await openWorld('leaving', set('rsa', 'ec', 'ed'), 'HS256');
        try {
            const follow = (alg, kid, key) => world.live('?topic=own', {
                headers: { Authorization: `Bearer ${makeToken(key, grants, { alg, header: { kid } })}` } });
            const [rs, es, ed] = [await follow('RS256', 'rsa', keys.rsa.private), await follow('ES256', 'ec', keys.ec.private),
                await follow('EdDSA', 'ed', keys.ed.private)];
            writeFileSync(world.keyFile, set('ed', 'rsa'));
            world.responder.process.signal('SIGHUP');
            await es.end(6000);
            await until('the log line', () => world.responderLog().includes('2 in use, 0 ignored; ended 1 streams'));
            world.db.publish({ topic: 'own', data: 'x' });
            await Promise.all([rs, ed].map((stream) => stream.take(1)));
        } finally {
            await world.close();
        }
    });

    it('freshet token makes what the responder takes, and nginx or lighttpd passes on', async () => {
        const make = (kind, key, ...args) => {
            const file = join(dir, `${kind}.private`);
            writeFileSync(file, key);
            const done = run(program('freshet'), ['token', '--key', file, '--read', 'own', '--write', 'chat', ...args]);
            assert.equal(done.code, 0, done.stderr);
            return done.stdout.toString().trim();
        };
        const tokens = {
            hs: make('hs', keys.secret),
            rs: make('rs', keys.rsa.private, '--algorithm', 'RS256'),
            es: make('es', keys.ec.private, '--algorithm', 'ES256'),
            ed: make('ed', keys.ed.private, '--algorithm', 'EdDSA'),
            strict: make('hs', keys.secret, '--audience', 'events', '--issuer', 'login'),
        };
        for (const [name, token] of Object.entries(tokens)) {
            const status = async (query) => (await ask(bearer(token), worlds[name].url(query))).status;
            assert.deepEqual([name, await status('?topic=own'), await status('?topic=chat')], [name, 200, 403]);
        }
        const world = await World.open({
            server: 'lighttpd',
            options: ['--token-key', worlds.hs.keyFile, '--token-cookie', 'login', '--publish'],
        });
        try {
            const status = async (...args) => (await ask(args, world.url())).status;
            assert.equal(await status(), 401);
            assert.equal(await status(...bearer(tokens.hs)), 200);
            assert.equal(await status(...cookie(tokens.hs)), 200);
            assert.equal(await status(...bearer(tokens.hs), ...bearer(tokens.hs)), 401);
            assert.equal(await status(...bearer(tokens.hs), ...post()), 201);
            assert.equal(await status(...cookie(tokens.hs), ...post()), 403);
            assert.equal(await status(...cookie(tokens.hs), ...header('Origin', world.base), ...post()), 201);
        } finally {
            await world.close();
        }
    });

    it('one event that is not granted, and nothing of the request is written', async () => {
        const world = worlds.hs;
        const count = () => Number(world.db.sql('SELECT count(*) FROM events'));
        const begin = count();
        const body = `${event('chat')}\n${event('secret')}\n`;
        const got = await curl([...bearer(good()), '-H', 'Content-Type: application/x-ndjson', '--data-binary', body, world.url()]);
        assert.equal(got.status, 403);
        assert.match(JSON.parse(got.body).detail, /^event 2: topic "secret" may not be written here$/);
        const byQuery = await curl([...bearer(good()), '-H', 'Content-Type: application/json', '-d', '{"data":"x"}', world.url('?topic=secret')]);
        assert.equal(byQuery.status, 403);
        assert.equal(count(), begin);
    });

    // ---- other origins

    it('a listed origin may read, with credentials; another one may not', async () => {
        const world = worlds.hs;
        for (const [args, status] of [[cookie(good()), 200], [[], 401]]) {
            const listed = await ask([...args, ...header('Origin', APP)], world.url());
            assert.equal(listed.status, status);
            assert.equal(listed.headers['access-control-allow-origin'], APP);
            assert.equal(listed.headers['access-control-allow-credentials'], 'true');
            assert.match(listed.headers['access-control-expose-headers'], /Location/);
            assert.equal(listed.headers.vary, 'Origin');
            const other = await ask([...args, ...header('Origin', 'https://evil.example')], world.url());
            assert.equal(other.headers['access-control-allow-origin'], undefined);
            assert.equal(other.headers['access-control-allow-credentials'], undefined);
            assert.equal(other.headers.vary, 'Origin');
        }
    });

    it('a preflight is answered without credentials, to a listed origin only', async () => {
        const preflight = (origin) => curl(['-X', 'OPTIONS', ...header('Origin', origin),
            ...header('Access-Control-Request-Method', 'POST'),
            ...header('Access-Control-Request-Headers', 'authorization,last-event-id'), worlds.hs.url()]);
        const yes = await preflight('https://b.example');
        assert.equal(yes.status, 204);
        assert.equal(yes.headers['access-control-allow-origin'], 'https://b.example');
        assert.match(yes.headers['access-control-allow-methods'], /GET.*POST/);
        for (const name of ['Authorization', 'Last-Event-ID', 'Content-Type', 'Idempotency-Key'])
            assert.match(yes.headers['access-control-allow-headers'], new RegExp(name));
        assert.match(yes.headers['access-control-max-age'], /^\d+$/);
        const no = await preflight('https://c.example');
        assert.equal(no.status, 204);
        assert.equal(no.headers['access-control-allow-origin'], undefined);
        assert.equal(no.headers['access-control-allow-methods'], undefined);
    });

    // ---- what is public

    it('without a grant a request reads what is public, by stream and by page, and SIGHUP changes that', async () => {
        const settings = join(dir, 'public.ini');
        writeFileSync(settings, '[freshet-fcgi]\npublic-topics = news/*\n');
        const world = await World.open({
            parameters,
            prepare: (db) => ['news/a', 'own', 'news/b'].forEach((topic) => db.publish({ topic, data: topic })),
            options: ['--config', settings],
        });
        try {
            const read = async (...args) => (await curl([...args, world.url('?since=earliest')])).body
                .match(/^data: [^{].*$/gm)?.map((line) => line.slice(6)) ?? [];
            const page = (rest, ...args) => ask([...header('Accept', 'application/json'), ...args], world.url(rest));
            assert.deepEqual(await read(), ['news/a', 'news/b']);
            assert.deepEqual(await read(...header('X-Topics', 'own')), ['own']);
            assert.deepEqual(await read(...header('X-Topics', '*')), ['news/a', 'own', 'news/b']);
            assert.deepEqual(JSON.parse((await page('?topics')).body).topics.map(({ topic }) => topic), ['news/a', 'news/b']);
            const first = await page('?since=earliest&limit=1');
            assert.doesNotMatch(first.headers['cache-control'], /private/);
            assert.match(first.headers.vary, /Authorization, Cookie/);
            assert.equal((await page('?topic=own')).status, 403);
            assert.equal((await page(`/${world.db.ids('own')[0]}`)).status, 404);
            assert.doesNotMatch(world.responderLog(), /public-topics/);
            for (const [value, seen] of [['own', ['own']], ['*', ['news/a', 'own', 'news/b']], ['a%zz', ['news/a', 'own', 'news/b']]]) {
                const times = world.responderLog().split('settings ').length;
                writeFileSync(settings, `[freshet-fcgi]\npublic-topics = ${value}\n`);
                world.responder.process.signal('SIGHUP');
                await until('the settings', () => world.responderLog().split('settings ').length > times);
                assert.deepEqual(await read(), seen);
            }
            assert.match(world.responderLog(), /settings stay as they are: --public-topics: /);
        } finally {
            await world.close();
        }
    });

    it('requests with a grant and requests without are seen: the log says once what that means', async () => {
        const said = /with FRESHET_TOPICS and some without.*--public-topics/g;
        for (const [options, times] of [[[], 1], [['--public-topics', '*'], 0]]) {
            const world = await World.open({ parameters, options });
            try {
                await curl(['-X', 'OPTIONS', ...header('X-Topics', 'a'), world.url()]);
                for (const args of [[], ['-I']])
                    assert.equal((await ask(args, world.url())).status, 200);
                assert.equal(world.responderLog().match(said), null);
                for (const args of [header('X-Topics', 'a'), [], header('X-Topics', 'b')])
                    assert.equal((await ask(args, world.url())).status, 200);
                assert.equal((world.responderLog().match(said) ?? []).length, times);
            } finally {
                await world.close();
            }
        }
    });

    // ---- limits per address

    it('an address has its share of streams; the next one is told to come back later', async () => {
        const world = await World.open({ parameters, options: ['--streams-per-address', '2', '--busy-retry', '7s'] });
        try {
            const from = (address) => world.stream('', { headers: { 'X-Address': address } });
            const first = await from('192.0.2.1');
            await from('192.0.2.1');
            const third = await from('192.0.2.1');
            assert.equal(third.status, 200);
            await third.end();
            assert.ok(Number(third.blocks[0]?.retry ?? /retry:(\d+)/.exec(third.rest.replace(' ', ''))[1]) >= 7000);
            const other = await from('192.0.2.2');
            await other.signal('live');
            first.close();
            await until('a free place', async () => {
                const next = await from('192.0.2.1');
                await next.until('an answer', () => next.ended || next.signals('live').length > 0);
                return !next.ended;
            });
        } finally {
            await world.close();
        }
    });

    it('an address publishes so often a second, and is told when to go on', async () => {
        const world = await World.open({ parameters, options: ['--publish', '--publishes-per-second', '3'] });
        try {
            const send = (address) => curl([...header('X-Publish', 'on'), ...header('X-Address', address),
                ...post(), world.url()]);
            const all = await Promise.all(Array.from({ length: 9 }, () => send('192.0.2.1')));
            const refused = all.filter((one) => one.status === 429);
            assert.ok(refused.length >= 3, all.map((one) => one.status).join());
            assert.equal(refused[0].headers['retry-after'], '1');
            assert.match(refused[0].headers['content-type'], /problem\+json/);
            assert.equal(world.db.ids('chat').length, 9 - refused.length);
            assert.equal((await send('192.0.2.2')).status, 201);
            await until('the allowance', async () => (await send('192.0.2.1')).status === 201);
        } finally {
            await world.close();
        }
    });
});

// ---- logins

describe('logins by the web server', () => {
    it('nginx/auth.conf: a cookie login decides about each stream', async () => {
        const sessions = new Map();
        const login = createServer((request, response) => {
            const user = sessions.get(/session=(\w+)/.exec(request.headers.cookie)?.[1]);
            if (request.url === '/login') {
                sessions.set('s1', '42');
                response.writeHead(204, { 'Set-Cookie': 'session=s1; HttpOnly; SameSite=Lax' }).end();
            } else {
                response.writeHead(user ? 204 : 401, !user ? {} : {
                    'X-Freshet-Topics': `user/${user}/* news`, 'X-Freshet-User': user,
                    ...(user === '42' ? { 'X-Freshet-Publish': 'on' } : {}),
                }).end();
            }
        });
        await new Promise((resolve) => login.listen(0, '127.0.0.1', resolve));
        const app = `http://127.0.0.1:${login.address().port}/`;
        const world = await World.open({ variant: 'production', auth: app, options: ['--publish'] });
        try {
            const url = (query) => `${world.base}/private/events${query}`;
            const visit = (query, ...args) => curl(['-k', ...args, url(query)]);
            assert.equal((await visit('?topic=news')).status, 401);
            // What is private there is private at /events, too.
            const open = (query, ...args) => curl(['-k', ...args, `${world.base}/events${query}`]);
            for (const topic of ['public/a', 'user/9/inbox'])
                world.db.publish({ topic, data: topic });
            const seen = await open('?since=earliest');
            assert.deepEqual(seen.body.match(/^data: [^{].*$/gm), ['data: public/a']);
            assert.equal((await open('?topic=user/9/inbox')).status, 403);
            assert.equal((await open('?topic=user/9/inbox', ...header('FRESHET_TOPICS', '*'))).status, 403);
            const json = header('Accept', 'application/json');
            assert.deepEqual(JSON.parse((await open('?topics', ...json)).body).topics.map(({ topic }) => topic), ['public/a']);
            const [hidden] = world.db.ids('user/9/inbox');
            assert.notEqual((await open(`/${hidden}`)).status, 200);
            const { headers } = await curl([`${app}login`]);
            const session = header('Cookie', headers['set-cookie'].split(';')[0]);
            for (const topic of ['news', 'user/42/inbox', 'user/7/inbox', 'secret'])
                world.db.publish({ topic, data: topic });
            const all = await visit('?since=earliest', ...session);
            assert.equal(all.status, 200);
            assert.deepEqual(all.body.match(/^data: [^{].*$/gm), ['data: news', 'data: user/42/inbox']);
            assert.equal((await visit('?topic=user/7/inbox', ...session)).status, 403);
            assert.equal((await visit('?topic=user/42/*', ...session, ...header('X-Freshet-Topics', '*'))).status, 200);
            const own = header('Origin', world.base);
            const published = await visit('', ...session, ...own, ...post('news'));
            assert.equal(published.status, 201);
            const there = await curl(['-k', ...session, `${world.base}${published.headers.location}`]);
            assert.equal(there.status, 200);
            assert.equal(JSON.parse(there.body).id, JSON.parse(published.body).ids[0]);
            // More than nginx takes by default.
            const large = join(dir, 'large.ndjson');
            writeFileSync(large, `${JSON.stringify({ topic: 'news', data: 'x'.repeat(900_000) })}\n`.repeat(3));
            assert.equal((await visit('', ...session, ...own, '-H', 'Content-Type: application/x-ndjson',
                '--data-binary', `@${large}`)).status, 201);
            assert.equal((await visit('', ...session, ...post('news'))).status, 403);
            assert.equal((await visit('', ...session, ...header('Origin', APP), ...post('news'))).status, 403);
            sessions.set('s1', '7');
            assert.equal((await visit('', ...session, ...own, ...post('news'))).status, 403);
            sessions.clear();
            assert.equal((await visit('', ...session)).status, 401);
        } finally {
            await world.close();
            login.closeAllConnections();
            login.close();
        }
    });

    it('lighttpd/auth.conf: who is logged in reads and publishes, the others read what is public', async () => {
        // As htpasswd -s writes it for "password".
        const users = 'alice:{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=\n';
        const world = await World.open({ server: 'lighttpd', variant: 'production', users, options: ['--publish'] });
        try {
            const visit = (path, ...args) => curl(['-k', ...args, `${world.base}${path}`]);
            const alice = ['-u', 'alice:password'];
            for (const topic of ['public/a', 'news', 'secret'])
                world.db.publish({ topic, data: topic });
            assert.equal((await visit('/private/events')).status, 401);
            assert.equal((await visit('/private/events', '-u', 'alice:wrong')).status, 401);
            const all = await visit('/private/events?since=earliest', ...alice);
            assert.deepEqual(all.body.match(/^data: [^{].*$/gm), ['data: public/a', 'data: news', 'data: secret']);
            const some = await visit('/events?since=earliest');
            assert.deepEqual(some.body.match(/^data: [^{].*$/gm), ['data: public/a', 'data: news']);
            assert.equal((await visit('/events?topic=secret')).status, 403);
            assert.equal((await visit('/events?topic=secret', ...header('FRESHET_TOPICS', '*'))).status, 403);
            assert.equal((await visit('/events', ...post('news'))).status, 403);
            const [secret] = world.db.ids('secret');
            for (const path of ['/private/eventsx', `/private/events/${secret}`])
                assert.equal((await visit(path)).status, 401);
            assert.equal((await visit(`/private/events/${secret}`, ...alice)).status, 200);
            for (const path of [`/events/${secret}`, `/events/x/../${secret}`, `//events/${secret}`, `/%65vents/${secret}`])
                assert.notEqual((await visit(path)).status, 200);
            assert.doesNotMatch((await visit('/eventsx?since=earliest')).body, /secret/);
            assert.equal((await visit('/private/events', ...alice, ...post('news'))).status, 201);
            assert.equal((await visit('/private/events', ...alice, ...header('Origin', 'https://evil.example'), ...post('news'))).status, 403);
        } finally {
            await world.close();
        }
    });
});
