#include "fcgi/query.h"

#include <string.h>

#include "base/mem.h"
#include "base/option.h"
#include "fcgi/form.h"
#include "fcgi/grants.h"

enum { LAST_MAX = 1000000 };

/* The state of one parse: what was seen so far. Texts are decoded, owned. */
struct parse {
    const struct query_limits *limits;
    struct query *q;
    struct errbuf *eb;
    char *cursor, *since, *last;
};

typedef enum err add_function(struct subscription *s, struct text value, struct errbuf *eb);

static enum err
add_filter(struct parse *p, struct text value, add_function *add)
{
    struct subscription *what = &p->q->what;
    enum err err;

    if (what->n_topics + what->n_types + what->n_where >= p->limits->topics_max)
        return err_set(p->eb, ERR_INVALID,
                       "more than %zu topics, types and conditions in one request",
                       p->limits->topics_max);
    err = add(what, value, p->eb);
    return err == ERR_NOMEM ? err_set(p->eb, ERR_NOMEM, "out of memory") : err;
}

static enum err
set_reset(struct parse *p, struct text value)
{
    p->q->reset_now = text_equal(value, TEXT_LIT("now"));
    if (p->q->reset_now || text_equal(value, TEXT_LIT("oldest")))
        return ERR_OK;
    return err_set(p->eb, ERR_INVALID, "reset= must be now or oldest");
}

/* Keeps the value; of several the last one counts, as for a browser's URL parser. */
static void
keep(char **member, char **value)
{
    mem_free(*member);
    *member = *value;
    *value = NULL;
}

enum parameter { TOPIC, TYPE, WHERE, RESET, CURSOR, SINCE, LAST, UNKNOWN };

static enum parameter
parameter_of(struct text name)
{
    static const struct {
        const char *name;
        enum parameter parameter;
    } known[] = {
        {"topic", TOPIC},
        {"type", TYPE},
        {"where", WHERE},
        {"reset", RESET},
        {"last_event_id", CURSOR},
        {"lastEventId", CURSOR},
        {"lastEventID", CURSOR},
        {"since", SINCE},
        {"last", LAST},
    };

    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (text_equal(name, text_of(known[i].name)))
            return known[i].parameter;
    return UNKNOWN;
}

static enum err
take_parameter(struct parse *p, enum parameter parameter, char **value, size_t n)
{
    struct text text = {*value, n};

    switch (parameter) {
    case TOPIC:
        return add_filter(p, text, subscription_add_topic);
    case TYPE:
        return add_filter(p, text, subscription_add_type);
    case WHERE:
        return add_filter(p, text, subscription_add_where);
    case RESET:
        return set_reset(p, text);
    case CURSOR:
        keep(&p->cursor, value);
        break;
    case SINCE:
        keep(&p->since, value);
        break;
    case LAST:
        keep(&p->last, value);
        break;
    case UNKNOWN:
        break;
    }
    return ERR_OK;
}

static enum err
take_pairs(struct parse *p, struct text rest)
{
    struct text name, raw;
    enum err err = ERR_OK;

    while (err == ERR_OK && form_next(&rest, &name, &raw)) {
        enum parameter parameter = parameter_of(name);
        char *value;
        size_t n;

        if (parameter == UNKNOWN) /* the page's own, however it is written */
            continue;
        err = form_decode(raw, true, &value, &n, p->eb);
        if (err == ERR_OK)
            err = take_parameter(p, parameter, &value, n);
        mem_free(value);
    }
    return err;
}

static void
start_at_cursor(struct parse *p, const char *cursor)
{
    struct query *q = p->q;

    q->reset = cursor_parse(text_of(cursor), p->limits->epoch, &q->id);
    q->start = q->reset == CURSOR_EXACT ? START_AFTER : START_RESET;
}

static enum err
parse_since(struct parse *p)
{
    struct query *q = p->q;
    int64_t ms;

    if (strcmp(p->since, "now") == 0) {
        q->start = START_NOW;
    } else if (strcmp(p->since, "earliest") == 0) {
        q->start = START_EARLIEST;
    } else if (cursor_parse(text_of(p->since), p->limits->epoch, &q->id) != CURSOR_INVALID) {
        start_at_cursor(p, p->since);
        keep(&q->requested, &p->since);
    } else if (option_duration(p->since, &ms)) {
        q->start = START_SINCE;
        q->time_ms = p->limits->now_ms - ms;
    } else if (cursor_parse_time(text_of(p->since), &ms)) {
        q->start = START_SINCE;
        q->time_ms = ms;
    } else {
        return err_set(p->eb, ERR_INVALID,
                       "since= must be earliest, now, an event id, a duration such as 10m, or a "
                       "time such as 2026-11-22T10:00:00Z");
    }
    return ERR_OK;
}

static enum err
parse_last(struct parse *p)
{
    long long n;

    if (!text_to_int64(text_of(p->last), &n) || n > LAST_MAX)
        return err_set(p->eb, ERR_INVALID, "last= must be a whole number from 0 to %d", LAST_MAX);
    p->q->start = START_LAST;
    p->q->count = (uint32_t)n;
    return ERR_OK;
}

static enum err
choose_start(struct parse *p, struct text header)
{
    enum err err = ERR_OK;

    if (p->since && p->last)
        return err_set(p->eb, ERR_INVALID, "since= and last= exclude each other");
    if (p->since)
        err = parse_since(p);
    else if (p->last)
        err = parse_last(p);
    if (err == ERR_OK && header.n > 0) {
        mem_free(p->cursor);
        p->cursor = mem_copy(header);
        if (!p->cursor)
            return err_set(p->eb, ERR_NOMEM, "out of memory");
    }
    if (err == ERR_OK && p->cursor && p->cursor[0] != '\0') {
        start_at_cursor(p, p->cursor);
        keep(&p->q->requested, &p->cursor);
    }
    return err;
}

/* What the request may read; see access.h. */
static enum err
apply_grants(struct parse *p)
{
    struct grants granted;
    enum err err;

    grants_init(&granted);
    err = grants_parse(&granted, p->limits->grants, p->eb);
    if (err == ERR_INVALID) /* the web server's mistake: nobody gets in by it */
        err = err_set(p->eb, ERR_DENIED, "the web server's FRESHET_TOPICS is malformed");
    if (err == ERR_OK && !granted.all)
        err = subscription_narrow(&p->q->what, granted.list.topics, granted.list.n_topics, p->eb);
    grants_finish(&granted);
    return err;
}

enum err
query_parse(struct text query_string, struct text last_event_id, const struct query_limits *limits,
            struct query *q, struct errbuf *eb)
{
    struct parse p = {.limits = limits, .q = q, .eb = eb};
    enum err err;

    *q = (struct query){.start = START_NOW};
    subscription_init(&q->what);
    err = take_pairs(&p, query_string);
    if (err == ERR_OK)
        err = choose_start(&p, last_event_id);
    if (err == ERR_OK && limits->grants.p)
        err = apply_grants(&p);
    if (err == ERR_OK && subscription_seal(&q->what) != ERR_OK)
        err = err_set(eb, ERR_NOMEM, "out of memory");
    mem_free(p.cursor);
    mem_free(p.since);
    mem_free(p.last);
    if (err != ERR_OK)
        query_finish(q);
    return err;
}

void
query_finish(struct query *q)
{
    subscription_finish(&q->what);
    mem_free(q->requested);
    q->requested = NULL;
}
