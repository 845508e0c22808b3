/* Tables, indexes and triggers, against those that sql/schema.sql makes. */
#include "sql/check_internal.h"

#include <ctype.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "sql/schema.h"

#define PART "schema"
#define MAKE_IT_AGAIN "its CREATE statement is in freshet's schema.sql: "

/* ---- comparing statements ---- */

/* The end of what begins at p and is kept as it is: a quoted text, or one character. */
static const char *
quoted_end(const char *p)
{
    char quote = (char)(*p == '[' ? ']' : *p);
    const char *end;

    if (!strchr("'\"`[", *p))
        return p + 1;
    end = strchr(p + 1, quote);
    return end ? end + 1 : p + strlen(p);
}

/* p behind a comment, or p. */
static const char *
comment_end(const char *p)
{
    const char *end = NULL;

    if (p[0] == '-' && p[1] == '-')
        end = strchr(p, '\n');
    else if (p[0] == '/' && p[1] == '*')
        end = (end = strstr(p + 2, "*/")) ? end + 2 : NULL;
    else
        return p;
    return end ? end : p + strlen(p);
}

static bool
is_word(char c)
{
    return isalnum((unsigned char)c) || strchr("_'\"`[]", c);
}

/* The statement without comments and with a blank only where two words need one: what may differ
 * between two versions of schema.sql that mean the same. */
static void
normalise(struct buf *out, const char *sql)
{
    bool gap = false;

    while (*sql) {
        const char *end = comment_end(sql);

        if (end > sql || isspace((unsigned char)*sql)) {
            gap = true;
            sql = end > sql ? end : sql + 1;
            continue;
        }
        if (gap && out->length > 0 && is_word(out->data[out->length - 1]) && is_word(*sql))
            buf_byte(out, ' ');
        gap = false;
        end = quoted_end(sql);
        buf_append(out, sql, (size_t)(end - sql));
        sql = end;
    }
}

static enum err
same(const char *a, const char *b, bool *equal)
{
    struct buf one, two;
    bool failed;

    buf_init(&one, SIZE_MAX / 4);
    buf_init(&two, SIZE_MAX / 4);
    normalise(&one, a);
    normalise(&two, b);
    *equal = text_equal(buf_view(&one), buf_view(&two));
    failed = buf_failed(&one) || buf_failed(&two);
    buf_finish(&one);
    buf_finish(&two);
    return failed ? ERR_NOMEM : ERR_OK;
}

/* ---- one part of the schema ---- */

struct part {
    const char *type, *name, *table, *sql;
};

static struct part
part_of(sqlite3_stmt *st)
{
    const char *columns[4];

    for (int i = 0; i < 4; i++) {
        columns[i] = (const char *)sqlite3_column_text(st, i);
        if (!columns[i])
            columns[i] = "";
    }
    return (struct part){columns[0], columns[1], columns[2], columns[3]};
}

static void
missing(struct check *c, const struct part *p)
{
    bool table = strcmp(p->type, "table") == 0;

    bool view = strcmp(p->type, "view") == 0;

    check_bad(c, CHECK_BROKEN, PART,
              table ? "restore a backup; if a migration tool dropped it, keep the tool from it"
                    : MAKE_IT_AGAIN "run it in the sqlite3 shell, while nothing writes",
              "%s %s%s%s is missing", p->type, p->name, table || view ? "" : " of table ",
              table || view ? "" : p->table);
}

static void
altered(struct check *c, const struct part *p)
{
    bool table = strcmp(p->type, "table") == 0;

    check_bad(c, CHECK_BROKEN, PART,
              table ? "make a new database with freshet init, and insert the rows there"
                    : MAKE_IT_AGAIN "drop this one and run it in the sqlite3 shell, while nothing "
                                    "writes",
              "%s %s is not as freshet made it", p->type, p->name);
}

