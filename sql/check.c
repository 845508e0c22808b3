#include "sql/check_internal.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "sql/schema.h"

/* Debian 12's sqlite3 has no working .recover. What .dump cannot read it leaves out, and then ends
 * with ROLLBACK; rules and triggers are in it, these two numbers and the WAL mode are not. Debian
 * 13's is defensive and dumps nothing of a file that was cut short; when that is turned off it says
 * so. */
#define RESTORE "restore a backup, then: freshet epoch --new --db FILE"
#define SAVE                                                                                       \
    "or save what can be read:\n"                                                                  \
    "(echo 'PRAGMA application_id = 0x%08x; PRAGMA user_version = %d;'\n"                          \
    " sqlite3 FILE '.dbconfig defensive off' .dump |\n"                                            \
    " sed '/^ *defensive off$/d; s/^ROLLBACK;.*/COMMIT;/') | sqlite3 NEWFILE\n"                    \
    "%s && freshet epoch --new --db NEWFILE\n"                                                     \
    "freshet check --db NEWFILE"

enum { MESSAGE_SIZE = 1024 };

static const char *const texts[] = {
#define CHECKING(name, sql) sql,
#include "sql/statements.def"
};

/* ---- findings ---- */

__attribute__((format(printf, 5, 0))) static void
tell(struct check *c, enum check_level level, const char *part, const char *cure,
     const char *format, va_list arguments)
{
    char what[MESSAGE_SIZE];

    vsnprintf(what, sizeof what, format, arguments);
    c->order->sink(c->order->context, level, part, what, cure ? cure : "");
}

void
check_good(struct check *c, const char *part, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    tell(c, CHECK_GOOD, part, NULL, format, arguments);
    va_end(arguments);
}

void
check_bad(struct check *c, enum check_level level, const char *part, const char *cure,
          const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    tell(c, level, part, cure, format, arguments);
    va_end(arguments);
}

void
check_cure(struct check *c, const char *part, const char *sql, const char *format, ...)
{
    char cure[CHECK_CURE_SIZE], *named = schema_names(sql, c->store->prefix);
    va_list arguments;

    snprintf(cure, sizeof cure, "sqlite3 %s \"%s\"", c->order->path, named ? named : "");
    mem_free(named);
    va_start(arguments, format);
    tell(c, CHECK_BROKEN, part, cure, format, arguments);
    va_end(arguments);
}

/* What every SQLite file begins with: see sqlite.org/fileformat.html. */
enum {
    HEAD_SIZE = 100,
    HEAD_PAGE_SIZE = 16,
    HEAD_PAGES = 28,
    HEAD_USER_VERSION = 60,
    HEAD_APPLICATION_ID = 68,
};

static bool
read_head(const char *path, unsigned char head[HEAD_SIZE], struct stat *st)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    bool read_it = fd >= 0 && pread(fd, head, HEAD_SIZE, 0) == HEAD_SIZE && fstat(fd, st) == 0;

    if (fd >= 0)
        close(fd);
    return read_it;
}

static int64_t
head_number(const unsigned char *p)
{
    return (int64_t)p[0] << 24 | p[1] << 16 | p[2] << 8 | p[3];
}

/* A finding that no statement fixes. Said once, since it is several lines. */
__attribute__((format(printf, 3, 4))) static void
check_damage(struct check *c, const char *part, const char *format, ...)
{
    char cure[CHECK_CURE_SIZE] = "the same";
    unsigned char head[HEAD_SIZE];
    bool guest = store_is_guest(c->store);
    unsigned application = SCHEMA_APPLICATION_ID;
    int version = SCHEMA_FORMAT;
    struct stat st;
    va_list arguments;

    if (read_head(c->order->path, head, &st)) { /* SQLite refuses to, where the file is cut short */
        version = (int)head_number(head + HEAD_USER_VERSION);
        if (guest)
            application = (unsigned)head_number(head + HEAD_APPLICATION_ID);
    }
    if (!c->told_restore)
        snprintf(cure, sizeof cure, RESTORE "\n" SAVE, application, version,
                 guest ? "sqlite3 NEWFILE 'PRAGMA journal_mode = WAL'"
                       : "freshet init --db NEWFILE");
    c->told_restore = true;
    va_start(arguments, format);
    tell(c, CHECK_BROKEN, part, cure, format, arguments);
    va_end(arguments);
}

/* ---- asking ---- */

