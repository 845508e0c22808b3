// The crash campaign in small, and proof that it can fail: each way in which a participant can be wrong
// is noticed. The seed is new every time; a failure prints it.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { campaign } from './campaign.mjs';

const seed = Number(process.env.FRESHET_SEED ?? Date.now() % 1e9);

async function run(options) {
    const lines = [];
    const complaints = await campaign({ seed, browser: false, ...options }, (line) => lines.push(line));
    return { complaints, text: lines.join('\n') };
}

describe('kill -9 under load', { concurrency: 2 }, () => {
    it('40 kills: every client holds every acknowledged event exactly once, in order', async (t) => {
        const { complaints, text } = await run({ kills: 40, seconds: 24, browser: true });
        for (const line of text.split('\n').filter((one) => !/ kill /.test(one)))
            t.diagnostic(line);
        assert.deepEqual(complaints, [], text);
    });

    const wrong = {
        drop: [/^C, nginx, all: event 50-\w+ is missing$/, 'a client that keeps an event to itself'],
        double: [/^C, nginx, all: event 50-\w+ came twice$/, 'a client that notes an event twice'],
        skip: [/^C, nginx, all: event \d+-\w+ (is missing|came twice)$/, 'a client that skips an event when it resumes'],
        early: [/^table: post-\d\/\d+ was acknowledged to post-\d and is not there$/,
            'an acknowledgement before the commit'],
    };
    it('is noticed', async (t) => {
        for (const [sabotage, [complaint, what]] of Object.entries(wrong))
            await t.test(what, async () => {
                const { complaints, text } = await run({ kills: 8, seconds: 3, sabotage,
                    only: ['nginx', 'responder'] });
                assert.ok(complaints.some((one) => complaint.test(one)), text);
            });
    });
});
