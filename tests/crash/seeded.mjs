// Random numbers that a seed repeats (mulberry32), and the contents of the campaign's events, which
// follow from their names alone: "post-1/17" says what the whole event is.

export class Random {
    constructor(seed) {
        this.state = seed >>> 0;
    }

    /** From 0 to 1, exclusive. */
    next() {
        this.state = (this.state + 0x6D2B79F5) >>> 0;
        let t = this.state;
        t = Math.imul(t ^ (t >>> 15), t | 1);
        t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
        return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
    }

    /** An integer from 0 to n - 1. */
    below(n) {
        return Math.floor(this.next() * n);
    }

    between(low, high) {
        return low + this.next() * (high - low);
    }

    pick(list) {
        return list[this.below(list.length)];
    }
}

/** FNV-1a over bytes, as eight hexadecimal digits; tests/crash/client.c has it too. */
export function hash(bytes) {
    let h = 2166136261;
    for (let i = 0; i < bytes.length; i++)
        h = Math.imul(h ^ bytes[i], 16777619);
    return (h >>> 0).toString(16).padStart(8, '0');
}

export const topics = ['a', 'b', 'c/1', 'c/2'];
export const types = ['edit', 'note'];

/* Sizes: most fit into a packet, some into no socket buffer, so that a kill meets half an event. */
function sizeOf(random) {
    const kind = random.below(100);
    if (kind < 80)
        return random.below(200);
    return random.below(kind < 98 ? 4000 : 60_000);
}

/** { topic, type, data } of the event with this name; type null for one without. */
export function eventNamed(name) {
    const random = new Random(parseInt(hash(Buffer.from(name)), 16));
    const topic = random.pick(topics);
    const type = random.pick([...types, null]);
    let data = name + random.pick([' ', ' ', ' ', '\n', '\r\n', '\r']);
    for (let left = sizeOf(random); left > 0; left -= 16)
        data += `${random.below(0x7fffffff).toString(36)}€ü\t\\"`.slice(0, left);
    return { topic, type, data };
}
