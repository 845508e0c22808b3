/* reader: jobs in steps, in turn by client, given up when nobody waits for them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <fcntl.h>
#include <poll.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/clock.h"
#include "base/log.h"
#include "fcgi/reader.h"
#include "sql/locate.h"
#include "tests/unit/temp_db.h"

enum { DEADLINE_MS = 120000 }; /* also beside much else */

struct world {
    struct temp_db at;
    sqlite3 *db; /* as any program would write */
    struct reader *reader;
    int wake[2]; /* the reader's thread writes a byte */
    int gate[2]; /* a job with a gate takes its step when a byte has come */
    int finished;
    char order[256]; /* the names of the jobs whose steps were done, in that order */
    atomic_int n_order;
};

/* A job of several steps, which writes down each that it had. */
struct steps {
    struct reader_job job;
    struct world *world;
    char name;
    int left;
    bool gated;
    int finished; /* the how-manieth to be given back, from 1 */
};

static int
set_up(void **state)
{
    struct world *w = calloc(1, sizeof *w);

    assert_non_null(w);
    temp_db_make(&w->at);
    assert_int_equal(sqlite3_open(w->at.path, &w->db), SQLITE_OK);
    assert_int_equal(pipe2(w->wake, O_NONBLOCK | O_CLOEXEC), 0);
    assert_int_equal(pipe2(w->gate, O_CLOEXEC), 0);
    *state = w;
    return 0;
}

static void
wake(void *context)
{
    struct world *w = context;

    if (write(w->wake[1], "!", 1) < 0)
        return; /* full: somebody will wake up anyway */
}

static void
start(struct world *w)
{
    struct store *store;
    struct errbuf eb = {""};

    if (store_open(&store, w->at.path, STORE_READ, STORE_SYNC_FULL, &eb) != ERR_OK ||
        reader_start(&w->reader, store, wake, w, &eb) != ERR_OK)
        fail_msg("%s", eb.text);
}

static void
stop(struct world *w)
{
    if (!w->reader)
        return;
    reader_stop(w->reader);
    reader_deliver(w->reader);
    reader_destroy(w->reader);
    w->reader = NULL;
}

static int
tear_down(void **state)
{
    struct world *w = *state;

    stop(w);
    sqlite3_close(w->db);
    temp_db_remove(&w->at);
    for (int i = 0; i < 2; i++) {
        close(w->wake[i]);
        close(w->gate[i]);
    }
    free(w);
    return 0;
}

static void
await(struct world *w, int finished)
{
    struct pollfd p = {.fd = w->wake[0], .events = POLLIN};
    char bytes[64];

    for (;;) {
        reader_deliver(w->reader);
        if (w->finished >= finished)
            return;
        if (poll(&p, 1, DEADLINE_MS) != 1)
            fail_msg("%d jobs are finished, %d should be", w->finished, finished);
        while (read(w->wake[0], bytes, sizeof bytes) > 0)
            ;
    }
}

static bool
run_steps(struct reader_job *job, struct store *store, enum err *err, struct errbuf *eb)
{
    struct steps *s = (struct steps *)job;
    int at;
    char byte;

    (void)store;
    (void)eb;
    if (s->gated && read(s->world->gate[0], &byte, 1) != 1)
        *err = ERR_IO;
    at = atomic_fetch_add(&s->world->n_order, 1);
    if (at < (int)sizeof s->world->order) /* the cancelling may be late */
        s->world->order[at] = s->name;
    return --s->left == 0;
}

static void
steps_done(struct reader_job *job, void *context)
{
    struct world *w = context;

    ((struct steps *)job)->finished = ++w->finished;
}

static void
submit(struct world *w, struct steps *s, char name, uint64_t lane, int steps)
{
    *s = (struct steps){.world = w, .name = name, .left = steps};
    s->job.run = run_steps;
    s->job.done = steps_done;
    s->job.lane = lane;
    reader_submit(w->reader, &s->job);
}

/* The thread stands still in this job's step until open_gate(), so that others can line up. */
static void
submit_gate(struct world *w, struct steps *s)
{
    *s = (struct steps){.world = w, .name = '|', .left = 1, .gated = true};
    s->job.run = run_steps;
    s->job.done = steps_done;
    s->job.lane = 999;
    reader_submit(w->reader, &s->job);
}

static void
open_gate(struct world *w)
{
    assert_int_equal(write(w->gate[1], "!", 1), 1);
}

