#include "tests/unit/store_world.h"

#include <stdlib.h>

int
world_set_up(void **state)
{
    struct world *w = calloc(1, sizeof *w);

    assert_non_null(w);
    temp_db_make(&w->at);
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
    return sqlite3_exec(w->db, sql, NULL, NULL, NULL) == SQLITE_OK ? "" : sqlite3_errmsg(w->db);
}

int64_t
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
