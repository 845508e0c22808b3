/* The store, and the rules of the schema as a stranger meets them who has nothing but SQLite. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "sql/store_internal.h"

/* ---- SQLite's own allocations can be made to fail too ---- */

static sqlite3_mem_methods real_memory;
static long sqlite_fail_at; /* counts down; the allocation that makes it 0 fails */

static bool
must_fail(void)
{
    return sqlite_fail_at > 0 && --sqlite_fail_at == 0;
}

static void *
failing_malloc(int n)
{
    return must_fail() ? NULL : real_memory.xMalloc(n);
}

static void *
failing_realloc(void *p, int n)
{
    return must_fail() ? NULL : real_memory.xRealloc(p, n);
}

static void
hook_memory(void)
{
    sqlite3_mem_methods failing;

    sqlite3_config(SQLITE_CONFIG_GETMALLOC, &real_memory);
    failing = real_memory;
    failing.xMalloc = failing_malloc;
    failing.xRealloc = failing_realloc;
    sqlite3_config(SQLITE_CONFIG_MALLOC, &failing);
}

/* ---- a database per test ---- */

struct world {
    char dir[64], path[96];
    sqlite3 *db; /* a stranger's connection: plain SQLite, nothing set */
    struct store *store;
    struct errbuf eb;
};

static void
remove_dir(const char *path)
{
    DIR *dir = opendir(path);
    struct dirent *entry;

    assert_non_null(dir);
    while ((entry = readdir(dir))) {
        char name[512];

        snprintf(name, sizeof name, "%s/%s", path, entry->d_name);
        if (entry->d_name[0] != '.')
            unlink(name);
    }
    closedir(dir);
    assert_int_equal(rmdir(path), 0);
}

static int
set_up(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    const char *tmp = getenv("TMPDIR");
    bool existed;

    assert_non_null(w);
    snprintf(w->dir, sizeof w->dir, "%s/freshet-store.XXXXXX",
             tmp && strlen(tmp) < 30 ? tmp : P_tmpdir);
    assert_non_null(mkdtemp(w->dir));
    snprintf(w->path, sizeof w->path, "%s/events.db", w->dir);
    assert_int_equal(store_create(w->path, &existed, &w->eb), ERR_OK);
    assert_false(existed);
    assert_int_equal(store_open(&w->store, w->path, STORE_WRITE, STORE_SYNC_NORMAL, &w->eb),
                     ERR_OK);
    assert_int_equal(sqlite3_open(w->path, &w->db), SQLITE_OK);
    *state = w;
    return 0;
}

static int
tear_down(void **state)
{
    struct world *w = *state;

    store_close(w->store);
    assert_int_equal(sqlite3_close(w->db), SQLITE_OK);
    remove_dir(w->dir);
    free(w);
    return 0;
}

/* What SQLite says to a stranger's statement; "" when it is content. */
static const char *
says(struct world *w, const char *sql)
{
    return sqlite3_exec(w->db, sql, NULL, NULL, NULL) == SQLITE_OK ? "" : sqlite3_errmsg(w->db);
}

#define REFUSES(w, sql, reason)                                                                    \
    do {                                                                                           \
        const char *said = says(w, sql);                                                           \
        if (!strstr(said, reason) || !*said)                                                       \
            fail_msg("%s: \"%s\" does not contain \"%s\"", sql, said, reason);                     \
    } while (0)
#define ALLOWS(w, sql) assert_string_equal(says(w, sql), "")

