#include "fcgi/writer.h"

#include <assert.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "http/body.h"

TAILQ_HEAD(writer_job_list, writer_job);

struct writer {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct writer_job_list todo, done; /* under the lock, like these two: */
    size_t waiting;
    bool stop;
    struct writer_job_list taken; /* the loop's own, like this one: */
    bool submitted;               /* something that the thread was not told of */
    struct store *store;          /* the thread's own */
    struct writer_limits limits;
    void (*wake)(void *);
    void *context;
};

struct writer_job *
writer_job_create(size_t body_max)
{
    struct writer_job *job = mem_zalloc(sizeof *job);

    if (job)
        buf_init(&job->body, body_max);
    return job;
}

void
writer_job_destroy(struct writer_job *job)
{
    if (!job)
        return;
    buf_finish(&job->body);
    grants_finish(&job->may);
    mem_free(job->topic);
    mem_free(job->key);
    mem_free(job->ids);
    mem_free(job);
}

/* The key of the i-th of n events: its own, or made from the request's. */
static enum err
choose_key(const struct writer_job *job, size_t i, size_t n, struct event *e, char *made,
           size_t size, struct errbuf *eb)
{
    int length;

    if (e->key.p || !job->key)
        return ERR_OK;
    length = n == 1 ? snprintf(made, size, "%s", job->key)
                    : snprintf(made, size, "%s/%zu", job->key, i + 1);
    if (length > EVENT_KEY_MAX)
        return err_set(eb, ERR_INVALID, "Idempotency-Key is longer than %d bytes", EVENT_KEY_MAX);
    e->key = text_of(made);
    return ERR_OK;
}

/* What is wrong with the i-th of n events. */
static enum err
blame(struct writer_job *job, size_t i, size_t n, enum err err, const char *why)
{
    return n == 1 ? err_set(&job->why, err, "%s", why)
                  : err_set(&job->why, err, "event %zu: %s", i + 1, why);
}

/* Before the first row of the request is written. */
static enum err
check_all(const struct writer *w, struct writer_job *job, struct event *events, size_t n)
{
    char made[EVENT_KEY_MAX + 32];

    for (size_t i = 0; i < n; i++) {
        struct event e = events[i];
        struct errbuf eb;
        enum err err;

        if (!e.topic.p)
            events[i].topic = e.topic = text_of(job->topic);
        err = choose_key(job, i, n, &e, made, sizeof made, &eb);
        if (err == ERR_OK)
            err = event_check(&e, w->limits.event_max, &eb);
        if (err == ERR_OK && !grants_cover(&job->may, e.topic))
            err = err_set(&eb, ERR_DENIED, "topic \"%.*s\" may not be written here", (int)e.topic.n,
                          e.topic.p);
        if (err != ERR_OK) {
            job->too_large = e.data.n > w->limits.event_max;
            return blame(job, i, n, err, eb.text);
        }
    }
    return ERR_OK;
}

/* A key is a promise about one event: the same key for another topic is no repetition, and
 * answering with the first one's id would tell about a topic that the publisher may know nothing
 * of. */
static enum err
append(struct writer *w, struct writer_job *job, const struct event *events, size_t i, size_t n)
{
    char made[EVENT_KEY_MAX + 32];
    struct event e = events[i];
    struct errbuf why;
    bool repeated = false, elsewhere = false;
    enum err err = choose_key(job, i, n, &e, made, sizeof made, &job->why);

    if (err == ERR_OK && e.key.p)
        err = store_key_elsewhere(w->store, &e, &elsewhere, &job->why);
    if (err == ERR_OK && elsewhere) {
        err_set(&why, ERR_EXISTS, "key \"%.*s\" is that of an event of another topic", (int)e.key.n,
                e.key.p);
        return blame(job, i, n, ERR_EXISTS, why.text);
    }
    if (err == ERR_OK)
        err = store_append(w->store, &e, &job->ids[i], &repeated, &job->why);
    job->all_repeated = job->all_repeated && err == ERR_OK && repeated;
    return err;
}

static bool
has_keys(const struct writer_job *job, const struct event *events, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (events[i].key.p)
            return true;
    return job->key;
}

/* ERR_EXISTS: the request's fault, and nothing of it stays in the transaction. */
static enum err
append_all(struct writer *w, struct writer_job *job, const struct event *events, size_t n)
{
    bool in_parts = n > 1 && has_keys(job, events, n);
    enum err err = in_parts ? store_begin_part(w->store, &job->why) : ERR_OK, end;

    job->all_repeated = n > 0;
    for (size_t i = 0; err == ERR_OK && i < n; i++)
        err = append(w, job, events, i, n);
    if (err == ERR_OK)
        job->n = n;
    if (!in_parts || (err != ERR_OK && err != ERR_EXISTS))
        return err;
    end = store_end_part(w->store, err == ERR_OK, &job->why);
    return end == ERR_OK ? err : end;
}

/* ERR_OK also when the request itself is refused: then nothing of it was written. Anything else
 * spoils the transaction. */
static enum err
write_job(struct writer *w, struct writer_job *job)
{
    struct body body;
    enum err err = ERR_OK;

    job->err = body_parse(&body, job->format, buf_view(&job->body), &job->why);
    if (job->err == ERR_FULL) { /* not the disk */
        job->too_large = true;
        job->err = ERR_INVALID;
    }
    if (job->err == ERR_OK)
        job->err = check_all(w, job, body.events, body.n);
    if (job->err == ERR_OK) {
        job->ids = mem_zalloc(body.n * sizeof *job->ids);
        job->err = job->ids ? ERR_OK : err_set(&job->why, ERR_NOMEM, "out of memory");
    }
    if (job->err == ERR_OK)
        err = job->err = append_all(w, job, body.events, body.n);
    body_finish(&body);
    return err == ERR_EXISTS ? ERR_OK : err;
}

static void
write_group(struct writer *w, struct writer_job_list *group)
{
    struct writer_job *job;
    struct errbuf eb;
    enum err err = store_begin(w->store, &eb);

    TAILQ_FOREACH (job, group, next) {
        if (err != ERR_OK)
            break;
        err = write_job(w, job);
        if (err != ERR_OK)
            eb = job->why;
    }
    if (err == ERR_OK)
        err = store_commit(w->store, &eb);
    else
        store_rollback(w->store);
    if (err == ERR_OK)
        return;
    log_line(LOG_ERROR, "publishing: %s", eb.text);
    TAILQ_FOREACH (job, group, next) {
        if (job->err == ERR_OK)
            job->why = eb;
        if (job->err == ERR_OK || job->err == err)
            job->err = err;
    }
}

static void *
run(void *context)
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
        /* Whoever is woken wants this lock. */
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
    sigset_t all, before;
    int failed;

    if (!w) {
        store_close(store);
        return err_set(eb, ERR_NOMEM, "out of memory");
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
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* signals are the loop's */
    failed = pthread_create(&w->thread, NULL, run, w);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failed) {
        store_close(store);
        mem_free(w);
        return err_set(eb, ERR_IO, "cannot start a thread: %s", strerror(failed));
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
