/* writer: the thread that appends what was published over HTTP.
 *
 * Group commit: all requests that wait are appended in one transaction with one fsync, and are
 * answered after its COMMIT. A request is all or nothing: its body is read and checked as a whole
 * before the first row. When the transaction fails, nothing of it was written, and every request in
 * it gets the error.
 *
 * It exists only when publishing is on, and it alone has a connection that may write. */
#ifndef FCGI_WRITER_H
#define FCGI_WRITER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/buf.h"
#include "base/err.h"
#include "http/body.h"
#include "http/grants.h"
#include "sql/store.h"

struct writer;

/* The loop makes it, and owns it again when it comes back; in between it is the writer's. */
struct writer_job {
    enum body_format format;
    struct buf body;
    char *topic;       /* for events that name none; may be NULL */
    char *key;         /* Idempotency-Key: of one event as it is, of several with "/1", "/2" … */
    struct grants may; /* the topics that may be written; owned */
    void *owner;       /* these four are not looked at */
    size_t memory;     /* of the body, as counted */
    size_t timed;      /* of the body, when its time began anew */
    int64_t announced; /* bytes of the body as CONTENT_LENGTH says, -1 when it does not */
    /* out */
    enum err err; /* ERR_INVALID, ERR_DENIED, ERR_EXISTS (a key is another topic's): the request's
                   * fault, `why` is for the client */
    struct errbuf why;
    bool too_large; /* ERR_INVALID because an event is longer than allowed */
    int64_t *ids;   /* one for each event, in order; owned by the job */
    size_t n;
    bool all_repeated; /* every key was known: nothing was written */
    TAILQ_ENTRY(writer_job) next;
};

struct writer_limits {
    size_t event_max; /* bytes of data */
    size_t queue_max; /* jobs */
};

/* Takes the store (opened for writing) over, also when it fails. wake() must be callable from any
 * thread. */
enum err writer_start(struct writer **writer, struct store *store,
                      const struct writer_limits *limits, void (*wake)(void *), void *context,
                      struct errbuf *eb);
/* What waits is still written. Jobs not taken yet can be taken afterwards, then writer_destroy().
 */
void writer_stop(struct writer *w);
void writer_destroy(struct writer *w);

/* A zeroed job with an empty body of at most body_max bytes; NULL = no memory. */
struct writer_job *writer_job_create(size_t body_max);
void writer_job_destroy(struct writer_job *job); /* NULL is allowed */

/* False when the queue is full; the job stays the caller's. The thread is told by writer_go(), once
 * for all that came in one turn: woken by the first of them it would make a group of one. */
bool writer_submit(struct writer *w, struct writer_job *job);
void writer_go(struct writer *w);
/* What is done, one after the other; NULL = nothing more at present. */
struct writer_job *writer_take(struct writer *w);

#endif
