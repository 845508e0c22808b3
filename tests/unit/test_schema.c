/* The rules of the schema, as they are met by somebody with nothing but SQLite: in a file of its
 * own, in one that was upgraded from format 1, and in the database of an application. */
#include "tests/unit/store_world.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "sql/schema.h"

static void
an_event_is_never_changed(void **state)
{
    struct world *w = *state;

    ALLOWS(w, "INSERT INTO events(topic, data) VALUES ('a', 'x')");
    REFUSES(w, "UPDATE events SET data = 'y'", "an event is never changed");
    REFUSES(w, "UPDATE events SET id = 9", "an event is never changed");
    REFUSES(w,
            "INSERT INTO events(id, topic, data) VALUES (1, 'a', 'y')"
            " ON CONFLICT (id) DO UPDATE SET data = 'y'",
            "id must be above");
    assert_int_equal(number(w, "SELECT count(*) FROM events WHERE id = 1 AND data = 'x'"), 1);
}

static void
ids_only_grow(void **state)
{
    struct world *w = *state;

    ALLOWS(w, "INSERT INTO events(topic, data) VALUES ('a', '1'), ('a', '2')");
    REFUSES(w, "INSERT INTO events(id, topic, data) VALUES (2, 'a', 'x')", "id must be above");
    REFUSES(w, "INSERT OR IGNORE INTO events(id, topic, data) VALUES (1, 'a', 'x')",
            "id must be above");
    REFUSES(w, "REPLACE INTO events(id, topic, data) VALUES (2, 'a', 'x')", "id must be above");
    REFUSES(w, "INSERT INTO events(id, topic, data) VALUES (-1, 'a', 'x')", "id must be from 1");
    REFUSES(w, "INSERT INTO events(id, topic, data) VALUES (0, 'a', 'x')", "id must be from 1");
    REFUSES(w, "INSERT INTO events(id, topic, data) VALUES (9007199254740992, 'a', 'x')",
            "id must be from 1");
    /* Inside one statement too: 5 comes after 10. */
    REFUSES(w, "INSERT INTO events(id, topic, data) VALUES (10, 'a', 'x'), (5, 'a', 'y')",
            "id must be above");
    REFUSES(w, "INSERT INTO events(id, topic, data) VALUES (NULL, 'a', 'x'), (3, 'a', 'y')",
            "id must be above");
    assert_int_equal(marks(w).newest, 2);
    ALLOWS(w, "INSERT INTO events(id, topic, data) VALUES (10, 'a', 'x'), (11, 'a', 'y')");
    ALLOWS(w, "INSERT INTO events(id, topic, data) VALUES (NULL, 'a', 'z')");
    assert_int_equal(marks(w).newest, 12);
}

static void
an_id_is_not_given_again_after_all_rows_were_deleted(void **state)
{
    struct world *w = *state;

    ALLOWS(w, "INSERT INTO events(topic, data) VALUES ('a', '1'), ('a', '2'), ('a', '3')");
    ALLOWS(w, "DELETE FROM events");
    assert_int_equal(marks(w).oldest, 4);
    assert_int_equal(marks(w).newest, 3);
    assert_int_equal(marks(w).pruned_through, 3);
    REFUSES(w, "INSERT INTO events(id, topic, data) VALUES (3, 'a', 'x')", "id must be above");
    ALLOWS(w, "INSERT INTO events(topic, data) VALUES ('a', '4')");
    assert_int_equal(marks(w).newest, 4);
}

