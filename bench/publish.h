/* publish: where the events of a measurement go. One pacer (publish.c) makes and times the events;
 * a sink takes them, so that every server under test is fed in the same way.
 *
 * Life: open, then any number of batches (begin, event …, end), then close. Sinks end the program
 * when they cannot go on: a measurement with lost events is none. */
#ifndef BENCH_PUBLISH_H
#define BENCH_PUBLISH_H

#include <stddef.h>
#include <stdint.h>

struct sink {
    void (*open)(const char *where);
    void (*begin)(void);
    void (*event)(int topic, const char *data, size_t length);
    void (*end)(void); /* the batch is committed, or on its way */
    void (*close)(void);
};

/* One transaction per batch, plain SQL, synchronous=NORMAL: an ordinary writer. `where`: the file.
 */
extern const struct sink sink_sql;

/* One POST per event to /pub/t<topic> over one connection, a batch in one write, at most a few
 * dozen unanswered. `where`: the port on loopback. */
extern const struct sink sink_http;

void publish_fail(const char *what, const char *why) __attribute__((noreturn));

#endif
