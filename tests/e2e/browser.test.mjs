// The page in Chromium through the real thing: rows inserted by the sqlite3 shell, the responder, nginx
// or lighttpd. What the page must do is told in browser/page-suite.mjs.
import { pageSuite } from '../browser/page-suite.mjs';
import { literal } from './kit/database.mjs';
import { World, servers } from './kit/world.mjs';

for (const server of servers) {
    pageSuite(`the page through ${server}`, async () => {
        const world = await World.open({ server });
        const shell = world.db.shell();
        return {
            url: world.base,
            publish: (events) => shell.execute(`BEGIN; ${events.map(({ topic, type, data }) =>
                `INSERT INTO events(topic, type, data) VALUES(${literal(topic)}, ${literal(type)}, ` +
                `${literal(data)});`).join('\n')} COMMIT`),
            stop: async () => {
                await shell.close();
                await world.close();
            },
        };
    });
}
