/* What a web server sends: FastCGI records, cut anywhere, into a request and its body.
 *
 * Two kinds of input. Raw: any bytes; a second, simple reader of the same format says what must
 * come out. Built: parameters and a body, which a small web server puts into records of its choice;
 * they must come out as they went in. */
#include <stdlib.h>

#include "base/mem.h"
#include "fcgi/record.h"
#include "fcgi/request.h"
#include "tests/fuzz/fuzz.h"

const char fuzz_name[] = "request";

enum {
    REQUEST_MAX = 1024 * 1024,
    BODY_MAX = 1000,
    BEGIN = 1,
    ABORT = 2,
    PARAMS = 4,
    STDIN = 5,
    GET_VALUES = 9,
    RESPONDER = 1
};

/* ---- a second reader ---- */

struct record {
    unsigned version, type, id, padding;
    struct text content;
    size_t size; /* all of it */
    bool whole;
};

static struct record
read_record(struct text s)
{
    const unsigned char *p = (const unsigned char *)s.p;
    struct record r = {p[0], p[1], (unsigned)(p[2] << 8 | p[3]), p[6], {s.p + 8, 0}, 0, false};

    r.content.n = (size_t)(p[4] << 8 | p[5]);
    r.size = 8 + r.content.n + r.padding;
    r.whole = r.size <= s.n;
    return r;
}

/* What record_look() must say; *pairs gets the contents of the PARAMS records. */
static enum record_look
look(struct text s, size_t *n, struct buf *pairs)
{
    size_t at = 0;
    unsigned id = 0;

    while (s.n - at >= 8) {
        struct record r = read_record((struct text){s.p + at, s.n - at});

        if (at == 0 && r.version == 1 && r.id == 0 && r.type >= GET_VALUES) {
            *n = r.whole ? r.size : 0;
            return r.whole ? RECORD_MANAGEMENT : RECORD_PARTLY;
        }
        if (r.version != 1 || r.id == 0)
            return RECORD_GARBAGE;
        if (at == 0 && (r.type != BEGIN || r.content.n != 8))
            return RECORD_GARBAGE;
        if (at == 0 && s.n >= 10 && (s.p[8] != 0 || s.p[9] != RESPONDER))
            return RECORD_GARBAGE;
        if (at > 0 && (r.type != PARAMS || r.id != id))
            return RECORD_GARBAGE;
        id = r.id;
        if (!r.whole)
            return RECORD_PARTLY;
        at += r.size;
        if (r.type == PARAMS && r.content.n == 0) {
            *n = at;
            return RECORD_WHOLE;
        }
        if (r.type == PARAMS)
            buf_text(pairs, r.content);
    }
    return RECORD_PARTLY;
}

static bool
take(struct text *s, size_t n, struct text *taken)
{
    if (n > s->n)
        return false;
    *taken = (struct text){s->p, n};
    *s = (struct text){s->p + n, s->n - n};
    return true;
}

static bool
take_length(struct text *s, size_t *n)
{
    struct text t;
    const unsigned char *p;

    if (!take(s, 1, &t))
        return false;
    *n = (unsigned char)t.p[0];
    if (*n < 128)
        return true;
    if (!take(s, 3, &t))
        return false;
    p = (const unsigned char *)t.p;
    *n = (*n & 0x7f) << 24 | (size_t)p[0] << 16 | (size_t)p[1] << 8 | p[2];
    return true;
}

/* The pairs as an environment has them, "NAME=value", each up to a NUL. False: not well-formed. */
static bool
read_pairs(struct text pairs, struct buf *environment)
{
    while (pairs.n > 0) {
        size_t name_n, value_n;
        struct text name, value;

        if (!take_length(&pairs, &name_n) || !take_length(&pairs, &value_n) ||
            !take(&pairs, name_n, &name) || !take(&pairs, value_n, &value))
            return false;
        buf_append(environment, name.p, strnlen(name.p, name.n));
        if (strnlen(name.p, name.n) == name.n) {
            buf_byte(environment, '=');
            buf_append(environment, value.p, strnlen(value.p, value.n));
        }
        buf_byte(environment, '\0');
    }
    return true;
}

/* The first value of this name; *count = how many there are. */
static struct text
find(struct text environment, const char *name, unsigned *count)
{
    struct text first = TEXT_NONE;
    size_t n = strlen(name);

    for (*count = 0; environment.n > 0;) {
        size_t length = strlen(environment.p);

        if (strncmp(environment.p, name, n) == 0 && environment.p[n] == '=') {
            if ((*count)++ == 0)
                first = (struct text){environment.p + n + 1, length - n - 1};
        }
        environment = (struct text){environment.p + length + 1, environment.n - length - 1};
    }
    return first;
}

