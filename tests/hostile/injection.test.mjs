// No publisher and no client forges what others read: a field of an event, a header, a line of the log.
// What arrives is taken apart by a decoder that is not ours.
import assert from 'node:assert/strict';
import net from 'node:net';
import { after, before, describe, it } from 'node:test';
import { createParser } from 'eventsource-parser';
import { literal } from '../e2e/kit/database.mjs';
import { raw } from '../e2e/kit/net.mjs';
import { post } from '../e2e/kit/post.mjs';
import { until } from '../e2e/kit/wait.mjs';
import { World, servers } from '../e2e/kit/world.mjs';
import { Front, exchange, post as postHead, record, request, STDIN } from '../e2e/kit/fastcgi.mjs';

const FORGED = 'id: 999999999\nevent: forged\ndata: forged\n\n';
const LINE_ENDS = { LF: '\n', CR: '\r', CRLF: '\r\n', 'CR CR': '\r\r', 'LF LF': '\n\n', 'LF CR': '\n\r' };
/* What other standards, but not SSE, count as the end of a line, and what may be taken for one. */
const LOOKALIKES = { 'U+2028': '\u2028', 'U+2029': '\u2029', NEL: '\u0085', VT: '\v', FF: '\f', BOM: '\ufeff',
    'U+010A': '\u010a', 'U+560A': '\u560a', tab: '\t', DEL: '\x7f', ESC: '\x1b' };
const INVALID = { 'an overlong LF': [0xc0, 0x8a], 'an overlong LF of three bytes': [0xe0, 0x80, 0x8a],
    'half a character before LF': [0xe2, 0x80, 0x0a], 'a surrogate': [0xed, 0xa0, 0x80], 'FF': [0xff], 'FE FF': [0xfe, 0xff],
    'Latin-1': [0xe9], 'a character that is cut': [0xf0, 0x9f, 0x98], 'beyond Unicode': [0xf4, 0x90, 0x80, 0x80] };

/** What a client makes of the raw bytes of a stream. */
function decode(text) {
    const events = [];
    const parser = createParser({ onEvent: (event) => events.push(event) });
    parser.feed(text);
    return events.filter((event) => !event.event?.startsWith('freshet:'));
}

function headOf(answer) {
    return answer.slice(0, answer.indexOf('\r\n\r\n')).split('\r\n');
}

