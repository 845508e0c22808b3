#include "http/accept.h"

#include <strings.h>

/* The forms in the order in which they win when nothing else decides. */
enum { STREAM, JSON, NDJSON, N_FORMS };

static const struct {
    const char *type, *subtype;
} forms[N_FORMS] = {
    [STREAM] = {"text", "event-stream"},
    [JSON] = {"application", "json"},
    [NDJSON] = {"application", "x-ndjson"},
};

/* How closely a range of the header describes a form; what is closer overrules. */
enum closeness { NOT_AT_ALL, ANY_TYPE, ANY_SUBTYPE, BY_NAME };

struct preference {
    enum closeness closeness;
    int q; /* thousandths */
};

static struct text
trim(struct text s)
{
    while (s.n > 0 && (s.p[0] == ' ' || s.p[0] == '\t'))
        s = (struct text){s.p + 1, s.n - 1};
    while (s.n > 0 && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t'))
        s.n--;
    return s;
}

/* Takes the part up to the separator off *rest; false when nothing is left. */
static bool
next_part(struct text *rest, char separator, struct text *part)
{
    const char *end;

    if (rest->n == 0)
        return false;
    end = memchr(rest->p, separator, rest->n);
    part->p = rest->p;
    part->n = end ? (size_t)(end - rest->p) : rest->n;
    *rest = end ? (struct text){end + 1, rest->n - part->n - 1} : TEXT_LIT("");
    *part = trim(*part);
    return true;
}

static bool
same(struct text a, const char *b)
{
    return a.n == strlen(b) && strncasecmp(a.p, b, a.n) == 0;
}

/* "0.5" is 500; what cannot be read is 1000, as if it were not there. */
static int
weight(struct text s)
{
    int q = 0, scale = 1000;

    for (size_t i = 0; i < s.n && scale > 0; i++) {
        if (s.p[i] == '.' && i == 1)
            continue;
        if (s.p[i] < '0' || s.p[i] > '9')
            return 1000;
        q += (s.p[i] - '0') * scale;
        scale /= 10;
    }
    return s.n == 0 || q > 1000 ? 1000 : q;
}

static int
weight_among(struct text parameters)
{
    struct text parameter;

    while (next_part(&parameters, ';', &parameter))
        if (parameter.n > 2 && (parameter.p[0] == 'q' || parameter.p[0] == 'Q') &&
            parameter.p[1] == '=')
            return weight((struct text){parameter.p + 2, parameter.n - 2});
    return 1000;
}

static enum closeness
closeness_of(struct text range, int form)
{
    struct text type, subtype = range;

    if (!next_part(&subtype, '/', &type) || !subtype.p)
        return NOT_AT_ALL;
    if (same(type, "*"))
        return same(subtype, "*") ? ANY_TYPE : NOT_AT_ALL;
    if (!same(type, forms[form].type))
        return NOT_AT_ALL;
    if (same(subtype, "*"))
        return ANY_SUBTYPE;
    return same(subtype, forms[form].subtype) ? BY_NAME : NOT_AT_ALL;
}

static void
read_ranges(struct text accept, struct preference *preferences)
{
    struct text part;

    while (next_part(&accept, ',', &part)) {
        struct text range, parameters = part;
        int q;

        if (!next_part(&parameters, ';', &range))
            continue;
        q = weight_among(parameters);
        for (int i = 0; i < N_FORMS; i++) {
            enum closeness closeness = closeness_of(range, i);

            if (closeness > preferences[i].closeness)
                preferences[i] = (struct preference){closeness, q};
        }
    }
}

enum accept_form
accept_choose(struct text accept)
{
    struct preference preferences[N_FORMS] = {0};
    int best = STREAM;

    if (accept.n > 0)
        read_ranges(accept, preferences);
    for (int i = STREAM + 1; i < N_FORMS; i++) {
        const struct preference *a = &preferences[i], *b = &preferences[best];

        if (a->q > b->q || (a->q > 0 && a->q == b->q && a->closeness > b->closeness))
            best = i;
    }
    if (best != STREAM)
        return best == JSON ? ACCEPT_JSON : ACCEPT_NDJSON;
    return preferences[best].q > 0 && preferences[best].closeness > ANY_TYPE ? ACCEPT_STREAM
                                                                             : ACCEPT_ANY;
}

bool
accept_none_match(struct text if_none_match, struct text tag)
{
    struct text part;

    while (next_part(&if_none_match, ',', &part)) {
        if (text_starts(part, TEXT_LIT("W/")))
            part = (struct text){part.p + 2, part.n - 2};
        if (text_equal(part, TEXT_LIT("*")) || text_equal(part, tag))
            return true;
    }
    return false;
}