/* found: SELECT … by type and name, in the file. */
static enum err
compare(struct check *c, sqlite3_stmt *found, const struct part *p, bool *good)
{
    const char *sql;
    enum err err = ERR_OK;
    bool equal = false;

    sqlite3_bind_text(found, 1, p->type, -1, SQLITE_STATIC);
    sqlite3_bind_text(found, 2, p->name, -1, SQLITE_STATIC);
    if (!check_step(c, found, PART, &err)) {
        if (err == ERR_OK)
            missing(c, p);
    } else {
        sql = (const char *)sqlite3_column_text(found, 0);
        err = same(p->sql, sql ? sql : "", &equal);
        if (err != ERR_OK)
            err_nomem(c->eb);
        else if (!equal)
            altered(c, p);
    }
    *good = *good && equal;
    sqlite3_reset(found);
    return err;
}

/* ---- all of them ---- */

static enum err
compare_all(struct check *c, sqlite3_stmt *wanted, int *n, bool *good)
{
    enum err err;
    sqlite3_stmt *found = check_prepare(c, CHECK_PART, PART, &err);

    while (err == ERR_OK && sqlite3_step(wanted) == SQLITE_ROW) {
        struct part p = part_of(wanted);

        err = compare(c, found, &p, good);
        ++*n;
    }
    sqlite3_finalize(found);
    return err;
}

static bool
is_known(sqlite3_stmt *known, const char *type, const char *name)
{
    bool yes;

    sqlite3_reset(known);
    sqlite3_bind_text(known, 1, type, -1, SQLITE_STATIC);
    sqlite3_bind_text(known, 2, name, -1, SQLITE_STATIC);
    yes = sqlite3_step(known) == SQLITE_ROW;
    sqlite3_reset(known);
    return yes;
}

/* Triggers of others on freshet's tables run inside every transaction that writes events. */
static enum err
find_strangers(struct check *c, sqlite3_stmt *known)
{
    enum err err;
    sqlite3_stmt *st = check_prepare(c, CHECK_PARTS, PART, &err);

    while (st && err == ERR_OK && check_step(c, st, PART, &err)) {
        struct part p = part_of(st);

        if (strcmp(p.type, "trigger") == 0 && is_known(known, "table", p.table) &&
            !is_known(known, p.type, p.name))
            check_good(c, PART, "trigger %s of table %s is not freshet's, and left alone", p.name,
                       p.table);
    }
    sqlite3_finalize(st);
    return err;
}

static enum err
compare_with(struct check *c, struct check *model)
{
    enum err err, err2;
    sqlite3_stmt *wanted = check_prepare(model, CHECK_PARTS, PART, &err);
    sqlite3_stmt *known = check_prepare(model, CHECK_PART, PART, &err2);
    bool good = true;
    int n = 0;

    err = err != ERR_OK ? err : err2;
    if (err == ERR_OK)
        err = compare_all(c, wanted, &n, &good);
    if (err == ERR_OK)
        err = find_strangers(c, known);
    if (err == ERR_OK && good)
        check_good(c, PART, "%d tables, views, indexes and triggers, each as freshet makes it%s", n,
                   c->made_as < c->store->format ? " when it upgrades a file of format 1" : "");
    sqlite3_finalize(wanted);
    sqlite3_finalize(known);
    return err;
}

static enum err
run_model(struct store *model, char *sql, struct errbuf *eb)
{
    enum err err = ERR_OK;

    if (!sql)
        return err_nomem(eb);
    if (sqlite3_exec(model->db, sql, NULL, NULL, NULL) != SQLITE_OK)
        err = store_fail(model, PART, eb);
    mem_free(sql);
    return err;
}

/* What it should be: made in memory, in the format that the file was made in, and upgraded. */
static enum err
make_model(const struct check *c, struct store *model)
{
    int format = c->made_as;
    enum err err = ERR_OK;

    if (sqlite3_open(":memory:", &model->db) != SQLITE_OK)
        return store_fail(model, PART, c->eb);
    err = run_model(model, format == 1 ? schema_script_1() : schema_script(model->prefix), c->eb);
    for (; err == ERR_OK && format < c->store->format; format++)
        err = run_model(model, schema_upgrade(format, model->prefix), c->eb);
    return err;
}

enum err
check_schema(struct check *c)
{
    struct store memory = {.path = ":memory:", .prefix = c->store->prefix};
    struct check model = {.order = c->order, .store = &memory, .eb = c->eb};
    enum err err = make_model(c, &memory);

    if (err == ERR_OK)
        err = compare_with(c, &model);
    sqlite3_close(memory.db);
    return err;
}
