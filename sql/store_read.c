/* Pages and positions. There are four ways through the table, all with the filter inside SQLite:
 *
 *   everything      by id
 *   one topic       by the index (topic, id)
 *   several topics  each topic's next id comes from the index, a heap merges them: one index seek
 *                   per topic and one per row, never a scan and never a sort
 *   prefixes        by id, each row's topic compared */
#include "sql/store_internal.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "sql/store_filter.h"
#include "stream/topic.h"

const struct store_step store_step_all = {UINT32_MAX, SIZE_MAX, 0};

enum way { WAY_ALL, WAY_TOPIC, WAY_TOPICS, WAY_SCAN };

static enum way
way_for(const struct subscription *filter)
{
    struct text prefix;

    if (!filter || (filter->n_topics == 0 && filter->n_types == 0)) /* conditions: see data_holds */
        return WAY_ALL;
    for (size_t i = 0; i < filter->n_topics; i++)
        if (topic_is_prefix(filter->topics[i], &prefix))
            return WAY_SCAN;
    if (filter->n_topics == 0)
        return WAY_SCAN;
    return filter->n_topics == 1 ? WAY_TOPIC : WAY_TOPICS;
}

/* Conditions are asked outside of the statements, of the rows that these give. */
static bool
data_holds(struct store *s, struct scan *scan, struct text data)
{
    const struct subscription *filter = scan->filter;
    bool holds;

    if (!filter || filter->n_where == 0)
        return true;
    scan_spend(scan, data.n);
    where_subject_set(&s->subject, data);
    holds = subscription_matches_data(filter, &s->subject);
    where_subject_set(&s->subject, TEXT_NONE);
    return holds;
}

static struct scan
begin_scan(const struct subscription *filter, enum way way, const struct store_step *step)
{
    return (struct scan){.filter = filter,
                         .topics_too = way == WAY_SCAN,
                         .left = step->rows,
                         .bytes = step->bytes,
                         .ends_us = step->us > 0 ? clock_mono_us() + step->us : INT64_MAX};
}

/* For WAY_ALL, where no function is asked inside SQLite. */
static void
look_at_row(struct scan *scan)
{
    if (scan->left == 0) {
        scan->stopped = true;
        return;
    }
    scan->left--;
    scan_spend(scan, 0);
}

/* Binds what READ_* and LAST_* have in common: ?1 where to start, ?2 the filter, ?3 the topic. */
static void
bind_way(sqlite3_stmt *st, enum way way, int64_t start, struct scan *scan)
{
    sqlite3_bind_int64(st, 1, start);
    if (way != WAY_ALL)
        sqlite3_bind_pointer(st, 2, scan, SCAN_POINTER, NULL);
    if (way == WAY_TOPIC)
        sqlite3_bind_text64(st, 3, scan->filter->topics[0].p, scan->filter->topics[0].n,
                            SQLITE_STATIC, SQLITE_UTF8);
}

/* ---- merging topics ---- */

/* A heap of one entry per topic that has a next row, the first in the direction of the walk on top.
 */
struct merge {
    struct store *s;
    const struct subscription *filter;
    enum statement next;
    bool down;
    size_t n;
    struct merge_entry {
        int64_t id;
        size_t topic;
    } * heap;
};

static bool
is_before(const struct merge *m, size_t a, size_t b)
{
    return m->down ? m->heap[a].id > m->heap[b].id : m->heap[a].id < m->heap[b].id;
}

static void
sift_down(struct merge *m, size_t i)
{
    for (;;) {
        size_t first = i, left = 2 * i + 1;
        struct merge_entry swap;

        if (left < m->n && is_before(m, left, first))
            first = left;
        if (left + 1 < m->n && is_before(m, left + 1, first))
            first = left + 1;
        if (first == i)
            return;
        swap = m->heap[i];
        m->heap[i] = m->heap[first];
        m->heap[first] = swap;
        i = first;
    }
}

/* The topic's next id after entry->id. */
static enum err
seek(struct merge *m, struct merge_entry *entry, bool *found, struct errbuf *eb)
{
    sqlite3_stmt *st = m->s->statements[m->next];
    struct text topic = m->filter->topics[entry->topic];
    enum err err = ERR_OK;
    int code;

    sqlite3_bind_text64(st, 1, topic.p, topic.n, SQLITE_STATIC, SQLITE_UTF8);
    sqlite3_bind_int64(st, 2, entry->id);
    code = sqlite3_step(st);
    *found = code == SQLITE_ROW;
    if (*found)
        entry->id = sqlite3_column_int64(st, 0);
    else if (code != SQLITE_DONE)
        err = store_fail(m->s, "reading", eb);
    store_reset(m->s, m->next);
    return err;
}

