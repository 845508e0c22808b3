#include "base/json.h"

#include <assert.h>
#include <stdint.h>

static bool
is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* ---- check ---- */

struct scan {
    const char *p, *end;
    const char *expected; /* what was missing at p; NULL = nothing yet */
};

static bool
fail(struct scan *s, const char *expected)
{
    s->expected = expected;
    return false;
}

static void
blanks(struct scan *s)
{
    while (s->p < s->end && is_blank(*s->p))
        s->p++;
}

static bool
next_is(struct scan *s, char c)
{
    if (s->p == s->end || *s->p != c)
        return false;
    s->p++;
    return true;
}

static bool
escape(struct scan *s)
{
    static const char hex[] = "0123456789abcdefABCDEF";

    if (s->p == s->end || !memchr("\"\\/bfnrtu", *s->p, 9))
        return fail(s, "an escape such as \\n or \\u00e9");
    if (*s->p++ != 'u')
        return true;
    for (int i = 0; i < 4; i++, s->p++)
        if (s->p == s->end || !memchr(hex, *s->p, sizeof hex - 1))
            return fail(s, "four hexadecimal digits");
    return true;
}

/* Eight bytes at a time, up to the first eight that have a quote, a backslash or a control
 * character: subtracting borrows from a byte's highest bit only where the byte is too small. */
static const char *
skip_plain(const char *p, const char *end)
{
    const uint64_t ones = 0x0101010101010101, high = 0x8080808080808080;
    uint64_t eight, quote, backslash;

    for (; end - p >= (ptrdiff_t)sizeof eight; p += sizeof eight) {
        memcpy(&eight, p, sizeof eight);
        quote = eight ^ ones * '"';
        backslash = eight ^ ones * '\\';
        if ((((eight - ones * 0x20) & ~eight) | ((quote - ones) & ~quote) |
             ((backslash - ones) & ~backslash)) &
            high)
            break;
    }
    return p;
}

static bool
string(struct scan *s)
{
    if (!next_is(s, '"'))
        return fail(s, "a string");
    s->p = skip_plain(s->p, s->end);
    while (s->p < s->end && (unsigned char)*s->p >= 0x20) {
        char c = *s->p++;

        if (c == '"')
            return true;
        if (c == '\\') {
            if (!escape(s))
                return false;
            s->p = skip_plain(s->p, s->end);
        }
    }
    return fail(s, s->p < s->end ? "a string without control characters" : "the string's end");
}

static size_t
digits(struct scan *s)
{
    const char *start = s->p;

    while (s->p < s->end && *s->p >= '0' && *s->p <= '9')
        s->p++;
    return (size_t)(s->p - start);
}

static bool
number(struct scan *s)
{
    next_is(s, '-');
    if (!next_is(s, '0') && digits(s) == 0)
        return fail(s, "a value");
    if (next_is(s, '.') && digits(s) == 0)
        return fail(s, "a digit");
    if (next_is(s, 'e') || next_is(s, 'E')) {
        if (!next_is(s, '+'))
            next_is(s, '-');
        if (digits(s) == 0)
            return fail(s, "a digit");
    }
    return true;
}

static bool
word(struct scan *s, struct text name)
{
    if (!text_starts((struct text){s->p, (size_t)(s->end - s->p)}, name))
        return fail(s, "a value");
    s->p += name.n;
    return true;
}

static bool
scalar(struct scan *s)
{
    switch (s->p < s->end ? *s->p : '\0') {
    case '"':
        return string(s);
    case 't':
        return word(s, TEXT_LIT("true"));
    case 'f':
        return word(s, TEXT_LIT("false"));
    case 'n':
        return word(s, TEXT_LIT("null"));
    default:
        return number(s);
    }
}

static bool
member_name(struct scan *s)
{
    blanks(s);
    if (!string(s))
        return false;
    blanks(s);
    return next_is(s, ':') || fail(s, "':'");
}

/* Iterative: `open` holds the closing byte of each array or object that is open. */
static bool
whole_value(struct scan *s)
{
    char open[JSON_DEPTH_MAX];
    size_t depth = 0;

    for (;;) {
        blanks(s);
        if (s->p < s->end && (*s->p == '{' || *s->p == '[')) {
            if (depth == JSON_DEPTH_MAX)
                return fail(s, "less depth");
            open[depth++] = *s->p++ == '{' ? '}' : ']';
            blanks(s);
            if (s->p == s->end || *s->p != open[depth - 1]) {
                if (open[depth - 1] == '}' && !member_name(s))
                    return false;
                continue;
            }
        } else if (!scalar(s)) {
            return false;
        }
        for (blanks(s); depth && next_is(s, open[depth - 1]); blanks(s))
            depth--;
        if (depth == 0)
            return true;
        if (!next_is(s, ','))
            return fail(s, open[depth - 1] == '}' ? "',' or '}'" : "',' or ']'");
        if (open[depth - 1] == '}' && !member_name(s))
            return false;
    }
}

