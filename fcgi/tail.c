#include "fcgi/tail.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/thread.h"
#include "base/watch.h"

enum {
    TAIL_AHEAD = 4, /* pages that the loop has not taken yet */
    /* After a hint the table is looked at again after 100, 200, … µs, then every 3,200 µs: between
     * the write to the WAL and the commit lies an fsync, which a busy disk draws out. Once a commit
     * was seen, the next may still be on its way to the disk, its hint given already; then twice
     * as long each time. All of it for 250 ms. */
    RETRY_FIRST_US = 100,
    RETRY_STEP_US = 3200,
    RETRY_LAST_US = 25600,
    RETRY_FOR_US = 250000,
    /* Hints that come while other tables are being written to are taken together. */
    REST_US = 1000,
};

struct tail {
    pthread_t thread;
    pthread_mutex_t lock;
    int alarm; /* an eventfd: the thread is to look at what follows */
    /* under the lock */
    TAILQ_HEAD(, page) pages;
    unsigned n_pages;
    bool hinted, stop, replaced;
    struct question_changes changes;
    /* the thread's own */
    struct question_index index;
    struct store *store;
    struct tail_limits limits;
    const struct dialect *dialect;
    _Atomic(const struct dialect *) second; /* set by the loop */
    struct watch watch;
    const char *wal_name; /* in the directory that is watched */
    int64_t id;           /* everything up to here was handed over */
    int64_t told_pruned;  /* and deletions up to here */
    int64_t version;      /* of PRAGMA data_version at the last read */
    int64_t look_at_us;   /* when to look at the table next */
    int64_t rest_until_us;
    int64_t hinted_us; /* of the last hint */
    int64_t retry_us, retry_last_us;
    bool more;           /* the last page was not the end */
    bool failing;        /* an error is known and logged */
    int64_t place_at_us; /* when to look next whether the file is in its place */
    enum store_place place;
    bool place_failing; /* another file is there that cannot be opened, and that is logged */
    void (*wake)(void *);
    void *context;
};

/* ---- the file's place ---- */

static void
say_replaced(struct tail *t)
{
    pthread_mutex_lock(&t->lock);
    t->replaced = true;
    pthread_mutex_unlock(&t->lock);
    t->wake(t->context);
}

/* It may still be in the making: as long as it cannot be opened, the old one is all there is. */
static void
try_replacement(struct tail *t, enum store_place place)
{
    const char *path = store_path(t->store);
    struct store *other;
    struct errbuf eb;

    if (store_open(&other, path, STORE_READ, STORE_SYNC_FULL, &eb) != ERR_OK) {
        if (!t->place_failing)
            log_line(LOG_ERROR,
                     "%s: has been replaced by a file that cannot be opened: %s; trying again",
                     path, eb.text);
        t->place_failing = true;
        return;
    }
    if (place == STORE_IN_PLACE)
        log_line(LOG_WARN, "%s: has a new epoch (%s instead of %s)", path, store_epoch(other),
                 store_epoch(t->store));
    else
        log_line(LOG_WARN, "%s: has been replaced by another database (epoch %s instead of %s)",
                 path, store_epoch(other), store_epoch(t->store));
    if (strcmp(store_epoch(other), store_epoch(t->store)) == 0)
        log_line(LOG_WARN,
                 "%s: is a copy of what was there before; if it lacks events that clients have "
                 "had, run: freshet epoch --new --db %s",
                 path, path);
    store_close(other);
    say_replaced(t);
}

static void
report_place(struct tail *t, enum store_place place)
{
    const char *path = store_path(t->store);

    if (place == STORE_GONE && t->place != STORE_GONE)
        log_line(LOG_ERROR,
                 "%s: has been deleted or moved away; streams continue with the old file, nothing "
                 "can be published; waiting for a database in its place",
                 path);
    else if (place == STORE_IN_PLACE && t->place != STORE_IN_PLACE)
        log_line(LOG_INFO, "%s: is in its place again", path);
    else if (place == STORE_WAL_LOST)
        log_line(LOG_ERROR,
                 "%s-wal: has been deleted or replaced; what was committed since the last "
                 "checkpoint may be lost. The database is opened again; restart everything "
                 "else that writes to it, then run: freshet check --db %s",
                 path, path);
    else if (place == STORE_MIXED && t->place != STORE_MIXED)
        log_line(LOG_ERROR,
                 "%s: has been replaced, but the old -wal is still beside it and would damage it: "
                 "remove %s-wal and -shm; waiting",
                 path, path);
}

static void
look_at_place(struct tail *t)
{
    enum store_place place;

    if (t->replaced || clock_mono_us() < t->place_at_us)
        return;
    place = store_place(t->store);
    report_place(t, place);
    t->place = place;
    if (place == STORE_WAL_LOST)
        say_replaced(t);
    else if (place == STORE_REPLACED || store_has_new_epoch(t->store))
        try_replacement(t, place);
    else
        t->place_failing = false;
    t->place_at_us = clock_mono_us() + t->limits.poll_ms * 1000;
}

