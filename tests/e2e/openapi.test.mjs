// doc/openapi.json against the program, both ways: what the sources know is in the document and the
// other way round; and every documented response is provoked through nginx and compared with it.
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { root } from './kit/env.mjs';
import { post } from './kit/post.mjs';
import { before as inTime, until } from './kit/wait.mjs';
import { World } from './kit/world.mjs';

const text = (file) => readFileSync(join(root, file), 'utf8');
const doc = JSON.parse(text('doc/openapi.json'));
const sorted = (list) => [...new Set(list)].sort();
const METHODS = ['get', 'head', 'options', 'post', 'put', 'patch', 'delete', 'trace'];

function resolve(what) {
    if (what?.$ref === undefined)
        return what;
    const found = what.$ref.replace('#/', '').split('/').reduce((at, name) => at?.[name], doc);
    assert.ok(found, `${what.$ref} is missing`);
    return found;
}

const operations = Object.entries(doc.paths).flatMap(([path, item]) => Object.entries(item)
    .filter(([method]) => METHODS.includes(method))
    .map(([method, operation]) => ({
        path, method, ...operation,
        parameters: [...(item.parameters ?? []), ...(operation.parameters ?? [])].map(resolve),
    })));
const operation = (id) => operations.find((one) => one.operationId === id);

/** Every response that the document promises: [operation, status, media type or ""]. */
const promises = operations.flatMap((one) => Object.entries(one.responses).flatMap(([status, response]) => {
    const kinds = Object.keys(resolve(response).content ?? {});
    return (kinds.length > 0 ? kinds : ['']).map((kind) => [one, Number(status), kind]);
}));

// ---- a JSON schema, as far as the document uses it

function check(schema, value, at = 'body') {
    schema = resolve(schema) ?? {};
    const kind = value === null ? 'null' : Array.isArray(value) ? 'array' :
        Number.isInteger(value) ? 'integer' : typeof value;
    if (schema.type)
        assert.ok([schema.type].flat().includes(kind), `${at} is ${kind}, not ${schema.type}`);
    if (schema.enum)
        assert.ok(schema.enum.includes(value), `${at}: ${value} is none of ${schema.enum}`);
    if (schema.const !== undefined)
        assert.equal(value, schema.const, at);
    if (schema.pattern)
        assert.match(value, new RegExp(schema.pattern), at);
    if (schema.oneOf) {
        const fits = schema.oneOf.filter((one) => {
            try {
                check(one, value, at);
                return true;
            } catch {
                return false;
            }
        });
        assert.equal(fits.length, 1, `${at} fits ${fits.length} of the forms: ${JSON.stringify(value)}`);
    }
    for (const name of schema.required ?? [])
        assert.ok(Object.hasOwn(value, name), `${at} has no ${name}`);
    for (const [name, member] of Object.entries(kind === 'object' ? value : {})) {
        const known = schema.properties?.[name];
        assert.ok(known || schema.additionalProperties !== false, `${at} has an undocumented ${name}`);
        if (known)
            check(known, member, `${at}.${name}`);
    }
    if (kind === 'array' && schema.items)
        value.forEach((member, i) => check(schema.items, member, `${at}[${i}]`));
}

// ---- the document and the sources