static int64_t
number(struct world *w, const char *sql)
{
    sqlite3_stmt *st;
    int64_t value;

    assert_int_equal(sqlite3_prepare_v2(w->db, sql, -1, &st, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(st), SQLITE_ROW);
    value = sqlite3_column_int64(st, 0);
    sqlite3_finalize(st);
    return value;
}

static int64_t
append(struct world *w, const char *topic, const char *type, const char *key)
{
    struct event e = {.topic = text_of(topic), .type = text_of(type), .key = text_of(key)};
    int64_t id = 0;
    bool repeated;

    e.data = TEXT_LIT("data");
    assert_int_equal(store_begin(w->store, &w->eb), ERR_OK);
    assert_int_equal(store_append(w->store, &e, &id, &repeated, &w->eb), ERR_OK);
    assert_int_equal(store_commit(w->store, &w->eb), ERR_OK);
    return id;
}

static struct store_marks
marks(struct world *w)
{
    struct store_marks m;

    assert_int_equal(store_marks(w->store, &m, &w->eb), ERR_OK);
    return m;
}

static bool
count_rows(void *context, const struct event *e)
{
    (void)e;
    ++*(int *)context;
    return true;
}

/* ---- the rules, for everybody ---- */

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
    REFUSES(w, "INSERT INTO events(topic, data) VALUES ('a', x'61')", "BLOB");
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
    REFUSES(w, "INSERT INTO events(topic, data, key) VALUES ('a', 'x', 'k')",
            "UNIQUE constraint failed: events.key");
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
an_epoch_is_made_for_each_database(void **state)
{
    struct world *w = *state;
    char path[128], first[STORE_EPOCH_LENGTH + 1];
    bool existed, differs = false;

    strcpy(first, store_epoch(w->store));
    assert_int_equal(strspn(first, "0123456789abcdefghijklmnopqrstuvwxyz"), STORE_EPOCH_LENGTH);
    /* Three more that are all the same would be one in 36^12. */
    for (int i = 0; i < 3; i++) {
        struct store *s;

        snprintf(path, sizeof path, "%s/%d.db", w->dir, i);
        assert_int_equal(store_create(path, &existed, &w->eb), ERR_OK);
        assert_int_equal(store_open(&s, path, STORE_READ, STORE_SYNC_FULL, &w->eb), ERR_OK);
        differs |= strcmp(store_epoch(s), first) != 0;
        store_close(s);
    }
    assert_true(differs);
    assert_int_equal(store_create(w->path, &existed, &w->eb), ERR_OK);
    assert_true(existed);
}

/* ---- opening ---- */

static void
expect_open(struct world *w, const char *path, enum err want, const char *reason)
{
    for (enum store_mode mode = STORE_READ; mode <= STORE_WRITE; mode++) {
        struct store *s;

        assert_int_equal(store_open(&s, path, mode, STORE_SYNC_FULL, &w->eb), want);
        assert_null(s);
        assert_non_null(strstr(w->eb.text, reason));
        assert_non_null(strstr(w->eb.text, path));
    }
}

static void
write_file(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");

    assert_non_null(f);
    for (int i = 0; *text && i < 1000; i++)
        fputs(text, f);
    fclose(f);
}

static void
a_file_that_is_not_ours_is_told_apart(void **state)
{
    struct world *w = *state;
    char path[128];
    sqlite3 *db;
    bool existed;

    snprintf(path, sizeof path, "%s/other.db", w->dir);
    expect_open(w, path, ERR_MISSING, "freshet init --db");
    write_file(path, "");
    expect_open(w, path, ERR_MISSING, "freshet init --db");
    write_file(path, "not a database\n");
    expect_open(w, path, ERR_FOREIGN, "not an SQLite database");
    assert_int_equal(store_create(path, &existed, &w->eb), ERR_FOREIGN);
    unlink(path);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "CREATE TABLE a(b)", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    expect_open(w, path, ERR_FOREIGN, "another program");
    assert_int_equal(store_create(path, &existed, &w->eb), ERR_FOREIGN);
    expect_open(w, w->dir, ERR_FOREIGN, "not a regular file");
    ALLOWS(w, "PRAGMA user_version = 2");
    expect_open(w, w->path, ERR_FOREIGN, "a newer version of freshet");
    ALLOWS(w, "PRAGMA user_version = 0");
    expect_open(w, w->path, ERR_FOREIGN, "an unknown version of freshet");
}

static void
a_damaged_schema_is_reported(void **state)
{
    struct world *w = *state;

    ALLOWS(w, "DROP TABLE ingest_cursor");
    expect_open(w, w->path, ERR_CORRUPT, "no such table: ingest_cursor");
    ALLOWS(w, "CREATE TABLE ingest_cursor(source PRIMARY KEY, position); DELETE FROM feed");
    expect_open(w, w->path, ERR_CORRUPT, "feed");
}

static void
a_database_without_wal_is_for_init_to_mend(void **state)
{
    struct world *w = *state;
    struct store *s;
    bool existed;

    store_close(w->store);
    w->store = NULL;
    ALLOWS(w, "PRAGMA journal_mode = DELETE");
    assert_int_equal(store_open(&s, w->path, STORE_READ, STORE_SYNC_FULL, &w->eb), ERR_FOREIGN);
    assert_non_null(strstr(w->eb.text, "freshet init"));
    assert_int_equal(store_create(w->path, &existed, &w->eb), ERR_OK);
    assert_true(existed);
    assert_int_equal(store_open(&s, w->path, STORE_READ, STORE_SYNC_FULL, &w->eb), ERR_OK);
    store_close(s);
}

static void
a_reader_writes_nothing(void **state)
{
    struct world *w = *state;
    struct event e = {.topic = TEXT_LIT("a"), .data = TEXT_LIT("x")};
    struct store *s;
    int64_t id;
    uint32_t deleted;
    bool repeated;

    assert_int_equal(store_open(&s, w->path, STORE_READ, STORE_SYNC_FULL, &w->eb), ERR_OK);
    if (store_begin(s, &w->eb) == ERR_OK)
        assert_int_equal(store_append(s, &e, &id, &repeated, &w->eb), ERR_IO);
    assert_int_not_equal(store_prune(s, 5, 5, &deleted, &w->eb), ERR_OK);
    store_close(s);
    assert_int_equal(number(w, "SELECT count(*) FROM events"), 0);
}

static int
count_answer(void *context, int n, char **values, char **names)
{
    (void)n;
    (void)values;
    (void)names;
    ++*(int *)context;
    return 0;
}

static void
writers_ask_for_durability(void **state)
{
    struct world *w = *state;
    struct store *s;
    int rows = 0;

    assert_int_equal(store_open(&s, w->path, STORE_WRITE, STORE_SYNC_FULL, &w->eb), ERR_OK);
    assert_int_equal(sqlite3_exec(s->db,
                                  "SELECT 1 FROM pragma_synchronous, pragma_foreign_keys,"
                                  " pragma_journal_mode WHERE synchronous = 2 AND foreign_keys = 1"
                                  " AND journal_mode = 'wal'",
                                  count_answer, &rows, NULL),
                     SQLITE_OK);
    assert_int_equal(rows, 1);
    store_close(s);
}

/* ---- the statements ---- */

static void
each_statement_has_the_plan_that_is_written_beside_it(void **state)
{
    static const struct {
        const char *name, *sql, *plan;
    } rows[] = {
#define STATEMENT(name, sql, plan) {#name, sql, plan},
#include "sql/statements.def"
    };
    struct world *w = *state;

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char sql[1024], plan[1024] = "";
        sqlite3_stmt *st;

        snprintf(sql, sizeof sql, "EXPLAIN QUERY PLAN %s", rows[i].sql);
        assert_int_equal(sqlite3_prepare_v2(w->store->db, sql, -1, &st, NULL), SQLITE_OK);
        while (sqlite3_step(st) == SQLITE_ROW)
            snprintf(plan + strlen(plan), sizeof plan - strlen(plan), "%s%s", *plan ? "; " : "",
                     (const char *)sqlite3_column_text(st, 3));
        sqlite3_finalize(st);
        if (strcmp(plan, rows[i].plan) != 0)
            fail_msg("%s: the plan is \"%s\" instead of \"%s\"", rows[i].name, plan, rows[i].plan);
    }
}

