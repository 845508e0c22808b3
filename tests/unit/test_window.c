/* window, page: events in memory, encoded once, within bounds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/mem.h"
#include "stream/page.h"
#include "stream/window.h"
#include "stream/dialect.h"

static const struct dialect plain = {DIALECT_PLAIN, "k3f9"};

/* ---- window ---- */

static void
a_window_keeps_the_newest_events(void **state)
{
    struct window w;

    (void)state;
    assert_int_equal(window_init(&w, 1000, 4, 100), ERR_OK);
    assert_int_equal(window_after(&w, 0), w.head);
    for (int64_t id = 102; id <= 120; id += 2) /* gaps are legal */
        window_append(&w, id, &(struct label){TEXT_LIT("t"), TEXT_NONE}, TEXT_LIT("frame"));
    assert_int_equal(w.head - w.tail, 4);
    assert_int_equal(w.floor_id, 112);
    assert_int_equal(w.head_id, 120);
    assert_int_equal(window_at(&w, window_after(&w, 0))->id, 114);
    assert_int_equal(window_at(&w, window_after(&w, 114))->id, 116);
    assert_int_equal(window_at(&w, window_after(&w, 115))->id, 116);
    assert_int_equal(window_at(&w, window_after(&w, 118))->id, 120);
    assert_int_equal(window_at(&w, window_after(&w, 119))->id, 120);
    assert_int_equal(window_after(&w, 120), w.head);
    assert_int_equal(window_after(&w, 121), w.head);
    window_advance(&w, 130);
    assert_int_equal(w.floor_id, 112);
    assert_int_equal(window_after(&w, 125), w.head);
    window_finish(&w);
}

static void
an_event_larger_than_the_ring_empties_the_window(void **state)
{
    static char large[101];
    struct window w;

    (void)state;
    assert_int_equal(window_init(&w, 100, 8, 0), ERR_OK);
    window_append(&w, 1, &(struct label){TEXT_LIT("t"), TEXT_NONE}, TEXT_LIT("x"));
    assert_int_equal(
        window_append(&w, 2, &(struct label){TEXT_LIT("t"), TEXT_NONE}, (struct text){large, 101}),
        w.head);
    assert_int_equal(w.head, w.tail);
    assert_int_equal(w.floor_id, 2);
    assert_int_equal(w.head_id, 2);
    window_append(&w, 3, &(struct label){TEXT_LIT("t"), TEXT_NONE},
                  (struct text){large, 100}); /* just fits */
    assert_int_equal(w.head - w.tail, 1);
    assert_int_equal(w.floor_id, 2);
    window_finish(&w);
}

static void
long_names_evict_as_frames_do(void **state)
{
    static char topic[EVENT_TOPIC_MAX];
    struct window w;

    (void)state;
    memset(topic, 't', sizeof topic);
    assert_int_equal(window_init(&w, 1000, 64, 0), ERR_OK);
    for (int64_t id = 1; id <= 20; id++)
        window_append(&w, id, &(struct label){{topic, sizeof topic}, {topic, 200}}, TEXT_LIT("x"));
    assert_in_range(w.head - w.tail, 1, 3);
    for (uint64_t seq = w.tail; seq < w.head; seq++) {
        assert_true(text_equal(window_label(&w, seq).topic, (struct text){topic, sizeof topic}));
        assert_true(text_equal(window_label(&w, seq).type, (struct text){topic, 200}));
    }
    window_finish(&w);
}

/* Frames of random lengths in small rings: every frame that is kept is as it was, and runs give all
 * of them, in order and within their bound. */
static void
frames_stay_whole_around_the_end_of_the_ring(void **state)
{
    static char frames[400][64];
    static size_t lengths[400];

    (void)state;
    for (uint64_t seed = 1; seed <= 300; seed++) {
        uint64_t random = seed;
        struct window w;

        assert_int_equal(window_init(&w, 64 + seed, 1 + seed % 40, 0), ERR_OK);
        for (int64_t id = 1; id < 400; id++) {
            uint64_t seq, end;

            random = random * 6364136223846793005ULL + 1442695040888963407ULL;
            lengths[id] = 1 + (random >> 33) % 63;
            memset(frames[id], 'a' + (int)(id % 26), lengths[id]);
            window_append(&w, id,
                          &(struct label){TEXT_LIT("t"), id % 3 ? TEXT_LIT("y") : TEXT_NONE},
                          (struct text){frames[id], lengths[id]});
            assert_true(w.head > w.tail && w.head_id == id);
            for (seq = w.tail; seq < w.head; seq = end) {
                size_t most = 1 + (random >> 40) % 200;
                uint64_t limit = seq + 1 + (random >> 20) % (w.head - seq);
                struct text run;

                end = limit;
                run = window_run(&w, seq, most, &end);
                assert_true(end <= limit);

                if (end == seq) {
                    assert_true(run.n == 0 && window_frame(&w, seq).n > most);
                    run = window_frame(&w, seq);
                    end = seq + 1;
                } else {
                    assert_true(run.n <= most);
                }
                for (; seq < end; seq++) {
                    int64_t of = window_at(&w, seq)->id;

                    if (run.n < lengths[of] || memcmp(run.p, frames[of], lengths[of]) != 0 ||
                        text_equal(window_label(&w, seq).type, TEXT_NONE) != (of % 3 == 0))
                        fail_msg("seed %llu, id %lld", (unsigned long long)seed, (long long)of);
                    run = (struct text){run.p + lengths[of], run.n - lengths[of]};
                }
                assert_int_equal(run.n, 0);
            }
            assert_int_equal(w.floor_id, window_at(&w, w.tail)->id - 1);
        }
        window_finish(&w);
    }
}

