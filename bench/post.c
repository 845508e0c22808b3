/* post PORT CONNECTIONS BATCH FILE: publishes the lines of FILE (NDJSON) by POST to /events on
 * loopback, BATCH lines a request, over so many connections at once, each with one request at a
 * time. A batch of one line is sent as application/json. Every answer must be 201. Prints events
 * per second. */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <fcntl.h>
#include <time.h>
#include <unistd.h>

enum { CONNECTIONS_MAX = 1024, ANSWER_MAX = 1 << 16 };

struct request {
    const char *body;
    size_t n;
};

static struct request *requests;
static size_t n_requests, n_events;
static atomic_size_t next_request;
static int port, batch;

static void
must(int good, const char *what)
{
    if (!good) {
        fprintf(stderr, "post: %s\n", what);
        exit(1);
    }
}

static void
load(const char *path)
{
    int fd = open(path, O_RDONLY);
    struct stat st;
    const char *at, *end;

    must(fd >= 0 && fstat(fd, &st) == 0, path);
    at = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0);
    must(at != MAP_FAILED, path);
    end = at + st.st_size;
    while (at < end) {
        const char *first = at;

        for (int i = 0; i < batch && at < end; i++) {
            const char *lf = memchr(at, '\n', (size_t)(end - at));

            at = lf ? lf + 1 : end;
            n_events++;
        }
        if (n_requests % 4096 == 0)
            requests = realloc(requests, (n_requests + 4096) * sizeof *requests);
        must(requests != NULL, "out of memory");
        requests[n_requests++] = (struct request){first, (size_t)(at - first)};
    }
    close(fd);
}

static int
connected(void)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;

    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    must(fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof to) == 0, "cannot connect");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return fd;
}

static void
send_request(int fd, const struct request *r)
{
    char head[256];
    int n = snprintf(head, sizeof head,
                     "POST /events HTTP/1.1\r\nHost: localhost\r\nContent-Type: %s\r\n"
                     "Content-Length: %zu\r\n\r\n",
                     batch == 1 ? "application/json" : "application/x-ndjson", r->n);
    struct iovec parts[] = {{head, (size_t)n}, {(void *)r->body, r->n}};
    size_t sent;
    ssize_t wrote = writev(fd, parts, 2);

    must(wrote >= n, "cannot send");
    for (sent = (size_t)wrote - (size_t)n; sent < r->n; sent += (size_t)wrote) {
        wrote = write(fd, r->body + sent, r->n - sent);
        must(wrote > 0, "cannot send");
    }
}

/* False when the server closes the connection after this answer. */
static int
take_answer(int fd)
{
    char in[ANSWER_MAX + 1];
    char *end = NULL, *length;
    size_t got = 0, whole = 0;

    while (!end || got < whole) {
        ssize_t n = read(fd, in + got, ANSWER_MAX - got);

        must(n > 0, "the connection ended before the answer did");
        got += (size_t)n;
        in[got] = '\0';
        if (!end && (end = strstr(in, "\r\n\r\n"))) {
            must(strncmp(in, "HTTP/1.1 201", 12) == 0, in);
            length = strcasestr(in, "\r\nContent-Length:");
            must(length && length < end, "no Content-Length");
            whole = (size_t)(end + 4 - in) + strtoul(length + 17, NULL, 10);
            must(whole <= ANSWER_MAX, "an answer that is too long");
        }
    }
    return !strcasestr(in, "\r\nConnection: close");
}

static void *
run(void *unused)
{
    int fd = connected();
    size_t i;

    (void)unused;
    while ((i = atomic_fetch_add(&next_request, 1)) < n_requests) {
        send_request(fd, &requests[i]);
        if (!take_answer(fd)) {
            close(fd);
            fd = connected();
        }
    }
    close(fd);
    return NULL;
}

int
main(int argc, char **argv)
{
    static pthread_t threads[CONNECTIONS_MAX];
    struct timespec start, end;
    double seconds;
    int n;

    must(argc == 5, "usage: post PORT CONNECTIONS BATCH FILE");
    port = atoi(argv[1]);
    n = atoi(argv[2]);
    batch = atoi(argv[3]);
    must(n > 0 && n <= CONNECTIONS_MAX && batch > 0, "CONNECTIONS or BATCH is out of range");
    load(argv[4]);
    clock_gettime(CLOCK_MONOTONIC, &start);
    for (int i = 0; i < n; i++)
        must(pthread_create(&threads[i], NULL, run, NULL) == 0, "cannot start a thread");
    for (int i = 0; i < n; i++)
        pthread_join(threads[i], NULL);
    clock_gettime(CLOCK_MONOTONIC, &end);
    seconds = (double)(end.tv_sec - start.tv_sec) + (double)(end.tv_nsec - start.tv_nsec) / 1e9;
    printf("%.0f\n", (double)n_events / seconds);
    return 0; /* the requests go with the process */
}
