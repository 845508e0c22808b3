#include "sql/store_internal.h"

#include <string.h>

#include "sql/schema.h"

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
    case SQLITE_SCHEMA:
    case SQLITE_ERROR: /* the SQL is fixed, so it is the tables that are not as they should be */
        return ERR_CORRUPT;
    default: /* IOERR, CANTOPEN, READONLY, PERM, … */
        return ERR_IO;
    }
}

/* What to do, from " (" on; "" where there is nothing to say. */
static void
advise(const struct store *s, int code, struct errbuf *advice)
{
    const char *wal = store_wal_path(s);
    struct errbuf what;

    advice->text[0] = '\0';
    switch (code & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        err_set(advice, ERR_BUSY, " (another writer holds it; try again)");
        break;
    case SQLITE_READONLY:
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
        if (store_is_barred(s->path, wal && *wal ? wal : NULL, s->writes, &what))
            err_set(advice, ERR_IO, " (%s)", what.text);
        break;
    case SQLITE_CORRUPT: /* SQLite calls it that too when a read gives EIO */
        err_set(advice, ERR_CORRUPT,
                " (the file is damaged, or the disk could not be read: see the kernel's log; if it "
                "is the file, restore it from a backup)");
        break;
    case SQLITE_ERROR:
        err_set(advice, ERR_CORRUPT,
                " (its tables are not as freshet made them; see: freshet check --db %s)", s->path);
        break;
    default:
        break;
    }
}

/* "no such table: feed", and from inside of a trigger "no such table: main.key_guard": the name
 * when the table is one of ours, or NULL. */
static const char *
missing_table(const struct store *s)
{
    static const char *const ours[] = {"events", "feed", "ingest_cursor", "key_guard"};
    static const char sign[] = "no such table: ", database[] = "main.";
    const char *name = sqlite3_errmsg(s->db);

    if (strncmp(name, sign, strlen(sign)) != 0)
        return NULL;
    name += strlen(sign);
    if (strncmp(name, database, strlen(database)) == 0)
        name += strlen(database);
    if (strncmp(name, s->prefix, strlen(s->prefix)) != 0)
        return NULL;
    for (size_t i = 0; i < sizeof ours / sizeof *ours; i++)
        if (strcmp(name + strlen(s->prefix), ours[i]) == 0)
            return name;
    return NULL;
}

enum err
store_fail(struct store *s, const char *doing, struct errbuf *eb)
{
    int code = s->db ? sqlite3_extended_errcode(s->db) : SQLITE_NOMEM;
    enum err err = err_of(code);
    struct errbuf advice;

    if (err == ERR_OK) /* e.g. a text that could not be allocated without SQLite noting it */
        err = ERR_NOMEM;
    if (err == ERR_NOMEM)
        return err_set(eb, ERR_NOMEM, "%s: %s: out of memory", s->path, doing);
    if (err == ERR_INVALID) /* not the file is at fault, and the writer may be anybody */
        return err_set(eb, err, "the database refuses it: %s", sqlite3_errmsg(s->db));
    if (code == SQLITE_ERROR && missing_table(s))
        return err_set(eb, ERR_MISSING, "%s: %s: " STORE_TABLE_MISSING, s->path, doing,
                       missing_table(s), s->path);
    advise(s, code, &advice);
    return err_set(eb, err, "%s: %s: %s%s", s->path, doing, sqlite3_errmsg(s->db), advice.text);
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

int
store_format(const struct store *s)
{
    return s->format;
}

bool
store_is_old(const struct store *s, struct errbuf *what)
{
    if (s->format >= SCHEMA_FORMAT)
        return false;
    err_set(
        what, ERR_OK,
        "%s: made by an older version of freshet (format %d), and used as it is; to bring it to "
        "format %d without stopping anything, run: freshet upgrade --db %s",
        s->path, s->format, SCHEMA_FORMAT, s->path);
    return true;
}

bool
store_is_guest(const struct store *s)
{
    return *s->prefix != '\0';
}

/* ---- where the log stands ---- */

enum err
store_marks(struct store *s, struct marks *m, struct errbuf *eb)
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
