#include "fcgi/history_read.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "stream/event_json.h"

static bool history_run(struct reader_job *job, struct store *store, enum err *err,
                        struct errbuf *eb);

void
history_read_init(struct history_read *h, struct query *query)
{
    *h = (struct history_read){.query = *query};
    *query = (struct query){0};
    buf_init(&h->body, SIZE_MAX / 2);
    buf_init(&h->next, SIZE_MAX / 2);
    h->job.run = history_run;
    h->filter = &h->query.what;
}

void
history_read_finish(struct history_read *h)
{
    query_finish(&h->query);
    buf_finish(&h->body);
    buf_finish(&h->next);
    mem_free(h->topic);
}

static bool
same_text(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

static bool
same_start(const struct start *a, const struct start *b)
{
    return a->kind == b->kind && a->id == b->id && a->time_ms == b->time_ms &&
           a->count == b->count && a->reset == b->reset && a->reset_now == b->reset_now;
}

bool
history_same(const struct history_read *a, const struct history_read *b)
{
    const struct query *p = &a->query, *q = &b->query;

    return a->what == b->what && a->ndjson == b->ndjson && a->limit == b->limit &&
           same_start(&p->start, &q->start) && p->id == q->id &&
           same_text(p->requested, q->requested) && same_text(p->topics, q->topics) &&
           strcmp(a->filter->key, b->filter->key) == 0;
}

/* ---- the body ---- */

static void
open_body(struct history_read *h)
{
    if (h->ndjson)
        return;
    if (h->what == HISTORY_PAGE)
        buf_string(&h->body, "{\"events\":[");
    else if (h->what == HISTORY_TOPICS)
        buf_string(&h->body, "{\"topics\":[");
}

/* One more element stands behind `before`. False when it is one too many, or memory ran out. */
static bool
keep_element(struct history_read *h, size_t before)
{
    if (h->ndjson || h->what == HISTORY_EVENT)
        buf_byte(&h->body, '\n');
    if (buf_failed(&h->body) || (h->n > 0 && h->body.length > h->bytes_max)) {
        h->no_memory = h->no_memory || buf_failed(&h->body);
        h->body.length = before;
        h->body.failed = false;
        return false;
    }
    h->n++;
    return true;
}

static size_t
begin_element(struct history_read *h)
{
    size_t before = h->body.length;

    if (h->n > 0 && !h->ndjson)
        buf_byte(&h->body, ',');
    return before;
}

static void
close_body(struct history_read *h, const struct marks *m)
{
    char state[32];

    if (!h->ndjson && h->what != HISTORY_EVENT) {
        buf_string(&h->body, "],\"next\":");
        if (h->next.length > 0)
            buf_json(&h->body, buf_view(&h->next));
        else
            buf_string(&h->body, "null");
        if (h->what == HISTORY_PAGE)
            buf_format(&h->body, ",\"live\":%s", h->live ? "true" : "false");
        if (h->place.limited)
            buf_string(&h->body, ",\"limited\":true");
        if (h->reset != CURSOR_EXACT) {
            buf_string(&h->body, ",\"reset\":");
            dialect_reset_json(h->dialect, &h->body, h->reset, text_of(h->query.requested), m);
        }
        buf_string(&h->body, "}\n");
    }
    h->hash = text_hash(TEXT_HASH_EMPTY, buf_view(&h->body));
    h->hash = text_hash(h->hash, buf_view(&h->next));
    snprintf(state, sizeof state, "%d %d %d", h->ndjson, h->live, (int)h->reset);
    h->hash = text_hash(h->hash, text_of(state));
    h->no_memory = h->no_memory || buf_failed(&h->body) || buf_failed(&h->next);
}

static void
set_next(struct history_read *h, int64_t id)
{
    buf_clear(&h->next);
    dialect_id(h->dialect, &h->next, id);
}

void
history_make_empty(struct history_read *h, int64_t position)
{
    struct marks none = {0};

    buf_clear(&h->body);
    h->n = 0;
    h->live = true;
    h->fixed = false;
    h->reset = CURSOR_EXACT;
    open_body(h);
    set_next(h, position);
    close_body(h, &none);
}

/* ---- where a page begins ---- */

/* One step; true when the place is found, or there is an error. */
static bool
find_place(struct history_read *h, struct store *store, struct errbuf *eb)
{
    struct locate *l = &h->place;
    bool done;

    l->start = h->query.start;
    l->filter = h->filter;
    l->search_us = h->search_us;
    h->job.err = locate_step(l, store, &h->step, &done, eb);
    if (h->job.err != ERR_OK || !done)
        return h->job.err != ERR_OK;
    h->down = l->start.kind == START_BEFORE;
    h->at = l->at;
    h->reset = l->reset;
    return true;
}

/* ---- a page ---- */

static bool
add_event(void *context, const struct event *e)
{
    struct history_read *h = context;
    size_t before = begin_element(h);

    dialect_json(h->dialect, &h->body, e);
    return keep_element(h, before);
}

/* Deletions that concern the asker are reported once, at the beginning. */
static void
tell_pruned(struct history_read *h, const struct marks *m)
{
    char position[CURSOR_SIZE];

    cursor_text(position, h->at.cursor, h->dialect->epoch);
    h->reset = CURSOR_PRUNED;
    position_told(&h->at, m, h->query.start.reset_now);
    if (!h->query.requested) {
        h->query.requested = mem_copy(text_of(position));
        h->no_memory = h->no_memory || !h->query.requested;
    }
}

/* The position was written with its epoch: the same number is another event once the database was
 * replaced, and caches would go on giving the old one. */
static bool
names_log(const struct history_read *h)
{
    return h->query.requested && strchr(h->query.requested, '-');
}

/* Whether the table can still change what this request gets, but for deletions: ids only grow, so
 * what lies between two rows stays as it is. */
static bool
is_fixed(const struct history_read *h, const struct store_page *page)
{
    const struct start *start = &h->query.start;

    if (h->reset != CURSOR_EXACT || h->n == 0 || page->end || !names_log(h))
        return false;
    return start->kind == START_AFTER ||
           (start->kind == START_BEFORE && start->id <= page->marks.newest + 1);
}

static void
finish_page(struct history_read *h, const struct store_page *page)
{
    h->live = !h->down && page->end;
    h->fixed = is_fixed(h, page);
    if (!h->down || !page->end)
        set_next(h, page->through);
    h->at.cursor = page->through;
    close_body(h, &page->marks);
}

/* One step; true when the page is finished. */
static bool
read_page(struct history_read *h, struct store *store, struct errbuf *eb)
{
    struct store_query q = {
        .filter = h->filter, .after = h->at.cursor, .rows_max = h->limit, .step = h->step};
    struct store_page page;

    h->job.err = h->down ? store_read_back(store, &q, add_event, h, &page, eb)
                         : store_read(store, &q, add_event, h, &page, eb);
    if (h->job.err != ERR_OK)
        return true;
    if (!h->down && position_missed(&h->at, page.marks.pruned_through)) {
        tell_pruned(h, &page.marks);
        if (h->query.start.reset_now) { /* what was read is not wanted: again, from the newest on */
            h->body.length = 0;
            h->n = 0;
            open_body(h);
            return false;
        }
    }
    h->at.cursor = page.through;
    if (h->n == 0 && !page.end && !h->no_memory && ++h->steps < HISTORY_STEPS_MAX)
        return false;
    finish_page(h, &page);
    return true;
}

/* ---- one event ---- */

static bool
add_if_it_is_the_one(void *context, const struct event *e)
{
    struct history_read *h = context;

    if (e->id != h->query.id)
        return false;
    dialect_json(h->dialect, &h->body, e);
    return keep_element(h, 0);
}

static bool
note(void *context, const struct event *e)
{
    struct history_read *h = context;

    h->count += e->id == h->query.id;
    return true;
}

/* Whether it is there, though perhaps not for this asker. */
static enum err
read_event(struct history_read *h, struct store *store, struct errbuf *eb)
{
    struct store_query q = {h->filter, h->query.id - 1, 1, {1, SIZE_MAX, 0}};
    struct store_page page;
    enum err err = store_read(store, &q, add_if_it_is_the_one, h, &page, eb);

    if (err != ERR_OK || h->n > 0) {
        h->fixed = names_log(h);
        close_body(h, &page.marks);
        return err;
    }
    q.filter = NULL;
    err = store_read(store, &q, note, h, &page, eb);
    h->found = err == ERR_OK && h->count == 0 && h->query.id > 0 &&
                       h->query.id <= page.marks.pruned_through
                   ? HISTORY_GONE
                   : HISTORY_UNKNOWN;
    return err;
}

/* ---- topics ---- */

static bool
add_topic(struct history_read *h)
{
    size_t before = begin_element(h);

    buf_string(&h->body, "{\"topic\":");
    buf_json(&h->body, text_of(h->topic));
    buf_format(&h->body, ",\"count\":%lld%s,\"first\":\"", (long long)h->count,
               h->too_many ? ",\"at_least\":true" : "");
    dialect_id(h->dialect, &h->body, h->first);
    buf_string(&h->body, "\",\"last\":\"");
    dialect_id(h->dialect, &h->body, h->last);
    buf_string(&h->body, "\"}");
    return keep_element(h, before);
}

/* The next topic begins; h->topic is NULL when there is none. */
static enum err
next_topic(struct history_read *h, struct store *store, struct errbuf *eb)
{
    struct text after = h->query.topics ? text_of(h->query.topics) : TEXT_LIT("");
    enum err err = store_next_topic(store, h->filter, after, &h->topic, eb);

    h->count = h->first = h->last = 0;
    if (err == ERR_OK && h->topic)
        err = store_first_in_topic(store, text_of(h->topic), 0, &h->first, eb);
    return err;
}

/* The topic is counted: it goes into the body, and the list goes on after it. False when the list
 * ends before it. */
static bool
finish_topic(struct history_read *h)
{
    if (h->count > 0 && !add_topic(h))
        return false;
    mem_free(h->query.topics);
    h->query.topics = h->topic;
    h->topic = NULL;
    return true;
}

static void
finish_topics(struct history_read *h)
{
    struct marks none = {0};

    if (h->topic || h->too_many)
        buf_text(&h->next, text_of(h->query.topics));
    close_body(h, &none);
}

/* Counting has taken too long: the list ends here, with what is known of the topic if it is the
 * first one. */
static void
give_up_counting(struct history_read *h)
{
    if (h->n == 0) {
        h->too_many = true;
        if (!finish_topic(h))
            h->no_memory = true;
    }
    finish_topics(h);
}

/* One step counts step.rows rows; true when the list is finished. */
static bool
count_topics(struct history_read *h, struct store *store, struct errbuf *eb)
{
    uint32_t left = h->step.rows, counted = 0;

    while (left > 0) {
        if (!h->topic)
            h->job.err = next_topic(h, store, eb);
        /* One more than fits was found: the list goes on. */
        if (h->job.err == ERR_OK && h->topic && h->n < h->limit)
            h->job.err =
                store_count_topic(store, text_of(h->topic), h->last, left, &counted, &h->last, eb);
        if (h->job.err != ERR_OK)
            return true;
        if (!h->topic || h->n >= h->limit) {
            finish_topics(h);
            return true;
        }
        h->count += counted;
        if (counted < left && !finish_topic(h)) {
            finish_topics(h);
            return true;
        }
        left -= counted < left ? counted + 1 : left; /* a seek costs as much as a row */
    }
    return false;
}

static bool
read_topics(struct history_read *h, struct store *store, struct errbuf *eb)
{
    int64_t began_us = clock_mono_us();
    bool finished = count_topics(h, store, eb);

    h->spent_us += clock_mono_us() - began_us;
    if (finished || h->search_us == 0 || h->spent_us < h->search_us || !h->topic || h->count == 0)
        return finished;
    give_up_counting(h);
    return true;
}

static bool
history_run(struct reader_job *job, struct store *store, enum err *err, struct errbuf *eb)
{
    struct history_read *h = (struct history_read *)job;
    bool finished = true;

    atomic_store(&h->begun_reading, true);

    if (h->body.length == 0)
        open_body(h);
    switch (h->what) {
    case HISTORY_PAGE:
        if (!h->begun) {
            h->begun = find_place(h, store, eb);
            finished = h->begun && h->job.err != ERR_OK;
        } else {
            finished = read_page(h, store, eb);
        }
        break;
    case HISTORY_EVENT:
        h->job.err = read_event(h, store, eb);
        break;
    case HISTORY_TOPICS:
        finished = read_topics(h, store, eb);
        break;
    }
    if (finished && job->err == ERR_OK && h->no_memory)
        job->err = err_nomem(eb);
    *err = job->err;
    return finished;
}
