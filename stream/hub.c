#include "stream/hub.h"

#include <assert.h>

#include "base/mem.h"

enum err
hub_init(struct hub *h, uint64_t window_bytes, uint64_t window_events, size_t cache_max,
         int64_t start_id, const char *epoch)
{
    *h = (struct hub){.cache_max = cache_max, .feed_memory.max = SIZE_MAX};
    for (size_t i = 0; i < DIALECTS; i++)
        dialect_init(&h->dialects[i], (enum dialect_kind)i, epoch);
    h->windows[DIALECT_PLAIN] = &h->window;
    questions_init(&h->questions);
    TAILQ_INIT(&h->dirty);
    TAILQ_INIT(&h->requests);
    TAILQ_INIT(&h->cache);
    TAILQ_INIT(&h->mixed);
    return window_init(&h->window, window_bytes, window_events, start_id);
}

void
hub_finish(struct hub *h)
{
    assert(!h->feeds[DIALECT_PLAIN] && !h->feeds[DIALECT_ENVELOPE] && !h->patterns.by_text);
    questions_finish(&h->questions);
    if (h->windows[DIALECT_ENVELOPE])
        window_finish(h->windows[DIALECT_ENVELOPE]);
    mem_free(h->windows[DIALECT_ENVELOPE]);
    window_finish(&h->window);
}

/* ---- feeds ---- */

/* As large as the plain one; it begins empty, where that one stands. */
static bool
make_window(struct hub *h, enum dialect_kind dialect)
{
    const struct window *plain = &h->window;
    struct window *w = mem_alloc(sizeof *w);

    if (w && window_init(w, plain->frames.size, plain->entries_max, plain->head_id) == ERR_OK) {
        h->windows[dialect] = w;
        return true;
    }
    mem_free(w);
    return false;
}

static void
release_questions(struct hub *h, struct feed *f)
{
    for (size_t i = 0; f->questions && i < f->what.n_where; i++)
        if (f->questions[i])
            question_release(&h->questions, f->questions[i]);
}

static bool
hold_questions(struct hub *h, struct feed *f)
{
    if (f->what.n_where == 0)
        return true;
    f->questions = mem_zalloc(f->what.n_where * sizeof(struct question *));
    for (size_t i = 0; f->questions && i < f->what.n_where; i++) {
        f->questions[i] = question_hold(&h->questions, &f->what.where[i]);
        if (!f->questions[i])
            return false;
    }
    return f->questions;
}

static struct feed *
make_feed(struct hub *h, struct subscription *what, enum dialect_kind dialect)
{
    struct feed *f;

    if (!h->windows[dialect] && !make_window(h, dialect)) {
        subscription_finish(what);
        return NULL;
    }
    f = feed_create(what, &h->dialects[dialect], h->windows[dialect], &h->feed_memory);
    if (!f)
        return NULL;
    if (!hold_questions(h, f) || !patterns_add(&h->patterns, f)) {
        release_questions(h, f);
        feed_destroy(f);
        return NULL;
    }
    HASH_ADD_KEYPTR(by_key, h->feeds[dialect], f->what.key, strlen(f->what.key), f);
    if (!f->by_key.tbl) {
        patterns_remove(&h->patterns, f);
        release_questions(h, f);
        feed_destroy(f);
        return NULL;
    }
    h->n_feeds++;
    return f;
}

struct feed *
hub_hold(struct hub *h, struct subscription *what, enum dialect_kind dialect)
{
    struct feed *f;

    HASH_FIND(by_key, h->feeds[dialect], what->key, strlen(what->key), f);
    if (f)
        subscription_finish(what);
    else
        f = make_feed(h, what, dialect);
    if (f)
        f->refs++;
    return f;
}

uint32_t
hub_new_questions(const struct hub *h, const struct subscription *what)
{
    uint32_t n = 0;

    for (size_t i = 0; i < what->n_where; i++)
        n += !question_find(&h->questions, &what->where[i]);
    return n;
}

const struct dialect *
hub_second_dialect(const struct hub *h)
{
    return h->feeds[DIALECT_ENVELOPE] ? &h->dialects[DIALECT_ENVELOPE] : NULL;
}