static void
check_parameter(const char *name, struct text is, struct text should)
{
    FUZZ_CHECK(text_equal(is, should), "%s is \"%.*s\", not \"%.*s\"", name, (int)is.n, is.p,
               (int)should.n, should.p);
}

/* Of a header the blanks and tabs around its value do not count. */
static struct text
without_blanks(const char *name, struct text value)
{
    if (strncmp(name, "HTTP_", 5) != 0 && strncmp(name, "CONTENT_", 8) != 0)
        return value;
    while (value.n > 0 && strchr(" \t", value.p[0]))
        value = (struct text){value.p + 1, value.n - 1};
    while (value.n > 0 && strchr(" \t", value.p[value.n - 1]))
        value.n--;
    return value;
}

static void
check_request(const struct request *r, struct text environment)
{
    unsigned count;

#define CHECK_ROW(member, name)                                                                    \
    check_parameter(name, r->member, without_blanks(name, find(environment, name, &count)));
    REQUEST_PARAMETERS(CHECK_ROW)
#undef CHECK_ROW
    find(environment, "HTTP_AUTHORIZATION", &count);
    FUZZ_CHECK(r->authorizations == count, "%u Authorization headers, not %u", r->authorizations,
               count);
}

/* ---- the head ---- */

/* Shorter beginnings say "partly" up to where the whole says something. */
static void
look_at_prefixes(struct text s, enum record_look whole, size_t n, struct fuzz_random *random)
{
    for (int i = 0; i < 8 && s.n > 0; i++) {
        size_t ignored, length = i == 0 ? (whole == RECORD_WHOLE ? n - 1 : s.n - 1)
                                        : fuzz_random(random, (uint32_t)s.n);
        struct text prefix = fuzz_copy((struct text){s.p, length});
        enum record_look said = record_look(prefix, &ignored);

        if (said == RECORD_WHOLE || said == RECORD_MANAGEMENT)
            FUZZ_CHECK(whole == said && ignored == n && n <= length, "at %zu", length);
        else if (said == RECORD_GARBAGE)
            FUZZ_CHECK(whole == RECORD_GARBAGE, "garbage at %zu became good", length);
        else
            FUZZ_CHECK((whole != RECORD_WHOLE && whole != RECORD_MANAGEMENT) || length < n,
                       "not whole at %zu", length);
        fuzz_free(prefix);
    }
}

/* A question before the request: answered when its pairs are whole, in a few bytes. */
static void
ask_for_values(struct text bytes)
{
    struct record r = read_record(bytes);
    struct text content = {bytes.p + 8, r.content.n};
    struct buf out, pairs;
    bool good;

    buf_init(&out, REQUEST_MAX);
    buf_init(&pairs, REQUEST_MAX);
    good = r.type != GET_VALUES || read_pairs(content, &pairs);
    FUZZ_CHECK(record_answer_management(&out, bytes, UINT64_MAX) == good, "pairs");
    FUZZ_CHECK(!good || (out.length >= 8 && out.length < 128), "%zu bytes", out.length);
    buf_finish(&out);
    buf_finish(&pairs);
}

/* Behind it the beginning of a request; false when there is none. */
static bool
read_head(struct text *bytes, struct fuzz_random *random, bool must_be_good)
{
    struct buf pairs, environment;
    struct text copy = fuzz_copy(*bytes);
    size_t n = 0, expected_n = 0;
    enum record_look said = record_look(copy, &n);
    enum record_look expected;
    struct request r;
    struct errbuf eb;

    buf_init(&pairs, REQUEST_MAX);
    buf_init(&environment, REQUEST_MAX);
    expected = look(copy, &expected_n, &pairs);
    FUZZ_CHECK(said == expected && n == expected_n, "said %d at %zu, not %d at %zu", (int)said, n,
               (int)expected, expected_n);
    look_at_prefixes(copy, said, n, random);
    if (said == RECORD_MANAGEMENT)
        ask_for_values((struct text){copy.p, n});
    if (said == RECORD_WHOLE) {
        bool good = read_pairs(buf_view(&pairs), &environment);
        struct text request = fuzz_copy((struct text){copy.p, n});
        enum err err = request_parse(request, &r, &eb);

        FUZZ_CHECK(record_keeps(copy) == (copy.p[10] & 1), "flags %d", copy.p[10]);
        FUZZ_CHECK(good ? err == ERR_OK : err == ERR_INVALID, "request_parse() said %d: %s",
                   (int)err, err == ERR_OK ? "" : eb.text);
        fuzz_free(request);
        if (err == ERR_OK) {
            check_request(&r, buf_view(&environment));
            request_finish(&r);
        }
    }
    FUZZ_CHECK(!must_be_good || said == RECORD_WHOLE, "said %d", (int)said);
    *bytes = (struct text){bytes->p + n, bytes->n - n};
    fuzz_free(copy);
    buf_finish(&pairs);
    buf_finish(&environment);
    return said == RECORD_WHOLE;
}

