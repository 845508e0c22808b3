#include "sql/store_internal.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"

/* ---- transactions ---- */

enum err
store_begin(struct store *s, struct errbuf *eb)
{
    assert(sqlite3_get_autocommit(s->db));
    if (store_place(s) != STORE_IN_PLACE)
        return err_set(
            eb, ERR_MISSING,
            "%s: writing: the file or its WAL is no longer the one that was opened; start "
            "again",
            s->path);
    return store_run(s, SQL_BEGIN_WRITE, "writing", eb);
}

enum err
store_commit(struct store *s, struct errbuf *eb)
{
    enum err err = store_run(s, SQL_COMMIT, "writing", eb);

    if (err != ERR_OK)
        store_rollback(s);
    return err;
}

enum err
store_begin_part(struct store *s, struct errbuf *eb)
{
    enum err err;

    assert(!sqlite3_get_autocommit(s->db));
    err = store_run(s, SQL_MARK, "writing", eb);
    s->in_part = err == ERR_OK;
    if (err != ERR_OK)
        store_rollback(s);
    return err;
}

enum err
store_end_part(struct store *s, bool keep, struct errbuf *eb)
{
    enum err err = ERR_OK;

    s->in_part = false;
    if (sqlite3_get_autocommit(s->db))
        return err_set(eb, ERR_INVALID, "what was written has rolled its transaction back");
    if (!keep)
        err = store_run(s, SQL_BACK_TO_MARK, "writing", eb);
    if (err == ERR_OK)
        err = store_run(s, SQL_FORGET_MARK, "writing", eb);
    if (err != ERR_OK)
        store_rollback(s);
    return err;
}

static void
give_up(struct store *s)
{
    if (!s->in_part)
        store_rollback(s);
}

/* ---- events ---- */

static void
bind(sqlite3_stmt *st, int parameter, struct text value)
{
    /* Fails only for what step will refuse too: a length above SQLite's limit leaves NULL. */
    if (value.p)
        sqlite3_bind_text64(st, parameter, value.p, value.n, SQLITE_STATIC, SQLITE_UTF8);
}

static enum err
find_key(struct store *s, struct text key, int64_t *id, bool *found, struct errbuf *eb)
{
    sqlite3_stmt *st = s->statements[SQL_FIND_KEY];
    enum err err = ERR_OK;
    int code;

    bind(st, 1, key);
    code = sqlite3_step(st);
    *found = code == SQLITE_ROW;
    if (*found)
        *id = sqlite3_column_int64(st, 0);
    else if (code != SQLITE_DONE)
        err = store_fail(s, "writing", eb);
    store_reset(s, SQL_FIND_KEY);
    return err;
}

static enum err
insert(struct store *s, const struct event *e, int64_t *id, struct errbuf *eb)
{
    enum statement name = e->created_ms ? SQL_APPEND_AT : SQL_APPEND;
    sqlite3_stmt *st = s->statements[name];
    enum err err;

    bind(st, 1, e->topic);
    bind(st, 2, e->type);
    bind(st, 3, e->data);
    bind(st, 4, e->key);
    if (e->created_ms)
        sqlite3_bind_int64(st, 5, e->created_ms);
    err = store_run(s, name, "writing", eb);
    if (err == ERR_OK)
        *id = sqlite3_last_insert_rowid(s->db);
    return err;
}

enum err
store_append(struct store *s, const struct event *e, int64_t *id, bool *repeated, struct errbuf *eb)
{
    enum err err = ERR_OK;

    assert(!sqlite3_get_autocommit(s->db));
    *repeated = false;
    if (e->key.p)
        err = find_key(s, e->key, id, repeated, eb);
    if (err == ERR_OK && !*repeated)
        err = insert(s, e, id, eb);
    if (err != ERR_OK)
        give_up(s);
    return err;
}

/* ---- keys ---- */

static enum err
key_holder(struct store *s, const struct event *e, struct text key, struct store_holder *holder,
           struct errbuf *eb)
{
    sqlite3_stmt *st = s->statements[SQL_KEY_HOLDER];
    struct text topic;
    enum err err = ERR_OK;
    int code;

    *holder = (struct store_holder){0};
    bind(st, 1, key);
    bind(st, 2, e->topic);
    bind(st, 3, e->type);
    bind(st, 4, e->data);
    code = sqlite3_step(st);
    if (code == SQLITE_ROW) {
        holder->id = sqlite3_column_int64(st, 0);
        holder->same = sqlite3_column_int(st, 2) != 0;
        topic = store_column(st, 1);
        memcpy(holder->topic, topic.p, topic.n < EVENT_TOPIC_MAX ? topic.n : EVENT_TOPIC_MAX);
    } else if (code != SQLITE_DONE) {
        err = store_fail(s, "writing", eb);
    }
    store_reset(s, SQL_KEY_HOLDER);
    return err;
}

enum err
store_key_holder(struct store *s, const struct event *e, struct store_holder *holder,
                 struct errbuf *eb)
{
    enum err err = key_holder(s, e, e->key, holder, eb);

    if (err != ERR_OK)
        give_up(s);
    return err;
}

