/* The store when the disk fails: every read, write, sync and lock of every operation fails in turn,
 * once or from then on, with the disk broken or full. Whatever happens, the operation says so, it
 * happened as a whole or not at all, and when the disk works again so does the same connection. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"
#include "sql/schema.h"
#include "sql/store_internal.h"
#include "tests/unit/disk.h"
#include "tests/unit/temp_db.h"

/* ---- a database per test ---- */

enum { ROWS = 40 };

struct world {
    struct temp_db at;
    struct store *store;
    struct errbuf eb;
    int64_t got; /* by the last operation that reads */
};

static void
must(struct world *w, enum err err)
{
    if (err != ERR_OK)
        fail_msg("%s", w->eb.text);
}

/* Data that fills some pages, so that there is something to read, to spill and to copy. */
static enum err
append(struct world *w, int n, const char *source)
{
    char data[1500];
    enum err err = store_begin(w->store, &w->eb);

    memset(data, 'd', sizeof data);
    for (int i = 0; i < n && err == ERR_OK; i++) {
        struct event e = {.topic = text_of(i % 2 ? "odd" : "even"), .data = {data, sizeof data}};
        int64_t id;
        bool repeated;

        err = store_append(w->store, &e, &id, &repeated, &w->eb);
    }
    if (err == ERR_OK && source)
        err = store_set_cursor(w->store, "source", source, &w->eb);
    return err == ERR_OK ? store_commit(w->store, &w->eb) : err;
}

static void
open_store(struct world *w)
{
    must(w, store_open(&w->store, w->at.path, STORE_WRITE, STORE_SYNC_FULL, &w->eb));
    /* A small cache and a checkpoint after each commit: so that every operation needs the disk. */
    sqlite3_exec(w->store->db, "PRAGMA wal_autocheckpoint = 1; PRAGMA cache_size = 10", NULL, NULL,
                 NULL);
}

static bool old_format; /* whether the next database is of format 1 */

static void
make_old(const char *path)
{
    char *script = schema_script_1();
    sqlite3 *db;

    unlink(path);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, script, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    mem_free(script);
}

static int
set_up(void **state)
{
    struct world *w = calloc(1, sizeof *w);

    assert_non_null(w);
    temp_db_make(&w->at);
    if (old_format)
        make_old(w->at.path);
    open_store(w);
    must(w, append(w, ROWS, "0"));
    *state = w;
    return 0;
}

static int
tear_down(void **state)
{
    struct world *w = *state;

    disk.countdown = 0;
    store_close(w->store);
    temp_db_remove(&w->at);
    free(w);
    return 0;
}

