/* publish_http: events are POSTed over one kept connection, pipelined. */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench/publish.h"

enum {
    UNANSWERED_MAX = 32,
    ANSWER_WAIT_MS = 10000,
};

static int fd = -1, unanswered;
static char out[1 << 20], in[1 << 16];
static size_t out_length, in_length, body_left;

static void
http_open(const char *where)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(where))};
    int one = 1;

    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof to) < 0)
        publish_fail("connect", strerror(errno));
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
}

static void
http_begin(void)
{
}

/* Takes one whole answer's head off `in`; 0 when there is none yet. */
static int
head(void)
{
    char *end = memmem(in, in_length, "\r\n\r\n", 4), *length;
    size_t used;

    if (!end)
        return 0;
    *end = '\0';
    if (in_length < 12 || in[9] != '2')
        publish_fail("the server answered", in);
    length = strcasestr(in, "\r\nContent-Length:");
    if (!length && !strstr(in, " 204 "))
        publish_fail("an answer without Content-Length", in);
    body_left = length ? strtoul(length + 17, NULL, 10) : 0;
    used = (size_t)(end + 4 - in);
    memmove(in, in + used, in_length - used);
    in_length -= used;
    unanswered--;
    return 1;
}

/* Reads what has come, or waits for something. */
static void
answers(int wait_ms)
{
    struct pollfd p = {fd, POLLIN, 0};

    if (poll(&p, 1, wait_ms) <= 0) {
        if (wait_ms > 0)
            publish_fail("the server", "no answer");
        return;
    }
    ssize_t n = read(fd, in + in_length, sizeof in - 1 - in_length);

    if (n <= 0)
        publish_fail("read", n ? strerror(errno) : "the server closed the connection");
    in_length += (size_t)n;
    do {
        size_t body = body_left < in_length ? body_left : in_length;

        memmove(in, in + body, in_length - body);
        in_length -= body;
        body_left -= body;
    } while (!body_left && head());
}

static void
flush(void)
{
    for (size_t done = 0; done < out_length;) {
        ssize_t n = write(fd, out + done, out_length - done);

        if (n < 0)
            publish_fail("write", strerror(errno));
        done += (size_t)n;
    }
    out_length = 0;
}

static void
http_event(int topic, const char *data, size_t length)
{
    if (out_length + length + 256 > sizeof out)
        flush();
    out_length += (size_t)sprintf(out + out_length,
                                  "POST /pub/t%d HTTP/1.1\r\nHost: bench\r\n"
                                  "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n",
                                  topic, length);
    memcpy(out + out_length, data, length);
    out_length += length;
    if (++unanswered >= UNANSWERED_MAX) {
        flush();
        while (unanswered >= UNANSWERED_MAX)
            answers(ANSWER_WAIT_MS);
    }
}

static void
http_end(void)
{
    flush();
    answers(0);
}

static void
http_close(void)
{
    while (unanswered > 0)
        answers(ANSWER_WAIT_MS);
    close(fd);
}

const struct sink sink_http = {http_open, http_begin, http_event, http_end, http_close};