static bool
is_cut(const char *path, int64_t *have, int64_t *should)
{
    unsigned char head[HEAD_SIZE];
    struct stat st;
    int64_t page;

    if (!read_head(path, head, &st))
        return false;
    page = head[HEAD_PAGE_SIZE] << 8 | head[HEAD_PAGE_SIZE + 1];
    if (page == 1)
        page = 65536;
    *have = (int64_t)st.st_size;
    *should = page * head_number(head + HEAD_PAGES);
    return *have < *should;
}

enum err
check_trouble(struct check *c, const char *part)
{
    int64_t have, should;
    struct errbuf why;
    enum err err = store_fail(c->store, part, &why);
    const char *said = sqlite3_errmsg(c->store->db);

    if (err == ERR_NOMEM || err == ERR_BUSY || sqlite3_errcode(c->store->db) == SQLITE_CANTOPEN) {
        *c->eb = why;
        return err;
    }
    if (err == ERR_FOREIGN || sqlite3_errcode(c->store->db) == SQLITE_NOTADB)
        check_bad(c, CHECK_BROKEN, part,
                  "name the right file; if this is the one, its first page is damaged: " RESTORE,
                  "not an SQLite database: the file's first bytes are not those of one");
    else if (err == ERR_CORRUPT && is_cut(c->order->path, &have, &should))
        check_damage(c, part,
                     "the file is cut short: it has %" PRId64 " bytes, its header says %" PRId64,
                     have, should);
    else
        check_damage(c, part, "cannot be read: %s", said);
    return ERR_CORRUPT;
}

sqlite3_stmt *
check_prepare(struct check *c, enum checking sql, const char *part, enum err *err)
{
    char *named = schema_names(texts[sql], c->store->prefix);
    sqlite3_stmt *st = NULL;

    *err = ERR_OK;
    atomic_store(&c->order->watch->part, part);
    if (!named)
        *err = err_nomem(c->eb);
    else if (sqlite3_prepare_v2(c->store->db, named, -1, &st, NULL) != SQLITE_OK)
        *err = check_trouble(c, part);
    mem_free(named);
    return st;
}

bool
check_step(struct check *c, sqlite3_stmt *st, const char *part, enum err *err)
{
    int code = sqlite3_step(st);

    if (code == SQLITE_ROW)
        return true;
    if (code != SQLITE_DONE)
        *err = check_trouble(c, part);
    return false;
}

/* One row of at most two numbers. */
static enum err
ask(struct check *c, enum checking sql, int64_t *a, int64_t *b)
{
    enum err err;
    sqlite3_stmt *st = check_prepare(c, sql, "file", &err);

    if (st && check_step(c, st, "file", &err)) {
        *a = sqlite3_column_int64(st, 0);
        if (b)
            *b = sqlite3_column_int64(st, 1);
    }
    sqlite3_finalize(st);
    return err;
}

/* ---- what file it is ---- */

struct head {
    int64_t application, version, tables, own, guest_feed, guest_others, pages, page_bytes;
};

static enum err
ask_what_it_is(struct check *c, struct head *h)
{
    enum err err = ask(c, CHECK_APPLICATION, &h->application, NULL);

    if (err == ERR_OK)
        err = ask(c, CHECK_FORMAT, &h->version, NULL);
    if (err == ERR_OK)
        err = ask(c, CHECK_OWN_TABLES, &h->tables, &h->own);
    if (err == ERR_OK)
        err = ask(c, CHECK_GUEST_TABLES, &h->guest_feed, &h->guest_others);
    if (err == ERR_OK)
        err = ask(c, CHECK_PAGES, &h->pages, &h->page_bytes);
    return err;
}

static void
find_no_table(struct check *c)
{
    char cure[CHECK_CURE_SIZE];

    snprintf(cure, sizeof cure, "freshet init --db %s", c->order->path);
    check_bad(c, CHECK_BROKEN, "file", cure, "empty: there is no table in it");
}

static void
find_no_application_id(struct check *c, const struct head *h)
{
    char sql[CHECK_CURE_SIZE];

    snprintf(sql, sizeof sql, "PRAGMA application_id = 0x%08x", (unsigned)SCHEMA_APPLICATION_ID);
    check_cure(c, "file", sql,
               "application_id is 0x%08" PRIx64
               ", although the tables are freshet's: no program of "
               "freshet opens it",
               (uint64_t)h->application & 0xffffffff);
}