/* What a stranger finds: a text of everything that counts, from a connection of its own. */
static void
look(struct world *w, char *state, size_t size)
{
    sqlite3 *db;
    sqlite3_stmt *st;

    assert_int_equal(sqlite3_open(w->at.path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(
                         db,
                         "SELECT (SELECT integrity_check FROM pragma_integrity_check) || ' rows ' "
                         "|| count(*) || ' ' || coalesce(min(id), 0) || '..' || "
                         "coalesce(max(id), 0) || ' at ' || (SELECT position FROM ingest_cursor)"
                         " || ' pruned ' || (SELECT pruned_through FROM feed) || ' format ' || "
                         "(SELECT user_version FROM pragma_user_version) || ' of ' || "
                         "(SELECT count(*) FROM sqlite_schema) FROM events",
                         -1, &st, NULL),
                     SQLITE_OK);
    assert_int_equal(sqlite3_step(st), SQLITE_ROW);
    snprintf(state, size, "%s", (const char *)sqlite3_column_text(st, 0));
    sqlite3_finalize(st);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
    assert_memory_equal(state, "ok ", 3);
}

/* ---- the operations ---- */

static bool
count_event(void *context, const struct event *e)
{
    struct world *w = context;

    w->got += e->data.n == 1500;
    return true;
}

static enum err
do_read(struct world *w)
{
    struct store_query q = {NULL, 0, 1000, {1000, SIZE_MAX, 0}};
    struct store_page page;
    enum err err;

    w->got = 0;
    err = store_read(w->store, &q, count_event, w, &page, &w->eb);
    if (err == ERR_OK)
        assert_int_equal(w->got, page.marks.newest - page.marks.oldest + 1);
    return err;
}

static enum err
do_look_up(struct world *w)
{
    struct subscription odd;
    int64_t position;
    uint32_t found;
    bool done;
    enum err err;

    subscription_init(&odd);
    subscription_add_topic(&odd, TEXT_LIT("odd"), NULL);
    assert_int_equal(subscription_seal(&odd), ERR_OK);
    err = store_last(w->store, &odd, 0, 5, &store_step_all, &position, &found, &done, &w->eb);
    if (err == ERR_OK)
        assert_int_equal(found, 5);
    subscription_finish(&odd);
    return err == ERR_OK ? store_since(w->store, 1, &position, &w->eb) : err;
}

static enum err
do_status(struct world *w)
{
    struct store_status status;
    int64_t version;
    enum err err = store_data_version(w->store, &version, &w->eb);

    return err == ERR_OK ? store_status(w->store, &status, &w->eb) : err;
}

static enum err
do_ingest(struct world *w)
{
    return append(w, 30, "30");
}

static enum err
do_prune(struct world *w)
{
    uint32_t deleted;

    return store_prune(w->store, ROWS / 2, 1000, &deleted, &w->eb);
}

/* The connection stays as it is: this is about another one. */
static enum err
do_open(struct world *w)
{
    struct store *other;
    enum err err = store_open(&other, w->at.path, STORE_READ, STORE_SYNC_FULL, &w->eb);

    store_close(other);
    return err;
}

static enum err
do_open_to_write(struct world *w)
{
    struct store *other;
    enum err err = store_open(&other, w->at.path, STORE_WRITE, STORE_SYNC_FULL, &w->eb);

    store_close(other);
    return err;
}

static enum err
do_upgrade(struct world *w)
{
    int from, to;

    return store_upgrade(w->at.path, &from, &to, &w->eb);
}

static const struct operation {
    const char *name;
    enum err (*run)(struct world *w);
    bool of_old; /* of a database of format 1 */
} operations[] = {
    {"read", do_read, false},
    {"look up", do_look_up, false},
    {"status", do_status, false},
    {"ingest", do_ingest, false},
    {"prune", do_prune, false},
    {"open", do_open, false},
    {"open to write", do_open_to_write, false},
    {"upgrade", do_upgrade, true},
};

static void
set_disk(long n, bool for_good, bool full)
{
    disk.countdown = n;
    disk.for_good = for_good;
    disk.full = full;
    disk.fired = false;
    disk.calls = 0;
}

/* The n-th call fails; true when there were that many. */
static bool
try_fault(void **state, const struct operation *o, long n, bool for_good, bool full,
          const char *wanted)
{
    char before[200], after[200];
    struct world *w;
    bool fired;
    enum err err;

    set_up(state);
    w = *state;
    look(w, before, sizeof before);
    w->eb.text[0] = '\0';
    set_disk(n, for_good, full);
    err = o->run(w);
    fired = disk.fired;
    disk.countdown = 0;

    if (err != ERR_OK) {
        assert_true(fired);
        if (err != ERR_IO && err != ERR_FULL)
            fail_msg("%s, call %ld: error %d: %s", o->name, n, err, w->eb.text);
        assert_true(!full || err == ERR_FULL);
        assert_non_null(strstr(w->eb.text, w->at.path));
        look(w, after, sizeof after);
        assert_string_equal(after, before);
        must(w, o->run(w)); /* the same connection, the same again */
    }
    look(w, after, sizeof after);
    assert_string_equal(after, wanted);
    tear_down(state);
    return fired;
}

static void
fail_every_call(void **state, bool for_good, bool full)
{
    tear_down(state);
    for (size_t i = 0; i < sizeof operations / sizeof *operations; i++) {
        char wanted[200]; /* as if nothing had been */
        long n = 1;

        old_format = operations[i].of_old;
        set_up(state);
        must(*state, operations[i].run(*state));
        look(*state, wanted, sizeof wanted);
        tear_down(state);
        while (try_fault(state, &operations[i], n, for_good, full, wanted))
            n++;
        print_message("# %s: %ld calls\n", operations[i].name, n - 1);
        assert_true(n > 1 || full);
    }
    old_format = false;
    set_up(state);
}

static void
every_call_may_fail_once(void **state)
{
    fail_every_call(state, false, false);
}

static void
the_disk_may_break_at_every_call(void **state)
{
    fail_every_call(state, true, false);
}

static void
the_disk_may_be_full_at_every_write(void **state)
{
    fail_every_call(state, true, true);
}

/* ---- a file that is not in its place any more ---- */

static void
expect_place(struct world *w, enum store_place place)
{
    assert_int_equal(store_place(w->store), place);
    if (place == STORE_IN_PLACE) {
        must(w, append(w, 1, NULL)); /* and the WAL is not empty */
    } else {
        assert_int_equal(append(w, 1, NULL), ERR_MISSING);
        assert_non_null(strstr(w->eb.text, "start again"));
    }
}

static void
writing_into_a_file_that_nobody_can_find_is_refused(void **state)
{
    struct world *w = *state;
    char aside[256], other[256], wal[256];
    bool existed;

    snprintf(aside, sizeof aside, "%s.aside", w->at.path);
    snprintf(other, sizeof other, "%s.other", w->at.path);
    snprintf(wal, sizeof wal, "%s-wal", w->at.path);
    expect_place(w, STORE_IN_PLACE);
    assert_int_equal(rename(w->at.path, aside), 0);
    expect_place(w, STORE_GONE);
    assert_int_equal(rename(aside, w->at.path), 0);
    expect_place(w, STORE_IN_PLACE);
    must(w, store_create(other, &existed, &w->eb));
    assert_int_equal(rename(other, w->at.path), 0);
    expect_place(w, STORE_MIXED);
    assert_int_equal(unlink(wal), 0);
    expect_place(w, STORE_REPLACED);
    assert_int_equal(unlink(w->at.path), 0);
    expect_place(w, STORE_GONE);
}

/* SQLite removes the WAL beside an empty file: that of a database which was moved away a moment
 * ago, and is about to be put back. */
static void
an_empty_file_is_not_opened(void **state)
{
    struct world *w = *state;
    char aside[256];
    struct store *other;
    FILE *empty;

    snprintf(aside, sizeof aside, "%s.aside", w->at.path);
    assert_int_equal(rename(w->at.path, aside), 0);
    empty = fopen(w->at.path, "w");
    assert_non_null(empty);
    fclose(empty);
    assert_int_equal(store_open(&other, w->at.path, STORE_READ, STORE_SYNC_FULL, &w->eb),
                     ERR_MISSING);
    assert_non_null(strstr(w->eb.text, "empty; make it with"));
    assert_int_equal(rename(aside, w->at.path), 0);
    expect_place(w, STORE_IN_PLACE);
}

/* Somebody has tidied up: a connection that comes now begins another WAL, and neither side sees the
 * other. */
static void
a_wal_that_was_deleted_is_noticed(void **state)
{
    struct world *w = *state;
    struct store *old = w->store;
    char name[256], found[200];

    expect_place(w, STORE_IN_PLACE);
    snprintf(name, sizeof name, "%s-shm", w->at.path);
    assert_int_equal(unlink(name), 0);
    snprintf(name, sizeof name, "%s-wal", w->at.path);
    assert_int_equal(unlink(name), 0);
    expect_place(w, STORE_WAL_LOST);
    open_store(w);
    expect_place(w, STORE_IN_PLACE); /* one event more */
    look(w, name, sizeof name);
    assert_int_equal(store_place(old), STORE_WAL_LOST);
    store_close(old); /* takes nothing of the others along */
    look(w, found, sizeof found);
    assert_string_equal(found, name);
    expect_place(w, STORE_IN_PLACE);
}

/* SQLite follows the link once, when it opens. */
static void
a_link_that_leads_elsewhere_is_noticed(void **state)
{
    struct world *w = *state;
    char first[256], second[256];
    bool existed;

    snprintf(first, sizeof first, "%s.first", w->at.path);
    snprintf(second, sizeof second, "%s.second", w->at.path);
    store_close(w->store);
    assert_int_equal(rename(w->at.path, first), 0);
    must(w, store_create(second, &existed, &w->eb));
    assert_int_equal(symlink(first, w->at.path), 0);
    open_store(w);
    expect_place(w, STORE_IN_PLACE);
    assert_int_equal(unlink(w->at.path), 0);
    expect_place(w, STORE_GONE);
    assert_int_equal(symlink(second, w->at.path), 0);
    expect_place(w, STORE_REPLACED);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(every_call_may_fail_once),
        TEST(the_disk_may_break_at_every_call),
        TEST(the_disk_may_be_full_at_every_write),
        TEST(writing_into_a_file_that_nobody_can_find_is_refused),
        TEST(an_empty_file_is_not_opened),
        TEST(a_wal_that_was_deleted_is_noticed),
        TEST(a_link_that_leads_elsewhere_is_noticed),
    };

    disk_hook();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