static void
drop_page(struct hub *h, struct page *p)
{
    TAILQ_REMOVE(&p->feed->pages, p, in_feed);
    TAILQ_REMOVE(&h->cache, p, in_cache);
    if (p->is_mixed)
        TAILQ_REMOVE(&h->mixed, p, in_mixed);
    h->cache_bytes -= page_cost(p);
    page_destroy(p);
}

struct feed *
hub_share(struct feed *f)
{
    f->refs++;
    return f;
}

void
hub_release(struct hub *h, struct feed *f)
{
    struct page *p;

    assert(f->refs > 0);
    if (--f->refs > 0)
        return;
    while ((p = TAILQ_FIRST(&f->pages)))
        drop_page(h, p);
    if (f->dirty)
        TAILQ_REMOVE(&h->dirty, f, in_dirty);
    patterns_remove(&h->patterns, f);
    release_questions(h, f);
    HASH_DELETE(by_key, h->feeds[f->dialect->kind], f);
    h->n_feeds--;
    feed_destroy(f);
}

/* ---- publishing ---- */

static void
mark_dirty(struct hub *h, struct feed *f)
{
    if (!f->dirty)
        TAILQ_INSERT_TAIL(&h->dirty, f, in_dirty);
    f->dirty = true;
}

/* An event on its way to the feeds. */
struct passing {
    int64_t id;
    uint64_t seq[DIALECTS]; /* in the windows; UINT64_MAX in one that does not get it */
    struct label label;
    const struct page *page;
    size_t place; /* in the page */
};

/* Whether the conditions on the data hold. A feed that asks what the page could not answer knows
 * nothing of the event: the table must be asked. */
static bool
data_matches(struct hub *h, struct feed *f, const struct passing *e)
{
    for (size_t i = 0; i < f->what.n_where; i++) {
        if (!page_knows(e->page, f->questions[i])) {
            feed_restart(f, e->id);
            mark_dirty(h, f);
            return false;
        }
    }
    for (size_t i = 0; i < f->what.n_where; i++)
        if (!page_answer(e->page, e->place, f->questions[i]))
            return false;
    return true;
}

static void
append_to_feeds(struct hub *h, const char *pattern, size_t n, const struct passing *e)
{
    const struct pattern *p = patterns_find(&h->patterns, (struct text){pattern, n});

    for (size_t i = 0; p && i < p->n; i++) {
        struct feed *f = p->feeds[i];

        uint64_t seq = e->seq[f->dialect->kind];

        if (!subscription_matches_type(&f->what, e->label.type) || feed_last_seq(f) == seq ||
            !data_matches(h, f, e))
            continue; /* the second: it named two patterns that match */
        feed_append(f, e->id, seq);
        mark_dirty(h, f);
    }
}

/* Appends event i of the page to the windows. */
static struct passing
append_to_windows(struct hub *h, const struct page *p, size_t i)
{
    struct passing e = {.id = p->entries[i].id, .label = page_label(p, i), .page = p, .place = i};

    memset(e.seq, 0xff, sizeof e.seq);
    e.seq[DIALECT_PLAIN] = window_append(&h->window, e.id, &e.label, page_frame(p, i));
    if (p->twin && h->windows[p->twin->dialect->kind])
        e.seq[p->twin->dialect->kind] = window_append(h->windows[p->twin->dialect->kind], e.id,
                                                      &e.label, page_frame(p->twin, i));
    if (e.label.topic.n > EVENT_TOPIC_MAX)
        e.label.topic.n = EVENT_TOPIC_MAX; /* a row that evaded the schema's checks */
    return e;
}

static void
publish_one(struct hub *h, const struct passing *e)
{
    char pattern[EVENT_TOPIC_MAX + 1];

    append_to_feeds(h, e->label.topic.p, e->label.topic.n, e);
    memcpy(pattern, e->label.topic.p, e->label.topic.n);
    for (size_t n = 0; n <= e->label.topic.n; n++) {
        if (h->patterns.prefixes[n] == 0)
            continue;
        pattern[n] = '*';
        append_to_feeds(h, pattern, n + 1, e);
        if (n < e->label.topic.n)
            pattern[n] = e->label.topic.p[n];
    }
}