/* ---- looking ---- */

static void
report(struct tail *t, enum err err, const struct errbuf *eb)
{
    if (err != ERR_OK && !t->failing)
        log_line(LOG_ERROR, "following the table: %s; trying again every %lld ms", eb->text,
                 (long long)t->limits.poll_ms);
    else if (err == ERR_OK && t->failing)
        log_line(LOG_INFO, "following the table works again");
    t->failing = err != ERR_OK;
}

static void
hand_over(struct tail *t, struct page *p)
{
    t->id = p->through;
    t->told_pruned = p->marks.pruned_through;
    pthread_mutex_lock(&t->lock);
    TAILQ_INSERT_TAIL(&t->pages, p, in_cache);
    t->n_pages++;
    pthread_mutex_unlock(&t->lock);
    t->wake(t->context);
}

/* What the loop has come to ask, and asks no more. */
static void
take_changes(struct tail *t)
{
    bool some;

    pthread_mutex_lock(&t->lock);
    some = question_changes_move(&t->index.changes, &t->changes);
    pthread_mutex_unlock(&t->lock);
    if (some || t->index.applied != t->index.changes.last)
        question_index_apply(&t->index);
}

/* Reads what is new and hands it over; *some = there was something. */
static enum err
read_news(struct tail *t, bool *some, struct errbuf *eb)
{
    struct store_page_want want = {.after = t->id,
                                   .bytes = t->limits.page_bytes,
                                   .rows = t->limits.page_rows,
                                   .step = store_step_all,
                                   .dialect = t->dialect,
                                   .second = atomic_load(&t->second),
                                   .with_names = true,
                                   .index = &t->index};
    struct page *page;
    bool end;
    enum err err;

    take_changes(t);
    err = store_page_read(t->store, &want, &page, &end, eb);

    if (err != ERR_OK)
        return err;
    t->more = !end;
    *some = page->through > t->id || page->marks.pruned_through > t->told_pruned;
    if (*some)
        hand_over(t, page);
    else
        page_destroy(page);
    return ERR_OK;
}

/* Whether a commit could be seen. Most commits of a busy file may be of other tables: the marks
 * tell it for a fifth of what a page costs. */
static enum err
has_news(struct tail *t, bool *some, struct errbuf *eb)
{
    struct marks m;
    enum err err = store_marks(t->store, &m, eb);

    *some = err == ERR_OK && (t->more || m.newest > t->id || m.pruned_through > t->told_pruned);
    return err;
}

static void
plan_next_look(struct tail *t, bool changed, bool some)
{
    int64_t now = clock_mono_us();

    if (changed) {
        t->retry_us = RETRY_STEP_US;
        t->retry_last_us = RETRY_LAST_US;
    }
    if (changed && !some)
        t->rest_until_us = now + REST_US;
    if (t->failing)
        t->look_at_us = now + t->limits.poll_ms * 1000;
    else if (t->more)
        t->look_at_us = now;
    else if (t->retry_us > 0 && now - t->hinted_us < RETRY_FOR_US)
        t->look_at_us = now + t->retry_us;
    else
        t->look_at_us = now + t->limits.poll_ms * 1000;
    t->retry_us = t->retry_us * 2 < t->retry_last_us ? t->retry_us * 2 : t->retry_last_us;
    if (now - t->hinted_us >= RETRY_FOR_US)
        t->retry_us = 0;
}

static void
look(struct tail *t, bool hinted)
{
    struct errbuf eb = {""};
    int64_t version = 0;
    bool changed = false, some = false;
    enum err err = store_data_version(t->store, &version, &eb);

    if (hinted) {
        t->hinted_us = clock_mono_us();
        t->retry_us = RETRY_FIRST_US;
        t->retry_last_us = RETRY_STEP_US;
    }
    if (err == ERR_OK)
        changed = version != t->version || t->more || t->failing;
    if (changed)
        err = has_news(t, &some, &eb);
    if (err == ERR_OK && some)
        err = read_news(t, &some, &eb);
    report(t, err, &eb);
    if (err == ERR_OK)
        t->version = version;
    plan_next_look(t, changed, some);
}

/* ---- the thread ---- */

/* Sleeps until the time has come, the WAL is written to, or the loop says something. */
static void
await(struct tail *t, int64_t until_us, bool *written)
{
    struct pollfd fds[] = {{.fd = t->alarm, .events = POLLIN},
                           {.fd = watch_fd(&t->watch), .events = POLLIN}};
    int64_t left_us = until_us - clock_mono_us();
    struct timespec left = {left_us / 1000000, left_us % 1000000 * 1000};
    uint64_t count;

    if (left_us < 0)
        left = (struct timespec){0};
    if (ppoll(fds, 2, &left, NULL) <= 0)
        return;
    if (fds[0].revents && read(t->alarm, &count, sizeof count) < 0)
        return; /* cannot be: nothing else reads the alarm */
    if (fds[1].revents)
        *written = watch_clear(&t->watch, t->wal_name) || *written;
}

