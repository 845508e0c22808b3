// A web server that lies: whatever comes on the socket costs its own connection and nothing else. The
// others, here one honest stream that is there all the time, must not notice.
import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import { randomBytes } from 'node:crypto';
import { instrumented, peakKB } from '../e2e/kit/memory.mjs';
import { scaled, until } from '../e2e/kit/wait.mjs';
import { World } from '../e2e/kit/world.mjs';
import { ABORT, AUTHORIZER, BEGIN, DATA, END, FILTER, Front, GET_VALUES, PARAMS, STDIN, STDOUT, UNKNOWN_TYPE, VALUES, begin, exchange,
    pair, pairs, params, post, record, request } from '../e2e/kit/fastcgi.mjs';

/** Bodies of 8 MB and what is made of them, the window, and an event of 8 MB on its way to a stream. */
const PEAK_KB = 128 * 1024;
const EVENT = Buffer.from('{"topic":"posted","data":"x"}');

/** Records of one body, in pieces of n bytes, without its end. */
function bodyRecords(bytes, n = 65535) {
    const records = [];
    for (let at = 0; at < bytes.length; at += n)
        records.push(record(STDIN, bytes.subarray(at, at + n)));
    return Buffer.concat(records);
}

const bodyOf = (bytes) => Buffer.concat([bodyRecords(bytes), record(STDIN)]);

