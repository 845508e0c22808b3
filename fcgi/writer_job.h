/* writer_job: one POST on its way into the table: its body, what it may do, and what came of it. */
#ifndef FCGI_WRITER_JOB_H
#define FCGI_WRITER_JOB_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/buf.h"
#include "base/err.h"
#include "http/body.h"
#include "http/grants.h"
#include "sql/store.h"

/* The loop makes it, and owns it again when it comes back; in between it is the writer's. */
struct writer_job {
    enum body_format format;
    struct buf body;
    char *topic;       /* for events that name none; may be NULL */
    char *key;         /* Idempotency-Key, or NULL; see event_key() */
    struct grants may; /* the topics that may be written; owned */
    void *owner;       /* these four are not looked at */
    size_t memory;     /* of the body, as counted */
    size_t timed;      /* of the body, when its time started again */
    int64_t announced; /* bytes of the body as CONTENT_LENGTH says, -1 when it does not */
    /* out */
    enum err err; /* ERR_INVALID, ERR_DENIED, ERR_EXISTS (a key is another topic's, or another
                   * request's): the request's fault, `why` is for the client */
    struct errbuf why;
    bool too_large;   /* ERR_INVALID because an event is longer than allowed */
    bool by_database; /* refused by the database, not by a rule of ours */
    bool reused;      /* ERR_EXISTS because the Idempotency-Key was another request's */
    int64_t *ids;     /* one for each event, in order; owned by the job */
    size_t n;
    bool all_repeated; /* every key was known: nothing was written */
    TAILQ_ENTRY(writer_job) next;
};

/* A zeroed job with an empty body of at most body_max bytes; NULL = no memory. */
struct writer_job *writer_job_create(size_t body_max);
void writer_job_destroy(struct writer_job *job); /* NULL is allowed */

/* Inside a transaction of the store, in a part of its own: reads the body, checks all of it, and
 * appends its events. Sets what is marked "out", also when it is called again. Gives back job->err;
 * when that is not ERR_OK the part must be undone. */
enum err writer_job_append(struct writer_job *job, struct store *store, size_t event_max);

#endif
