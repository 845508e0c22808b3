/* hub: feeds, subscribers and what joins them, and memory that runs out at every possible moment.
 *
 * Random life against a reference is in tests/model; here are the stories one by one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/mem.h"
#include "stream/hub.h"

#define COUNT_OF(array) (sizeof(array) / sizeof *(array))

enum { ROWS_MAX = 200, STREAM_MAX = 1 << 20 };

/* ---- a table, and what a reader makes of it ---- */

struct row {
    const char *topic, *type;
    size_t data_n; /* 0 = a short one */
};

static struct row rows[ROWS_MAX + 1]; /* the id is the index */
static int64_t newest, pruned_through;

static void
insert(const char *topic, const char *type)
{
    assert_true(newest < ROWS_MAX);
    rows[++newest] = (struct row){topic, type, 0};
}

static void
empty_table(void)
{
    newest = pruned_through = 0;
}

/* Everything after `after`, at most rows_max events. NULL = no memory. */
static struct page *
read_page(const struct subscription *filter, int64_t after, size_t rows_max, bool names)
{
    static char large[STREAM_MAX];
    struct page *p = page_create(after, 64 * 1024);

    if (!p)
        return NULL;
    memset(large, 'x', sizeof large);
    for (int64_t id = after + 1; id <= newest && p->n < rows_max; id++) {
        struct event e = {.id = id,
                          .topic = text_of(rows[id].topic),
                          .type = text_of(rows[id].type),
                          .data = {large, rows[id].data_n ? rows[id].data_n : 3}};
        enum page_added added;

        if (id > pruned_through && (!filter || subscription_matches(filter, e.topic, e.type))) {
            added = page_add(p, &e, "k3f9", names);
            if (added == PAGE_NO_MEMORY && p->n == 0) {
                page_destroy(p);
                return NULL;
            }
            if (added != PAGE_ADDED)
                break;
        }
        p->through = id;
    }
    p->oldest = pruned_through + 1;
    p->newest = newest;
    p->pruned_through = pruned_through;
    return p;
}

/* ---- a client ---- */

struct client {
    struct subscriber sub;
    char ids[1024]; /* what it was given: "1 2 reset live 3 " */
};

static struct hub hub;

static struct subscription
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
static bool
join(struct client *c, struct subscription what, int64_t cursor)
{
    memset(c, 0, sizeof *c);
    if (!what.key)
        return false;
    c->sub.feed = hub_hold(&hub, &what);
    if (!c->sub.feed)
        return false;
    c->sub.at.cursor = cursor;
    hub_join(&hub, &c->sub);
    return true;
}

static void
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
        if (strncmp(block, "id: ", 4) == 0)
            note(c, block + 4, strcspn(block + 4, "-"));
        else if (strncmp(block, "event: freshet:", 15) == 0)
            note(c, block + 15, strcspn(block + 15, "\n"));
        else
            fail_msg("a block that nobody knows: %.40s", block);
    }
    return n;
}

static enum gathered
gather(struct client *c, size_t bytes_max)
{
    struct gather g;
    enum gathered gathered;

    gather_init(&g, bytes_max);
    gathered = subscriber_gather(&c->sub, &g, "k3f9");
    receive(c, &g);
    return gathered;
}

static void
ignore(void *context, struct subscriber *s)
{
    (void)s;
    if (context)
        ++*(int *)context;
}