/* How many events have the request's key with a number behind it; counts no further than max. */
static enum err
count_parts(struct store *s, struct text key, size_t max, size_t *count, struct errbuf *eb)
{
    sqlite3_stmt *st = s->statements[SQL_COUNT_KEYS];
    char from[EVENT_KEY_MAX + 2], to[EVENT_KEY_MAX + 2];
    enum err err = ERR_OK;

    snprintf(from, sizeof from, "%.*s" EVENT_KEY_PART, (int)key.n, key.p);
    snprintf(to, sizeof to, "%.*s%c", (int)key.n, key.p, EVENT_KEY_PART[0] + 1);
    bind(st, 1, text_of(from));
    bind(st, 2, text_of(to));
    sqlite3_bind_int64(st, 3, (int64_t)max);
    if (sqlite3_step(st) == SQLITE_ROW)
        *count = (size_t)sqlite3_column_int64(st, 0);
    else
        err = store_fail(s, "writing", eb);
    store_reset(s, SQL_COUNT_KEYS);
    return err;
}

/* Of the n events, those that take the request's key: how many there are, and how many of them the
 * table has as they are. Ends at the first that it has otherwise; *holder is that one. */
static enum err
compare_parts(struct store *s, struct text key, const struct event *events, size_t n, size_t *parts,
              size_t *same, struct store_holder *holder, struct errbuf *eb)
{
    enum err err = ERR_OK;

    *parts = *same = 0;
    *holder = (struct store_holder){0};
    for (size_t i = 0; err == ERR_OK && i < n; i++) {
        struct store_holder one;
        char room[EVENT_KEY_MAX + 1];

        if (events[i].key.p)
            continue;
        ++*parts;
        err = key_holder(s, &events[i], event_key(&events[i], key, i, n, room), &one, eb);
        *same += one.same;
        if (one.id)
            *holder = one;
        if (one.id && !one.same)
            break;
    }
    return err;
}

enum err
store_request(struct store *s, struct text key, const struct event *events, size_t n,
              enum store_request *request, struct store_holder *holder, struct errbuf *eb)
{
    const struct event nothing = {0};
    struct store_holder single = {0};
    size_t parts, same, numbered = 0;
    enum err err = compare_parts(s, key, events, n, &parts, &same, holder, eb);

    if (err == ERR_OK)
        err = count_parts(s, key, n + 1, &numbered, eb);
    if (err == ERR_OK && n > 1)
        err = key_holder(s, &nothing, key, &single, eb);
    if (err != ERR_OK)
        give_up(s);
    if (!holder->id)
        *holder = single;
    if (parts == 0 || (!holder->id && numbered == 0))
        *request = STORE_REQUEST_NEW;
    else if (same == parts && numbered == (n > 1 ? parts : 0) && !single.id)
        *request = STORE_REQUEST_REPEATED;
    else
        *request = STORE_REQUEST_OTHER;
    return err;
}

enum err
store_prune(struct store *s, int64_t through, uint32_t rows_max, uint32_t *deleted,
            struct errbuf *eb)
{
    sqlite3_stmt *st = s->statements[SQL_PRUNE];
    enum err err = store_begin(s, eb);

    *deleted = 0;
    if (err != ERR_OK)
        return err;
    sqlite3_bind_int64(st, 1, through);
    sqlite3_bind_int64(st, 2, rows_max);
    err = store_run(s, SQL_PRUNE, "pruning", eb);
    if (err != ERR_OK) {
        store_rollback(s);
        return err;
    }
    *deleted = (uint32_t)sqlite3_changes(s->db);
    err = store_commit(s, eb);
    if (err != ERR_OK)
        *deleted = 0;
    return err;
}

/* ---- the epoch ---- */

/* One in 1.7 million is the one that it had. */
static enum err
draw_epoch(struct store *s, char epoch[STORE_EPOCH_LENGTH + 1], struct errbuf *eb)
{
    enum err err;

    do {
        err = store_run(s, SQL_RENEW_EPOCH, "writing", eb);
        if (err == ERR_OK)
            err = store_read_epoch(s, epoch, eb);
    } while (err == ERR_OK && strcmp(epoch, s->epoch) == 0);
    return err;
}

enum err
store_renew_epoch(struct store *s, struct errbuf *eb)
{
    char epoch[STORE_EPOCH_LENGTH + 1];
    enum err err = store_begin(s, eb);

    if (err != ERR_OK)
        return err;
    err = draw_epoch(s, epoch, eb);
    if (err == ERR_OK)
        err = store_commit(s, eb);
    else
        store_rollback(s);
    if (err == ERR_OK)
        memcpy(s->epoch, epoch, sizeof epoch);
    return err;
}

/* ---- where ingest sources stand ---- */

enum err
store_get_cursor(struct store *s, const char *source, char **position, struct errbuf *eb)
{
    sqlite3_stmt *st = s->statements[SQL_GET_CURSOR];
    enum err err = ERR_OK;
    int code;

    *position = NULL;
    bind(st, 1, text_of(source));
    code = sqlite3_step(st);
    if (code == SQLITE_ROW) {
        struct text value = store_column(st, 0);

        *position = value.p ? mem_copy(value) : NULL;
        if (!*position)
            err = err_nomem(eb);
    } else if (code != SQLITE_DONE) {
        err = store_fail(s, "reading", eb);
    }
    store_reset(s, SQL_GET_CURSOR);
    return err;
}

enum err
store_set_cursor(struct store *s, const char *source, const char *position, struct errbuf *eb)
{
    sqlite3_stmt *st = s->statements[SQL_SET_CURSOR];
    enum err err;

    assert(!sqlite3_get_autocommit(s->db));
    bind(st, 1, text_of(source));
    bind(st, 2, text_of(position));
    err = store_run(s, SQL_SET_CURSOR, "writing", eb);
    if (err != ERR_OK)
        store_rollback(s);
    return err;
}
