// Clients that pages use in place of EventSource, with a record of what they gave the page. Both parse the
// stream themselves, block by block; the page does what pages do: JSON.parse of whatever it is given, and
// "come back" when anything was wrong.
//
//     const client = library('fetch-event-source', url);
//     await until('…', () => client.events.length === 3);
//     client.close();
import { fetchEventSource } from '@microsoft/fetch-event-source';
import { SSE } from 'sse.js';

/* Of a browser only what the two of them use. */
globalThis.window ??= globalThis;
globalThis.document ??= new EventTarget();

export const libraries = ['fetch-event-source', 'sse.js'];

class Client {
    constructor() {
        /** JSON that was parsed: [type, value]. */
        this.events = [];
        /** What could not be parsed, which an application does not survive. */
        this.errors = [];
        this.requests = 0;
    }

    take(type, data) {
        try {
            this.events.push([type || 'message', JSON.parse(data)]);
        } catch (error) {
            this.errors.push([type, data]);
            if (this.errors.length > 10)
                this.close(); // a storm has been shown
            throw error;
        }
    }
}

function byFetch(url) {
    const client = new Client();
    const stop = new AbortController();
    fetchEventSource(url, {
        openWhenHidden: true,
        signal: stop.signal,
        fetch: (...args) => {
            client.requests++;
            return fetch(...args);
        },
        onmessage: (message) => client.take(message.event, message.data),
        onclose: () => { throw new Error('ended'); }, // its way to say: come back after `retry`
    }).catch((error) => { client.gaveUp = error; });
    client.close = () => stop.abort();
    return client;
}

const clients = new Map(); // by URL

/** XMLHttpRequest as far as sse.js goes, on top of fetch. */
class Request extends EventTarget {
    responseText = '';
    status = 0;
    readyState = 1;
    headers = {};
    stop = new AbortController();

    open(method, url) {
        this.url = url;
        clients.get(url).requests++;
    }

    setRequestHeader(name, value) {
        this.headers[name] = value;
    }

    getResponseHeader(name) {
        return this.response?.headers.get(name) ?? null;
    }

    getAllResponseHeaders() {
        return [...this.response?.headers ?? []].map(([name, value]) => `${name}: ${value}\r\n`).join('');
    }

    say(state, type) {
        this.readyState = state;
        this.dispatchEvent(new Event('readystatechange'));
        if (type)
            this.dispatchEvent(new Event(type));
    }

    async send() {
        try {
            this.response = await fetch(this.url, { headers: this.headers, signal: this.stop.signal });
            this.status = this.response.status;
            this.say(2);
            const decoder = new TextDecoder();
            for await (const chunk of this.response.body) {
                this.responseText += decoder.decode(chunk, { stream: true });
                this.say(3, 'progress');
            }
            this.say(4, 'load');
        } catch {
            this.say(4, this.stop.signal.aborted ? 'abort' : 'error');
        }
    }

    abort() {
        this.stop.abort();
    }
}

function bySse(url, types) {
    const client = new Client();
    clients.set(url, client);
    globalThis.XMLHttpRequest = Request;
    const source = new SSE(url, { start: false, autoReconnect: true, reconnectDelay: 20, useLastEventId: true });
    for (const type of ['message', ...types])
        source.addEventListener(type, (event) => {
            try {
                client.take(type, event.data);
            } catch {
                source.close();
                if (client.errors.length <= 10)
                    source.stream();
            }
        });
    source.stream();
    client.close = () => source.close();
    return client;
}

/** name: of `libraries`; types: what the page listens to besides "message". */
export function library(name, url, types = []) {
    return (name === 'sse.js' ? bySse : byFetch)(url, types);
}