/* ---- what follows ---- */

/* What must be said next; *s moves behind the end of the body. */
static enum record_read
read_next(struct text *s, unsigned id, bool *ended, struct buf *body)
{
    while (s->n >= 8) {
        struct record r = read_record(*s);
        size_t there = s->n - 8 < r.content.n ? s->n - 8 : r.content.n;

        if (r.version != 1 || r.id != id)
            return RECORD_INVALID;
        if (r.type == ABORT)
            return RECORD_ABORT;
        if (*ended || r.type != STDIN)
            return RECORD_INVALID;
        if (body)
            buf_append(body, s->p + 8, there);
        if (!r.whole)
            return RECORD_MORE;
        *s = (struct text){s->p + r.size, s->n - r.size};
        *ended = r.content.n == 0;
        if (*ended)
            return RECORD_END;
    }
    return RECORD_MORE;
}

/* Reads on in pieces; what an END leaves is not taken off *rest. */
static enum record_read
read_pieces(struct record_reader *reader, struct text *rest, struct fuzz_random *random,
            struct buf *body)
{
    enum record_read said = RECORD_MORE;
    struct text room = TEXT_NONE;

    while (said == RECORD_MORE && rest->n > 0) {
        struct text piece = fuzz_piece(rest, random, &room);

        said = record_read(reader, &piece, body);
        FUZZ_CHECK(said != RECORD_MORE || piece.n == 0, "%zu bytes were left", piece.n);
        if (said == RECORD_END)
            *rest = (struct text){rest->p - piece.n, rest->n + piece.n};
    }
    fuzz_free(room);
    return said;
}

/* Into a buffer of this size, up to what ends it all; the reference's body goes to *expected. */
static void
read_into(struct text rest, unsigned id, struct fuzz_random *random, struct buf *body,
          struct buf *expected)
{
    struct record_reader reader = {.request_id = (uint16_t)id};
    struct text other = rest;
    bool ended = false;
    enum record_read said, should;

    do {
        should = read_next(&other, id, &ended, expected);
        said = read_pieces(&reader, &rest, random, body);
        FUZZ_CHECK(said == should, "said %d, not %d", (int)said, (int)should);
        FUZZ_CHECK(said != RECORD_END || rest.n == other.n, "%zu bytes are left, not %zu", rest.n,
                   other.n);
    } while (said == RECORD_END);
}

/* With a buffer for the body, without one, and with one that is too small. */
static void
read_body(struct text rest, unsigned id, struct fuzz_random *random)
{
    struct buf expected, body, small;

    buf_init(&expected, REQUEST_MAX);
    buf_init(&body, REQUEST_MAX);
    buf_init(&small, BODY_MAX);
    read_into(rest, id, random, NULL, NULL);
    read_into(rest, id, random, &body, &expected);
    FUZZ_CHECK(text_equal(buf_view(&body), buf_view(&expected)), "%zu bytes of body, not %zu",
               body.length, expected.length);
    read_into(rest, id, random, &small, NULL);
    FUZZ_CHECK(buf_failed(&small) == (expected.length > BODY_MAX), "%zu bytes", expected.length);
    buf_finish(&expected);
    buf_finish(&body);
    buf_finish(&small);
}

/* ---- a web server ---- */

static void
put_record(struct buf *b, unsigned type, unsigned id, struct text content,
           struct fuzz_random *random)
{
    size_t padding = fuzz_random(random, 3) ? 0 : fuzz_random(random, 256);
    unsigned char head[RECORD_HEAD] = {1,
                                       (unsigned char)type,
                                       (unsigned char)(id >> 8),
                                       (unsigned char)id,
                                       (unsigned char)(content.n >> 8),
                                       (unsigned char)content.n,
                                       (unsigned char)padding,
                                       (unsigned char)fuzz_random(random, 256)};

    buf_append(b, head, sizeof head);
    buf_text(b, content);
    while (padding-- > 0)
        buf_byte(b, (char)fuzz_random(random, 256));
}

static void
put_stream(struct buf *b, unsigned type, unsigned id, struct text s, struct fuzz_random *random)
{
    struct text room = TEXT_NONE;

    while (s.n > 0)
        put_record(b, type, id, fuzz_piece(&s, random, &room), random);
    fuzz_free(room);
    put_record(b, type, id, TEXT_LIT(""), random);
}

