/* load_client: one process with its streams, on one epoll descriptor. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "bench/load_shared.h"
#include "bench/load_sse.h"

enum {
    READ_MAX_BYTES = 256 * 1024,
    SLOW_RECEIVE_BUFFER = 4096,
    TICK_MS = 20,     /* slow readers, and streams that come and go */
    IDLE_WAIT_MS = 5, /* how soon an order is seen */
    FAILED_WAIT_MS = 100,
};

enum stream_state {
    STREAM_CLOSED,
    STREAM_CONNECTING,
    STREAM_ASKED, /* the request is sent, the head has not come */
    STREAM_OPEN,
    STREAM_AWAY, /* comes back at due_ns */
};

struct stream {
    int fd, topic;
    enum stream_state state;
    enum reader reader;
    bool frozen; /* is not in epoll: a slow reader, read by the tick */
    bool reached, had_first, leaving;
    int taken;        /* events on this connection */
    int64_t seq;      /* the newest seen, -1 when any may come first */
    int64_t asked_ns; /* when connect() was called */
    int64_t due_ns;   /* when it leaves or returns by itself; 0 = never */
    double credit;    /* bytes that a slow reader may read */
    struct sse sse;
};

static const struct settings *set;
static struct common *common;
static struct figures *fig;
static struct stream *streams;
static struct epoll_event *ready;
static char *bytes;
static int count, first_index, epoll, opening, next_to_open;
static int64_t now_ns, aim = INT64_MAX;

int64_t
load_now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* Whether one more may be opened now. Streams that leave after their first events count until then.
 */
static bool
may_open(void)
{
    return opening + (set->leave_after ? (int)fig->open : 0) < set->opening_max;
}

/* Evenly from half to one and a half of the mean. */
static int64_t
around_ns(double mean_s)
{
    return (int64_t)(mean_s * 1e9 * (0.5 + (double)random() / (double)RAND_MAX));
}

static void
watch(struct stream *s, int operation, uint32_t events)
{
    struct epoll_event e = {.events = events, .data.ptr = s};

    epoll_ctl(epoll, operation, s->fd, &e);
}

/* Ends the connection; with due_ns it will come back then. */
static void
leave(struct stream *s, int64_t due_ns)
{
    if (s->fd >= 0)
        close(s->fd);
    if (s->state == STREAM_CONNECTING || s->state == STREAM_ASKED)
        opening--;
    if (s->state == STREAM_OPEN)
        fig->open--;
    s->fd = -1;
    s->state = due_ns ? STREAM_AWAY : STREAM_CLOSED;
    s->due_ns = due_ns;
}

static void
failed(struct stream *s)
{
    fig->open_failed++;
    leave(s, now_ns + FAILED_WAIT_MS * 1000000ll);
}

static void
ended(struct stream *s)
{
    if (s->state != STREAM_OPEN) {
        failed(s);
        return;
    }
    fig->of[s->reader].closed++;
    leave(s, set->return_s < 0 ? 0 : now_ns + around_ns(set->return_s) + 1);
}

