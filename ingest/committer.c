#include "ingest/committer.h"

#include "base/clock.h"
#include "base/stop.h"

enum {
    BUSY_PAUSE_MS = 50,     /* on top of the wait inside SQLite */
    BUSY_REPORT_MS = 10000, /* how often a lasting one is reported */
};

static enum err
append_all(struct committer *c, const struct batch *b, int64_t *repeats, struct errbuf *eb)
{
    *repeats = 0;
    for (size_t i = 0; i < b->n; i++) {
        struct event e;
        int64_t id;
        bool repeated;
        enum err err;

        batch_get(b, i, &e);
        err = store_append(c->store, &e, &id, &repeated, eb);
        if (err != ERR_OK)
            return err;
        *repeats += repeated;
    }
    if (c->source && b->has_position)
        return store_set_cursor(c->store, c->source, b->position.data, eb);
    return ERR_OK;
}

static enum err
write_once(struct committer *c, const struct batch *b, int64_t *repeats, struct errbuf *eb)
{
    enum err err = store_begin(c->store, eb);

    if (err != ERR_OK)
        return err;
    err = append_all(c, b, repeats, eb);
    if (err != ERR_OK) {
        store_rollback(c->store);
        return err;
    }
    return store_commit(c->store, eb);
}

static enum err
write_batch(struct committer *c, const struct batch *b, struct errbuf *eb)
{
    int64_t started_ms = clock_mono_ms(), report_ms = started_ms, repeats = 0;
    enum err err;

    while ((err = write_once(c, b, &repeats, eb)) == ERR_BUSY) {
        int64_t now_ms = clock_mono_ms();

        if (now_ms >= report_ms) {
            console_line(c->console, LOG_WARN,
                         "waiting: another program is writing to the database (%s)", eb->text);
            report_ms = now_ms + BUSY_REPORT_MS;
        }
        if (stop_wait(BUSY_PAUSE_MS))
            return err_set(eb, ERR_BUSY,
                           "stopped while the database was busy; %zu events were not committed",
                           b->n);
    }
    if (err == ERR_OK)
        console_committed(c->console, (int64_t)b->n - repeats, repeats);
    return err;
}

void *
committer_run(void *context)
{
    struct committer *c = context;
    struct batch *b;

    while ((b = queue_take(c->queue)) != NULL) {
        struct errbuf eb = {{0}};
        enum err err = write_batch(c, b, &eb);

        if (err != ERR_OK) {
            queue_fail(c->queue, err, &eb);
            return NULL;
        }
        queue_give_back(c->queue, b);
    }
    return NULL;
}
