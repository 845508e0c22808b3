/*
 * messages.js: what the page says about its connection, in words. Pure: the details of freshet.js's signals in, plain text out.
 *
 *   stateText(detail)            { label, hint } for freshet:state; the hint is a sentence while waiting, else empty
 *   liveText(detail, repeated)   what a (re)connection brought, for freshet:live; repeated = events seen before
 *   resetText(detail)            why the position was not honoured and what that means, for freshet:reset
 */
const events = (n) => (n === 1 ? '1 event' : `${n.toLocaleString('en')} events`);
const seconds = (ms) => `${(ms / 1000).toLocaleString('en', { maximumFractionDigits: ms < 10_000 ? 1 : 0 })} s`;

const WAITS = {
  cut: 'Cut by the button',
  ended: 'The server ended the stream',
  network: 'The connection broke',
  silence: 'Nothing came, not even a heartbeat',
  'content-type': 'The answer is not an event stream',
};

const refusal = ({ status, problem }) => [status ? `The server answered ${status}` : 'The server refused', problem?.title, problem?.detail].filter(Boolean).join(': ');

export const stateText = (detail) => {
  const { state, reason, delay } = detail;
  if (state === 'connecting') return { label: 'Connecting', hint: '' };
  if (state === 'open') return { label: 'Catching up', hint: '' };
  if (state === 'live') return { label: 'Live', hint: '' };
  if (state === 'closed') return { label: 'Closed', hint: '' };
  const why = reason === 'status' ? refusal(detail) : WAITS[reason] ?? reason;
  const next = delay === null ? 'reconnecting' : `${reason === 'cut' ? 'resuming' : 'next attempt'} in ${seconds(delay)}`;
  return { label: reason === 'cut' ? 'Cut' : 'Waiting', hint: `${why}; ${next}` };
};

export const liveText = ({ id, from, events: count, reset }, repeated) => {
  if (from === '') return `Opened with ${events(count)} of history${id ? ` up to ${id}` : ''}`;
  if (reset) return `Reconnected: ${events(count)} since the reset`;
  return `Resumed from ${from}: ${events(count)} caught up, none missing${repeated > 0 ? `, ${repeated} sent twice` : ''}`;
};

export const resetText = ({ reason, requested, oldest, newest }) => {
  const asked = requested === undefined || requested === null ? 'the position asked for' : `position ${requested}`;
  const range = oldest === undefined || oldest === null ? '' : `; the stream goes on from ${oldest}${newest ? ` (newest ${newest})` : ''}`;
  const why = {
    pruned: `events after ${asked} were pruned before they could be read`,
    future: `${asked} lies ahead of everything in the table`,
    epoch: `${asked} belongs to an earlier table; this one was made anew`,
    invalid: `${asked} is not a position`,
  }[reason] ?? `${asked} could not be honoured (${reason})`;
  return `Reset: ${why}${range}`;
};
