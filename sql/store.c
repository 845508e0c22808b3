#include "sql/store_internal.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "sql/store_filter.h"

const char store_schema[] =
#include "sql/schema.inc"
    ;

/* How long a writer waits for another one, unless store_set_busy_timeout() says otherwise. */
enum { BUSY_TIMEOUT_MS = 5000 };

enum { FOR_READ = 1, FOR_WRITE = 2, FOR_FULL = 4, FOR_NORMAL = 8 };

static const struct opening {
    unsigned modes;
    const char *sql;
} openings[] = {
#define OPENING(modes, sql) {modes, sql},
#include "sql/statements.def"
};

enum question {
#define QUESTION(name, sql) ASK_##name,
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

/* ---- errors ---- */

static enum err
err_of(int code)
{
    if (code == SQLITE_IOERR_NOMEM)
        return ERR_NOMEM;
    switch (code & 0xff) { /* the low byte is the primary code */
    case SQLITE_OK:
    case SQLITE_ROW:
    case SQLITE_DONE:
        return ERR_OK;
    case SQLITE_NOMEM:
        return ERR_NOMEM;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return ERR_BUSY;
    case SQLITE_FULL:
        return ERR_FULL;
    case SQLITE_CONSTRAINT:
    case SQLITE_TOOBIG:
    case SQLITE_MISMATCH:
        return ERR_INVALID;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_ERROR: /* the SQL is fixed, so it is the tables that are not as they should be */
    case SQLITE_SCHEMA:
        return ERR_CORRUPT;
    default: /* IOERR, CANTOPEN, READONLY, PERM, … */
        return ERR_IO;
    }
}

static const char *
advice_for(int code)
{
    switch (code & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return " (another writer holds it; try again)";
    case SQLITE_READONLY:
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
        return " (the file and its directory must be accessible for this user)";
    case SQLITE_CORRUPT: /* SQLite calls it that too when a read gives EIO */
        return " (the file is damaged, or the disk could not be read: see the kernel's log; if it "
               "is the file, restore it from a backup)";
    default:
        return "";
    }
}

enum err
store_fail(struct store *s, const char *doing, struct errbuf *eb)
{
    int code = s->db ? sqlite3_extended_errcode(s->db) : SQLITE_NOMEM;
    enum err err = err_of(code);

    if (err == ERR_OK) /* e.g. a text that could not be allocated without SQLite noting it */
        err = ERR_NOMEM;
    if (err == ERR_NOMEM)
        return err_set(eb, ERR_NOMEM, "%s: %s: out of memory", s->path, doing);
    return err_set(eb, err, "%s: %s: %s%s", s->path, doing, sqlite3_errmsg(s->db),
                   advice_for(code));
}

/* ---- statements ---- */

void
store_reset(struct store *s, enum statement name)
{
    sqlite3_reset(s->statements[name]);
    sqlite3_clear_bindings(s->statements[name]);
}

enum err
store_run(struct store *s, enum statement name, const char *doing, struct errbuf *eb)
{
    int code = sqlite3_step(s->statements[name]);
    enum err err = code == SQLITE_DONE ? ERR_OK : store_fail(s, doing, eb);

    store_reset(s, name);
    return err;
}

enum err
store_begin_read(struct store *s, bool *own, struct errbuf *eb)
{
    *own = sqlite3_get_autocommit(s->db) != 0;
    return *own ? store_run(s, SQL_BEGIN_READ, "reading", eb) : ERR_OK;
}

/* After some errors SQLite has rolled back already. Should ROLLBACK itself fail, the transaction is
 * over all the same. */
void
store_rollback(struct store *s)
{
    if (!sqlite3_get_autocommit(s->db))
        store_run(s, SQL_ROLLBACK, "writing", NULL);
}

/* A transaction that has only read cannot fail to end: its COMMIT writes nothing. */
void
store_end_read(struct store *s, bool own)
{
    if (own && store_run(s, SQL_COMMIT, "reading", NULL) != ERR_OK)
        store_rollback(s);
}

struct text
store_column(sqlite3_stmt *st, int column)
{
    const char *p = (const char *)sqlite3_column_text(st, column);

    return (struct text){p, p ? (size_t)sqlite3_column_bytes(st, column) : 0};
}

/* ---- opening ---- */

static enum err
ask(struct store *s, enum question question, int64_t *answer, struct errbuf *eb)
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

/* ERR_OK: a database of ours, of this version. ERR_MISSING: nothing is in it yet. */
static enum err
identify(struct store *s, struct errbuf *eb)
{
    int64_t application = 0, version = 0, tables = 0;
    enum err err = ask(s, ASK_APPLICATION_ID, &application, eb);

    if (err == ERR_OK)
        err = ask(s, ASK_VERSION, &version, eb);
    if (err == ERR_OK)
        err = ask(s, ASK_TABLES, &tables, eb);
    if (err != ERR_OK)
        return err;
    if (tables == 0)
        return err_set(eb, ERR_MISSING, "%s: empty; make it with: freshet init --db %s", s->path,
                       s->path);
    if (application != STORE_APPLICATION_ID)
        return err_set(eb, ERR_FOREIGN, "%s: a database of another program", s->path);
    if (version != STORE_VERSION)
        return err_set(eb, ERR_FOREIGN,
                       "%s: made by %s version of freshet (format %lld; this one reads %d)",
                       s->path, version > STORE_VERSION ? "a newer" : "an unknown",
                       (long long)version, STORE_VERSION);
    return ERR_OK;
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

    s->path = mem_copy(text_of(path));
    if (!s->path)
        return err_set(eb, ERR_NOMEM, "%s: out of memory", path);
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

static enum err
set_up(struct store *s, unsigned modes, struct errbuf *eb)
{
    for (size_t i = 0; i < sizeof openings / sizeof *openings; i++)
        if (openings[i].modes & modes &&
            sqlite3_exec(s->db, openings[i].sql, NULL, NULL, NULL) != SQLITE_OK)
            return store_fail(s, openings[i].sql, eb);
    return ERR_OK;
}

static enum err
prepare(struct store *s, struct errbuf *eb)
{
    if (store_add_filter(s->db) != SQLITE_OK)
        return store_fail(s, "opening", eb);
    for (size_t i = 0; i < N_STATEMENTS; i++)
        if (sqlite3_prepare_v3(s->db, sql_texts[i], -1, SQLITE_PREPARE_PERSISTENT,
                               &s->statements[i], NULL) != SQLITE_OK)
            return store_fail(s, "opening", eb);
    return ERR_OK;
}

static enum err
read_epoch(struct store *s, struct errbuf *eb)
{
    sqlite3_stmt *st = s->statements[SQL_EPOCH];
    int code = sqlite3_step(st);
    enum err err = ERR_OK;

    if (code == SQLITE_ROW && sqlite3_column_bytes(st, 0) == STORE_EPOCH_LENGTH)
        memcpy(s->epoch, sqlite3_column_text(st, 0), STORE_EPOCH_LENGTH);
    else if (code == SQLITE_ROW || code == SQLITE_DONE)
        err = err_set(eb, ERR_CORRUPT, "%s: table feed does not hold its one row", s->path);
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
    if (stat(path, &st) != 0)
        return err_set(eb, ERR_IO, "%s: %s", path, strerror(errno));
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

static const char *
wal_path(const struct store *s)
{
    return sqlite3_filename_wal(sqlite3_db_filename(s->db, "main"));
}

/* Having read something, the connection has the WAL open, and keeps it as long as it is there:
 * whoever wants to remove it must be the last. */
static void
note_wal(struct store *s)
{
    struct stat st;

    if (stat(wal_path(s), &st) != 0)
        return;
    s->wal_device = st.st_dev;
    s->wal_inode = st.st_ino;
}

/* A reader cannot change the journal mode; without WAL it would be in the writers' way. */
static enum err
check_wal(struct store *s, struct errbuf *eb)
{
    int64_t is_wal = 0;
    enum err err = ask(s, ASK_IS_WAL, &is_wal, eb);

    if (err == ERR_OK && !is_wal)
        err = err_set(eb, ERR_FOREIGN, "%s: not in WAL mode; run: freshet init --db %s", s->path,
                      s->path);
    return err;
}

enum err
store_open(struct store **store, const char *path, enum store_mode mode, enum store_sync sync,
           struct errbuf *eb)
{
    unsigned modes = (mode == STORE_READ ? FOR_READ : FOR_WRITE) |
                     (sync == STORE_SYNC_FULL ? FOR_FULL : FOR_NORMAL);
    struct store *s;
    enum err err = store_check_file(path, eb);

    if (err == ERR_OK && store_is_empty_file(path))
        err = err_set(eb, ERR_MISSING, "%s: empty; make it with: freshet init --db %s", path, path);
    *store = NULL;
    if (err != ERR_OK)
        return err;
    s = mem_zalloc(sizeof *s);
    if (!s)
        return err_set(eb, ERR_NOMEM, "%s: out of memory", path);
    err = store_connect(s, path, mode == STORE_READ ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE,
                        eb);
    if (err == ERR_OK)
        err = identify(s, eb);
    if (err == ERR_OK)
        err = set_up(s, modes, eb);
    if (err == ERR_OK)
        err = check_wal(s, eb);
    if (err == ERR_OK)
        err = prepare(s, eb);
    if (err == ERR_OK)
        err = read_epoch(s, eb);
    if (err != ERR_OK) {
        store_close(s);
        return err;
    }
    note_wal(s);
    *store = s;
    return ERR_OK;
}

enum wal { WAL_OURS, WAL_GONE, WAL_OTHER };

static enum wal
look_at_wal(const struct store *s, off_t *size)
{
    struct stat st;

    *size = 0;
    if (s->wal_inode == 0) /* not opened all the way, or there was none */
        return WAL_OURS;
    if (stat(wal_path(s), &st) != 0)
        return errno == ENOENT ? WAL_GONE : WAL_OURS;
    *size = st.st_size;
    return st.st_dev == s->wal_device && st.st_ino == s->wal_inode ? WAL_OURS : WAL_OTHER;
}

/* SQLite knows whether the file that it opened has moved, but nothing of links that lead to it. */
enum store_place
store_place(const struct store *s)
{
    int moved = 0;
    struct stat st;
    off_t wal_size;
    enum wal wal = look_at_wal(s, &wal_size);

    if (stat(s->path, &st) != 0) /* should the file only be out of reach, reading will tell */
        return errno == ENOENT ? STORE_GONE : STORE_IN_PLACE;
    sqlite3_file_control(s->db, "main", SQLITE_FCNTL_HAS_MOVED, &moved);
    if (moved && wal == WAL_OURS && wal_size > 0)
        return STORE_MIXED;
    if (moved || st.st_dev != s->device || st.st_ino != s->inode)
        return STORE_REPLACED;
    return wal == WAL_OURS ? STORE_IN_PLACE : STORE_WAL_LOST;
}

/* The last one to close writes the WAL into the database, and removes what has the WAL's name. What
 * others have written into a WAL that came after ours must not go that way. */
static void
spare_other_wal(struct store *s)
{
    off_t size;

    if (look_at_wal(s, &size) == WAL_OTHER && size > 0)
        sqlite3_db_config(s->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
}

void
store_close(struct store *s)
{
    int code;

    if (!s)
        return;
    spare_other_wal(s);
    for (size_t i = 0; i < N_STATEMENTS; i++)
        sqlite3_finalize(s->statements[i]);
    code = sqlite3_close(s->db);
    assert(code == SQLITE_OK); /* else a statement was left behind */
    where_subject_finish(&s->subject);
    mem_free(s->path);
    mem_free(s);
}

/* Runs the schema. When somebody else was faster it is refused, and theirs is looked at. */
static enum err
make(struct store *s, bool *existed, struct errbuf *eb)
{
    enum err err = set_up(s, FOR_FULL, eb);

    if (err != ERR_OK || sqlite3_exec(s->db, store_schema, NULL, NULL, NULL) == SQLITE_OK)
        return err;
    err = store_fail(s, "making it", eb);
    sqlite3_exec(s->db, sql_texts[SQL_ROLLBACK], NULL, NULL, NULL);
    if (err == ERR_INVALID) {
        err = identify(s, eb);
        *existed = err == ERR_OK;
    }
    return err;
}

enum err
store_create(const char *path, bool *existed, struct errbuf *eb)
{
    struct store *s = mem_zalloc(sizeof *s);
    enum err err;

    *existed = false;
    if (!s)
        return err_set(eb, ERR_NOMEM, "%s: out of memory", path);
    err = store_connect(s, path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, eb);
    if (err == ERR_OK)
        err = identify(s, eb);
    if (err == ERR_OK)
        *existed = true;
    else if (err == ERR_MISSING)
        err = make(s, existed, eb);
    if (err == ERR_OK) /* also for one that was cut short before it came to WAL mode */
        err = set_up(s, FOR_WRITE, eb);
    store_close(s);
    return err;
}

void
store_set_busy_timeout(struct store *s, int64_t ms)
{
    sqlite3_busy_timeout(s->db, ms > INT32_MAX ? INT32_MAX : (int)ms);
}

const char *
store_path(const struct store *s)
{
    return s->path;
}

const char *
store_epoch(const struct store *s)
{
    return s->epoch;
}

/* ---- where the log stands ---- */

enum err
store_marks(struct store *s, struct store_marks *m, struct errbuf *eb)
{
    sqlite3_stmt *st = s->statements[SQL_MARKS];
    enum err err = ERR_OK;

    if (sqlite3_step(st) == SQLITE_ROW) {
        m->oldest = sqlite3_column_int64(st, 0);
        m->newest = sqlite3_column_int64(st, 1);
        m->pruned_through = sqlite3_column_int64(st, 2);
        if (m->oldest == 0)
            m->oldest = m->newest + 1;
    } else {
        err = store_fail(s, "reading", eb);
    }
    store_reset(s, SQL_MARKS);
    return err;
}

enum err
store_data_version(struct store *s, int64_t *version, struct errbuf *eb)
{
    sqlite3_stmt *st = s->statements[SQL_DATA_VERSION];
    enum err err = ERR_OK;

    if (sqlite3_step(st) == SQLITE_ROW)
        *version = sqlite3_column_int64(st, 0);
    else
        err = store_fail(s, "reading", eb);
    store_reset(s, SQL_DATA_VERSION);
    return err;
}
