#include "sql/store_internal.h"

#include <string.h>
#include <sys/stat.h>

/* One row of integers, as many as values has. */
static enum err
ask_integers(struct store *s, enum statement name, int n, int64_t *values[], struct errbuf *eb)
{
    sqlite3_stmt *st = s->statements[name];
    enum err err = ERR_OK;

    if (sqlite3_step(st) == SQLITE_ROW)
        for (int i = 0; i < n; i++)
            *values[i] = sqlite3_column_int64(st, i);
    else
        err = store_fail(s, "reading", eb);
    store_reset(s, name);
    return err;
}

/* 0 for a file that is not there, as a WAL that nobody has open. */
static int64_t
file_bytes(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 ? (int64_t)st.st_size : 0;
}

enum err
store_status(struct store *s, struct store_status *status, struct errbuf *eb)
{
    int64_t *rows[] = {&status->rows}, *topics[] = {&status->topics};
    int64_t *times[] = {&status->made_ms, &status->newest_created_ms};
    enum err err;
    bool own;

    err = store_begin_read(s, &own, eb);
    if (err != ERR_OK)
        return err;
    err = store_marks(s, &status->marks, eb);
    if (err == ERR_OK)
        err = ask_integers(s, SQL_COUNT_ALL, 1, rows, eb);
    if (err == ERR_OK)
        err = ask_integers(s, SQL_COUNT_TOPICS, 1, topics, eb);
    if (err == ERR_OK)
        err = ask_integers(s, SQL_CREATED_TIMES, 2, times, eb);
    store_end_read(s, own);
    if (err == ERR_OK) {
        status->db_bytes = file_bytes(s->path);
        status->wal_bytes = file_bytes(store_wal_path(s));
    }
    return err;
}

bool
store_has_new_epoch(struct store *s)
{
    char now[STORE_EPOCH_LENGTH + 1];

    return store_read_epoch(s, now, NULL) == ERR_OK && strcmp(now, s->epoch) != 0;
}

enum err
store_count(struct store *s, int64_t through, int64_t *rows, struct errbuf *eb)
{
    sqlite3_bind_int64(s->statements[SQL_COUNT_THROUGH], 1, through);
    return ask_integers(s, SQL_COUNT_THROUGH, 1, (int64_t *[]){rows}, eb);
}

enum err
store_sources(struct store *s, store_source_sink *sink, void *context, struct errbuf *eb)
{
    sqlite3_stmt *st = s->statements[SQL_SOURCES];
    enum err err = ERR_OK;
    int code;

    while ((code = sqlite3_step(st)) == SQLITE_ROW)
        sink(context, store_column(st, 0), store_column(st, 1));
    if (code != SQLITE_DONE)
        err = store_fail(s, "reading", eb);
    store_reset(s, SQL_SOURCES);
    return err;
}