/* Events above the window's head were deleted before we saw them. No client can go on from memory
 * then as if nothing had happened: all ask the table, which reports it. */
static void
restart(struct hub *h, enum dialect_kind dialect, int64_t id)
{
    struct feed *f, *next;

    window_restart(h->windows[dialect], id);
    HASH_ITER (by_key, h->feeds[dialect], f, next) {
        feed_restart(f, id);
        mark_dirty(h, f);
    }
}

static void
restart_all(struct hub *h, int64_t id)
{
    for (size_t i = 0; i < DIALECTS; i++)
        if (h->windows[i])
            restart(h, (enum dialect_kind)i, id);
}

static bool
has_rows_below(const struct page *p, int64_t id)
{
    return p->n > 0 && p->entries[0].id <= id;
}

/* What was deleted must not be sent any more: memory gives up all that is not above it. */
static void
forget(struct hub *h, int64_t pruned_through)
{
    struct page *p, *next;

    if (pruned_through <= h->pruned_through)
        return;
    h->pruned_through = pruned_through;
    for (size_t i = 0; i < DIALECTS; i++)
        if (h->windows[i])
            window_forget(h->windows[i], pruned_through);
    for (p = TAILQ_FIRST(&h->cache); p; p = next) {
        next = TAILQ_NEXT(p, in_cache);
        if (has_rows_below(p, pruned_through))
            drop_page(h, p);
    }
}

/* The page had the events in the dialects of these windows, or had not: then the table must be
 * asked for them. */
static void
advance(struct hub *h, const struct page *p)
{
    struct window *envelope = h->windows[DIALECT_ENVELOPE];

    window_advance(&h->window, p->through);
    if (envelope && p->twin)
        window_advance(envelope, p->through);
    else if (envelope && p->through > envelope->head_id)
        restart(h, DIALECT_ENVELOPE, p->through);
}

void
hub_publish(struct hub *h, const struct page *p)
{
    int64_t gone = p->marks.pruned_through < p->through ? p->marks.pruned_through : p->through;

    assert(p->after == h->window.head_id);
    forget(h, p->marks.pruned_through);
    if (gone > h->window.head_id)
        restart_all(h, gone);
    for (size_t i = page_after(p, h->window.head_id); i < p->n; i++) {
        struct passing e = append_to_windows(h, p, i);

        publish_one(h, &e);
    }
    advance(h, p);
}

struct feed *
hub_next_dirty(struct hub *h)
{
    struct feed *f = TAILQ_FIRST(&h->dirty);

    if (f) {
        TAILQ_REMOVE(&h->dirty, f, in_dirty);
        f->dirty = false;
    }
    return f;
}

/* ---- subscribers ---- */

void
hub_join(struct hub *h, struct subscriber *s)
{
    (void)h;
    s->waiting = false;
    s->joined = true;
    TAILQ_INSERT_TAIL(&s->feed->live, s, in_feed);
}

static void
take_off(struct subscriber *s)
{
    if (s->waiting)
        TAILQ_REMOVE(&s->feed->waiting, s, in_feed);
    else
        TAILQ_REMOVE(&s->feed->live, s, in_feed);
}

static struct page_request *
find_request(const struct feed *f, int64_t after)
{
    struct page_request *r;

    TAILQ_FOREACH (r, &f->requests, in_feed)
        if (r->after == after)
            return r;
    return NULL;
}

static void
end_request(struct hub *h, struct page_request *r)
{
    struct feed *f = r->feed;

    TAILQ_REMOVE(&f->requests, r, in_feed);
    mem_free(r);
    hub_release(h, f);
}

/* One subscriber fewer waits for the page after its position. */
static void
wait_no_longer(struct hub *h, const struct subscriber *s)
{
    struct page_request *r = find_request(s->feed, s->at.pos.cursor);

    if (!r || --r->waiting > 0)
        return;
    if (r->cancelled)
        atomic_store(r->cancelled, true);
    if (r->taken)
        return;
    TAILQ_REMOVE(&h->requests, r, in_queue);
    end_request(h, r);
}

