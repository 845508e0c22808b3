/* The rows of table events, each against the rules that it had to pass to get there. */
#include "sql/check_internal.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/clock.h"
#include "stream/event.h"

#define PART "events"
#define ID_MAX INT64_C(9007199254740991) /* as in schema.sql */
enum { FINDINGS_MAX = 20, CLOCK_TOLERANCE_MS = 24 * 3600 * 1000 };

struct tally {
    int64_t rows, broken, odd;
    int64_t future, first_future; /* created in the future */
    int64_t past, first_past;     /* created before 1970, which format 1 allowed */
    int64_t next, now_ms;
};

static struct text
column(sqlite3_stmt *st, int i)
{
    return store_column(st, i);
}

/* The CHECKs, and in format 1 STRICT, keep all of this out, unless they were off or the file was
 * changed. */
static enum err
judge(sqlite3_stmt *st, int made_as, struct errbuf *why)
{
    struct event e = {.id = sqlite3_column_int64(st, 0),
                      .topic = column(st, 1),
                      .type = column(st, 2),
                      .key = column(st, 3),
                      .data = column(st, 5)};

    if (e.id < 1 || e.id > ID_MAX)
        return err_set(why, ERR_INVALID, "its id is not from 1 to 2^53-1");
    if (sqlite3_column_type(st, 4) != SQLITE_INTEGER)
        return err_set(why, ERR_INVALID, "created is not an integer");
    if (made_as > 1 && sqlite3_column_int64(st, 4) <= 0)
        return err_set(why, ERR_INVALID, "created is not above 0");
    if (!e.topic.p || !e.data.p)
        return err_set(why, ERR_INVALID, "%s is NULL", e.topic.p ? "data" : "topic");
    return event_check(&e, SIZE_MAX, why);
}

/* The schema cannot ask for UTF-8, only our programs do: those who write with other programs may
 * not know. */
static const char *
not_utf8(sqlite3_stmt *st)
{
    static const char *const names[] = {"topic", "type", "key", NULL, "data"};

    for (int i = 1; i <= 5; i++)
        if (i != 4 && column(st, i).p && !text_is_utf8(column(st, i)))
            return names[i - 1];
    return NULL;
}

static void
look_at(struct check *c, sqlite3_stmt *st, struct tally *t)
{
    int64_t id = sqlite3_column_int64(st, 0);
    const char *bytes = not_utf8(st);
    char sql[CHECK_CURE_SIZE];
    struct errbuf why;

    if (bytes) {
        if (t->odd++ < FINDINGS_MAX)
            check_bad(c, CHECK_ODD, PART, "write UTF-8; browsers show U+FFFD for these bytes",
                      "event %" PRId64 ": %s is not UTF-8", id, bytes);
    } else if (judge(st, c->made_as, &why) != ERR_OK && t->broken++ < FINDINGS_MAX) {
        snprintf(sql, sizeof sql, "DELETE FROM /**/events WHERE id = %" PRId64, id);
        check_cure(c, PART, sql, "event %" PRId64 ": %s", id, why.text);
    }
    if (sqlite3_column_int64(st, 4) > t->now_ms + CLOCK_TOLERANCE_MS && t->future++ == 0)
        t->first_future = id;
    if (c->made_as == 1 && sqlite3_column_int64(st, 4) <= 0 && t->past++ == 0)
        t->first_past = id;
}

/* *n: how many rows the page had. */
static enum err
read_page(struct check *c, sqlite3_stmt *st, struct tally *t, int64_t *n)
{
    enum err err = ERR_OK;

    *n = 0;
    sqlite3_bind_int64(st, 1, t->next);
    while (t->next != INT64_MAX && err == ERR_OK && check_step(c, st, PART, &err)) {
        int64_t id = sqlite3_column_int64(st, 0);

        if (id < t->next) { /* or a damaged tree would be walked in a circle */
            check_bad(c, CHECK_BROKEN, PART, "see structure", "ids do not ascend at %" PRId64, id);
            err = ERR_CORRUPT;
            break;
        }
        look_at(c, st, t);
        t->next = id < INT64_MAX ? id + 1 : id;
        t->rows++;
        ++*n;
        atomic_store(&c->order->watch->done, id);
    }
    sqlite3_reset(st);
    if (err == ERR_CORRUPT)
        check_bad(c, CHECK_ODD, PART, "fix the structure first",
                  "the rows from id %" PRId64 " on were not looked at", t->next);
    return err;
}

static void
sum_up(struct check *c, const struct tally *t)
{
    if (t->broken > FINDINGS_MAX)
        check_bad(c, CHECK_BROKEN, PART, "the same for each of them",
                  "%" PRId64 " more events break rules", t->broken - FINDINGS_MAX);
    if (t->odd > FINDINGS_MAX)
        check_bad(c, CHECK_ODD, PART, NULL, "%" PRId64 " more events are not UTF-8",
                  t->odd - FINDINGS_MAX);
    if (t->future > 0)
        check_bad(
            c, CHECK_ODD, PART,
            "correct the writers' clocks; since= and prune --older-than misjudge these events",
            "%" PRId64 " events were created more than a day in the future, the first is "
            "%" PRId64,
            t->future, t->first_future);
    if (t->past > 0)
        check_bad(c, CHECK_ODD, PART,
                  "leave created out of the INSERT; since= and prune --older-than misjudge these "
                  "events until they are pruned",
                  "%" PRId64 " events were created in 1970 or before, the first is %" PRId64,
                  t->past, t->first_past);
    if (t->broken == 0 && t->odd == 0)
        check_good(c, PART, "%" PRId64 " rows, all obey the rules", t->rows);
}

static void
expect(struct check *c)
{
    enum err err;
    sqlite3_stmt *st = check_prepare(c, CHECK_SPAN, PART, &err);

    if (st && sqlite3_step(st) == SQLITE_ROW)
        atomic_store(&c->order->watch->total, sqlite3_column_int64(st, 1));
    sqlite3_finalize(st);
}

enum err
check_events(struct check *c)
{
    struct tally t = {.next = INT64_MIN, .now_ms = clock_wall_ms()};
    int64_t n = 1;
    enum err err;
    sqlite3_stmt *st;

    expect(c);
    st = check_prepare(c, CHECK_EVENTS, PART, &err);
    while (st && err == ERR_OK && n > 0)
        err = read_page(c, st, &t, &n);
    sqlite3_finalize(st);
    if (err == ERR_OK)
        sum_up(c, &t);
    atomic_store(&c->order->watch->total, 0);
    return err;
}
