/* What is known about the log as a whole: epoch, ids given, pruned mark; keys; ingest positions. */
#include "sql/check_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "sql/schema.h"

#define ID_MAX INT64_C(9007199254740991) /* as in schema.sql */
/* For when the events above the greatest id have been deleted. */
#define SEQUENCE_BACK                                                                              \
    "UPDATE sqlite_sequence SET seq = (SELECT coalesce(max(id), 0) FROM /**/events)"               \
    " WHERE name = /**/'events'"
enum { CLOCK_TOLERANCE_MS = 24 * 3600 * 1000 };

struct log_facts {
    bool sequence_there;
    int64_t sequence, lowest, highest, pruned; /* 0 = none */
};

/* ---- feed and key_guard ---- */

static bool
is_epoch(const char *s)
{
    return s && strlen(s) == STORE_EPOCH_LENGTH &&
           strspn(s, "0123456789abcdefghijklmnopqrstuvwxyz") == STORE_EPOCH_LENGTH;
}

static void
judge_epoch(struct check *c, sqlite3_stmt *st)
{
    const char *epoch = (const char *)sqlite3_column_text(st, 0);

    if (is_epoch(epoch))
        check_good(c, "epoch", "%s", epoch);
    else
        check_cure(c, "epoch", "UPDATE /**/feed SET epoch = 'XXXX'",
                   "%sfeed.epoch is \"%s\", not four of 0-9a-z; take the one that clients' ids end "
                   "with, or any other: then every client is told that the log is a new one",
                   CHECK_PREFIX(c), epoch ? epoch : "");
    if (sqlite3_column_int64(st, 2) > clock_wall_ms() + CLOCK_TOLERANCE_MS)
        check_bad(c, CHECK_ODD, "epoch", "correct the machine's clock",
                  "%sfeed.created is in the future", CHECK_PREFIX(c));
}

static enum err
check_feed(struct check *c, struct log_facts *log)
{
    enum err err;
    sqlite3_stmt *st = check_prepare(c, CHECK_FEED, "epoch", &err);

    if (st && check_step(c, st, "epoch", &err)) {
        int64_t rows = sqlite3_column_int64(st, 3);

        if (rows == 0)
            check_cure(c, "epoch", "INSERT INTO /**/feed(epoch) VALUES ('XXXX')",
                       "table %sfeed has lost its row, so there is no epoch; take the one that "
                       "clients' ids end with",
                       CHECK_PREFIX(c));
        else if (rows > 1)
            check_cure(c, "epoch", "DELETE FROM /**/feed WHERE one <> 1",
                       "table %sfeed has %" PRId64 " rows instead of one", CHECK_PREFIX(c), rows);
        else
            judge_epoch(c, st);
        log->pruned = sqlite3_column_int64(st, 1);
    }
    sqlite3_finalize(st);
    return err;
}

static enum err
check_guard(struct check *c)
{
    enum err err;
    sqlite3_stmt *st = check_prepare(c, CHECK_GUARD, "keys", &err);

    if (st && check_step(c, st, "keys", &err) && sqlite3_column_int64(st, 0) != 1)
        check_cure(c, "keys", "INSERT INTO /**/key_guard VALUES (1)",
                   "table %skey_guard has lost its row: INSERT OR REPLACE could replace an event",
                   CHECK_PREFIX(c));
    sqlite3_finalize(st);
    return err;
}

/* In a file of its own the number stands in two places. */
static enum err
check_feed_format(struct check *c)
{
    char sql[CHECK_CURE_SIZE];
    enum err err;
    sqlite3_stmt *st;

    if (store_is_guest(c->store) || c->store->format < SCHEMA_FIRST_WITH_GUESTS)
        return ERR_OK;
    st = check_prepare(c, CHECK_FEED_FORMAT, "file", &err);
    snprintf(sql, sizeof sql, "UPDATE /**/feed SET format = %d", c->store->format);
    if (st && check_step(c, st, "file", &err) && sqlite3_column_type(st, 0) != SQLITE_NULL &&
        sqlite3_column_int64(st, 0) != c->store->format)
        check_cure(c, "file", sql, "feed.format is %" PRId64 ", but user_version is %d",
                   (int64_t)sqlite3_column_int64(st, 0), c->store->format);
    sqlite3_finalize(st);
    return err;
}

