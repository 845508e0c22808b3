/* load_shared: what the processes of the load client share.
 *
 * The parent (load.c) reads commands and prints figures; each child (load_client.c) holds its part
 * of the streams and works alone. They meet in one shared mapping: the parent writes `order` and
 * counts `number` up, a child does it and writes the number to its `done`. A child's figures only
 * grow and only it writes them; the parent copies them while they move, which is exact once they
 * rest. */
#ifndef BENCH_LOAD_SHARED_H
#define BENCH_LOAD_SHARED_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "bench/load_hist.h"
#include "bench/load_proc.h"

enum {
    PROCESSES_MAX = 64,
    WATCHED_MAX = 8,
};

enum order {
    ORDER_NONE,
    ORDER_OPEN,  /* connect those that are not; argument: all begin anew and with this seq; -1:
                    resume */
    ORDER_CLOSE, /* leave all; ids and positions are kept */
    ORDER_AIM,   /* count streams that have seen the argument */
    ORDER_THAW,  /* slow readers read as fast as the others */
    ORDER_QUIT,
};

/* Readers at full speed, and those that are slow on purpose. */
enum reader {
    READER_FAST,
    READER_SLOW,
    READERS,
};

struct counts {
    uint64_t events, missing, doubled, backward, closed;
    struct hist latency;
};

struct figures {
    uint64_t opened, open, open_failed, reached, left, bytes, comments, resets, unnumbered;
    int64_t last_open_ns, last_event_ns, last_reached_ns;
    struct hist connect, first; /* from connect() to the head, and to the first event */
    struct counts of[READERS];
};

struct share {
    atomic_uint done;
    struct figures figures;
};

struct common {
    atomic_uint number;
    enum order order;
    int64_t argument;
    struct share child[];
};

struct settings {
    const char *path, *last_id;
    int port, streams, processes, topics, sources;
    int opening_max;       /* how many may be on their way at once, in all processes */
    int slow, slow_rate;   /* this many of the streams read this many bytes a second */
    int receive_buffer;    /* SO_RCVBUF; 0 = the system's */
    int pace_ms;           /* each stream is read once in this time; 0 = at once */
    int leave_after;       /* events; 0 = stay */
    double stay_s, away_s; /* mean time before a stream leaves by itself, and until it returns */
    double return_s;       /* when the server ended it; negative = never */
};

/* Runs a child; returns after ORDER_QUIT. first: the index of its first stream among all. */
void client_run(const struct settings *settings, struct common *common, int child, int first,
                int count);

int64_t load_now_ns(void);

/* What the parent knows at one moment (load_report.c). */
struct moment {
    int64_t at_ns, client_cpu_ns;
    long tcp_kb, available_kb;
    struct figures figures; /* of all children */
    struct proc_sample watched[WATCHED_MAX];
};

struct watched {
    const char *name;
    pid_t root;
};

/* Prints the members of one JSON object: what happened from a moment to a later one. */
void report(const struct moment *from, const struct moment *to, const struct watched *watched,
            int n);

/* Adds the figures of one child to a sum; less (may be NULL) is taken away. */
void figures_join(struct figures *sum, const struct figures *more, const struct figures *less);

#endif
