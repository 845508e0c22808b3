/* Server-Sent Events: what is encoded comes out of a browser, whatever bytes a publisher puts into
 * it; and the decoder of the ingest does what a browser does, however its input is cut.
 *
 * The browser here is a second decoder, written line by line after the rules of the HTML Standard,
 * section 9.2.6, and knowing the whole stream at once. */
#include <stdlib.h>

#include "base/mem.h"
#include "stream/sse.h"
#include "stream/sse_decode.h"
#include "tests/fuzz/fuzz.h"
#include "stream/dialect.h"

static const struct dialect plain = {DIALECT_PLAIN, "k3f9"};

const char fuzz_name[] = "sse";

enum { OUT_MAX = 8 * 1024 * 1024, SMALL = 40 };

/* ---- the browser ---- */

struct browser {
    struct text rest;
    struct buf data, type, last_id, id_buffer;
    bool has_id; /* the block has an id of its own */
    bool has_data;
};

static void
browser_init(struct browser *b, struct text stream)
{
    *b = (struct browser){.rest = stream};
    if (text_starts(stream, TEXT_LIT("\xef\xbb\xbf")))
        b->rest = (struct text){stream.p + 3, stream.n - 3};
    buf_init(&b->data, OUT_MAX);
    buf_init(&b->type, OUT_MAX);
    buf_init(&b->last_id, OUT_MAX);
    buf_init(&b->id_buffer, OUT_MAX);
}

static void
browser_finish(struct browser *b)
{
    buf_finish(&b->data);
    buf_finish(&b->type);
    buf_finish(&b->last_id);
    buf_finish(&b->id_buffer);
}

/* The next line, without its end; false when no line is finished any more. */
static bool
next_line(struct text *rest, struct text *line)
{
    for (size_t i = 0; i < rest->n; i++) {
        size_t end = i + 1;

        if (rest->p[i] != '\n' && rest->p[i] != '\r')
            continue;
        if (rest->p[i] == '\r' && end < rest->n && rest->p[end] == '\n')
            end++;
        *line = (struct text){rest->p, i};
        *rest = (struct text){rest->p + end, rest->n - end};
        return true;
    }
    return false;
}

static void
take_field(struct browser *b, struct text name, struct text value)
{
    if (text_equal(name, TEXT_LIT("event"))) {
        buf_clear(&b->type);
        buf_text(&b->type, value);
    } else if (text_equal(name, TEXT_LIT("data"))) {
        buf_text(&b->data, value);
        buf_byte(&b->data, '\n');
        b->has_data = true;
    } else if (text_equal(name, TEXT_LIT("id"))) {
        /* Ours may not keep an id of any length: it ignores one as it does one with a NUL. */
        if ((value.n && memchr(value.p, '\0', value.n)) || value.n > SSE_DECODE_ID_MAX)
            return;
        b->has_id = true;
        buf_clear(&b->id_buffer);
        buf_text(&b->id_buffer, value);
    }
}

/* Processes lines up to the blank one that dispatches a message; false at the end of the stream. */
static bool
browser_next(struct browser *b)
{
    struct text line;

    buf_clear(&b->data);
    buf_clear(&b->type);
    b->has_id = b->has_data = false;
    while (next_line(&b->rest, &line)) {
        const char *colon = line.n ? memchr(line.p, ':', line.n) : NULL;
        struct text name = {line.p, colon ? (size_t)(colon - line.p) : line.n};
        struct text value = colon ? (struct text){colon + 1, line.n - name.n - 1} : TEXT_LIT("");

        if (line.n == 0) {
            if (b->has_id) {
                buf_clear(&b->last_id);
                buf_text(&b->last_id, buf_view(&b->id_buffer));
            }
            if (b->has_data) {
                b->data.length--; /* the LF at the end */
                return true;
            }
            buf_clear(&b->type);
            b->has_id = false;
            continue;
        }
        if (colon == line.p)
            continue; /* a comment */
        if (value.n && value.p[0] == ' ')
            value = (struct text){value.p + 1, value.n - 1};
        take_field(b, name, value);
    }
    return false;
}

/* ---- the decoder under test, fed in pieces ---- */

struct feed {
    struct sse_decode decode;
    struct text rest, piece, room;
    struct fuzz_random random;
};

static void
feed_init(struct feed *f, struct text stream, uint32_t seed, size_t data_max)
{
    *f = (struct feed){.rest = stream, .random = {seed}};
    sse_decode_init(&f->decode, data_max);
}

static void
feed_finish(struct feed *f)
{
    sse_decode_finish(&f->decode);
    fuzz_free(f->room);
}

static bool
feed_next(struct feed *f, struct sse_message *m)
{
    while (!sse_decode_next(&f->decode, &f->piece, m)) {
        FUZZ_CHECK(f->piece.n == 0, "%zu bytes were left", f->piece.n);
        if (f->rest.n == 0)
            return false;
        f->piece = fuzz_piece(&f->rest, &f->random, &f->room);
    }
    return true;
}

