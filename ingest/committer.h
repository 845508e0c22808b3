/* committer: the thread that owns the database and commits batches in the order they come.
 *
 * A batch is one transaction: its events, and with --source the position after them. A busy
 * database is waited for, with a message now and then, until it is free or a stop is asked for; any
 * other error ends the committer, and what it did not commit is not acknowledged anywhere. */
#ifndef INGEST_COMMITTER_H
#define INGEST_COMMITTER_H

#include "ingest/queue.h"
#include "ingest/console.h"
#include "sql/store.h"

struct committer {
    struct store *store;
    struct queue *queue;
    struct console *console;
    const char *source; /* NULL = positions are not kept */
};

/* For pthread_create(): takes a struct committer, returns NULL when the queue is closed and empty,
 * or after queue_fail(). */
void *committer_run(void *context);

#endif
