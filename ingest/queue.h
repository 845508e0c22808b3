/* queue: a few batches that go round between the intake thread and the committer thread.
 *
 *     intake:  get → fill → submit          committer:  take → commit → give_back
 *
 * There are QUEUE_BATCHES of them, made at the start: one being filled, one waiting, one being
 * written. An intake that is faster than the disk waits in get(), so memory is bounded by itself.
 * Ends in one of two ways: the intake closes, and the committer takes what is left; or the
 * committer fails, which the intake learns at its next get(). */
#ifndef INGEST_QUEUE_H
#define INGEST_QUEUE_H

#include "base/err.h"
#include "ingest/batch.h"

enum { QUEUE_BATCHES = 3 };

struct queue;

enum err queue_create(struct queue **queue, size_t events_max, size_t event_bytes_max,
                      struct errbuf *eb);
void queue_destroy(struct queue *q); /* NULL is allowed; both threads are done */

/* Intake: an empty batch, waiting for one if need be; NULL = the committer has failed. */
struct batch *queue_get(struct queue *q);
void queue_submit(struct queue *q, struct batch *b);
/* Intake: nothing is waiting or being written. */
bool queue_idle(struct queue *q);
/* Readable once the committer has become idle; for poll(2). queue_idle() makes it unreadable. */
int queue_idle_fd(const struct queue *q);
void queue_close(struct queue *q);

/* Committer: the next batch, waiting for one; NULL = closed and empty. */
struct batch *queue_take(struct queue *q);
void queue_give_back(struct queue *q, struct batch *b);
void queue_fail(struct queue *q, enum err err, const struct errbuf *eb);

/* What the committer failed with, ERR_OK when it did not. */
enum err queue_failure(struct queue *q, struct errbuf *eb);

#endif
