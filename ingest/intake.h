/* intake: bytes to items to events to batches, in one thread; the committer thread commits them.
 *
 * A batch is handed over when it is full or old, and whenever the input has nothing more to give
 * and the committer has nothing to do: batching happens only when the input is faster than the
 * disk.
 */
#ifndef INGEST_INTAKE_H
#define INGEST_INTAKE_H

#include "ingest/decode.h"
#include "ingest/queue.h"
#include "ingest/rejects.h"
#include "ingest/console.h"
#include "ingest/settings.h"
#include "ingest/source.h"

struct intake {
    const struct settings *settings;
    struct source *source;
    struct queue *queue;
    struct console *console;
    struct rejects *rejects;
    struct text last_id; /* of the stored position; TEXT_NONE = none */
    int64_t bytes;       /* result: how many were read */
    /* private */
    struct split split;
    struct decode *decode;
    struct batch *batch;   /* being filled; NULL = not begun */
    int64_t begun_ms;      /* when its first event came */
    bool moved;            /* the position is not that of the last batch any more */
    int64_t offset, line;  /* of the present file: everything before is done with */
    int64_t due_us, paced; /* --rate */
    int64_t messages;      /* items of any kind */
    bool doubted;          /* that the input is what --format says */
    int64_t hole, hole_ms; /* NUL bytes that are not reported yet; when some were last */
};

/* Reads until the input ends, a stop is asked for, or something fails; what was good until then is
 * handed to the queue, which is then closed. ERR_INVALID with --strict after the first reject. The
 * committer's failure is not reported here but by queue_failure(). */
enum err intake_run(struct intake *in, struct errbuf *eb);

#endif
