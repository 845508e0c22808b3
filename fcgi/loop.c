#include "fcgi/loop.h"

#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "fcgi/conn.h"

static const int signal_numbers[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1};

static void
on_prepare(uv_prepare_t *handle)
{
    struct server *s = handle->data;

    s->on_turn(s);
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
on_reader_news(uv_async_t *handle)
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
        uv_poll_start(&s->listeners[i], UV_READABLE, on_listener);
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
        uv_poll_stop(&s->listeners[i]);
    uv_timer_start(&s->accept_timer, listen_again, (uint64_t)pause_ms, 0);
}

void
loop_stop_listening(struct server *s, bool keep_sockets)
{
    uv_timer_stop(&s->accept_timer);
    for (int i = 0; i < s->n_sockets; i++) {
        uv_close((uv_handle_t *)&s->listeners[i], NULL);
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
    failed = uv_poll_init(&s->loop, &s->poller_watch, s->poller.fd);
    if (failed)
        return err_set(eb, ERR_IO, "cannot watch connections: %s", uv_strerror(failed));
    s->poller_watch.data = s;
    uv_poll_start(&s->poller_watch, UV_READABLE, on_connections);
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
    int failed = uv_loop_init(&s->loop);

    s->poller.fd = -1;
    if (failed)
        return err_set(eb, ERR_IO, "cannot start the event loop: %s", uv_strerror(failed));
    if (watch_connections(s, eb) != ERR_OK) {
        s->n_sockets = 0;
        loop_close(s);
        return ERR_IO;
    }
    uv_prepare_init(&s->loop, &s->turn);
    s->turn.data = s;
    uv_timer_init(&s->loop, &s->timer);
    uv_timer_init(&s->loop, &s->accept_timer);
    s->accept_timer.data = s;
    uv_async_init(&s->loop, &s->reader_news, on_reader_news);
    for (size_t i = 0; i < sizeof signal_numbers / sizeof *signal_numbers; i++) {
        uv_signal_init(&s->loop, &s->signals[i]);
        s->signals[i].data = s;
        uv_signal_start(&s->signals[i], on_signal, signal_numbers[i]);
    }
    mask_signals(SIG_UNBLOCK);
    for (int i = 0; i < s->n_sockets; i++) {
        failed = uv_poll_init(&s->loop, &s->listeners[i], s->sockets[i]);
        if (failed) {
            s->n_sockets = i;
            loop_close(s);
            return err_set(eb, ERR_IO, "cannot watch the listening socket: %s",
                           uv_strerror(failed));
        }
        s->listeners[i].data = s;
    }
    return ERR_OK;
}

void
loop_run(struct server *s, void (*turn)(struct server *s))
{
    s->on_turn = turn;
    uv_prepare_start(&s->turn, on_prepare);
    uv_run(&s->loop, UV_RUN_DEFAULT);
}

void
loop_stop(struct server *s)
{
    uv_stop(&s->loop);
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
    uv_walk(&s->loop, close_handle, NULL);
    uv_run(&s->loop, UV_RUN_DEFAULT);
    uv_loop_close(&s->loop);
    poller_close(&s->poller);
}

void
loop_next_turn(struct server *s, int64_t wait_ms)
{
    if (wait_ms == INT64_MAX)
        uv_timer_stop(&s->timer);
    else
        uv_timer_start(&s->timer, on_timer, (uint64_t)wait_ms, 0);
}

void
loop_wake(void *context)
{
    struct server *s = context;

    uv_async_send(&s->reader_news);
}
