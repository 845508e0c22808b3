// The shipped configuration files are what is tested: they are taken as they are, and only the lines
// that name places of an installed system are exchanged. Each exchange must find its line, so a
// changed configuration cannot silently escape the tests.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from './env.mjs';

/** exchanges: [old text, new text] pairs; every occurrence is exchanged. */
export function configure(source, target, exchanges) {
    let text = readFileSync(join(root, source), 'utf8');
    for (const [old, now] of exchanges) {
        if (!text.includes(old))
            throw new Error(`${source} has no line with ${old}: kit and configuration disagree`);
        text = text.replaceAll(old, now);
    }
    writeFileSync(target, text);
}
