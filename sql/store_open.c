/* Opening a database: what file it is, what a connection is set to, its statements. */
#include "sql/store_internal.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "sql/schema.h"
#include "sql/store_filter.h"

/* How long a writer waits for another one, unless store_set_busy_timeout() says otherwise. */
enum { BUSY_TIMEOUT_MS = 5000 };

static const struct opening {
    unsigned modes;
    const char *sql;
} openings[] = {
#define OPENING(modes, sql) {modes, sql},
#include "sql/statements.def"
};

static const char *const questions[] = {
#define QUESTION(name, sql) sql,
#include "sql/statements.def"
};

static const char *const sql_texts[] = {
#define STATEMENT(name, sql, plan) sql,
#include "sql/statements.def"
};

enum err
store_ask(struct store *s, enum question question, int64_t *answer, struct errbuf *eb)
{
    sqlite3_stmt *st = NULL;
    enum err err = ERR_OK;

    if (sqlite3_prepare_v2(s->db, questions[question], -1, &st, NULL) == SQLITE_OK &&
        sqlite3_step(st) == SQLITE_ROW)
        *answer = sqlite3_column_int64(st, 0);
    else if (sqlite3_errcode(s->db) == SQLITE_NOTADB)
        err = err_set(eb, ERR_FOREIGN, "%s: not an SQLite database", s->path);
    else
        err = store_fail(s, "opening", eb);
    sqlite3_finalize(st);
    return err;
}

static enum err
check_format(struct store *s, int64_t format, int64_t oldest, struct errbuf *eb)
{
    s->format = (int)format;
    if (format >= oldest && format <= SCHEMA_FORMAT)
        return ERR_OK;
    return err_set(eb, ERR_FOREIGN,
                   "%s: made by %s version of freshet (format %lld; this one reads 1 to %d)",
                   s->path, format > SCHEMA_FORMAT ? "a newer" : "an unknown", (long long)format,
                   SCHEMA_FORMAT);
}

static enum err
identify_guest(struct store *s, struct errbuf *eb)
{
    int64_t format = 0;
    enum err err;

    s->prefix = SCHEMA_GUEST;
    err = store_ask(s, ASK_GUEST_FORMAT, &format, eb);
    if (err == ERR_OK && format == 0)
        err = err_set(eb, ERR_CORRUPT, "%s: table %sfeed does not hold its one row", s->path,
                      s->prefix);
    return err == ERR_OK ? check_format(s, format, SCHEMA_FIRST_WITH_GUESTS, eb) : err;
}

static enum err
find_foreign(struct store *s, struct errbuf *eb)
{
    int64_t left = 0;
    enum err err = store_ask(s, ASK_GUEST_LEFT, &left, eb);

    if (err != ERR_OK)
        return err;
    if (left > 0)
        return err_set(eb, ERR_FOREIGN, "%s: " STORE_TABLE_MISSING, s->path, SCHEMA_GUEST "feed",
                       s->path);
    return err_set(eb, ERR_FOREIGN,
                   "%s: a database of another program, without tables of freshet in it", s->path);
}

static enum err
identify_own_file(struct store *s, struct errbuf *eb)
{
    int64_t application = 0, version = 0;
    enum err err = store_ask(s, ASK_APPLICATION_ID, &application, eb);

    s->prefix = "";
    if (err == ERR_OK)
        err = store_ask(s, ASK_VERSION, &version, eb);
    if (err == ERR_OK && application != SCHEMA_APPLICATION_ID)
        err = find_foreign(s, eb);
    return err == ERR_OK ? check_format(s, version, 1, eb) : err;
}

enum err
store_identify(struct store *s, struct errbuf *eb)
{
    int64_t tables = 0, guest = 0;
    enum err err = store_ask(s, ASK_TABLES, &tables, eb);

    if (err == ERR_OK)
        err = store_ask(s, ASK_GUEST, &guest, eb);
    if (err != ERR_OK)
        return err;
    if (tables == 0)
        return err_set(eb, ERR_MISSING, "%s: empty; make it with: freshet init --db %s", s->path,
                       s->path);
    return guest ? identify_guest(s, eb) : identify_own_file(s, eb);
}

static pthread_once_t configured = PTHREAD_ONCE_INIT;

/* Counting allocations costs a lock, which all connections of the process would share. When
 * somebody has started SQLite already it stays as it is, and that does not matter. */
static void
configure(void)
{
    sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
}