static enum err
merge_init(struct merge *m, struct store *s, const struct subscription *filter, bool down,
           int64_t start, struct errbuf *eb)
{
    enum err err = ERR_OK;

    *m = (struct merge){.s = s, .filter = filter, .down = down};
    m->next = down ? SQL_PREVIOUS_IN_TOPIC : SQL_NEXT_IN_TOPIC;
    m->heap = mem_alloc(filter->n_topics * sizeof *m->heap);
    if (!m->heap)
        return err_nomem(eb);
    for (size_t i = 0; i < filter->n_topics && err == ERR_OK; i++) {
        bool found;

        m->heap[m->n] = (struct merge_entry){start, i};
        err = seek(m, &m->heap[m->n], &found, eb);
        if (err == ERR_OK && found)
            m->n++;
    }
    for (size_t i = m->n; i-- > 0;)
        sift_down(m, i);
    return err;
}

static void
merge_finish(struct merge *m)
{
    mem_free(m->heap);
}

/* Goes on to the row after the one on top. */
static enum err
merge_next(struct merge *m, struct errbuf *eb)
{
    bool found;
    enum err err = seek(m, &m->heap[0], &found, eb);

    if (err != ERR_OK)
        return err;
    if (!found)
        m->heap[0] = m->heap[--m->n];
    sift_down(m, 0);
    return ERR_OK;
}

/* ---- pages ---- */

struct walk {
    struct store *s;
    const struct store_query *q;
    store_sink *sink;
    void *context;
    struct scan scan;
    uint32_t taken;
    int64_t through;
    bool down;
    bool stopped; /* before the end of the table */
};

/* The page ends before this row; what lies between it and the last one does not match. */
static void
stop_before(struct walk *w, int64_t id)
{
    w->through = w->down ? id + 1 : id - 1;
    w->stopped = true;
}

/* Hands the statement's row to the sink. */
static enum err
take(struct walk *w, sqlite3_stmt *st, struct errbuf *eb)
{
    struct event e = {.id = sqlite3_column_int64(st, 0)};

    if (w->scan.stopped) {
        stop_before(w, e.id);
        return ERR_OK;
    }
    e.topic = store_column(st, 1);
    e.type = store_column(st, 2);
    e.key = store_column(st, 3);
    e.created_ms = sqlite3_column_int64(st, 4);
    e.data = store_column(st, 5);
    if (!e.topic.p || !e.data.p) /* NOT NULL, so this is the only cause */
        return err_nomem(eb);
    if (!data_holds(w->s, &w->scan, e.data)) {
        w->through = e.id;
        return ERR_OK;
    }
    if (!w->sink(w->context, &e)) {
        stop_before(w, e.id);
        return ERR_OK;
    }
    w->through = e.id;
    w->stopped = ++w->taken == w->q->rows_max;
    return ERR_OK;
}

/* All ways but the merge: one statement, row by row. */
static enum err
read_rows(struct walk *w, enum way way, struct errbuf *eb)
{
    static const enum statement names[][2] = {
        [WAY_ALL] = {SQL_READ_ALL, SQL_BACK_ALL},
        [WAY_TOPIC] = {SQL_READ_TOPIC, SQL_BACK_TOPIC},
        [WAY_SCAN] = {SQL_READ_SCAN, SQL_BACK_SCAN},
    };
    enum statement name = names[way][w->down];
    sqlite3_stmt *st = w->s->statements[name];
    enum err err = ERR_OK;
    int code = SQLITE_ROW;

    bind_way(st, way, w->through, &w->scan);
    while (err == ERR_OK && !w->stopped) {
        code = sqlite3_step(st);
        if (code != SQLITE_ROW)
            break;
        if (way == WAY_ALL)
            look_at_row(&w->scan);
        err = take(w, st, eb);
    }
    if (code != SQLITE_ROW && code != SQLITE_DONE)
        err = store_fail(w->s, "reading", eb);
    store_reset(w->s, name);
    return err;
}

