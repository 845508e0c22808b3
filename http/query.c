#include "http/query.h"

#include <string.h>

#include "base/mem.h"
#include "base/option.h"
#include "http/form.h"

enum { LAST_MAX = 1000000 };

/* What stands in a query as it is, '%' included, since it is encoded already. */
#define QUERY_PLAIN "-._~!$&'()*+,;=:@/?%"

/* The state of one parse: what was seen so far. Texts are decoded, owned. */
struct parse {
    const struct query_limits *limits;
    struct query *q;
    struct errbuf *eb;
    char *cursor, *since, *last, *before, *limit, *wait;
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
    return err == ERR_NOMEM ? err_nomem(p->eb) : err;
}

static enum err
add_condition(struct parse *p, struct text value)
{
    if (p->q->what.n_where >= p->limits->where_max)
        return err_set(p->eb, ERR_INVALID, "more than %zu where= conditions in one request",
                       p->limits->where_max);
    return add_filter(p, value, subscription_add_where);
}

static enum err
set_reset(struct parse *p, struct text value)
{
    p->q->start.reset_now = text_equal(value, TEXT_LIT("now"));
    if (p->q->start.reset_now || text_equal(value, TEXT_LIT("oldest")))
        return ERR_OK;
    return err_set(p->eb, ERR_INVALID, "reset= must be now or oldest");
}

/* A page has the envelope in any case. */
static enum err
set_dialect(struct parse *p, struct text value)
{
    bool on = text_equal(value, TEXT_LIT("1"));

    p->q->dialect = on ? DIALECT_ENVELOPE : DIALECT_PLAIN;
    if (on || text_equal(value, TEXT_LIT("0")))
        return ERR_OK;
    return err_set(p->eb, ERR_INVALID, "envelope= must be 1 or 0");
}

/* Keeps the value; of several the last one counts, as for a browser's URL parser. */
static void
keep(char **member, char **value)
{
    mem_free(*member);
    *member = *value;
    *value = NULL;
}

enum parameter {
    TOPIC, /* these three may be repeated, and narrow what is sent */
    TYPE,
    WHERE,
    RESET,
    ENVELOPE,
    CURSOR,
    SINCE,
    LAST,
    BEFORE,
    LIMIT,
    WAIT,
    TOPICS,
    REFUSED,
    UNKNOWN,
};

enum {
    STREAM = 1 << QUERY_STREAM,
    PAGE = 1 << QUERY_PAGE,
    LIST = 1 << QUERY_TOPICS,
    EVENT = 1 << QUERY_EVENT,
};

/* Which names mean something for which kinds of answer, and which say where it begins. */
static const struct {
    const char *name;
    enum parameter parameter;
    unsigned kinds;
    bool is_start;
} known[] = {
    {"topic", TOPIC, STREAM | PAGE | LIST | EVENT, false},
    {"type", TYPE, STREAM | PAGE, false},
    {"where", WHERE, STREAM | PAGE, false},
    {"reset", RESET, STREAM | PAGE, false},
    {"envelope", ENVELOPE, STREAM | PAGE, false},
    {"last_event_id", CURSOR, STREAM | PAGE, true},
    {"lastEventId", CURSOR, STREAM | PAGE, true},
    {"lastEventID", CURSOR, STREAM | PAGE, true},
    {"since", SINCE, STREAM | PAGE, true},
    {"last", LAST, STREAM | PAGE, true},
    {"before", BEFORE, PAGE, true},
    {"limit", LIMIT, PAGE | LIST, false},
    {"wait", WAIT, PAGE, false},
    {"topics", TOPICS, LIST, true},
};

