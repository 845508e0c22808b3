#include "tests/unit/turn_world.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "fcgi/conn.h"
#include "fcgi/conn_read.h"
#include "fcgi/loop.h"
#include "fcgi/request.h"
#include "tests/unit/front.h"
#include "tests/unit/keys.h"

enum { PATIENCE_MS = 20000, OPTIONS_MAX = 20 };

/* ---- the loop ---- */

static struct turn_world *
world_of(struct server *s)
{
    return (struct turn_world *)((char *)s - offsetof(struct turn_world, server));
}

enum err
loop_open(struct server *s, struct errbuf *eb)
{
    return poller_open(&s->poller, eb);
}

void
loop_close(struct server *s)
{
    poller_close(&s->poller);
}

void
loop_run(struct server *s, void (*turn)(struct server *s, int64_t now_ms))
{
    (void)s;
    (void)turn;
    fail_msg("the test makes the turns");
}

void
loop_stop(struct server *s)
{
    world_of(s)->stopped = true;
}

void
loop_next_turn(struct server *s, int64_t wait_ms)
{
    world_of(s)->wait_ms = wait_ms;
}

void
loop_rest(const struct server *s, int64_t us)
{
    (void)s;
    (void)us;
}

void
loop_hold_signals(void)
{
}

void
loop_listen(struct server *s)
{
    world_of(s)->listening = true;
}

void
loop_pause_listening(struct server *s, int64_t pause_ms)
{
    (void)pause_ms;
    world_of(s)->listening = false;
}

void
loop_stop_listening(struct server *s, bool keep_sockets)
{
    (void)keep_sockets;
    world_of(s)->listening = false;
}

void
loop_wake(void *context)
{
    struct turn_world *w = world_of(context);

    if (write(w->news[1], "!", 1) < 0)
        return; /* full: there is news anyway */
}

/* ---- the world ---- */

static void
parse_options(struct turn_world *w, const char *const *options)
{
    char *argv[OPTIONS_MAX + 4] = {(char *)"freshet-fcgi", (char *)"--db", w->at.path};
    enum option_outcome outcome;
    struct errbuf eb;
    int rest, argc = 3;

    for (; *options; options++) {
        assert_true(argc < OPTIONS_MAX);
        argv[argc++] = strcmp(*options, "KEY") == 0 ? w->key : (char *)*options;
    }
    if (option_parse(&settings_options, &w->settings, argc, argv, &rest, &outcome, &eb) != ERR_OK ||
        settings_check(&w->settings, &eb) != ERR_OK)
        fail_msg("%s", eb.text);
}

static void
write_key(struct turn_world *w)
{
    FILE *f;

    snprintf(w->key, sizeof w->key, "%s/key", w->at.dir);
    f = fopen(w->key, "w");
    assert_non_null(f);
    fputs(secret, f);
    fclose(f);
}

void
turn_world_open(struct turn_world *w, const char *const *options)
{
    struct store *store;
    struct errbuf eb = {""};

    *w = (struct turn_world){.now_ms = BEGIN_MS};
    log_set_level(LOG_ERROR);
    temp_db_make(&w->at);
    assert_int_equal(sqlite3_open(w->at.path, &w->db), SQLITE_OK);
    assert_int_equal(pipe2(w->news, O_NONBLOCK | O_CLOEXEC), 0);
    write_key(w);
    parse_options(w, options);
    if (request_setup((size_t)w->settings.request_max, &eb) != ERR_OK ||
        store_open(&store, w->at.path, STORE_READ, STORE_SYNC_FULL, &eb) != ERR_OK ||
        server_open(&w->server, &w->settings, store, NULL, NULL, &eb) != ERR_OK)
        fail_msg("%s", eb.text);
    pass(w, 0);
    assert_true(w->listening);
}

void
turn_world_close(struct turn_world *w)
{
    for (int i = 0; i < w->n_clients; i++) {
        close(w->clients[i].fd);
        buf_finish(&w->clients[i].got);
        buf_finish(&w->clients[i].rest);
    }
    UNTIL(w, w->server.n_conns == 0);
    server_close(&w->server);
    request_teardown();
    option_finish(&settings_options, &w->settings);
    sqlite3_close(w->db);
    temp_db_remove(&w->at);
    close(w->news[0]);
    close(w->news[1]);
}

