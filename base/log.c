#include "base/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/text.h"

enum { LINE_MAX_BYTES = 2000 };

static const char *program = "freshet";
static atomic_int level_max = LOG_INFO;
static const char *const level_names[] = {"error", "warning", "info", "debug"};
static const int priorities[] = {3, 4, 6, 7}; /* syslog(3) */
static bool to_journal;

/* systemd.exec(5): JOURNAL_STREAM is device and inode of what it made standard error. If that is
 * something else by now, it is not the journal. */
static bool
is_journal(int fd)
{
    const char *stream = getenv("JOURNAL_STREAM");
    char own[64];
    struct stat st;

    if (!stream || fstat(fd, &st) < 0)
        return false;
    snprintf(own, sizeof own, "%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
    return strcmp(stream, own) == 0;
}

void
log_open(const char *name)
{
    program = name;
    to_journal = is_journal(STDERR_FILENO);
}

void
log_set_level(enum log_level level)
{
    atomic_store(&level_max, (int)level);
}

/* How many bytes of a well-formed character begin here; 0 for none, and for those that begin a line
 * or turn the text around in a terminal or a viewer: C1 controls, U+2028, U+2029, bidi controls. */
static size_t
printable(const char *s, size_t n)
{
    unsigned char c = (unsigned char)*s;

    if (c < 0x80)
        return c >= 0x20 && c != 0x7f;
    if (c == 0xc2 && n > 1 && (unsigned char)s[1] < 0xa0)
        return 0;
    if (n > 2 && memcmp(s, "\xe2\x80", 2) == 0 && (unsigned char)s[2] >= 0xa8 &&
        (unsigned char)s[2] <= 0xae)
        return 0;
    if (n > 2 && memcmp(s, "\xe2\x81", 2) == 0 && (unsigned char)s[2] >= 0xa6 &&
        (unsigned char)s[2] <= 0xa9)
        return 0;
    for (size_t length = 2; length <= 4 && length <= n; length++)
        if (text_is_utf8((struct text){s, length}))
            return length;
    return 0;
}

static void
make_harmless(char *s, size_t n)
{
    while (n > 0) {
        size_t length = printable(s, n);

        if (length == 0)
            *s = '?';
        length += length == 0;
        s += length;
        n -= length;
    }
}

/* What stands before the text. */
static size_t
begin_line(char *line, size_t size, enum log_level level)
{
    struct timespec now;
    struct tm utc;
    size_t n;

    if (to_journal)
        return (size_t)snprintf(line, size, "<%d>%s: ", priorities[level], level_names[level]);
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    n = strftime(line, size, "%Y-%m-%dT%H:%M:%S", &utc);
    return n + (size_t)snprintf(line + n, size - n, ".%03ldZ %s[%ld] %s: ", now.tv_nsec / 1000000,
                                program, (long)getpid(), level_names[level]);
}

void
log_line(enum log_level level, const char *format, ...)
{
    char line[LINE_MAX_BYTES];
    size_t n;
    int more;
    va_list args;

    if ((int)level > atomic_load(&level_max))
        return;
    n = begin_line(line, sizeof line, level);
    va_start(args, format);
    more = vsnprintf(line + n, sizeof line - n - 1, format, args);
    va_end(args);
    if (more < 0)
        more = 0;
    more = more < (int)(sizeof line - n - 1) ? more : (int)(sizeof line - n - 2);
    make_harmless(line + n, (size_t)more);
    n += (size_t)more;
    line[n++] = '\n';
    if (write(STDERR_FILENO, line, n) < 0)
        return; /* there is nowhere left to report it */
}
