#include "stream/subscription.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/mem.h"
#include "stream/topic.h"

void
subscription_init(struct subscription *s)
{
    *s = (struct subscription){0};
}

static void
free_list(struct text *list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        mem_free((char *)list[i].p);
    mem_free(list);
}

void
subscription_finish(struct subscription *s)
{
    free_list(s->topics, s->n_topics);
    free_list(s->types, s->n_types);
    for (size_t i = 0; i < s->n_where; i++)
        where_finish(&s->where[i]);
    mem_free(s->where);
    mem_free(s->key);
    *s = (struct subscription){0};
}

static enum err
add(struct text **list, size_t *n, struct text text)
{
    struct text *longer = mem_realloc(*list, (*n + 1) * sizeof **list);
    char *copy;

    if (!longer)
        return ERR_NOMEM;
    *list = longer;
    copy = mem_copy(text);
    if (!copy)
        return ERR_NOMEM;
    longer[(*n)++] = (struct text){copy, text.n};
    return ERR_OK;
}

enum err
subscription_add_topic(struct subscription *s, struct text pattern, struct errbuf *eb)
{
    struct text checked = pattern, prefix;
    enum err err;

    assert(!s->key);
    /* A prefix may be as long as a topic, and its '*' comes on top. */
    if (pattern.n == EVENT_TOPIC_MAX + 1 && topic_is_prefix(pattern, &prefix))
        checked = prefix;
    err = event_check_topic(checked, eb);
    return err != ERR_OK ? err : add(&s->topics, &s->n_topics, pattern);
}

enum err
subscription_add_type(struct subscription *s, struct text type, struct errbuf *eb)
{
    enum err err = event_check_type(type, eb);

    assert(!s->key);
    return err != ERR_OK ? err : add(&s->types, &s->n_types, type);
}

enum err
subscription_add_where(struct subscription *s, struct text source, struct errbuf *eb)
{
    struct where_condition *longer = mem_realloc(s->where, (s->n_where + 1) * sizeof *longer);
    enum err err;

    assert(!s->key);
    if (!longer)
        return err_nomem(eb);
    s->where = longer;
    err = where_parse(&longer[s->n_where], source, eb);
    s->n_where += err == ERR_OK;
    return err;
}

/* Adds to `kept` the part of the wanted pattern that is granted. */
static enum err
add_granted(struct subscription *kept, struct text wanted, const struct text *grants,
            size_t n_grants, struct errbuf *eb)
{
    size_t before = kept->n_topics;

    for (size_t i = 0; i < n_grants; i++) {
        enum err err = ERR_OK;

        if (topic_covers(grants[i], wanted))
            err = add(&kept->topics, &kept->n_topics, wanted);
        else if (topic_covers(wanted, grants[i]))
            err = add(&kept->topics, &kept->n_topics, grants[i]);
        if (err != ERR_OK)
            return err_nomem(eb);
    }
    if (kept->n_topics == before)
        return err_set(eb, ERR_DENIED, "topic \"%.*s\" may not be read here", (int)wanted.n,
                       wanted.p);
    return ERR_OK;
}

enum err
subscription_narrow(struct subscription *s, const struct text *grants, size_t n_grants,
                    struct errbuf *eb)
{
    struct subscription kept = {0};
    enum err err = ERR_OK;

    assert(!s->key);
    if (s->n_topics == 0)
        err = add_granted(&kept, TEXT_LIT("*"), grants, n_grants, eb);
    for (size_t i = 0; err == ERR_OK && i < s->n_topics; i++)
        err = add_granted(&kept, s->topics[i], grants, n_grants, eb);
    if (err != ERR_OK) {
        free_list(kept.topics, kept.n_topics);
        return err;
    }
    free_list(s->topics, s->n_topics);
    s->topics = kept.topics;
    s->n_topics = kept.n_topics;
    return ERR_OK;
}

static int
order(const void *a, const void *b)
{
    return text_compare(*(const struct text *)a, *(const struct text *)b);
}

