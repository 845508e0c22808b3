#include "fcgi/poller.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

enum { EVENTS_AT_ONCE = 256, ALWAYS = EPOLLIN | EPOLLRDHUP };

enum err
poller_open(struct poller *p, struct errbuf *eb)
{
    p->fd = epoll_create1(EPOLL_CLOEXEC);
    return p->fd < 0 ? err_set(eb, ERR_IO, "cannot make an epoll set: %s", strerror(errno))
                     : ERR_OK;
}

void
poller_close(struct poller *p)
{
    if (p->fd >= 0)
        close(p->fd);
    p->fd = -1;
}

static bool
epoll_control(const struct poller *p, int operation, int fd, void *who, uint32_t events)
{
    struct epoll_event event = {.events = events | EPOLLET, .data.ptr = who};

    return epoll_ctl(p->fd, operation, fd, &event) == 0;
}

bool
poller_add(const struct poller *p, int fd, void *who)
{
    return epoll_control(p, EPOLL_CTL_ADD, fd, who, ALWAYS);
}

void
poller_want_writable(const struct poller *p, int fd, void *who, bool wanted)
{
    /* Cannot fail: the descriptor is in the set. */
    epoll_control(p, EPOLL_CTL_MOD, fd, who, wanted ? ALWAYS | EPOLLOUT : ALWAYS);
}

static unsigned
meaning(uint32_t events)
{
    unsigned what = 0;

    if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR))
        what |= POLLER_READABLE;
    if (events & EPOLLOUT)
        what |= POLLER_WRITABLE;
    if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))
        what |= POLLER_CLOSED;
    return what;
}

void
poller_take(const struct poller *p, void (*happened)(void *who, unsigned what))
{
    struct epoll_event events[EVENTS_AT_ONCE];
    int n;

    do {
        n = epoll_wait(p->fd, events, EVENTS_AT_ONCE, 0);
        for (int i = 0; i < n; i++)
            happened(events[i].data.ptr, meaning(events[i].events));
    } while (n == EVENTS_AT_ONCE);
}
