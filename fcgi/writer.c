#include "fcgi/writer.h"

#include <assert.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/thread.h"

TAILQ_HEAD(writer_job_list, writer_job);

struct writer {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct writer_job_list todo, done; /* under the lock, like these two: */
    size_t waiting;
    bool stop;
    struct writer_job_list taken; /* the loop's own, like this one: */
    bool submitted;               /* something that the thread was not woken for */
    struct store *store;          /* the thread's own, like these: */
    bool failing;                 /* an error is known and logged */
    int64_t refused_log_ms;       /* not before is a refusal logged again */
    struct writer_limits limits;
    void (*wake)(void *);
    void *context;
};

/* ---- groups ---- */

/* Body of a request that is long enough to be worth a COMMIT of its own. */
enum { TOGETHER_BYTES = 64 * 1024, REFUSED_LOG_MS = 10000 };

/* What the database refused, for one line in the log however many there are. */
struct refusals {
    size_t n;
    struct errbuf first;
};

/* Anything but ERR_OK: the transaction is over, and nothing of it was written. */
static enum err
write_part(struct writer *w, struct writer_job *job, struct refusals *refusals, struct errbuf *eb)
{
    enum err err = store_begin_part(w->store, eb);

    if (err != ERR_OK)
        return err;
    writer_job_append(job, w->store, w->limits.event_max);
    if (job->err != ERR_OK && job->by_database && refusals->n++ == 0)
        refusals->first = job->why;
    err = store_end_part(w->store, job->err == ERR_OK, eb);
    if (err == ERR_OK || job->err == ERR_OK)
        return err;
    *eb = job->why;
    return job->err;
}

static bool
is_refusal(enum err err)
{
    return err == ERR_INVALID || err == ERR_CORRUPT;
}

/* In a transaction of its own, which is undone as a whole. Anything but ERR_OK: the database did
 * not take it. */
static enum err
write_one(struct writer *w, struct writer_job *job, struct refusals *refusals)
{
    struct errbuf eb;
    enum err err = store_begin(w->store, &eb);

    job->err = ERR_OK;
    if (err == ERR_OK && writer_job_append(job, w->store, w->limits.event_max) == ERR_OK)
        err = store_commit(w->store, &eb);
    else if (err == ERR_OK)
        store_rollback(w->store);
    if (err != ERR_OK) {
        job->err = err;
        job->why = eb;
    } else if (job->err != ERR_OK && job->by_database) {
        err = job->err;
    }
    if (is_refusal(err) && refusals->n++ == 0)
        refusals->first = job->why;
    return err;
}

static enum err
write_together(struct writer *w, struct writer_job_list *group, struct refusals *refusals,
               struct errbuf *eb)
{
    struct writer_job *job;
    enum err err = store_begin(w->store, eb);

    TAILQ_FOREACH (job, group, next)
        if (err == ERR_OK)
            err = write_part(w, job, refusals, eb);
    return err == ERR_OK ? store_commit(w->store, eb) : err;
}

/* An error that lasts is logged once: publishers try again and again. */
static void
report(struct writer *w, enum err err, const char *why)
{
    if (err != ERR_OK && !w->failing)
        log_line(LOG_ERROR, "publishing: %s", why);
    else if (err == ERR_OK && w->failing)
        log_line(LOG_INFO, "publishing works again");
    w->failing = err != ERR_OK;
}

/* A trigger can end the whole transaction, a deferred foreign key its COMMIT, and not only an
 * event's own row: then each of those that are not known to be at fault is tried alone. A disk that
 * is full or broken is nobody's fault, and would be asked again for each. */
static void
write_several(struct writer *w, struct writer_job_list *group, struct refusals *refusals)
{
    struct writer_job *job;
    struct errbuf eb;
    enum err err = write_together(w, group, refusals, &eb);

    TAILQ_FOREACH (job, group, next) {
        if (err == ERR_OK || job->err != ERR_OK)
            continue;
        if (is_refusal(err)) {
            write_one(w, job, refusals);
        } else {
            job->err = err;
            job->why = eb;
        }
    }
    if (!is_refusal(err))
        report(w, err, eb.text);
}

/* Takes out of the group what is better written alone: as long as a part is open, SQLite keeps the
 * pages that each row changes, some 13 KB a row, first in memory and then in a file. */
static void
set_apart(struct writer_job_list *group, struct writer_job_list *alone)
{
    struct writer_job *job, *next;
    bool only = !TAILQ_NEXT(TAILQ_FIRST(group), next);

    for (job = TAILQ_FIRST(group); job; job = next) {
        next = TAILQ_NEXT(job, next);
        if (only || job->body.length > TOGETHER_BYTES) {
            TAILQ_REMOVE(group, job, next);
            TAILQ_INSERT_TAIL(alone, job, next);
        }
    }
}

