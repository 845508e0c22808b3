/* hub: feeds, subscribers and what joins them, story by story. Random life against a reference is
 * in tests/model. */
#include "tests/unit/hub_world.h"

#include <string.h>
#include "stream/dialect.h"

static const struct dialect plain = {DIALECT_PLAIN, "k3f9"};

/* A window of this many events, over a table that has had n of topic a. */
static void
open_filled_hub(size_t events_max, size_t cache_max, int n)
{
    open_hub(64 * 1024, events_max, cache_max);
    for (int i = 0; i < n; i++)
        insert("a", NULL);
    publish_new();
}

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
    assert_int_equal(subscriber_gather(&c.sub, &g), GATHERED_ALL);
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
    open_filled_hub(4, 1 << 20, 20);
    assert_true(join(&a, wish("a", NULL, NULL), 2));
    assert_true(join(&b, wish("a", NULL, NULL), 2));
    assert_true(join(&other, wish("a", NULL, NULL), 5));
    assert_int_equal(hub_wait(&hub, &a.sub, 0), ERR_OK);
    assert_int_equal(hub_wait(&hub, &a.sub, 0), ERR_OK); /* once more changes nothing */
    assert_int_equal(hub_wait(&hub, &b.sub, 0), ERR_OK);
    assert_int_equal(hub_wait(&hub, &other.sub, 0), ERR_OK);
    r = hub_next_request(&hub);
    assert_int_equal(r->after, 2);
    /* The page from 3 to 12 is what the one at 5 needs too. */
    hub_deliver(&hub, r, read_page(&r->feed->what, r->after, 10, false), ignore, &woken);
    assert_int_equal(woken, 3);
    assert_false(a.sub.waiting || b.sub.waiting || other.sub.waiting);
    assert_null(hub_next_request(&hub)); /* the other one needs no page of its own any more */
    leave(&a);
    leave(&b);
    leave(&other);
    close_hub();
}

static void
a_page_that_nobody_waits_for_is_not_read(void **state)
{
    struct client c;

    (void)state;
    open_filled_hub(4, 1 << 20, 20);
    assert_true(join(&c, wish("a", NULL, NULL), 2));
    assert_int_equal(hub_wait(&hub, &c.sub, 0), ERR_OK);
    leave(&c);
    assert_null(hub_next_request(&hub));
    assert_int_equal(hub.n_feeds, 0);
    close_hub();
}