static void
a_window_needs_all_of_its_memory(void **state)
{
    struct window w;

    (void)state;
    for (long n = 1; n <= 3; n++) {
        mem_fail_at(n);
        assert_int_equal(window_init(&w, 1000, 4, 0), ERR_NOMEM);
        mem_fail_at(0);
    }
}

/* ---- page ---- */

static void
a_page_takes_at_least_one_event_and_stops_at_its_bound(void **state)
{
    static char large[100000];
    struct event e = {.id = 1, .topic = TEXT_LIT("t"), .type = TEXT_LIT("x")};
    struct page *p = page_create(0, 1000, &plain);
    size_t end;

    (void)state;
    memset(large, '\n', sizeof large); /* seven bytes each when encoded */
    e.data = (struct text){large, sizeof large};
    assert_int_equal(page_add(p, &e, false), PAGE_ADDED);
    e.id = 2;
    assert_int_equal(page_add(p, &e, false), PAGE_IS_FULL);
    assert_int_equal(p->n, 1);
    assert_int_equal(page_run(p, 0, 1000, &end).n, 0);
    assert_int_equal(end, 0);
    page_destroy(p);
    p = page_create(0, 1000, &plain);
    e.data = TEXT_LIT("one\ntwo");
    for (e.id = 1; page_add(p, &e, true) == PAGE_ADDED; e.id++)
        ;
    assert_in_range(p->n, 5, 25);
    assert_true(p->frames.length <= 1000);
    assert_int_equal(page_after(p, 0), 0);
    assert_int_equal(page_after(p, 3), 3);
    assert_int_equal(page_after(p, 100), p->n);
    for (size_t i = 0; i < p->n; i++) {
        assert_true(text_equal(page_label(p, i).topic, TEXT_LIT("t")));
        assert_true(text_equal(page_label(p, i).type, TEXT_LIT("x")));
        assert_true(text_starts(page_frame(p, i), TEXT_LIT("id: ")));
    }
    assert_int_equal(page_run(p, 0, 1000, &end).n, p->frames.length);
    assert_int_equal(end, p->n);
    page_destroy(p);
}

static void
a_page_without_memory_keeps_what_it_has(void **state)
{
    struct event e = {.topic = TEXT_LIT("t"), .data = TEXT_LIT("x")};
    struct page *p = page_create(0, 100000, &plain);
    enum page_added added = PAGE_ADDED;

    (void)state;
    for (long n = 1; n < 400; n++) {
        size_t before = p->n, bytes = p->frames.length;

        e.id = (int64_t)n;
        mem_fail_at(1);
        added = page_add(p, &e, true);
        mem_fail_at(0);
        if (added == PAGE_NO_MEMORY) {
            assert_int_equal(p->n, before);
            assert_int_equal(p->frames.length, bytes);
            assert_int_equal(page_add(p, &e, true), PAGE_ADDED);
        }
        assert_true(text_starts(page_frame(p, before), TEXT_LIT("id: ")));
        assert_true(text_equal(page_label(p, before).topic, TEXT_LIT("t")));
    }
    page_destroy(p);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_window_keeps_the_newest_events),
        cmocka_unit_test(an_event_larger_than_the_ring_empties_the_window),
        cmocka_unit_test(long_names_evict_as_frames_do),
        cmocka_unit_test(frames_stay_whole_around_the_end_of_the_ring),
        cmocka_unit_test(a_window_needs_all_of_its_memory),
        cmocka_unit_test(a_page_takes_at_least_one_event_and_stops_at_its_bound),
        cmocka_unit_test(a_page_without_memory_keeps_what_it_has),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