static void
write_group(struct writer *w, struct writer_job_list *group)
{
    struct writer_job_list alone = TAILQ_HEAD_INITIALIZER(alone);
    struct refusals refusals = {0};
    struct writer_job *job;
    size_t n = 0;

    set_apart(group, &alone);
    if (!TAILQ_EMPTY(group))
        write_several(w, group, &refusals);
    TAILQ_FOREACH (job, &alone, next) {
        enum err err = write_one(w, job, &refusals);

        if (!is_refusal(err))
            report(w, err, job->why.text);
    }
    TAILQ_CONCAT(group, &alone, next);
    TAILQ_FOREACH (job, group, next)
        n++;
    if (refusals.n > 0 && clock_mono_ms() >= w->refused_log_ms) {
        log_line(LOG_ERROR, "publishing: %zu of %zu requests were refused, the first one: %s",
                 refusals.n, n, refusals.first.text);
        w->refused_log_ms = clock_mono_ms() + REFUSED_LOG_MS;
    }
}

/* ---- the thread ---- */

static void *
follow_queue(void *context)
{
    struct writer *w = context;
    struct writer_job_list group;

    pthread_mutex_lock(&w->lock);
    for (;;) {
        while (TAILQ_EMPTY(&w->todo) && !w->stop)
            pthread_cond_wait(&w->changed, &w->lock);
        if (TAILQ_EMPTY(&w->todo))
            break;
        TAILQ_INIT(&group);
        TAILQ_CONCAT(&group, &w->todo, next);
        w->waiting = 0;
        pthread_mutex_unlock(&w->lock);
        write_group(w, &group);
        pthread_mutex_lock(&w->lock);
        TAILQ_CONCAT(&w->done, &group, next);
        /* The thread that is woken wants this lock. */
        pthread_mutex_unlock(&w->lock);
        w->wake(w->context);
        pthread_mutex_lock(&w->lock);
    }
    pthread_mutex_unlock(&w->lock);
    return NULL;
}

enum err
writer_start(struct writer **writer, struct store *store, const struct writer_limits *limits,
             void (*wake)(void *), void *context, struct errbuf *eb)
{
    struct writer *w = mem_zalloc(sizeof *w);
    enum err err;

    if (!w) {
        store_close(store);
        return err_nomem(eb);
    }
    w->store = store;
    w->limits = *limits;
    w->wake = wake;
    w->context = context;
    TAILQ_INIT(&w->todo);
    TAILQ_INIT(&w->done);
    TAILQ_INIT(&w->taken);
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->changed, NULL);
    err = thread_start(&w->thread, follow_queue, w, eb);
    if (err != ERR_OK) {
        store_close(store);
        mem_free(w);
        return err;
    }
    *writer = w;
    return ERR_OK;
}

void
writer_stop(struct writer *w)
{
    pthread_mutex_lock(&w->lock);
    w->stop = true;
    pthread_cond_signal(&w->changed);
    pthread_mutex_unlock(&w->lock);
    pthread_join(w->thread, NULL);
}

void
writer_destroy(struct writer *w)
{
    assert(TAILQ_EMPTY(&w->todo) && TAILQ_EMPTY(&w->done) && TAILQ_EMPTY(&w->taken));
    store_close(w->store);
    pthread_cond_destroy(&w->changed);
    pthread_mutex_destroy(&w->lock);
    mem_free(w);
}

bool
writer_submit(struct writer *w, struct writer_job *job)
{
    bool room;

    pthread_mutex_lock(&w->lock);
    room = w->waiting < w->limits.queue_max;
    if (room) {
        TAILQ_INSERT_TAIL(&w->todo, job, next);
        w->waiting++;
        w->submitted = true;
    }
    pthread_mutex_unlock(&w->lock);
    return room;
}

void
writer_go(struct writer *w)
{
    if (!w->submitted)
        return;
    w->submitted = false;
    pthread_cond_signal(&w->changed);
}

struct writer_job *
writer_take(struct writer *w)
{
    struct writer_job *job;

    if (TAILQ_EMPTY(&w->taken)) {
        pthread_mutex_lock(&w->lock);
        TAILQ_CONCAT(&w->taken, &w->done, next);
        pthread_mutex_unlock(&w->lock);
    }
    job = TAILQ_FIRST(&w->taken);
    if (job)
        TAILQ_REMOVE(&w->taken, job, next);
    return job;
}