/* A length below 128 may be written in four bytes too. */
static void
put_length(struct buf *b, size_t n, struct fuzz_random *random)
{
    if (n < 128 && fuzz_random(random, 4)) {
        buf_byte(b, (char)n);
        return;
    }
    buf_byte(b, (char)(n >> 24 | 0x80));
    buf_byte(b, (char)(n >> 16));
    buf_byte(b, (char)(n >> 8));
    buf_byte(b, (char)n);
}

/* Pairs of the input: a byte for the name, the value up to a NUL. A byte above the table's rows:
 * the name, too, is the input's. An empty value ends them. */
static void
put_pairs(struct buf *b, struct fuzz *f, struct fuzz_random *random)
{
    static const char *const names[] = {
#define NAME_ROW(member, name) name,
        REQUEST_PARAMETERS(NAME_ROW)
#undef NAME_ROW
    };
    const size_t n_names = sizeof names / sizeof *names;

    while (f->n > 0) {
        unsigned which = fuzz_byte(f);
        struct text name = which < n_names ? text_of(names[which]) : fuzz_field(f, '\0');
        struct text value = fuzz_field(f, '\0');

        if (value.n == 0)
            return;
        put_length(b, name.n, random);
        put_length(b, value.n, random);
        buf_text(b, name);
        buf_text(b, value);
    }
}

static void
run_built(struct fuzz *f, struct fuzz_random *random)
{
    unsigned id = 1 + fuzz_random(random, 65535);
    const char begin[] = {0, RESPONDER, (char)fuzz_random(random, 2), 0, 0, 0, 0, 0};
    struct text body, bytes, rest;
    struct record_reader reader = {.request_id = (uint16_t)id};
    struct buf b, pairs, got;

    buf_init(&b, REQUEST_MAX);
    buf_init(&pairs, REQUEST_MAX);
    buf_init(&got, REQUEST_MAX);
    put_pairs(&pairs, f, random);
    body = fuzz_rest(f);
    put_record(&b, BEGIN, id, (struct text){begin, sizeof begin}, random);
    put_stream(&b, PARAMS, id, buf_view(&pairs), random);
    put_stream(&b, STDIN, id, body, random);
    FUZZ_CHECK(!buf_failed(&b), "the request does not fit");
    bytes = buf_view(&b);
    read_head(&bytes, random, true);
    rest = bytes;
    FUZZ_CHECK(record_read(&reader, &rest, &got) == RECORD_END, "the body did not end");
    FUZZ_CHECK(rest.n == 0, "%zu bytes are left", rest.n);
    FUZZ_CHECK(text_equal(buf_view(&got), body), "another body");
    read_body(bytes, id, random);
    buf_finish(&b);
    buf_finish(&pairs);
    buf_finish(&got);
}

/* ---- what we send ---- */

static void
check_response(struct text s, unsigned id)
{
    struct buf b, text;
    struct text rest;

    buf_init(&b, REQUEST_MAX);
    buf_init(&text, REQUEST_MAX);
    record_stdout(&b, (uint16_t)id, s);
    record_end(&b, (uint16_t)id);
    for (rest = buf_view(&b); rest.n > 0;) {
        struct record r = read_record(rest);

        FUZZ_CHECK(r.version == 1 && r.id == id && r.whole && r.padding == 0, "type %u", r.type);
        FUZZ_CHECK(r.type == 6 || (r.type == 3 && r.content.n == 8 && rest.n == r.size),
                   "type %u of %zu bytes", r.type, r.content.n);
        FUZZ_CHECK(r.type == 3 || r.content.n > 0 || rest.n == r.size + 16, "an early end");
        if (r.type == 6)
            buf_text(&text, r.content);
        rest = (struct text){rest.p + r.size, rest.n - r.size};
    }
    FUZZ_CHECK(text_equal(buf_view(&text), s), "the response changed");
    buf_finish(&b);
    buf_finish(&text);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    static bool ready;
    struct fuzz f = fuzz_begin(bytes, n);
    bool built = fuzz_byte(&f) & 1;
    struct fuzz_random random = {fuzz_byte(&f)};
    struct text rest;
    unsigned id;

    if (!ready && request_setup(REQUEST_MAX, NULL) != ERR_OK)
        abort();
    ready = true;
    if (built) {
        run_built(&f, &random);
    } else {
        rest = fuzz_rest(&f);
        id = rest.n >= 4 ? (unsigned)((unsigned char)rest.p[2] << 8 | (unsigned char)rest.p[3]) : 0;
        check_response(rest, 1 + fuzz_random(&random, 65535));
        if (read_head(&rest, &random, false))
            read_body(rest, id, &random);
    }
    return 0;
}
