/* conn: one connection of the web server, from accept to close.
 *
 * It is in one list of the server, ordered by `since_ms`, which is what makes timeouts cheap: only
 * the head of a list can be due. What it is doing says in which:
 *
 *   state    list                                   moved there by
 *   REQUEST  requests                               conn_create(); conn_begin_request()
 *   BUSY     requests while a body is read,         conn_begin() and then the use
 *            publishing, asking, waiting
 *            quiet, or blocked while the socket     conn.c, when it sends
 *            is full
 *   ENDING   ending                                 conn_end(): what is left is sent, then the peer
 *                                                   is given a moment to close
 *   IDLE     idle                                   conn.c, when the web server keeps it and both
 *                                                   request and response are whole; conn_read.c,
 *                                                   after a question (FCGI_GET_VALUES)
 *   DEAD     dead                                   conn_drop(); freed at the end of the turn
 *
 * REQUEST → BUSY (or straight) → ENDING → DEAD; and from ENDING over IDLE to the next REQUEST when
 * the web server goes on with the connection (FCGI_KEEP_CONN): only the web server closes it then,
 * since it might send a request at the very moment at which we do. DEAD comes from every state.
 *
 * What the poller reports is only recorded (conn is linked into `readable` or `ready`); the work is
 * done in the turn.
 *
 * A connection does not know what it is used for while it is BUSY: stream.c, history.c, publish.c
 * and respond.c say so with a struct conn_use, and keep what they need in a struct of their own. */
#ifndef FCGI_CONN_H
#define FCGI_CONN_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/buf.h"
#include "fcgi/outlet.h"
#include "fcgi/record.h"

struct seat;
struct server;

enum conn_reason {
#define REASON(name, word) REASON_##name,
#include "fcgi/reasons.def"
#undef REASON
};

enum conn_state { CONN_REQUEST, CONN_BUSY, CONN_ENDING, CONN_IDLE, CONN_DEAD };

struct conn;
struct conn_list;

/* What a connection is used for between its request and its response. NULL where a use has nothing
 * to do. */
struct conn_use {
    /* Its turn has come: sends what there is to send. NULL: what is kept, nothing else. */
    void (*flush)(struct conn *c);
    /* Its deadline (seat.h) has come. */
    void (*expire)(struct conn *c);
    /* The seat that it has, or may have. */
    struct seat *(*seat)(struct conn *c);
    /* Where the request's body goes; NULL, also as the answer: it is passed over. Then some of it
     * has come, or the rest. */
    struct buf *(*body)(struct conn *c);
    void (*body_came)(struct conn *c, bool whole);
    /* The response is whole, or the connection is closed: frees what this use has of it. */
    void (*leave)(struct conn *c, enum conn_reason reason);
};

enum { CONN_NO_LIST = UINT8_MAX };

/* There is one for each stream, however idle: its size is what bench/ measures as memory. */
struct conn {
    struct server *server;
    const struct conn_use *use; /* while BUSY, else NULL */
    void *using;                /* the use's own */
    struct outlet out;
    struct buf *in;              /* the beginning of a request that came in pieces; else NULL */
    struct record_reader reader; /* of what comes behind the parameters */
    char *remote;                /* the client's address, for the log; may be NULL */
    char *headers;               /* header lines that are added to the response; may be NULL */
    int64_t begun_ms, since_ms;
    uint32_t unsent; /* of what the outlet keeps, counted in the server's `unsent` */
    enum conn_state state : 8;
    uint8_t list;            /* of the state: its place in the server's `lists`, or CONN_NO_LIST */
    bool watched : 1;        /* in the poller (a plain file, in CGI, cannot be) */
    bool wants_writable : 1; /* the poller reports when it can be written to */
    bool peer_closed : 1;    /* the peer sends no more; what it sent is still to be read */
    bool blocked : 1;        /* the socket is full: waiting until it is writable */
    bool end_sent : 1;       /* the end of the response is sent or kept */
    bool keep : 1;           /* another request may follow */
    bool in_rounds : 1;      /* sends events, when a round begins */
    bool is_readable : 1, is_ready : 1;
    bool is_patient : 1; /* ready in the server's `patient` */
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

/* The request is known: from now on the connection has this use. list: NULL = it stays where it is,
 * and its time goes on. */
void conn_begin(struct conn *c, const struct conn_use *use, void *using, struct conn_list *list);

/* Sends what there is to send, until all is sent, the socket is full, a page is needed, or the
 * turn's share is used up. */
void conn_flush(struct conn *c);

/* For a use that sends by itself: sends what is kept; true when all is sent. */
bool conn_flush_rest(struct conn *c);

/* For a use that sends by itself: what follows from one attempt; true when all is sent and the next
 * attempt may be made at once. */
bool conn_sent(struct conn *c, enum outlet_sent result);

/* Sends a text, or keeps it. The first one begins with a line of the response's head. */
void conn_send(struct conn *c, struct text text);

/* The response is complete. */
void conn_end(struct conn *c, enum conn_reason reason);

/* The same at once, for what has sent all of it: the web server may be sending the next request. */
void conn_end_now(struct conn *c);

/* Behind all that is sent comes the end of the response; false = no memory. */
bool conn_hold_end(struct conn *c);

/* No more byte: the connection is closed and, at the end of the turn, freed. */
void conn_drop(struct conn *c, enum conn_reason reason);

/* REQUEST and IDLE: the first byte of a request has come to one that was kept; and nothing more is
 * to come of one for now, while what is kept goes out. */
void conn_begin_request(struct conn *c);
void conn_await_request(struct conn *c);

/* Frees what has come of a request's head. */
void conn_forget_pieces(struct conn *c);

/* Frees the memory; the server calls it for DEAD ones at the end of a turn. */
void conn_reap(struct conn *c);

/* Flushed in this turn, or a stream in the next round. */
void conn_make_ready(struct conn *c);

/* The client's lane, for taking turns with others: the same number for the same address. */
uint64_t conn_lane(const struct conn *c);

#endif
