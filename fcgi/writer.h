/* writer: the thread that appends what was published over HTTP.
 *
 * Group commit: all requests that wait are appended in one transaction with one fsync, and are
 * answered after its COMMIT. A request is all or nothing: its body is read and checked as a whole
 * before the first row, and its rows are a part of the transaction, which is undone alone when the
 * database refuses one of them (a trigger of the operator's, say). Where a refusal ends the whole
 * transaction, those that were not to blame are written again, each in one of its own. A request
 * that waits alone, or is long, has a transaction of its own from the start. When the
 * disk or the file is at fault, nothing was written, and every request in the group gets the error.
 *
 * It exists only when publishing is on, and it alone has a connection that may write. */
#ifndef FCGI_WRITER_H
#define FCGI_WRITER_H

#include "fcgi/writer_job.h"

struct writer;

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

/* False when the queue is full; the job stays the caller's. The thread is woken by writer_go(),
 * once for all that came in one turn: woken by the first of them it would make a group of one. */
bool writer_submit(struct writer *w, struct writer_job *job);
void writer_go(struct writer *w);
/* What is done, one after the other; NULL = nothing more at present. */
struct writer_job *writer_take(struct writer *w);

#endif
