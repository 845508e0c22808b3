#include "http/accept.h"

#include "http/header.h"

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

    while (header_next(&parameters, ';', &parameter))
        if (parameter.n > 2 && (parameter.p[0] == 'q' || parameter.p[0] == 'Q') &&
            parameter.p[1] == '=')
            return weight((struct text){parameter.p + 2, parameter.n - 2});
    return 1000;
}

static enum closeness
closeness_of(struct text range, int form)
{
    struct text type, subtype = range;

    if (!header_next(&subtype, '/', &type))
        return NOT_AT_ALL;
    if (header_same(type, "*"))
        return header_same(subtype, "*") ? ANY_TYPE : NOT_AT_ALL;
    if (!header_same(type, forms[form].type))
        return NOT_AT_ALL;
    if (header_same(subtype, "*"))
        return ANY_SUBTYPE;
    return header_same(subtype, forms[form].subtype) ? BY_NAME : NOT_AT_ALL;
}

static void
read_ranges(struct text accept, struct preference *preferences)
{
    struct text part;

    while (header_next(&accept, ',', &part)) {
        struct text range, parameters = part;
        int q;

        if (!header_next(&parameters, ';', &range))
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

/* A tag is found by its quotes, which cannot occur inside one. */
bool
accept_none_match(struct text if_none_match, struct text tag)
{
    struct text list = header_trim(if_none_match);

    if (list.n == 0)
        return false;
    return text_equal(list, TEXT_LIT("*")) || memmem(list.p, list.n, tag.p, tag.n);
}