/* Whose it is; false when it is not freshet's. */
static bool
is_ours(struct check *c, const struct head *h)
{
    if (h->tables == 0) {
        find_no_table(c);
        return false;
    }
    if (h->guest_feed > 0 || (h->guest_others > 0 && h->application != SCHEMA_APPLICATION_ID)) {
        c->store->prefix = SCHEMA_GUEST;
        return true;
    }
    if (h->application != SCHEMA_APPLICATION_ID && h->own < 3) {
        check_bad(c, CHECK_BROKEN, "file", "name the right file",
                  "a database of another program, without tables of freshet in it: application_id "
                  "is 0x%08" PRIx64 ", freshet's is 0x%08x",
                  (uint64_t)h->application & 0xffffffff, (unsigned)SCHEMA_APPLICATION_ID);
        return false;
    }
    if (h->application != SCHEMA_APPLICATION_ID)
        find_no_application_id(c, h);
    return true;
}

static void
find_no_version(struct check *c, const struct head *h, int64_t format)
{
    char sql[CHECK_CURE_SIZE];

    snprintf(sql, sizeof sql, "PRAGMA user_version = %" PRId64, format);
    check_cure(c, "file", sql,
               "user_version is %" PRId64 ", although the tables are those of format %" PRId64
               ": no program of freshet opens it",
               h->version, format);
}

/* The format, and the one that the tables were made in. That of a guest stands in its feed, that of
 * another file in its head; a copy made from its text has lost that. */
static enum err
read_format(struct check *c, const struct head *h, int64_t *format)
{
    int64_t strict = 0, in_feed = 0, has_column = 0;
    enum err err = ask(c, CHECK_STRICT_TABLES, &strict, NULL);

    if (err == ERR_OK)
        err = ask(c, CHECK_FEED_HAS_FORMAT, &has_column, NULL);
    if (err == ERR_OK && has_column > 0)
        err = ask(c, CHECK_FEED_FORMAT, &in_feed, NULL);
    if (in_feed == 0) /* the feed has lost its row, which part epoch says, or is gone itself */
        in_feed = strict > 0 && has_column == 0 ? 1 : SCHEMA_FORMAT;
    *format = store_is_guest(c->store) || h->version < 1 ? in_feed : h->version;
    if (err == ERR_OK && !store_is_guest(c->store) && h->version < 1)
        find_no_version(c, h, *format);
    c->store->format = (int)*format;
    c->made_as = strict > 0 ? 1 : (int)*format;
    return err;
}

/* True: the other parts can be judged. */
static bool
judge_format(struct check *c, int64_t format)
{
    char cure[CHECK_CURE_SIZE];

    snprintf(cure, sizeof cure, "freshet upgrade --db %s", c->order->path);
    if (format > SCHEMA_FORMAT)
        check_bad(c, CHECK_BROKEN, "file", "use the freshet that made it, or a newer one",
                  "made by a newer version of freshet: format %" PRId64 ", this one reads 1 to %d",
                  format, SCHEMA_FORMAT);
    else if (format < SCHEMA_FORMAT)
        check_bad(c, CHECK_ODD, "file", cure,
                  "made by an older version of freshet: format %" PRId64 ", the current one is %d; "
                  "it is used as it is, without what the newer one adds",
                  format, SCHEMA_FORMAT);
    return format <= SCHEMA_FORMAT;
}

static enum err
check_mode(struct check *c, bool *wal)
{
    char cure[CHECK_CURE_SIZE];
    enum err err;
    sqlite3_stmt *st = check_prepare(c, CHECK_MODE, "file", &err);

    if (st && check_step(c, st, "file", &err)) {
        const char *mode = (const char *)sqlite3_column_text(st, 0);

        *wal = mode && strcmp(mode, "wal") == 0;
        snprintf(cure, sizeof cure,
                 store_is_guest(c->store)
                     ? "while the application is idle: sqlite3 %s \"PRAGMA journal_mode = WAL\""
                     : "freshet init --db %s",
                 c->order->path);
        if (!*wal)
            check_bad(c, CHECK_BROKEN, "file", cure,
                      "the journal mode is %s, not wal: readers and writers would block each other",
                      mode ? mode : "unknown");
    }
    sqlite3_finalize(st);
    return err;
}

/* *judge: the parts may be looked at. */
static enum err
check_file(struct check *c, bool *judge)
{
    struct head h = {0};
    int64_t format = 0;
    bool wal = false;
    enum err err = ask_what_it_is(c, &h);

    *judge = false;
    if (err != ERR_OK || !is_ours(c, &h))
        return err;
    err = read_format(c, &h, &format);
    if (err != ERR_OK || !judge_format(c, format))
        return err;
    *judge = true;
    err = check_mode(c, &wal);
    if (err == ERR_OK && wal &&
        (store_is_guest(c->store) || (h.application == SCHEMA_APPLICATION_ID && h.version > 0)))
        check_good(c, "file",
                   "%s, format %" PRId64 ", in WAL mode, %" PRId64 " pages of %" PRId64 " bytes",
                   store_is_guest(c->store) ? "freshet's tables in an application's database"
                                            : "a database of freshet",
                   format, h.pages, h.page_bytes);
    return err;
}

