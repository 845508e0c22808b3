/* Subscriptions: conditions on an event's JSON, and topics and types in canonical form.
 *
 * Input: lines of which the first byte says what they are ('w' a condition, 't' a topic pattern,
 * 'e' a type, 'p' a topic to try, anything else the data of the event). */
#include <stdlib.h>

#include "base/json.h"
#include "base/mem.h"
#include "stream/subscription.h"
#include "stream/topic.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/plain_json.h"

const char fuzz_name[] = "where";

enum { LINES_MAX = 24 };

struct lines {
    struct text line[LINES_MAX];
    size_t n;
};

/* ---- one condition ---- */

enum { PLACES = 600 }; /* on either side of the point */

static long
to_long(struct text s)
{
    char *copy = mem_copy(s);
    long value = strtol(copy, NULL, 10);

    mem_free(copy);
    return value;
}

/* A number as a row of digits around a point, and its sign; false when it does not fit. */
static bool
spread(struct text number, signed char digits[2 * PLACES])
{
    size_t n = 0, mantissa = 0, point = 0, i;
    long exponent = 0;
    signed char sign = 1;

    memset(digits, 0, 2 * PLACES);
    if (number.p[n] == '-') {
        sign = -1;
        n++;
    }
    for (mantissa = n; n < number.n && !memchr("eE", number.p[n], 2); n++)
        point += !memchr(number.p + mantissa, '.', n - mantissa + 1);
    if (n < number.n)
        exponent =
            number.n - n > 6 ? PLACES : to_long((struct text){number.p + n + 1, number.n - n - 1});
    if (labs(exponent) + (long)number.n >= PLACES)
        return false;
    for (i = 0; mantissa < n; mantissa++) {
        if (number.p[mantissa] == '.')
            continue;
        digits[PLACES - (long)point - exponent + (long)i++] =
            (signed char)(sign * (number.p[mantissa] - '0'));
    }
    return true;
}

/* False when this cannot tell. */
static bool
compare_numbers(struct text a, struct text b, int *order)
{
    signed char x[2 * PLACES], y[2 * PLACES];

    if (!spread(a, x) || !spread(b, y))
        return false;
    *order = 0;
    for (size_t i = 0; i < 2 * PLACES && *order == 0; i++)
        *order = x[i] - y[i];
    return true;
}

static bool
equals(const struct plain *v, const struct where_condition *c, int order)
{
    if (v->kind == '"')
        return !v->lone && text_equal(v->bytes, c->value);
    if (v->kind == '0')
        return c->is_number && order == 0;
    return v->kind != '{' && v->kind != '[' && text_equal(c->value, v->text);
}

static struct text
pointer_of(const struct where_condition *c)
{
    struct text pointer = {c->source.p, 0};

    while (pointer.n < c->source.n && !memchr("=!<>", pointer.p[pointer.n], 4))
        pointer.n++;
    return pointer;
}

static bool
should_hold(const struct where_condition *c, const struct plain *v, int order)
{
    bool number = v && v->kind == '0';

    switch (c->how) {
    case WHERE_EXISTS:
        return v;
    case WHERE_EQUAL:
        return v && equals(v, c, order);
    case WHERE_NOT_EQUAL:
        return !v || !equals(v, c, order);
    case WHERE_LESS:
        return number && order < 0;
    case WHERE_LESS_EQUAL:
        return number && order <= 0;
    case WHERE_GREATER:
        return number && order > 0;
    case WHERE_GREATER_EQUAL:
        return number && order >= 0;
    }
    return false;
}

/* As in a text: the pointer, the operator, the value. */
static void
check_parts(const struct where_condition *c, struct text source)
{
    static const char *const operators[] = {"", "=", "!=", "<", "<=", ">", ">="};
    struct buf b;

    buf_init(&b, SIZE_MAX / 2);
    buf_text(&b, pointer_of(c));
    buf_string(&b, operators[c->how]);
    buf_text(&b, c->value);
    FUZZ_CHECK(text_equal(buf_view(&b), source), "\"%.*s\" was read as \"%.*s\"", (int)source.n,
               source.p, (int)b.length, b.data);
    FUZZ_CHECK(c->how < WHERE_LESS || c->is_number, "compared with what is no number");
    buf_finish(&b);
}

