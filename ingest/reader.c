#include "ingest/reader.h"

#include <poll.h>

#include "base/clock.h"
#include "ingest/position.h"
#include "base/stop.h"

/* The writer has failed: reader_run() ends, and queue_failure() knows why. */
static enum err
writer_failed(struct errbuf *eb)
{
    return err_set(eb, ERR_IO, "the writer has failed");
}

static enum err
begin_batch(struct reader *r, struct errbuf *eb)
{
    if (r->batch)
        return ERR_OK;
    r->batch = queue_get(r->queue);
    r->begun_ms = clock_mono_ms();
    return r->batch ? ERR_OK : writer_failed(eb);
}

/* Events without their position must not be committed: the next run would read them again. */
static enum err
write_position(struct reader *r, struct errbuf *eb)
{
    struct position p = {0};
    struct text id = TEXT_NONE;
    enum err err;

    if (r->settings->source && r->settings->sync == SYNC_FULL)
        source_sync(r->source);
    err = source_take_position(r->source, r->offset, r->line, &p, eb);
    if (err != ERR_OK)
        return r->settings->source ? err : ERR_OK;
    if (r->settings->format == FORMAT_SSE)
        id = sse_decode_last_id(&r->split.sse);
    if (!p.in_file && !id.n)
        return ERR_OK;
    position_write(&r->batch->position, &p, id);
    buf_byte(&r->batch->position, '\0');
    r->batch->has_position = !buf_failed(&r->batch->position);
    if (!r->batch->has_position && r->settings->source)
        return err_set(eb, ERR_NOMEM, "out of memory");
    return ERR_OK;
}

/* Hands over what there is, if there is anything. */
static enum err
submit(struct reader *r, struct errbuf *eb)
{
    enum err err;

    if (!r->batch && !(r->moved && r->settings->source))
        return ERR_OK;
    err = begin_batch(r, eb);
    if (err == ERR_OK)
        err = rejects_flush(r->rejects, eb);
    if (err == ERR_OK)
        err = write_position(r, eb);
    if (err != ERR_OK)
        return err;
    queue_submit(r->queue, r->batch);
    r->batch = NULL;
    r->moved = false;
    return ERR_OK;
}

static bool
has_pending(const struct reader *r)
{
    return r->batch || (r->moved && r->settings->source);
}

/* Waits until the input, the writer (when it has something to do) or a stop has news, or wait_ms is
 * over. Pending events go to a writer that has nothing to do. */
static enum err
wait_idle(struct reader *r, int input_fd, int wait_ms, struct errbuf *eb)
{
    struct pollfd p[3] = {{.fd = stop_fd(), .events = POLLIN},
                          {.fd = input_fd, .events = POLLIN},
                          {.fd = -1, .events = POLLIN}};
    bool idle = queue_idle(r->queue);

    if (queue_failure(r->queue, eb) != ERR_OK)
        return writer_failed(eb);
    if (idle && has_pending(r)) {
        enum err err = submit(r, eb);

        if (err != ERR_OK)
            return err;
        idle = false;
    }
    if (!idle) /* a failure has to be seen even while the input is silent */
        p[2].fd = queue_idle_fd(r->queue);
    poll(p, 3, wait_ms);
    report_progress(r->report, r->bytes, source_size(r->source));
    return ERR_OK;
}

/* Waits for the turn of the next event when --rate is given. A pause of the input is not made good
 * by a burst. */
static enum err
pace(struct reader *r, struct errbuf *eb)
{
    int64_t now_us = clock_mono_us();
    enum err err = ERR_OK;

    if (r->due_us == 0 || now_us - r->due_us > 1000000) {
        r->due_us = now_us;
        r->paced = 0;
    }
    while (err == ERR_OK && !stop_asked()) {
        int64_t wait_us = r->due_us + r->paced * 1000000 / r->settings->rate - clock_mono_us();

        if (wait_us < 1000) /* poll(2) counts in milliseconds */
            break;
        err = wait_idle(r, -1, (int)(wait_us / 1000 < 250 ? wait_us / 1000 : 250), eb);
    }
    if (++r->paced == r->settings->rate) { /* a second's worth: keeps the product small */
        r->due_us += 1000000;
        r->paced = 0;
    }
    return err;
}

static enum err
add_event(struct reader *r, const struct event *e, struct errbuf *eb)
{
    enum err err = r->settings->rate ? pace(r, eb) : ERR_OK;

    if (err == ERR_OK)
        err = begin_batch(r, eb);
    if (err != ERR_OK)
        return err;
    err = batch_add(r->batch, e);
    return err == ERR_OK ? ERR_OK : err_set(eb, err, "out of memory");
}

static enum err
reject(struct reader *r, const struct split_item *item, const char *why, struct errbuf *eb)
{
    const struct settings *s = r->settings;

    if (s->strict)
        return err_set(eb, ERR_INVALID, "--strict: %s, line %lld: %s", source_name(r->source),
                       (long long)item->line, why);
    if (item->kind != SPLIT_PIECE)
        report_reject(r->report, source_name(r->source), item->line, why);
    return rejects_add(r->rejects, (enum format)s->format, item, eb);
}

static void
take_signal(struct reader *r, const struct event *e)
{
    if (text_equal(e->type, TEXT_LIT("freshet:reset")))
        report_line(r->report, LOG_WARN, "%s: the sender says that events are missing: %.*s",
                    source_name(r->source), (int)(e->data.n < 300 ? e->data.n : 300), e->data.p);
}

