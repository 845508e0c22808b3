#include "base/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

enum { LINE_MAX_BYTES = 2000 };

static const char *program = "freshet";
static atomic_int level_max = LOG_INFO;
static const char *const level_names[] = {"error", "warning", "info", "debug"};

void
log_open(const char *name)
{
    program = name;
}

void
log_set_level(enum log_level level)
{
    atomic_store(&level_max, (int)level);
}

void
log_line(enum log_level level, const char *format, ...)
{
    char line[LINE_MAX_BYTES];
    struct timespec now;
    struct tm utc;
    size_t n;
    int more;
    va_list args;

    if ((int)level > atomic_load(&level_max))
        return;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    n = strftime(line, sizeof line, "%Y-%m-%dT%H:%M:%S", &utc);
    n += (size_t)snprintf(line + n, sizeof line - n, ".%03ldZ %s[%ld] %s: ", now.tv_nsec / 1000000,
                          program, (long)getpid(), level_names[level]);
    va_start(args, format);
    more = vsnprintf(line + n, sizeof line - n - 1, format, args);
    va_end(args);
    if (more < 0)
        more = 0;
    more = more < (int)(sizeof line - n - 1) ? more : (int)(sizeof line - n - 2);
    for (size_t i = n; i < n + (size_t)more; i++)
        if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f)
            line[i] = '?';
    n += (size_t)more;
    line[n++] = '\n';
    if (write(STDERR_FILENO, line, n) < 0)
        return; /* nobody is left to be told */
}
