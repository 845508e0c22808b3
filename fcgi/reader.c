#include "fcgi/reader.h"

#include <assert.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/thread.h"

enum {
    LANES = 1024,      /* two clients share one with this chance; then they wait for each other */
    READER_AHEAD = 16, /* finished jobs that the loop has not taken back */
    WAL_LARGE_BYTES = 8 * 1024 * 1024, /* twice what SQLite's own checkpoints leave */
    WAL_LOOK_US = 50000,
    REST_FIRST_US = 1000,
    REST_LAST_US = 64000,
    READER_NICE = 5, /* a third of the others' share, when all want a processor: sched(7) */
};

TAILQ_HEAD(job_list, reader_job);

struct lane {
    struct job_list jobs;
    TAILQ_ENTRY(lane) in_turn; /* while it has jobs */
};

struct reader {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    /* under the lock */
    struct lane lanes[LANES];
    TAILQ_HEAD(, lane) turn;
    struct job_list done;
    unsigned n_done;
    bool started, stop;
    /* the thread's own */
    struct store *store;
    int64_t wal_look_us, rest_us;
    bool failing; /* an error is known and logged */
    void (*wake)(void *);
    void *context;
};

/* ---- the lanes; under the lock ---- */

static struct lane *
lane_of(struct reader *r, const struct reader_job *job)
{
    return &r->lanes[job->lane % LANES];
}

static void
enqueue(struct reader *r, struct reader_job *job)
{
    struct lane *lane = lane_of(r, job);

    if (TAILQ_EMPTY(&lane->jobs))
        TAILQ_INSERT_TAIL(&r->turn, lane, in_turn);
    TAILQ_INSERT_TAIL(&lane->jobs, job, next);
}

/* The first job of the lane whose turn it is, which then goes to the end; NULL = nothing to do. */
static struct reader_job *
dequeue(struct reader *r)
{
    struct lane *lane = TAILQ_FIRST(&r->turn);
    struct reader_job *job;

    if (!lane)
        return NULL;
    job = TAILQ_FIRST(&lane->jobs);
    TAILQ_REMOVE(&lane->jobs, job, next);
    TAILQ_REMOVE(&r->turn, lane, in_turn);
    if (!TAILQ_EMPTY(&lane->jobs))
        TAILQ_INSERT_TAIL(&r->turn, lane, in_turn);
    return job;
}

static void
finish(struct reader *r, struct reader_job *job)
{
    TAILQ_INSERT_TAIL(&r->done, job, next);
    r->n_done++;
}

/* ---- the thread ---- */

static void
report(struct reader *r, const struct reader_job *job, const struct errbuf *eb)
{
    if (job->err != ERR_OK && !r->failing) /* else it is known, and clients come back for ever */
        log_line(LOG_ERROR, "reading the table for a client: %s", eb->text);
    r->failing = job->err != ERR_OK;
}

/* One step; true when the job is finished. */
static bool
step(struct reader *r, struct reader_job *job)
{
    struct errbuf eb = {""};
    bool finished;

    if (atomic_load(&job->cancelled))
        return true;
    job->err = ERR_OK;
    finished = job->run(job, r->store, &job->err, &eb);
    if (finished || job->err != ERR_OK)
        report(r, job, &eb);
    return finished || job->err != ERR_OK;
}

/* Leaves a gap in which a checkpoint can finish, if it could not for long. */
static void
rest(struct reader *r)
{
    int64_t now = clock_mono_us();

    if (now >= r->wal_look_us) {
        bool large = store_wal_bytes(r->store) > WAL_LARGE_BYTES;

        r->wal_look_us = now + WAL_LOOK_US;
        if (!large)
            r->rest_us = 0;
        else if (r->rest_us < REST_LAST_US)
            r->rest_us = r->rest_us ? r->rest_us * 2 : REST_FIRST_US;
    }
    if (r->rest_us > 0)
        clock_rest_us(r->rest_us);
}

static void *
run_reader(void *context)
{
    struct reader *r = context;

    thread_give_way(READER_NICE);
    pthread_mutex_lock(&r->lock);
    r->started = true;
    pthread_cond_signal(&r->changed);
    while (!r->stop) {
        struct reader_job *job = r->n_done < READER_AHEAD ? dequeue(r) : NULL;
        bool finished;

        if (!job) {
            pthread_cond_wait(&r->changed, &r->lock);
            continue;
        }
        pthread_mutex_unlock(&r->lock);
        finished = step(r, job);
        pthread_mutex_lock(&r->lock);
        if (finished)
            finish(r, job);
        else
            enqueue(r, job);
        pthread_mutex_unlock(&r->lock);
        if (finished)
            r->wake(r->context);
        rest(r);
        pthread_mutex_lock(&r->lock);
    }
    pthread_mutex_unlock(&r->lock);
    return NULL;
}

/* ---- from outside ---- */

enum err
reader_start(struct reader **reader, struct store *store, void (*wake)(void *), void *context,
             struct errbuf *eb)
{
    struct reader *r = mem_zalloc(sizeof *r);
    enum err err;

    if (!r) {
        store_close(store);
        return err_nomem(eb);
    }
    r->store = store;
    r->wake = wake;
    r->context = context;
    for (size_t i = 0; i < LANES; i++)
        TAILQ_INIT(&r->lanes[i].jobs);
    TAILQ_INIT(&r->turn);
    TAILQ_INIT(&r->done);
    pthread_mutex_init(&r->lock, NULL);
    thread_condition_init(&r->changed);
    err = thread_start(&r->thread, run_reader, r, eb);
    if (err != ERR_OK) {
        reader_destroy(r);
        return err;
    }
    pthread_mutex_lock(&r->lock); /* the sandbox would not let it lower its priority later */
    while (!r->started)
        pthread_cond_wait(&r->changed, &r->lock);
    pthread_mutex_unlock(&r->lock);
    *reader = r;
    return ERR_OK;
}

void
reader_stop(struct reader *r)
{
    struct reader_job *job;

    pthread_mutex_lock(&r->lock);
    r->stop = true;
    pthread_cond_signal(&r->changed);
    pthread_mutex_unlock(&r->lock);
    pthread_join(r->thread, NULL);
    while ((job = dequeue(r))) {
        atomic_store(&job->cancelled, true);
        finish(r, job);
    }
}

void
reader_destroy(struct reader *r)
{
    assert(TAILQ_EMPTY(&r->turn) && TAILQ_EMPTY(&r->done));
    store_close(r->store);
    pthread_cond_destroy(&r->changed);
    pthread_mutex_destroy(&r->lock);
    mem_free(r);
}

void
reader_submit(struct reader *r, struct reader_job *job)
{
    pthread_mutex_lock(&r->lock);
    enqueue(r, job);
    pthread_cond_signal(&r->changed);
    pthread_mutex_unlock(&r->lock);
}

static struct reader_job *
take(struct reader *r)
{
    struct reader_job *job;

    pthread_mutex_lock(&r->lock);
    job = TAILQ_FIRST(&r->done);
    if (job) {
        TAILQ_REMOVE(&r->done, job, next);
        if (r->n_done-- == READER_AHEAD)
            pthread_cond_signal(&r->changed);
    }
    pthread_mutex_unlock(&r->lock);
    return job;
}

void
reader_deliver(struct reader *r)
{
    struct reader_job *job;

    while ((job = take(r)))
        job->done(job, r->context);
}