static void
connect_stream(struct stream *s)
{
    struct sockaddr_in from = {.sin_family = AF_INET}, to = {.sin_family = AF_INET};
    int one = 1, buffer = s->reader == READER_SLOW ? SLOW_RECEIVE_BUFFER : set->receive_buffer;

    now_ns = load_now_ns();
    s->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    s->state = STREAM_CONNECTING;
    opening++;
    if (s->fd < 0) {
        failed(s);
        return;
    }
    sse_begin(&s->sse);
    s->asked_ns = now_ns;
    s->due_ns = 0;
    s->taken = 0;
    s->had_first = s->leaving = s->frozen = false;
    setsockopt(s->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (buffer)
        setsockopt(s->fd, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof buffer);
    /* The port is chosen at connect(), where it need only differ for the same pair of addresses. */
    setsockopt(s->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
    from.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1 + (uint32_t)((s - streams) % set->sources));
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    to.sin_port = htons((uint16_t)set->port);
    if (bind(s->fd, (struct sockaddr *)&from, sizeof from) < 0 ||
        (connect(s->fd, (struct sockaddr *)&to, sizeof to) < 0 && errno != EINPROGRESS)) {
        failed(s);
        return;
    }
    watch(s, EPOLL_CTL_ADD, EPOLLOUT);
}

static void
ask(struct stream *s)
{
    const char *id = sse_last_id(&s->sse)[0] ? sse_last_id(&s->sse) : set->last_id;
    const char *number = strstr(set->path, "%d");
    char request[2048];
    int length = number ? (int)(number - set->path) : (int)strlen(set->path), n;

    n = snprintf(request, sizeof request, "GET %.*s", length, set->path);
    if (number)
        n += snprintf(request + n, sizeof request - (size_t)n, "%d%s", s->topic, number + 2);
    n += snprintf(request + n, sizeof request - (size_t)n,
                  " HTTP/1.1\r\nHost: bench\r\nAccept: text/event-stream\r\n%s%s%s\r\n",
                  id ? "Last-Event-ID: " : "", id ? id : "", id ? "\r\n" : "");
    if (send(s->fd, request, (size_t)n, MSG_NOSIGNAL) != n) {
        failed(s);
        return;
    }
    s->state = STREAM_ASKED;
    watch(s, EPOLL_CTL_MOD, EPOLLIN);
}

static void
opened(struct stream *s)
{
    opening--;
    s->state = STREAM_OPEN;
    fig->opened++;
    fig->open++;
    fig->last_open_ns = now_ns;
    hist_add(&fig->connect, now_ns - s->asked_ns);
    if (set->stay_s > 0)
        s->due_ns = now_ns + around_ns(set->stay_s);
    if (s->reader == READER_SLOW && set->slow_rate >= 0) {
        s->frozen = true;
        watch(s, EPOLL_CTL_DEL, 0);
    }
}

static void
reached(struct stream *s)
{
    s->reached = true;
    fig->reached++;
    fig->last_reached_ns = now_ns;
}

/* After the aim or the stream's position was set. */
static void
count_reached(struct stream *s)
{
    fig->reached -= s->reached;
    s->reached = false;
    if (s->seq >= aim)
        reached(s);
}

static void
on_event(void *stream, const struct sse_event *e)
{
    struct stream *s = stream;
    struct counts *c = &fig->of[s->reader];

    if (s->leaving)
        return;
    c->events++;
    fig->last_event_ns = now_ns;
    if (!s->had_first)
        hist_add(&fig->first, now_ns - s->asked_ns);
    s->had_first = true;
    if (set->leave_after && ++s->taken >= set->leave_after)
        s->leaving = true;
    if (e->t > 0)
        hist_add(&c->latency, now_ns - e->t);
    if (e->seq < 0) {
        fig->unnumbered++;
        return;
    }
    if (s->seq >= 0 && e->seq != s->seq + 1) {
        if (e->seq <= s->seq) {
            *(e->seq == s->seq ? &c->doubled : &c->backward) += 1;
            return;
        }
        c->missing += (uint64_t)(e->seq - s->seq - 1);
    }
    s->seq = e->seq;
    if (e->seq >= aim && !s->reached)
        reached(s);
}

static void
on_signal(void *stream, const char *name, size_t length)
{
    (void)stream;
    if (length >= 5 && memcmp(name, "reset", 5) == 0)
        fig->resets++;
}

static void
on_comment(void *stream)
{
    (void)stream;
    fig->comments++;
}

static void
take(struct stream *s, size_t most)
{
    static const struct sse_sink sink = {on_event, on_signal, on_comment};
    ssize_t n = recv(s->fd, bytes, most, 0);
    enum sse_state state;

    now_ns = load_now_ns();
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        ended(s);
        return;
    }
    fig->bytes += (uint64_t)n;
    state = sse_take(&s->sse, bytes, (size_t)n, &sink, s);
    if (s->state == STREAM_ASKED && state != SSE_HEAD && state != SSE_ERROR)
        opened(s);
    if (state == SSE_ENDED || state == SSE_ERROR)
        ended(s);
    else if (s->leaving) {
        fig->left++;
        leave(s, 0);
    }
}

