/* The store: opening, statements, writing, and memory that runs out. */
#include "tests/unit/store_world.h"

#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "sql/schema.h"
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

/* ---- opening ---- */

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
    char path[256];
    sqlite3 *db;
    bool existed;

    snprintf(path, sizeof path, "%s/other.db", w->at.dir);
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
    expect_open(w, w->at.dir, ERR_FOREIGN, "not a regular file");
}

static void
a_damaged_schema_is_reported(void **state)
{
    struct world *w = *state;

    ALLOWS(w, "DROP TABLE ingest_cursor; CREATE TABLE ingest_cursor(source PRIMARY KEY, place)");
    expect_open(w, w->at.path, ERR_CORRUPT, "not as freshet made them");
    ALLOWS(w,
           "DROP TABLE ingest_cursor; CREATE TABLE ingest_cursor(source PRIMARY KEY, \"position\");"
           "DELETE FROM feed");
    expect_open(w, w->at.path, ERR_CORRUPT, named("table feed does not hold its one row"));
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
    expect_open(w, w->at.path, ERR_FOREIGN, "not in WAL mode");
    assert_int_equal(number(w, "SELECT journal_mode = 'delete' FROM pragma_journal_mode"), 1);
    if (world_kind == WORLD_GUEST) {
        assert_non_null(strstr(w->eb.text, "PRAGMA journal_mode = WAL"));
        assert_int_equal(store_create_guest(w->at.path, &existed, &w->eb), ERR_OK);
        assert_true(existed);
        assert_int_equal(number(w, "SELECT journal_mode = 'delete' FROM pragma_journal_mode"), 1);
        return;
    }
    assert_non_null(strstr(w->eb.text, "freshet init"));
    assert_int_equal(store_create(w->at.path, &existed, &w->eb), ERR_OK);
    assert_true(existed);
    assert_int_equal(store_open(&s, w->at.path, STORE_READ, STORE_SYNC_FULL, &w->eb), ERR_OK);
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

    assert_int_equal(store_open(&s, w->at.path, STORE_READ, STORE_SYNC_FULL, &w->eb), ERR_OK);
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

    assert_int_equal(store_open(&s, w->at.path, STORE_WRITE, STORE_SYNC_FULL, &w->eb), ERR_OK);
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
expect_plan(struct world *w, const char *name, const char *sql, const char *want)
{
    char text[2048], plan[1024] = "", *named = schema_names(sql, w->store->prefix),
                     *wanted = schema_names(want, w->store->prefix);
    sqlite3_stmt *st;

    snprintf(text, sizeof text, "EXPLAIN QUERY PLAN %s", named);
    assert_int_equal(sqlite3_prepare_v2(w->store->db, text, -1, &st, NULL), SQLITE_OK);
    while (sqlite3_step(st) == SQLITE_ROW)
        snprintf(plan + strlen(plan), sizeof plan - strlen(plan), "%s%s", *plan ? "; " : "",
                 (const char *)sqlite3_column_text(st, 3));
    sqlite3_finalize(st);
    if (strcmp(plan, wanted) != 0)
        fail_msg("%s: the plan is \"%s\" instead of \"%s\"", name, plan, wanted);
    mem_free(named);
    mem_free(wanted);
}

static void
each_statement_has_the_plan_that_is_written_beside_it(void **state)
{
    static const struct {
        const char *name, *sql, *plan;
    } rows[] = {
#define STATEMENT(name, sql, plan) {#name, sql, plan},
#include "sql/statements.def"
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        expect_plan(*state, rows[i].name, rows[i].sql, rows[i].plan);
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
a_part_is_undone_alone(void **state)
{
    struct world *w = *state;
    struct event e = {.topic = TEXT_LIT("a"), .data = TEXT_LIT("x")};
    int64_t id;
    bool repeated;

    assert_int_equal(store_begin(w->store, &w->eb), ERR_OK);
    for (int part = 0; part < 3; part++) {
        assert_int_equal(store_begin_part(w->store, &w->eb), ERR_OK);
        e.topic = TEXT_LIT("a");
        assert_int_equal(store_append(w->store, &e, &id, &repeated, &w->eb), ERR_OK);
        e.topic = part == 1 ? TEXT_LIT("") : TEXT_LIT("b");
        assert_int_equal(store_append(w->store, &e, &id, &repeated, &w->eb),
                         part == 1 ? ERR_INVALID : ERR_OK);
        assert_int_equal(store_end_part(w->store, part != 1, &w->eb), ERR_OK);
    }
    assert_int_equal(store_commit(w->store, &w->eb), ERR_OK);
    assert_int_equal(number(w, "SELECT count(*) FROM events"), 4);
    /* What was undone has left no gap in the ids. */
    assert_int_equal(marks(w).newest, 4);
}

static void
a_trigger_that_ends_the_transaction_is_noticed(void **state)
{
    struct world *w = *state;
    struct event e = {.topic = TEXT_LIT("a"), .data = TEXT_LIT("x")};
    int64_t id;
    bool repeated;

    assert_int_equal(sqlite3_exec(w->store->db,
                                  named("CREATE TRIGGER picky AFTER INSERT ON events WHEN"
                                        " NEW.topic = 'p'"
                                        " BEGIN SELECT RAISE(ROLLBACK, 'no poison'); END"),
                                  NULL, NULL, NULL),
                     SQLITE_OK);
    assert_int_equal(store_begin(w->store, &w->eb), ERR_OK);
    assert_int_equal(store_append(w->store, &e, &id, &repeated, &w->eb), ERR_OK);
    assert_int_equal(store_begin_part(w->store, &w->eb), ERR_OK);
    e.topic = TEXT_LIT("p");
    assert_int_equal(store_append(w->store, &e, &id, &repeated, &w->eb), ERR_INVALID);
    assert_string_equal(w->eb.text, "the database refuses it: no poison");
    assert_int_equal(store_end_part(w->store, false, &w->eb), ERR_INVALID);
    assert_int_equal(marks(w).newest, 0);
    assert_int_equal(store_begin(w->store, &w->eb),
                     ERR_OK); /* it is over, and the next one begins */
    assert_int_equal(store_commit(w->store, &w->eb), ERR_OK);
}

/* ---- requests under one key ---- */

static enum store_request
ask(struct world *w, const char *key, const char *const *data, size_t n)
{
    struct event events[4] = {0};
    enum store_request request;
    struct store_holder holder;

    for (size_t i = 0; i < n; i++)
        events[i] = (struct event){.topic = TEXT_LIT("a"), .data = text_of(data[i])};
    assert_int_equal(store_begin(w->store, &w->eb), ERR_OK);
    assert_int_equal(store_request(w->store, text_of(key), events, n, &request, &holder, &w->eb),
                     ERR_OK);
    store_rollback(w->store);
    return request;
}

static void
a_request_is_known_by_all_of_its_events(void **state)
{
    static const char *const data[] = {"data", "y", "z"}, *const same[] = {"data", "data", "data"};
    struct world *w = *state;

    assert_int_equal(ask(w, "k", data, 2), STORE_REQUEST_NEW);
    append(w, "a", NULL, "one"); /* its data is "data", like that of all of them */
    append(w, "a", NULL, "two" EVENT_KEY_PART "1");
    append(w, "b", NULL, "three");
    assert_int_equal(ask(w, "one", data, 1), STORE_REQUEST_REPEATED);
    assert_int_equal(ask(w, "one", data + 1, 1), STORE_REQUEST_OTHER);
    assert_int_equal(ask(w, "one", data, 2), STORE_REQUEST_OTHER);
    assert_int_equal(ask(w, "two", data, 1), STORE_REQUEST_OTHER);
    assert_int_equal(ask(w, "two", data, 2), STORE_REQUEST_OTHER);
    append(w, "a", NULL, "two" EVENT_KEY_PART "2");
    assert_int_equal(ask(w, "two", data + 1, 2), STORE_REQUEST_OTHER);
    assert_int_equal(ask(w, "two", same, 2), STORE_REQUEST_REPEATED);
    assert_int_equal(ask(w, "two", same, 3), STORE_REQUEST_OTHER);
    assert_int_equal(ask(w, "three", data, 1), STORE_REQUEST_OTHER);
    assert_int_equal(ask(w, "tw", data, 1), STORE_REQUEST_NEW);
    assert_int_equal(ask(w, "two" EVENT_KEY_PART "1", data, 1), STORE_REQUEST_REPEATED);
}

static void
a_writer_that_holds_on_makes_others_busy(void **state)
{
    struct world *w = *state;
    struct store_query q = {.rows_max = 10, .step = {10, SIZE_MAX, 0}};
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

/* ---- memory ---- */

/* One of everything; true when all of it worked, and else the cause was memory. */
static bool
live_once(struct world *w, const struct subscription *f)
{
    struct event e = {.topic = TEXT_LIT("a"), .data = TEXT_LIT("x"), .key = TEXT_LIT("k")};
    struct store_query q = {f, 0, 10, {10, SIZE_MAX, 0}};
    struct store_page page;
    struct store_status status;
    struct store *s = NULL;
    char *position = NULL;
    int64_t id;
    uint32_t n;
    bool flag;
    int rows = 0;
    int from, to;
    enum err err = store_create(w->at.path, &flag, &w->eb);

    if (err == ERR_OK)
        err = store_upgrade(w->at.path, &from, &to, &w->eb);

    if (err == ERR_OK)
        err = store_open(&s, w->at.path, STORE_WRITE, STORE_SYNC_NORMAL, &w->eb);
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
        err = store_last(s, f, 0, 5, &store_step_all, &id, &n, &flag, &w->eb);
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
    const struct CMUnitTest tests[] = {
        WORLD_TEST(a_file_that_is_not_ours_is_told_apart),
        WORLD_TEST(a_damaged_schema_is_reported),
        WORLD_TEST(a_database_without_wal_is_for_init_to_mend),
        WORLD_TEST(a_reader_writes_nothing),
        WORLD_TEST(writers_ask_for_durability),
        WORLD_TEST(each_statement_has_the_plan_that_is_written_beside_it),
        WORLD_TEST(a_repeated_key_gives_the_first_id_and_writes_nothing),
        WORLD_TEST(position_and_events_are_committed_together),
        WORLD_TEST(an_event_that_breaks_a_rule_rolls_its_transaction_back),
        WORLD_TEST(a_part_is_undone_alone),
        WORLD_TEST(a_trigger_that_ends_the_transaction_is_noticed),
        WORLD_TEST(a_request_is_known_by_all_of_its_events),
        WORLD_TEST(a_writer_that_holds_on_makes_others_busy),
        WORLD_TEST(prune_deletes_the_oldest_and_says_how_far),
        WORLD_TEST(data_version_moves_with_commits_of_others_only),
        WORLD_TEST(status_counts),
        WORLD_TEST(every_allocation_may_fail),
    };

    hook_memory();
    return run_for_each_kind(tests, sizeof tests / sizeof *tests);
}