/* ---- writing ---- */

static void
a_repeated_key_gives_the_first_id_and_writes_nothing(void **state)
{
    struct world *w = *state;
    struct event e = {.topic = TEXT_LIT("a"), .data = TEXT_LIT("x"), .key = TEXT_LIT("k1")};
    int64_t first = append(w, "a", NULL, "k1"), id = 0;
    bool repeated = false;

    append(w, "a", NULL, NULL);
    assert_int_equal(store_begin(w->store, &w->eb), ERR_OK);
    assert_int_equal(store_append(w->store, &e, &id, &repeated, &w->eb), ERR_OK);
    assert_int_equal(store_commit(w->store, &w->eb), ERR_OK);
    assert_true(repeated);
    assert_int_equal(id, first);
    assert_int_equal(number(w, "SELECT count(*) FROM events"), 2);
    assert_int_equal(append(w, "a", NULL, "k2"), 3);
}

static void
position_and_events_are_committed_together(void **state)
{
    struct world *w = *state;
    struct event e = {.topic = TEXT_LIT("a"), .data = TEXT_LIT("x")};
    char *position;
    int64_t id;
    bool repeated;

    assert_int_equal(store_get_cursor(w->store, "log", &position, &w->eb), ERR_OK);
    assert_null(position);
    for (int round = 0; round < 2; round++) {
        assert_int_equal(store_begin(w->store, &w->eb), ERR_OK);
        assert_int_equal(store_append(w->store, &e, &id, &repeated, &w->eb), ERR_OK);
        assert_int_equal(store_set_cursor(w->store, "log", round ? "200" : "100", &w->eb), ERR_OK);
        if (round)
            store_rollback(w->store);
        else
            assert_int_equal(store_commit(w->store, &w->eb), ERR_OK);
    }
    assert_int_equal(store_get_cursor(w->store, "log", &position, &w->eb), ERR_OK);
    assert_string_equal(position, "100");
    mem_free(position);
    assert_int_equal(marks(w).newest, 1);
}

static void
an_event_that_breaks_a_rule_rolls_its_transaction_back(void **state)
{
    struct world *w = *state;
    struct event e = {.topic = TEXT_LIT("a"), .data = TEXT_LIT("x")};
    int64_t id;
    bool repeated;

    assert_int_equal(store_begin(w->store, &w->eb), ERR_OK);
    assert_int_equal(store_append(w->store, &e, &id, &repeated, &w->eb), ERR_OK);
    e.topic = TEXT_LIT("");
    assert_int_equal(store_append(w->store, &e, &id, &repeated, &w->eb), ERR_INVALID);
    assert_non_null(strstr(w->eb.text, "topic must have 1 to 255 bytes"));
    assert_int_equal(store_begin(w->store, &w->eb), ERR_OK);
    store_rollback(w->store);
    store_rollback(w->store); /* a second one does nothing */
    assert_int_equal(marks(w).newest, 0);
}

