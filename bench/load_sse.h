/* load_sse: takes an HTTP response with Server-Sent Events apart, as the bytes come.
 *
 * Knows status line and head, chunked transfer coding, and as much of the event stream as a
 * measurement needs: of each event its id, and "seq" and "t" out of its data. Written apart from
 * the decoder in stream/ on purpose: what is measured is checked by somebody else.
 *
 * Legal order: sse_begin for every new connection, then sse_take for what was read. The id of the
 * last event survives sse_begin, since it is what a client resumes with. Memory: the struct, and
 * the one line that is incomplete, for as long as the process lives. */
#ifndef BENCH_LOAD_SSE_H
#define BENCH_LOAD_SSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    SSE_ID_MAX = 48,
};

enum sse_state {
    SSE_HEAD,  /* the head has not been read to its end */
    SSE_BODY,  /* it was 200, events may come */
    SSE_ENDED, /* the last chunk has come */
    SSE_ERROR, /* not 200, or not HTTP */
};

struct sse_event {
    int64_t seq, t; /* -1 when the data has none */
};

struct sse_sink {
    void (*event)(void *stream, const struct sse_event *event);
    /* An event named freshet:…; it has no place in the sequence. */
    void (*signal)(void *stream, const char *name, size_t length);
    void (*comment)(void *stream);
};

struct sse {
    enum sse_state state;
    bool chunked, has_data, is_signal;
    uint8_t id_now; /* which of the two ids belongs to an event that was whole */
    uint8_t chunk_step;
    uint64_t chunk_left;
    char *line; /* the beginning of a line whose end has not come */
    uint32_t line_length, line_room;
    struct sse_event event; /* the one that is being read */
    char id[2][SSE_ID_MAX];
};

void sse_begin(struct sse *sse);
enum sse_state sse_take(struct sse *sse, const char *bytes, size_t n, const struct sse_sink *sink,
                        void *stream);

/* The next connection does not resume. */
void sse_forget(struct sse *sse);

/* The id to resume with; empty when no event had one. */
static inline const char *
sse_last_id(const struct sse *sse)
{
    return sse->id[sse->id_now];
}

#endif