static enum err
read_one(struct walk *w, int64_t id, struct errbuf *eb)
{
    sqlite3_stmt *st = w->s->statements[SQL_READ_ONE];
    enum err err = ERR_OK;
    int code;

    bind_way(st, WAY_TOPICS, id, &w->scan);
    code = sqlite3_step(st);
    if (code == SQLITE_ROW)
        err = take(w, st, eb);
    else if (code != SQLITE_DONE)
        err = store_fail(w->s, "reading", eb);
    store_reset(w->s, SQL_READ_ONE);
    return err;
}

static enum err
read_merged(struct walk *w, struct errbuf *eb)
{
    struct merge m;
    enum err err = merge_init(&m, w->s, w->q->filter, w->down, w->through, eb);

    while (err == ERR_OK && m.n > 0) {
        err = read_one(w, m.heap[0].id, eb);
        if (w->stopped)
            break;
        if (err == ERR_OK)
            err = merge_next(&m, eb);
    }
    merge_finish(&m);
    return err;
}

/* A walk that was not stopped has looked at everything there is. */
static void
finish_page(struct store_page *page, bool all, bool down)
{
    int64_t last = down ? page->marks.oldest : page->marks.newest;

    if (all && (down ? page->through > last : page->through < last))
        page->through = last;
    page->end = down ? page->through <= last : page->through >= last;
}

static enum err
read_either(struct store *s, const struct store_query *q, bool down, store_sink *sink,
            void *context, struct store_page *page, struct errbuf *eb)
{
    enum way way = way_for(q->filter);
    struct walk w = {.s = s, .q = q, .sink = sink, .context = context, .down = down};
    enum err err;
    bool own;

    w.scan = begin_scan(q->filter, way, &q->step);
    w.through = q->after;
    w.stopped = q->rows_max == 0;
    err = store_begin_read(s, &own, eb);
    if (err != ERR_OK)
        return err;
    err = store_marks(s, &page->marks, eb);
    if (err == ERR_OK && !w.stopped && (down || q->after < page->marks.newest))
        err = way == WAY_TOPICS ? read_merged(&w, eb) : read_rows(&w, way, eb);
    store_end_read(s, own);
    if (err != ERR_OK)
        return err;
    page->through = w.through;
    finish_page(page, !w.stopped, down);
    return ERR_OK;
}

enum err
store_read(struct store *s, const struct store_query *q, store_sink *sink, void *context,
           struct store_page *page, struct errbuf *eb)
{
    return read_either(s, q, false, sink, context, page, eb);
}

enum err
store_read_back(struct store *s, const struct store_query *q, store_sink *sink, void *context,
                struct store_page *page, struct errbuf *eb)
{
    return read_either(s, q, true, sink, context, page, eb);
}

/* ---- positions ---- */

/* A walk downwards that counts n matches. */
struct search {
    struct store *s;
    struct scan scan;
    uint32_t n, found;
    int64_t lowest; /* the last match met */
    int64_t next;   /* when the allowance ended: everything from here up was looked at */
};

static enum err
row_holds(struct search *search, int64_t id, bool *holds, struct errbuf *eb)
{
    sqlite3_stmt *st = search->s->statements[SQL_DATA];
    enum err err = ERR_OK;

    *holds = true;
    if (!search->scan.filter || search->scan.filter->n_where == 0)
        return ERR_OK;
    sqlite3_bind_int64(st, 1, id);
    if (sqlite3_step(st) == SQLITE_ROW)
        *holds = data_holds(search->s, &search->scan, store_column(st, 0));
    else
        err = store_fail(search->s, "reading", eb);
    store_reset(search->s, SQL_DATA);
    return err;
}

/* Takes one row of a statement; *more becomes false when it ends the search. */
static enum err
count_row(struct search *search, int64_t id, bool *more, struct errbuf *eb)
{
    bool holds;
    enum err err;

    if (search->scan.stopped) {
        search->next = id + 1;
        *more = false;
        return ERR_OK;
    }
    err = row_holds(search, id, &holds, eb);
    if (err == ERR_OK && holds) {
        search->lowest = id;
        *more = ++search->found < search->n;
    }
    return err;
}