describe('doc/openapi.json and the sources', () => {
    const matches = (file, pattern) => [...text(file).matchAll(pattern)].map((match) => match.slice(1));
    const problems = (file) => matches(file, /respond_problem\(\s*c, (\d{3}),/g).map(([status]) => Number(status));
    const denied = matches('http/access.c', /(?:deny\(a, |a->status = )(\d{3})/g).map(([status]) => Number(status));
    const whole = (file) => matches(file, /"(?:Status: )?(\d{3}) [A-Z]\w+/g).map(([status]) => Number(status));
    const statuses = (...ones) => sorted(ones.flatMap((one) => Object.keys(one.responses).map(Number)));

    it('refers only to what it has, and has only what it refers to', () => {
        const refs = sorted([...text('doc/openapi.json').matchAll(/"\$ref": "#\/components\/([^"]+)"/g)]
            .map((match) => match[1]));
        const parts = Object.entries(doc.components).filter(([kind]) => kind !== 'securitySchemes')
            .flatMap(([kind, members]) => Object.keys(members).map((name) => `${kind}/${name}`));
        assert.deepEqual(refs, sorted(parts));
    });

    it('query parameters: the table of http/query.c, and for which answers', () => {
        const rows = matches('http/query.c', /\{"(\w+)", [A-Z]+, ([A-Z |]+), (?:true|false)\}/g);
        const words = { STREAM: 'stream', PAGE: 'page', LIST: 'topics', EVENT: 'event' };
        const known = Object.fromEntries(rows.map(([name, kinds]) => [name, kinds.split(' | ').map((kind) => words[kind])]));
        assert.ok(rows.length > 10, 'the table is found');
        assert.deepEqual(operation('readOne').parameters.filter((one) => one.in === 'query').map((one) => one.name),
            Object.keys(known).filter((name) => known[name].includes('event')));
        for (const id of ['read', 'head']) {
            const named = operation(id).parameters.filter((one) => one.in === 'query');
            assert.deepEqual(Object.fromEntries(named.map((one) => [one.name, one['x-answers']])), known);
        }
        const taken = matches('fcgi/publish.c', /form_name_is\(name, "(\w+)", true\)/g).flat();
        assert.deepEqual(operation('publish').parameters.filter((one) => one.in === 'query').map((one) => one.name), taken);
    });

    it('headers: those that the responder asks the web server for', () => {
        // OpenAPI has places of their own for these: media types, security, servers.
        const elsewhere = ['accept', 'authorization', 'cookie', 'host'];
        const read = matches('http/request.h', /ROW\(\w+, "HTTP_(\w+)"\)/g)
            .map(([name]) => name.toLowerCase().replaceAll('_', '-'));
        const named = operations.flatMap((one) => one.parameters).filter((one) => one.in === 'header')
            .map((one) => one.name.toLowerCase());
        assert.deepEqual(sorted([...named, ...elsewhere]), sorted(read));
    });

    it('statuses: every one that the program sends, and no other', () => {
        const sources = readdirSync(join(root, 'fcgi')).filter((name) => name.endsWith('.c'))
            .map((name) => `fcgi/${name}`);
        const sent = sources.flatMap((file) => [...problems(file), ...whole(file)]);
        assert.deepEqual(statuses(...operations), sorted([...sent, ...denied]));
        const tooLarge = /respond_too_large\(c\)/.test(text('fcgi/publish.c')) ? [413] : [];
        assert.deepEqual(statuses(operation('publish')),
            sorted([...problems('fcgi/publish.c'), ...whole('fcgi/publish.c'), ...denied, ...tooLarge, 405]));
    });

    it('media types of a POST', () => {
        const taken = matches('fcgi/publish.c', /header_is_type\(content_type, "([^"]+)"\)/g).flat();
        assert.deepEqual(sorted(Object.keys(operation('publish').requestBody.content)), sorted(taken));
    });
});

// ---- every documented response, live

/** One request by node's client; a stream is closed after its head. */
function ask(url, { method = 'GET', headers = {} } = {}) {
    return inTime(`the answer to ${method} ${url}`, new Promise((resolve_, reject) => {
        const request = http.request(url, { method: method.toUpperCase(), agent: false, headers });
        request.on('error', reject);
        request.on('response', (response) => {
            const type = (response.headers['content-type'] ?? '').split(';')[0];
            const done = (body) => resolve_({ status: response.statusCode, headers: response.headers, type, text: body });
            if (type === 'text/event-stream' && method !== 'HEAD') {
                response.once('data', (chunk) => { request.destroy(); done(chunk.toString()); });
                response.on('error', () => {});
                return;
            }
            const chunks = [];
            response.on('data', (chunk) => chunks.push(chunk));
            response.on('end', () => done(Buffer.concat(chunks).toString()));
        });
        request.end();
    }));
}

/** The response is what the document says of this operation. */
function compare(one, status, kind, answer) {
    const promised = resolve(one.responses[status]);
    assert.equal(answer.status, status, answer.text);
    assert.equal(answer.type.split(';')[0], kind);
    for (const [name, header] of Object.entries(promised.headers ?? {})) {
        const value = answer.headers[name.toLowerCase()];
        const { required, schema } = resolve(header);
        assert.ok(value !== undefined || !required, `${name} is missing`);
        if (value !== undefined && schema.enum)
            check(schema, value, name);
    }
    const { schema } = promised.content?.[kind] ?? {};
    if (one.method === 'head' || !schema)
        return;
    const values = kind === 'application/x-ndjson' ? answer.text.trim().split('\n')
        : kind.endsWith('json') ? [answer.text] : [];
    values.forEach((value) => check(schema, JSON.parse(value)));
    if (kind === 'application/problem+json')
        assert.equal(JSON.parse(answer.text).status, status);
}

describe('every response of doc/openapi.json, through nginx', { concurrency: false }, () => {
    const dir = mkdtempSync(join(tmpdir(), 'freshet-openapi-'));
    const worlds = {};
    const parameters = { FRESHET_TOPICS: '$http_x_topics if_not_empty', FRESHET_PUBLISH: 'on' };
    const event = { topic: 'a', data: 'x' };
    const JSON_ = { Accept: 'application/json' };
    const NDJSON = { Accept: 'application/x-ndjson' };

    before(async () => {
        writeFileSync(join(dir, 'key'), 'k'.repeat(40));
        const open = async (name, options, given = parameters) => {
            worlds[name] = await World.open({ parameters: given, options, prepare: (db) => db.fill('a', 5) });
        };
        await open('main', ['--publish', '--body-bytes', '4K']);
        await open('tokens', ['--publish', '--token-key', join(dir, 'key')], {});
        await open('reading', []);
        await open('slow', ['--publish', '--publishes-per-second', '1']);
        await open('full', ['--publish', '--publish-queue', '1', '--streams-max', '1']);
        worlds.main.db.sql('DELETE FROM events WHERE id <= 2');
    });
    after(async () => {
        for (const world of Object.values(worlds))
            await world.close();
        rmSync(dir, { recursive: true });
    });

    const get = (rest, headers = {}, world = 'main') => (method) => ask(worlds[world].url(rest), { method, headers });
    const send = (body, options, world = 'main', rest = '') => async () => {
        const answer = await post(worlds[world].url(rest), body, options);
        return { ...answer, type: answer.type.split(';')[0] };
    };
    const again = (rest, headers) => async (method) => {
        const first = await ask(worlds.main.url(rest), { headers });
        return ask(worlds.main.url(rest), { method, headers: { ...headers, 'If-None-Match': first.headers.etag } });
    };
    /** One stream holds the only place; who would wait for a page has none. */
    const noPlace = async (method) => {
        const stream = await worlds.full.live();
        const answer = await ask(worlds.full.url('?wait=10s'), { method, headers: JSON_ });
        stream.close();
        return answer;
    };
    const noQueue = async () => {
        const holder = worlds.full.db.shell();
        await holder.execute('BEGIN IMMEDIATE');
        const waiting = Array.from({ length: 4 }, send(event, {}, 'full'));
        const answer = await Promise.any(waiting);
        await holder.execute('COMMIT');
        await holder.close();
        await Promise.all(waiting);
        return answer;
    };
    const tooOften = () => until('a refusal', async () => {
        const answer = await send(event, {}, 'slow')();
        return answer.status === 429 && answer;
    });

    const reading = {
        '200 text/event-stream': get('?last=1'),
        '200 application/json': get('?last=3', JSON_),
        '200 application/x-ndjson': get('?last=3', NDJSON),
        304: again('?last=3', JSON_),
        400: get('?last=many', JSON_),
        401: get('', JSON_, 'tokens'),
        403: get('?topic=a', { ...JSON_, 'X-Topics': 'b' }),
        503: noPlace,
    };
    const recipes = {
        read: reading,
        head: { ...reading, 503: null }, // it does not wait for a place
        options: { 204: get('') },
        publish: {
            200: async () => {
                await send({ ...event, key: 'k' })();
                return send({ ...event, key: 'k' })();
            },
            201: send([event, event]),
            400: send('{'),
            401: send(event, {}, 'tokens'),
            403: send(event, { headers: { Origin: 'https://elsewhere.example' } }),
            405: send(event, {}, 'reading'),
            409: async () => {
                await send({ ...event, key: 'taken' })();
                return send({ ...event, topic: 'b', key: 'taken' })();
            },
            413: send({ ...event, data: 'x'.repeat(5000) }),
            415: send(event, { type: 'text/plain' }),
            422: async () => {
                const again = { headers: { 'Idempotency-Key': '"once"' } };
                await send(event, again)();
                return send({ ...event, data: 'another' }, again)();
            },
            429: tooOften,
            503: noQueue,
        },
        readOne: {
            200: get('/3'),
            304: again('/3', {}),
            401: get('/3', {}, 'tokens'),
            403: get('/3', { 'X-Topics': '%zz' }),
            404: get('/99'),
            410: get('/1'),
            503: null,
        },
    };
    // A damaged database and a full disk are provoked by tests/faults; null: a crowd by another test.
    const unprovoked = (status) => [500, 507].includes(status);

    for (const [one, status, kind] of promises) {
        const recipe = recipes[one.operationId]?.[`${status} ${kind}`] ?? recipes[one.operationId]?.[status];
        if (unprovoked(status) || recipe === null)
            continue;
        it(`${one.method} ${one.path}: ${status} ${kind}`, async () => {
            assert.ok(recipe, 'it is documented, and the test does not know how to provoke it');
            compare(one, status, kind, await recipe(one.method.toUpperCase()));
        });
    }

    it('the list of topics', async () => {
        compare(operation('read'), 200, 'application/json', await get('?topics', JSON_)('GET'));
        compare(operation('read'), 200, 'application/x-ndjson', await get('?topics', NDJSON)('GET'));
    });
    it('going back to the oldest, and a page with a reset', async () => {
        compare(operation('read'), 200, 'application/json', await get('?before=now', JSON_)('GET'));
        const answer = await get('?last_event_id=1', JSON_)('GET');
        compare(operation('read'), 200, 'application/json', answer);
        assert.equal(answer.headers['freshet-reset'], 'pruned');
    });
    it('what a POST made is where its Location says', async () => {
        const answer = await send(event)();
        compare(operation('publish'), 201, 'application/json', answer);
        const there = await ask(worlds.main.base + answer.headers.location);
        compare(operation('readOne'), 200, 'application/json', there);
        assert.equal(JSON.parse(there.text).id, JSON.parse(answer.text).ids[0]);
    });
    it('every documented body of a POST is taken', async () => {
        const examples = {
            'application/json': event, 'application/x-ndjson': JSON.stringify(event),
            'application/x-www-form-urlencoded': 'topic=a&data=x',
        };
        for (const type of Object.keys(operation('publish').requestBody.content)) {
            assert.ok(examples[type], `an example of ${type}`);
            compare(operation('publish'), 201, 'application/json', await send(examples[type], { type })());
        }
    });
    it('Allow names the documented methods, and others are refused', async () => {
        const documented = Object.keys(doc.paths['/events']).filter((name) => METHODS.includes(name))
            .map((name) => name.toUpperCase());
        const allow = (await get('')('OPTIONS')).headers.allow.split(', ');
        assert.deepEqual(sorted(allow), sorted(documented));
        for (const method of METHODS.map((name) => name.toUpperCase())) {
            if (documented.includes(method) || method === 'TRACE') // nginx refuses TRACE itself
                continue;
            const answer = await get('')(method);
            assert.equal(answer.status, 405, method);
            check(doc.components.schemas.Problem, JSON.parse(answer.text));
            assert.deepEqual(sorted(answer.headers.allow.split(', ')), sorted(documented));
        }
    });
});
