/* Bodies of POST: JSON, NDJSON and forms into events.
 *
 * Input: a byte for the format, then the body. */
#include <stdlib.h>

#include "base/mem.h"
#include "http/body.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/plain_json.h"

const char fuzz_name[] = "body";

enum { OUT_MAX = 16 * 1024 * 1024 };

/* ---- events as bodies ---- */

static void
put_json(struct buf *b, const struct event *e)
{
    static const char *const names[] = {"topic", "type", "key", "data"};
    const struct text values[] = {e->topic, e->type, e->key, e->data};
    char separator = '{';

    for (size_t i = 0; i < 4; i++) {
        if (!values[i].p)
            continue;
        buf_format(b, "%c\"%s\":", separator, names[i]);
        buf_json(b, values[i]);
        separator = ',';
    }
    buf_byte(b, '}');
}

static void
put_form(struct buf *b, const struct event *e)
{
    static const char *const names[] = {"topic", "type", "key", "data"};
    const struct text values[] = {e->topic, e->type, e->key, e->data};

    for (size_t i = 0; i < 4; i++) {
        if (!values[i].p)
            continue;
        buf_format(b, "&%s=", names[i]);
        for (size_t k = 0; k < values[i].n; k++)
            buf_format(b, "%%%02x", (unsigned char)values[i].p[k]);
    }
}

static void
check_same(const struct body *a, size_t first, enum body_format format, struct buf *bytes)
{
    struct body again;
    struct errbuf eb = {""};
    struct text exact = fuzz_copy(buf_view(bytes));
    enum err err = body_parse(&again, format, exact, &eb);

    FUZZ_CHECK(err == ERR_OK, "format %d: %s", (int)format, eb.text);
    FUZZ_CHECK(again.n == a->n - first || format == BODY_FORM, "%zu events, not %zu", again.n,
               a->n);
    for (size_t i = 0; i < again.n; i++) {
        const struct event *x = &a->events[first + i], *y = &again.events[i];

        FUZZ_CHECK(text_equal(x->topic, y->topic) && text_equal(x->type, y->type) &&
                       text_equal(x->data, y->data) && text_equal(x->key, y->key),
                   "event %zu changed", first + i);
    }
    body_finish(&again);
    fuzz_free(exact);
    buf_finish(bytes);
}

/* Good events are the same events in every format. A key may be any bytes, which JSON cannot have.
 */
static void
check_formats(const struct body *body)
{
    struct buf b;

    for (size_t i = 0; i < body->n; i++)
        if (event_check(&body->events[i], OUT_MAX, NULL) != ERR_OK ||
            (body->events[i].key.p && !text_is_utf8(body->events[i].key)))
            return;
    buf_init(&b, OUT_MAX);
    for (size_t i = 0; i < body->n; i++) {
        buf_byte(&b, i ? ',' : '[');
        put_json(&b, &body->events[i]);
    }
    buf_byte(&b, ']');
    check_same(body, 0, BODY_JSON, &b);
    for (size_t i = 0; i < body->n; i++) {
        buf_string(&b, i % 2 ? "\r\n\r\n \t\n" : "\n");
        put_json(&b, &body->events[i]);
    }
    check_same(body, 0, BODY_NDJSON, &b);
    put_form(&b, &body->events[body->n - 1]);
    check_same(body, body->n - 1, BODY_FORM, &b);
}

/* ---- what the format says ---- */

static size_t
count_lines(struct text s)
{
    struct fuzz rest = {s.p, s.n};
    size_t n = 0;

    while (rest.n > 0) {
        struct text line = fuzz_field(&rest, '\n');

        for (size_t i = 0; i < line.n; i++) {
            if (!memchr(" \t\r", line.p[i], 3)) {
                n++;
                break;
            }
        }
    }
    return n;
}

static const struct plain *
given(const struct plain *v, const char *name)
{
    const struct plain *member = plain_member(v, name);

    return member && member->kind == 'n' ? NULL : member;
}

static void
check_event(const struct plain *v, const struct event *e)
{
    FUZZ_CHECK(v->kind == '{', "an event that is no object");
    FUZZ_CHECK(plain_is_name(given(v, "topic"), e->topic) &&
                   plain_is_name(given(v, "type"), e->type) &&
                   plain_is_name(given(v, "key"), e->key) &&
                   plain_is_data(plain_member(v, "data"), e->data),
               "another event");
}

/* A second reader finds the same events in the body. */
static void
check_json(const struct body *body, struct text s)
{
    struct plain *v = plain_read(s);

    FUZZ_CHECK(v, "no JSON");
    FUZZ_CHECK(body->n == (v->kind == '[' ? v->n : 1), "%zu events", body->n);
    for (size_t i = 0; i < body->n; i++)
        check_event(v->kind == '[' ? v->values[i] : v, &body->events[i]);
    plain_free(v);
}

static void
check_ndjson(const struct body *body, struct text s)
{
    struct fuzz rest = {s.p, s.n};
    size_t n = 0;

    while (rest.n > 0) {
        struct text line = fuzz_field(&rest, '\n');
        struct plain *v = count_lines(line) ? plain_read(line) : NULL;

        FUZZ_CHECK(v || !count_lines(line), "a line that is no JSON");
        if (v)
            check_event(v, &body->events[n++]);
        plain_free(v);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    struct fuzz f = fuzz_begin(bytes, n);
    enum body_format format = (enum body_format)(fuzz_byte(&f) % 3);
    struct text s = fuzz_copy(fuzz_rest(&f));
    struct body body;
    struct errbuf eb = {""};
    enum err err = body_parse(&body, format, s, &eb);

    FUZZ_CHECK(err == ERR_OK || err == ERR_INVALID, "%d: %s", (int)err, eb.text);
    FUZZ_CHECK((err == ERR_INVALID) == (eb.text[0] != '\0'), "%d: \"%s\"", (int)err, eb.text);
    if (err == ERR_OK) {
        FUZZ_CHECK(body.n > 0, "no event");
        if (format == BODY_NDJSON)
            FUZZ_CHECK(body.n == count_lines(s), "%zu events in %zu lines", body.n, count_lines(s));
        else if (format == BODY_FORM)
            FUZZ_CHECK(body.n == 1, "%zu events in a form", body.n);
        if (format == BODY_JSON)
            check_json(&body, s);
        else if (format == BODY_NDJSON)
            check_ndjson(&body, s);
        check_formats(&body);
    }
    body_finish(&body);
    fuzz_free(s);
    return 0;
}