/* Reads on until there is nothing more; pages come from the table when they are asked for. */
static void
catch_up(struct client *c)
{
    for (int turns = 0; turns < 1000; turns++) {
        enum gathered gathered = gather(c, 4096);
        struct page_request *r;
        struct page *p;

        if (gathered == GATHERED_ALL)
            return;
        if (gathered == GATHERED_PART || hub_wait(&hub, &c->sub) != ERR_OK) {
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

static void
publish_new(void)
{
    while (hub.window.head_id < newest) {
        struct page *p = read_page(NULL, hub.window.head_id, 7, true);

        if (p)
            hub_publish(&hub, p);
        page_destroy(p);
    }
}

static void
open_hub(size_t window_bytes, size_t window_events, size_t cache_max)
{
    empty_table();
    assert_int_equal(hub_init(&hub, window_bytes, window_events, cache_max, 0), ERR_OK);
}

static void
close_hub(void)
{
    for (struct page_request *r; (r = hub_next_request(&hub));)
        hub_fail(&hub, r, ignore, NULL);
    assert_int_equal(hub.n_feeds, 0);
    assert_int_equal(hub.cache_bytes, 0);
    hub_finish(&hub);
}

/* ---- feed ---- */

/* Two feeds of the same events, and memory for one ring of 32 entries beside a first one of 16. */
static void
rings_that_may_not_grow_keep_what_is_newer(void **state)
{
    struct client a, b;

    (void)state;
    open_hub(64 * 1024, 256, 0);
    hub.feed_memory.max = 48 * sizeof(struct feed_entry);
    assert_true(join(&a, wish("x", "y", NULL), 0));
    assert_true(join(&b, wish("x", "z", NULL), 0));
    for (int i = 0; i < 150; i++)
        insert("x", NULL);
    publish_new();
    assert_int_equal(hub.feed_memory.bytes, hub.feed_memory.max);
    assert_int_equal(a.sub.feed->capacity + b.sub.feed->capacity, 48);
    assert_in_range(a.sub.feed->floor_id, 150 - 32, 150 - 8);
    assert_in_range(b.sub.feed->floor_id, 150 - 32, 150 - 8);
    a.sub.at.cursor = b.sub.at.cursor = 146;
    catch_up(&a);
    catch_up(&b);
    assert_string_equal(a.ids, "147 148 149 150 live ");
    assert_string_equal(b.ids, "147 148 149 150 live ");
    leave(&a);
    leave(&b);
    assert_int_equal(hub.feed_memory.bytes, 0);
    close_hub();
}

static void
the_newest_n_are_found_in_memory_or_not_at_all(void **state)
{
    struct client all, some;
    int64_t position = -1;

    (void)state;
    open_hub(64 * 1024, 16, 0);
    for (int i = 0; i < 30; i++)
        insert(i % 3 ? "a" : "b", NULL); /* b: 1, 4, 7, … 28 */
    publish_new();                       /* kept: 15 to 30 */
    assert_true(join(&all, wish(NULL, NULL, NULL), 0));
    assert_true(join(&some, wish("b", NULL, NULL), 0));
    assert_true(feed_last(all.sub.feed, 0, &position));
    assert_int_equal(position, 30);
    assert_true(feed_last(all.sub.feed, 1, &position));
    assert_int_equal(position, 29);
    assert_true(feed_last(all.sub.feed, 16, &position));
    assert_int_equal(position, 14);
    assert_false(feed_last(all.sub.feed, 17, &position));
    assert_true(feed_last(some.sub.feed, 0, &position));
    assert_int_equal(position, 30);
    assert_true(feed_last(some.sub.feed, 1, &position));
    assert_in_range(position, 25, 27);
    assert_true(feed_last(some.sub.feed, 5, &position)); /* 16, 19, 22, 25, 28 */
    assert_in_range(position, 14, 15);
    assert_false(feed_last(some.sub.feed, 6, &position));
    some.sub.at.cursor = 15;
    catch_up(&some);
    assert_string_equal(some.ids, "16 19 22 25 28 live ");
    leave(&all);
    leave(&some);
    close_hub();
}

static void
a_feed_made_late_finds_what_the_window_holds(void **state)
{
    struct client c;

    (void)state;
    open_hub(64 * 1024, 64, 0);
    for (int i = 0; i < 40; i++)
        insert(i % 2 ? "a" : "b", i % 4 ? "x" : NULL);
    publish_new();
    assert_true(join(&c, wish("b", NULL, "x"), 20));
    assert_true(feed_covers(c.sub.feed, 0));
    catch_up(&c);
    assert_string_equal(c.ids, "23 27 31 35 39 live ");
    leave(&c);
    close_hub();
}

/* ---- hub ---- */

static void
equal_subscriptions_share_one_feed(void **state)
{
    struct client a, b, c;

    (void)state;
    open_hub(1000, 8, 0);
    assert_true(join(&a, wish("x", "y", NULL), 0));
    assert_true(join(&b, wish("y", "x", NULL), 0));
    assert_true(join(&c, wish("x", NULL, NULL), 0));
    assert_ptr_equal(a.sub.feed, b.sub.feed);
    assert_ptr_not_equal(a.sub.feed, c.sub.feed);
    assert_int_equal(hub.n_feeds, 2);
    leave(&a);
    assert_int_equal(hub.n_feeds, 2);
    leave(&b);
    assert_int_equal(hub.n_feeds, 1);
    leave(&c);
    close_hub();
}

static void
publishing_touches_the_feeds_that_match_and_no_other(void **state)
{
    static const struct {
        const char *topic, *second, *type, *ids;
    } feeds[] = {
        {NULL, NULL, NULL, "1 2 3 4 5 6 live "},
        {"*", NULL, "x", "2 live "},
        {"a", NULL, NULL, "1 2 live "},
        {"a*", NULL, NULL, "1 2 3 4 5 live "},
        {"ab", NULL, NULL, "3 live "},
        {"ab*", NULL, NULL, "3 4 live "},
        {"a", "ab", NULL, "1 2 3 live "},
        {"b", NULL, NULL, "6 live "},
        {"zz", NULL, NULL, "live "},
        {"a*", NULL, "message", "1 3 4 5 live "},
        {"a**", NULL, NULL, "5 live "},
        {"b", "a", "x", "2 live "},
    };
    struct client clients[COUNT_OF(feeds)];

    (void)state;
    open_hub(64 * 1024, 64, 0);
    for (size_t i = 0; i < COUNT_OF(feeds); i++)
        assert_true(join(&clients[i], wish(feeds[i].topic, feeds[i].second, feeds[i].type), 0));
    insert("a", NULL);
    insert("a", "x");
    insert("ab", NULL);
    insert("abc", NULL);
    insert("a*", NULL); /* a topic that looks like a pattern: found twice, given once */
    insert("b", NULL);
    publish_new();
    for (struct feed *f; (f = hub_next_dirty(&hub));)
        for (size_t i = 0; i < COUNT_OF(feeds); i++)
            if (f == clients[i].sub.feed)
                assert_string_not_equal(feeds[i].ids, "live ");
    assert_null(hub_next_dirty(&hub));
    for (size_t i = 0; i < COUNT_OF(feeds); i++) {
        catch_up(&clients[i]);
        if (strcmp(clients[i].ids, feeds[i].ids) != 0)
            fail_msg("feed %zu: \"%s\"", i, clients[i].ids);
        leave(&clients[i]);
    }
    close_hub();
}

/* Prefixes of every length from 0 to 255, with the topic of 255 bytes that all of them match. */
static void
prefixes_of_every_length_are_found(void **state)
{
    static struct client clients[EVENT_TOPIC_MAX + 1];
    static char topic[EVENT_TOPIC_MAX + 1], pattern[EVENT_TOPIC_MAX + 2];

    (void)state;
    open_hub(64 * 1024, 64, 0);
    memset(topic, 't', EVENT_TOPIC_MAX);
    for (size_t n = 0; n <= EVENT_TOPIC_MAX; n++) {
        memset(pattern, 't', n);
        memcpy(pattern + n, "*", 2);
        assert_true(join(&clients[n], wish(pattern, NULL, NULL), 0));
    }
    insert(topic, NULL);
    insert("tt", NULL);
    publish_new();
    for (size_t n = 0; n <= EVENT_TOPIC_MAX; n++) {
        catch_up(&clients[n]);
        assert_string_equal(clients[n].ids, n <= 2 ? "1 2 live " : "1 live ");
        leave(&clients[n]);
    }
    close_hub();
}

static void
live_delivery_says_live_once(void **state)
{
    struct client c;

    (void)state;
    open_hub(64 * 1024, 64, 0);
    assert_true(join(&c, wish("a", NULL, NULL), 0));
    catch_up(&c);
    insert("a", NULL);
    insert("b", NULL);
    insert("a", NULL);
    publish_new();
    catch_up(&c);
    assert_string_equal(c.ids, "live 1 3 ");
    assert_int_equal(c.sub.at.first_id, 1);
    assert_int_equal(c.sub.at.last_id, 3);
    assert_int_equal(c.sub.at.events, 2);
    leave(&c);
    close_hub();
}

static void
neighbours_in_the_window_are_one_piece(void **state)
{
    struct client c;
    struct gather g;

    (void)state;
    open_hub(64 * 1024, 64, 0);
    assert_true(join(&c, wish("a", NULL, NULL), 0));
    for (int i = 0; i < 10; i++)
        insert(i == 5 ? "b" : "a", NULL);
    publish_new();
    gather_init(&g, 4096);
    assert_int_equal(subscriber_gather(&c.sub, &g, "k3f9"), GATHERED_ALL);
    assert_int_equal(g.n, 1 + 2 + 1); /* the header's place, two runs, freshet:live */
    leave(&c);
    close_hub();
}

/* "A client with position 2 that comes when the window begins at 15 gets 3 to 30, once each." */
static void
who_is_behind_goes_on_from_pages_without_gap_or_double(void **state)
{
    struct client all, some;

    (void)state;
    open_hub(64 * 1024, 16, 1 << 20);
    for (int i = 0; i < 30; i++)
        insert(i % 2 ? "a" : "b", NULL);
    publish_new();
    assert_true(join(&all, wish(NULL, NULL, NULL), 2));
    assert_true(join(&some, wish("b", NULL, NULL), 2));
    assert_int_equal(gather(&all, 4096), GATHERED_BEHIND);
    catch_up(&all);
    catch_up(&some);
    assert_string_equal(
        all.ids,
        "3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 live ");
    assert_string_equal(some.ids, "3 5 7 9 11 13 15 17 19 21 23 25 27 29 live ");
    leave(&all);
    leave(&some);
    close_hub();
}

static void
who_waits_at_one_position_shares_one_request(void **state)
{
    struct client a, b, other;
    struct page_request *r;
    int woken = 0;

    (void)state;
    open_hub(64 * 1024, 4, 1 << 20);
    for (int i = 0; i < 20; i++)
        insert("a", NULL);
    publish_new();
    assert_true(join(&a, wish("a", NULL, NULL), 2));
    assert_true(join(&b, wish("a", NULL, NULL), 2));
    assert_true(join(&other, wish("a", NULL, NULL), 5));
    assert_int_equal(hub_wait(&hub, &a.sub), ERR_OK);
    assert_int_equal(hub_wait(&hub, &a.sub), ERR_OK); /* once more changes nothing */
    assert_int_equal(hub_wait(&hub, &b.sub), ERR_OK);
    assert_int_equal(hub_wait(&hub, &other.sub), ERR_OK);
    r = hub_next_request(&hub);
    assert_int_equal(r->after, 2);
    /* The page from 3 to 12 is what the one at 5 needs too. */
    hub_deliver(&hub, r, read_page(&r->feed->what, r->after, 10, false), ignore, &woken);
    assert_int_equal(woken, 3);
    assert_false(a.sub.waiting || b.sub.waiting || other.sub.waiting);
    r = hub_next_request(&hub);
    assert_int_equal(r->after, 5);
    assert_null(hub_next_request(&hub));
    hub_deliver(&hub, r, read_page(&r->feed->what, r->after, 10, false), ignore, &woken);
    assert_int_equal(woken, 3);
    leave(&a);
    leave(&b);
    leave(&other);
    close_hub();
}

static void
a_page_for_nobody_is_thrown_away(void **state)
{
    struct client c;
    struct page_request *r;

    (void)state;
    open_hub(64 * 1024, 4, 1 << 20);
    for (int i = 0; i < 20; i++)
        insert("a", NULL);
    publish_new();
    assert_true(join(&c, wish("a", NULL, NULL), 2));
    assert_int_equal(hub_wait(&hub, &c.sub), ERR_OK);
    leave(&c);
    assert_int_equal(hub.n_feeds, 1); /* the request still names it */
    r = hub_next_request(&hub);
    hub_deliver(&hub, r, read_page(&r->feed->what, r->after, 5, false), ignore, NULL);
    assert_int_equal(hub.n_feeds, 0);
    close_hub();
}

static void
drop(void *context, struct subscriber *s)
{
    (void)context;
    hub_leave(&hub, s);
}

static void
a_page_that_cannot_be_read_drops_who_waits_for_it(void **state)
{
    struct client a, b, other;

    (void)state;
    open_hub(64 * 1024, 4, 1 << 20);
    for (int i = 0; i < 20; i++)
        insert("a", NULL);
    publish_new();
    assert_true(join(&a, wish("a", NULL, NULL), 2));
    assert_true(join(&b, wish("a", NULL, NULL), 2));
    assert_true(join(&other, wish("a", NULL, NULL), 5));
    hub_wait(&hub, &a.sub);
    hub_wait(&hub, &b.sub);
    hub_wait(&hub, &other.sub);
    hub_fail(&hub, hub_next_request(&hub), drop, NULL);
    assert_null(a.sub.feed);
    assert_null(b.sub.feed);
    assert_true(other.sub.waiting);
    hub_fail(&hub, hub_next_request(&hub), drop, NULL);
    assert_null(other.sub.feed);
    close_hub();
}

static void
pages_above_the_bound_are_forgotten(void **state)
{
    struct client c;

    (void)state;
    open_hub(64 * 1024, 4, 2000);
    for (int i = 0; i < 100; i++)
        insert("a", NULL);
    publish_new();
    assert_true(join(&c, wish("a", NULL, NULL), 2));
    catch_up(&c);
    assert_true(hub.cache_bytes > 2000);
    hub_trim(&hub);
    assert_true(hub.cache_bytes <= 2000);
    c.sub.at.cursor = 2; /* the same again: pages that are gone are fetched anew */
    c.ids[0] = '\0';
    catch_up(&c);
    assert_non_null(strstr(c.ids, "3 4 5 6 7 "));
    leave(&c);
    close_hub();
}

static void
deletions_are_told_once_and_to_those_concerned(void **state)
{
    struct client before, after, now;

    (void)state;
    open_hub(64 * 1024, 4, 1 << 20);
    for (int i = 0; i < 20; i++)
        insert("a", NULL);
    pruned_through = 10;
    publish_new();
    assert_true(join(&before, wish("a", NULL, NULL), 2));
    assert_true(join(&after, wish("a", NULL, NULL), 10));
    assert_true(join(&now, wish("a", NULL, NULL), 2));
    now.sub.reset_now = true;
    catch_up(&before);
    catch_up(&after);
    catch_up(&now);
    assert_string_equal(before.ids, "reset 11 12 13 14 15 16 17 18 19 20 live ");
    assert_string_equal(after.ids, "11 12 13 14 15 16 17 18 19 20 live ");
    assert_string_equal(now.ids, "reset live ");
    leave(&before);
    leave(&after);
    leave(&now);
    close_hub();
}

/* Whole batches may be inserted and deleted before we look. */
static void
what_was_deleted_before_anybody_saw_it_is_told(void **state)
{
    struct client c;

    (void)state;
    open_hub(64 * 1024, 64, 1 << 20);
    insert("a", NULL);
    publish_new();
    assert_true(join(&c, wish("a", NULL, NULL), 0));
    catch_up(&c);
    for (int i = 0; i < 5; i++)
        insert("a", NULL);
    pruned_through = 4;
    publish_new();
    assert_ptr_equal(hub_next_dirty(&hub), c.sub.feed);
    catch_up(&c);
    assert_string_equal(c.ids, "1 live reset 5 6 ");
    leave(&c);
    close_hub();
}

static void
a_large_event_comes_alone(void **state)
{
    struct client c;

    (void)state;
    open_hub(64 * 1024, 64, 1 << 20);
    insert("a", NULL);
    insert("a", NULL);
    rows[newest].data_n = 5000;
    insert("a", NULL);
    publish_new();
    assert_true(join(&c, wish("a", NULL, NULL), 0));
    assert_int_equal(gather(&c, 1024), GATHERED_PART);
    assert_string_equal(c.ids, "1 ");
    assert_int_equal(gather(&c, 1024), GATHERED_PART);
    assert_string_equal(c.ids, "1 2 ");
    assert_int_equal(gather(&c, 1024), GATHERED_ALL);
    assert_string_equal(c.ids, "1 2 3 live ");
    leave(&c);
    close_hub();
}

/* One that the window cannot hold reaches live clients from the table. */
static void
an_event_larger_than_the_window_is_not_lost(void **state)
{
    struct client all, some, others;

    (void)state;
    open_hub(4096, 64, 1 << 20);
    assert_true(join(&all, wish(NULL, NULL, NULL), 0));
    assert_true(join(&some, wish("a", NULL, NULL), 0));
    assert_true(join(&others, wish("b", NULL, NULL), 0));
    insert("a", NULL);
    insert("b", NULL);
    insert("a", NULL);
    rows[newest].data_n = 9000;
    insert("b", NULL);
    publish_new();
    catch_up(&all);
    catch_up(&some);
    catch_up(&others);
    assert_string_equal(all.ids, "1 2 3 4 live ");
    assert_string_equal(some.ids, "1 3 live ");
    assert_string_equal(others.ids, "2 4 live ");
    leave(&all);
    leave(&some);
    leave(&others);
    close_hub();
}

static void
a_position_put_back_gathers_the_same_again(void **state)
{
    struct client c;
    struct subscriber_position before;

    (void)state;
    open_hub(64 * 1024, 4, 1 << 20);
    for (int i = 0; i < 10; i++)
        insert("a", NULL);
    pruned_through = 3;
    publish_new();
    assert_true(join(&c, wish("a", NULL, NULL), 1));
    catch_up(&c);
    assert_string_equal(c.ids, "reset 4 5 6 7 8 9 10 live ");
    insert("a", NULL);
    publish_new();
    before = c.sub.at;
    assert_int_equal(gather(&c, 4096), GATHERED_ALL);
    c.sub.at = before;
    assert_int_equal(gather(&c, 4096), GATHERED_ALL);
    assert_string_equal(c.ids, "reset 4 5 6 7 8 9 10 live 11 11 ");
    leave(&c);
    close_hub();
}

/* ---- the words of a reset ---- */

static void
a_reset_is_json_with_ids_as_strings(void **state)
{
    static const struct {
        enum cursor_reset why;
        const char *requested;
        int64_t oldest, newest;
        const char *block;
    } resets[] = {
        {CURSOR_PRUNED, "5-k3f9", 8, 9,
         "event: freshet:reset\ndata: {\"reason\":\"pruned\",\"requested\":\"5-k3f9\","
         "\"oldest\":\"8-k3f9\",\"newest\":\"9-k3f9\"}\n\n"},
        {CURSOR_FUTURE, "99", 1, 0, /* an empty table */
         "event: freshet:reset\ndata: {\"reason\":\"future\",\"requested\":\"99\","
         "\"oldest\":null,\"newest\":null}\n\n"},
        {CURSOR_FUTURE, "99", 10, 9, /* empty, but there were events */
         "event: freshet:reset\ndata: {\"reason\":\"future\",\"requested\":\"99\","
         "\"oldest\":null,\"newest\":\"9-k3f9\"}\n\n"},
        {CURSOR_INVALID, "a\"\\\n\xff", 1, 2,
         "event: freshet:reset\ndata: {\"reason\":\"invalid\",\"requested\":\"a\\\"\\\\\\n\","
         "\"oldest\":\"1-k3f9\",\"newest\":\"2-k3f9\"}\n\n"},
        {CURSOR_EPOCH, "", 1, 2,
         "event: freshet:reset\ndata: {\"reason\":\"epoch\",\"requested\":\"\","
         "\"oldest\":\"1-k3f9\",\"newest\":\"2-k3f9\"}\n\n"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(resets); i++) {
        struct buf b;

        buf_init(&b, 4096);
        subscriber_reset(&b, resets[i].why, text_of(resets[i].requested), resets[i].oldest,
                         resets[i].newest, "k3f9");
        buf_byte(&b, '\0');
        assert_string_equal(b.data, resets[i].block);
        buf_finish(&b);
    }
}

static void
a_reset_repeats_little_of_what_it_was_sent(void **state)
{
    static char endless[100000];
    struct buf b;

    (void)state;
    memset(endless, '\x01', sizeof endless - 1);
    buf_init(&b, 4096);
    subscriber_reset(&b, CURSOR_INVALID, text_of(endless), 1, INT64_MAX, "k3f9");
    assert_false(buf_failed(&b));
    assert_true(b.length < 600);
    buf_clear(&b);
    memset(endless, 'x', 63);
    memcpy(endless + 63, "\xc3\xa9", 2); /* cut in mid-character */
    subscriber_reset(&b, CURSOR_INVALID, text_of(endless), 1, 2, "k3f9");
    assert_true(text_is_utf8(buf_view(&b)));
    buf_finish(&b);
}

/* ---- memory that runs out ---- */

static void
a_gather_without_memory_gives_nothing_and_moves_nothing(void **state)
{
    struct client c;

    (void)state;
    open_hub(64 * 1024, 64, 0);
    assert_true(join(&c, wish("a", NULL, NULL), 0));
    mem_fail_at(1); /* for the text of freshet:live */
    assert_int_equal(gather(&c, 4096), GATHERED_PART);
    mem_fail_at(0);
    assert_string_equal(c.ids, "");
    assert_false(c.sub.at.live_told);
    catch_up(&c);
    assert_string_equal(c.ids, "live ");
    leave(&c);
    close_hub();
}

/* Topics go round: b, ab, a, b, …; every seventh event has a type. */
static void
insert_up_to(int64_t id)
{
    static const char *const round[] = {"a", "b", "ab"};

    while (newest < id)
        insert(round[(newest + 1) % 3], (newest + 1) % 7 ? NULL : "x");
}

/* One life of a hub in which the n-th allocation fails. Whoever got in must get everything. False
 * when there were fewer allocations than n. */
static bool
live_with_failure_at(long n)
{
    static const struct {
        const char *topic, *second, *type, *ids;
    } wishes[] = {
        {"a", NULL, NULL, "3 6 9 12 15 18 21 24 27 30 live 33 36 "},
        {"a", NULL, NULL, "3 6 9 12 15 18 21 24 27 30 live 33 36 "},
        {"a*", NULL, NULL, "3 5 6 8 9 11 12 14 15 17 18 20 21 23 24 26 27 29 30 live 32 33 35 36 "},
        {NULL, NULL, "x", "7 14 21 28 live 35 "},
        {"b", "ab", NULL, "4 5 7 8 10 11 13 14 16 17 19 20 22 23 25 26 28 29 live 31 32 34 35 "},
    };
    struct client clients[COUNT_OF(wishes)];
    bool in[COUNT_OF(wishes)], failed;

    empty_table();
    mem_fail_at(n);
    if (hub_init(&hub, 900, 8, 3000, 0) != ERR_OK) {
        mem_fail_at(0);
        return true;
    }
    insert_up_to(30);
    publish_new();
    for (size_t i = 0; i < COUNT_OF(wishes); i++)
        in[i] = join(&clients[i], wish(wishes[i].topic, wishes[i].second, wishes[i].type), 2);
    for (size_t i = 0; i < COUNT_OF(wishes); i++)
        if (in[i])
            catch_up(&clients[i]);
    insert_up_to(33);
    publish_new();
    insert_up_to(36);
    publish_new();
    while (hub_next_dirty(&hub))
        ;
    hub_trim(&hub);
    for (size_t i = 0; i < COUNT_OF(wishes); i++)
        if (in[i])
            catch_up(&clients[i]);
    failed = mem_count() >= n;
    mem_fail_at(0);
    for (size_t i = 0; i < COUNT_OF(wishes); i++) {
        if (in[i] && strcmp(clients[i].ids, wishes[i].ids) != 0)
            fail_msg("allocation %ld: client %zu has \"%s\"", n, i, clients[i].ids);
        leave(&clients[i]);
    }
    close_hub();
    return failed;
}

static void
a_hub_survives_a_failure_at_every_allocation(void **state)
{
    long n = 1;

    (void)state;
    while (live_with_failure_at(n))
        n++;
    assert_true(n > 50); /* else nothing was tried */
}

/* A topic that looks like a pattern meets its feed twice. If memory ends at the first meeting, the
 * second one must not put the event where the feed says that it knows nothing: it would be counted
 * twice, or not at all. */
static void
a_feed_that_had_no_memory_still_counts_right(void **state)
{
    (void)state;
    for (long n = 1; n < 20; n++) {
        struct client c;
        int64_t position;

        open_hub(64 * 1024, 64, 1 << 20);
        assert_true(join(&c, wish("a*", NULL, NULL), 0));
        insert("a*", NULL);
        insert("a*", NULL);
        mem_fail_at(n);
        publish_new();
        mem_fail_at(0);
        for (int wanted = 2; wanted >= 1; wanted--)
            if (!feed_last(c.sub.feed, (uint64_t)wanted, &position) || position != 2 - wanted)
                fail_msg("allocation %ld: the newest %d begin after %lld", n, wanted,
                         (long long)position);
        catch_up(&c);
        assert_string_equal(c.ids, "1 2 live ");
        leave(&c);
        close_hub();
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rings_that_may_not_grow_keep_what_is_newer),
        cmocka_unit_test(the_newest_n_are_found_in_memory_or_not_at_all),
        cmocka_unit_test(a_feed_made_late_finds_what_the_window_holds),
        cmocka_unit_test(equal_subscriptions_share_one_feed),
        cmocka_unit_test(publishing_touches_the_feeds_that_match_and_no_other),
        cmocka_unit_test(prefixes_of_every_length_are_found),
        cmocka_unit_test(live_delivery_says_live_once),
        cmocka_unit_test(neighbours_in_the_window_are_one_piece),
        cmocka_unit_test(who_is_behind_goes_on_from_pages_without_gap_or_double),
        cmocka_unit_test(who_waits_at_one_position_shares_one_request),
        cmocka_unit_test(a_page_for_nobody_is_thrown_away),
        cmocka_unit_test(a_page_that_cannot_be_read_drops_who_waits_for_it),
        cmocka_unit_test(pages_above_the_bound_are_forgotten),
        cmocka_unit_test(deletions_are_told_once_and_to_those_concerned),
        cmocka_unit_test(what_was_deleted_before_anybody_saw_it_is_told),
        cmocka_unit_test(a_large_event_comes_alone),
        cmocka_unit_test(an_event_larger_than_the_window_is_not_lost),
        cmocka_unit_test(a_position_put_back_gathers_the_same_again),
        cmocka_unit_test(a_reset_is_json_with_ids_as_strings),
        cmocka_unit_test(a_reset_repeats_little_of_what_it_was_sent),
        cmocka_unit_test(a_gather_without_memory_gives_nothing_and_moves_nothing),
        cmocka_unit_test(a_hub_survives_a_failure_at_every_allocation),
        cmocka_unit_test(a_feed_that_had_no_memory_still_counts_right),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
