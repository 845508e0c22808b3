#include "ingest/intake.h"

#include <poll.h>

#include "base/clock.h"
#include "base/stop.h"

/* The committer has failed: intake_run() ends, and queue_failure() knows why. */
static enum err
committer_failed(struct errbuf *eb)
{
    return err_set(eb, ERR_IO, "the committer has failed");
}

static enum err
begin_batch(struct intake *in, struct errbuf *eb)
{
    if (in->batch)
        return ERR_OK;
    in->batch = queue_get(in->queue);
    in->begun_ms = clock_mono_ms();
    return in->batch ? ERR_OK : committer_failed(eb);
}

/* Events without their position must not be committed: the next run would read them again. */
static enum err
write_position(struct intake *in, struct errbuf *eb)
{
    struct bookmark b = {0};
    struct text id = TEXT_NONE;
    enum err err;

    if (in->settings->source && in->settings->sync == SYNC_FULL)
        source_sync(in->source);
    err = source_take_bookmark(in->source, in->offset, in->line, &b, eb);
    if (err != ERR_OK)
        return in->settings->source ? err : ERR_OK;
    if (in->settings->format == FORMAT_SSE)
        id = sse_decode_last_id(&in->split.sse);
    if (!b.in_file && !id.n)
        return ERR_OK;
    bookmark_write(&in->batch->position, &b, id);
    buf_byte(&in->batch->position, '\0');
    in->batch->has_position = !buf_failed(&in->batch->position);
    if (!in->batch->has_position && in->settings->source)
        return err_nomem(eb);
    return ERR_OK;
}

/* Hands over what there is, if there is anything. What was rejected is on disk before a position
 * passes it; without a position it is written too. */
static enum err
submit(struct intake *in, struct errbuf *eb)
{
    enum err err = rejects_flush(in->rejects, eb);

    if (err != ERR_OK || (!in->batch && !(in->moved && in->settings->source)))
        return err;
    err = begin_batch(in, eb);
    if (err == ERR_OK)
        err = write_position(in, eb);
    if (err != ERR_OK)
        return err;
    queue_submit(in->queue, in->batch);
    in->batch = NULL;
    in->moved = false;
    return ERR_OK;
}

static bool
has_pending(const struct intake *in)
{
    return in->batch || (in->moved && in->settings->source) || rejects_pending(in->rejects);
}

/* Waits until the input, the committer (when it has something to do) or a stop has news, or wait_ms
 * is over. Pending events go to a committer that has nothing to do. */
static enum err
wait_idle(struct intake *in, int input_fd, int wait_ms, struct errbuf *eb)
{
    struct pollfd p[3] = {{.fd = stop_fd(), .events = POLLIN},
                          {.fd = input_fd, .events = POLLIN},
                          {.fd = -1, .events = POLLIN}};
    bool idle = queue_idle(in->queue);

    if (queue_failure(in->queue, eb) != ERR_OK)
        return committer_failed(eb);
    if (idle && has_pending(in)) {
        enum err err = submit(in, eb);

        if (err != ERR_OK)
            return err;
        idle = false;
    }
    if (!idle) /* a failure has to be seen even while the input is silent */
        p[2].fd = queue_idle_fd(in->queue);
    poll(p, 3, wait_ms);
    console_progress(in->console, in->bytes, source_size(in->source));
    return ERR_OK;
}

/* Waits for the turn of the next event when --rate is given. A pause of the input is not made good
 * by a burst. */
static enum err
pace(struct intake *in, struct errbuf *eb)
{
    int64_t now_us = clock_mono_us();
    enum err err = ERR_OK;

    if (in->due_us == 0 || now_us - in->due_us > 1000000) {
        in->due_us = now_us;
        in->paced = 0;
    }
    while (err == ERR_OK && !stop_asked()) {
        int64_t wait_us = in->due_us + in->paced * 1000000 / in->settings->rate - clock_mono_us();

        if (wait_us < 1000) /* poll(2) counts in milliseconds */
            break;
        err = wait_idle(in, -1, (int)(wait_us / 1000 < 250 ? wait_us / 1000 : 250), eb);
    }
    if (++in->paced == in->settings->rate) { /* a second's worth: keeps the product small */
        in->due_us += 1000000;
        in->paced = 0;
    }
    return err;
}

static enum err
add_event(struct intake *in, const struct event *e, struct errbuf *eb)
{
    enum err err = in->settings->rate ? pace(in, eb) : ERR_OK;

    if (err == ERR_OK)
        err = begin_batch(in, eb);
    if (err != ERR_OK)
        return err;
    err = batch_add(in->batch, e);
    return err == ERR_OK ? ERR_OK : err_nomem(eb);
}

static enum err
reject(struct intake *in, const struct split_item *item, const char *why, struct errbuf *eb)
{
    const struct settings *s = in->settings;

    if (s->strict)
        return err_set(eb, ERR_INVALID, "--strict: %s, line %lld: %s", source_name(in->source),
                       (long long)item->line, why);
    if (item->kind != SPLIT_PIECE)
        console_reject(in->console, source_name(in->source), item->line, why);
    return rejects_add(in->rejects, (enum format)s->format, item, eb);
}