static void *
run_tail(void *context)
{
    struct tail *t = context;
    bool hinted = false;

    for (;;) {
        int64_t now = clock_mono_us(), next;
        bool stop, room;

        pthread_mutex_lock(&t->lock);
        hinted = hinted || t->hinted;
        t->hinted = false;
        stop = t->stop;
        room = t->n_pages < TAIL_AHEAD;
        pthread_mutex_unlock(&t->lock);
        if (stop)
            return NULL;
        next = hinted && t->rest_until_us < t->look_at_us ? t->rest_until_us : t->look_at_us;
        if (!room) {
            await(t, now + t->limits.poll_ms * 1000, &hinted);
        } else if (now < next) {
            await(t, next, &hinted);
        } else {
            look_at_place(t);
            look(t, hinted);
            hinted = false;
        }
    }
}

/* ---- from outside ---- */

/* The directory is watched, not the file: the WAL comes and goes. */
static void
watch_wal(struct tail *t)
{
    const char *path = store_wal_path(t->store);
    const char *slash = strrchr(path, '/');

    t->wal_name = slash ? slash + 1 : path;
    watch_open(&t->watch);
    if (watch_beside(&t->watch, path, WATCH_WRITES) < 0)
        log_line(LOG_WARN,
                 "%s: its directory cannot be watched (%s); changes are seen every %lld ms",
                 store_path(t->store), strerror(errno), (long long)t->limits.poll_ms);
}

static void
destroy(struct tail *t)
{
    struct page *p;

    while ((p = tail_take(t)))
        page_destroy(p);
    question_changes_move(&t->index.changes, &t->changes);
    question_index_finish(&t->index);
    watch_close(&t->watch);
    if (t->alarm >= 0)
        close(t->alarm);
    store_close(t->store);
    pthread_mutex_destroy(&t->lock);
    mem_free(t);
}

enum err
tail_start(struct tail **tail, struct store *store, int64_t start_id, const struct dialect *dialect,
           const struct tail_limits *limits, void (*wake)(void *), void *context, struct errbuf *eb)
{
    struct tail *t = mem_zalloc(sizeof *t);
    enum err err;

    if (!t) {
        store_close(store);
        return err_nomem(eb);
    }
    *t = (struct tail){.alarm = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
                       .store = store,
                       .limits = *limits,
                       .dialect = dialect,
                       .id = start_id,
                       .more = true,
                       .wake = wake,
                       .context = context};
    TAILQ_INIT(&t->pages);
    question_changes_init(&t->changes);
    question_index_init(&t->index);
    pthread_mutex_init(&t->lock, NULL);
    watch_wal(t);
    err = t->alarm < 0 ? err_set(eb, ERR_IO, "cannot make an eventfd: %s", strerror(errno))
                       : thread_start(&t->thread, run_tail, t, eb);
    if (err != ERR_OK)
        destroy(t);
    else
        *tail = t;
    return err;
}

static void
ring(struct tail *t)
{
    uint64_t one = 1;

    if (write(t->alarm, &one, sizeof one) < 0)
        assert(errno == EAGAIN); /* it has been rung 2^64 - 2 times */
}

void
tail_stop(struct tail *t)
{
    pthread_mutex_lock(&t->lock);
    t->stop = true;
    pthread_mutex_unlock(&t->lock);
    ring(t);
    pthread_join(t->thread, NULL);
    destroy(t);
}

void
tail_hint(struct tail *t)
{
    pthread_mutex_lock(&t->lock);
    t->hinted = true;
    pthread_mutex_unlock(&t->lock);
    ring(t);
}

void
tail_ask(struct tail *t, struct question_changes *changes)
{
    if (TAILQ_EMPTY(&changes->added) && TAILQ_EMPTY(&changes->dropped))
        return;
    pthread_mutex_lock(&t->lock);
    question_changes_move(&t->changes, changes);
    pthread_mutex_unlock(&t->lock);
}

void
tail_speak(struct tail *t, const struct dialect *second)
{
    atomic_store(&t->second, second);
}

bool
tail_replaced(struct tail *t)
{
    bool replaced;

    pthread_mutex_lock(&t->lock);
    replaced = t->replaced;
    pthread_mutex_unlock(&t->lock);
    return replaced;
}

struct page *
tail_take(struct tail *t)
{
    struct page *p;
    bool was_full;

    pthread_mutex_lock(&t->lock);
    p = TAILQ_FIRST(&t->pages);
    was_full = t->n_pages == TAIL_AHEAD;
    if (p) {
        TAILQ_REMOVE(&t->pages, p, in_cache);
        t->n_pages--;
    }
    pthread_mutex_unlock(&t->lock);
    if (p && was_full)
        ring(t);
    return p;
}
