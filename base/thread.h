/* thread: threads that leave signals to the main thread, and waiting with a deadline. */
#ifndef BASE_THREAD_H
#define BASE_THREAD_H

#include <pthread.h>
#include <stdint.h>

#include "base/err.h"

/* All signals are blocked in it: they are the main thread's. ERR_IO. End it with pthread_join(). */
enum err thread_start(pthread_t *thread, void *(*run)(void *), void *context, struct errbuf *eb);

/* The calling thread gives way to others where there are fewer processors than work: nice(2), for
 * this thread alone (Linux: setpriority(2)). */
void thread_give_way(int nice);

/* A condition whose timed waits go by clock_mono_us(). */
void thread_condition_init(pthread_cond_t *changed);
/* Waits until it is signalled or the time has come. The lock is held. */
void thread_wait_until(pthread_cond_t *changed, pthread_mutex_t *lock, int64_t at_us);

#endif