static void
take_signal(struct intake *in, const struct event *e)
{
    if (text_equal(e->type, TEXT_LIT("freshet:reset")))
        console_line(in->console, LOG_WARN, "%s: the sender says that events are missing: %.*s",
                     source_name(in->source), (int)(e->data.n < 300 ? e->data.n : 300), e->data.p);
}

/* The last line of a file that is read with --source may be half written: unless it is an event as
 * it is, it stays for the next run. */
static bool
stays_for_next_run(const struct intake *in, const struct split_item *item,
                   enum decode_outcome outcome)
{
    return item->open && in->settings->source && source_has_positions(in->source) &&
           (outcome == DECODE_REJECT || in->settings->format == FORMAT_LINES);
}

static enum err
take_whole(struct intake *in, const struct split_item *item, bool last, struct errbuf *eb)
{
    struct event e;
    struct errbuf why;
    enum decode_outcome outcome = decode_item(in->decode, item, &e, &why);

    if (last && stays_for_next_run(in, item, outcome)) {
        console_line(in->console, LOG_WARN,
                     "%s, line %lld: has no line end yet; its %zu bytes are left for the next run",
                     source_name(in->source), (long long)item->line, item->data.n);
        return ERR_MISSING;
    }
    switch (outcome) {
    case DECODE_EVENT:
        return add_event(in, &e, eb);
    case DECODE_REJECT:
        return reject(in, item, why.text, eb);
    case DECODE_FAILED:
        return err_set(eb, ERR_NOMEM, "%s", why.text);
    case DECODE_SIGNAL:
        take_signal(in, &e);
        return ERR_OK;
    case DECODE_NOTHING:
        return ERR_OK;
    }
    return ERR_OK;
}

/* Says what holes there were, once a second at most unless `now`. */
static void
report_hole(struct intake *in, int64_t line, bool now)
{
    int64_t now_ms = clock_mono_ms();

    if (!in->hole || (!now && in->hole_ms && now_ms - in->hole_ms < 1000))
        return;
    console_line(
        in->console, LOG_WARN,
        "%s, line %lld: skipped %lld NUL bytes that no program wrote; truncating a log leaves "
        "such a hole if its program does not append (O_APPEND)",
        source_name(in->source), (long long)line, (long long)in->hole);
    in->hole = 0;
    in->hole_ms = now_ms;
}

/* A hole may have gigabytes: the rest of it is not read. */
static void
take_hole(struct intake *in, const struct split_item *item)
{
    in->hole += (int64_t)item->data.n;
    in->offset = split_offset(&in->split);
    in->moved = true;
    if (in->offset == source_offset(in->source)) { /* the rest of it has not been read yet */
        int64_t n = source_skip_hole(in->source);

        split_skip(&in->split, n);
        in->hole += n;
        in->offset += n;
    }
}

/* A stream of Server-Sent Events that gives no message may be something else, which nobody would
 * notice: every line of it is skipped. True and the reason when it is. */
static bool
is_no_stream(struct intake *in, struct errbuf *why)
{
    int64_t line, unknown = sse_decode_unknown(&in->split.sse, &line);

    if (in->settings->format != FORMAT_SSE || in->messages ||
        (!unknown && sse_decode_between(&in->split.sse)))
        return false;
    if (unknown)
        err_set(why, ERR_INVALID,
                "%s: not an event stream: no message in %lld bytes; line %lld is not a field",
                source_name(in->source), (long long)in->bytes, (long long)line);
    else
        err_set(why, ERR_INVALID,
                "%s: not an event stream: no message in %lld bytes; a blank line ends each message",
                source_name(in->source), (long long)in->bytes);
    return true;
}

/* What was done to the input without rejecting any of it. `end`: the input has ended; then no
 * stream at all is a failure. */
static enum err
judge(struct intake *in, bool end, struct errbuf *eb)
{
    int64_t line, unknown = sse_decode_unknown(&in->split.sse, &line);
    int64_t replaced = decode_replaced(in->decode);
    struct errbuf why;

    report_hole(in, in->line, true);
    if (replaced)
        console_line(
            in->console, LOG_WARN,
            "%s: %lld %s with bytes that are not UTF-8; each of these was replaced by U+FFFD",
            source_name(in->source), (long long)replaced, replaced == 1 ? "event" : "events");
    if (is_no_stream(in, &why)) {
        if (end)
            return err_set(eb, ERR_INVALID, "%s", why.text);
        return ERR_OK;
    }
    if (unknown)
        console_line(in->console, LOG_WARN,
                     "%s: %lld lines are not fields of an event stream, the first is line %lld; "
                     "they were skipped",
                     source_name(in->source), (long long)unknown, (long long)line);
    return ERR_OK;
}