static enum err
search_rows(struct search *search, enum way way, int64_t before, struct errbuf *eb)
{
    enum statement name = way == WAY_ALL     ? SQL_LAST_ALL
                          : way == WAY_TOPIC ? SQL_LAST_TOPIC
                                             : SQL_LAST_SCAN;
    sqlite3_stmt *st = search->s->statements[name];
    enum err err = ERR_OK;
    bool more = true;
    int code = SQLITE_ROW;

    bind_way(st, way, before, &search->scan);
    while (err == ERR_OK && more && (code = sqlite3_step(st)) == SQLITE_ROW) {
        if (way == WAY_ALL)
            look_at_row(&search->scan);
        err = count_row(search, sqlite3_column_int64(st, 0), &more, eb);
    }
    if (code != SQLITE_ROW && code != SQLITE_DONE)
        err = store_fail(search->s, "reading", eb);
    store_reset(search->s, name);
    return err;
}

static enum err
search_merged(struct search *search, int64_t before, struct errbuf *eb)
{
    sqlite3_stmt *st = search->s->statements[SQL_LAST_ONE];
    struct merge m;
    enum err err = merge_init(&m, search->s, search->scan.filter, true, before, eb);
    bool more = true;

    while (err == ERR_OK && more && m.n > 0) {
        int code;

        bind_way(st, WAY_TOPICS, m.heap[0].id, &search->scan);
        code = sqlite3_step(st);
        if (code == SQLITE_ROW)
            err = count_row(search, m.heap[0].id, &more, eb);
        else if (code != SQLITE_DONE)
            err = store_fail(search->s, "reading", eb);
        store_reset(search->s, SQL_LAST_ONE);
        if (err == ERR_OK && more)
            err = merge_next(&m, eb);
    }
    merge_finish(&m);
    return err;
}

enum err
store_last(struct store *s, const struct subscription *filter, int64_t before, uint32_t n,
           const struct store_step *step, int64_t *position, uint32_t *found, bool *done,
           struct errbuf *eb)
{
    enum way way = way_for(filter);
    struct search search = {.s = s, .n = n};
    struct marks marks;
    enum err err;
    bool own;

    search.scan = begin_scan(filter, way, step);
    err = store_begin_read(s, &own, eb);
    if (err != ERR_OK)
        return err;
    err = store_marks(s, &marks, eb);
    if (err == ERR_OK && before == 0)
        before = marks.newest + 1;
    if (err == ERR_OK && n > 0)
        err = way == WAY_TOPICS ? search_merged(&search, before, eb)
                                : search_rows(&search, way, before, eb);
    store_end_read(s, own);
    if (err != ERR_OK)
        return err;
    *found = search.found;
    *done = !search.scan.stopped;
    if (search.scan.stopped)
        *position = search.next;
    else
        *position = (search.found > 0 ? search.lowest : before) - 1;
    return ERR_OK;
}

/* The first row from `from` on; *id is 0 when there is none. */
static enum err
created_from(struct store *s, int64_t from, int64_t *id, int64_t *created_ms, struct errbuf *eb)
{
    sqlite3_stmt *st = s->statements[SQL_CREATED_FROM];
    enum err err = ERR_OK;
    int code;

    *id = 0;
    sqlite3_bind_int64(st, 1, from);
    code = sqlite3_step(st);
    if (code == SQLITE_ROW) {
        *id = sqlite3_column_int64(st, 0);
        *created_ms = sqlite3_column_int64(st, 1);
    } else if (code != SQLITE_DONE) {
        err = store_fail(s, "reading", eb);
    }
    store_reset(s, SQL_CREATED_FROM);
    return err;
}

enum err
store_since(struct store *s, int64_t created_ms, int64_t *position, struct errbuf *eb)
{
    struct marks marks;
    /* The first id that is late enough, or newest + 1, is in [low, high]. */
    int64_t low = 0, high = 0;
    enum err err;
    bool own;

    err = store_begin_read(s, &own, eb);
    if (err != ERR_OK)
        return err;
    err = store_marks(s, &marks, eb);
    if (err == ERR_OK) {
        low = marks.oldest;
        high = marks.newest + 1;
    }
    while (err == ERR_OK && low < high) {
        int64_t middle = low + (high - low) / 2, id, created;

        err = created_from(s, middle, &id, &created, eb);
        if (id == 0 || created >= created_ms)
            high = middle;
        else
            low = id + 1;
    }
    store_end_read(s, own);
    if (err == ERR_OK)
        *position = low - 1;
    return err;
}