static enum parameter
parameter_of(struct text name, enum query_kind kind)
{
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (!form_name_is(name, known[i].name, known[i].parameter <= WHERE))
            continue;
        if (known[i].kinds & 1U << kind)
            return known[i].parameter;
        return kind == QUERY_TOPICS ? REFUSED : UNKNOWN;
    }
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
        return add_condition(p, text);
    case RESET:
        return set_reset(p, text);
    case ENVELOPE:
        return set_dialect(p, text);
    case CURSOR:
        keep(&p->cursor, value);
        break;
    case SINCE:
        keep(&p->since, value);
        break;
    case LAST:
        keep(&p->last, value);
        break;
    case BEFORE:
        keep(&p->before, value);
        break;
    case LIMIT:
        keep(&p->limit, value);
        break;
    case WAIT:
        keep(&p->wait, value);
        break;
    case TOPICS:
        keep(&p->q->topics, value);
        break;
    case REFUSED:
    case UNKNOWN:
        break;
    }
    return ERR_OK;
}

/* What was meant to narrow the answer must not be ignored: more would be sent than was asked for.
 */
static enum err
check_unknown(struct parse *p, struct text name, struct text value)
{
    static const char *const narrowing[] = {"topic", "type", "where"};

    if (value.n == 0) /* "?topics" asks for their list, also where the client prefers a stream */
        return ERR_OK;
    for (size_t i = 0; i < sizeof narrowing / sizeof *narrowing; i++)
        if (p->limits->kind != QUERY_EVENT && p->limits->kind != QUERY_TOPICS &&
            form_name_like(name, narrowing[i]) && !form_name_is(name, narrowing[i], true))
            return err_set(p->eb, ERR_INVALID,
                           "%.*s= is not known; write %s=", name.n < 64 ? (int)name.n : 64, name.p,
                           narrowing[i]);
    return ERR_OK;
}

