#include "tests/unit/store_world.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"
#include "sql/schema.h"

enum world_kind world_kind;

static void
run(const char *path, const char *sql)
{
    sqlite3 *db;
    char *error = NULL;

    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    if (sqlite3_exec(db, sql, NULL, NULL, &error) != SQLITE_OK)
        fail_msg("%s", error);
    sqlite3_close(db);
}

/* In the place of the database that temp_db has made. */
static void
make_kind(struct world *w)
{
    struct errbuf eb = {""};
    bool existed = false;
    int from, to;

    if (world_kind == WORLD_OWN)
        return;
    unlink(w->at.path);
    if (world_kind == WORLD_GUEST) {
        run(w->at.path, "CREATE TABLE events(name TEXT, happened INTEGER);"
                        "CREATE TABLE orders(id INTEGER PRIMARY KEY AUTOINCREMENT, what TEXT);"
                        "INSERT INTO orders(what) VALUES ('bread'), ('salt');"
                        "PRAGMA application_id = 1196444487; PRAGMA user_version = 10300;"
                        "PRAGMA journal_mode = WAL");
        assert_int_equal(store_create_guest(w->at.path, &existed, &eb), ERR_OK);
        assert_false(existed);
    } else {
        char *script = schema_script_1();

        run(w->at.path, script);
        mem_free(script);
    }
    if (world_kind == WORLD_UPGRADED) {
        assert_int_equal(store_upgrade(w->at.path, &from, &to, &eb), ERR_OK);
        assert_true(from == 1 && to == SCHEMA_FORMAT);
    }
}

const char *
named(const char *sql)
{
    static const char *const names[] = {"events", "feed", "ingest_cursor", "key_guard", "position"};
    static char out[4096];
    size_t n = 0;
    bool quoted = false;

    for (const char *p = sql; *p && n < sizeof out - 20; p++) {
        bool begins = p == sql || !(isalnum((unsigned char)p[-1]) || strchr("_.'", p[-1]));

        quoted = quoted != (*p == '\'');
        for (size_t i = 0; world_kind == WORLD_GUEST && begins && !quoted && i < 5; i++) {
            size_t length = strlen(names[i]);

            if (strncmp(p, names[i], length) == 0 && !isalnum((unsigned char)p[length]))
                n += (size_t)snprintf(out + n, sizeof out - n, "%s", SCHEMA_GUEST);
        }
        out[n++] = *p;
    }
    out[n] = '\0';
    return out;
}

int
world_set_up(void **state)
{
    struct world *w = calloc(1, sizeof *w);

    assert_non_null(w);
    temp_db_make(&w->at);
    make_kind(w);
    assert_int_equal(store_open(&w->store, w->at.path, STORE_WRITE, STORE_SYNC_NORMAL, &w->eb),
                     ERR_OK);
    assert_int_equal(sqlite3_open(w->at.path, &w->db), SQLITE_OK);
    *state = w;
    return 0;
}

int
world_tear_down(void **state)
{
    struct world *w = *state;

    store_close(w->store);
    assert_int_equal(sqlite3_close(w->db), SQLITE_OK);
    temp_db_remove(&w->at);
    free(w);
    return 0;
}

const char *
says(struct world *w, const char *sql)
{
    return sqlite3_exec(w->db, named(sql), NULL, NULL, NULL) == SQLITE_OK ? ""
                                                                          : sqlite3_errmsg(w->db);
}

int64_t
number(struct world *w, const char *sql)
{
    sqlite3_stmt *st;
    int64_t value;

    assert_int_equal(sqlite3_prepare_v2(w->db, named(sql), -1, &st, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(st), SQLITE_ROW);
    value = sqlite3_column_int64(st, 0);
    sqlite3_finalize(st);
    return value;
}

int64_t
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

struct marks
marks(struct world *w)
{
    struct marks m;

    assert_int_equal(store_marks(w->store, &m, &w->eb), ERR_OK);
    return m;
}

bool
count_rows(void *context, const struct event *e)
{
    (void)e;
    ++*(int *)context;
    return true;
}

void
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

int
run_for_each_kind(const struct CMUnitTest *tests, size_t n)
{
    static const struct {
        enum world_kind kind;
        const char *name;
    } kinds[] = {
        {WORLD_OWN, "a file of its own"},
        {WORLD_OLD, "of format 1"},
        {WORLD_UPGRADED, "upgraded from format 1"},
        {WORLD_GUEST, "a guest"},
    };
    int failed = 0;

    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        world_kind = kinds[i].kind;
        failed += _cmocka_run_group_tests(kinds[i].name, tests, n, NULL, NULL);
    }
    return failed;
}