/* ---- turns ---- */

static void
clients_take_turns_however_much_one_of_them_asks_for(void **state)
{
    struct world *w = *state;
    struct steps gate, greedy[5], honest;

    start(w);
    submit_gate(w, &gate);
    for (int i = 0; i < 5; i++)
        submit(w, &greedy[i], 'g', 1, 4);
    submit(w, &honest, 'h', 2, 2);
    open_gate(w);
    await(w, 7);
    assert_memory_equal(w->order, "|ghghgggggggggggggggggg", 23);
    assert_int_equal(honest.finished, 2);
}

static void
jobs_of_one_client_take_turns_with_each_other(void **state)
{
    struct world *w = *state;
    struct steps gate, a, b;

    start(w);
    submit_gate(w, &gate);
    submit(w, &a, 'a', 1, 3);
    submit(w, &b, 'b', 1, 2);
    open_gate(w);
    await(w, 3);
    assert_memory_equal(w->order, "|ababa", 6);
}

/* ---- being given up ---- */

static void
a_job_that_nobody_waits_for_takes_no_further_step(void **state)
{
    struct world *w = *state;
    struct steps gate, a, b;

    start(w);
    submit_gate(w, &gate);
    submit(w, &a, 'a', 1, 1000000);
    submit(w, &b, 'b', 2, 1);
    atomic_store(&a.job.cancelled, true);
    open_gate(w);
    await(w, 3);
    assert_memory_equal(w->order, "|b", 2);
    assert_int_equal(atomic_load(&w->n_order), 2);
}

static void
everything_comes_back_when_the_reader_stops(void **state)
{
    struct world *w = *state;
    struct steps gate, jobs[50];

    start(w);
    submit_gate(w, &gate);
    for (int i = 0; i < 50; i++)
        submit(w, &jobs[i], 'a', (uint64_t)i, 1000000);
    open_gate(w);
    stop(w);
    assert_int_equal(w->finished, 51);
}

/* Finished jobs hold results: no more than a few of them wait for the loop. */
static void
the_reader_does_not_run_ahead_of_the_loop(void **state)
{
    struct world *w = *state;
    struct steps jobs[100];
    int64_t end_ms = clock_mono_ms() + DEADLINE_MS;

    start(w);
    for (int i = 0; i < 100; i++)
        submit(w, &jobs[i], 'a', (uint64_t)i, 1);
    while (atomic_load(&w->n_order) < 16 && clock_mono_ms() < end_ms)
        clock_rest_us(1000);
    clock_rest_us(20000); /* it could go on now, if it would */
    assert_int_equal(atomic_load(&w->n_order), 16);
    await(w, 100);
}

/* ---- a real job: where the newest N begin ---- */

struct place {
    struct reader_job job;
    struct locate locate;
    struct store_step step;
    int steps;
};

static bool
run_place(struct reader_job *job, struct store *store, enum err *err, struct errbuf *eb)
{
    struct place *p = (struct place *)job;
    bool done;

    p->steps++;
    *err = locate_step(&p->locate, store, &p->step, &done, eb);
    return done;
}

static void
find(struct world *w, struct place *p, struct start start, const struct subscription *filter,
     struct store_step step)
{
    int before = w->finished;

    p->job = (struct reader_job){.run = run_place, .done = steps_done};
    p->locate.start = start;
    p->locate.filter = filter;
    p->step = step;
    reader_submit(w->reader, &p->job);
    await(w, before + 1);
    assert_int_equal(p->job.err, ERR_OK);
}

static void
sql(struct world *w, const char *text)
{
    char *why = NULL;

    if (sqlite3_exec(w->db, text, NULL, NULL, &why) != SQLITE_OK)
        fail_msg("%s: %s", text, why);
}

/* 1,000 rows; each hundredth has topic zzz. */
static void
fill(struct world *w)
{
    sql(w, "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000)"
           " INSERT INTO events(topic, data, created) SELECT CASE i % 100 WHEN 0 THEN 'zzz' ELSE"
           " 'a' END, '{\"n\":' || i || '}', i * 1000 FROM n");
}

static struct subscription
filter(const char *topic, const char *where)
{
    struct subscription s;

    subscription_init(&s);
    if (topic)
        subscription_add_topic(&s, text_of(topic), NULL);
    if (where)
        assert_int_equal(subscription_add_where(&s, text_of(where), NULL), ERR_OK);
    assert_int_equal(subscription_seal(&s), ERR_OK);
    return s;
}

