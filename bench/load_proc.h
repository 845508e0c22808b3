/* load_proc: what the processes of a server use: CPU time, memory, descriptors.
 *
 * A group is one process and all its descendants, looked up again for every sample, so workers that
 * are started later count too. CPU time comes from the processes' own clocks, to the nanosecond. */
#ifndef BENCH_LOAD_PROC_H
#define BENCH_LOAD_PROC_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct proc_sample {
    int64_t cpu_ns;
    long rss_kb, pss_kb; /* pss: shared pages divided among those who share them */
    long own_kb; /* pss without programs and libraries, whose share changes with what else runs */
    int processes, descriptors;
};

/* Without `whole` only cpu_ns, rss_kb and processes, which is cheap. */
struct proc_sample proc_sample(pid_t root, bool whole);

/* What the kernel holds in TCP socket buffers, for everybody; and what it could still give. */
long proc_tcp_kb(void);
long proc_available_kb(void);

#endif
