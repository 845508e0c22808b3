/* Formats of the database, and a guest in the database of an application. Each test is run for each
 * kind, and skips those that it says nothing about. */
#include "tests/unit/store_world.h"

#include <stdio.h>

#include "sql/schema.h"

/* ---- what a file is ---- */

static void
a_file_of_another_version_is_told_apart(void **state)
{
    struct world *w = *state;
    bool guest = world_kind == WORLD_GUEST, existed;

    ALLOWS(w, guest ? "UPDATE feed SET format = 3" : "PRAGMA user_version = 3");
    expect_open(w, w->at.path, ERR_FOREIGN,
                "a newer version of freshet (format 3; this one reads 1 to 2)");
    assert_int_equal(store_create(w->at.path, &existed, &w->eb), ERR_FOREIGN);
    assert_int_equal(store_create_guest(w->at.path, &existed, &w->eb), ERR_FOREIGN);
    assert_non_null(strstr(w->eb.text, "a newer version"));
    /* Guests came with format 2. */
    ALLOWS(w, guest ? "UPDATE feed SET format = 1" : "PRAGMA user_version = 0");
    expect_open(w, w->at.path, ERR_FOREIGN, "an unknown version of freshet");
}

/* Nothing is damaged: a migration tool has dropped it, as tools do with tables they do not know. */
static void
expect_named(struct world *w, enum err err, const char *table)
{
    char want[100];

    assert_int_equal(err, ERR_MISSING);
    snprintf(want, sizeof want, "table %s is missing: another program has dropped it",
             named(table));
    if (!strstr(w->eb.text, want))
        fail_msg("\"%s\" is not in \"%s\"", want, w->eb.text);
}

static void
a_table_that_was_dropped_is_named(void **state)
{
    struct world *w = *state;
    struct event e = {.topic = TEXT_LIT("a"), .data = TEXT_LIT("x")};
    struct marks m;
    struct store *other;
    int64_t n;
    bool repeated;

    ALLOWS(w, "DROP TABLE ingest_cursor");
    assert_int_equal(store_begin(w->store, &w->eb), ERR_OK);
    expect_named(w, store_set_cursor(w->store, "x", "1", &w->eb), "ingest_cursor");
    expect_named(w, store_open(&other, w->at.path, STORE_READ, STORE_SYNC_FULL, &w->eb),
                 "ingest_cursor");
    ALLOWS(w, "DROP TABLE key_guard"); /* which only a trigger needs */
    assert_int_equal(store_begin(w->store, &w->eb), ERR_OK);
    expect_named(w, store_append(w->store, &e, &n, &repeated, &w->eb), "key_guard");
    ALLOWS(w, "DROP TABLE feed");
    expect_named(w, store_marks(w->store, &m, &w->eb), "feed");
    if (world_kind == WORLD_GUEST)
        expect_open(w, w->at.path, ERR_FOREIGN, "table freshet_feed is missing");
    ALLOWS(w, world_kind == WORLD_GUEST ? "DROP TABLE freshet_events" : "DROP TABLE events");
    expect_named(w, store_count(w->store, 1, &n, &w->eb), "events");
    if (world_kind == WORLD_GUEST)
        expect_open(w, w->at.path, ERR_FOREIGN, "without tables of freshet in it");
}

/* ---- upgrading ---- */

static void
an_older_file_says_so_and_is_used_as_it_is(void **state)
{
    struct world *w = *state;
    struct errbuf what = {""};
    int from, to;

    append(w, "a", NULL, "k");
    assert_int_equal(marks(w).newest, 1);
    if (world_kind != WORLD_OLD) {
        assert_false(store_is_old(w->store, &what));
        assert_int_equal(store_format(w->store), 2);
        assert_int_equal(store_upgrade(w->at.path, &from, &to, &w->eb), ERR_OK);
        assert_true(from == 2 && to == 2);
        return;
    }
    assert_int_equal(store_format(w->store), 1);
    assert_true(store_is_old(w->store, &what));
    assert_non_null(strstr(what.text, "freshet upgrade --db"));
}