/* While the input is silent: says once that it does not seem to be a stream. */
static void
doubt_stream(struct intake *in)
{
    struct errbuf why;
    int64_t line;

    if (in->doubted || in->messages || !sse_decode_unknown(&in->split.sse, &line) ||
        !is_no_stream(in, &why))
        return;
    console_line(in->console, LOG_WARN, "%s", why.text);
    in->doubted = true;
}

/* ERR_MISSING: the item was left where it is. last: nothing comes after it in this run. */
static enum err
take_item(struct intake *in, const struct split_item *item, bool last, struct errbuf *eb)
{
    enum err err;

    if (item->kind == SPLIT_HOLE) {
        take_hole(in, item);
        return ERR_OK;
    }
    report_hole(in, item->line, false);
    in->messages++;
    err = item->kind == SPLIT_WHOLE ? take_whole(in, item, last, eb)
                                    : reject(in, item, "too long for --event-bytes", eb);
    if (err != ERR_OK)
        return err;
    if (item->kind != SPLIT_PIECE) {
        in->offset = split_offset(&in->split);
        in->line = split_line(&in->split);
        in->moved = true;
    }
    if (in->batch &&
        (batch_full(in->batch) || clock_mono_ms() - in->begun_ms >= in->settings->batch_ms))
        return submit(in, eb);
    return ERR_OK;
}

static enum err
take_items(struct intake *in, struct errbuf *eb)
{
    struct split_item item;
    enum err err = ERR_OK;

    while (err == ERR_OK && !stop_asked() && split_next(&in->split, &item))
        err = take_item(in, &item, false, eb);
    return err;
}

/* Goes on in the file, and at the place in it, that the source is at. */
static void
go_on(struct intake *in)
{
    in->offset = source_offset(in->source);
    in->line = source_line(in->source);
    split_restart(&in->split, in->offset, in->line);
}

/* The present file has ended; `next` says that another one begins. */
static enum err
end_file(struct intake *in, bool next, struct errbuf *eb)
{
    struct split_item item;
    enum err err = ERR_OK;

    if (split_last(&in->split, &item))
        err = take_item(in, &item, !next, eb);
    if (err == ERR_MISSING)
        err = ERR_OK;
    if (err != ERR_OK || !next)
        return err;
    source_next(in->source);
    in->moved = true;
    go_on(in);
    return ERR_OK;
}

/* Another file's turn; to this one it goes back later, to the line that is not complete yet. */
static enum err
change_file(struct intake *in, struct errbuf *eb)
{
    enum err err = source_turn(in->source, in->offset, in->line, eb);

    if (err == ERR_OK)
        go_on(in);
    return err;
}

static void
show_notices(struct intake *in)
{
    bool warning;
    const char *notice;

    while ((notice = source_notice(in->source, &warning)))
        console_line(in->console, warning ? LOG_WARN : LOG_INFO, "%s", notice);
}

static enum err
turn(struct intake *in, bool *end, struct errbuf *eb)
{
    size_t room, got;
    enum source_state state;
    char *space = split_space(&in->split, &room);
    enum err err;

    if (!space)
        return err_nomem(eb);
    err = source_read(in->source, space, room, !split_is_discarding(&in->split), &got, &state, eb);
    show_notices(in);
    if (err != ERR_OK)
        return err;
    switch (state) {
    case SOURCE_BYTES:
        split_fill(&in->split, got);
        in->bytes += (int64_t)got;
        console_progress(in->console, in->bytes, source_size(in->source));
        return take_items(in, eb);
    case SOURCE_IDLE:
        doubt_stream(in);
        return wait_idle(in, source_fd(in->source), source_wait_ms(in->source), eb);
    case SOURCE_NEXT:
        return end_file(in, true, eb);
    case SOURCE_TURN:
        return change_file(in, eb);
    case SOURCE_END:
        *end = true;
        return end_file(in, false, eb);
    }
    return ERR_OK;
}

enum err
intake_run(struct intake *in, struct errbuf *eb)
{
    struct errbuf after;
    enum err err = ERR_OK;
    bool end = false;

    split_init(&in->split, (enum format)in->settings->format, (size_t)in->settings->event_max);
    if (source_has_positions(in->source))
        split_skip_holes(&in->split);
    go_on(in);
    if (in->last_id.p)
        sse_decode_set_last_id(&in->split.sse, in->last_id);
    in->decode = decode_create(in->settings);
    if (!in->decode)
        err = err_nomem(eb);
    show_notices(in);
    while (err == ERR_OK && !end && !stop_asked())
        err = turn(in, &end, eb);
    if (in->decode && submit(in, &after) != ERR_OK && err == ERR_OK)
        err = err_set(eb, ERR_IO, "%s", after.text);
    if (in->decode && err == ERR_OK)
        err = judge(in, end, eb);
    queue_close(in->queue);
    decode_destroy(in->decode);
    split_finish(&in->split);
    return err;
}