static bool
is_covered(const struct text *list, size_t n, struct text text, size_t self)
{
    for (size_t i = 0; i < n; i++)
        if (i != self && topic_covers(list[i], text))
            return true;
    return false;
}

/* Sorted, so equal texts are neighbours and the wider of two patterns may stand anywhere. */
static void
canonical(struct text *list, size_t *n, bool patterns)
{
    size_t kept = 0;

    if (*n == 0)
        return;
    qsort(list, *n, sizeof *list, order);
    for (size_t i = 0; i < *n; i++) {
        if (kept > 0 && text_equal(list[kept - 1], list[i]))
            mem_free((char *)list[i].p);
        else
            list[kept++] = list[i];
    }
    *n = kept;
    for (size_t i = 0; patterns && i < *n;) {
        if (is_covered(list, *n, list[i], i)) {
            mem_free((char *)list[i].p);
            memmove(list + i, list + i + 1, (--*n - i) * sizeof *list);
        } else {
            i++;
        }
    }
}

static int
order_where(const void *a, const void *b)
{
    const struct where_condition *x = a, *y = b;

    return text_compare(x->source, y->source);
}

static void
canonical_where(struct subscription *s)
{
    size_t kept = 0;

    if (s->n_where > 0)
        qsort(s->where, s->n_where, sizeof *s->where, order_where);
    for (size_t i = 0; i < s->n_where; i++) {
        if (kept > 0 && text_equal(s->where[kept - 1].source, s->where[i].source))
            where_finish(&s->where[i]);
        else
            s->where[kept++] = s->where[i];
    }
    s->n_where = kept;
}

/* As in a query string, so that a log line shows something that can be typed, and without '"',
 * between which it stands there. */
static void
append_pair(struct buf *out, const char *name, struct text value)
{
    if (out->length > 0)
        buf_byte(out, '&');
    buf_string(out, name);
    buf_byte(out, '=');
    for (size_t i = 0; i < value.n; i++) {
        unsigned char c = (unsigned char)value.p[i];

        if (strchr("&%+# \"", c))
            buf_format(out, "%%%02X", c);
        else
            buf_byte(out, (char)c);
    }
}

enum err
subscription_seal(struct subscription *s)
{
    struct buf key;

    assert(!s->key);
    canonical(s->topics, &s->n_topics, true);
    canonical(s->types, &s->n_types, false);
    canonical_where(s);
    if (s->n_topics == 1 && text_equal(s->topics[0], TEXT_LIT("*"))) {
        free_list(s->topics, s->n_topics);
        s->topics = NULL;
        s->n_topics = 0;
    }
    buf_init(&key, SIZE_MAX / 2);
    for (size_t i = 0; i < s->n_topics; i++)
        append_pair(&key, "topic", s->topics[i]);
    for (size_t i = 0; i < s->n_types; i++)
        append_pair(&key, "type", s->types[i]);
    for (size_t i = 0; i < s->n_where; i++)
        append_pair(&key, "where", s->where[i].source);
    s->key = buf_take(&key);
    if (!s->key) {
        buf_finish(&key);
        return ERR_NOMEM;
    }
    return ERR_OK;
}

bool
subscription_matches_type(const struct subscription *s, struct text type)
{
    if (s->n_types == 0)
        return true;
    if (!type.p)
        type = TEXT_LIT("message");
    for (size_t i = 0; i < s->n_types; i++)
        if (text_equal(s->types[i], type))
            return true;
    return false;
}

bool
subscription_matches(const struct subscription *s, const struct label *label)
{
    bool found = s->n_topics == 0;

    for (size_t i = 0; i < s->n_topics && !found; i++)
        found = topic_matches(s->topics[i], label->topic);
    return found && subscription_matches_type(s, label->type);
}

bool
subscription_matches_data(const struct subscription *s, struct where_subject *data)
{
    return where_holds(s->where, s->n_where, data);
}

bool
subscription_is_everything(const struct subscription *s)
{
    return s->n_topics == 0 && s->n_types == 0 && s->n_where == 0;
}
