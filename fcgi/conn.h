/* conn: one connection of the web server, from accept to close.
 *
 * Its life: REQUEST (reading what the web server says) → STREAM (a subscriber) or straight → ENDING
 * (what is left is being sent, then the peer is given a moment to close) → DEAD (freed at the end
 * of the turn). In each state it is in the server's list of that state, ordered by `since_ms`,
 * which is what makes timeouts cheap: only the head of a list can be due. A STREAM whose socket is
 * full is in the list of blocked ones instead of the quiet ones.
 *
 * A POST goes from REQUEST over BODY (reading it) and PUBLISH (the writer has it) to ENDING.
 *
 * A request for history goes from REQUEST over HISTORY (its answer is being read, or waited for)
 * and, if the socket does not take the answer at once, REPLY (in the list of blocked ones) to
 * ENDING.
 *
 * When the web server goes on with the connection (FCGI_KEEP_CONN), it goes from ENDING to IDLE and
 * with the next request's first byte to REQUEST: only the web server closes it, since it might send
 * a request at the very moment at which we do.
 *
 * What the poller reports is only recorded (conn is linked into `readable` or `ready`); the work is
 * done in the turn.
 *
 * What a connection is used for, once its request is known, it does not know itself: stream.c,
 * history.c and publish.c say so by their struct conn_use. */
#ifndef FCGI_CONN_H
#define FCGI_CONN_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/buf.h"
#include "fcgi/deadline.h"
#include "fcgi/outlet.h"
#include "fcgi/reader.h"
#include "fcgi/record.h"
#include "fcgi/writer.h"
#include "stream/subscriber.h"

struct address;
struct server;

enum conn_reason {
#define REASON(name, word) REASON_##name,
#include "fcgi/reasons.def"
#undef REASON
};

enum conn_state {
    CONN_REQUEST,
    CONN_BODY,
    CONN_PUBLISH,
    CONN_STREAM,
    CONN_HISTORY,
    CONN_REPLY,
    CONN_ENDING,
    CONN_IDLE,
    CONN_DEAD,
};

struct conn;
struct conn_list;

/* What a connection is used for between its request and its response. */
struct conn_use {
    /* Its turn has come: sends what there is to send. NULL: what is kept, nothing else. */
    void (*flush)(struct conn *c);
    /* The response is whole, or the connection is closed: gives back what this use holds of it. */
    void (*leave)(struct conn *c, enum conn_reason reason);
};

struct conn {
    struct server *server;
    const struct conn_use *use; /* NULL before and after */
    struct outlet out;
    struct subscriber sub;       /* sub.feed is set while this is a stream */
    struct reader_job *job;      /* finds out where the stream begins; NULL when that is known */
    struct buf *in;              /* the beginning of a request that came in pieces; else NULL */
    struct record_reader reader; /* of what comes behind the parameters */
    struct writer_job *upload;   /* what is being published; in state PUBLISH the writer has it */
    struct history *history;     /* set while in state HISTORY */
    size_t unsent;               /* of a REPLY, counted in the server's history_unsent */
    char *path;                  /* of the request, for the Location of what was published */
    char *remote;                /* the client's address, for the log; may be NULL */
    char *headers;               /* header lines that the response gets besides; may be NULL */
    struct address *address;     /* where this stream counts; NULL when nobody counts */
    struct deadline expiry;      /* of the token that allows this stream */
    int64_t begun_ms, since_ms;
    enum conn_state state;
    bool watched;        /* in the poller (a plain file, in CGI, cannot be) */
    bool wants_writable; /* the poller reports when it can be written to */
    bool peer_closed;    /* the peer sends no more; what it sent is still to be read */
    bool blocked;        /* the socket is full: waiting until it is writable */
    bool joined;         /* the subscriber is in its feed's lists */
    bool end_sent;       /* ENDING: the end of the response is sent or kept */
    bool keep;           /* another request may follow */
    bool is_readable, is_ready;
    bool is_patient;        /* ready in the server's `patient` */
    struct conn_list *list; /* of the state */
    TAILQ_ENTRY(conn) in_list, in_readable, in_ready;
};

/* A socket just accepted, non-blocking; taken over, also when it fails (NULL). Not watched yet: a
 * web server that connects sends its request at once, so the first attempt to read comes first. */
struct conn *conn_create(struct server *s, int fd, bool bare);

/* From now on the poller reports what happens to it; drops it when it cannot be watched. */
void conn_watch(struct conn *c);

/* For poller_take(): `conn` is a struct conn. */
void conn_happened(void *conn, unsigned what);

/* conn_read.c has more to read in the next turn. */
void conn_make_readable(struct conn *c);

/* Moves it to another of the server's lists, at its end, with the time of now. */
void conn_move(struct conn *c, struct conn_list *list);

/* Sends what there is to send, until all is sent, the socket is full, a page is needed, or the
 * turn's share is used up. */
void conn_flush(struct conn *c);

/* For a use that sends by itself: sends what is kept; true when all is sent. */
bool conn_flush_rest(struct conn *c);

/* For a use that sends by itself: what follows from one attempt; true when all is sent and the next
 * attempt may be made at once. */
bool conn_sent(struct conn *c, enum outlet_sent result);

/* Sends a text, or keeps it. The first one begins with the response's Status line. */
void conn_send(struct conn *c, struct text text);

/* Sends a response that is complete, head and body, and ends. A buffer that has failed closes the
 * connection. */
void conn_reply(struct conn *c, const struct buf *response);

/* The response is complete. */
void conn_end(struct conn *c, enum conn_reason reason);

/* No more byte: the connection is closed and, at the end of the turn, freed. */
void conn_drop(struct conn *c, enum conn_reason reason);

/* Frees what has come of a request's head. */
void conn_forget_pieces(struct conn *c);

/* Frees the memory; the server calls it for DEAD ones at the end of a turn. */
void conn_reap(struct conn *c);

/* Flushed in this turn, or a stream in the next round. */
void conn_make_ready(struct conn *c);

static inline struct conn *
conn_of(struct subscriber *s)
{
    return (struct conn *)((char *)s - offsetof(struct conn, sub));
}

static inline struct conn *
conn_of_expiry(struct deadline *d)
{
    return (struct conn *)((char *)d - offsetof(struct conn, expiry));
}

#endif