static void
topics_and_types_are_bounded_and_printable(void **state)
{
    struct world *w = *state;

    REFUSES(w, "INSERT INTO events(topic, data) VALUES ('', 'x')", "topic must have 1 to 255");
    REFUSES(w, "INSERT INTO events(topic, data) VALUES (NULL, 'x')", "events.topic");
    ALLOWS(w, "INSERT INTO events(topic, data) VALUES (printf('%.255c', 'x'), 'x')");
    REFUSES(w, "INSERT INTO events(topic, data) VALUES (printf('%.256c', 'x'), 'x')",
            "topic must have 1 to 255 bytes");
    /* 128 characters of two bytes. */
    REFUSES(w,
            "INSERT INTO events(topic, data) VALUES (replace(hex(zeroblob(64)), '0',"
            " char(233)), 'x')",
            "topic must have 1 to 255 bytes");
    for (int c = 0; c <= 0x7f; c++) {
        char sql[160];

        for (int member = 0; member < 2; member++) {
            snprintf(
                sql, sizeof sql,
                "INSERT INTO events(topic, type, data) VALUES (%s 'a' || char(%d) || 'b', %s 'x')",
                member ? "'t'," : "", c, member ? "" : "NULL,");
            if (c < 0x20 || c == 0x7f)
                REFUSES(w, sql, "must have no control characters");
            else
                ALLOWS(w, sql);
        }
    }
    ALLOWS(w,
           "INSERT INTO events(topic, type, data) VALUES ('caf\xc3\xa9/[*]', 'na\xc3\xafve', '')");
    REFUSES(w, "INSERT INTO events(topic, type, data) VALUES ('a', '', 'x')", "type must have 1");
    REFUSES(w, "INSERT INTO events(topic, type, data) VALUES ('a', printf('%.256c', 'x'), 'x')",
            "type must have 1 to 255 bytes");
    REFUSES(w, "INSERT INTO events(topic, type, data) VALUES ('a', 'freshet:live', 'x')",
            "type must not begin with freshet:");
    ALLOWS(w, "INSERT INTO events(topic, type, data) VALUES ('a', 'freshet', 'x')");
}

static void
data_and_keys_are_texts_without_nul(void **state)
{
    struct world *w = *state;

    REFUSES(w, "INSERT INTO events(topic, data) VALUES ('a', 'x' || char(0) || 'y')",
            "data must have no NUL");
    REFUSES(w, "INSERT INTO events(topic, data) VALUES ('a', NULL)", "events.data");
    REFUSES(w, "INSERT INTO events(topic, data) VALUES ('a', x'61')",
            world_kind == WORLD_UPGRADED ? "BLOB" : "data must be text");
    REFUSES(w, "INSERT INTO events(topic, data, key) VALUES ('a', 'x', '')", "key must have 1");
    REFUSES(w, "INSERT INTO events(topic, data, key) VALUES ('a', 'x', printf('%.256c', 'k'))",
            "key must have 1 to 255 bytes");
    REFUSES(w, "INSERT INTO events(topic, data, key) VALUES ('a', 'x', 'k' || char(0))",
            "key must have no NUL");
    ALLOWS(w, "INSERT INTO events(topic, data, key) VALUES ('a', '', 'k')");
}

static void
a_key_stays_with_its_first_event(void **state)
{
    struct world *w = *state;

    ALLOWS(w, "INSERT INTO events(topic, data, key) VALUES ('a', 'first', 'k')");
    REFUSES(w, "INSERT INTO events(topic, data, key) VALUES ('a', 'x', 'k')", "events.key");
    REFUSES(w, "INSERT OR REPLACE INTO events(topic, data, key) VALUES ('a', 'x', 'k')",
            "an event is never replaced");
    REFUSES(w, "REPLACE INTO events(topic, data, key) VALUES ('a', 'x', 'n'), ('a', 'y', 'n')",
            "an event is never replaced");
    REFUSES(w,
            "INSERT INTO events(topic, data, key) VALUES ('a', 'x', 'k')"
            " ON CONFLICT (key) WHERE key IS NOT NULL DO UPDATE SET data = 'x'",
            "an event is never changed");
    ALLOWS(w, "INSERT OR IGNORE INTO events(topic, data, key) VALUES ('a', 'x', 'k')");
    ALLOWS(w, "INSERT INTO events(topic, data, key) VALUES ('a', 'x', 'k') ON CONFLICT DO NOTHING");
    REFUSES(w, "INSERT OR ABORT INTO events(topic, data, key) VALUES ('a', 'x', 'k')",
            "exists_already");
    assert_int_equal(number(w, "SELECT count(*) FROM events"), 1);
    assert_int_equal(number(w, "SELECT count(*) FROM events WHERE data = 'first'"), 1);
    /* The key is free again once its event is gone. */
    ALLOWS(w, "DELETE FROM events");
    ALLOWS(w, "REPLACE INTO events(topic, data, key) VALUES ('a', 'again', 'k')");
}

