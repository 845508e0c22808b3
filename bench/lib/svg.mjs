// Draws lines over two axes as SVG; enough for the curves of the bench.

const WIDTH = 720;
const HEIGHT = 400;
const LEFT = 70;
const RIGHT = 130;
const TOP = 40;
const BOTTOM = 50;
const COLOURS = ['#0b62a8', '#c2410c', '#15803d', '#7e22ce', '#a16207'];

function short(value) {
    if (value >= 1e6)
        return `${+(value / 1e6).toPrecision(3)}M`;
    if (value >= 1e3)
        return `${+(value / 1e3).toPrecision(3)}k`;
    return `${+value.toPrecision(3)}`;
}

function escape(text) {
    return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
}

/** Steps between two values: 1, 2, 5 times the powers of ten. */
function ticks(low, high, log) {
    const steps = [];
    if (log) {
        for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power++)
            for (const digit of high / low > 1000 ? [1] : [1, 2, 5])
                steps.push(digit * 10 ** power);
    } else {
        const rough = (high - low) / 6 || 1;
        const power = 10 ** Math.floor(Math.log10(rough));
        const step = [1, 2, 5, 10].find((n) => n * power >= rough) * power;
        for (let value = Math.ceil(low / step) * step; value <= high; value += step)
            steps.push(value);
    }
    return steps.filter((value) => value >= low && value <= high);
}

function axis(values, log, length) {
    const low = log ? Math.min(...values) / 1.3 : Math.min(0, ...values);
    const high = log ? Math.max(...values) * 1.3 : Math.max(...values) * 1.1 || 1;
    const scale = log ? Math.log10 : (value) => value;
    return {
        ticks: ticks(low, high, log),
        at: (value) => (scale(value) - scale(low)) / (scale(high) - scale(low)) * length,
    };
}

/**
 * lines: [{ name, points: [[x, y], …] }]; lines of one name have one colour. x, y: { label, log };
 * mark: a y value with a line of its own.
 */
export function chart(title, lines, x, y, mark) {
    const usable = (value, log) => Number.isFinite(value) && (!log || value > 0);
    const drawn = lines.map(({ name, points }) => ({ name,
        points: points.filter(([a, b]) => usable(a, x.log) && usable(b, y.log)) }));
    const points = drawn.flatMap((line) => line.points);
    if (points.length === 0)
        return undefined;
    const across = axis(points.map((p) => p[0]), x.log, WIDTH - LEFT - RIGHT);
    const up = axis([...points.map((p) => p[1]), ...(mark ? [mark] : [])], y.log, HEIGHT - TOP - BOTTOM);
    const px = (value) => (LEFT + across.at(value)).toFixed(1);
    const py = (value) => (HEIGHT - BOTTOM - up.at(value)).toFixed(1);
    const names = [...new Set(drawn.map((line) => line.name))];
    const colour = (name) => COLOURS[names.indexOf(name) % COLOURS.length];
    const out = [
        `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="sans-serif" font-size="12">`,
        `<rect width="${WIDTH}" height="${HEIGHT}" fill="#fff"/>`,
        `<text x="${LEFT}" y="22" font-size="15">${escape(title)}</text>`,
    ];
    for (const value of across.ticks)
        out.push(`<line x1="${px(value)}" x2="${px(value)}" y1="${TOP}" y2="${HEIGHT - BOTTOM}" stroke="#ddd"/>`,
            `<text x="${px(value)}" y="${HEIGHT - BOTTOM + 16}" text-anchor="middle">${short(value)}</text>`);
    for (const value of up.ticks)
        out.push(`<line x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${py(value)}" y2="${py(value)}" stroke="#ddd"/>`,
            `<text x="${LEFT - 6}" y="${+py(value) + 4}" text-anchor="end">${short(value)}</text>`);
    if (mark)
        out.push(`<line x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${py(mark)}" y2="${py(mark)}" stroke="#b91c1c" stroke-dasharray="4 3"/>`);
    out.push(
        `<text x="${(LEFT + WIDTH - RIGHT) / 2}" y="${HEIGHT - 12}" text-anchor="middle">${escape(x.label)}</text>`,
        `<text transform="translate(16 ${HEIGHT / 2}) rotate(-90)" text-anchor="middle">${escape(y.label)}</text>`);
    for (const { name, points: own } of drawn) {
        out.push(`<polyline fill="none" stroke="${colour(name)}" stroke-width="1.5" points="${
            own.map(([a, b]) => `${px(a)},${py(b)}`).join(' ')}"/>`);
        for (const [a, b] of own)
            out.push(`<circle cx="${px(a)}" cy="${py(b)}" r="2.5" fill="${colour(name)}"/>`);
    }
    names.forEach((name, i) => {
        const at = TOP + 10 + i * 20;
        out.push(`<line x1="${WIDTH - RIGHT + 12}" x2="${WIDTH - RIGHT + 32}" y1="${at}" y2="${at}" stroke="${colour(name)}" stroke-width="3"/>`,
            `<text x="${WIDTH - RIGHT + 38}" y="${at + 4}">${escape(name)}</text>`);
    });
    out.push('</svg>', '');
    return out.join('\n');
}
