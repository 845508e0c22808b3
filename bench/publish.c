/* publish: appends events to a freshet database at a steady rate, for measurements.
 *
 *   publish --db FILE [--rate N] [--seconds S] [--bytes B] [--topics K] [--batch N] [--start SEQ]
 *
 * data is {"seq":n,"t":ns,"pad":"…"} of B bytes; t is CLOCK_MONOTONIC when the row was handed to
 * SQLite, and each topic (t0 … tK-1, in turn) has its own seq from SEQ on. Rows that have become
 * due since the last transaction share the next one, at most --batch of them. It is an ordinary
 * writer: plain SQL, synchronous=NORMAL. Prints one JSON object with what was really done. */
#include <getopt.h>
#include <inttypes.h>
#include <sqlite3.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>

struct plan {
    const char *db;
    double rate, seconds;
    int bytes, topics, batch;
    int64_t start;
};

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
must(sqlite3 *db, int code)
{
    if (code != SQLITE_OK && code != SQLITE_DONE) {
        fprintf(stderr, "publish: %s\n", sqlite3_errmsg(db));
        exit(1);
    }
}

static void
insert(sqlite3 *db, sqlite3_stmt *st, const struct plan *p, int64_t n)
{
    static char data[1 << 20];
    char topic[32];
    int used = snprintf(data, sizeof data, "{\"seq\":%" PRId64 ",\"t\":%" PRId64 ",\"pad\":\"",
                        p->start + n / p->topics, now_ns());

    snprintf(topic, sizeof topic, "t%d", (int)(n % p->topics));
    while (used < p->bytes - 2)
        data[used++] = 'x';
    memcpy(data + used, "\"}", 3);
    must(db, sqlite3_bind_text(st, 1, topic, -1, SQLITE_TRANSIENT));
    must(db, sqlite3_bind_text(st, 2, data, used + 2, SQLITE_STATIC));
    must(db, sqlite3_step(st));
    must(db, sqlite3_reset(st));
}

static void
run(sqlite3 *db, const struct plan *p)
{
    sqlite3_stmt *st;
    int64_t begin = now_ns(), total = (int64_t)(p->rate * p->seconds), done = 0, late_ns = 0;
    long commits = 0;

    must(db,
         sqlite3_prepare_v2(db, "INSERT INTO events(topic, data) VALUES(?1, ?2)", -1, &st, NULL));
    while (done < total) {
        int64_t due = (int64_t)((double)(now_ns() - begin) / 1e9 * p->rate) + 1;
        int64_t end = due < total ? due : total;

        if (end > done + p->batch)
            end = done + p->batch;
        if (end == done) {
            sleep_until(begin + (int64_t)((double)done / p->rate * 1e9));
            continue;
        }
        must(db, sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL));
        for (; done < end; done++)
            insert(db, st, p, done);
        must(db, sqlite3_exec(db, "COMMIT", NULL, NULL, NULL));
        commits++;
        late_ns = now_ns() - begin - (int64_t)((double)done / p->rate * 1e9);
    }
    sqlite3_finalize(st);
    printf("{\"events\":%" PRId64 ",\"commits\":%ld,\"seconds\":%.3f,\"late_ms\":%.1f}\n", done,
           commits, (double)(now_ns() - begin) / 1e9, (double)late_ns / 1e6);
}

int
main(int argc, char **argv)
{
    struct plan p = {
        .rate = 10, .seconds = 5, .bytes = 200, .topics = 1, .batch = 1000, .start = 1};
    static const struct option options[] = {
        {"db", 1, NULL, 'd'},    {"rate", 1, NULL, 'r'},   {"seconds", 1, NULL, 's'},
        {"bytes", 1, NULL, 'b'}, {"topics", 1, NULL, 't'}, {"batch", 1, NULL, 'n'},
        {"start", 1, NULL, 'q'}, {NULL, 0, NULL, 0},
    };
    sqlite3 *db;
    int c;

    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (c) {
        case 'd':
            p.db = optarg;
            break;
        case 'r':
            p.rate = atof(optarg);
            break;
        case 's':
            p.seconds = atof(optarg);
            break;
        case 'b':
            p.bytes = atoi(optarg);
            break;
        case 't':
            p.topics = atoi(optarg);
            break;
        case 'n':
            p.batch = atoi(optarg);
            break;
        case 'q':
            p.start = atoll(optarg);
            break;
        default:
            return 64;
        }
    }
    if (!p.db || p.rate <= 0 || p.topics < 1 || p.batch < 1 || p.bytes > 1000000) {
        fprintf(stderr, "publish: --db FILE is needed, and positive numbers\n");
        return 64;
    }
    prctl(PR_SET_TIMERSLACK, 1000);
    must(NULL, sqlite3_open_v2(p.db, &db, SQLITE_OPEN_READWRITE, NULL));
    sqlite3_busy_timeout(db, 10000);
    must(db, sqlite3_exec(db, "PRAGMA synchronous=NORMAL", NULL, NULL, NULL));
    run(db, &p);
    sqlite3_close(db);
    return 0;
}
