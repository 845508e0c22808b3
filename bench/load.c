/* load: a load client for Server-Sent Events. It opens streams, checks of every one that the "seq"
 * in its data goes up by one, measures latency from the "t" (CLOCK_MONOTONIC, ns), and samples what
 * the server's processes use.
 *
 * It is led by lines on standard input and answers each with one line of JSON when it is done, so
 * that the program that leads it can start, stop and publish between two of them:
 *
 * - open [SEQ]: open all streams (again after close: with Last-Event-ID); each must begin with SEQ
 * - mark: begin an interval: figures are counted from here
 * - aim SEQ [N] [S]: wait until N streams (all) have seen SEQ, at most S seconds (30)
 * - left [S]: wait until every stream has left (--leave-after)
 * - sleep S: let time pass
 * - report: what happened since the mark
 * - close: leave all streams; positions and ids are kept
 * - thaw: slow readers read as fast as the others from now on
 *
 * Every answer has the members of report, for the time since the mark, and "ok": whether it was
 * reached. At the end of the input it ends. */
#include "bench/load_shared.h"

#include <getopt.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    OPEN_WAIT_S = 60,
    PEAK_STEP_MS = 250,
    SPARE_DESCRIPTORS = 64,
    STREAMS_PER_SOURCE = 20000, /* a source address has some 28,000 ports */
};

static struct settings set = {
    .path = "/events",
    .streams = 1,
    .processes = 1,
    .topics = 1,
    .opening_max = 256,
    .slow_rate = 1024,
    .away_s = 0.1,
    .return_s = -1,
};
static struct common *common;
static struct watched watched[WATCHED_MAX];
static int watched_count;
static pid_t children[PROCESSES_MAX];
static struct moment mark, now;
static long peak_rss_kb, peak_tcp_kb;

/* Without `whole`: only what is cheap, for the peaks. */
static void
look(struct moment *m, bool whole)
{
    long rss_kb = 0;

    memset(m, 0, sizeof *m);
    m->at_ns = load_now_ns();
    for (int i = 0; i < watched_count; i++) {
        m->watched[i] = proc_sample(watched[i].root, whole);
        rss_kb += m->watched[i].rss_kb;
    }
    m->tcp_kb = proc_tcp_kb();
    m->available_kb = proc_available_kb();
    for (int i = 0; i < set.processes; i++) {
        m->client_cpu_ns += proc_sample(children[i], false).cpu_ns;
        figures_join(&m->figures, &common->child[i].figures, NULL);
    }
    peak_rss_kb = rss_kb > peak_rss_kb ? rss_kb : peak_rss_kb;
    peak_tcp_kb = m->tcp_kb > peak_tcp_kb ? m->tcp_kb : peak_tcp_kb;
}

static void
set_mark(void)
{
    peak_rss_kb = peak_tcp_kb = 0;
    look(&mark, true);
    mark.at_ns = load_now_ns(); /* looking takes a while */
}

static uint64_t
sum(size_t offset)
{
    uint64_t n = 0;

    for (int i = 0; i < set.processes; i++)
        n += *(uint64_t *)((char *)&common->child[i].figures + offset);
    return n;
}
#define SUM(member) sum(offsetof(struct figures, member))

static void
give(enum order what, int64_t argument)
{
    common->order = what;
    common->argument = argument;
    unsigned number = atomic_fetch_add(&common->number, 1) + 1;

    if (what == ORDER_QUIT)
        return;
    for (int i = 0; i < set.processes; i++)
        while (atomic_load(&common->child[i].done) != number) {
            if (waitpid(children[i], NULL, WNOHANG) == children[i])
                exit(1); /* it has said why */
            usleep(200);
        }
}

/* Waits until a sum has grown to `wanted`; with none, for the time to pass. */
static bool
await(size_t offset, uint64_t wanted, double seconds)
{
    int64_t end = load_now_ns() + (int64_t)(seconds * 1e9), next_peak = 0, t;

    while ((t = load_now_ns()) < end) {
        if (wanted && sum(offset) >= wanted)
            return true;
        if (t >= next_peak) {
            look(&now, false);
            next_peak = t + PEAK_STEP_MS * 1000000ll;
        }
        usleep(1000);
    }
    return !wanted;
}

static void
answer(const char *command, bool ok)
{
    look(&now, true);
    printf("{\"command\":\"%s\",\"ok\":%s,\"streams\":%d,\"peak_rss_kb\":%ld,\"peak_tcp_kb\":%ld,",
           command, ok ? "true" : "false", set.streams, peak_rss_kb, peak_tcp_kb);
    report(&mark, &now, watched, watched_count);
    printf("}\n");
    fflush(stdout);
}

static void
obey(const char *line)
{
    char command[16] = "";
    double a = -1, b = 0, c = 0;
    int n = sscanf(line, "%15s %lf %lf %lf", command, &a, &b, &c);
    uint64_t all = (uint64_t)set.streams;
    bool ok = true;

    if (n < 1)
        return;
    if (!strcmp(command, "open")) {
        uint64_t wanted = SUM(opened) + all - SUM(open);

        set_mark();
        give(ORDER_OPEN, n > 1 ? (int64_t)a : -1);
        ok = await(offsetof(struct figures, opened), wanted, OPEN_WAIT_S);
    } else if (!strcmp(command, "mark")) {
        set_mark();
    } else if (!strcmp(command, "target")) {
        give(ORDER_AIM, (int64_t)a);
    } else if (!strcmp(command, "aim")) {
        give(ORDER_AIM, (int64_t)a);
        ok = await(offsetof(struct figures, reached), n > 2 && b > 0 ? (uint64_t)b : all,
                   n > 3 ? c : 30);
    } else if (!strcmp(command, "left")) {
        ok = await(offsetof(struct figures, left), all, a > 0 ? a : OPEN_WAIT_S);
    } else if (!strcmp(command, "sleep")) {
        await(0, 0, a);
    } else if (!strcmp(command, "close")) {
        give(ORDER_CLOSE, 0);
    } else if (!strcmp(command, "thaw")) {
        give(ORDER_THAW, 0);
    } else if (strcmp(command, "report") != 0) {
        fprintf(stderr, "load: unknown command: %s", line);
        exit(64);
    }
    answer(command, ok);
}

