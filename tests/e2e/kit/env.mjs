// Where things are: the sources, the build under test, and the tools of the machine.
//
// FRESHET_BUILD names the build directory (default: the root of the sources). Nothing is skipped
// when a part is missing: asking for it throws with a text that says what to install.
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = fileURLToPath(new URL('../../..', import.meta.url)).replace(/\/$/, '');
export const build = process.env.FRESHET_BUILD ?? root;

function executable(file) {
    try {
        accessSync(file, constants.X_OK);
        return true;
    } catch {
        return false;
    }
}

/** A program of the build under test. */
export function program(name) {
    const file = join(build, name);
    if (!executable(file))
        throw new Error(`${file} is missing: build it, or name the build directory in FRESHET_BUILD`);
    return file;
}

/** A program of the machine; the sbin directories count too, which a user's PATH often lacks. */
export function tool(name) {
    const places = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/sbin'];
    for (const place of places)
        if (executable(join(place, name)))
            return join(place, name);
    throw new Error(`${name} is not installed (./check installs it on Debian)`);
}