/* The last line of a file that is read with --source may be half written: unless it is an event as
 * it is, it stays for the next run. */
static bool
stays_for_next_run(const struct reader *r, const struct split_item *item,
                   enum decode_outcome outcome)
{
    return item->open && r->settings->source && source_has_positions(r->source) &&
           (outcome == DECODE_REJECT || r->settings->format == FORMAT_LINES);
}

static enum err
take_whole(struct reader *r, const struct split_item *item, bool last, struct errbuf *eb)
{
    struct event e;
    struct errbuf why;
    enum decode_outcome outcome = decode_item(r->decode, item, &e, &why);

    if (last && stays_for_next_run(r, item, outcome)) {
        report_line(r->report, LOG_WARN,
                    "%s, line %lld: has no line end yet; its %zu bytes are left for the next run",
                    source_name(r->source), (long long)item->line, item->data.n);
        return ERR_MISSING;
    }
    switch (outcome) {
    case DECODE_EVENT:
        return add_event(r, &e, eb);
    case DECODE_REJECT:
        return reject(r, item, why.text, eb);
    case DECODE_SIGNAL:
        take_signal(r, &e);
        return ERR_OK;
    case DECODE_NOTHING:
        return ERR_OK;
    }
    return ERR_OK;
}

/* ERR_MISSING: the item was left where it is. last: nothing comes after it in this run. */
static enum err
take_item(struct reader *r, const struct split_item *item, bool last, struct errbuf *eb)
{
    enum err err = item->kind == SPLIT_WHOLE ? take_whole(r, item, last, eb)
                                             : reject(r, item, "too long for --event-max", eb);

    if (err != ERR_OK)
        return err;
    if (item->kind != SPLIT_PIECE) {
        r->offset = split_offset(&r->split);
        r->line = split_line(&r->split);
        r->moved = true;
    }
    if (r->batch &&
        (batch_full(r->batch) || clock_mono_ms() - r->begun_ms >= r->settings->batch_ms))
        return submit(r, eb);
    return ERR_OK;
}

static enum err
take_items(struct reader *r, struct errbuf *eb)
{
    struct split_item item;
    enum err err = ERR_OK;

    while (err == ERR_OK && !stop_asked() && split_next(&r->split, &item))
        err = take_item(r, &item, false, eb);
    return err;
}

/* The present file has ended; `next` says that another one begins. */
static enum err
end_file(struct reader *r, bool next, struct errbuf *eb)
{
    struct split_item item;
    enum err err = ERR_OK;

    if (split_last(&r->split, &item))
        err = take_item(r, &item, !next, eb);
    if (err == ERR_MISSING)
        err = ERR_OK;
    if (err != ERR_OK || !next)
        return err;
    source_next(r->source);
    r->offset = source_offset(r->source);
    r->line = source_line(r->source);
    r->moved = true;
    split_restart(&r->split, r->offset, r->line);
    report_line(r->report, LOG_INFO, "%s: reading the next file", source_name(r->source));
    return ERR_OK;
}

static void
show_notice(struct reader *r)
{
    bool warning;
    const char *notice = source_notice(r->source, &warning);

    if (notice)
        report_line(r->report, warning ? LOG_WARN : LOG_INFO, "%s", notice);
}

static enum err
turn(struct reader *r, bool *end, struct errbuf *eb)
{
    size_t room, got;
    enum source_state state;
    char *space = split_space(&r->split, &room);
    enum err err;

    if (!space)
        return err_set(eb, ERR_NOMEM, "out of memory");
    err = source_read(r->source, space, room, &got, &state, eb);
    show_notice(r);
    if (err != ERR_OK)
        return err;
    switch (state) {
    case SOURCE_BYTES:
        split_fill(&r->split, got);
        r->bytes += (int64_t)got;
        report_progress(r->report, r->bytes, source_size(r->source));
        return take_items(r, eb);
    case SOURCE_IDLE:
        return wait_idle(r, source_fd(r->source), source_wait_ms(r->source), eb);
    case SOURCE_NEXT:
        return end_file(r, true, eb);
    case SOURCE_END:
        *end = true;
        return end_file(r, false, eb);
    }
    return ERR_OK;
}

enum err
reader_run(struct reader *r, struct errbuf *eb)
{
    struct errbuf after;
    enum err err = ERR_OK;
    bool end = false;

    split_init(&r->split, (enum format)r->settings->format, (size_t)r->settings->event_max);
    r->offset = source_offset(r->source);
    r->line = source_line(r->source);
    split_restart(&r->split, r->offset, r->line);
    if (r->last_id.p)
        sse_decode_set_last_id(&r->split.sse, r->last_id);
    r->decode = decode_create(r->settings);
    if (!r->decode)
        err = err_set(eb, ERR_NOMEM, "out of memory");
    show_notice(r);
    while (err == ERR_OK && !end && !stop_asked())
        err = turn(r, &end, eb);
    if (r->decode && submit(r, &after) != ERR_OK && err == ERR_OK)
        err = err_set(eb, ERR_IO, "%s", after.text);
    queue_close(r->queue);
    decode_destroy(r->decode);
    split_finish(&r->split);
    return err;
}
