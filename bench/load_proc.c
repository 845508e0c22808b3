#include "bench/load_proc.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const char *
content(const char *path, char *to, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, to, size - 1);

    if (fd >= 0)
        close(fd);
    to[n > 0 ? n : 0] = '\0';
    return to;
}

/* The number behind `name`; 0 when it is not there. */
static long
number(const char *in, const char *name)
{
    const char *at = strstr(in, name);

    return at ? atol(at + strlen(name)) : 0;
}

static int
entries(const char *path)
{
    DIR *directory = opendir(path);
    int n = 0;

    if (!directory)
        return 0;
    while (readdir(directory))
        n++;
    closedir(directory);
    return n - 2;
}

static void
add(struct proc_sample *sum, pid_t pid, bool whole)
{
    char path[64], text[4096];
    struct timespec spent;
    clockid_t clock;
    char *next;
    long child;

    if (clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &spent) != 0)
        return;
    sum->cpu_ns += (int64_t)spent.tv_sec * 1000000000 + spent.tv_nsec;
    sum->processes++;
    snprintf(path, sizeof path, "/proc/%d/statm", pid);
    content(path, text, sizeof text);
    next = strchr(text, ' ');
    if (next)
        sum->rss_kb += atol(next) * (sysconf(_SC_PAGESIZE) / 1024);
    if (whole) {
        snprintf(path, sizeof path, "/proc/%d/smaps_rollup", pid);
        sum->pss_kb += number(content(path, text, sizeof text), "\nPss:");
        sum->own_kb += number(text, "\nPss_Anon:") + number(text, "\nPss_Shmem:");
        snprintf(path, sizeof path, "/proc/%d/fd", pid);
        sum->descriptors += entries(path);
    }
    /* Only the first thread's children: none of the servers forks elsewhere. */
    snprintf(path, sizeof path, "/proc/%d/task/%d/children", pid, pid);
    content(path, text, sizeof text);
    for (next = text; (child = strtol(next, &next, 10)) > 0;)
        add(sum, (pid_t)child, whole);
}

struct proc_sample
proc_sample(pid_t root, bool whole)
{
    struct proc_sample sum = {0};

    add(&sum, root, whole);
    return sum;
}

long
proc_tcp_kb(void)
{
    char text[4096];
    const char *tcp = strstr(content("/proc/net/sockstat", text, sizeof text), "TCP:");

    return tcp ? number(tcp, " mem ") * (sysconf(_SC_PAGESIZE) / 1024) : 0;
}

long
proc_available_kb(void)
{
    char text[4096];

    return number(content("/proc/meminfo", text, sizeof text), "MemAvailable:");
}