static void
check_condition(struct text source, struct where_subject *subject, const struct plain *tree)
{
    struct where_condition c;
    struct text exact = fuzz_copy(source), wanted;
    const struct plain *v;
    int order = 0;

    if (where_parse(&c, exact, NULL) == ERR_OK) {
        bool holds = where_holds(&c, 1, subject);

        check_parts(&c, exact);
        v = tree ? plain_get(tree, pointer_of(&c)) : NULL;
        if (!v || v->kind != '0' || !c.is_number ||
            (json_check(c.value, &wanted, NULL) == ERR_OK &&
             compare_numbers(v->text, wanted, &order)))
            FUZZ_CHECK(holds == should_hold(&c, v, order), "\"%.*s\" holds: %d", (int)source.n,
                       source.p, holds);
        where_finish(&c);
    }
    fuzz_free(exact);
}

static void
check_conditions(const struct lines *lines, struct text data)
{
    struct where_subject subject = {0};
    struct plain *tree = plain_read(data);

    where_subject_set(&subject, data);
    for (size_t i = 0; i < lines->n; i++)
        if (lines->line[i].n > 0 && lines->line[i].p[0] == 'w')
            check_condition((struct text){lines->line[i].p + 1, lines->line[i].n - 1}, &subject,
                            tree);
    where_subject_finish(&subject);
    plain_free(tree);
}

/* ---- many ---- */

/* Adds what is good; in *kept are the lines that were. */
static void
add_line(struct subscription *s, struct text line, struct lines *kept)
{
    struct text rest = {line.p + 1, line.n - 1};
    enum err err = ERR_INVALID;

    if (line.n > 0 && line.p[0] == 't')
        err = subscription_add_topic(s, rest, NULL);
    else if (line.n > 0 && line.p[0] == 'e')
        err = subscription_add_type(s, rest, NULL);
    else if (line.n > 0 && line.p[0] == 'w')
        err = subscription_add_where(s, rest, NULL);
    if (err == ERR_OK && kept)
        kept->line[kept->n++] = line;
}

static bool
any(const struct lines *kept, char kind, struct text wanted)
{
    bool some = false;

    for (size_t i = 0; i < kept->n; i++) {
        struct text one = {kept->line[i].p + 1, kept->line[i].n - 1};

        if (kept->line[i].p[0] != kind)
            continue;
        some = true;
        if (kind == 't' ? topic_matches(one, wanted) : text_equal(one, wanted))
            return true;
    }
    return !some;
}

/* The order of what is asked for, and asking twice, do not matter; what matches is what matches
 * one of the patterns and one of the types as they were given. */
static void
check_subscription(const struct lines *lines)
{
    struct subscription s, backward;
    struct lines kept = {.n = 0};

    subscription_init(&s);
    subscription_init(&backward);
    for (size_t i = 0; i < lines->n; i++)
        add_line(&s, lines->line[i], &kept);
    for (size_t i = kept.n; i > 0; i--) {
        add_line(&backward, kept.line[i - 1], NULL);
        add_line(&backward, kept.line[i - 1], NULL);
    }
    if (subscription_seal(&s) != ERR_OK || subscription_seal(&backward) != ERR_OK)
        abort();
    FUZZ_CHECK(strcmp(s.key, backward.key) == 0, "\"%s\" and \"%s\"", s.key, backward.key);
    FUZZ_CHECK(subscription_is_everything(&s) == (s.key[0] == '\0'), "\"%s\"", s.key);
    for (size_t i = 0; i < lines->n; i++) {
        struct text try = lines->line[i], type = TEXT_NONE;

        if (try.n == 0)
            continue;
        try = (struct text){try.p + 1, try.n - 1};
        FUZZ_CHECK(subscription_matches(&s, &(struct label){try, TEXT_NONE}) ==
                       (any(&kept, 't', try) && any(&kept, 'e', TEXT_LIT("message"))),
                   "topic \"%.*s\" in \"%s\"", (int)try.n, try.p, s.key);
        type = try;
        FUZZ_CHECK(subscription_matches_type(&s, type) == any(&kept, 'e', type),
                   "type \"%.*s\" in \"%s\"", (int)try.n, try.p, s.key);
    }
    subscription_finish(&s);
    subscription_finish(&backward);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    struct fuzz f = fuzz_begin(bytes, n);
    struct lines lines = {.n = 0};
    struct text data = TEXT_LIT("");

    while (f.n > 0 && lines.n < LINES_MAX) {
        struct text line = fuzz_field(&f, '\n');

        /* As decoded from a query string: without a NUL. */
        line.n = strnlen(line.p, line.n);
        if (line.n > 0 && strchr("wtep", line.p[0]))
            lines.line[lines.n++] = line;
        else
            data = line;
    }
    data = fuzz_copy(data);
    check_conditions(&lines, data);
    check_subscription(&lines);
    fuzz_free(data);
    return 0;
}