void
pass(struct turn_world *w, int64_t ms)
{
    w->now_ms += ms;
    poller_take(&w->server.poller, conn_happened);
    server_turn(&w->server, w->now_ms);
}

void
await_news(struct turn_world *w, const char *what)
{
    struct pollfd p[2] = {{.fd = w->news[0], .events = POLLIN},
                          {.fd = w->server.poller.fd, .events = POLLIN}};
    char bytes[64];

    if (w->wait_ms > 0 && poll(p, 2, PATIENCE_MS) == 0)
        fail_msg("waited in vain for: %s", what);
    while (read(w->news[0], bytes, sizeof bytes) > 0)
        ;
    pass(w, 0);
}

/* ---- clients ---- */

static struct client *
connect_client(struct turn_world *w)
{
    struct client *c = &w->clients[w->n_clients++];
    struct conn *conn;
    int ends[2], size = 4096;

    assert_true(w->n_clients <= CLIENTS);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
    setsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    c->fd = ends[1];
    buf_init(&c->got, SIZE_MAX / 4);
    buf_init(&c->rest, SIZE_MAX / 4);
    conn = conn_create(&w->server, ends[0], false);
    assert_non_null(conn);
    conn_watch(conn);
    return c;
}

void
say(struct client *c, struct text bytes)
{
    assert_int_equal(write(c->fd, bytes.p, bytes.n), (ssize_t)bytes.n);
}

struct client *
ask(struct turn_world *w, const char *query, bool keep, const char *const *more)
{
    struct client *c = connect_client(w);
    struct buf pairs, bytes;

    buf_init(&pairs, REQUEST_MAX);
    buf_init(&bytes, REQUEST_MAX);
    put_pair(&pairs, TEXT_LIT("REQUEST_METHOD"), TEXT_LIT("GET"));
    put_pair(&pairs, TEXT_LIT("QUERY_STRING"), text_of(query));
    put_pair(&pairs, TEXT_LIT("REMOTE_ADDR"), TEXT_LIT("192.0.2.1"));
    for (; more && *more; more += 2)
        put_pair(&pairs, text_of(more[0]), text_of(more[1]));
    put_request(&bytes, 1, buf_view(&pairs), 65535, 0);
    put_record(&bytes, STDIN, 1, TEXT_LIT(""), 0);
    bytes.data[RECORD_HEAD + 2] = keep; /* FCGI_KEEP_CONN */
    say(c, buf_view(&bytes));
    buf_finish(&pairs);
    buf_finish(&bytes);
    return c;
}

struct client *
stream_of(struct turn_world *w, const char *query)
{
    struct client *c = ask(w, query, false, NULL);

    UNTIL(w, has_got(c, "event: freshet:live"));
    return c;
}

/* FastCGI 1.0, section 3.3: contents of FCGI_STDOUT (6), and FCGI_END_REQUEST (3). */
static void
unframe(struct client *c)
{
    size_t at = 0;

    while (c->rest.length - at >= RECORD_HEAD) {
        const unsigned char *p = (const unsigned char *)c->rest.data + at;
        size_t n = (size_t)p[4] << 8 | p[5], all = RECORD_HEAD + n + p[6];

        if (c->rest.length - at < all)
            break;
        if (p[1] == 6)
            buf_append(&c->got, p + RECORD_HEAD, n);
        c->ended = c->ended || p[1] == 3;
        at += all;
    }
    if (at > 0) {
        memmove(c->rest.data, c->rest.data + at, c->rest.length - at);
        c->rest.length -= at;
    }
}

static void
take(struct client *c)
{
    char bytes[65536];
    ssize_t n;

    while ((n = read(c->fd, bytes, sizeof bytes)) > 0)
        buf_append(&c->rest, bytes, (size_t)n);
    c->closed = c->closed || n == 0 || (errno != EAGAIN && errno != EWOULDBLOCK);
    unframe(c);
}

bool
has_got(struct client *c, const char *text)
{
    take(c);
    return c->got.length > 0 && memmem(c->got.data, c->got.length, text, strlen(text));
}

bool
has_ended(struct client *c)
{
    take(c);
    return c->ended;
}

bool
is_closed(struct client *c)
{
    take(c);
    return c->closed;
}

void
sql(struct turn_world *w, const char *text)
{
    char *why = NULL;

    if (sqlite3_exec(w->db, text, NULL, NULL, &why) != SQLITE_OK)
        fail_msg("%s: %s", text, why);
}