enum err
json_check(struct text s, struct text *value, struct errbuf *eb)
{
    struct scan scan = {.p = s.p, .end = s.p + s.n};
    const char *first, *last = s.p + s.n;

    blanks(&scan);
    first = scan.p;
    if (whole_value(&scan) && scan.p < scan.end)
        fail(&scan, "the end");
    if (scan.expected)
        return err_set(eb, ERR_INVALID, "not JSON: %s expected at byte %zu", scan.expected,
                       (size_t)(scan.p - s.p) + 1);
    while (is_blank(last[-1]))
        last--;
    if (value)
        *value = (struct text){first, (size_t)(last - first)};
    return ERR_OK;
}

/* ---- what has passed the check ---- */

static enum json_kind
kind_of(char first)
{
    switch (first) {
    case '{':
        return JSON_OBJECT;
    case '[':
        return JSON_ARRAY;
    case '"':
        return JSON_STRING;
    case 't':
    case 'f':
        return JSON_BOOLEAN;
    case 'n':
        return JSON_NULL;
    default:
        return JSON_NUMBER;
    }
}

enum json_kind
json_kind(struct text value)
{
    return kind_of(value.p[0]);
}

/* p is behind the opening quote; the result is behind the closing one, the first with an even
 * number of backslashes in front of it. Counting these is linear in all, too. */
static const char *
string_end(const char *p, const char *end)
{
    for (;;) {
        const char *quote = memchr(p, '"', (size_t)(end - p)), *q = quote;

        assert(quote);
        while (q > p && q[-1] == '\\')
            q--;
        p = quote + 1;
        if ((quote - q) % 2 == 0)
            return p;
    }
}

static const char *
value_end(const char *p, const char *end)
{
    size_t depth = 0;

    if (*p == '"')
        return string_end(p + 1, end);
    if (*p != '{' && *p != '[') {
        while (p < end && *p != ',' && *p != '}' && *p != ']' && !is_blank(*p))
            p++;
        return p;
    }
    do {
        char c = *p++;

        if (c == '"')
            p = string_end(p, end);
        else if (c == '{' || c == '[')
            depth++;
        else if (c == '}' || c == ']')
            depth--;
    } while (depth > 0);
    return p;
}

static void
walk_blanks(struct json_walk *w)
{
    while (is_blank(*w->p))
        w->p++;
}

/* At the opening byte. */
static void
walk_begin(struct json_walk *w, const char *p, const char *end)
{
    assert(*p == '{' || *p == '[');
    *w = (struct json_walk){.p = p + 1, .end = end, .close = *p == '{' ? '}' : ']'};
}

void
json_walk(struct json_walk *w, struct text container)
{
    walk_begin(w, container.p, container.p + container.n);
}

bool
json_step(struct json_walk *w, struct text *name)
{
    const char *start;

    walk_blanks(w);
    if (*w->p == ',')
        w->p++;
    walk_blanks(w);
    if (*w->p == w->close) {
        w->p++;
        return false;
    }
    *name = TEXT_NONE;
    if (w->close == '}') {
        start = w->p;
        w->p = string_end(w->p + 1, w->end);
        *name = (struct text){start, (size_t)(w->p - start)};
        walk_blanks(w);
        w->p++; /* the colon */
        walk_blanks(w);
    }
    return true;
}

enum json_kind
json_here(const struct json_walk *w)
{
    return kind_of(*w->p);
}

struct text
json_pass(struct json_walk *w)
{
    const char *start = w->p;

    w->p = value_end(start, w->end);
    return (struct text){start, (size_t)(w->p - start)};
}

void
json_into(const struct json_walk *w, struct json_walk *inner)
{
    walk_begin(inner, w->p, w->end);
}

void
json_out(struct json_walk *w, const struct json_walk *inner)
{
    w->p = inner->p;
}

bool
json_next(struct json_walk *w, struct text *name, struct text *value)
{
    if (!json_step(w, name))
        return false;
    *value = json_pass(w);
    return true;
}

struct text
json_compact(struct text value, char **room)
{
    const char *p = value.p, *end = p + value.n, *run = p;
    char *out = *room;

    while (p < end) {
        if (*p == '"') {
            p = string_end(p + 1, end);
        } else if (!is_blank(*p)) {
            p++;
        } else {
            memcpy(out, run, (size_t)(p - run));
            out += p - run;
            while (is_blank(*p))
                p++;
            run = p;
        }
    }
    if (run == value.p)
        return value;
    memcpy(out, run, (size_t)(end - run));
    out += end - run;
    value = (struct text){*room, (size_t)(out - *room)};
    *room = out;
    return value;
}
