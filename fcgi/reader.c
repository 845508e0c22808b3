#include "fcgi/reader.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

enum {
    TAIL_AHEAD = 4, /* pages of the tail that the loop has not taken yet */
    /* After a hint the table is read at once, after 100, 200, … µs, then every 3,200 µs for 250 ms:
     * between the write to the WAL and the commit lies an fsync, which a busy disk draws out. */
    RETRY_FIRST_US = 100,
    RETRY_STEP_US = 3200,
    RETRY_FOR_US = 250000,
};

TAILQ_HEAD(job_list, reader_job);

struct reader {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    /* under the lock */
    struct job_list todo, done;
    TAILQ_HEAD(, page) tail;
    unsigned tail_n;
    bool hinted, stop, replaced;
    /* the thread's own */
    struct store *store;
    struct reader_limits limits;
    int64_t tail_id;
    int64_t version;     /* of PRAGMA data_version at the last read of the tail */
    int64_t look_at_us;  /* when to look at the table next */
    int64_t hinted_us;   /* a commit was announced then and has not been seen yet; 0 = none */
    int64_t retry_us;    /* the next wait for it */
    bool more;           /* the last page of the tail was not the end */
    bool failing;        /* an error is known and logged */
    int64_t place_at_us; /* when to look next whether the file is in its place */
    enum store_place place;
    bool place_failing; /* another file is there that cannot be opened, and that is logged */
    void (*wake)(void *);
    void *context;
};

/* ---- building pages ---- */

struct building {
    struct page *page;
    const char *epoch;
    bool with_names, no_memory;
};

static bool
add_event(void *context, const struct event *e)
{
    struct building *b = context;

    switch (page_add(b->page, e, b->epoch, b->with_names)) {
    case PAGE_ADDED:
        return true;
    case PAGE_NO_MEMORY:
        b->no_memory = true;
        return false;
    case PAGE_IS_FULL:
        return false;
    }
    return false;
}

static enum err
read_page(struct reader *r, const struct subscription *filter, int64_t after, uint32_t rows,
          bool with_names, struct page **page, bool *end, struct errbuf *eb)
{
    struct building b = {page_create(after, r->limits.page_bytes), store_epoch(r->store),
                         with_names, false};
    struct store_query q = {filter, after, rows, r->limits.scan_rows};
    struct store_page read;
    enum err err;

    *page = NULL;
    if (!b.page)
        return err_set(eb, ERR_NOMEM, "out of memory");
    err = store_read(r->store, &q, add_event, &b, &read, eb);
    if (err == ERR_OK && b.no_memory && b.page->n == 0)
        err = err_set(eb, ERR_NOMEM, "out of memory");
    if (err != ERR_OK) {
        page_destroy(b.page);
        return err;
    }
    b.page->through = read.through;
    b.page->marks = read.marks;
    *page = b.page;
    *end = read.end;
    return ERR_OK;
}

/* ---- the tail ---- */

static void
report(struct reader *r, enum err err, const struct errbuf *eb)
{
    if (err != ERR_OK && !r->failing)
        log_line(LOG_ERROR, "following the table: %s; trying again every %lld ms", eb->text,
                 (long long)r->limits.poll_ms);
    else if (err == ERR_OK && r->failing)
        log_line(LOG_INFO, "following the table works again");
    r->failing = err != ERR_OK;
}

/* Hands a page over, or decides when to look again. */
static void
after_read(struct reader *r, struct page *p, bool end)
{
    int64_t now = clock_mono_us();

    r->more = !end;
    if (p->through > r->tail_id) {
        r->tail_id = p->through;
        pthread_mutex_lock(&r->lock);
        TAILQ_INSERT_TAIL(&r->tail, p, in_cache);
        r->tail_n++;
        pthread_mutex_unlock(&r->lock);
        r->wake(r->context);
        r->retry_us = 0;
    } else {
        page_destroy(p);
    }
    if (r->retry_us > 0 && now - r->hinted_us >= RETRY_FOR_US)
        r->retry_us = 0; /* it was not a commit */
    if (r->more)
        r->look_at_us = now;
    else if (r->retry_us > 0)
        r->look_at_us = now + r->retry_us;
    else
        r->look_at_us = now + r->limits.poll_ms * 1000;
}

static void
say_replaced(struct reader *r)
{
    pthread_mutex_lock(&r->lock);
    r->replaced = true;
    pthread_mutex_unlock(&r->lock);
    r->wake(r->context);
}

/* Somebody may still be making it: as long as it cannot be opened, the old one is all there is. */
static void
try_replacement(struct reader *r, enum store_place place)
{
    const char *path = store_path(r->store);
    struct store *other;
    struct errbuf eb;

    if (store_open(&other, path, STORE_READ, STORE_SYNC_FULL, &eb) != ERR_OK) {
        if (!r->place_failing)
            log_line(LOG_ERROR, "%s: has been replaced by what cannot be opened: %s; trying again",
                     path, eb.text);
        r->place_failing = true;
        return;
    }
    if (place == STORE_IN_PLACE)
        log_line(LOG_WARN, "%s: has a new epoch (%s instead of %s)", path, store_epoch(other),
                 store_epoch(r->store));
    else
        log_line(LOG_WARN, "%s: has been replaced by another database (epoch %s instead of %s)",
                 path, store_epoch(other), store_epoch(r->store));
    if (strcmp(store_epoch(other), store_epoch(r->store)) == 0)
        log_line(LOG_WARN,
                 "%s: is a copy of what was there before; if it lacks events that clients have "
                 "had, run: freshet epoch --new --db %s",
                 path, path);
    store_close(other);
    say_replaced(r);
}

