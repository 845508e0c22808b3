#include "fcgi/loop.h"

#include <signal.h>
#include <stdlib.h>
#include <unistd.h>
#include <uv.h>

#include "base/clock.h"
#include "base/mem.h"
#include "fcgi/conn.h"

static const int signal_numbers[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1};

/* The handles' data is the server. */
struct loop {
    uv_loop_t uv;
    uv_prepare_t prepare; /* calls turn() before the loop waits */
    void (*turn)(struct server *s, int64_t now_ms);
    uv_timer_t timer;        /* the next timeout of any list; 0 when a turn has left work */
    uv_timer_t accept_timer; /* accepting pauses until then */
    uv_async_t news;         /* of the threads */
    uv_signal_t signals[sizeof signal_numbers / sizeof *signal_numbers];
    uv_poll_t listeners[SERVER_SOCKETS_MAX];
    uv_poll_t connections; /* libuv waits for the poller */
};

static void
on_prepare(uv_prepare_t *handle)
{
    struct server *s = handle->data;

    s->loop->turn(s, clock_mono_ms());
}

static void
on_listener(uv_poll_t *handle, int status, int events)
{
    struct server *s = handle->data;

    (void)status;
    (void)events;
    s->accept_due = true;
}

static void
on_connections(uv_poll_t *handle, int status, int events)
{
    const struct server *s = handle->data;

    (void)status;
    (void)events;
    poller_take(&s->poller, conn_happened);
}

/* These only end the loop's waiting: the turn that follows looks at the clock and at the threads.
 */
static void
on_timer(uv_timer_t *handle)
{
    (void)handle;
}

static void
on_news(uv_async_t *handle)
{
    (void)handle;
}

static void
on_signal(uv_signal_t *handle, int number)
{
    struct server *s = handle->data;

    if (number == SIGHUP)
        s->reload_due = true;
    else if (number == SIGUSR1)
        s->counters_due = true;
    else
        s->stop_asked++;
}

void
loop_listen(struct server *s)
{
    for (int i = 0; i < s->n_sockets; i++)
        uv_poll_start(&s->loop->listeners[i], UV_READABLE, on_listener);
}

static void
listen_again(uv_timer_t *handle)
{
    loop_listen(handle->data);
}

void
loop_pause_listening(struct server *s, int64_t pause_ms)
{
    for (int i = 0; i < s->n_sockets; i++)
        uv_poll_stop(&s->loop->listeners[i]);
    uv_timer_start(&s->loop->accept_timer, listen_again, (uint64_t)pause_ms, 0);
}

void
loop_stop_listening(struct server *s, bool keep_sockets)
{
    uv_timer_stop(&s->loop->accept_timer);
    for (int i = 0; i < s->n_sockets; i++) {
        uv_close((uv_handle_t *)&s->loop->listeners[i], NULL);
        if (!keep_sockets)
            close(s->sockets[i]);
    }
    s->n_sockets = 0;
}

/* The set of connections, and libuv's handle that waits for it. */
static enum err
watch_connections(struct server *s, struct errbuf *eb)
{
    int failed;

    if (poller_open(&s->poller, eb) != ERR_OK)
        return ERR_IO;
    failed = uv_poll_init(&s->loop->uv, &s->loop->connections, s->poller.fd);
    if (failed)
        return err_set(eb, ERR_IO, "cannot watch connections: %s", uv_strerror(failed));
    s->loop->connections.data = s;
    uv_poll_start(&s->loop->connections, UV_READABLE, on_connections);
    return ERR_OK;
}

static void
mask_signals(int how)
{
    sigset_t set;

    sigemptyset(&set);
    for (size_t i = 0; i < sizeof signal_numbers / sizeof *signal_numbers; i++)
        sigaddset(&set, signal_numbers[i]);
    pthread_sigmask(how, &set, NULL);
}

void
loop_hold_signals(void)
{
    mask_signals(SIG_BLOCK);
}

enum err
loop_open(struct server *s, struct errbuf *eb)
{
    int failed;

    s->poller.fd = -1;
    s->loop = mem_zalloc(sizeof *s->loop);
    if (!s->loop)
        return err_nomem(eb);
    failed = uv_loop_init(&s->loop->uv);
    if (failed) {
        mem_free(s->loop);
        return err_set(eb, ERR_IO, "cannot start the event loop: %s", uv_strerror(failed));
    }
    if (watch_connections(s, eb) != ERR_OK) {
        s->n_sockets = 0;
        loop_close(s);
        return ERR_IO;
    }
    uv_prepare_init(&s->loop->uv, &s->loop->prepare);
    s->loop->prepare.data = s;
    uv_timer_init(&s->loop->uv, &s->loop->timer);
    uv_timer_init(&s->loop->uv, &s->loop->accept_timer);
    s->loop->accept_timer.data = s;
    uv_async_init(&s->loop->uv, &s->loop->news, on_news);
    for (size_t i = 0; i < sizeof signal_numbers / sizeof *signal_numbers; i++) {
        uv_signal_init(&s->loop->uv, &s->loop->signals[i]);
        s->loop->signals[i].data = s;
        uv_signal_start(&s->loop->signals[i], on_signal, signal_numbers[i]);
    }
    mask_signals(SIG_UNBLOCK);
    for (int i = 0; i < s->n_sockets; i++) {
        failed = uv_poll_init(&s->loop->uv, &s->loop->listeners[i], s->sockets[i]);
        if (failed) {
            s->n_sockets = i;
            loop_close(s);
            return err_set(eb, ERR_IO, "cannot watch the listening socket: %s",
                           uv_strerror(failed));
        }
        s->loop->listeners[i].data = s;
    }
    return ERR_OK;
}

void
loop_run(struct server *s, void (*turn)(struct server *s, int64_t now_ms))
{
    s->loop->turn = turn;
    uv_prepare_start(&s->loop->prepare, on_prepare);
    uv_run(&s->loop->uv, UV_RUN_DEFAULT);
}

void
loop_stop(struct server *s)
{
    uv_stop(&s->loop->uv);
}

static void
close_handle(uv_handle_t *handle, void *context)
{
    (void)context;
    if (!uv_is_closing(handle))
        uv_close(handle, NULL);
}

void
loop_close(struct server *s)
{
    uv_walk(&s->loop->uv, close_handle, NULL);
    uv_run(&s->loop->uv, UV_RUN_DEFAULT);
    uv_loop_close(&s->loop->uv);
    poller_close(&s->poller);
    mem_free(s->loop);
    s->loop = NULL;
}

void
loop_next_turn(struct server *s, int64_t wait_ms)
{
    if (wait_ms == INT64_MAX)
        uv_timer_stop(&s->loop->timer);
    else
        uv_timer_start(&s->loop->timer, on_timer, (uint64_t)wait_ms, 0);
}

void
loop_rest(const struct server *s, int64_t us)
{
    (void)s;
    clock_rest_us(us);
}

void
loop_wake(void *context)
{
    struct server *s = context;

    uv_async_send(&s->loop->news);
}
