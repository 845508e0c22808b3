// What must hold at the end of a campaign, as a list of complaints; an empty one is the proof. Knows
// nothing of processes: tables and records come in as values.
import { createHash } from 'node:crypto';
import { eventNamed, hash } from './seeded.mjs';

const SHOWN = 5; // complaints of one kind; the others are counted

/** The data as it arrives in a client: every line end is one LF. */
function arrived(data) {
    return Buffer.from(data.replace(/\r\n?/g, '\n'));
}

export function matches(filter, topic) {
    return filter.length === 0 || filter.some((pattern) =>
        pattern.endsWith('*') ? topic.startsWith(pattern.slice(0, -1)) : topic === pattern);
}

class Complaints {
    constructor(who) {
        this.who = who;
        this.list = [];
        this.more = 0;
    }

    add(text) {
        if (this.list.length < SHOWN)
            this.list.push(`${this.who}: ${text}`);
        else
            this.more++;
    }

    done() {
        return this.more ? [...this.list, `${this.who}: ${this.more} more`] : this.list;
    }
}

/**
 * The table against the publishers. rows: [{ id, topic, type, key, name, sha3 }] in the order of ids;
 * name: the data up to its first blank; publishers: [{ name, acknowledged }].
 */
export function judgeTable(rows, publishers) {
    const complaints = new Complaints('table');
    const byName = new Map();
    rows.forEach((row, i) => {
        const { topic, type, data } = eventNamed(row.name);
        if (row.id !== i + 1)
            complaints.add(`row ${i + 1} has the id ${row.id}: ids are not consecutive`);
        if (row.topic !== topic || row.type !== type ||
            row.sha3 !== createHash('sha3-224').update(data).digest('hex').toUpperCase())
            complaints.add(`event ${row.id} is not what ${row.name} published`);
        if (byName.has(row.name))
            complaints.add(`${row.name} is there twice, as ${byName.get(row.name).id} and ${row.id}`);
        byName.set(row.name, row);
    });
    for (const { name: who, acknowledged } of publishers)
        for (const [name, { key, id }] of acknowledged) {
            const row = byName.get(name);
            if (!row)
                complaints.add(`${name} was acknowledged to ${who} and is not there`);
            else if ((key !== undefined && row.key !== key) || (id !== undefined && row.id !== id))
                complaints.add(`${name} was acknowledged as ${id} with the key ${key}; it is ${row.id}, ${row.key}`);
            byName.delete(name);
        }
    for (const name of byName.keys())
        complaints.add(`${name} is there and was not acknowledged`);
    return complaints.done();
}

/** What a client with this filter must hold, in order. */
export function expected(rows, filter, epoch) {
    return rows.filter((row) => matches(filter, row.topic)).map((row) => {
        const { type, data } = eventNamed(row.name);
        const bytes = arrived(data);
        return { id: `${row.id}-${epoch}`, type: type ?? 'message', length: bytes.length, hash: hash(bytes) };
    });
}

const same = (a, b) => a.id === b.id && a.type === b.type && a.length === b.length && a.hash === b.hash;

/** One client against the table: each event once, in order, byte for byte, and nothing else. */
export function judgeClient(record, rows, epoch) {
    const complaints = new Complaints(record.name);
    const wanted = expected(rows, record.filter, epoch);
    const known = new Set(wanted.map((event) => event.id));
    const seen = new Set();
    let last = 0;
    for (const event of record.events) {
        const seq = parseInt(event.id, 10);
        if (seen.has(event.id))
            complaints.add(`event ${event.id} came twice`);
        else if (!known.has(event.id))
            complaints.add(`event ${event.id} came and is none of its topics in the table`);
        else if (seq < last)
            complaints.add(`event ${event.id} came after ${last}`);
        seen.add(event.id);
        last = seq;
    }
    for (const event of wanted)
        if (!seen.has(event.id))
            complaints.add(`event ${event.id} is missing`);
    wanted.forEach((event, i) => {
        if (record.events[i]?.id === event.id && !same(record.events[i], event))
            complaints.add(`event ${event.id} came with other content`);
    });
    for (const reset of record.resets)
        complaints.add(`freshet:reset: ${reset}`);
    if (record.dead)
        complaints.add(`gave up: ${record.dead}`);
    return complaints.done();
}

/** The longest time, in ms, in which this client got nothing. */
export function longestGap(record) {
    let longest = 0;
    for (let i = 1; i < record.events.length; i++)
        longest = Math.max(longest, record.events[i].at - record.events[i - 1].at);
    return longest;
}