static void
look_at_place(struct reader *r)
{
    enum store_place place;

    if (r->replaced || clock_mono_us() < r->place_at_us)
        return;
    place = store_place(r->store);
    if (place == STORE_GONE && r->place != STORE_GONE)
        log_line(LOG_ERROR,
                 "%s: has been deleted or moved away; streams go on with what was there, nothing "
                 "can be published; waiting for a database in its place",
                 store_path(r->store));
    else if (place == STORE_IN_PLACE && r->place != STORE_IN_PLACE)
        log_line(LOG_INFO, "%s: is in its place again", store_path(r->store));
    else if (place == STORE_WAL_LOST)
        log_line(LOG_ERROR,
                 "%s: has been deleted or replaced; what was committed since the last "
                 "checkpoint may be lost. The database is opened anew; restart whatever else "
                 "writes to it, then run: freshet check --db %s",
                 store_wal_path(r->store), store_path(r->store));
    else if (place == STORE_MIXED && r->place != STORE_MIXED)
        log_line(
            LOG_ERROR,
            "%s: has been replaced, but beside it lies the -wal of the one before, which would "
            "spoil it: remove %s and -shm; waiting",
            store_path(r->store), store_wal_path(r->store));
    r->place = place;
    if (place == STORE_WAL_LOST)
        say_replaced(r);
    else if (place == STORE_REPLACED || store_has_new_epoch(r->store))
        try_replacement(r, place);
    else
        r->place_failing = false;
    r->place_at_us = clock_mono_us() + r->limits.poll_ms * 1000;
}

static void
follow(struct reader *r, bool hinted)
{
    struct errbuf eb;
    struct page *page = NULL;
    int64_t version;
    bool end = false;
    enum err err = store_data_version(r->store, &version, &eb);

    if (hinted) {
        r->hinted_us = clock_mono_us();
        r->retry_us = RETRY_FIRST_US;
    } else if (r->retry_us < RETRY_STEP_US) {
        r->retry_us *= 2;
    }
    if (err == ERR_OK && r->retry_us == 0 && !r->more && version == r->version && !r->failing) {
        r->look_at_us = clock_mono_us() + r->limits.poll_ms * 1000;
        return;
    }
    if (err == ERR_OK)
        err = read_page(r, NULL, r->tail_id, r->limits.page_rows, true, &page, &end, &eb);
    report(r, err, &eb);
    if (err == ERR_OK) {
        assert(page);
        r->version = version;
        after_read(r, page, end);
    } else {
        r->look_at_us = clock_mono_us() + r->limits.poll_ms * 1000;
    }
}

/* ---- jobs ---- */

/* One step of looking for the newest `count` matches, downwards; true when it is finished. */
static bool
step_last(struct reader *r, struct reader_job *job, struct errbuf *eb)
{
    uint32_t found;
    bool done;

    job->err = store_last(r->store, job->filter, job->scanned_to, job->count, r->limits.scan_rows,
                          &job->position, &found, &done, eb);
    if (job->err != ERR_OK || done)
        return true;
    job->scanned_to = job->position;
    job->count -= found;
    return false;
}

static uint32_t
page_rows(const struct reader *r, const struct reader_job *job)
{
    return job->count > 0 && job->count < r->limits.page_rows ? job->count : r->limits.page_rows;
}

/* False when the job goes to the end of the line for its next step. */
static bool
run_job(struct reader *r, struct reader_job *job)
{
    struct errbuf eb = {""};
    bool end, finished = true;

    job->err = ERR_OK;
    switch (job->kind) {
    case JOB_PAGE:
        job->err = read_page(r, job->filter, job->position, page_rows(r, job), false, &job->page,
                             &end, &eb);
        break;
    case JOB_MARKS:
    case JOB_EARLIEST:
        break;
    case JOB_SINCE:
        job->err = store_since(r->store, job->time_ms, &job->position, &eb);
        break;
    case JOB_LAST:
        finished = step_last(r, job, &eb);
        break;
    case JOB_RUN:
        finished = job->run(job, r->store, &eb);
        break;
    }
    if (finished && job->err == ERR_OK && job->kind != JOB_PAGE && job->kind != JOB_RUN)
        job->err = store_marks(r->store, &job->marks, &eb);
    if (finished && job->err == ERR_OK && job->kind == JOB_EARLIEST)
        job->position = job->marks.oldest - 1;
    if (job->err != ERR_OK && !r->failing) /* else it is known, and clients come back for ever */
        log_line(LOG_ERROR, "reading the table for a client: %s", eb.text);
    return finished;
}

