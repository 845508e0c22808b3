#include "base/thread.h"

#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

enum err
thread_start(pthread_t *thread, void *(*run)(void *), void *context, struct errbuf *eb)
{
    sigset_t all, before;
    int failed;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    failed = pthread_create(thread, NULL, run, context);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return failed ? err_set(eb, ERR_IO, "cannot start a thread: %s", strerror(failed)) : ERR_OK;
}

void
thread_give_way(int nice)
{
    setpriority(PRIO_PROCESS, 0, nice); /* 0: this thread. Without it all goes on as well */
}

void
thread_condition_init(pthread_cond_t *changed)
{
    pthread_condattr_t attributes;

    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(changed, &attributes);
    pthread_condattr_destroy(&attributes);
}

void
thread_wait_until(pthread_cond_t *changed, pthread_mutex_t *lock, int64_t at_us)
{
    struct timespec at = {at_us / 1000000, at_us % 1000000 * 1000};

    pthread_cond_timedwait(changed, lock, &at);
}