for (const server of servers) {
    describe(`injection through ${server}`, () => {
        let world;
        before(async () => {
            world = await World.open({ server,
                options: ['--publish', '--retry-min', '200ms', '--cors-origin', 'https://app.example'],
                parameters: { FRESHET_PUBLISH: 'on' } });
        });
        after(() => world?.close());

        /** Takes the stream of a topic as raw text until it holds the event with data "end". */
        async function rawStream(topic, since) {
            const answer = [];
            const socket = net.connect(world.server.port, '127.0.0.1');
            socket.on('error', () => {});
            socket.on('data', (chunk) => answer.push(chunk));
            // HTTP/1.0: the body comes as it is, without chunks.
            socket.write(`GET /events?topic=${encodeURIComponent(topic)}&last_event_id=${since} HTTP/1.0\r\n` +
                'Host: 127.0.0.1\r\n\r\n');
            const text = () => Buffer.concat(answer).toString();
            await until('the end of the stream', () => /data: end\n\n/.test(text()));
            socket.destroy();
            return text().slice(text().indexOf('\r\n\r\n') + 4);
        }

        it('data with line ends of any kind stays the data of one event', async () => {
            const expected = [];
            const since = world.db.publish({ topic: 'begin', data: 'x' });
            for (const end of [...Object.values(LINE_ENDS), ...Object.values(LOOKALIKES)]) {
                for (const data of [`x${end}${FORGED}`, `${end}${FORGED}`, `x${end}${end}${FORGED}`, `x${end}`, `x${end}:`,
                    `x${end}retry: 1${end}${end}`, `${FORGED.replaceAll('\n', end)}`]) {
                    const answer = await post(world.url(), { topic: 'data', data });
                    assert.equal(answer.status, 201, answer.text);
                    expected.push({ id: answer.json().ids[0], data: data.replace(/\r\n?/g, '\n') });
                }
            }
            world.db.publish({ topic: 'data', data: 'end' });
            const events = decode(await rawStream('data', since));
            assert.equal(events.pop().data, 'end');
            assert.deepEqual(events.map(({ id, event, data }) => ({ id, event, data })),
                expected.map(({ id, data }) => ({ id, event: undefined, data })));
        });

        it('no control character gets into a topic or a type', async () => {
            for (const [name, end] of [...Object.entries(LINE_ENDS), ['NUL', '\0'], ['ESC', '\x1b'], ['tab', '\t'],
                ['DEL', '\x7f']]) {
                for (const member of ['topic', 'type']) {
                    const event = { topic: 'names', data: 'x', [member]: `x${end}data: forged` };
                    assert.equal((await post(world.url(), event)).status, 400, `${member} with ${name}`);
                    const form = new URLSearchParams(event).toString();
                    assert.equal((await post(world.url(), form, { type: 'form' })).status, 400, `${member} with ${name}`);
                }
            }
            const nul = await post(world.url(), '{"topic":"names","data":"a\\u0000b"}');
            assert.equal(nul.status, 400, nul.text);
            assert.equal(world.db.ids('names').length, 0);
        });

        it('what is not UTF-8 is refused, wherever it stands', async () => {
            for (const [name, bytes] of Object.entries(INVALID)) {
                for (const member of ['topic', 'type', 'data', 'key']) {
                    const event = { topic: 'utf8', data: 'x', [member]: 'HERE' };
                    const [left, right] = JSON.stringify(event).split('HERE');
                    const body = Buffer.concat([Buffer.from(left), Buffer.from(bytes), Buffer.from(right)]);
                    assert.equal((await post(world.url(), body)).status, 400, `${member} with ${name}`);
                }
            }
            assert.equal(world.db.ids('utf8').length, 0);
        });

        it('a type that says it is a signal is refused', async () => {
            for (const type of ['freshet:reset', 'freshet:live', 'freshet:'])
                assert.equal((await post(world.url(), { topic: 'signal', type, data: '{}' })).status, 400);
        });

        it('a row that evaded the checks of the schema forges nothing either', async () => {
            const since = world.db.publish({ topic: 'begin', data: 'x' });
            const rows = [];
            for (const end of ['\n', '\r', '\r\n', '\n\n'])
                rows.push(`('evaded', ${literal(`t${end}${FORGED}`)}, 'x')`);
            world.db.sql(`PRAGMA ignore_check_constraints = ON; INSERT INTO events(topic, type, data) VALUES ${rows}`);
            world.db.publish({ topic: 'evaded', data: 'end' });
            const events = decode(await rawStream('evaded', since));
            assert.equal(events.pop().data, 'end');
            assert.deepEqual(events.map(({ event, data }) => [event, data]), rows.map(() => ['t', 'x']));
        });

        it('what a client asked for comes back in a reset as one line', async () => {
            for (const cursor of ['x%0aid: 9', 'x%0d%0aevent: forged', '%e2%80%a8data: forged', '%22}%0a%0adata: forged', '%ff%fe']) {
                const answer = await raw(world.server.port, `GET /events?topic=z&last_event_id=${cursor.replaceAll(' ', '%20')} ` +
                    'HTTP/1.0\r\nHost: x\r\n\r\n', { for: 300 });
                if (/^HTTP\/1.[01] 400/.test(answer)) // lighttpd passes no control characters on
                    continue;
                const lines = answer.slice(answer.indexOf('\r\n\r\n') + 4).split(/\r\n|\r|\n/);
                const newest = `${world.db.sql('SELECT seq FROM sqlite_sequence').trim()}-${world.db.epoch}`;
                for (const line of lines)
                    if (line !== `id: ${newest}`) // of freshet:live, where the stream really is
                        assert.match(line, /^(retry: \d+|: freshet|event: freshet:(reset|live)|data: \{"(reason|id)":.*\}|)$/);
            }
        });

        it('no header is forged through the path of a POST', async () => {
            for (const path of ['%0d%0aX-Evil: 1', '%0aX-Evil: 1', '%0dX-Evil: 1', '%0d%0a%0d%0a<script>',
                '%c4%8d%c4%8aX-Evil: 1', '%e2%80%a8X-Evil', '"><', '%7f', '%00']) {
                const body = '{"topic":"path","data":"x"}';
                const answer = await raw(world.server.port, `POST /events/${path.replaceAll(' ', '%20')} HTTP/1.1\r\nHost: x\r\n` +
                    `Content-Type: application/json\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n${body}`);
                const head = headOf(answer);
                assert.match(head[0], /^HTTP\/1.1 (201|400|404) /, `${path}: ${head[0]}`);
                for (const line of head.slice(1)) {
                    assert.doesNotMatch(line, /^x-evil/i, path);
                    assert.match(line, /^[\x20-\x7e]*$/, path);
                }
            }
        });

        it('no header is forged through the query of a page', async () => {
            world.db.publish({ topic: 'link', data: '1' });
            world.db.publish({ topic: 'link', data: '2' });
            for (const extra of ['x=%0d%0aX-Evil:1', 'x=>;rel="prev",<http://evil.example/', 'x=\\', 'x="', "x='", 'x=%', 'x=%zz',
                'x=\xe9']) {
                const answer = await raw(world.server.port, `GET /events?topic=link&since=earliest&limit=1&${extra} HTTP/1.1\r\n` +
                    'Host: x\r\nAccept: application/json\r\nConnection: close\r\n\r\n');
                const head = headOf(answer);
                assert.match(head[0], / (200|400) /, extra);
                const links = head.filter((line) => /^link:/i.test(line));
                for (const line of head)
                    assert.doesNotMatch(line, /^x-evil/i, extra);
                for (const link of links)
                    assert.match(link, /^link: <[^<>"\s]*>; rel="next"$/i, extra);
            }
        });

        it('an origin that is not listed is not repeated, whatever follows the listed one', async () => {
            for (const origin of ['https://app.example.evil.example', 'https://app.example ', 'https://app.example, null',
                'HTTPS://APP.EXAMPLE', 'https://app.example/', 'null', 'https://app.example\x85', '*']) {
                const answer = await raw(world.server.port, `HEAD /events HTTP/1.1\r\nHost: x\r\nOrigin: ${origin}\r\n` +
                    'Connection: close\r\n\r\n');
                const allowed = headOf(answer).filter((line) => /^access-control-allow-origin/i.test(line));
                if (origin.trim() === 'https://app.example') // blanks around a value are no part of it
                    continue;
                assert.deepEqual(allowed, [], origin);
            }
        });

        it('every line of the log is ours, and every event of a problem is JSON', async () => {
            for (const text of ['%0a2026-01-01T00:00:00.000Z freshet-fcgi[1] info: forged', '%1b[2J', '%c2%9b31m', '%e2%80%a8forged',
                '%e2%80%aeforged', '" remote=6.6.6.6 filter="', '%ff']) {
                const query = text.replaceAll(' ', '%20').replaceAll('"', '%22');
                for (const name of ['topic', 'type', 'where', 'since', 'last_event_id'])
                    await raw(world.server.port, `GET /events?${name}=${query} HTTP/1.1\r\nHost: x\r\nUser-Agent: ${text}\r\n` +
                        `Origin: ${text}\r\nConnection: close\r\n\r\n`, { for: 100 });
                const answer = await raw(world.server.port, `GET /events?type=${query}&type=%0a HTTP/1.1\r\nHost: x\r\n` +
                    'Connection: close\r\n\r\n');
                if (/problem\+json/.test(answer))
                    assert.equal(JSON.parse(answer.slice(answer.indexOf('\r\n\r\n') + 4)).status, 400);
            }
            const lines = world.responderLog().split('\n').slice(0, -1);
            for (const line of lines) {
                assert.match(line, /^\d{4}-\d\d-\d\dT[\d:.]{12}Z freshet-fcgi\[\d+\] (info|warning|error): [^\x00-\x1f\x7f-\x9f\u2028-\u202e]*$/);
                assert.doesNotMatch(line, /^2026-01-01/);
                const end = /info: stream end (.*)/.exec(line);
                if (end)
                    assert.match(end[1], /^reason=[a-z-]+ remote=[\w.:%-]+ filter="[^"]*" first=\d+ last=\d+ events=\d+ bytes=\d+ ms=\d+$/);
            }
        });
    });
}

describe('injection by a web server that passes on anything', () => {
    let world;
    before(async () => { world = await World.open({ options: ['--publish', '--cors-origin', 'https://app.example'] }); });
    after(() => world?.close());
    const head = (front) => front.output.slice(0, front.output.indexOf('\r\n\r\n')).split('\r\n');

    it('no header is forged through SCRIPT_NAME, the query or an origin', async () => {
        const body = Buffer.from('{"topic":"a","data":"b"}');
        const evil = '\r\nX-Evil: 1\r\n\r\n';
        const stream = { HTTP_ACCEPT: 'application/json', HTTP_ORIGIN: `https://app.example${evil}`, HTTP_HOST: evil };
        const answers = await Promise.all([
            exchange(world.responder.socket, Buffer.concat([postHead(body.length, { SCRIPT_NAME: `/events${evil}` }),
                record(STDIN, body), record(STDIN)])),
            exchange(world.responder.socket, request(`since=earliest&limit=1&x=${evil}>`, stream)),
            exchange(world.responder.socket, request('', { ...stream, REQUEST_METHOD: 'OPTIONS',
                HTTP_ACCESS_CONTROL_REQUEST_METHOD: evil })),
            exchange(world.responder.socket, request('', { ...stream, REQUEST_METHOD: evil })),
        ]);
        for (const answer of answers) {
            assert.ok(answer.status >= 200 && answer.status < 500);
            for (const line of head(answer))
                assert.match(line, /^(Status: \d+ [\w ]+|[A-Z][\w-]*: [\x20-\x7e]+)$/);
            assert.ok(!head(answer).some((line) => /^(X-Evil|Access-Control-Allow-Origin)/.test(line)));
        }
    });

    it('a path that is too long for a header gets no Location', async () => {
        const body = Buffer.from('{"topic":"a","data":"b"}');
        const answer = await exchange(world.responder.socket, Buffer.concat([
            postHead(body.length, { SCRIPT_NAME: `/${'x'.repeat(20_000)}` }), record(STDIN, body), record(STDIN)]));
        assert.equal(answer.status, 201);
        assert.doesNotMatch(answer.output, /Location/);
    });

    it('an address is one word of the log', async () => {
        const front = await Front.connect(world.responder.socket);
        await front.send(request('topic=nobody', { FRESHET_ADDRESS: 'x filter="y" first=1\n\u009b31m\u2028 z' }));
        await front.until('the stream', () => front.status === 200);
        front.close();
        const line = await until('the line', () => /stream end .*/.exec(world.responder.output())?.[0]);
        assert.match(line, /remote=x%20filter%3D%22y%22%20first%3D1%0A%C2%9B31m%E2%80%A8%20z filter="topic=nobody" first=0 /);
    });
});
