#include "ingest/queue.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/mem.h"

struct queue {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct batch batches[QUEUE_BATCHES];
    struct batch *unused;        /* linked by next */
    struct batch *first, **last; /* waiting for the committer, oldest first */
    bool writing, closed;
    enum err failure;
    struct errbuf why;
    int idle_fd;
};

enum err
queue_create(struct queue **queue, size_t events_max, size_t event_bytes_max, struct errbuf *eb)
{
    struct queue *q = mem_zalloc(sizeof *q);
    enum err err = ERR_OK;

    *queue = q;
    if (!q)
        return err_nomem(eb);
    pthread_mutex_init(&q->lock, NULL);
    pthread_cond_init(&q->changed, NULL);
    q->last = &q->first;
    for (int i = 0; i < QUEUE_BATCHES; i++) {
        if (err == ERR_OK)
            err = batch_init(&q->batches[i], events_max, event_bytes_max);
        q->batches[i].next = q->unused;
        q->unused = &q->batches[i];
    }
    q->idle_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (err == ERR_OK && q->idle_fd >= 0)
        return ERR_OK;
    err = err == ERR_OK ? err_set(eb, ERR_IO, "eventfd: %s", strerror(errno)) : err_nomem(eb);
    queue_destroy(q);
    *queue = NULL;
    return err;
}

void
queue_destroy(struct queue *q)
{
    if (!q)
        return;
    for (int i = 0; i < QUEUE_BATCHES; i++)
        batch_finish(&q->batches[i]);
    if (q->idle_fd >= 0)
        close(q->idle_fd);
    pthread_cond_destroy(&q->changed);
    pthread_mutex_destroy(&q->lock);
    mem_free(q);
}

struct batch *
queue_get(struct queue *q)
{
    struct batch *b = NULL;

    pthread_mutex_lock(&q->lock);
    while (!q->unused && q->failure == ERR_OK)
        pthread_cond_wait(&q->changed, &q->lock);
    if (q->failure == ERR_OK) {
        b = q->unused;
        q->unused = b->next;
    }
    pthread_mutex_unlock(&q->lock);
    if (b)
        batch_clear(b);
    return b;
}

void
queue_submit(struct queue *q, struct batch *b)
{
    pthread_mutex_lock(&q->lock);
    b->next = NULL;
    *q->last = b;
    q->last = &b->next;
    pthread_cond_broadcast(&q->changed);
    pthread_mutex_unlock(&q->lock);
}

bool
queue_idle(struct queue *q)
{
    uint64_t count;
    bool idle;

    pthread_mutex_lock(&q->lock);
    if (read(q->idle_fd, &count, sizeof count) < 0)
        count = 0; /* was not readable */
    idle = !q->first && !q->writing;
    pthread_mutex_unlock(&q->lock);
    return idle;
}

int
queue_idle_fd(const struct queue *q)
{
    return q->idle_fd;
}

void
queue_close(struct queue *q)
{
    pthread_mutex_lock(&q->lock);
    q->closed = true;
    pthread_cond_broadcast(&q->changed);
    pthread_mutex_unlock(&q->lock);
}

struct batch *
queue_take(struct queue *q)
{
    struct batch *b;

    pthread_mutex_lock(&q->lock);
    while (!q->first && !q->closed)
        pthread_cond_wait(&q->changed, &q->lock);
    b = q->first;
    if (b) {
        q->first = b->next;
        if (!q->first)
            q->last = &q->first;
        q->writing = true;
    }
    pthread_mutex_unlock(&q->lock);
    return b;
}

/* Both ends of waiting in one place: the intake is in get(), or in poll(2). */
static void
wake_intake(struct queue *q)
{
    uint64_t one = 1;

    pthread_cond_broadcast(&q->changed);
    if (!q->first && write(q->idle_fd, &one, sizeof one) < 0)
        return; /* the counter is full, so it is readable */
}

void
queue_give_back(struct queue *q, struct batch *b)
{
    pthread_mutex_lock(&q->lock);
    b->next = q->unused;
    q->unused = b;
    q->writing = false;
    wake_intake(q);
    pthread_mutex_unlock(&q->lock);
}

void
queue_fail(struct queue *q, enum err err, const struct errbuf *eb)
{
    pthread_mutex_lock(&q->lock);
    q->failure = err;
    q->why = *eb;
    q->first = NULL;
    q->last = &q->first;
    q->writing = false;
    wake_intake(q);
    pthread_mutex_unlock(&q->lock);
}

enum err
queue_failure(struct queue *q, struct errbuf *eb)
{
    enum err err;

    pthread_mutex_lock(&q->lock);
    err = q->failure;
    if (err != ERR_OK)
        *eb = q->why;
    pthread_mutex_unlock(&q->lock);
    return err;
}
