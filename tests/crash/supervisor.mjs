// Starts a server again whenever it ends, as an init system with Restart=always does.
import { setTimeout as delay } from 'node:timers/promises';

/* A short pause, so that clients meet the closed door too. */
const PAUSE_MS = [20, 150];

export class Supervisor {
    /** server: has `process` (kit/process.mjs) and start(), which ends when it is up. */
    constructor(name, server, random) {
        this.name = name;
        this.server = server;
        this.random = random;
        this.restarts = 0;
        this.failures = [];
        this.up = true;
        this.done = this.watch();
    }

    async watch() {
        for (;;) {
            await this.server.process.exited;
            this.up = false;
            if (this.stopped)
                return;
            await delay(this.random.between(...PAUSE_MS));
            await this.startAgain();
            this.up = true;
            this.restarts++;
        }
    }

    /* One that could not be started is tried again, also like an init system. */
    async startAgain() {
        for (let tries = 0; !this.stopped; tries++) {
            try {
                return await this.server.start();
            } catch (error) {
                this.failures.push(error.message);
                if (tries === 100)
                    throw error;
                await delay(PAUSE_MS[1]);
            }
        }
    }

    /** To be called before the server is closed; resolves when nothing is being started any more. */
    async stop(close) {
        this.stopped = true;
        await close();
        await this.done;
    }
}