enum err
store_connect(struct store *s, const char *path, int flags, struct errbuf *eb)
{
    struct stat st;

    s->prefix = "";
    s->path = mem_copy(text_of(path));
    if (!s->path)
        return err_nomem(eb);
    s->writes = (flags & SQLITE_OPEN_READWRITE) != 0;
    pthread_once(&configured, configure);
    /* One thread at a time, so SQLite's own locks are not needed. */
    if (sqlite3_open_v2(path, &s->db, flags | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK)
        return store_fail(s, "opening", eb);
    if (stat(path, &st) == 0) { /* see store_place() */
        s->device = st.st_dev;
        s->inode = st.st_ino;
    }
    sqlite3_extended_result_codes(s->db, 1);
    sqlite3_busy_timeout(s->db, BUSY_TIMEOUT_MS);
    return ERR_OK;
}

enum err
store_set_up(struct store *s, unsigned modes, struct errbuf *eb)
{
    for (size_t i = 0; i < sizeof openings / sizeof *openings; i++)
        if (openings[i].modes & modes &&
            sqlite3_exec(s->db, openings[i].sql, NULL, NULL, NULL) != SQLITE_OK)
            return store_fail(s, openings[i].sql, eb);
    return ERR_OK;
}

enum err
store_run_unprepared(struct store *s, enum statement name, const char *doing, struct errbuf *eb)
{
    return sqlite3_exec(s->db, sql_texts[name], NULL, NULL, NULL) == SQLITE_OK
               ? ERR_OK
               : store_fail(s, doing, eb);
}

static enum err
prepare_one(struct store *s, enum statement name, struct errbuf *eb)
{
    char *sql = schema_names(sql_texts[name], s->prefix);
    enum err err = ERR_OK;

    if (!sql)
        return err_nomem(eb);
    if (sqlite3_prepare_v3(s->db, sql, -1, SQLITE_PREPARE_PERSISTENT, &s->statements[name], NULL) !=
        SQLITE_OK)
        err = store_fail(s, "opening", eb);
    mem_free(sql);
    return err;
}

static enum err
prepare(struct store *s, struct errbuf *eb)
{
    enum err err = ERR_OK;

    if (store_add_filter(s->db) != SQLITE_OK)
        return store_fail(s, "opening", eb);
    for (size_t i = 0; i < N_STATEMENTS && err == ERR_OK; i++)
        err = prepare_one(s, (enum statement)i, eb);
    return err;
}

enum err
store_read_epoch(struct store *s, char epoch[STORE_EPOCH_LENGTH + 1], struct errbuf *eb)
{
    sqlite3_stmt *st = s->statements[SQL_EPOCH];
    int code = sqlite3_step(st);
    enum err err = ERR_OK;

    if (code == SQLITE_ROW && sqlite3_column_bytes(st, 0) == STORE_EPOCH_LENGTH)
        snprintf(epoch, STORE_EPOCH_LENGTH + 1, "%s", sqlite3_column_text(st, 0));
    else if (code == SQLITE_ROW || code == SQLITE_DONE)
        err = err_set(eb, ERR_CORRUPT, "%s: table %sfeed does not hold its one row", s->path,
                      s->prefix);
    else
        err = store_fail(s, "opening", eb);
    store_reset(s, SQL_EPOCH);
    return err;
}

enum err
store_check_file(const char *path, struct errbuf *eb)
{
    struct stat st;

    if (stat(path, &st) != 0 && errno == ENOENT)
        return err_set(eb, ERR_MISSING, "%s: no such file; make it with: freshet init --db %s",
                       path, path);
    if (stat(path, &st) != 0) {
        bool barred = errno == EACCES;
        enum err err = err_set(eb, ERR_IO, "%s: %s", path, strerror(errno));

        if (barred)
            store_is_barred(path, NULL, false, eb);
        return err;
    }
    if (!S_ISREG(st.st_mode))
        return err_set(eb, ERR_FOREIGN, "%s: not a regular file", path);
    return ERR_OK;
}

bool
store_is_empty_file(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 && st.st_size == 0;
}

enum err
store_check_made(const char *path, struct errbuf *eb)
{
    enum err err = store_check_file(path, eb);

    if (err == ERR_OK && store_is_empty_file(path))
        err = err_set(eb, ERR_MISSING, "%s: empty; make it with: freshet init --db %s", path, path);
    return err;
}

/* Without WAL a reader would be in the writers' way. The mode belongs to the file: it is set once,
 * when the file is made, and not each time it is opened. */
static enum err
check_wal(struct store *s, struct errbuf *eb)
{
    int64_t is_wal = 0;
    enum err err = store_ask(s, ASK_IS_WAL, &is_wal, eb);

    if (err != ERR_OK || is_wal)
        return err;
    if (store_is_guest(s))
        return err_set(eb, ERR_FOREIGN,
                       "%s: not in WAL mode; while the application is idle, run: sqlite3 %s "
                       "\"PRAGMA journal_mode = WAL\"",
                       s->path, s->path);
    return err_set(eb, ERR_FOREIGN, "%s: not in WAL mode; run: freshet init --db %s", s->path,
                   s->path);
}

enum err
store_open(struct store **store, const char *path, enum store_mode mode, enum store_sync sync,
           struct errbuf *eb)
{
    unsigned modes = (mode == STORE_READ ? FOR_READ : FOR_WRITE) |
                     (sync == STORE_SYNC_FULL ? FOR_FULL : FOR_NORMAL);
    struct store *s;
    enum err err = store_check_made(path, eb);

    *store = NULL;
    if (err != ERR_OK)
        return err;
    s = mem_zalloc(sizeof *s);
    if (!s)
        return err_nomem(eb);
    err = store_connect(s, path, mode == STORE_READ ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE,
                        eb);
    if (err == ERR_OK)
        err = store_identify(s, eb);
    if (err == ERR_OK)
        err = store_set_up(s, modes, eb);
    if (err == ERR_OK)
        err = check_wal(s, eb);
    if (err == ERR_OK)
        err = prepare(s, eb);
    if (err == ERR_OK)
        err = store_read_epoch(s, s->epoch, eb);
    if (err != ERR_OK) {
        store_close(s);
        return err;
    }
    store_note_wal(s);
    *store = s;
    return ERR_OK;
}

void
store_close(struct store *s)
{
    int code;

    if (!s)
        return;
    store_spare_other_wal(s);
    for (size_t i = 0; i < N_STATEMENTS; i++)
        sqlite3_finalize(s->statements[i]);
    code = sqlite3_close(s->db);
    assert(code == SQLITE_OK); /* else a statement was left behind */
    where_subject_finish(&s->subject);
    mem_free(s->path);
    mem_free(s);
}
