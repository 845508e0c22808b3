/* client: one follower of a stream that comes back by itself, for the crash campaign.
 *
 *   client [--slow] [--sabotage drop|double|skip] HOST:PORT PATH
 *
 * It does what HTML says of an EventSource, and no more: Last-Event-ID is the last id that it saw
 * whole, it comes back after whatever ends the connection, and any status but 200 is its end. It
 * neither sorts nor compares ids. On standard output it says, a line each, fields parted by tabs:
 *
 *   event MS ID TYPE LENGTH HASH      HASH: FNV-1a, 32 bits, of the data
 *   signal MS NAME DATA               freshet:live, freshet:reset
 *   open MS  |  end MS                a connection; MS: CLOCK_REALTIME
 *   dead MS WHY                       the last line
 *
 * --slow reads a little at a time, so that the responder has to get from the table what does not
 * fit. --sabotage makes it a client that is wrong: it keeps one event to itself, notes one twice,
 * or asks for the event after the next one when it comes back. The campaign must notice each. */
#include <inttypes.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "stream/sse_decode.h"

enum {
    READ_BYTES = 65536,
    SLOW_BYTES = 2048,
    SLOW_BUFFER = 8192,
    SLOW_PAUSE_US = 2000,
    DATA_MAX = 4 << 20,
    HEAD_MAX = 16384,
    RETRY_MIN_MS = 100,
    RETRY_SPREAD_MS = 200,
    SILENCE_S = 10,     /* longer than the heartbeat that the campaign sets */
    SABOTAGE_AFTER = 50 /* events */
};

static bool slow;
static const char *sabotage = "";

/* Chunked transfer coding, RFC 9112 section 7.1, of which only the sizes matter here. */
struct chunks {
    bool chunked, in_size, ended;
    uint64_t left; /* bytes of the chunk, with the CRLF behind it, that have not come */
    uint64_t size;
};

struct client {
    struct sse_decode decode;
    struct chunks chunks;
    char head[HEAD_MAX];
    size_t head_length;
    bool in_body, dead;
    uint64_t events;
};

static int64_t
now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static uint32_t
hash(struct text s)
{
    uint32_t h = 2166136261u;

    for (size_t i = 0; i < s.n; i++)
        h = (h ^ (unsigned char)s.p[i]) * 16777619u;
    return h;
}

static void
note_event(struct client *c, const struct sse_message *m)
{
    struct text id = sse_decode_last_id(&c->decode);
    int times = 1;

    c->events++;
    if (c->events == SABOTAGE_AFTER && strcmp(sabotage, "drop") == 0)
        times = 0;
    if (c->events == SABOTAGE_AFTER && strcmp(sabotage, "double") == 0)
        times = 2;
    for (int i = 0; i < times; i++)
        printf("event\t%" PRId64 "\t%.*s\t%.*s\t%zu\t%08" PRIx32 "\n", now_ms(), (int)id.n, id.p,
               m->type.p ? (int)m->type.n : 7, m->type.p ? m->type.p : "message", m->data.n,
               hash(m->data));
}

static void
note(struct client *c, const struct sse_message *m)
{
    if (m->broken)
        printf("dead\t%" PRId64 "\tan event that is too long\n", now_ms());
    else if (m->type.p && text_starts(m->type, TEXT_LIT("freshet:")))
        printf("signal\t%" PRId64 "\t%.*s\t%.*s\n", now_ms(), (int)m->type.n, m->type.p,
               (int)m->data.n, m->data.p);
    else
        note_event(c, m);
    c->dead = c->dead || m->broken;
}

static void
take_events(struct client *c, struct text bytes)
{
    struct sse_message m;

    while (!c->dead && sse_decode_next(&c->decode, &bytes, &m))
        note(c, &m);
}

/* One byte of a line with a chunk's size. */
static void
take_size(struct chunks *k, char byte)
{
    const char *digits = "0123456789abcdef", *digit = memchr(digits, byte | 0x20, 16);

    if (byte == '\n') {
        k->in_size = false;
        k->ended = k->size == 0;
        k->left = k->size + 2;
        k->size = 0;
    } else if (digit) {
        k->size = k->size * 16 + (uint64_t)(digit - digits);
    }
}

static void
take_body(struct client *c, const char *p, size_t n)
{
    struct chunks *k = &c->chunks;

    if (!k->chunked)
        take_events(c, (struct text){p, n});
    while (k->chunked && n > 0 && !k->ended) {
        if (k->in_size) {
            take_size(k, *p++);
            n--;
        } else {
            size_t piece = n < k->left ? n : (size_t)k->left;
            size_t data = k->left <= 2 ? 0 : piece > k->left - 2 ? (size_t)k->left - 2 : piece;

            take_events(c, (struct text){p, data});
            p += piece;
            n -= piece;
            k->left -= piece;
            k->in_size = k->left == 0;
        }
    }
}

