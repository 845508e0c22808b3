#include "base/stop.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

static atomic_bool asked;
static int wake_fd = -1;

static void
on_signal(int number)
{
    int saved = errno;
    uint64_t one = 1;
    ssize_t written;

    (void)number;
    atomic_store(&asked, true);
    written = write(wake_fd, &one, sizeof one);
    (void)written; /* a full counter is readable too */
    errno = saved;
}

enum err
stop_install(struct errbuf *eb)
{
    struct sigaction once = {.sa_handler = on_signal, .sa_flags = SA_RESETHAND | SA_RESTART};
    struct sigaction ignore = {.sa_handler = SIG_IGN};

    wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (wake_fd < 0)
        return err_set(eb, ERR_IO, "eventfd: %s", strerror(errno));
    sigaction(SIGINT, &once, NULL);
    sigaction(SIGTERM, &once, NULL);
    sigaction(SIGPIPE, &ignore, NULL);
    sigaction(SIGXFSZ, &ignore, NULL);
    return ERR_OK;
}

bool
stop_asked(void)
{
    return atomic_load_explicit(&asked, memory_order_relaxed);
}

int
stop_fd(void)
{
    return wake_fd;
}

bool
stop_wait(int wait_ms)
{
    struct pollfd p = {.fd = wake_fd, .events = POLLIN};

    poll(&p, 1, wait_ms);
    return stop_asked();
}
