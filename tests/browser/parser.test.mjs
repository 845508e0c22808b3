/* The parser of web/freshet.js against the rules of the HTML standard, whole and cut into pieces at every place. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SseParser } from '../../web/freshet.js';

const parse = (chunks) => {
  const events = [];
  const retries = [];
  const parser = new SseParser({ onevent: (event) => events.push(event), onretry: (ms) => retries.push(ms) });
  for (const chunk of chunks) parser.push(chunk);
  return { events, retries, lastId: parser.lastId };
};

const event = (data, { type = 'message', id = '' } = {}) => ({ type, data, id });

const CASES = [
  ['LF', 'data: a\n\ndata: b\n\n', [event('a'), event('b')]],
  ['CR', 'data: a\r\rdata: b\r\r', [event('a'), event('b')]],
  ['CRLF', 'data: a\r\n\r\ndata: b\r\n\r\n', [event('a'), event('b')]],
  ['mixed line ends', 'data: a\r\n\ndata: b\n\rdata: c\r\r\ndata: d\n\n', [event('a'), event('b'), event('c'), event('d')]],
  ['several data lines are joined with LF', 'data: a\r\ndata: b\rdata:\ndata: c\n\n', [event('a\nb\n\nc')]],
  ['an empty data line is an event', 'data\n\ndata:\n\n', [event(''), event('')]],
  ['two empty data lines are a line end', 'data\ndata\n\n', [event('\n')]],
  ['one space after the colon is dropped, not two', 'data:  a\ndata:\tb\n\n', [event(' a\n\tb')]],
  ['type and id', 'id: 1-ab\nevent: edit\ndata: x\n\n', [event('x', { type: 'edit', id: '1-ab' })]],
  ['the type lasts for one event, the id until the next one', 'id: 1\nevent: t\ndata: x\n\ndata: y\n\n', [event('x', { type: 't', id: '1' }), event('y', { id: '1' })]],
  ['a block without data is no event, but its id counts', 'id: 7\nevent: t\n\ndata: x\n\n', [event('x', { id: '7' })]],
  ['an empty id clears it', 'id: 7\ndata: x\n\nid\ndata: y\n\n', [event('x', { id: '7' }), event('y')]],
  ['an id with NUL is ignored', 'id: 1\ndata: x\n\nid: 2\0\ndata: y\n\n', [event('x', { id: '1' }), event('y', { id: '1' })]],
  ['comments and unknown fields are skipped', ': hello\n:\ndata: a\nfoo: bar\n:x\ndata: b\ndatax: c\n\n:\n\n', [event('a\nb')]],
  ['field names are exact', 'Data: x\n data: y\ndata : z\n\n', []],
  ['an unfinished block is never dispatched', 'data: a\n\nid: 9\ndata: b\n', [event('a')]],
];

for (const [name, input, expected] of CASES) {
  test(`${name}: whole, in two pieces at every place, and in single characters`, () => {
    assert.deepEqual(parse([input]).events, expected);
    for (let at = 1; at < input.length; at += 1) {
      assert.deepEqual(parse([input.slice(0, at), input.slice(at)]).events, expected, `cut at ${at}`);
    }
    assert.deepEqual(parse([...input]).events, expected);
    assert.deepEqual(parse(['', ...[...input].flatMap((c) => [c, ''])]).events, expected);
  });
}

test('an event is dispatched with its last line end, even if that is a CR that an LF may follow', () => {
  assert.deepEqual(parse(['data: a\r\n\r']).events, [event('a')]);
});

test('retry counts at once, and it and comments need no blank line', () => {
  const { events, retries } = parse(['retry: 3191\n: freshet\n']);
  assert.deepEqual([events, retries], [[], [3191]]);
  assert.deepEqual(parse(['retry: 3191\n: freshet\nid: 1\ndata: a\n\n:\n:\nid: 2\ndata: b\n\n']).events,
    [event('a', { id: '1' }), event('b', { id: '2' })]);
});

test('retry takes digits only', () => {
  assert.deepEqual(parse(['retry: 2500\nretry: 1e3\nretry: -1\nretry:\nretry: 10\n\n']).retries, [2500, 10]);
});

test('the id of an unfinished block is not the position', () => {
  assert.equal(parse(['id: 1\ndata: a\n\nid: 2\ndata: b\n']).lastId, '1');
});

test('a long line in many chunks costs time in proportion to its length', () => {
  const piece = 'x'.repeat(1024);
  const { events } = parse(['data: ', ...Array.from({ length: 8192 }, () => piece), '\n\n']);
  assert.equal(events[0].data.length, 8192 * 1024);
});