/* Both connections stay open: responder, ingest and strangers go on through it. */
static void
an_upgrade_is_not_noticed_by_those_who_use_the_file(void **state)
{
    struct world *w = *state;
    struct store_query q = {.rows_max = 10, .step = {10, SIZE_MAX, 0}};
    struct store_page page;
    struct store *other;
    char epoch[STORE_EPOCH_LENGTH + 1];
    int from, to, rows = 0;

    if (world_kind != WORLD_OLD)
        return;
    strcpy(epoch, store_epoch(w->store));
    append(w, "a", NULL, NULL);
    append(w, "a", NULL, NULL);
    assert_int_equal(number(w, "SELECT count(*) FROM events"), 2);
    assert_int_equal(store_upgrade(w->at.path, &from, &to, &w->eb), ERR_OK);
    assert_true(from == 1 && to == 2);
    append(w, "a", NULL, "k");
    ALLOWS(w, "INSERT INTO events(topic, data) VALUES ('a', 'x')");
    assert_int_equal(store_read(w->store, &q, count_rows, &rows, &page, &w->eb), ERR_OK);
    assert_true(rows == 4 && page.marks.newest == 4);
    assert_int_equal(store_open(&other, w->at.path, STORE_READ, STORE_SYNC_FULL, &w->eb), ERR_OK);
    assert_string_equal(store_epoch(other), epoch);
    assert_int_equal(store_format(other), 2);
    store_close(other);
    assert_int_equal(number(w, "SELECT CAST(id AS INTEGER) FROM position"), 4);
    REFUSES(w, "INSERT INTO events(topic, data, created) VALUES ('a', 'x', 0)", "above 0");
    assert_int_equal(store_upgrade(w->at.path, &from, &to, &w->eb), ERR_OK);
    assert_true(from == 2 && to == 2);
}

static void
an_upgrade_waits_for_no_reader(void **state)
{
    struct world *w = *state;
    sqlite3 *reader;
    int from, to;

    if (world_kind != WORLD_OLD)
        return;
    assert_int_equal(sqlite3_open(w->at.path, &reader), SQLITE_OK);
    assert_int_equal(sqlite3_exec(reader, "BEGIN; SELECT count(*) FROM events", NULL, NULL, NULL),
                     SQLITE_OK);
    assert_int_equal(store_upgrade(w->at.path, &from, &to, &w->eb), ERR_OK);
    sqlite3_close(reader);
}

/* ---- a guest ---- */

static void
an_application_keeps_what_is_its_own(void **state)
{
    struct world *w = *state;
    uint32_t deleted;
    bool existed;

    if (world_kind != WORLD_GUEST)
        return;
    append(w, "a", NULL, NULL);
    assert_int_equal(store_prune(w->store, 1, 10, &deleted, &w->eb), ERR_OK);
    assert_int_equal(store_create_guest(w->at.path, &existed, &w->eb), ERR_OK);
    assert_true(existed && store_is_guest(w->store));
    ALLOWS(w, "CREATE TEMP VIEW theirs AS SELECT * FROM main.sqlite_schema"
              " WHERE name NOT LIKE 'freshet%' AND tbl_name NOT LIKE 'freshet%'");
    assert_int_equal(number(w, "SELECT group_concat(name) = 'events,orders,sqlite_sequence' FROM"
                               " (SELECT name FROM theirs ORDER BY name)"),
                     1);
    assert_int_equal(number(w, "SELECT application_id FROM pragma_application_id"), 1196444487);
    assert_int_equal(number(w, "SELECT user_version FROM pragma_user_version"), 10300);
    assert_int_equal(number(w, "SELECT seq FROM sqlite_sequence WHERE name = 'orders'"), 2);
    assert_int_equal(number(w, "SELECT count(*) FROM orders"), 2);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD_TEST(a_file_of_another_version_is_told_apart),
        WORLD_TEST(a_table_that_was_dropped_is_named),
        WORLD_TEST(an_older_file_says_so_and_is_used_as_it_is),
        WORLD_TEST(an_upgrade_is_not_noticed_by_those_who_use_the_file),
        WORLD_TEST(an_upgrade_waits_for_no_reader),
        WORLD_TEST(an_application_keeps_what_is_its_own),
    };

    return run_for_each_kind(tests, sizeof tests / sizeof *tests);
}
