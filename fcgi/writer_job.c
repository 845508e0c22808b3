#include "fcgi/writer_job.h"

#include "base/mem.h"

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

/* ---- before the first row ---- */

/* What is wrong with the i-th of n events. */
static enum err
blame(struct writer_job *job, size_t i, size_t n, enum err err, const char *why)
{
    return n == 1 ? err_set(&job->why, err, "%s", why)
                  : err_set(&job->why, err, "event %zu: %s", i + 1, why);
}

static enum err
check_events(struct writer_job *job, struct event *events, size_t n, size_t event_max)
{
    for (size_t i = 0; i < n; i++) {
        struct event *e = &events[i];
        struct errbuf eb;
        enum err err;

        if (!e->topic.p)
            e->topic = text_of(job->topic);
        err = event_check(e, event_max, &eb);
        if (err == ERR_OK && !grants_cover(&job->may, e->topic))
            err = err_set(&eb, ERR_DENIED, "topic \"%.*s\" may not be written here",
                          (int)e->topic.n, e->topic.p);
        if (err != ERR_OK) {
            job->too_large = e->data.n > event_max;
            return blame(job, i, n, err, eb.text);
        }
    }
    return ERR_OK;
}

static enum err
check(struct writer_job *job, struct event *events, size_t n, size_t event_max)
{
    struct errbuf eb;
    enum err err = event_check_request(text_of(job->key), events, n, &eb);

    if (err != ERR_OK)
        return err_set(&job->why, err, "%s%s", job->key ? "Idempotency-Key: " : "", eb.text);
    return check_events(job, events, n, event_max);
}

/* ---- appending ---- */

/* ERR_EXISTS unless it is a new request, or this very one again. Where the key's event is of a
 * topic that the publisher may not write, nothing is revealed of it. */
static enum err
check_request(struct writer_job *job, struct store *store, const struct event *events, size_t n)
{
    enum store_request request;
    struct store_holder holder;
    struct text key = text_of(job->key);
    enum err err =
        key.p ? store_request(store, key, events, n, &request, &holder, &job->why) : ERR_OK;

    if (!key.p || err != ERR_OK || request != STORE_REQUEST_OTHER)
        return err;
    job->reused = !holder.id || grants_cover(&job->may, text_of(holder.topic));
    return err_set(&job->why, ERR_EXISTS,
                   job->reused ? "Idempotency-Key \"%s\" was used for another request, or some "
                                 "of its events have been deleted"
                               : "key \"%s\" belongs to an event of another topic",
                   job->key);
}

/* A key is a promise about one event: the same key for another topic is not a repetition, and
 * answering with the first one's id would reveal something about a topic that the publisher may not
 * read. */
static enum err
append(struct writer_job *job, struct store *store, const struct event *event, size_t i, size_t n)
{
    char room[EVENT_KEY_MAX + 1];
    struct store_holder holder = {0};
    struct event e = *event;
    struct errbuf eb;
    bool repeated = false;
    enum err err = ERR_OK;

    e.key = event_key(event, text_of(job->key), i, n, room);
    if (event->key.p)
        err = store_key_holder(store, &e, &holder, &eb);
    if (err == ERR_OK && holder.id && !text_equal(text_of(holder.topic), e.topic))
        err = err_set(&eb, ERR_EXISTS, "key \"%.*s\" belongs to an event of another topic",
                      (int)e.key.n, e.key.p);
    if (err == ERR_OK)
        err = store_append(store, &e, &job->ids[i], &repeated, &eb);
    job->all_repeated = job->all_repeated && repeated;
    return err == ERR_OK ? ERR_OK : blame(job, i, n, err, eb.text);
}

static enum err
append_all(struct writer_job *job, struct store *store, const struct event *events, size_t n)
{
    enum err err;

    mem_free(job->ids);
    job->ids = mem_zalloc(n * sizeof *job->ids);
    if (!job->ids)
        return err_nomem(&job->why);
    err = check_request(job, store, events, n);
    job->all_repeated = n > 0;
    for (size_t i = 0; err == ERR_OK && i < n; i++)
        err = append(job, store, &events[i], i, n);
    job->n = err == ERR_OK ? n : 0;
    job->by_database = err != ERR_OK && err != ERR_EXISTS;
    return err;
}

enum err
writer_job_append(struct writer_job *job, struct store *store, size_t event_max)
{
    struct body body;

    job->too_large = job->reused = job->by_database = false;
    job->err = body_parse(&body, job->format, buf_view(&job->body), &job->why);
    if (job->err == ERR_FULL) { /* not the disk */
        job->too_large = true;
        job->err = ERR_INVALID;
    }
    if (job->err == ERR_OK)
        job->err = check(job, body.events, body.n, event_max);
    if (job->err == ERR_OK)
        job->err = append_all(job, store, body.events, body.n);
    body_finish(&body);
    return job->err;
}
