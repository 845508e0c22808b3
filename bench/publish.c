/* publish: appends events at a steady rate, for measurements.
 *
 *   publish (--db FILE | --http PORT) [--rate N] [--seconds S | --count N] [--bytes B]
 *           [--topics K] [--batch N] [--start SEQ] [--jitter]
 *
 * data is {"seq":n,"t":ns,"pad":"…"} of B bytes; t is CLOCK_MONOTONIC when the event was handed to
 * SQLite or to the socket, and each topic (t0 … tK-1, in turn) has its own seq from SEQ on. Events
 * that have become due since the last batch share the next one, at most --batch of them. Rate 0: as
 * fast as they are taken. --jitter moves each event by up to half an interval, so that a server's
 * own intervals cannot fall into step. Prints one JSON object with what was really done; late_ms is
 * how far behind its schedule the worst batch ended, and the last one. */
#include <getopt.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>

#include "bench/publish.h"

enum {
    BYTES_MAX = 1000000,
};

struct plan {
    const struct sink *sink;
    const char *where;
    double rate, seconds;
    int64_t count, start;
    int bytes, topics, batch;
    bool jitter;
};

void
publish_fail(const char *what, const char *why)
{
    fprintf(stderr, "publish: %s: %s\n", what, why);
    exit(1);
}

static int64_t
now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void
sleep_until(int64_t at_ns)
{
    struct timespec t = {at_ns / 1000000000, at_ns % 1000000000};

    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL);
}

static void
event(const struct plan *p, int64_t n)
{
    static char data[BYTES_MAX + 64];
    int used = snprintf(data, sizeof data, "{\"seq\":%" PRId64 ",\"t\":%" PRId64 ",\"pad\":\"",
                        p->start + n / p->topics, now_ns());

    while (used < p->bytes - 2)
        data[used++] = 'x';
    memcpy(data + used, "\"}", 3);
    p->sink->event((int)(n % p->topics), data, (size_t)used + 2);
}

/* When event n is due, in nanoseconds after the beginning. */
static int64_t
due_ns(const struct plan *p, int64_t n)
{
    double at = (double)n;

    if (p->rate <= 0)
        return 0;
    if (p->jitter) /* a fixed scatter: every server is given the same times */
        at += (double)((uint64_t)n * 2654435761u % 1000) / 2000;
    return (int64_t)(at / p->rate * 1e9);
}

static void
run(const struct plan *p)
{
    int64_t begin = now_ns(), done = 0, late = 0, worst = 0, batches = 0;

    while (done < p->count) {
        int64_t end = done, now = now_ns() - begin;

        while (end < p->count && end < done + p->batch && due_ns(p, end) <= now)
            end++;
        if (end == done) {
            sleep_until(begin + due_ns(p, done));
            continue;
        }
        p->sink->begin();
        while (done < end)
            event(p, done++);
        p->sink->end();
        batches++;
        late = p->rate > 0 ? now_ns() - begin - due_ns(p, done - 1) : 0;
        if (late > worst)
            worst = late;
    }
    printf("{\"began_ns\":%" PRId64 ",\"events\":%" PRId64 ",\"batches\":%" PRId64
           ",\"seconds\":%.3f,\"late_ms\":%.1f,"
           "\"late_max_ms\":%.1f,\"last\":%" PRId64 "}\n",
           begin, done, batches, (double)(now_ns() - begin) / 1e9, (double)late / 1e6,
           (double)worst / 1e6, p->start + (done - 1) / p->topics);
}

static int
usage(void)
{
    fprintf(stderr, "usage: publish (--db FILE | --http PORT) [--rate N] [--seconds S | --count N] "
                    "[--bytes B]\n       [--topics K] [--batch N] [--start SEQ] [--jitter]\n");
    return 64;
}

int
main(int argc, char **argv)
{
    static const struct option options[] = {
        {"db", 1, NULL, 'd'},     {"http", 1, NULL, 'h'},    {"rate", 1, NULL, 'r'},
        {"count", 1, NULL, 'c'},  {"seconds", 1, NULL, 's'}, {"bytes", 1, NULL, 'b'},
        {"start", 1, NULL, 'q'},  {"topics", 1, NULL, 't'},  {"batch", 1, NULL, 'n'},
        {"jitter", 0, NULL, 'j'}, {NULL, 0, NULL, 0},
    };
    struct plan p = {
        .rate = 10, .seconds = 5, .bytes = 200, .topics = 1, .batch = 1000, .start = 1};
    int c;

    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (c) {
        case 'd':
        case 'h':
            p.sink = c == 'd' ? &sink_sql : &sink_http;
            p.where = optarg;
            break;
        case 'r':
            p.rate = atof(optarg);
            break;
        case 'c':
            p.count = atoll(optarg);
            break;
        case 's':
            p.seconds = atof(optarg);
            break;
        case 'b':
            p.bytes = atoi(optarg);
            break;
        case 'q':
            p.start = atoll(optarg);
            break;
        case 't':
            p.topics = atoi(optarg);
            break;
        case 'n':
            p.batch = atoi(optarg);
            break;
        case 'j':
            p.jitter = true;
            break;
        default:
            return usage();
        }
    }
    if (!p.count)
        p.count = (int64_t)(p.rate * p.seconds);
    if (!p.sink || optind < argc || p.count < 1 || p.rate < 0 || p.topics < 1 || p.batch < 1 ||
        p.bytes > BYTES_MAX)
        return usage();
    prctl(PR_SET_TIMERSLACK, 1000);
    p.sink->open(p.where);
    run(&p);
    p.sink->close();
    return 0;
}