/* ---- ids ---- */

static enum err
read_ids(struct check *c, struct log_facts *log)
{
    enum err err;
    sqlite3_stmt *st = check_prepare(c, CHECK_SEQUENCE, "ids", &err);

    if (st && check_step(c, st, "ids", &err)) {
        log->sequence_there = sqlite3_column_int64(st, 0) > 0;
        log->sequence = sqlite3_column_int64(st, 1);
        if (sqlite3_column_int64(st, 0) > 1)
            check_bad(c, CHECK_BROKEN, "ids",
                      "delete all but the highest: DELETE FROM sqlite_sequence WHERE rowid = …",
                      "sqlite_sequence has %" PRId64 " rows for %sevents instead of one",
                      (int64_t)sqlite3_column_int64(st, 0), CHECK_PREFIX(c));
    }
    sqlite3_finalize(st);
    if (err != ERR_OK)
        return err;
    st = check_prepare(c, CHECK_SPAN, "ids", &err);
    if (st && check_step(c, st, "ids", &err)) {
        log->lowest = sqlite3_column_int64(st, 0);
        log->highest = sqlite3_column_int64(st, 1);
    }
    sqlite3_finalize(st);
    return err;
}

static void
judge_sequence(struct check *c, const struct log_facts *log)
{
    char sql[CHECK_CURE_SIZE];
    int64_t highest = log->highest > log->pruned ? log->highest : log->pruned;

    if (highest > 0 && !log->sequence_there) {
        snprintf(sql, sizeof sql, "INSERT INTO sqlite_sequence VALUES (/**/'events', %" PRId64 ")",
                 highest);
        check_cure(c, "ids", sql,
                   "sqlite_sequence has no row for %sevents: ids of deleted events would be used "
                   "again",
                   CHECK_PREFIX(c));
    } else if (log->sequence < highest) {
        snprintf(sql, sizeof sql,
                 "UPDATE sqlite_sequence SET seq = %" PRId64 " WHERE name = /**/'events'", highest);
        check_cure(c, "ids", sql,
                   "sqlite_sequence says that %" PRId64
                   " is the highest id ever given, but %" PRId64 " was",
                   log->sequence, highest);
    } else if (log->sequence > ID_MAX) {
        check_cure(c, "ids", SEQUENCE_BACK,
                   "sqlite_sequence is at %" PRId64 ", above 2^53-1: nothing can be "
                   "appended any more",
                   log->sequence);
    } else {
        check_good(c, "ids", "%s %" PRId64 " to %" PRId64 ", the highest ever given is %" PRId64,
                   log->highest ? "from" : "no event is left;", log->lowest, log->highest,
                   log->sequence);
    }
}

/* ---- the pruned mark ---- */

static enum err
count_below(struct check *c, int64_t through, int64_t *rows)
{
    enum err err;
    sqlite3_stmt *st = check_prepare(c, CHECK_BELOW, "pruned", &err);

    if (st)
        sqlite3_bind_int64(st, 1, through);
    if (st && check_step(c, st, "pruned", &err))
        *rows = sqlite3_column_int64(st, 0);
    sqlite3_finalize(st);
    return err;
}

