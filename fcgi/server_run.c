/* The life of a server: what it needs is opened, the loop runs, and all is given back in turn. */
#include "fcgi/server.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "base/log.h"
#include "fcgi/loop.h"
#include "fcgi/publish.h"
#include "fcgi/replay.h"
#include "fcgi/request.h"
#include "fcgi/sandbox.h"

enum {
    RESERVED = 48,    /* descriptors for all but connections: SQLite, settings and keys */
    PLACES_PART = 16, /* 1/16 of the connections is kept from seats: pages, POSTs, refusals … */
    PLACES_MIN = 4,
    PLACES_MAX = 256, /* … of which a web server has no more at a time */
};

/* Connections do not take the last descriptors. */
static uint64_t
max_connections(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur == RLIM_INFINITY)
        return UINT64_MAX;
    return limit.rlim_cur > 2 * RESERVED ? limit.rlim_cur - RESERVED : limit.rlim_cur / 2;
}

/* Streams and long polls do not take the last connections. */
static uint64_t
max_seats(uint64_t conns_max)
{
    uint64_t kept = conns_max / PLACES_PART;

    if (kept < PLACES_MIN)
        kept = PLACES_MIN;
    if (kept > PLACES_MAX)
        kept = PLACES_MAX;
    return conns_max > 2 * kept ? conns_max - kept : conns_max / 2;
}

static void
limit_places(struct server *s)
{
    s->conns_max = max_connections();
    s->seats_max = max_seats(s->conns_max);
    if (!s->single && s->seats_max < (uint64_t)s->settings->streams_max)
        log_line(LOG_INFO,
                 "at most %llu streams, since no more descriptors are allowed: ulimit -n, "
                 "LimitNOFILE=; --streams-max is %lld",
                 (unsigned long long)s->seats_max, (long long)s->settings->streams_max);
}

static void
init_lists(struct server *s)
{
    for (int i = 0; i < CONN_LISTS; i++)
        TAILQ_INIT(&s->lists[i].queue);
    TAILQ_INIT(&s->history);
    TAILQ_INIT(&s->history_reading);
    addresses_init(&s->addresses);
    TAILQ_INIT(&s->readable);
    TAILQ_INIT(&s->ready);
    TAILQ_INIT(&s->patient);
}

/* The window begins so far below the newest event that it is full after the first reads; a restart
 * then serves returning clients from memory. One client alone needs no such store. */
static enum err
start_position(struct server *s, struct store *store, int64_t *position, struct errbuf *eb)
{
    uint32_t found, count = s->single ? 0 : (uint32_t)s->settings->window_events;
    struct marks marks;
    bool done;
    enum err err = store_marks(store, &marks, eb);

    if (err == ERR_OK)
        err = store_last(store, NULL, 0, count, &store_step_all, position, &found, &done, eb);
    s->newest_at_start = marks.newest;
    if (count == 0)
        *position = marks.newest;
    return err;
}

static enum err
start_hub(struct server *s, const struct store *store, int64_t position, struct errbuf *eb)
{
    const struct settings *set = s->settings;

    if (hub_init(&s->hub, (uint64_t)set->window_bytes, (uint64_t)set->window_events,
                 (size_t)set->page_cache, position, store_epoch(store)) != ERR_OK)
        return err_set(eb, ERR_NOMEM, "out of memory for --window-bytes and --window-events");
    s->hub.feed_memory.max = (size_t)set->feed_bytes;
    return ERR_OK;
}

/* Two threads, each with a connection of its own: nothing that is read for a client delays what is
 * new. */
static enum err
start_threads(struct server *s, struct store *followed, struct store *read, int64_t position,
              struct errbuf *eb)
{
    const struct settings *set = s->settings;
    struct tail_limits limits = {(size_t)set->page_bytes, (uint32_t)set->page_rows, set->poll_ms};
    enum err err = reader_start(&s->reader, read, loop_wake, s, eb);

    if (err != ERR_OK) {
        store_close(followed);
        return err;
    }
    err = tail_start(&s->tail, followed, position, server_dialect(s), &limits, loop_wake, s, eb);
    if (err != ERR_OK) {
        reader_stop(s->reader);
        reader_destroy(s->reader);
    }
    return err;
}

static enum err
start_reading(struct server *s, struct store *store, struct errbuf *eb)
{
    struct store *read = NULL;
    int64_t position;
    enum err err = start_position(s, store, &position, eb);

    if (err == ERR_OK)
        err = store_open(&read, store_path(store), STORE_READ, STORE_SYNC_FULL, eb);
    if (err == ERR_OK)
        err = start_hub(s, store, position, eb);
    if (err != ERR_OK) {
        store_close(read);
        store_close(store);
        return err;
    }
    err = start_threads(s, store, read, position, eb);
    if (err != ERR_OK)
        hub_finish(&s->hub);
    return err;
}