describe('a hostile web server', () => {
    let world;
    let where;
    let honest;
    let told = 0;

    before(async () => {
        world = await World.open({ options: ['--publish', '--request-timeout', '1s', '--stall-timeout', '1s',
            '--event-bytes', '8M'] });
        where = world.responder.socket;
        honest = await world.live('?topic=honest');
    });
    afterEach(async () => {
        // The same process still serves the same stream.
        assert.equal(world.responder.process.how, undefined);
        world.db.publish({ topic: 'honest', data: String(++told) });
        const events = await honest.take(told);
        assert.equal(events.at(-1).data, String(told));
    });
    after(() => world?.close());

    const counters = async () => {
        const before = world.responder.output().match(/info: counters /g)?.length ?? 0;
        world.responder.signal('SIGUSR1');
        const lines = await until('the counters', () => {
            const found = world.responder.output().match(/info: counters .*/g) ?? [];
            return found.length > before && found;
        });
        return Object.fromEntries([...lines.at(-1).matchAll(/(\w+)=(\d+)/g)]
            .map(([, name, value]) => [name, Number(value)]));
    };

    // ---- what is no request

    const plain = pairs({ REQUEST_METHOD: 'GET', QUERY_STRING: 'topic=a' });
    const refused = {
        'text': Buffer.from('GET /events HTTP/1.1\r\nHost: x\r\n\r\n'),
        'a TLS hello': Buffer.from('160301020001000100', 'hex'),
        'zeros': Buffer.alloc(100),
        'ones': Buffer.alloc(100, 0xff),
        'another version': Buffer.concat([begin({ version: 2 }), params(plain)]),
        'another version of the parameters': Buffer.concat([begin(), params(plain, { version: 0 })]),
        'an unknown type': Buffer.concat([record(99), begin(), params(plain)]),
        'an unknown type among the parameters': Buffer.concat([begin(), record(99), params(plain)]),
        'parameters without a beginning': params(plain),
        'a body without a beginning': Buffer.concat([record(STDIN, 'x'), begin(), params(plain)]),
        'a beginning of another length': Buffer.concat([record(BEGIN, Buffer.alloc(7)), params(plain)]),
        'a body before the parameters have ended': Buffer.concat([begin(), record(PARAMS, plain), record(STDIN)]),
        'an answer': Buffer.concat([record(STDOUT, 'Status: 200\r\n\r\n'), record(END, Buffer.alloc(8))]),
        'a question with half a name': record(GET_VALUES, pair('FCGI_MAX_CONNS', '').subarray(0, 9), { id: 0 }),
        'FCGI_GET_VALUES within a request': Buffer.concat([begin(), record(GET_VALUES, pair('FCGI_MAX_CONNS', ''), { id: 0 })]),
        'request id 0': Buffer.concat([begin({ id: 0 }), params(plain, { id: 0 })]),
        'another request id in the parameters': Buffer.concat([begin(), params(plain, { id: 2 })]),
        'two requests at once': Buffer.concat([begin(), begin({ id: 2 }), params(plain), params(plain, { id: 2 })]),
        'the role of an authorizer': Buffer.concat([begin({ role: AUTHORIZER }), params(plain)]),
        'the role of a filter': Buffer.concat([begin({ role: FILTER }), params(plain)]),
        'a role that there is not': Buffer.concat([begin({ role: 0x101 }), params(plain)]),
        'an abort before the request': Buffer.concat([begin(), record(ABORT)]),
        'a name that is longer than the parameters': Buffer.concat([begin(), params(Buffer.from([100, 0, 65]))]),
        'a value of 2 GB': Buffer.concat([begin(), params(Buffer.from([1, 255, 255, 255, 255, 65, 66]))]),
        'a name and a value of 2 GB': Buffer.concat([begin(),
            params(Buffer.from([255, 255, 255, 255, 255, 255, 255, 255, 65, 66]))]),
        'a name and a value whose sum is 2 GB': Buffer.concat([begin(),
            params(Buffer.from([0xbf, 255, 255, 255, 0xbf, 255, 255, 255, 65, 66]))]),
        'lengths whose sum is small in 32 bits': Buffer.concat([begin(),
            params(Buffer.from([255, 255, 255, 255, 128, 0, 0, 3, 65, 66]))]),
        'a length that is cut': Buffer.concat([begin(), params(Buffer.from([255, 255]))]),
        'a request of 100 kB': request('x'.repeat(100_000)),
        'parameters without end': Buffer.concat([begin(), ...Array(20).fill(record(PARAMS, pair('X', 'y'.repeat(9000))))]),
        'a million empty names': Buffer.concat([begin(), params(Buffer.alloc(2_000_000))]),
    };
    for (const [what, bytes] of Object.entries(refused)) {
        it(`sends ${what}: the connection is closed at once, without an answer`, async () => {
            const front = await exchange(where, bytes, 900);
            assert.equal(front.received.length, 0);
        });
    }

    const values = (...names) => record(GET_VALUES, Buffer.concat(names.map((name) => pair(name, ''))), { id: 0 });

    it('asks for values before each of two requests: they are answered, and so are the requests', async () => {
        const front = await Front.connect(where);
        const ask = values('FCGI_MPXS_CONNS', 'FCGI_MAX_CONNS', 'FCGI_MAX_REQS', 'FCGI_WHATEVER');
        const json = { HTTP_ACCEPT: 'application/json' };
        for (let i = 1; i <= 2; i++) {
            await front.send(ask);
            await front.until('the values', () => front.records.filter(({ type }) => type === VALUES).length === i);
            await front.send(request('limit=1', json, { flags: 1 }));
            await front.until('the end of the answer', () => front.records.filter(({ type }) => type === END).length === i);
        }
        const answers = front.records.filter(({ type }) => type === VALUES);
        assert.ok(answers.every(({ id }) => id === 0));
        assert.match(answers[1].content.toString('latin1'),
            /^\x0e.FCGI_MAX_CONNS(\d+)\r.FCGI_MAX_REQS\1\x0f\x01FCGI_MPXS_CONNS0$/s);
        assert.equal(front.output.match(/^Status: 200/gm).length, 2);
        front.close();
    });

    it('asks for values, cut at each byte, in one write with a request', async () => {
        const bytes = Buffer.concat([values('FCGI_MPXS_CONNS'), request('limit=1', { HTTP_ACCEPT: 'application/json' })]);
        await Promise.all(Array.from({ length: 50 }, async (_, cut) => {
            const front = await Front.connect(where);
            front.socket.setNoDelay(true);
            await front.send(bytes.subarray(0, cut));
            await front.send(bytes.subarray(cut));
            await front.end(3000);
            assert.deepEqual(front.records.map(({ type }) => type).filter((type) => type !== STDOUT), [VALUES, END]);
            assert.equal(front.status, 200);
            front.close();
        }));
    });

    it('asks what nobody knows: it is told that the type is unknown, and the request is answered', async () => {
        const front = await exchange(where, Buffer.concat([record(77, 'x', { id: 0, padding: 7 }),
            request('limit=1', { HTTP_ACCEPT: 'application/json' })]));
        assert.deepEqual([...front.records[0].content], [77, 0, 0, 0, 0, 0, 0, 0]);
        assert.equal(front.records[0].type, UNKNOWN_TYPE);
        assert.equal(front.status, 200);
    });

    it('asks for ever and takes no answer: the connection is closed, and memory stays bounded', async () => {
        const front = await Front.connect(where, { readable: false });
        front.socket.pause();
        const many = Buffer.concat(Array(1000).fill(values('FCGI_MAX_CONNS')));
        for (let i = 0; i < 400 && !front.closed && !front.error; i++)
            await Promise.race([front.send(many), front.until('the end', () => front.closed || front.error)]);
        await front.until('the end', () => front.closed || front.error);
        assert.match(world.responder.output(), /answers to FCGI_GET_VALUES are not read/);
        front.close();
    });

    it('sends noise', async () => {
        const fronts = await Promise.all(Array.from({ length: 100 }, async (_, i) => {
            const noise = randomBytes(1 + i * 7);
            const head = i % 3 === 0 ? begin() : i % 3 === 1 ? request() : Buffer.alloc(0);
            const front = await Front.connect(where);
            await front.send(head, noise);
            front.socket.end();
            return front.end(3000);
        }));
        for (const front of fronts)
            front.close();
    });

    // ---- half of a request

    const whole = request('topic=a&last=1');
    it('stops after any byte of a request and closes', async () => {
        for (let n = 0; n < whole.length; n++) {
            const front = await Front.connect(where);
            await front.send(whole.subarray(0, n));
            front.close();
        }
        await until('all connections to be forgotten', async () => (await counters()).connections_open === 1);
    });

    it('stops after any byte of a request and says nothing more: it is closed after --request-timeout', async () => {
        const headEnds = whole.length - 8; // from there on it is a stream, whatever follows
        const fronts = await Promise.all(Array.from({ length: headEnds }, async (_, n) => {
            const front = await Front.connect(where);
            await front.send(whole.subarray(0, n));
            return front;
        }));
        await Promise.all(fronts.map((front) => front.end(5000)));
        for (const front of fronts) {
            assert.equal(front.received.length, 0);
            front.close();
        }
        assert.match(world.responder.output(), /connection closed: no whole request within 1000 ms/);
    });

    it('sends a request a byte at a time: the time for it is all the same', async () => {
        const front = await Front.connect(where);
        const began = performance.now();
        for (let n = 0; !front.ended && performance.now() - began < scaled(5000); n = (n + 1) % 90) {
            front.socket.write(whole.subarray(n, n + 1));
            await until('a moment', () => true, { every: 100 });
            await new Promise((resolve) => setTimeout(resolve, 50));
        }
        assert.ok(front.ended, 'it goes on for more than five times --request-timeout');
        assert.equal(front.received.length, 0);
        front.close();
    });

    it('closes its half of the connection: a whole request is not answered any more', async () => {
        const front = await Front.connect(where);
        front.socket.end(whole.subarray(0, 40));
        await front.end(900);
        front.close();
    });

    // ---- bodies

    const posted = (bytes, parameters) => exchange(where, Buffer.concat([post(EVENT.length, parameters), bytes]));
    const written = () => Number(world.db.sql("SELECT count(*) FROM events WHERE topic = 'posted'"));

    it('sends an honest POST, to compare with', async () => {
        const before = written();
        assert.equal((await posted(bodyOf(EVENT))).status, 201);
        assert.equal(written(), before + 1);
    });

    const lies = {
        'a body of another request': [Buffer.concat([record(STDIN, EVENT, { id: 2 }), record(STDIN)]), 0],
        'a body with a record of another request in it': [Buffer.concat([record(STDIN, EVENT),
            record(STDIN, 'x', { id: 7 }), record(STDIN)]), 0],
        'another request before the body': [Buffer.concat([request('', {}, { id: 2 }), bodyOf(EVENT)]), 0],
        'an answer for a body': [record(STDOUT, EVENT), 0],
        'FCGI_DATA for a body': [Buffer.concat([record(DATA, EVENT), record(STDIN)]), 0],
        'garbage for a body': [Buffer.from('{"topic":"posted","data":"x"}'), 0],
        'an abort after the body': [Buffer.concat([record(STDIN, EVENT), record(ABORT)]), 0],
        'a body that is shorter than it says': [bodyOf(EVENT.subarray(0, 20)), 400],
        'a body that is longer than it says': [bodyOf(Buffer.concat([EVENT, Buffer.from(' ')])), 400],
        'an event less than it says': [bodyOf(Buffer.alloc(0)), 400],
    };
    for (const [what, [bytes, status]] of Object.entries(lies)) {
        it(`sends ${what}: nothing is written`, async () => {
            const before = written();
            const front = await posted(bytes);
            assert.equal(front.status, status, front.output);
            assert.equal(written(), before);
        });
    }

    for (const [length, status] of [['-2', 400], ['-1x', 400], ['+29', 400], ['0x1d', 400], ['29, 29', 400], ['1e1', 400],
        ['9223372036854775808', 400], ['99999999999999999999999', 400], ['9223372036854775807', 413], ['8388609', 413]]) {
        it(`says CONTENT_LENGTH ${JSON.stringify(length)}: ${status}`, async () => {
            const before = written();
            assert.equal((await posted(bodyOf(EVENT), { CONTENT_LENGTH: length })).status, status);
            assert.equal(written(), before);
        });
    }

    it('sends a body without end: 413 as soon as it is longer than --body-bytes', async () => {
        const front = await Front.connect(where);
        const piece = Buffer.concat(Array(16).fill(record(STDIN, Buffer.alloc(65535, 0x20))));
        await front.send(post());
        let sent = 0;
        while (!front.status && sent < 64 << 20) {
            await front.send(piece);
            sent += 16 * 65535;
        }
        await front.until('an answer', () => front.status, 2000);
        assert.equal(front.status, 413);
        assert.ok(sent < 32 << 20, `${sent} bytes`);
        front.close();
    });

    it('sends a body drop by drop: it is closed when 16 kB take longer than --request-timeout', async () => {
        const front = await Front.connect(where);
        const began = performance.now();
        await front.send(post(1000));
        while (!front.ended && performance.now() - began < scaled(6000)) {
            front.socket.write(record(STDIN, ' '));
            await new Promise((resolve) => setTimeout(resolve, 50));
        }
        assert.ok(front.ended, 'it goes on for more than five times --request-timeout');
        assert.equal(front.received.length, 0);
        front.close();
    });

    it('sends a body that nobody asked for, for ever: the stream goes on', async () => {
        const front = await Front.connect(where);
        await front.send(request('topic=unasked').subarray(0, -8));
        await front.until('the stream', () => front.status === 200);
        for (let i = 0; i < 64; i++)
            await front.send(record(STDIN, Buffer.alloc(65535)));
        world.db.publish({ topic: 'unasked', data: 'still here' });
        await front.until('the event', () => front.output.includes('data: still here'));
        front.close();
    });

    for (const [what, bytes] of [['another request', request('topic=b')], ['a record of another request', record(STDIN, 'x', { id: 9 })],
        ['a record of no type', record(77, 'x')], ['FCGI_GET_VALUES', record(GET_VALUES, '', { id: 0 })],
        ['parameters', record(PARAMS, plain)], ['another version', record(STDIN, 'x', { version: 3 })],
        ['an abort', record(ABORT)]]) {
        it(`sends ${what} into a stream: it ends`, async () => {
            const front = await Front.connect(where);
            await front.send(request('topic=a'));
            await front.until('the stream', () => front.status === 200);
            await front.send(bytes);
            await front.end(2000);
            front.close();
        });
    }

    it('aborts at any moment', async () => {
        const query = 'topic=honest&since=earliest';
        for (const bytes of [request(query), request(query, { HTTP_ACCEPT: 'application/json' }),
            request(`${query}&wait=30s`, { HTTP_ACCEPT: 'application/json' }), request('last=1000000&where=/x=1'),
            Buffer.concat([post(EVENT.length), bodyOf(EVENT)])]) {
            for (let wait = 0; wait < 4; wait++) {
                const front = await Front.connect(where);
                await front.send(bytes);
                await new Promise((resolve) => setTimeout(resolve, wait));
                await front.send(record(ABORT));
                front.close();
            }
        }
        await until('all connections to be forgotten', async () => (await counters()).connections_open === 1);
    });

    // ---- JSON that is much more than its bytes

    const memoryStaysBounded = () => {
        const kb = peakKB(world.responder.pid);
        assert.ok(kb < PEAK_KB * instrumented, `the responder has taken ${kb} KB`);
    };

    for (const [what, unit, status, why] of [['empty objects', '{},', 413, /more than 100000 events/],
        ['events', '{"data":1},', 413, /more than 100000 events/], ['empty arrays', '[],', 400, /event 1: not a JSON object/],
        ['digits', '1,', 400, /event 1: not a JSON object/]]) {
        it(`sends 8 MB of ${what}: ${status}, and memory stays bounded`, async () => {
            const body = Buffer.from(`[${unit.repeat(Math.floor((8 << 20) / unit.length) - 8)}1]`);
            const front = await exchange(where, Buffer.concat([post(body.length), bodyOf(body)]), 10_000);
            assert.equal(front.status, status, front.output);
            assert.match(front.output, why);
            memoryStaysBounded();
        });
    }

    it('sends one event of 8 MB of empty objects: it is stored as it was sent, and costs what its text costs', async () => {
        const data = `[${'{},'.repeat(2_700_000)}1]`;
        const body = Buffer.from(`{"topic":"posted","data":${data}}`);
        const front = await exchange(where, Buffer.concat([post(body.length), bodyOf(body)]), 10_000);
        assert.equal(front.status, 201, front.output);
        assert.equal(world.db.sql("SELECT data FROM events WHERE topic = 'posted' ORDER BY id DESC LIMIT 1").trim(), data);
        memoryStaysBounded();
    });
});
