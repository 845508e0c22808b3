// Power cuts at random moments of a recorded life, and proof that the judge sees a loss: see powercut.c
// for what must hold. FRESHET_CUTS and FRESHET_SEED change their number and their choice.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { cutPower, recordLife } from './powerloss.mjs';

const seed = process.env.FRESHET_SEED ?? String(Date.now() % 1e9);
const cuts = process.env.FRESHET_CUTS ?? '200';

/* In memory where possible: the disk is played by powercut. */
const place = existsSync('/dev/shm') ? '/dev/shm' : tmpdir();

function recorded(sync) {
    const life = { dir: mkdtempSync(join(place, 'freshet-power-')) };
    before(async () => { life.made = await recordLife(life.dir, { sync, seconds: 3 }); });
    after(() => rmSync(life.dir, { recursive: true, force: true }));
    life.cut = (...args) => cutPower(life.dir, life.made, ['--seed', seed, ...args]);
    return life;
}

describe('a power cut', () => {
    const life = recorded('full');

    it(`at ${cuts} moments loses nothing that was promised`, (t) => {
        const { code, text } = life.cut('--cuts', cuts);
        t.diagnostic(text);
        assert.equal(code, 0, text);
        assert.doesNotMatch(text, / 0 checkpoints/, 'the record has what is most delicate');
    });

    for (const [what, name, complaint] of [
        ['nothing is ever synced', 'all', /damaged|had gone out/],
        ['the write-ahead log is not synced', 'events.db-wal', /event \d+ had gone out; the last one that is left is/],
        ['the database is not synced by a checkpoint', 'events.db', /damaged|is not what it was|had gone out/],
        ['the followed file is not synced', 'app.ndjson', /line/],
    ])
        it(`is seen to lose something when ${what}`, () => {
            const { code, text } = life.cut('--cuts', '40', '--ignore-syncs', name, '--resume-every', '2');
            assert.equal(code, 1, text);
            assert.match(text, complaint);
        });
});

describe('a power cut under freshet-ingest --sync normal', () => {
    const life = recorded('normal');

    it('leaves a whole database, and takes only last events that clients may have seen', (t) => {
        const { code, text } = life.cut('--cuts', '300', '--rows-only', '--relaxed');
        t.diagnostic(text);
        assert.equal(code, 0, text);
        assert.match(text, /had gone out were lost at [1-9]\d* cuts/, 'which full would not have lost');
    });
});