static void
every_way_to_begin_finds_its_place(void **state)
{
    struct world *w = *state;
    struct subscription all = filter(NULL, NULL);
    static const struct {
        struct start start;
        int64_t cursor;
        enum cursor_reset reset;
    } rows[] = {
        {{.kind = START_NOW}, 1000, CURSOR_EXACT},
        {{.kind = START_EARLIEST}, 2, CURSOR_EXACT},
        {{.kind = START_SINCE, .time_ms = 7000}, 6, CURSOR_EXACT},
        {{.kind = START_LAST, .count = 3}, 997, CURSOR_EXACT},
        {{.kind = START_LAST, .count = 5000}, 2, CURSOR_EXACT},
        {{.kind = START_AFTER, .id = 500}, 500, CURSOR_EXACT},
        {{.kind = START_AFTER, .id = 1001}, 2, CURSOR_FUTURE},
        {{.kind = START_AFTER, .id = 1001, .reset_now = true}, 1000, CURSOR_FUTURE},
        {{.kind = START_RESET, .reset = CURSOR_EPOCH}, 2, CURSOR_EPOCH},
    };

    fill(w);
    sql(w, "DELETE FROM events WHERE id <= 2");
    start(w);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct place p = {.steps = 0};

        find(w, &p, rows[i].start, &all, store_step_all);
        assert_int_equal(p.locate.at.cursor, rows[i].cursor);
        assert_int_equal(p.locate.reset, rows[i].reset);
        assert_int_equal(p.locate.marks.newest, 1000);
        assert_int_equal(p.locate.marks.pruned_through, 2);
    }
    subscription_finish(&all);
}

/* "The newest 5 of topic z", of which there is one in a hundred rows: many steps of a few rows. */
static void
the_newest_matches_are_found_in_steps(void **state)
{
    struct world *w = *state;
    struct subscription z = filter("z*", NULL); /* a pattern: no index leads to it */
    struct place p = {.steps = 0};

    fill(w);
    start(w);
    find(w, &p, (struct start){.kind = START_LAST, .count = 5}, &z,
         (struct store_step){30, SIZE_MAX, 0});
    assert_in_range(p.locate.at.cursor, 500, 599);
    assert_in_range(p.steps, 14, 20);
    assert_false(p.locate.limited);
    subscription_finish(&z);
}

/* Rows are cheap and their data is not: the bytes of data that a condition looks at end a step. */
static void
a_step_ends_after_so_many_bytes_of_data(void **state)
{
    struct world *w = *state;
    struct subscription s = filter(NULL, "/n=1");
    struct place p = {.steps = 0};

    fill(w);
    start(w);
    find(w, &p, (struct start){.kind = START_LAST, .count = 1}, &s,
         (struct store_step){UINT32_MAX, 1000, 0});
    assert_int_equal(p.locate.at.cursor, 0);
    assert_in_range(p.steps, 8, 13); /* 8,900 bytes */
    subscription_finish(&s);
}

static void
a_search_that_takes_too_long_begins_where_it_has_got_to(void **state)
{
    struct world *w = *state;
    struct subscription s = filter(NULL, "/n<0");
    struct place p = {.locate.search_us = 1};

    fill(w);
    start(w);
    find(w, &p, (struct start){.kind = START_LAST, .count = 1}, &s,
         (struct store_step){10, SIZE_MAX, 0});
    assert_true(p.locate.limited);
    assert_int_equal(p.steps, 1);
    assert_int_equal(p.locate.at.cursor, 990);
    assert_int_equal(p.locate.found, 0);
    subscription_finish(&s);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(clients_take_turns_however_much_one_of_them_asks_for),
        TEST(jobs_of_one_client_take_turns_with_each_other),
        TEST(a_job_that_nobody_waits_for_takes_no_further_step),
        TEST(everything_comes_back_when_the_reader_stops),
        TEST(the_reader_does_not_run_ahead_of_the_loop),
        TEST(every_way_to_begin_finds_its_place),
        TEST(the_newest_matches_are_found_in_steps),
        TEST(a_step_ends_after_so_many_bytes_of_data),
        TEST(a_search_that_takes_too_long_begins_where_it_has_got_to),
    };

    log_open("test_reader");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