static void
what_is_deleted_by_hand_is_noticed(void **state)
{
    struct world *w = *state;

    ALLOWS(w,
           "INSERT INTO events(topic, data) VALUES ('a', '1'), ('b', '2'), ('a', '3'), ('a', '4')");
    ALLOWS(w, "DELETE FROM events WHERE topic = 'b'");
    assert_int_equal(marks(w).pruned_through, 2);
    assert_int_equal(marks(w).oldest, 1);
    ALLOWS(w, "DELETE FROM events WHERE id = 1");
    assert_int_equal(marks(w).pruned_through, 2);
    ALLOWS(w, "BEGIN; DELETE FROM events; ROLLBACK");
    assert_int_equal(marks(w).pruned_through, 2);
}

static void
created_is_the_wall_clock_unless_given(void **state)
{
    struct world *w = *state;
    int64_t before = clock_wall_ms(), created;

    ALLOWS(w, "INSERT INTO events(topic, data) VALUES ('a', '1')");
    created = number(w, "SELECT created FROM events");
    assert_in_range(created, before - 1, clock_wall_ms() + 1);
}

static void
created_is_after_1970(void **state)
{
    struct world *w = *state;

    REFUSES(w, "INSERT INTO events(topic, data, created) VALUES ('a', 'x', 0)",
            "created must be an integer above 0");
    REFUSES(w, "INSERT INTO events(topic, data, created) VALUES ('a', 'x', -1)",
            "created must be an integer above 0");
    ALLOWS(w, "INSERT INTO events(topic, data, created) VALUES ('a', 'x', 1)");
}

/* ---- types: what STRICT said in format 1 ---- */

