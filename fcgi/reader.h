/* reader: the thread that reads the database, so that the loop never waits for a disk.
 *
 * It does two kinds of work, the first one first: following the table, which yields pages with
 * names in id order without a gap, and jobs, one page or one look-up each, first come first served.
 * Finished work is collected with reader_take_*() after the wake function was called (from the
 * reader's thread).
 *
 * Following: reader_hint() says that somebody has probably committed. The hint comes from the write
 * to the WAL, which is just before the commit can be seen, so an empty read is repeated a few times
 * at growing intervals. PRAGMA data_version is polled every poll_ms in case a hint was missed.
 *
 * A page of the tail is read ahead only as far as the loop has taken the ones before: memory is
 * bounded. A database error is logged once until it is gone, and tried again every poll_ms.
 *
 * Just as often it looks whether the path still leads to the file that it reads. When another
 * database is there, and can be opened, reader_replaced() says so. */
#ifndef FCGI_READER_H
#define FCGI_READER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/err.h"
#include "sql/store.h"
#include "stream/cursor.h"
#include "stream/page.h"

struct reader;

enum reader_job_kind {
    JOB_PAGE,     /* the page after `position` */
    JOB_MARKS,    /* the marks only */
    JOB_EARLIEST, /* the position before the oldest event */
    JOB_SINCE,    /* the position at `time_ms` */
    JOB_LAST,     /* the position before the newest `count` matching events */
    JOB_RUN,      /* whatever `run` does */
};

/* The loop makes it, and owns it again when it comes back; in between it is the reader's. */
struct reader_job {
    enum reader_job_kind kind;
    const struct subscription *filter; /* lives until the job is back */
    void *owner;                       /* not looked at */
    void *feed;                        /* not looked at */
    int64_t position;                  /* in for JOB_PAGE, JOB_MARKS; out for the others */
    int64_t time_ms;
    uint32_t count;     /* JOB_PAGE: at most so many events; 0 = page_rows */
    int64_t scanned_to; /* JOB_LAST in several steps: how far down */
    struct marks marks; /* out */
    struct page *page;  /* out of JOB_PAGE: whoever takes the job owns it */
    enum err err;
    /* JOB_RUN: called in the reader's thread; sets job->err. False: call again, after the others.
     * One call takes no longer than reading a page, so that the tail does not wait. */
    bool (*run)(struct reader_job *job, struct store *store, struct errbuf *eb);
    TAILQ_ENTRY(reader_job) next;
};

struct reader_limits {
    size_t page_bytes;
    uint32_t page_rows, scan_rows;
    int64_t poll_ms;
};

/* Takes the store over, also when it fails. The tail begins after start_id. wake() must be callable
 * from any thread. */
enum err reader_start(struct reader **reader, struct store *store, int64_t start_id,
                      const struct reader_limits *limits, void (*wake)(void *), void *context,
                      struct errbuf *eb);
/* Waits for the thread's end; jobs not taken yet can be taken afterwards, then reader_destroy(). */
void reader_stop(struct reader *r);
void reader_destroy(struct reader *r);

void reader_hint(struct reader *r);
void reader_submit(struct reader *r, struct reader_job *job);

/* Another database has taken the place of the one that is read, or another WAL that of its own:
 * nothing new will come from this one. wake() was called when that became true. */
bool reader_replaced(struct reader *r);

/* The next finished job or page of the tail, or NULL. A page is the caller's from then on. */
struct reader_job *reader_take_job(struct reader *r);
struct page *reader_take_tail(struct reader *r);

#endif