static void
a_writer_that_holds_on_makes_others_busy(void **state)
{
    struct world *w = *state;
    struct store_query q = {.rows_max = 10, .scan_max = 10};
    struct store_page page;
    uint32_t deleted;
    int rows = 0;

    append(w, "a", NULL, NULL);
    store_set_busy_timeout(w->store, 20);
    ALLOWS(w, "BEGIN IMMEDIATE");
    assert_int_equal(store_begin(w->store, &w->eb), ERR_BUSY);
    assert_non_null(strstr(w->eb.text, "try again"));
    assert_int_equal(store_prune(w->store, 5, 5, &deleted, &w->eb), ERR_BUSY);
    /* Readers do not care. */
    assert_int_equal(store_read(w->store, &q, count_rows, &rows, &page, &w->eb), ERR_OK);
    assert_int_equal(rows, 1);
    ALLOWS(w, "COMMIT");
    assert_int_equal(store_begin(w->store, &w->eb), ERR_OK);
    store_rollback(w->store);
}

static void
prune_deletes_the_oldest_and_says_how_far(void **state)
{
    struct world *w = *state;
    uint32_t deleted;

    for (int i = 0; i < 10; i++)
        append(w, "a", NULL, NULL);
    assert_int_equal(store_prune(w->store, 7, 5, &deleted, &w->eb), ERR_OK);
    assert_int_equal(deleted, 5);
    assert_int_equal(marks(w).pruned_through, 5);
    assert_int_equal(store_prune(w->store, 7, 5, &deleted, &w->eb), ERR_OK);
    assert_int_equal(deleted, 2);
    assert_int_equal(store_prune(w->store, 7, 5, &deleted, &w->eb), ERR_OK);
    assert_int_equal(deleted, 0);
    assert_int_equal(marks(w).oldest, 8);
    assert_int_equal(marks(w).pruned_through, 7);
}

static void
data_version_moves_with_commits_of_others_only(void **state)
{
    struct world *w = *state;
    int64_t first, second, third;

    assert_int_equal(store_data_version(w->store, &first, &w->eb), ERR_OK);
    append(w, "a", NULL, NULL);
    assert_int_equal(store_data_version(w->store, &second, &w->eb), ERR_OK);
    ALLOWS(w, "INSERT INTO events(topic, data) VALUES ('a', 'x')");
    assert_int_equal(store_data_version(w->store, &third, &w->eb), ERR_OK);
    assert_int_equal(first, second);
    assert_int_not_equal(second, third);
}

static void
take_source(void *context, struct text source, struct text position)
{
    char *to = context;

    snprintf(to + strlen(to), 100 - strlen(to), "%.*s=%.*s;", (int)source.n, source.p,
             (int)position.n, position.p);
}

static void
status_counts(void **state)
{
    struct world *w = *state;
    struct store_status status;
    char sources[100] = "";
    int64_t rows;

    assert_int_equal(store_status(w->store, &status, &w->eb), ERR_OK);
    assert_true(status.rows == 0 && status.topics == 0 && status.newest_created_ms == 0);
    append(w, "b", NULL, NULL);
    append(w, "a", NULL, NULL);
    append(w, "b", NULL, NULL);
    ALLOWS(w, "INSERT INTO ingest_cursor VALUES ('y', '2'), ('x', '1')");
    assert_int_equal(store_status(w->store, &status, &w->eb), ERR_OK);
    assert_true(status.rows == 3 && status.topics == 2 && status.marks.newest == 3);
    assert_in_range(clock_wall_ms() - status.newest_created_ms, 0, 60000);
    assert_in_range(clock_wall_ms() - status.made_ms, 0, 60000);
    assert_true(status.db_bytes > 0 && status.wal_bytes > 0);
    assert_int_equal(store_sources(w->store, take_source, sources, &w->eb), ERR_OK);
    assert_string_equal(sources, "x=1;y=2;");
    assert_int_equal(store_count(w->store, 2, &rows, &w->eb), ERR_OK);
    assert_int_equal(rows, 2);
}

/* ---- reading: pages against a stupid reference ---- */

static unsigned long long seed;

/* xorshift: the same numbers everywhere, so that a printed seed repeats a run. */
static uint32_t
dice(uint32_t sides)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (uint32_t)((seed * 0x2545F4914F6CDD1DULL) >> 33) % sides;
}

static const char *const topics[] = {"a",   "a/b", "a/b/c", "a/b/d", "b", "b/\xc3\xa9",
                                     "b/x", "b/y", "c",     "quiet", "*", "a*"};
static const char *const types[] = {NULL, "edit", "new", "message"};
enum { N_TOPICS = 12, N_TYPES = 4, ROWS_MAX = 600 };

struct row {
    int64_t id, created_ms;
    const char *topic, *type;
};
struct reference {
    struct row rows[ROWS_MAX];
    size_t n;
};

static bool
row_matches(const struct subscription *f, const struct row *row)
{
    bool topic_ok = f->n_topics == 0, type_ok = f->n_types == 0;

    for (size_t i = 0; i < f->n_topics; i++) {
        size_t n = f->topics[i].n;

        if (f->topics[i].p[n - 1] == '*')
            topic_ok |= strncmp(f->topics[i].p, row->topic, n - 1) == 0;
        else
            topic_ok |= strcmp(f->topics[i].p, row->topic) == 0;
    }
    for (size_t i = 0; i < f->n_types; i++)
        type_ok |= strcmp(f->types[i].p, row->type ? row->type : "message") == 0;
    return topic_ok && type_ok;
}

