/* state: everything that the loop owns, in one place: what server_turn() and the rooms below it
 * work on. Only the loop's thread touches it. */
#ifndef FCGI_STATE_H
#define FCGI_STATE_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fcgi/address.h"
#include "fcgi/deadline.h"
#include "fcgi/poller.h"
#include "fcgi/reader.h"
#include "fcgi/round.h"
#include "fcgi/settings.h"
#include "fcgi/tail.h"
#include "fcgi/writer.h"
#include "sql/store.h"
#include "stream/hub.h"

struct conn;
struct history_job;
struct loop;
struct request;
struct seat;

TAILQ_HEAD(conn_queue, conn);
/* Connections of one state, the one that is there longest first. */
struct conn_list {
    struct conn_queue queue;
};

enum { CONN_LISTS = 9 };

struct counters {
#define COUNTER(member, help) uint64_t member;
#include "fcgi/counters.def"
#undef COUNTER
};

enum { SERVER_SOCKETS_MAX = 8 };

struct server {
    struct settings *settings;
    struct loop *loop;    /* what waits, see loop.h */
    struct poller poller; /* of the connections */
    int sockets[SERVER_SOCKETS_MAX];
    int n_sockets;

    struct hub hub;
    struct tail *tail;
    struct reader *reader;
    struct writer *writer;                          /* NULL unless publishing is on */
    TAILQ_HEAD(history_queue, history_job) history; /* reads that the reader does not have yet */
    struct history_queue history_reading;           /* those that it has */
    uint64_t unsent;         /* bytes that are kept for clients whose sockets are full */
    int64_t unsent_log_ms;   /* when it may be logged again that they are too many */
    uint64_t history_unsent; /* bytes of responses that wait for their clients */
    uint64_t upload_memory;  /* bodies of POSTs that have not been written yet */

    union { /* by name, and by number */
        struct {
            struct conn_list requests, quiet, blocked, publishing, asking, waiting, ending, idle,
                dead;
        };
        struct conn_list lists[CONN_LISTS];
    };
    struct conn_queue readable, ready;
    struct conn_queue patient; /* ready too: streams, whose turn is the next round */
    struct round round;
    uint64_t n_conns, n_seats, conns_max, seats_max; /* the maxima by the descriptor limit */
    int64_t pause_log_ms; /* when a pause of accepting may be logged again */

    struct jws_keys token_keys;   /* none: tokens are not used */
    struct grants open;           /* what --public-topics says; empty without it */
    bool seen_granted, seen_open; /* requests with FRESHET_TOPICS, and without */
    bool mixture_logged;
    struct deadlines ends; /* of seats: of their tokens, or of their waiting */
    struct addresses addresses;

    bool accept_due, reload_due, counters_due;
    unsigned stop_asked, stop_served; /* how often SIGTERM or SIGINT came */
    bool draining;
    bool reopening; /* draining because the database was replaced: the sockets stay open */
    int64_t drain_ends_ms;
    int64_t now_ms;               /* of this turn */
    uint64_t seed;                /* of conn_lane() */
    const struct request *single; /* plain CGI: the only request; the program ends with it */
    int64_t newest_at_start;
    bool serving; /* the window has caught up with newest_at_start */

    int argc; /* for reading the settings again */
    char **argv;
    struct counters counters;
};
static_assert(offsetof(struct server, dead) ==
                  offsetof(struct server, lists) + (CONN_LISTS - 1) * sizeof(struct conn_list),
              "CONN_LISTS counts the lists");

/* Of everything that is not a stream: problems, pages, positions. */
static inline const struct dialect *
server_dialect(const struct server *s)
{
    return &s->hub.dialects[DIALECT_PLAIN];
}

/* Whether new events may be asked one more client's conditions. */
static inline bool
server_may_ask(const struct server *s, const struct subscription *what)
{
    return what->n_where == 0 || s->hub.questions.n + hub_new_questions(&s->hub, what) <=
                                     (uint64_t)s->settings->questions_max;
}

#endif