static void
work(struct reader *r, struct reader_job *job)
{
    bool finished = run_job(r, job);

    pthread_mutex_lock(&r->lock);
    if (finished)
        TAILQ_INSERT_TAIL(&r->done, job, next);
    else
        TAILQ_INSERT_TAIL(&r->todo, job, next);
    pthread_mutex_unlock(&r->lock);
    if (finished)
        r->wake(r->context);
}

/* ---- the thread ---- */

static void
wait_until(struct reader *r, int64_t at_us)
{
    struct timespec t = {at_us / 1000000, at_us % 1000000 * 1000};

    pthread_cond_timedwait(&r->changed, &r->lock, &t);
}

static void *
run(void *context)
{
    struct reader *r = context;

    pthread_mutex_lock(&r->lock);
    while (!r->stop) {
        bool hinted = r->hinted, room = r->tail_n < TAIL_AHEAD;
        struct reader_job *job = TAILQ_FIRST(&r->todo);

        if (room && (hinted || clock_mono_us() >= r->look_at_us)) {
            r->hinted = false;
            pthread_mutex_unlock(&r->lock);
            look_at_place(r);
            follow(r, hinted);
            pthread_mutex_lock(&r->lock);
            job = TAILQ_FIRST(&r->todo);
        } else if (!job) {
            wait_until(r, room ? r->look_at_us : clock_mono_us() + r->limits.poll_ms * 1000);
            continue;
        }
        if (job) {
            TAILQ_REMOVE(&r->todo, job, next);
            pthread_mutex_unlock(&r->lock);
            work(r, job);
            pthread_mutex_lock(&r->lock);
        }
    }
    pthread_mutex_unlock(&r->lock);
    return NULL;
}

static int
start_thread(struct reader *r)
{
    pthread_condattr_t attributes;
    sigset_t all, before;
    int failed;

    pthread_mutex_init(&r->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&r->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* signals are the loop's */
    failed = pthread_create(&r->thread, NULL, run, r);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return failed;
}

enum err
reader_start(struct reader **reader, struct store *store, int64_t start_id,
             const struct reader_limits *limits, void (*wake)(void *), void *context,
             struct errbuf *eb)
{
    struct reader *r = mem_zalloc(sizeof *r);
    int failed;

    if (!r) {
        store_close(store);
        return err_set(eb, ERR_NOMEM, "out of memory");
    }
    *r = (struct reader){.store = store,
                         .limits = *limits,
                         .tail_id = start_id,
                         .more = true,
                         .wake = wake,
                         .context = context};
    TAILQ_INIT(&r->todo);
    TAILQ_INIT(&r->done);
    TAILQ_INIT(&r->tail);
    failed = start_thread(r);
    if (failed) {
        store_close(store);
        mem_free(r);
        return err_set(eb, ERR_IO, "cannot start a thread: %s", strerror(failed));
    }
    *reader = r;
    return ERR_OK;
}

void
reader_stop(struct reader *r)
{
    pthread_mutex_lock(&r->lock);
    r->stop = true;
    pthread_cond_signal(&r->changed);
    pthread_mutex_unlock(&r->lock);
    pthread_join(r->thread, NULL);
    TAILQ_CONCAT(&r->done, &r->todo, next);
}

void
reader_destroy(struct reader *r)
{
    struct page *p;

    while ((p = reader_take_tail(r)))
        page_destroy(p);
    store_close(r->store);
    pthread_cond_destroy(&r->changed);
    pthread_mutex_destroy(&r->lock);
    mem_free(r);
}

void
reader_hint(struct reader *r)
{
    pthread_mutex_lock(&r->lock);
    r->hinted = true;
    pthread_cond_signal(&r->changed);
    pthread_mutex_unlock(&r->lock);
}

void
reader_submit(struct reader *r, struct reader_job *job)
{
    pthread_mutex_lock(&r->lock);
    TAILQ_INSERT_TAIL(&r->todo, job, next);
    pthread_cond_signal(&r->changed);
    pthread_mutex_unlock(&r->lock);
}

bool
reader_replaced(struct reader *r)
{
    bool replaced;

    pthread_mutex_lock(&r->lock);
    replaced = r->replaced;
    pthread_mutex_unlock(&r->lock);
    return replaced;
}

struct reader_job *
reader_take_job(struct reader *r)
{
    struct reader_job *job;

    pthread_mutex_lock(&r->lock);
    job = TAILQ_FIRST(&r->done);
    if (job)
        TAILQ_REMOVE(&r->done, job, next);
    pthread_mutex_unlock(&r->lock);
    return job;
}

struct page *
reader_take_tail(struct reader *r)
{
    struct page *p;

    pthread_mutex_lock(&r->lock);
    p = TAILQ_FIRST(&r->tail);
    if (p) {
        TAILQ_REMOVE(&r->tail, p, in_cache);
        r->tail_n--;
        pthread_cond_signal(&r->changed);
    }
    pthread_mutex_unlock(&r->lock);
    return p;
}