static enum err
take_pairs(struct parse *p, struct text rest)
{
    struct text name, raw;
    enum err err = ERR_OK;

    while (err == ERR_OK && form_next(&rest, &name, &raw)) {
        enum parameter parameter = parameter_of(name, p->limits->kind);
        char *value;
        size_t n;

        if (parameter == UNKNOWN && (err = check_unknown(p, name, raw)) == ERR_OK)
            continue; /* the page's own, however it is written */
        if (err != ERR_OK)
            return err;
        if (parameter == REFUSED)
            return err_set(p->eb, ERR_INVALID,
                           "?topics counts all events of a topic: it cannot be used with %.*s=",
                           (int)name.n, name.p);
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

    q->start.reset = dialect_read_id(p->limits->dialect, text_of(cursor), &q->start.id);
    q->start.kind = q->start.reset == CURSOR_EXACT ? START_AFTER : START_RESET;
}

static enum err
parse_since(struct parse *p)
{
    struct query *q = p->q;
    int64_t ms;

    if (strcmp(p->since, "now") == 0) {
        q->start.kind = START_NOW;
    } else if (strcmp(p->since, "earliest") == 0) {
        q->start.kind = START_EARLIEST;
    } else if (dialect_read_id(p->limits->dialect, text_of(p->since), &q->start.id) !=
               CURSOR_INVALID) {
        start_at_cursor(p, p->since);
        keep(&q->requested, &p->since);
    } else if (option_duration(p->since, &ms)) {
        q->start.kind = START_SINCE;
        q->start.time_ms = p->limits->now_ms - ms;
    } else if (cursor_parse_time(text_of(p->since), &ms)) {
        q->start.kind = START_SINCE;
        q->start.time_ms = ms;
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
    p->q->start.kind = START_LAST;
    p->q->start.count = (uint32_t)n;
    return ERR_OK;
}

/* Going back begins at a position of this database; a cursor of another one is reported like any
 * that cannot be honoured, and the page is then the newest. */
static enum err
parse_before(struct parse *p)
{
    struct query *q = p->q;

    if (p->since || p->last || p->cursor || p->wait)
        return err_set(p->eb, ERR_INVALID,
                       "before= excludes since=, last=, last_event_id= and wait=");
    q->start.kind = START_BEFORE;
    q->start.id = INT64_MAX;
    if (strcmp(p->before, "now") == 0)
        return ERR_OK;
    q->start.reset = dialect_read_id(p->limits->dialect, text_of(p->before), &q->start.id);
    if (q->start.reset == CURSOR_INVALID)
        return err_set(p->eb, ERR_INVALID, "before= must be now or an event id");
    if (q->start.id == 0) /* nothing is before the first */
        q->start.id = 1;
    keep(&q->requested, &p->before);
    return ERR_OK;
}

static enum err
parse_numbers(struct parse *p)
{
    long long n = 0;

    if (p->limit && (!text_to_int64(text_of(p->limit), &n) || n < 1))
        return err_set(p->eb, ERR_INVALID, "limit= must be a whole number from 1 on");
    if (p->limit)
        p->q->limit = n > UINT32_MAX ? UINT32_MAX : (uint32_t)n;
    if (p->wait && !option_duration(p->wait, &p->q->wait_ms))
        return err_set(p->eb, ERR_INVALID, "wait= must be a duration such as 30s or 500ms");
    return ERR_OK;
}

static enum err
choose_start(struct parse *p, struct text header)
{
    enum err err = parse_numbers(p);

    if (err == ERR_OK && p->before)
        return parse_before(p);
    if (err != ERR_OK || p->limits->kind == QUERY_TOPICS || p->limits->kind == QUERY_EVENT)
        return err;
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
            return err_nomem(p->eb);
    }
    if (err == ERR_OK && p->cursor && p->cursor[0] != '\0') {
        start_at_cursor(p, p->cursor);
        keep(&p->q->requested, &p->cursor);
    }
    return err;
}

enum err
query_parse(struct text query_string, struct text last_event_id, const struct query_limits *limits,
            struct query *q, struct errbuf *eb)
{
    struct parse p = {.limits = limits, .q = q, .eb = eb};
    enum err err;

    *q = (struct query){.start.kind = START_NOW};
    subscription_init(&q->what);
    err = take_pairs(&p, query_string);
    if (err == ERR_OK)
        err = choose_start(&p, last_event_id);
    if (err == ERR_OK && limits->grants && !limits->grants->all)
        err = subscription_narrow(&q->what, limits->grants->list.topics,
                                  limits->grants->list.n_topics, eb);
    if (err == ERR_OK && subscription_seal(&q->what) != ERR_OK)
        err = err_nomem(eb);
    mem_free(p.cursor);
    mem_free(p.since);
    mem_free(p.last);
    mem_free(p.before);
    mem_free(p.limit);
    mem_free(p.wait);
    if (err != ERR_OK)
        query_finish(q);
    return err;
}

void
query_finish(struct query *q)
{
    subscription_finish(&q->what);
    mem_free(q->requested);
    mem_free(q->topics);
    q->requested = q->topics = NULL;
}

bool
query_has(struct text query_string, const char *name)
{
    struct text found, raw;

    while (form_next(&query_string, &found, &raw))
        if (form_name_is(found, name, false))
            return true;
    return false;
}

static bool
is_start(struct text name)
{
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (known[i].is_start && form_name_is(name, known[i].name, false))
            return true;
    return false;
}

void
query_link(struct buf *out, struct text query_string, const char *name, struct text value)
{
    struct text other, raw;

    buf_byte(out, '?');
    while (form_next(&query_string, &other, &raw)) {
        if (is_start(other))
            continue;
        /* Nothing of it may end the reference or the header that it stands in. */
        buf_percent(out, other, QUERY_PLAIN);
        buf_byte(out, '=');
        buf_percent(out, raw, QUERY_PLAIN);
        buf_byte(out, '&');
    }
    buf_string(out, name);
    buf_byte(out, '=');
    buf_percent(out, value, "-/");
}

struct text
query_endpoint(struct text path_info, struct text script_name)
{
    return script_name.n > 0 ? script_name : path_info;
}

struct text
query_event(struct text path_info, struct text script_name)
{
    if (script_name.n == 0 || path_info.n < 2)
        return TEXT_NONE;
    return (struct text){path_info.p + 1, path_info.n - 1};
}