static void
check_against_browser(struct text stream, uint32_t seed)
{
    struct browser browser;
    struct feed f;
    struct sse_message m;
    bool more;

    browser_init(&browser, stream);
    feed_init(&f, stream, seed, stream.n);
    do {
        more = browser_next(&browser);
        FUZZ_CHECK(feed_next(&f, &m) == more, "another number of messages");
        if (more && browser.type.length > SSE_DECODE_TYPE_MAX) {
            FUZZ_CHECK(m.broken, "a type of %zu bytes", browser.type.length);
        } else if (more) {
            FUZZ_CHECK(!m.broken, "broken");
            FUZZ_CHECK(text_equal(m.data, buf_view(&browser.data)), "data \"%.*s\", not \"%.*s\"",
                       (int)m.data.n, m.data.p, (int)browser.data.length, browser.data.data);
            FUZZ_CHECK(browser.type.length ? text_equal(m.type, buf_view(&browser.type))
                                           : !m.type.p,
                       "type \"%.*s\"", (int)m.type.n, m.type.p);
            FUZZ_CHECK(browser.has_id ? text_equal(m.id, buf_view(&browser.id_buffer)) : !m.id.p,
                       "id \"%.*s\"", (int)m.id.n, m.id.p);
        }
        FUZZ_CHECK(text_equal(sse_decode_last_id(&f.decode), buf_view(&browser.last_id)),
                   "the last id is \"%.*s\", not \"%.*s\"", (int)sse_decode_last_id(&f.decode).n,
                   sse_decode_last_id(&f.decode).p, (int)browser.last_id.length,
                   browser.last_id.data);
    } while (more);
    feed_finish(&f);
    browser_finish(&browser);
}

/* Two cuttings give the same, also where blocks are too long. */
static void
check_two_cuttings(struct text stream, uint32_t seed, size_t data_max)
{
    struct sse_message a, b;
    struct feed one, other;
    bool more;

    feed_init(&one, stream, seed, data_max);
    feed_init(&other, stream, seed * 31 + 7, data_max);
    do {
        more = feed_next(&one, &a);
        FUZZ_CHECK(feed_next(&other, &b) == more, "another number of messages");
        if (!more)
            break;
        FUZZ_CHECK(a.broken == b.broken && a.line == b.line, "lines %lld and %lld",
                   (long long)a.line, (long long)b.line);
        FUZZ_CHECK(text_equal(a.data, b.data) && text_equal(a.type, b.type) &&
                       text_equal(a.id, b.id),
                   "differ in line %lld", (long long)a.line);
        FUZZ_CHECK(a.broken || a.data.n <= data_max, "%zu bytes of data", a.data.n);
        FUZZ_CHECK(sse_decode_line(&one.decode) == sse_decode_line(&other.decode), "other lines");
    } while (more);
    FUZZ_CHECK(sse_decode_between(&one.decode) == sse_decode_between(&other.decode), "at the end");
    feed_finish(&one);
    feed_finish(&other);
}

/* ---- encoding ---- */

/* As data is promised to arrive: CR and CRLF have become LF. */
static void
with_lf(struct text s, struct buf *out)
{
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '\r' && i + 1 < s.n && s.p[i + 1] == '\n')
            continue;
        buf_byte(out, s.p[i] == '\r' ? '\n' : s.p[i]);
    }
}

static void
check_encoded(const struct event *e, const char *epoch, uint32_t seed)
{
    struct buf stream, data, id, by_frame;
    struct browser browser;
    struct text frame;
    size_t frame_at;

    buf_init(&stream, OUT_MAX);
    buf_init(&data, OUT_MAX);
    buf_init(&id, OUT_MAX);
    buf_init(&by_frame, OUT_MAX);
    sse_retry(&stream, 2500);
    sse_comment(&stream, TEXT_LIT("hello"));
    frame_at = stream.length;
    dialect_event(&plain, &stream, e);
    frame = (struct text){stream.data + frame_at, stream.length - frame_at};
    sse_data(&by_frame, frame);
    sse_signal(&stream, "live", e->data);
    with_lf(e->data, &data);
    buf_format(&id, "%lld-%s", (long long)e->id, epoch);
    FUZZ_CHECK(text_equal(buf_view(&by_frame), buf_view(&data)), "sse_data()");

    browser_init(&browser, buf_view(&stream));
    FUZZ_CHECK(browser_next(&browser), "no event");
    FUZZ_CHECK(text_equal(buf_view(&browser.data), buf_view(&data)), "data \"%.*s\", not \"%.*s\"",
               (int)browser.data.length, browser.data.data, (int)data.length, data.data);
    FUZZ_CHECK(text_equal(buf_view(&browser.type), e->type.p ? e->type : TEXT_LIT("")), "type");
    FUZZ_CHECK(text_equal(buf_view(&browser.last_id), buf_view(&id)), "id");
    FUZZ_CHECK(browser_next(&browser), "no signal");
    FUZZ_CHECK(text_equal(buf_view(&browser.data), buf_view(&data)), "data of the signal");
    FUZZ_CHECK(text_equal(buf_view(&browser.type), TEXT_LIT("freshet:live")), "the signal's name");
    FUZZ_CHECK(!browser.has_id, "a signal with an id");
    FUZZ_CHECK(!browser_next(&browser) && browser.rest.n == 0, "something follows");
    browser_finish(&browser);
    check_against_browser(buf_view(&stream), seed);
    buf_finish(&stream);
    buf_finish(&data);
    buf_finish(&id);
    buf_finish(&by_frame);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    struct fuzz f = fuzz_begin(bytes, n);
    unsigned kind = fuzz_byte(&f), seed = fuzz_byte(&f);

    if (kind & 1) {
        struct event e = {.id = 1 + (int64_t)seed * seed * seed * seed * seed * seed * seed};
        struct text type = fuzz_field(&f, '\0');

        e.data = fuzz_rest(&f);
        if (type.n > 0 && event_check_type(type, NULL) == ERR_OK)
            e.type = type;
        if (e.data.n == 0 || !memchr(e.data.p, '\0', e.data.n))
            check_encoded(&e, "k3f9", seed);
    } else {
        struct text stream = fuzz_rest(&f);

        check_against_browser(stream, seed);
        check_two_cuttings(stream, seed, SMALL);
    }
    return 0;
}