/* What a statement leaves of a column: its type and value, "none" when there is no row. */
static void
outcome(sqlite3 *db, const char *insert, const char *look, char *found, size_t size)
{
    sqlite3_stmt *st;

    assert_int_equal(sqlite3_exec(db, "BEGIN", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_exec(db, insert, NULL, NULL, NULL);
    if (sqlite3_get_autocommit(db)) /* it has rolled back */
        sqlite3_exec(db, "BEGIN", NULL, NULL, NULL);
    assert_int_equal(sqlite3_prepare_v2(db, look, -1, &st, NULL), SQLITE_OK);
    snprintf(found, size, "%s",
             sqlite3_step(st) == SQLITE_ROW ? (const char *)sqlite3_column_text(st, 0) : "none");
    sqlite3_finalize(st);
    sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
}

static const char *const values[] = {"NULL",
                                     "''",
                                     "'a'",
                                     "'5'",
                                     "'5.0'",
                                     "' 7 '",
                                     "'5.5'",
                                     "'1e3'",
                                     "'0x10'",
                                     "'five'",
                                     "5",
                                     "-5",
                                     "0",
                                     "5.0",
                                     "5.5",
                                     "1e3",
                                     "1e19",
                                     "9e999",
                                     "-9e999",
                                     "9007199254740993",
                                     "9223372036854775807",
                                     "x''",
                                     "x'61'",
                                     "x'3132'",
                                     "zeroblob(3)",
                                     "CAST(x'61ff' AS TEXT)",
                                     "'a' || char(0)",
                                     "char(0)",
                                     "TRUE",
                                     "'freshet:x'",
                                     "'a' || char(10)",
                                     "printf('%.256c', 'x')",
                                     "'abcd'",
                                     "12.25"};

static const struct {
    const char *name, *others; /* what else the row needs */
} columns[] = {
    {"id", "topic, data"},  {"topic", "type, data"},    {"type", "topic, data"},
    {"key", "topic, data"}, {"created", "topic, data"}, {"data", "topic, type"},
};

/* True for what only format 1 takes. */
static bool
is_created_too_early(const char *column, const char *first)
{
    return strcmp(column, "created") == 0 && strncmp(first, "integer ", 8) == 0 &&
           atoll(first + 8) <= 0;
}

static void
each_type_is_taken_or_refused_as_strict_tables_did(void **state)
{
    static const char *const verbs[] = {"INSERT", "INSERT OR IGNORE", "REPLACE", "INSERT OR FAIL"};
    struct world *w = *state;
    char change[400], look[400], before[400], now[400], *script = schema_script_1();
    sqlite3 *strict;
    int taken = 0;

    assert_int_equal(sqlite3_open(":memory:", &strict), SQLITE_OK);
    assert_int_equal(sqlite3_exec(strict, script, NULL, NULL, NULL), SQLITE_OK);
    for (size_t c = 0; c < sizeof columns / sizeof *columns; c++)
        for (size_t v = 0; v < sizeof values / sizeof *values; v++)
            for (size_t verb = 0; verb < 4; verb++) {
                snprintf(change, sizeof change, "%s INTO events(%s, %s) VALUES (%s, 'a', 'x')",
                         verbs[verb], columns[c].name, columns[c].others, values[v]);
                snprintf(look, sizeof look, "SELECT typeof(%s) || ' ' || quote(%s) FROM events",
                         columns[c].name, columns[c].name);
                outcome(strict, change, look, before, sizeof before);
                snprintf(change, sizeof change, "%s", named(change));
                outcome(w->db, change, named(look), now, sizeof now);
                if (is_created_too_early(columns[c].name, before))
                    strcpy(before, "none");
                if (strcmp(values[v], "NULL") == 0 && verb == 2) /* REPLACE takes the default */
                    before[strlen("integer ")] = now[strlen("integer ")] = '\0';
                if (strcmp(before, now) != 0)
                    fail_msg("%s: %s, and in format 1 %s", change, now, before);
                taken += strcmp(now, "none") != 0;
            }
    assert_in_range(taken, 100, 700); /* or this compares nothing with nothing */
    sqlite3_close(strict);
    mem_free(script);
}

static void
the_other_tables_hold_their_types(void **state)
{
    struct world *w = *state;

    for (int i = 0; i < 3; i++) {
        static const char *const bad[] = {"x'61626364'", "1.5", "NULL"};
        char sql[200];

        snprintf(sql, sizeof sql, "INSERT INTO ingest_cursor VALUES (%s, 'x')", bad[i]);
        if (i != 1) /* a number becomes text */
            REFUSES(w, sql, "");
        snprintf(sql, sizeof sql, "INSERT INTO ingest_cursor VALUES ('x', %s)", bad[i]);
        if (i != 1)
            REFUSES(w, sql, "");
        snprintf(sql, sizeof sql, "UPDATE feed SET epoch = %s", bad[i]);
        REFUSES(w, sql, "");
        snprintf(sql, sizeof sql, "UPDATE feed SET pruned_through = %s", bad[i]);
        REFUSES(w, sql, "");
        snprintf(sql, sizeof sql, "UPDATE feed SET created = %s", bad[i]);
        REFUSES(w, sql, "");
        snprintf(sql, sizeof sql, "UPDATE feed SET format = %s", bad[i]);
        REFUSES(w, sql, "");
    }
    ALLOWS(w, "UPDATE feed SET epoch = '12cd', pruned_through = '0'");
    assert_int_equal(number(w, "SELECT count(*) FROM feed WHERE typeof(pruned_through) = 'integer'"
                               " AND typeof(epoch) = 'text' AND format = 2"),
                     1);
}

/* ---- the position that a page hands to its stream ---- */

static void
expect_position(struct world *w, int64_t id)
{
    char sql[100];

    snprintf(sql, sizeof sql, "SELECT count(*) FROM position WHERE id = '%lld-%s'", (long long)id,
             store_epoch(w->store));
    assert_int_equal(number(w, sql), 1);
    assert_int_equal(number(w, "SELECT count(*) FROM position"), 1);
}

static void
position_is_the_last_event_that_was_committed(void **state)
{
    struct world *w = *state;

    expect_position(w, 0);
    ALLOWS(w, "INSERT INTO events(topic, data) VALUES ('a', '1'), ('a', '2')");
    expect_position(w, 2);
    ALLOWS(w, "BEGIN; INSERT INTO events(topic, data) VALUES ('a', '3'); ROLLBACK");
    expect_position(w, 2);
    ALLOWS(w, "DELETE FROM events"); /* the ids stay given */
    expect_position(w, 2);
    ALLOWS(w, "INSERT INTO events(id, topic, data) VALUES (10, 'a', '3')");
    expect_position(w, 10);
    REFUSES(w, "UPDATE position SET id = '1-aaaa'", "cannot modify");
}

struct shop {
    char path[256], order[600], undone[400], prune[200];
    _Atomic bool stop;
    bool failed;
};

/* Orders, each with its event in the same transaction; one of ten is rolled back, and now and then
 * all events but some go. */
static void *
keep_shop(void *context)
{
    struct shop *shop = context;
    sqlite3 *db;

    sqlite3_open(shop->path, &db);
    sqlite3_busy_timeout(db, 60000);
    for (int i = 0; !atomic_load(&shop->stop); i++) {
        const char *sql = i % 10 == 9 ? shop->undone : i % 50 == 7 ? shop->prune : shop->order;

        shop->failed = shop->failed || sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK;
    }
    sqlite3_close(db);
    return NULL;
}

static void
position_and_rows_of_one_statement_belong_together(void **state)
{
    enum { LOOKS = 500, ORDERS = 100, DEADLINE_MS = 300000 };
    struct world *w = *state;
    struct shop shop = {.stop = false};
    int64_t began_ms = clock_mono_ms(), newest = 0;
    pthread_t thread;

    ALLOWS(w, "CREATE TABLE bought(id INTEGER PRIMARY KEY AUTOINCREMENT);"
              "CREATE TABLE pairs(event INTEGER PRIMARY KEY, bought INTEGER)");
    snprintf(shop.path, sizeof shop.path, "%s", w->at.path);
    snprintf(shop.order, sizeof shop.order, "%s",
             named("BEGIN IMMEDIATE; INSERT INTO bought DEFAULT VALUES;"
                   "INSERT INTO events(topic, data) SELECT 'bought', max(id) FROM bought;"
                   "INSERT INTO pairs SELECT max(id), max(CAST(data AS INTEGER)) FROM events;"
                   "COMMIT"));
    snprintf(shop.undone, sizeof shop.undone, "%s",
             named("BEGIN IMMEDIATE; INSERT INTO bought DEFAULT VALUES;"
                   "INSERT INTO events(topic, data) SELECT 'bought', max(id) FROM bought;"
                   "ROLLBACK"));
    snprintf(shop.prune, sizeof shop.prune, "%s",
             named("DELETE FROM events WHERE id < (SELECT max(id) FROM events) - 3"));
    assert_int_equal(pthread_create(&thread, NULL, keep_shop, &shop), 0);
    sqlite3_busy_timeout(w->db, 60000);
    for (int i = 0; i < LOOKS || newest < ORDERS; i++) {
        newest = number(w, "SELECT coalesce(max(id), 0) FROM bought");
        assert_true(clock_mono_ms() < began_ms + DEADLINE_MS);
        /* What a page would show, and whether events from its position on add what it lacks. */
        assert_int_equal(number(w, "SELECT coalesce((SELECT max(id) FROM bought), 0) ="
                                   " coalesce((SELECT bought FROM pairs WHERE event ="
                                   " CAST((SELECT id FROM position) AS INTEGER)), 0)"),
                         1);
    }
    atomic_store(&shop.stop, true);
    pthread_join(thread, NULL);
    assert_false(shop.failed);
}

/* ---- ---- */

static void
an_epoch_is_made_for_each_database(void **state)
{
    struct world *w = *state;
    char path[256], first[STORE_EPOCH_LENGTH + 1];
    bool existed, differs = false;

    strcpy(first, store_epoch(w->store));
    assert_int_equal(strspn(first, "0123456789abcdefghijklmnopqrstuvwxyz"), STORE_EPOCH_LENGTH);
    /* Three more that are all the same would be one in 36^12. */
    for (int i = 0; i < 3; i++) {
        struct store *s;

        snprintf(path, sizeof path, "%s/%d.db", w->at.dir, i);
        assert_int_equal(store_create(path, &existed, &w->eb), ERR_OK);
        assert_int_equal(store_open(&s, path, STORE_READ, STORE_SYNC_FULL, &w->eb), ERR_OK);
        differs |= strcmp(store_epoch(s), first) != 0;
        store_close(s);
    }
    assert_true(differs);
    assert_int_equal(store_create(w->at.path, &existed, &w->eb), ERR_OK);
    assert_true(existed);
}

/* Its other encoding would count bytes otherwise, and the pattern of control characters is UTF-8.
 */
static void
a_database_in_utf_16_is_left_as_it_is(void **state)
{
    struct world *w = *state;
    char path[256], *script = schema_script("");
    bool existed;
    sqlite3 *db;

    snprintf(path, sizeof path, "%s/wide.db", w->at.dir);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "PRAGMA encoding = 'UTF-16'", NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, script, NULL, NULL, NULL), SQLITE_CONSTRAINT);
    assert_non_null(strstr(sqlite3_errmsg(db), "the encoding must be UTF-8"));
    mem_free(script);
    sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
    assert_int_equal(sqlite3_exec(db, "CREATE TABLE a(b)", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    assert_int_equal(store_create_guest(path, &existed, &w->eb), ERR_FOREIGN);
    assert_non_null(strstr(w->eb.text, "not UTF-8"));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD_TEST(an_event_is_never_changed),
        WORLD_TEST(ids_only_grow),
        WORLD_TEST(an_id_is_not_given_again_after_all_rows_were_deleted),
        WORLD_TEST(topics_and_types_are_bounded_and_printable),
        WORLD_TEST(data_and_keys_are_texts_without_nul),
        WORLD_TEST(a_key_stays_with_its_first_event),
        WORLD_TEST(what_is_deleted_by_hand_is_noticed),
        WORLD_TEST(created_is_the_wall_clock_unless_given),
        WORLD_TEST(created_is_after_1970),
        WORLD_TEST(each_type_is_taken_or_refused_as_strict_tables_did),
        WORLD_TEST(the_other_tables_hold_their_types),
        WORLD_TEST(position_is_the_last_event_that_was_committed),
        WORLD_TEST(position_and_rows_of_one_statement_belong_together),
        WORLD_TEST(an_epoch_is_made_for_each_database),
        WORLD_TEST(a_database_in_utf_16_is_left_as_it_is),
    };
    int failed = 0;

    world_kind = WORLD_OWN;
    failed += cmocka_run_group_tests_name("a file of its own", tests, NULL, NULL);
    world_kind = WORLD_UPGRADED;
    failed += cmocka_run_group_tests_name("upgraded from format 1", tests, NULL, NULL);
    world_kind = WORLD_GUEST;
    failed += cmocka_run_group_tests_name("a guest", tests, NULL, NULL);
    return failed;
}