/* The exact topics only, prefixes only, types only, or everything mixed. */
static void
random_filter(struct subscription *f)
{
    static const char *const patterns[] = {"a*", "a/b*", "b/*", "nothing*", "*", "c*"};
    uint32_t kind = dice(6), n = dice(5);

    subscription_init(f);
    for (uint32_t i = 0; kind != 0 && i < n; i++) {
        bool prefix = kind == 5 && dice(2);
        struct text topic =
            text_of(prefix ? patterns[dice(6)] : topics[dice(kind == 5 ? N_TOPICS : 10)]);

        assert_int_equal(subscription_add_topic(f, topic, NULL), ERR_OK);
    }
    for (uint32_t i = dice(4) ? 0 : dice(3); i > 0; i--)
        assert_int_equal(subscription_add_type(f, text_of(types[1 + dice(3)]), NULL), ERR_OK);
    assert_int_equal(subscription_seal(f), ERR_OK);
}

static void
random_rows(struct world *w, struct reference *r, uint32_t n)
{
    assert_int_equal(store_begin(w->store, &w->eb), ERR_OK);
    while (n-- > 0 && r->n < ROWS_MAX) {
        struct row *row = &r->rows[r->n];
        int64_t before = r->n ? row[-1].created_ms : 1000;
        struct event e = {.data = TEXT_LIT("some data")};
        bool repeated;

        *row = (struct row){0, before + dice(3), topics[dice(N_TOPICS)], types[dice(N_TYPES)]};
        e.topic = text_of(row->topic);
        e.type = text_of(row->type);
        e.created_ms = row->created_ms;
        assert_int_equal(store_append(w->store, &e, &row->id, &repeated, &w->eb), ERR_OK);
        r->n++;
    }
    assert_int_equal(store_commit(w->store, &w->eb), ERR_OK);
    if (dice(3) == 0) { /* a gap in the ids, as other writers may leave one */
        char sql[120];

        snprintf(sql, sizeof sql, "UPDATE sqlite_sequence SET seq = seq + %u WHERE name = 'events'",
                 1 + dice(9));
        ALLOWS(w, sql);
    }
}

/* Deletes from the front, or one row anywhere. */
static void
random_deletion(struct world *w, struct reference *r)
{
    size_t first = 0, n = 1;
    char sql[120];

    if (r->n == 0)
        return;
    if (dice(2)) {
        uint32_t deleted;

        n = 1 + dice((uint32_t)r->n < 20 ? (uint32_t)r->n : 20);
        assert_int_equal(store_prune(w->store, r->rows[n - 1].id, 1000, &deleted, &w->eb), ERR_OK);
        assert_int_equal(deleted, n);
    } else {
        first = dice((uint32_t)r->n);
        snprintf(sql, sizeof sql, "DELETE FROM events WHERE id = %lld",
                 (long long)r->rows[first].id);
        ALLOWS(w, sql);
    }
    memmove(r->rows + first, r->rows + first + n, (r->n - first - n) * sizeof *r->rows);
    r->n -= n;
}

struct received {
    const struct reference *r;
    const struct subscription *f;
    size_t next; /* in the reference */
    uint32_t n;
    bool picky; /* refuses some */
    int64_t refused;
};

static bool
receive(void *context, const struct event *e)
{
    struct received *c = context;

    if (c->picky && dice(5) == 0) {
        c->refused = e->id;
        return false;
    }
    while (c->next < c->r->n && !row_matches(c->f, &c->r->rows[c->next]))
        c->next++;
    assert_true(c->next < c->r->n);
    assert_int_equal(e->id, c->r->rows[c->next].id);
    assert_true(text_equal(e->topic, text_of(c->r->rows[c->next].topic)));
    assert_true(text_equal(e->type, text_of(c->r->rows[c->next].type)));
    assert_true(text_equal(e->data, TEXT_LIT("some data")));
    assert_int_equal(e->created_ms, c->r->rows[c->next].created_ms);
    assert_null(e->key.p);
    c->next++;
    c->n++;
    return true;
}

/* Reads from a random position to the end in random pages. */
static void
check_pages(struct world *w, const struct reference *r, const struct subscription *f)
{
    struct store_marks m = marks(w);
    struct received c = {.r = r, .f = f, .picky = dice(3) == 0};
    struct store_query q = {.filter = f, .after = dice((uint32_t)m.newest + 1)};
    struct store_page page = {0};

    while (c.next < r->n && r->rows[c.next].id <= q.after)
        c.next++;
    for (int turns = 0; !page.end; turns++) {
        q.rows_max = 1 + dice(9);
        q.scan_max = 1 + dice(30);
        c.n = 0;
        c.refused = 0;
        assert_int_equal(store_read(w->store, &q, receive, &c, &page, &w->eb), ERR_OK);
        assert_true(c.n <= q.rows_max && c.n <= q.scan_max);
        assert_true(page.through >= q.after);
        assert_true(page.end == (page.through >= m.newest));
        assert_true(c.refused || page.through > q.after || page.end);
        if (c.refused)
            assert_int_equal(page.through, c.refused - 1);
        /* Everything that matches up to through was there, and nothing beyond. */
        while (c.next < r->n && !row_matches(f, &r->rows[c.next]))
            c.next++;
        if (c.next < r->n)
            assert_true(r->rows[c.next].id > page.through);
        if (c.next > 0 && c.n > 0)
            assert_true(page.through >= r->rows[0].id);
        q.after = page.through;
        assert_true(turns < 10000);
    }
    assert_int_equal(page.marks.newest, m.newest);
}