static void
order(void)
{
    enum order what = common->order;
    int64_t argument = common->argument;

    if (what == ORDER_AIM && argument == aim)
        return; /* it is being counted already, with the time */
    if (what == ORDER_AIM)
        aim = argument;
    if (what == ORDER_OPEN)
        next_to_open = 0;
    for (int i = 0; i < count; i++) {
        struct stream *s = &streams[i];

        if (what == ORDER_CLOSE) {
            leave(s, 0);
        } else if (what == ORDER_OPEN && argument >= 0) {
            s->seq = argument - 1;
            sse_forget(&s->sse);
            count_reached(s);
        } else if (what == ORDER_AIM) {
            count_reached(s);
        } else if (what == ORDER_THAW && s->frozen) {
            s->frozen = false;
            watch(s, EPOLL_CTL_ADD, EPOLLIN);
        }
    }
    if (what == ORDER_CLOSE)
        next_to_open = count;
}

/* What happens by the clock: slow readers read, streams leave and return. */
static void
tick(void)
{
    for (int i = 0; i < count; i++) {
        struct stream *s = &streams[i];

        if (s->frozen && s->state == STREAM_OPEN && set->slow_rate > 0) {
            s->credit += (double)set->slow_rate * TICK_MS / 1000;
            if (s->credit >= 64) {
                take(s, (size_t)s->credit);
                s->credit = 0;
            }
        }
        if (!s->due_ns || s->due_ns > now_ns)
            continue;
        if (s->state == STREAM_OPEN)
            leave(s, now_ns + around_ns(set->away_s) + 1);
        else if (s->state == STREAM_AWAY && may_open())
            connect_stream(s);
    }
}

/* What the next wait may last: a reader that comes every pace_ms is not woken between. */
static void
wait_and_take(void)
{
    static int64_t pace_ns;
    int wait_ms = next_to_open < count && may_open() ? 0 : IDLE_WAIT_MS, n;

    if (set->pace_ms && next_to_open >= count && !opening) {
        int64_t step = set->pace_ms * 1000000ll;
        struct timespec at;

        now_ns = load_now_ns();
        pace_ns = pace_ns + step > now_ns ? pace_ns + step : now_ns;
        at = (struct timespec){pace_ns / 1000000000, pace_ns % 1000000000};
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL);
        wait_ms = 0;
    }
    n = epoll_wait(epoll, ready, count, wait_ms);
    now_ns = load_now_ns();
    for (int i = 0; i < n; i++) {
        struct stream *s = ready[i].data.ptr;

        if (s->state == STREAM_CONNECTING)
            ask(s);
        else if (s->fd >= 0)
            take(s, READ_MAX_BYTES);
    }
}

static void
prepare(void)
{
    streams = calloc((size_t)count, sizeof *streams);
    ready = calloc((size_t)count, sizeof *ready);
    bytes = malloc(READ_MAX_BYTES);
    epoll = epoll_create1(EPOLL_CLOEXEC);
    if (!streams || !ready || !bytes || epoll < 0) {
        perror("load");
        exit(1);
    }
    prctl(PR_SET_TIMERSLACK, 1000);
    srandom((unsigned)first_index + 1);
    for (int i = 0; i < count; i++) {
        struct stream *s = &streams[i];
        int64_t index = first_index + i;

        s->fd = -1;
        s->seq = -1;
        s->topic = (int)(index % set->topics);
        /* The slow ones are spread evenly among all. */
        if (index * set->slow / set->streams != (index + 1) * set->slow / set->streams)
            s->reader = READER_SLOW;
    }
    next_to_open = count;
}

void
client_run(const struct settings *settings, struct common *shared, int child, int first, int n)
{
    struct share *mine = &shared->child[child];
    int64_t next_tick = 0;

    set = settings;
    common = shared;
    fig = &mine->figures;
    first_index = first;
    count = n;
    prepare();
    for (;;) {
        unsigned number = atomic_load(&common->number);

        if (number != atomic_load(&mine->done)) {
            if (common->order == ORDER_QUIT)
                return; /* the kernel closes and frees */
            now_ns = load_now_ns();
            order();
            atomic_store(&mine->done, number);
        }
        for (int burst = 0; next_to_open < count && may_open() && burst < 64; burst++) {
            struct stream *s = &streams[next_to_open++];

            if (s->state == STREAM_CLOSED || s->state == STREAM_AWAY)
                connect_stream(s);
        }
        wait_and_take();
        if (now_ns >= next_tick) {
            tick();
            next_tick = now_ns + TICK_MS * 1000000ll;
        }
    }
}
