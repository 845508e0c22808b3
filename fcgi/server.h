/* server: the loop and everything it owns. Start reading at server_turn() in server.c. */
#ifndef FCGI_SERVER_H
#define FCGI_SERVER_H

#include <uv.h>

#include "base/err.h"
#include "fcgi/address.h"
#include "fcgi/conn.h"
#include "fcgi/deadline.h"
#include "fcgi/poller.h"
#include "fcgi/reader.h"
#include "fcgi/round.h"
#include "fcgi/settings.h"
#include "fcgi/writer.h"
#include "sql/store.h"
#include "stream/hub.h"

TAILQ_HEAD(conn_queue, conn);

/* Connections of one state, the one that is there longest first. */
struct conn_list {
    struct conn_queue queue;
};

struct counters {
#define COUNTER(member, help) uint64_t member;
#include "fcgi/counters.def"
#undef COUNTER
};

enum { SERVER_SOCKETS_MAX = 8 };

struct request;

struct server {
    struct settings *settings;
    uv_loop_t loop;
    uv_prepare_t turn;       /* runs server_turn() before the loop waits */
    uv_timer_t timer;        /* the next timeout of any list; 0 when a turn has left work */
    uv_timer_t accept_timer; /* accepting pauses until then */
    uv_async_t reader_news;
    uv_fs_event_t watch;
    uv_signal_t signals[4];
    uv_poll_t listeners[SERVER_SOCKETS_MAX];
    struct poller poller;   /* of the connections */
    uv_poll_t poller_watch; /* libuv waits for the poller */
    int sockets[SERVER_SOCKETS_MAX];
    int n_sockets;

    struct hub hub;
    struct reader *reader;
    struct writer *writer; /* NULL unless publishing is on */
    char epoch[STORE_EPOCH_LENGTH + 1];
    char *wal_name; /* file name of the WAL, for the watch */
    unsigned pages_in_flight;
    TAILQ_HEAD(history_queue, history_job) history; /* reads that have not begun */
    unsigned history_in_flight;
    uint64_t history_unsent; /* bytes of responses that wait for their clients */
    uint64_t upload_memory;  /* bodies of POSTs that have not been written yet */

    struct conn_list requests, quiet, blocked, publishing, asking, waiting, ending, idle, dead;
    struct conn_queue readable, ready;
    struct conn_queue patient; /* ready too: streams, whose turn is the next round */
    struct round round;
    uint64_t n_conns, n_streams, conns_max;
    int64_t pause_log_ms; /* not before is a pause of accepting told again */

    struct jws_key token_key; /* without bytes: tokens are not used */
    struct deadlines expiring;
    struct deadlines polls; /* when long polls have waited enough */
    struct addresses addresses;

    bool accept_due, hint_due, reload_due, counters_due;
    unsigned stop_asked, stop_served; /* how often SIGTERM or SIGINT came */
    bool draining;
    bool reopening; /* draining because the database was replaced: the sockets stay open */
    int64_t drain_ends_ms;
    int64_t now_ms;               /* of this turn */
    const struct request *single; /* plain CGI: the only request; the program ends with it */
    int64_t newest_at_start;
    bool serving; /* the window has caught up with newest_at_start */

    int argc; /* for reading the settings again */
    char **argv;
    struct counters counters;
};

/* Serves the sockets until SIGTERM, which closes them, or until the database has been replaced:
 * then s->reopening is set, and the caller opens the new one and calls again. *s is zeroed but for
 * argc, argv and counters. The stores are taken over; `writable` is NULL unless publishing is on.
 */
enum err server_run(struct server *s, struct settings *settings, struct store *store,
                    struct store *writable, const int *sockets, int n_sockets, struct errbuf *eb);

/* Serves one plain CGI request on standard output. */
enum err server_run_cgi(struct server *s, struct settings *settings, struct store *store,
                        const struct request *request, struct errbuf *eb);

/* One turn of the work; loop.c calls it before the loop waits. */
void server_turn(struct server *s);

/* Once the reader has stopped: takes what it has read, and gives up what nobody will read. */
void server_drop_pages(struct server *s);

/* Moves a connection to another list, at its end, with the time of now. */
void server_list(struct server *s, struct conn *c, struct conn_list *list);

#endif