static enum err
judge_pruned(struct check *c, const struct log_facts *log)
{
    int64_t newest = log->sequence > log->highest ? log->sequence : log->highest, below = 0;
    int64_t next = log->highest ? log->lowest : newest + 1;
    char sql[CHECK_CURE_SIZE];
    enum err err = count_below(c, log->pruned, &below);

    if (err != ERR_OK)
        return err;
    snprintf(sql, sizeof sql, "UPDATE /**/feed SET pruned_through = %" PRId64, next - 1);
    if (log->pruned < 0 || log->pruned > newest)
        check_cure(c, "pruned", sql,
                   "%sfeed.pruned_through is %" PRId64 ", but ids were given only up to %" PRId64
                   ": clients are told that events are gone that never existed",
                   CHECK_PREFIX(c), log->pruned, newest);
    else if (below > 0)
        check_bad(c, CHECK_ODD, "pruned",
                  "nothing if somebody deleted single events; freshet prune removes the rest",
                  "%" PRId64 " events are at or below %" PRId64
                  ", the highest id that was deleted: a client that resumes among them is told "
                  "that some are gone",
                  below, log->pruned);
    else if (next > log->pruned + 1)
        check_bad(c, CHECK_ODD, "pruned", sql,
                  "ids %" PRId64 " to %" PRId64
                  " are neither there nor marked as deleted (up to %" PRId64
                  " they are): fine where a program chose its ids; if rows were deleted with the "
                  "trigger off, clients are not told",
                  log->pruned + 1, next - 1, log->pruned);
    else
        check_good(c, "pruned", "through %" PRId64 ", the log continues at %" PRId64, log->pruned,
                   next);
    return ERR_OK;
}

/* ---- all of it, in one transaction: the numbers belong together ---- */

static enum err
transaction(struct check *c, enum checking sql)
{
    enum err err;
    sqlite3_stmt *st = check_prepare(c, sql, "ids", &err);

    if (st)
        check_step(c, st, "ids", &err);
    sqlite3_finalize(st);
    return err;
}

enum err
check_log(struct check *c)
{
    struct log_facts log = {0};
    enum err err = transaction(c, CHECK_SNAPSHOT), ids, feed;

    if (err != ERR_OK)
        return err;
    feed = check_feed(c, &log);
    if (feed == ERR_OK)
        feed = check_feed_format(c);
    ids = read_ids(c, &log);
    if (ids == ERR_OK)
        judge_sequence(c, &log);
    if (ids == ERR_OK && feed == ERR_OK)
        err = judge_pruned(c, &log);
    if (err == ERR_OK)
        err = check_guard(c);
    transaction(c, CHECK_SNAPSHOT_END);
    return err != ERR_OK ? err : ids != ERR_OK ? ids : feed;
}

/* ---- keys, sources ---- */

enum err
check_keys(struct check *c)
{
    bool good = true;
    enum err err;
    sqlite3_stmt *st = check_prepare(c, CHECK_DOUBLE_KEYS, "keys", &err);

    while (st && err == ERR_OK && check_step(c, st, "keys", &err)) {
        good = false;
        check_bad(c, CHECK_BROKEN, "keys", "keep the first and delete the others, then REINDEX",
                  "key \"%.*s\" occurs in %d events, the first is %" PRId64 ", the last %" PRId64,
                  CHECK_TEXT(st, 0), sqlite3_column_int(st, 1),
                  (int64_t)sqlite3_column_int64(st, 2), (int64_t)sqlite3_column_int64(st, 3));
    }
    sqlite3_finalize(st);
    if (err == ERR_OK && good)
        check_good(c, "keys", "each occurs once");
    return err;
}

enum err
check_sources(struct check *c)
{
    int n = 0;
    bool good = true;
    struct errbuf why;
    enum err err;
    sqlite3_stmt *st = check_prepare(c, CHECK_POSITIONS, "sources", &err);

    for (; st && err == ERR_OK && check_step(c, st, "sources", &err); n++) {
        const char *position = (const char *)sqlite3_column_text(st, 1);

        if (c->order->position(position ? position : "", &why) == ERR_OK)
            continue;
        good = false;
        check_bad(
            c, CHECK_BROKEN, "sources",
            "delete its row of table ingest_cursor: the source is then read from its beginning",
            "source \"%.*s\": %s; freshet-ingest cannot continue from it", CHECK_TEXT(st, 0),
            why.text);
    }
    sqlite3_finalize(st);
    if (err == ERR_OK && good)
        check_good(c, "sources", "%d, each with a position from which freshet-ingest can continue",
                   n);
    return err;
}