static void
a_page_that_is_being_read_is_given_up_and_wanted_again(void **state)
{
    struct client a, b;
    struct page_request *r;
    atomic_bool cancelled = false;

    (void)state;
    open_filled_hub(4, 1 << 20, 20);
    assert_true(join(&a, wish("a", NULL, NULL), 2));
    assert_true(join(&b, wish("a", NULL, NULL), 2));
    assert_int_equal(hub_wait(&hub, &a.sub, 7), ERR_OK);
    r = hub_next_request(&hub);
    r->cancelled = &cancelled;
    assert_int_equal(r->lane, 7);
    leave(&a);
    assert_true(cancelled);
    assert_int_equal(hub_wait(&hub, &b.sub, 8), ERR_OK);
    assert_false(cancelled);
    assert_null(hub_next_request(&hub));
    leave(&b);
    assert_true(cancelled);
    assert_int_equal(hub.n_feeds, 1); /* the request still names it */
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
    open_filled_hub(4, 1 << 20, 20);
    assert_true(join(&a, wish("a", NULL, NULL), 2));
    assert_true(join(&b, wish("a", NULL, NULL), 2));
    assert_true(join(&other, wish("a", NULL, NULL), 5));
    hub_wait(&hub, &a.sub, 0);
    hub_wait(&hub, &b.sub, 0);
    hub_wait(&hub, &other.sub, 0);
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
    open_filled_hub(4, 2000, 100);
    assert_true(join(&c, wish("a", NULL, NULL), 2));
    catch_up(&c);
    assert_true(hub.cache_bytes > 2000);
    hub_trim(&hub);
    assert_true(hub.cache_bytes <= 2000);
    c.sub.at.pos.cursor = 2; /* the same again: pages that are gone are fetched again */
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

/* What was published by mistake can be taken back: nobody is given it from memory. */
static void
what_was_deleted_is_not_sent_any_more(void **state)
{
    struct client behind, ahead, later;

    (void)state;
    open_filled_hub(16, 1 << 20, 6);
    assert_true(join(&behind, wish(NULL, NULL, NULL), 1));
    assert_true(join(&ahead, wish("a", NULL, NULL), 4));
    pruned_through = 3; /* the rows up to it are gone */
    publish_new();
    assert_int_equal(hub.window.floor_id, 3);
    assert_int_equal(gather(&behind, 1 << 16), GATHERED_BEHIND);
    assert_string_equal(behind.ids, "");
    catch_up(&behind);
    assert_string_equal(behind.ids, "reset 4 5 6 live ");
    assert_int_equal(gather(&ahead, 1 << 16), GATHERED_ALL); /* it does not concern this one */
    assert_string_equal(ahead.ids, "5 6 live ");
    pruned_through = 6; /* and all the others, which are in a page by now */
    publish_new();
    assert_int_equal(hub.cache_bytes, 0);
    assert_true(join(&later, wish(NULL, NULL, NULL), 3));
    catch_up(&later);
    assert_string_equal(later.ids, "reset live ");
    leave(&behind);
    leave(&ahead);
    leave(&later);
    close_hub();
}

/* The table was read, and only then was something deleted: the page comes too late. */
static void
a_page_from_before_the_deletion_is_read_again(void **state)
{
    struct client c;
    struct page_request *r;
    struct page *old;

    (void)state;
    open_filled_hub(4, 1 << 20, 20);
    assert_true(join(&c, wish("a", NULL, NULL), 2));
    assert_int_equal(hub_wait(&hub, &c.sub, 0), ERR_OK);
    r = hub_next_request(&hub);
    old = read_page(&r->feed->what, r->after, 5, false);
    pruned_through = 4;
    publish_new();
    hub_deliver(&hub, r, old, ignore, NULL);
    assert_false(c.sub.waiting);
    catch_up(&c);
    assert_true(text_starts(text_of(c.ids), TEXT_LIT("reset 5 6 ")));
    leave(&c);
    close_hub();
}

/* Rows that are left below a deleted one may go too, and nothing says so. */
static void
a_page_of_rows_below_a_deleted_one_is_good_for_a_moment(void **state)
{
    struct client c;
    struct page_request *r;
    struct page *page;

    (void)state;
    open_filled_hub(4, 1 << 20, 20);
    assert_true(join(&c, wish("a", NULL, NULL), 2));
    assert_int_equal(hub_wait(&hub, &c.sub, 0), ERR_OK);
    r = hub_next_request(&hub);
    page = read_page(&r->feed->what, r->after, 5, false);
    page->marks.pruned_through = 9; /* deleted by hand from the middle */
    hub.pruned_through = 9;
    hub_deliver(&hub, r, page, ignore, NULL);
    hub_expire(&hub, 1000);
    hub_expire(&hub, 1000 + HUB_MIXED_MS - 1);
    assert_true(hub.cache_bytes > 0);
    hub_expire(&hub, 1000 + HUB_MIXED_MS);
    assert_int_equal(hub.cache_bytes, 0);
    leave(&c);
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
        dialect_reset(&plain, &b, resets[i].why, text_of(resets[i].requested),
                      &(struct marks){resets[i].oldest, resets[i].newest, 0});
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
    dialect_reset(&plain, &b, CURSOR_INVALID, text_of(endless), &(struct marks){1, INT64_MAX, 0});
    assert_false(buf_failed(&b));
    assert_true(b.length < 600);
    buf_clear(&b);
    memset(endless, 'x', 63);
    memcpy(endless + 63, "\xc3\xa9", 2); /* cut in mid-character */
    dialect_reset(&plain, &b, CURSOR_INVALID, text_of(endless), &(struct marks){1, 2, 0});
    assert_true(text_is_utf8(buf_view(&b)));
    buf_finish(&b);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_subscriptions_share_one_feed),
        cmocka_unit_test(publishing_touches_the_feeds_that_match_and_no_other),
        cmocka_unit_test(prefixes_of_every_length_are_found),
        cmocka_unit_test(live_delivery_says_live_once),
        cmocka_unit_test(neighbours_in_the_window_are_one_piece),
        cmocka_unit_test(who_is_behind_goes_on_from_pages_without_gap_or_double),
        cmocka_unit_test(who_waits_at_one_position_shares_one_request),
        cmocka_unit_test(a_page_that_nobody_waits_for_is_not_read),
        cmocka_unit_test(a_page_that_is_being_read_is_given_up_and_wanted_again),
        cmocka_unit_test(a_page_that_cannot_be_read_drops_who_waits_for_it),
        cmocka_unit_test(pages_above_the_bound_are_forgotten),
        cmocka_unit_test(deletions_are_told_once_and_to_those_concerned),
        cmocka_unit_test(what_was_deleted_is_not_sent_any_more),
        cmocka_unit_test(a_page_from_before_the_deletion_is_read_again),
        cmocka_unit_test(a_page_of_rows_below_a_deleted_one_is_good_for_a_moment),
        cmocka_unit_test(what_was_deleted_before_anybody_saw_it_is_told),
        cmocka_unit_test(a_large_event_comes_alone),
        cmocka_unit_test(an_event_larger_than_the_window_is_not_lost),
        cmocka_unit_test(a_position_put_back_gathers_the_same_again),
        cmocka_unit_test(a_reset_is_json_with_ids_as_strings),
        cmocka_unit_test(a_reset_repeats_little_of_what_it_was_sent),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