static enum err
start_writing(struct server *s, struct store *store, struct errbuf *eb)
{
    struct writer_limits limits = {(size_t)s->settings->event_max,
                                   (size_t)s->settings->publish_queue};

    return store ? writer_start(&s->writer, store, &limits, loop_wake, s, eb) : ERR_OK;
}

static void
stop_writing(struct server *s)
{
    struct writer_job *job;

    if (!s->writer)
        return;
    writer_stop(s->writer);
    while ((job = writer_take(s->writer)))
        publish_written(s, job);
    writer_destroy(s->writer);
    s->writer = NULL;
}

/* After the loop: nothing is running but these threads. */
static void
stop_reading(struct server *s)
{
    reader_stop(s->reader);
    reader_deliver(s->reader);
    replay_finish(s);
    tail_ask(s->tail, &s->hub.questions.changes); /* what was asked last is dropped there */
    tail_stop(s->tail);
    reader_destroy(s->reader);
    hub_finish(&s->hub);
}

/* Who may read: the keys, and what is public. */
static enum err
read_rules(struct server *s, struct errbuf *eb)
{
    const struct settings *set = s->settings;
    enum err err = settings_public(set, &s->open, eb);

    if (err != ERR_OK)
        return err;
    return jws_keys_read(&s->token_keys, set->token_keys.values, set->token_keys.n,
                         (enum jws_algorithm)set->token_algorithm, eb);
}

/* Sockets, database, event loop and threads are there, and nobody has been served yet. */
static void
give_up_rights(const struct settings *set)
{
    struct errbuf eb;
    enum err err = set->sandbox == SANDBOX_ON ? sandbox_enter(&eb) : ERR_OK;

    if (err == ERR_OK)
        log_line(LOG_INFO, "the sandbox is %s",
                 set->sandbox == SANDBOX_ON ? "on" : "off, as --sandbox says");
    else if (err == ERR_MISSING)
        log_line(LOG_INFO, "there is no sandbox: %s", eb.text);
    else
        log_line(LOG_WARN, "serving without a sandbox: %s", eb.text);
}

/* What is there before any thread is, and after all of them. */
static void
finish_rules(struct server *s)
{
    addresses_finish(&s->addresses);
    deadlines_finish(&s->ends);
    jws_keys_finish(&s->token_keys);
    grants_finish(&s->open);
}

static enum err
start_all(struct server *s, struct store *store, struct store *writable, struct errbuf *eb)
{
    enum err err = start_writing(s, writable, eb);

    if (err != ERR_OK) {
        store_close(store);
        return err;
    }
    err = start_reading(s, store, eb);
    if (err != ERR_OK)
        stop_writing(s);
    return err;
}

enum err
server_open(struct server *s, struct settings *settings, struct store *store,
            struct store *writable, const struct request *single, struct errbuf *eb)
{
    enum err err;

    s->settings = settings;
    s->single = single;
    s->seed = (uint64_t)random() << 32 ^ (uint64_t)random();
    limit_places(s);
    init_lists(s);
    err = read_rules(s, eb);
    if (err == ERR_OK)
        err = loop_open(s, eb);
    if (err != ERR_OK) {
        finish_rules(s);
        store_close(store);
        store_close(writable);
        return err;
    }
    err = start_all(s, store, writable, eb);
    if (err != ERR_OK) {
        loop_close(s);
        finish_rules(s);
    }
    return err;
}

void
server_close(struct server *s)
{
    stop_writing(s);
    stop_reading(s);
    loop_close(s);
    finish_rules(s);
}

static enum err
serve_until_stopped(struct server *s, struct settings *settings, struct store *store,
                    struct store *writable, const struct request *single, struct errbuf *eb)
{
    enum err err = server_open(s, settings, store, writable, single, eb);

    if (err != ERR_OK)
        return err;
    give_up_rights(settings);
    loop_run(s, server_turn);
    loop_hold_signals();                /* asked for again, the end is not cut short */
    if (s->stop_asked > s->stop_served) /* it came after the last turn */
        s->reopening = false;
    server_close(s);
    return ERR_OK;
}

enum err
server_run(struct server *s, struct settings *settings, struct store *store, struct store *writable,
           const int *sockets, int n_sockets, struct errbuf *eb)
{
    int one = 1;
    enum err err;

    for (int i = 0; i < n_sockets; i++) {
        s->sockets[i] = sockets[i];
        /* Inherited by TCP's connections; refused by a unix socket, which does not need it. */
        setsockopt(sockets[i], IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    }
    s->n_sockets = n_sockets;
    err = request_setup((size_t)settings->request_max, eb);
    if (err == ERR_OK) {
        err = serve_until_stopped(s, settings, store, writable, NULL, eb);
    } else {
        store_close(store);
        store_close(writable);
    }
    request_teardown();
    return err;
}

enum err
server_run_cgi(struct server *s, struct settings *settings, struct store *store,
               const struct request *request, struct errbuf *eb)
{
    return serve_until_stopped(s, settings, store, NULL, request, eb);
}