/* ---- structure ---- */

/* "row 5 missing from index events_topic", "wrong # of entries in index events_topic" */
static const char *
index_of(const char *message)
{
    static const char *const signs[] = {"missing from index ", "entries in index ",
                                        "unique entry in index "};

    for (size_t i = 0; i < sizeof signs / sizeof *signs; i++) {
        const char *found = strstr(message, signs[i]);

        if (found)
            return found + strlen(signs[i]);
    }
    return NULL;
}

static void
one_line(char *line, size_t size, const unsigned char *text)
{
    snprintf(line, size, "%s", text ? (const char *)text : "");
    for (char *p = line; *p; p++)
        if (*p == '\n')
            *p = ' ';
}

/* Rows that an index lacks come one by one, and one fix serves all of them: only the first is
 * reported. */
static void
structure_finding(struct check *c, const char *message, int *of_index)
{
    const char *index = index_of(message);
    char sql[CHECK_CURE_SIZE];

    if (index && strstr(message, "missing from") && (*of_index)++ > 0)
        return;
    snprintf(sql, sizeof sql, "REINDEX %s", index ? index : "");
    if (index)
        check_cure(c, "structure", sql, "%s", message);
    else if (strstr(message, "failed in ") || strstr(message, " value in "))
        check_bad(c, CHECK_BROKEN, "structure", "see below for which", "%s", message);
    else
        check_damage(c, "structure", "%s", message);
}

/* Of an application's database only freshet's tables are looked at. */
static enum checking
structure_question(const struct check *c)
{
    if (store_is_guest(c->store))
        return c->order->quick ? CHECK_QUICK_TABLES : CHECK_WHOLE_TABLES;
    return c->order->quick ? CHECK_QUICK : CHECK_WHOLE;
}

static enum err
check_structure(struct check *c)
{
    char message[MESSAGE_SIZE];
    int of_index = 0;
    bool good = true;
    enum err err;
    sqlite3_stmt *st = check_prepare(c, structure_question(c), "structure", &err);

    while (st && err == ERR_OK && check_step(c, st, "structure", &err)) {
        one_line(message, sizeof message, sqlite3_column_text(st, 0));
        if (strcmp(message, "ok") == 0)
            continue;
        good = false;
        structure_finding(c, message, &of_index);
    }
    if (of_index > 1)
        check_bad(c, CHECK_BROKEN, "structure", "the same",
                  "%d more rows, or as many as SQLite counts at once, are missing from indexes",
                  of_index - 1);
    if (good && err == ERR_OK)
        check_good(c, "structure", "SQLite's %s found nothing wrong",
                   c->order->quick ? "quick_check" : "integrity_check");
    sqlite3_finalize(st);
    return err;
}

/* ---- all of it ---- */

static enum err
check_parts(struct check *c)
{
    static enum err (*const parts[])(struct check *) = {
        check_structure, check_schema, check_log, check_events, check_keys, check_sources,
    };
    bool judge;
    enum err err = check_file(c, &judge);

    for (size_t i = 0; judge && i < sizeof parts / sizeof *parts; i++)
        if (err == ERR_OK || err == ERR_CORRUPT)
            err = parts[i](c);
    return err == ERR_CORRUPT ? ERR_OK : err;
}

enum err
check_database(const struct check_order *order, struct errbuf *eb)
{
    struct check c = {.order = order, .eb = eb};
    enum err err = store_check_file(order->path, eb);

    if (err != ERR_OK)
        return err;
    if (store_is_empty_file(order->path)) {
        find_no_table(&c);
        return ERR_OK;
    }
    check_rights(&c);
    c.store = mem_zalloc(sizeof *c.store);
    if (!c.store)
        return err_nomem(eb);
    err = store_connect(c.store, order->path, SQLITE_OPEN_READONLY, eb);
    if (err == ERR_OK &&
        sqlite3_exec(c.store->db, texts[CHECK_SAFE], NULL, NULL, NULL) != SQLITE_OK)
        err = check_trouble(&c, "file");
    if (err == ERR_OK)
        err = check_parts(&c);
    store_close(c.store);
    return err == ERR_CORRUPT ? ERR_OK : err;
}
