/* reader: the thread that reads the database for clients, so that the loop never waits for a disk.
 *
 * It does jobs, in steps: one step of a job, then one of the next. Jobs of one client wait for each
 * other in a lane, and the lanes take turns, so a client that asks for much waits for itself. A job
 * that no client waits for any more is cancelled: it ends before its next step.
 *
 * Where processors are short the thread gives way to the tail and the loop: what is new comes
 * first.
 *
 * Each step is a read transaction of its own. A checkpoint can only let the WAL begin again while
 * nobody reads, so when the WAL has grown large the thread rests between steps, twice as long each
 * time, until that has happened.
 *
 * Memory: of finished jobs that the loop has not taken back, READER_AHEAD at most. */
#ifndef FCGI_READER_H
#define FCGI_READER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/err.h"
#include "sql/store.h"

struct reader;

/* Embedded in what needs it. The loop makes it, and owns it again when done() is called; in between
 * it is the reader's, but for `cancelled`. */
struct reader_job {
    /* One step, in the reader's thread; false: call it again. Sets *err. A step should take no
     * longer than some milliseconds. */
    bool (*run)(struct reader_job *job, struct store *store, enum err *err, struct errbuf *eb);
    /* In the loop's thread, by reader_deliver(): with the result, or cancelled. Frees the job. */
    void (*done)(struct reader_job *job, void *context);
    uint64_t lane;         /* the client's: any number that is the same for the same client */
    atomic_bool cancelled; /* set by the loop: no client waits for it */
    enum err err;
    TAILQ_ENTRY(reader_job) next;
};

/* Takes the store over, also when it fails. wake() must be callable from any thread; context is its
 * and done()'s. */
enum err reader_start(struct reader **reader, struct store *store, void (*wake)(void *),
                      void *context, struct errbuf *eb);
/* Waits for the thread's end. What was submitted is cancelled: reader_deliver() gives all of it
 * back; then reader_destroy(). */
void reader_stop(struct reader *r);
void reader_destroy(struct reader *r);

void reader_submit(struct reader *r, struct reader_job *job);

/* Calls done() for each job that has been finished. */
void reader_deliver(struct reader *r);

#endif