static void
start(void)
{
    size_t size = sizeof *common + (size_t)set.processes * sizeof common->child[0];
    int first = 0;

    common = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (common == MAP_FAILED) {
        perror("load: mmap");
        exit(1);
    }
    for (int i = 0; i < set.processes; i++) {
        int n = set.streams / set.processes + (i < set.streams % set.processes);

        children[i] = fork();
        if (children[i] < 0) {
            perror("load: fork");
            exit(1);
        }
        if (children[i] == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            client_run(&set, common, i, first, n);
            _exit(0);
        }
        first += n;
    }
}

/* Every descriptor that we may have; more processes when they do not suffice for the streams. */
static void
limits(void)
{
    struct rlimit limit = {0};
    int per_process;

    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    per_process = (int)(limit.rlim_max < 1 << 20 ? limit.rlim_max : 1 << 20) - SPARE_DESCRIPTORS;
    while ((set.streams + set.processes - 1) / set.processes > per_process)
        set.processes++;
    if (!set.sources)
        set.sources = set.streams / STREAMS_PER_SOURCE + 1;
    set.opening_max = (set.opening_max + set.processes - 1) / set.processes;
}

static const char usage_text[] =
    "usage: load --port N [option…]; commands on standard input, see the head of load.c\n"
    "  --path P            what is asked for (/events); %d becomes the topic's number\n"
    "  --topics K          stream i has topic i modulo K (1)\n"
    "  --streams N         (1)\n"
    "  --processes P       at least; one holds as many as descriptors allow (1)\n"
    "  --sources N         source addresses, from 127.0.0.2 on (one per 20,000)\n"
    "  --opening N         connections that may be on their way at once (256)\n"
    "  --last-id ID        Last-Event-ID of streams that have none of their own yet\n"
    "  --pace MS           read each stream once in this time (at once)\n"
    "  --receive-buffer B  SO_RCVBUF of fast readers (the system's)\n"
    "  --slow N            this many streams read slowly (0)\n"
    "  --slow-rate B       bytes a second that these read; 0 = none at all (1024)\n"
    "  --leave-after N     a stream leaves for good after this many events\n"
    "  --stay S            a stream leaves after about this time, and comes back\n"
    "  --away S            after about this time (0.1)\n"
    "  --return S          come back after about this time when the server ended it (never)\n"
    "  --watch NAME=PID    sample this process and its descendants; repeatable\n";

static int
option(int c)
{
    char *equals;

    switch (c) {
    case 'P':
        set.path = optarg;
        return 0;
    case 'l':
        set.last_id = optarg;
        return 0;
    case 'y':
        set.stay_s = atof(optarg);
        return 0;
    case 'a':
        set.away_s = atof(optarg);
        return 0;
    case 'r':
        set.return_s = atof(optarg);
        return 0;
    case 'w':
        equals = strchr(optarg, '=');
        if (!equals || watched_count == WATCHED_MAX)
            return -1;
        *equals = '\0';
        watched[watched_count++] = (struct watched){optarg, (pid_t)atoi(equals + 1)};
        return 0;
    default:
        return -1;
    }
}

int
main(int argc, char **argv)
{
    static int help;
    const struct option options[] = {
        {"port", 1, NULL, 1},       {"streams", 1, NULL, 2},        {"processes", 1, NULL, 3},
        {"topics", 1, NULL, 4},     {"sources", 1, NULL, 5},        {"opening", 1, NULL, 6},
        {"pace", 1, NULL, 7},       {"receive-buffer", 1, NULL, 8}, {"slow", 1, NULL, 9},
        {"slow-rate", 1, NULL, 10}, {"leave-after", 1, NULL, 11},   {"path", 1, NULL, 'P'},
        {"last-id", 1, NULL, 'l'},  {"stay", 1, NULL, 'y'},         {"away", 1, NULL, 'a'},
        {"return", 1, NULL, 'r'},   {"watch", 1, NULL, 'w'},        {"help", 0, &help, 1},
        {NULL, 0, NULL, 0},
    };
    int *const numbers[] = {
        NULL,           &set.port,        &set.streams, &set.processes,      &set.topics,
        &set.sources,   &set.opening_max, &set.pace_ms, &set.receive_buffer, &set.slow,
        &set.slow_rate, &set.leave_after};
    char *line = NULL;
    size_t room = 0;
    int c;

    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (c > 0 && c < (int)(sizeof numbers / sizeof *numbers))
            *numbers[c] = atoi(optarg);
        else if (c != 0 && option(c) < 0)
            return 64;
    }
    if (help) {
        fputs(usage_text, stdout);
        return 0;
    }
    if (set.port < 1 || set.streams < 1 || set.processes < 1 || set.topics < 1 || set.sources < 0 ||
        set.opening_max < 1 || optind < argc) {
        fputs(usage_text, stderr);
        return 64;
    }
    limits();
    if (set.processes > PROCESSES_MAX)
        return 64;
    start();
    set_mark();
    while (getline(&line, &room, stdin) > 0)
        obey(line);
    give(ORDER_QUIT, 0);
    for (int i = 0; i < set.processes; i++)
        waitpid(children[i], NULL, 0);
    free(line);
    return 0;
}
