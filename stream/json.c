#include "stream/json.h"

#include <stdint.h>

struct scan {
    const char *p, *end;
    const char *expected; /* what was missing at p; NULL = nothing yet */
    bool wide;
    size_t tree_bytes;
};

/* Measured with json-c 0.16: an empty object has a table of 16 members, an empty array room for 32
 * elements. */
enum { OBJECT_BYTES = 850, ARRAY_BYTES = 420, SCALAR_BYTES = 80, MEMBER_BYTES = 90 };

enum { INTEGER_DIGITS_SAFE = 18 }; /* 10^18 < 2^63 */

static bool
fail(struct scan *s, const char *expected)
{
    s->expected = expected;
    return false;
}

static void
blanks(struct scan *s)
{
    while (s->p < s->end && (*s->p == ' ' || *s->p == '\t' || *s->p == '\n' || *s->p == '\r'))
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

static bool
string(struct scan *s)
{
    if (!next_is(s, '"'))
        return fail(s, "a string");
    while (s->p < s->end && (unsigned char)*s->p >= 0x20) {
        char c = *s->p++;

        if (c == '"')
            return true;
        if (c == '\\' && !escape(s))
            return false;
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
    size_t n;
    bool whole = true;

    next_is(s, '-');
    n = next_is(s, '0') ? 1 : digits(s);
    if (n == 0)
        return fail(s, "a value");
    if (next_is(s, '.')) {
        whole = false;
        if (digits(s) == 0)
            return fail(s, "a digit");
    }
    if (next_is(s, 'e') || next_is(s, 'E')) {
        whole = false;
        if (!next_is(s, '+'))
            next_is(s, '-');
        if (digits(s) == 0)
            return fail(s, "a digit");
    }
    s->wide = s->wide || (whole && n > INTEGER_DIGITS_SAFE);
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
    s->tree_bytes += SCALAR_BYTES;
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
    s->tree_bytes += MEMBER_BYTES;
    if (!string(s))
        return false;
    blanks(s);
    return next_is(s, ':') || fail(s, "':'");
}

/* Iterative: `open` holds the closing byte of each array or object that is open. */
static bool
value(struct scan *s)
{
    char open[JSON_DEPTH_MAX];
    size_t depth = 0;

    for (;;) {
        blanks(s);
        if (s->p < s->end && (*s->p == '{' || *s->p == '[')) {
            if (depth == JSON_DEPTH_MAX)
                return fail(s, "less depth");
            s->tree_bytes += *s->p == '{' ? OBJECT_BYTES : ARRAY_BYTES;
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
json_check(struct text s, struct json_facts *facts, struct errbuf *eb)
{
    struct scan scan = {.p = s.p, .end = s.p + s.n};

    blanks(&scan);
    facts->first = (char)(scan.p < scan.end ? *scan.p : '\0');
    if (value(&scan) && scan.p < scan.end)
        fail(&scan, "the end");
    facts->wide = scan.wide;
    facts->tree_bytes = scan.tree_bytes + s.n;
    if (scan.expected)
        return err_set(eb, ERR_INVALID, "not JSON: %s expected at byte %zu", scan.expected,
                       (size_t)(scan.p - s.p) + 1);
    return ERR_OK;
}