static bool
receive_back(void *context, const struct event *e)
{
    struct received *c = context;

    if (c->picky && dice(5) == 0) {
        c->refused = e->id;
        return false;
    }
    while (c->next > 0 && !row_matches(c->f, &c->r->rows[c->next - 1]))
        c->next--;
    assert_true(c->next > 0);
    c->next--;
    assert_int_equal(e->id, c->r->rows[c->next].id);
    assert_true(text_equal(e->topic, text_of(c->r->rows[c->next].topic)));
    c->n++;
    return true;
}

/* The same downwards, to the oldest. */
static void
check_pages_back(struct world *w, const struct reference *r, const struct subscription *f)
{
    struct store_marks m = marks(w);
    struct received c = {.r = r, .f = f, .next = r->n, .picky = dice(3) == 0};
    struct store_query q = {.filter = f, .after = 1 + dice((uint32_t)m.newest + 2)};
    struct store_page page = {0};

    while (c.next > 0 && r->rows[c.next - 1].id >= q.after)
        c.next--;
    for (int turns = 0; !page.end; turns++) {
        q.rows_max = 1 + dice(9);
        q.scan_max = 1 + dice(30);
        c.n = 0;
        c.refused = 0;
        assert_int_equal(store_read_back(w->store, &q, receive_back, &c, &page, &w->eb), ERR_OK);
        assert_true(c.n <= q.rows_max && c.n <= q.scan_max);
        assert_true(page.through <= q.after);
        assert_true(page.end == (page.through <= m.oldest));
        assert_true(c.refused || page.through < q.after || page.end);
        /* Everything that matches down to through was there, and nothing below. */
        while (c.next > 0 && !row_matches(f, &r->rows[c.next - 1]))
            c.next--;
        if (c.next > 0)
            assert_true(r->rows[c.next - 1].id < page.through);
        q.after = page.through;
        assert_true(turns < 10000);
    }
    while (c.next > 0 && !row_matches(f, &r->rows[c.next - 1]))
        c.next--;
    assert_int_equal(c.next, 0);
}

/* Every topic that matches is found, in byte order, with its rows counted in pieces. */
static void
check_topics(struct world *w, const struct reference *r, const struct subscription *f)
{
    char *topic, last[64] = "";
    bool seen[N_TOPICS] = {false};

    for (;;) {
        int64_t first, at = 0;
        uint32_t count, total = 0, wanted = 0, rows_max = 1 + dice(20);
        struct row any = {.type = f->n_types ? f->types[0].p : NULL};

        assert_int_equal(store_next_topic(w->store, f, text_of(last), &topic, &w->eb), ERR_OK);
        if (!topic)
            break;
        assert_true(strcmp(topic, last) > 0);
        any.topic = topic;
        assert_true(row_matches(f, &any));
        do {
            assert_int_equal(
                store_count_topic(w->store, text_of(topic), at, rows_max, &count, &at, &w->eb),
                ERR_OK);
            total += count;
        } while (count == rows_max);
        for (size_t i = 0; i < r->n; i++)
            wanted += strcmp(r->rows[i].topic, topic) == 0;
        assert_true(total == wanted && total > 0);
        assert_int_equal(store_first_in_topic(w->store, text_of(topic), 0, &first, &w->eb), ERR_OK);
        assert_true(first > 0 && first <= at);
        for (size_t i = 0; i < N_TOPICS; i++)
            seen[i] |= strcmp(topics[i], topic) == 0;
        snprintf(last, sizeof last, "%s", topic);
        mem_free(topic);
    }
    for (size_t i = 0; i < r->n; i++)
        for (size_t k = 0; k < N_TOPICS; k++)
            if (r->rows[i].topic == topics[k] && f->n_types == 0 && row_matches(f, &r->rows[i]))
                assert_true(seen[k]);
}

static void
check_last(struct world *w, const struct reference *r, const struct subscription *f)
{
    uint32_t n = dice(20), left = n, matches = 0, found;
    int64_t position = 0;
    bool done = false;

    for (int turns = 0; !done; turns++) {
        uint32_t scan_max = 1 + dice(40);
        int64_t before = position;

        assert_int_equal(
            store_last(w->store, f, before, left, scan_max, &position, &found, &done, &w->eb),
            ERR_OK);
        assert_true(found <= left && found <= scan_max);
        assert_true(before == 0 || position < before);
        left -= found;
        assert_true(turns < 10000);
    }
    for (size_t i = 0; i < r->n; i++)
        if (row_matches(f, &r->rows[i]))
            matches += r->rows[i].id > position;
    assert_int_equal(matches, n - left);
    if (left > 0) /* fewer than n: all of them */
        for (size_t i = 0; i < r->n; i++)
            assert_true(r->rows[i].id > position || !row_matches(f, &r->rows[i]));
}

