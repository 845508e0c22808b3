/* store_world: an empty database for each test of the store, seen from both sides: through the
 * store, and through a connection of plain SQLite, as any program would open it. */
#ifndef TESTS_UNIT_STORE_WORLD_H
#define TESTS_UNIT_STORE_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <sqlite3.h>
#include <string.h>

#include "sql/store.h"
#include "tests/unit/temp_db.h"

/* What kind of database the worlds are made with; WORLD_OWN unless a program sets it. */
enum world_kind {
    WORLD_OWN,      /* a file of its own */
    WORLD_OLD,      /* one of format 1 */
    WORLD_UPGRADED, /* one that was made in format 1 */
    WORLD_GUEST,    /* an application's database with freshet as a guest */
};
extern enum world_kind world_kind;

struct world {
    struct temp_db at;
    sqlite3 *db; /* a stranger's connection: plain SQLite, nothing set */
    struct store *store;
    struct errbuf eb;
};

/* For cmocka: *state is a struct world. */
int world_set_up(void **state);
int world_tear_down(void **state);

/* The tests, once for each kind; how many failed. */
int run_for_each_kind(const struct CMUnitTest *tests, size_t n);

#define WORLD_TEST(name) cmocka_unit_test_setup_teardown(name, world_set_up, world_tear_down)

/* A stranger's statement with freshet's tables as they are called in the world's database; valid
 * until the next call. */
const char *named(const char *sql);

/* What SQLite says to a stranger's statement, after named(); "" when it is content. */
const char *says(struct world *w, const char *sql);

#define REFUSES(w, sql, reason)                                                                    \
    do {                                                                                           \
        const char *said = says(w, sql);                                                           \
        if (!strstr(said, reason) || !*said)                                                       \
            fail_msg("%s: \"%s\" does not contain \"%s\"", sql, said, reason);                     \
    } while (0)
#define ALLOWS(w, sql) assert_string_equal(says(w, sql), "")

/* What a query of one row and column gives, after named(). */
int64_t number(struct world *w, const char *sql);

/* One event in a transaction of its own; its id. */
int64_t append(struct world *w, const char *topic, const char *type, const char *key);

struct marks marks(struct world *w);

/* Opening this for reading and for writing must fail so, with both in the message. */
void expect_open(struct world *w, const char *path, enum err want, const char *reason);

/* For store_read(): `context` is an int that counts the rows. */
bool count_rows(void *context, const struct event *e);

#endif
