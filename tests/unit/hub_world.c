#include "tests/unit/hub_world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- a table, and what a reader makes of it ---- */

struct row rows[ROWS_MAX + 1]; /* the id is the index */
int64_t newest, pruned_through;

void
insert(const char *topic, const char *type)
{
    assert_true(newest < ROWS_MAX);
    rows[++newest] = (struct row){topic, type, 0};
}

void
empty_table(void)
{
    newest = pruned_through = 0;
}

/* Everything after `after`, at most rows_max events. NULL = no memory. */
struct page *
read_page(const struct subscription *filter, int64_t after, size_t rows_max, bool names)
{
    static char large[STREAM_MAX];
    struct page *p = page_create(after, 64 * 1024, &hub.dialects[DIALECT_PLAIN]);

    if (!p)
        return NULL;
    memset(large, 'x', sizeof large);
    for (int64_t id = after + 1; id <= newest && p->n < rows_max; id++) {
        struct event e = {.id = id,
                          .topic = text_of(rows[id].topic),
                          .type = text_of(rows[id].type),
                          .data = {large, rows[id].data_n ? rows[id].data_n : 3}};
        enum page_added added;

        if (id > pruned_through &&
            (!filter || subscription_matches(filter, &(struct label){e.topic, e.type}))) {
            added = page_add(p, &e, names);
            if (added == PAGE_NO_MEMORY && p->n == 0) {
                page_destroy(p);
                return NULL;
            }
            if (added != PAGE_ADDED)
                break;
        }
        p->through = id;
    }
    p->marks.oldest = pruned_through + 1;
    p->marks.newest = newest;
    p->marks.pruned_through = pruned_through;
    return p;
}

/* ---- a client ---- */

struct hub hub;

struct subscription
wish(const char *topic, const char *second, const char *type)
{
    struct subscription s;
    enum err err = ERR_OK;

    subscription_init(&s);
    if (topic)
        err = subscription_add_topic(&s, text_of(topic), NULL);
    if (err == ERR_OK && second)
        err = subscription_add_topic(&s, text_of(second), NULL);
    if (err == ERR_OK && type)
        err = subscription_add_type(&s, text_of(type), NULL);
    if (err != ERR_OK || subscription_seal(&s) != ERR_OK)
        subscription_finish(&s);
    return s;
}

/* False = no memory. */
bool
join(struct client *c, struct subscription what, int64_t cursor)
{
    memset(c, 0, sizeof *c);
    if (!what.key)
        return false;
    c->sub.feed = hub_hold(&hub, &what, DIALECT_PLAIN);
    if (!c->sub.feed)
        return false;
    c->sub.at.pos.cursor = cursor;
    hub_join(&hub, &c->sub);
    return true;
}

void
leave(struct client *c)
{
    if (c->sub.feed)
        hub_leave(&hub, &c->sub);
}

static void
note(struct client *c, const char *what, size_t n)
{
    assert_true(strlen(c->ids) + n + 2 < sizeof c->ids);
    strncat(c->ids, what, n);
    strcat(c->ids, " ");
}

/* Notes the blocks that were gathered; returns their bytes. */
static size_t
receive(struct client *c, const struct gather *g)
{
    static char stream[2 * STREAM_MAX];
    size_t n = 0;

    for (int i = 1; i < g->n; i++) {
        memcpy(stream + n, g->pieces[i].iov_base, g->pieces[i].iov_len);
        n += g->pieces[i].iov_len;
    }
    stream[n] = '\0';
    assert_int_equal(n, g->bytes);
    for (char *block = stream, *end; *block; block = end + 2) {
        end = strstr(block, "\n\n");
        assert_non_null(end);
        const char *line = strchr(block, '\n');

        if (strncmp(line, "\nevent: freshet:", 16) == 0) /* a signal with an id */
            note(c, line + 16, strcspn(line + 16, "\n"));
        else if (strncmp(block, "id: ", 4) == 0)
            note(c, block + 4, strcspn(block + 4, "-"));
        else if (strncmp(block, "event: freshet:", 15) == 0)
            note(c, block + 15, strcspn(block + 15, "\n"));
        else
            fail_msg("a block that nobody knows: %.40s", block);
    }
    return n;
}

enum gathered
gather(struct client *c, size_t bytes_max)
{
    struct gather g;
    enum gathered gathered;

    gather_init(&g, bytes_max);
    gathered = subscriber_gather(&c->sub, &g);
    receive(c, &g);
    return gathered;
}

void
ignore(void *context, struct subscriber *s)
{
    (void)s;
    if (context)
        ++*(int *)context;
}

/* Reads on until there is nothing more; pages come from the table when they are asked for. */
void
catch_up(struct client *c)
{
    for (int turns = 0; turns < 1000; turns++) {
        enum gathered gathered = gather(c, 4096);
        struct page_request *r;
        struct page *p;

        if (gathered == GATHERED_ALL)
            return;
        if (gathered == GATHERED_PART || hub_wait(&hub, &c->sub, 0) != ERR_OK) {
            assert_false(c->sub.waiting);
            continue;
        }
        while ((r = hub_next_request(&hub))) {
            while (!(p = read_page(&r->feed->what, r->after, 5, false)))
                ;
            hub_deliver(&hub, r, p, ignore, NULL);
        }
        assert_false(c->sub.waiting);
    }
    fail_msg("it never ends");
}

void
publish_new(void)
{
    do { /* an empty page, too: its marks may be news */
        struct page *p = read_page(NULL, hub.window.head_id, 7, true);

        if (p)
            hub_publish(&hub, p);
        page_destroy(p);
    } while (hub.window.head_id < newest);
}

void
open_hub(size_t window_bytes, size_t window_events, size_t cache_max)
{
    empty_table();
    assert_int_equal(hub_init(&hub, window_bytes, window_events, cache_max, 0, "k3f9"), ERR_OK);
}

void
close_hub(void)
{
    for (struct page_request *r; (r = hub_next_request(&hub));)
        hub_fail(&hub, r, ignore, NULL);
    assert_int_equal(hub.n_feeds, 0);
    assert_int_equal(hub.cache_bytes, 0);
    hub_finish(&hub);
}
