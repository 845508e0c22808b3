/* Which topics there are. Nothing counts them: they are found by seeking in the index (topic, id)
 * from one to the next, so a page of topics costs a few seeks each, however long the table is. */
#include "sql/store_internal.h"

#include "base/buf.h"
#include "base/mem.h"
#include "stream/topic.h"

/* The smallest text that any topic after `after` which the filter matches can have; false when
 * there can be none. *inclusive: the text itself may be such a topic. Valid as long as its sources.
 */
static bool
lower_bound(const struct subscription *filter, struct text after, struct text *bound,
            bool *inclusive)
{
    bool found = false;

    *bound = after;
    *inclusive = false;
    if (!filter || filter->n_topics == 0)
        return true;
    for (size_t i = 0; i < filter->n_topics; i++) {
        struct text low = filter->topics[i];
        bool prefix = topic_is_prefix(low, &low);

        if (prefix && text_starts(after, low)) { /* in the middle of it */
            *bound = after;
            *inclusive = false;
            return true;
        }
        if (text_compare(low, after) > 0 && (!found || text_compare(low, *bound) < 0)) {
            *bound = low;
            *inclusive = found = true;
        }
    }
    return found;
}

static bool
matches(const struct subscription *filter, struct text topic)
{
    for (size_t i = 0; filter && i < filter->n_topics; i++)
        if (topic_matches(filter->topics[i], topic))
            return true;
    return !filter || filter->n_topics == 0;
}

/* The first topic from the bound on, as a copy; NULL when there is none. */
static enum err
seek_topic(struct store *s, struct text bound, bool inclusive, char **topic, struct errbuf *eb)
{
    sqlite3_stmt *st = s->statements[SQL_TOPIC_FROM];
    struct text found;
    struct buf from;
    enum err err = ERR_OK;

    *topic = NULL;
    buf_init(&from, SIZE_MAX / 2);
    buf_text(&from, bound);
    if (!inclusive) /* no topic has a control character, so nothing lies between */
        buf_byte(&from, 1);
    if (buf_failed(&from)) {
        buf_finish(&from);
        return err_nomem(eb);
    }
    sqlite3_bind_text64(st, 1, buf_view(&from).p, from.length, SQLITE_STATIC, SQLITE_UTF8);
    if (sqlite3_step(st) != SQLITE_ROW) {
        err = store_fail(s, "reading", eb);
    } else if (sqlite3_column_type(st, 0) != SQLITE_NULL) {
        found = store_column(st, 0);
        *topic = found.p ? mem_copy(found) : NULL;
        if (!*topic)
            err = err_nomem(eb);
    }
    store_reset(s, SQL_TOPIC_FROM);
    buf_finish(&from);
    return err;
}

enum err
store_next_topic(struct store *s, const struct subscription *filter, struct text after,
                 char **topic, struct errbuf *eb)
{
    struct text bound;
    char *last = NULL;
    bool inclusive;
    enum err err = ERR_OK;

    *topic = NULL;
    while (lower_bound(filter, after, &bound, &inclusive)) {
        err = seek_topic(s, bound, inclusive, topic, eb);
        mem_free(last);
        last = NULL;
        if (err != ERR_OK || !*topic || matches(filter, text_of(*topic)))
            break;
        last = *topic; /* what the pattern named is not there, this one comes next */
        after = text_of(last);
        *topic = NULL;
    }
    mem_free(last);
    return err;
}

enum err
store_count_topic(struct store *s, struct text topic, int64_t after, uint32_t rows_max,
                  uint32_t *count, int64_t *last, struct errbuf *eb)
{
    sqlite3_stmt *st = s->statements[SQL_COUNT_IN_TOPIC];
    enum err err = ERR_OK;

    sqlite3_bind_text64(st, 1, topic.p, topic.n, SQLITE_STATIC, SQLITE_UTF8);
    sqlite3_bind_int64(st, 2, after);
    sqlite3_bind_int64(st, 3, rows_max);
    if (sqlite3_step(st) == SQLITE_ROW) {
        *count = (uint32_t)sqlite3_column_int64(st, 0);
        *last = *count > 0 ? sqlite3_column_int64(st, 1) : after;
    } else {
        err = store_fail(s, "reading", eb);
    }
    store_reset(s, SQL_COUNT_IN_TOPIC);
    return err;
}

enum err
store_first_in_topic(struct store *s, struct text topic, int64_t after, int64_t *id,
                     struct errbuf *eb)
{
    sqlite3_stmt *st = s->statements[SQL_NEXT_IN_TOPIC];
    enum err err = ERR_OK;
    int code;

    *id = 0;
    sqlite3_bind_text64(st, 1, topic.p, topic.n, SQLITE_STATIC, SQLITE_UTF8);
    sqlite3_bind_int64(st, 2, after);
    code = sqlite3_step(st);
    if (code == SQLITE_ROW)
        *id = sqlite3_column_int64(st, 0);
    else if (code != SQLITE_DONE)
        err = store_fail(s, "reading", eb);
    store_reset(s, SQL_NEXT_IN_TOPIC);
    return err;
}
