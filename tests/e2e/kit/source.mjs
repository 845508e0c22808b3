// The `eventsource` package with a record of what it saw.
import { EventSource } from 'eventsource';
import { until } from './wait.mjs';

export class Source {
    /** types: event types to listen to besides "message". init: of EventSource. */
    constructor(url, types = [], init) {
        /** Messages and typed events, without freshet's own signals. */
        this.events = [];
        this.all = [];
        this.opens = 0;
        this.source = new EventSource(url, init);
        this.source.addEventListener('open', () => { this.opens++; });
        for (const type of ['message', ...types]) {
            this.source.addEventListener(type, (event) => {
                this.all.push(event);
                if (!type.startsWith('freshet:'))
                    this.events.push(event);
            });
        }
    }

    seen(type) {
        return this.all.filter((event) => event.type === type);
    }

    /** True when it has given up, which nothing but close() or a fatal answer does. */
    get dead() {
        return this.source.readyState === EventSource.CLOSED;
    }

    until(what, condition, options) {
        return until(what, condition, options);
    }

    close() {
        this.source.close();
    }
}
