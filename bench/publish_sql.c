/* publish_sql: events go into the table, as any program would write them. */
#include <sqlite3.h>
#include <stdio.h>

#include "bench/publish.h"

static sqlite3 *db;
static sqlite3_stmt *insert;

static void
must(int code)
{
    if (code != SQLITE_OK && code != SQLITE_DONE)
        publish_fail("the database", sqlite3_errmsg(db));
}

static void
sql_open(const char *where)
{
    must(sqlite3_open_v2(where, &db, SQLITE_OPEN_READWRITE, NULL));
    sqlite3_busy_timeout(db, 10000);
    must(sqlite3_exec(db, "PRAGMA synchronous=NORMAL", NULL, NULL, NULL));
    must(sqlite3_prepare_v2(db, "INSERT INTO events(topic, data) VALUES(?1, ?2)", -1, &insert,
                            NULL));
}

static void
sql_begin(void)
{
    must(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL));
}

static void
sql_event(int topic, const char *data, size_t length)
{
    char name[32];

    snprintf(name, sizeof name, "t%d", topic);
    must(sqlite3_bind_text(insert, 1, name, -1, SQLITE_TRANSIENT));
    must(sqlite3_bind_text(insert, 2, data, (int)length, SQLITE_STATIC));
    must(sqlite3_step(insert));
    must(sqlite3_reset(insert));
}

static void
sql_end(void)
{
    must(sqlite3_exec(db, "COMMIT", NULL, NULL, NULL));
}

static void
sql_close(void)
{
    sqlite3_finalize(insert);
    sqlite3_close(db);
}

const struct sink sink_sql = {sql_open, sql_begin, sql_event, sql_end, sql_close};
