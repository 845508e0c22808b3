/* Making a database, and bringing an older one to the current format. */
#include "sql/store_internal.h"

#include "base/mem.h"
#include "sql/schema.h"

static enum err
run_script(struct store *s, char *sql, const char *doing, struct errbuf *eb)
{
    enum err err = ERR_OK;

    if (!sql)
        return err_nomem(eb);
    if (sqlite3_exec(s->db, sql, NULL, NULL, NULL) != SQLITE_OK)
        err = store_fail(s, doing, eb);
    mem_free(sql);
    return err;
}

static void
undo(struct store *s)
{
    if (!sqlite3_get_autocommit(s->db))
        store_run_unprepared(s, SQL_ROLLBACK, "", NULL);
}

/* ---- making ---- */

/* When somebody else was faster the script is refused, and theirs is looked at. */
static enum err
make(struct store *s, bool *existed, struct errbuf *eb)
{
    enum err err = store_set_up(s, FOR_FULL, eb);

    if (err == ERR_OK)
        err = run_script(s, schema_script(s->prefix), "making it", eb);
    if (err == ERR_OK)
        return ERR_OK;
    undo(s);
    if (err == ERR_INVALID) {
        err = store_identify(s, eb);
        *existed = err == ERR_OK;
    }
    return err;
}

/* A connection to a file that exists, for one transaction. *s is to be closed also after an error.
 */
static enum err
connect_to_change(struct store **store, const char *path, struct errbuf *eb)
{
    struct store *s;
    enum err err = store_check_made(path, eb);

    *store = NULL;
    if (err != ERR_OK)
        return err;
    *store = s = mem_zalloc(sizeof *s);
    if (!s)
        return err_nomem(eb);
    err = store_connect(s, path, SQLITE_OPEN_READWRITE, eb);
    return err == ERR_OK ? store_set_up(s, FOR_FULL, eb) : err;
}

static void
undo_and_close(struct store *s)
{
    if (s && s->db)
        undo(s);
    store_close(s);
}

enum err
store_create(const char *path, bool *existed, struct errbuf *eb)
{
    struct store *s = mem_zalloc(sizeof *s);
    enum err err;

    *existed = false;
    if (!s)
        return err_nomem(eb);
    err = store_connect(s, path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, eb);
    if (err == ERR_OK)
        err = store_identify(s, eb);
    if (err == ERR_OK)
        *existed = true;
    else if (err == ERR_MISSING)
        err = make(s, existed, eb);
    if (err == ERR_OK && !store_is_guest(s)) /* also for one that was cut short before that */
        err = store_set_up(s, FOR_MAKING, eb);
    store_close(s);
    return err;
}

/* ---- a guest ---- */

/* ERR_OK with *there: our tables are there already. ERR_OK without: there is room for them. */
static enum err
find_guest(struct store *s, bool *there, struct errbuf *eb)
{
    int64_t utf8 = 0;
    enum err err = store_identify(s, eb);

    *there = err == ERR_OK;
    if (err == ERR_OK && !store_is_guest(s))
        return err_set(eb, ERR_EXISTS, "%s: a database of freshet already, not of an application",
                       s->path);
    if ((err != ERR_FOREIGN && err != ERR_MISSING) || s->format != 0) /* one that is not read */
        return err;
    err = store_ask(s, ASK_IS_UTF8, &utf8, eb);
    if (err == ERR_OK && !utf8)
        err =
            err_set(eb, ERR_FOREIGN, "%s: its encoding is not UTF-8, which freshet needs", s->path);
    return err;
}

/* All or nothing, inside a transaction. */
static enum err
move_in(struct store *s, bool *existed, struct errbuf *eb)
{
    enum err err = find_guest(s, existed, eb);

    if (err != ERR_OK || *existed)
        return err;
    s->prefix = SCHEMA_GUEST;
    err = run_script(s, schema_script(s->prefix), "making freshet's tables", eb);
    return err == ERR_OK ? store_run_unprepared(s, SQL_COMMIT, "making freshet's tables", eb) : err;
}

enum err
store_create_guest(const char *path, bool *existed, struct errbuf *eb)
{
    struct store *s;
    enum err err;

    *existed = false;
    err = connect_to_change(&s, path, eb);
    if (err == ERR_OK)
        err = store_run_unprepared(s, SQL_BEGIN_WRITE, "making freshet's tables", eb);
    if (err == ERR_OK)
        err = move_in(s, existed, eb);
    undo_and_close(s);
    return err;
}

/* ---- upgrading ---- */

/* Inside a transaction, so that nobody else does it at the same time. */
static enum err
upgrade(struct store *s, int *from, struct errbuf *eb)
{
    enum err err = store_identify(s, eb);

    *from = s->format;
    for (; err == ERR_OK && s->format < SCHEMA_FORMAT; s->format++)
        err = run_script(s, schema_upgrade(s->format, s->prefix), "upgrading", eb);
    return err == ERR_OK ? store_run_unprepared(s, SQL_COMMIT, "upgrading", eb) : err;
}

enum err
store_upgrade(const char *path, int *from, int *to, struct errbuf *eb)
{
    struct store *s;
    enum err err = connect_to_change(&s, path, eb);

    *from = *to = 0;
    if (err == ERR_OK)
        err = store_run_unprepared(s, SQL_BEGIN_WRITE, "upgrading", eb);
    if (err == ERR_OK)
        err = upgrade(s, from, eb);
    if (err == ERR_OK)
        *to = s->format;
    undo_and_close(s);
    return err;
}
