// The fan-out that people write in Node, as a peer of the bench: one process, a set of responses per
// topic, the newest events in memory. No backpressure, nothing on disk: what is lost, is lost.
//
// usage: node node-fanout.mjs PORT
//   GET /events?topic=T[&since=earliest]   a stream; resumes after Last-Event-ID
//   POST /pub/T                            one event, the body
import http from 'node:http';

const HISTORY_MAX = 20_000;
const FRAMES_PER_WRITE = 64; // of a replay

const topics = new Map();

function topicOf(name) {
    let topic = topics.get(name);
    if (!topic)
        topics.set(name, topic = { clients: new Set(), frames: [], newest: 0 });
    return topic;
}

function publish(topic, data) {
    const frame = `id: ${++topic.newest}\ndata: ${data}\n\n`;
    topic.frames.push(frame);
    if (topic.frames.length > 2 * HISTORY_MAX)
        topic.frames.splice(0, HISTORY_MAX);
    for (const client of topic.clients)
        client.write(frame);
}

/** Writes what the client lacks, a few frames at a time, and then lets it join. */
function replay(topic, response, seen) {
    const first = topic.newest - topic.frames.length + 1;
    let at = Math.max(seen + 1 - first, 0) + first;
    const step = () => {
        while (at <= topic.newest) {
            const begin = at - (topic.newest - topic.frames.length + 1);
            const frames = topic.frames.slice(Math.max(begin, 0), begin + FRAMES_PER_WRITE);
            at += frames.length;
            if (!response.write(frames.join(''))) {
                response.once('drain', step);
                return;
            }
        }
        topic.clients.add(response);
    };
    step();
}

const server = http.createServer((request, response) => {
    const url = new URL(request.url, 'http://localhost');
    if (request.method === 'POST') {
        let body = '';
        request.setEncoding('utf8');
        request.on('data', (chunk) => { body += chunk; });
        request.on('end', () => {
            publish(topicOf(url.pathname.slice('/pub/'.length)), body);
            response.writeHead(204).end();
        });
        return;
    }
    const topic = topicOf(url.searchParams.get('topic'));
    response.writeHead(200, { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-cache' });
    response.write(': hello\n\n');
    response.on('close', () => topic.clients.delete(response));
    const id = request.headers['last-event-id'];
    const seen = id ? Number(id) : url.searchParams.get('since') === 'earliest' ? 0 : topic.newest;
    replay(topic, response, seen);
});
server.keepAliveTimeout = 0;
server.requestTimeout = 0;
server.listen({ port: Number(process.argv[2]), host: '127.0.0.1', backlog: 4096 });