static void
check_since(struct world *w, const struct reference *r)
{
    int64_t created = 990 + dice(800), position;

    assert_int_equal(store_since(w->store, created, &position, &w->eb), ERR_OK);
    for (size_t i = 0; i < r->n; i++)
        assert_true((r->rows[i].id > position) == (r->rows[i].created_ms >= created));
}

static void
pages_and_positions_agree_with_a_stupid_reference(void **state)
{
    struct world *w = *state;
    struct reference *r = calloc(1, sizeof *r);

    assert_non_null(r);
    for (int round = 0; round < 300; round++) {
        struct subscription f;

        random_rows(w, r, dice(12));
        if (dice(4) == 0)
            random_deletion(w, r);
        random_filter(&f);
        check_pages(w, r, &f);
        check_pages_back(w, r, &f);
        check_topics(w, r, &f);
        check_last(w, r, &f);
        check_since(w, r);
        subscription_finish(&f);
    }
    free(r);
}

static void
a_quiet_topics_cursor_moves_on(void **state)
{
    struct world *w = *state;
    struct subscription one, two;
    struct store_page page;
    int rows = 0;

    for (int i = 0; i < 50; i++)
        append(w, "loud", NULL, NULL);
    subscription_init(&one);
    subscription_add_topic(&one, TEXT_LIT("quiet"), NULL);
    subscription_seal(&one);
    subscription_init(&two);
    subscription_add_topic(&two, TEXT_LIT("quiet"), NULL);
    subscription_add_topic(&two, TEXT_LIT("still"), NULL);
    subscription_seal(&two);
    /* A scan of one row is allowed, and needs none: the index knows. */
    for (int i = 0; i < 2; i++) {
        struct store_query q = {i ? &two : &one, 3, 10, 1};

        assert_int_equal(store_read(w->store, &q, count_rows, &rows, &page, &w->eb), ERR_OK);
        assert_true(page.end && page.through == 50 && rows == 0);
    }
    subscription_finish(&one);
    subscription_finish(&two);
}

static void
a_position_in_the_future_stays_where_it_is(void **state)
{
    struct world *w = *state;
    struct store_query q = {NULL, 1000, 10, 10};
    struct store_page page;
    int rows = 0;

    append(w, "a", NULL, NULL);
    assert_int_equal(store_read(w->store, &q, count_rows, &rows, &page, &w->eb), ERR_OK);
    assert_true(page.end && page.through == 1000 && page.marks.newest == 1 && rows == 0);
}

/* A thousand exact topics are merged through the index, not scanned for. */
static void
many_topics_are_read_as_one(void **state)
{
    struct world *w = *state;
    struct subscription f;
    struct store_query q = {&f, 0, 5000, 5000};
    struct store_page page;
    int rows = 0;

    ALLOWS(w, "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 9999)"
              " INSERT INTO events(topic, data) SELECT 't' || (i % 4000), i FROM n");
    subscription_init(&f);
    for (int i = 0; i < 1000; i++) {
        char topic[16];

        snprintf(topic, sizeof topic, "t%d", i);
        assert_int_equal(subscription_add_topic(&f, text_of(topic), NULL), ERR_OK);
    }
    assert_int_equal(subscription_seal(&f), ERR_OK);
    assert_int_equal(store_read(w->store, &q, count_rows, &rows, &page, &w->eb), ERR_OK);
    assert_int_equal(rows, 3000);
    assert_true(page.end && page.through == 10000);
    subscription_finish(&f);
}

/* 20 events of 400 KB are about 2,000 pages; none of them is read when its type is not wanted. */
static void
data_that_does_not_match_is_not_read(void **state)
{
    struct world *w = *state;
    struct subscription f;
    struct store_query q = {&f, 0, 100, 100};
    struct store_page page;
    int rows = 0, misses = 0, most;

    ALLOWS(w, "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20)"
              " INSERT INTO events(topic, type, key, data)"
              " SELECT 'a', 'large', 'k' || i, printf('%.400000c', 'x') FROM n");
    for (int i = 0; i < 3; i++) { /* by scan, by index, merged */
        subscription_init(&f);
        subscription_add_type(&f, TEXT_LIT("small"), NULL);
        if (i > 0)
            subscription_add_topic(&f, TEXT_LIT("a"), NULL);
        if (i > 1)
            subscription_add_topic(&f, TEXT_LIT("b"), NULL);
        subscription_seal(&f);
        assert_int_equal(store_read(w->store, &q, count_rows, &rows, &page, &w->eb), ERR_OK);
        assert_true(page.end && rows == 0);
        subscription_finish(&f);
    }
    sqlite3_db_status(w->store->db, SQLITE_DBSTATUS_CACHE_MISS, &misses, &most, 0);
    assert_in_range(misses, 1, 200);
}