void
hub_part(struct hub *h, struct subscriber *s)
{
    if (s->waiting)
        wait_no_longer(h, s);
    take_off(s);
    s->joined = false;
}

void
hub_leave(struct hub *h, struct subscriber *s)
{
    hub_part(h, s);
    hub_release(h, s->feed);
    s->feed = NULL;
}

enum err
hub_wait(struct hub *h, struct subscriber *s, uint64_t lane)
{
    struct feed *f = s->feed;
    struct page_request *r;

    if (s->waiting)
        return ERR_OK;
    r = find_request(f, s->at.pos.cursor);
    if (!r) {
        r = mem_zalloc(sizeof *r);
        if (!r)
            return ERR_NOMEM;
        r->feed = f;
        r->after = s->at.pos.cursor;
        r->lane = lane;
        r->first = s->at.events == 0;
        f->refs++;
        TAILQ_INSERT_TAIL(&f->requests, r, in_feed);
        TAILQ_INSERT_TAIL(&h->requests, r, in_queue);
    }
    if (r->waiting++ == 0 && r->cancelled) /* given up before, and not ended yet */
        atomic_store(r->cancelled, false);
    take_off(s);
    s->waiting = true;
    TAILQ_INSERT_TAIL(&f->waiting, s, in_feed);
    return ERR_OK;
}

struct page_request *
hub_next_request(struct hub *h)
{
    struct page_request *r = TAILQ_FIRST(&h->requests);

    if (r) {
        TAILQ_REMOVE(&h->requests, r, in_queue);
        r->taken = true;
    }
    return r;
}

static void
keep_page(struct hub *h, struct feed *f, struct page *p)
{
    p->feed = f;
    TAILQ_INSERT_TAIL(&f->pages, p, in_feed);
    TAILQ_INSERT_TAIL(&h->cache, p, in_cache);
    h->cache_bytes += page_cost(p);
    p->is_mixed = has_rows_below(p, p->marks.pruned_through);
    if (p->is_mixed)
        TAILQ_INSERT_TAIL(&h->mixed, p, in_mixed);
}

void
hub_deliver(struct hub *h, struct page_request *request, struct page *p, hub_each *wake,
            void *context)
{
    struct feed *f = request->feed;
    struct subscriber *s, *next;
    int64_t after = p->after, through = p->through;

    if (p->marks.pruned_through < h->pruned_through && has_rows_below(p, h->pruned_through))
        page_destroy(p); /* read before the deletion: those that wake up ask again */
    else
        keep_page(h, f, p);
    for (s = TAILQ_FIRST(&f->waiting); s; s = next) {
        next = TAILQ_NEXT(s, in_feed);
        if (s->at.pos.cursor < after || s->at.pos.cursor >= through)
            continue;
        wait_no_longer(h, s);
        take_off(s);
        s->waiting = false;
        TAILQ_INSERT_TAIL(&f->live, s, in_feed);
        wake(context, s);
    }
    end_request(h, request);
}

void
hub_fail(struct hub *h, struct page_request *request, hub_each *drop, void *context)
{
    struct subscriber *s, *next;

    for (s = TAILQ_FIRST(&request->feed->waiting); s; s = next) {
        next = TAILQ_NEXT(s, in_feed);
        if (s->at.pos.cursor == request->after)
            drop(context, s);
    }
    end_request(h, request);
}

void
hub_expire(struct hub *h, int64_t now_ms)
{
    struct page *p, *next;

    for (p = TAILQ_FIRST(&h->mixed); p; p = next) {
        next = TAILQ_NEXT(p, in_mixed);
        if (p->ends_ms == 0)
            p->ends_ms = now_ms + HUB_MIXED_MS;
        else if (now_ms >= p->ends_ms)
            drop_page(h, p);
    }
}

void
hub_trim(struct hub *h)
{
    while (h->cache_bytes > h->cache_max)
        drop_page(h, TAILQ_FIRST(&h->cache));
}