static void
take_head(struct client *c)
{
    int status = 0;

    c->in_body = true;
    if (sscanf(c->head, "HTTP/1.%*d %d", &status) != 1 || status != 200 ||
        !strcasestr(c->head, "content-type: text/event-stream")) {
        printf("dead\t%" PRId64 "\t%.*s\n", now_ms(), (int)strcspn(c->head, "\r\n"), c->head);
        c->dead = true;
        return;
    }
    c->chunks = (struct chunks){.chunked = strcasestr(c->head, "transfer-encoding: chunked"),
                                .in_size = true};
    printf("open\t%" PRId64 "\n", now_ms());
}

static void
take(struct client *c, const char *p, size_t n)
{
    while (!c->in_body && n > 0) {
        if (c->head_length == HEAD_MAX - 1) {
            printf("dead\t%" PRId64 "\ta head without an end\n", now_ms());
            c->dead = true;
            return;
        }
        c->head[c->head_length++] = *p++;
        c->head[c->head_length] = '\0';
        n--;
        if (c->head_length >= 4 && memcmp(c->head + c->head_length - 4, "\r\n\r\n", 4) == 0)
            take_head(c);
    }
    if (!c->dead && n > 0)
        take_body(c, p, n);
}

static int
dial(const struct addrinfo *to)
{
    struct timeval silence = {.tv_sec = SILENCE_S};
    int small = SLOW_BUFFER, fd = socket(to->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &silence, sizeof silence);
    if (slow)
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    if (connect(fd, to->ai_addr, to->ai_addrlen) == 0)
        return fd;
    close(fd);
    return -1;
}

static bool
ask(struct client *c, int fd, const char *host, const char *path)
{
    struct text id = sse_decode_last_id(&c->decode);
    char last[SSE_DECODE_ID_MAX + 32] = "", request[SSE_DECODE_ID_MAX + 4096];
    int n;

    if (id.n && strcmp(sabotage, "skip") == 0 && c->events > SABOTAGE_AFTER)
        snprintf(last, sizeof last, "Last-Event-ID: %lld\r\n", atoll(id.p) + 1);
    else if (id.n)
        snprintf(last, sizeof last, "Last-Event-ID: %.*s\r\n", (int)id.n, id.p);
    n = snprintf(request, sizeof request,
                 "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n"
                 "Accept: text/event-stream\r\n%s\r\n",
                 path, host, last);
    return send(fd, request, (size_t)n, MSG_NOSIGNAL) == n;
}

static void
follow_once(struct client *c, const struct addrinfo *to, const char *host, const char *path)
{
    static char bytes[READ_BYTES];
    size_t room = slow ? SLOW_BYTES : READ_BYTES;
    int fd = dial(to);
    ssize_t n;

    if (fd < 0)
        return;
    c->in_body = false;
    c->head_length = 0;
    sse_decode_restart(&c->decode, 1);
    if (ask(c, fd, host, path))
        while (!c->dead && !c->chunks.ended && (n = recv(fd, bytes, room, 0)) > 0) {
            take(c, bytes, (size_t)n);
            fflush(stdout);
            if (slow)
                usleep(SLOW_PAUSE_US);
        }
    c->chunks.ended = false;
    close(fd);
    printf("end\t%" PRId64 "\n", now_ms());
    fflush(stdout);
}

int
main(int argc, char **argv)
{
    static struct client client;
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_family = AF_INET}, *to;
    char host[256];
    char *colon;

    for (; argc > 1 && strncmp(argv[1], "--", 2) == 0; argc--, argv++) {
        if (strcmp(argv[1], "--slow") == 0) {
            slow = true;
        } else if (strcmp(argv[1], "--sabotage") == 0 && argc > 2) {
            sabotage = argv[2];
            argc--;
            argv++;
        } else {
            break;
        }
    }
    if (argc != 3 || strlen(argv[1]) >= sizeof host || !(colon = strrchr(argv[1], ':'))) {
        fprintf(stderr, "usage: client [--slow] [--sabotage drop|double|skip] HOST:PORT PATH\n");
        return 64;
    }
    memcpy(host, argv[1], (size_t)(colon - argv[1]));
    host[colon - argv[1]] = '\0';
    if (getaddrinfo(host, colon + 1, &hints, &to) != 0) {
        fprintf(stderr, "client: no such address: %s\n", argv[1]);
        return 1;
    }
    srandom((unsigned)getpid());
    sse_decode_init(&client.decode, DATA_MAX);
    while (!client.dead && !ferror(stdout)) {
        follow_once(&client, to, argv[1], argv[2]);
        if (!client.dead)
            usleep((RETRY_MIN_MS + (unsigned)random() % RETRY_SPREAD_MS) * 1000);
    }
    sse_decode_finish(&client.decode);
    freeaddrinfo(to);
    return 1;
}