/* ---- memory ---- */

/* One of everything; true when all of it worked, and else the cause was memory. */
static bool
live_once(struct world *w, const struct subscription *f)
{
    struct event e = {.topic = TEXT_LIT("a"), .data = TEXT_LIT("x"), .key = TEXT_LIT("k")};
    struct store_query q = {f, 0, 10, 10};
    struct store_page page;
    struct store_status status;
    struct store *s = NULL;
    char *position = NULL;
    int64_t id;
    uint32_t n;
    bool flag;
    int rows = 0;
    enum err err = store_create(w->path, &flag, &w->eb);

    if (err == ERR_OK)
        err = store_open(&s, w->path, STORE_WRITE, STORE_SYNC_NORMAL, &w->eb);
    if (err == ERR_OK)
        err = store_begin(s, &w->eb);
    if (err == ERR_OK)
        err = store_append(s, &e, &id, &flag, &w->eb);
    if (err == ERR_OK)
        err = store_set_cursor(s, "src", "1", &w->eb);
    if (err == ERR_OK)
        err = store_commit(s, &w->eb);
    if (err == ERR_OK)
        err = store_get_cursor(s, "src", &position, &w->eb);
    if (err == ERR_OK)
        err = store_read(s, &q, count_rows, &rows, &page, &w->eb);
    if (err == ERR_OK)
        err = store_last(s, f, 0, 5, 100, &id, &n, &flag, &w->eb);
    if (err == ERR_OK)
        err = store_since(s, 1, &id, &w->eb);
    if (err == ERR_OK)
        err = store_status(s, &status, &w->eb);
    if (err == ERR_OK)
        err = store_prune(s, 1, 10, &n, &w->eb);
    if (err == ERR_OK) {
        assert_int_equal(rows, 1);
        assert_string_equal(position, "1");
    } else {
        assert_int_equal(err, ERR_NOMEM);
        assert_non_null(strstr(w->eb.text, "out of memory"));
    }
    mem_free(position);
    store_close(s);
    return err == ERR_OK;
}

static void
every_allocation_may_fail(void **state)
{
    struct world *w = *state;
    struct subscription f;
    bool finished = false;

    subscription_init(&f);
    subscription_add_topic(&f, TEXT_LIT("a"), NULL);
    subscription_add_topic(&f, TEXT_LIT("b"), NULL);
    subscription_seal(&f);
    for (int kind = 0; kind < 2; kind++) {
        finished = false;
        for (long n = 1; !finished; n++) {
            ALLOWS(w, "DELETE FROM events; DELETE FROM ingest_cursor");
            if (kind == 0)
                mem_fail_at(n);
            else
                sqlite_fail_at = n;
            /* SQLite lives on after some failures, as when a cache cannot grow: it is through only
             * when the allowance was not used up. */
            finished = live_once(w, &f) && (kind == 0 || sqlite_fail_at > 0);
            mem_fail_at(0);
            sqlite_fail_at = 0;
            assert_true(n < 100000);
        }
    }
    subscription_finish(&f);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(an_event_is_never_changed),
        TEST(ids_only_grow),
        TEST(an_id_is_not_given_again_after_all_rows_were_deleted),
        TEST(topics_and_types_are_bounded_and_printable),
        TEST(data_and_keys_are_texts_without_nul),
        TEST(a_key_stays_with_its_first_event),
        TEST(what_is_deleted_by_hand_is_noticed),
        TEST(created_is_the_wall_clock_unless_given),
        TEST(an_epoch_is_made_for_each_database),
        TEST(a_file_that_is_not_ours_is_told_apart),
        TEST(a_damaged_schema_is_reported),
        TEST(a_database_without_wal_is_for_init_to_mend),
        TEST(a_reader_writes_nothing),
        TEST(writers_ask_for_durability),
        TEST(each_statement_has_the_plan_that_is_written_beside_it),
        TEST(a_repeated_key_gives_the_first_id_and_writes_nothing),
        TEST(position_and_events_are_committed_together),
        TEST(an_event_that_breaks_a_rule_rolls_its_transaction_back),
        TEST(a_writer_that_holds_on_makes_others_busy),
        TEST(prune_deletes_the_oldest_and_says_how_far),
        TEST(data_version_moves_with_commits_of_others_only),
        TEST(status_counts),
        TEST(pages_and_positions_agree_with_a_stupid_reference),
        TEST(a_quiet_topics_cursor_moves_on),
        TEST(a_position_in_the_future_stays_where_it_is),
        TEST(many_topics_are_read_as_one),
        TEST(data_that_does_not_match_is_not_read),
        TEST(every_allocation_may_fail),
    };
    const char *given = getenv("SEED");

    seed = given ? strtoull(given, NULL, 10) : (unsigned long long)time(NULL) | 1;
    printf("# SEED=%llu\n", seed);
    hook_memory();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
