/* reader: the thread that follows the table, while another connection writes to it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sqlite3.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "fcgi/reader.h"
#include "tests/unit/temp_db.h"

enum { DEADLINE_MS = 20000, NEVER_MS = 60000, SOON_MS = 10 };

/* ---- a database, a writer and a reader ---- */

struct world {
    struct temp_db at;
    sqlite3 *db; /* as any program would write */
    struct reader *reader;
    int wake[2];  /* the reader's thread writes a byte */
    int64_t seen; /* the tail has been taken up to here */
    struct marks marks;
    int log, stderr_before; /* while standard error goes to a file; else -1 */
};

static void
sql(struct world *w, const char *text)
{
    char *why = NULL;

    if (sqlite3_exec(w->db, text, NULL, NULL, &why) != SQLITE_OK)
        fail_msg("%s: %s", text, why);
}

/* n rows in one transaction; topics go round: b, c, a, b, … */
static void
insert(struct world *w, int n)
{
    char text[512];

    snprintf(text, sizeof text,
             "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d) "
             "INSERT INTO events(topic, type, data, created) "
             "SELECT char(97 + i %% 3), 'x', 'data ' || i, i * 1000 FROM n",
             n);
    sql(w, text);
}

static int
set_up(void **state)
{
    struct world *w = calloc(1, sizeof *w);

    assert_non_null(w);
    temp_db_make(&w->at);
    assert_int_equal(sqlite3_open(w->at.path, &w->db), SQLITE_OK);
    sqlite3_busy_timeout(w->db, 5000);
    assert_int_equal(pipe2(w->wake, O_NONBLOCK | O_CLOEXEC), 0);
    w->log = w->stderr_before = -1;
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
start(struct world *w, int64_t start_id, struct reader_limits limits)
{
    struct store *store;
    struct errbuf eb = {""};

    if (store_open(&store, w->at.path, STORE_READ, STORE_SYNC_FULL, &eb) != ERR_OK ||
        reader_start(&w->reader, store, start_id, &limits, wake, w, &eb) != ERR_OK)
        fail_msg("%s", eb.text);
    w->seen = start_id;
}

static void
start_plain(struct world *w, int64_t poll_ms)
{
    start(w, 0, (struct reader_limits){64 * 1024, 1000, 1000, poll_ms});
}

/* From now on the log goes to a file. */
static void
divert_log(struct world *w)
{
    char name[320];

    snprintf(name, sizeof name, "%s.log", w->at.path);
    w->log = open(name, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    assert_true(w->log >= 0);
    w->stderr_before = dup(STDERR_FILENO);
    dup2(w->log, STDERR_FILENO);
}

static void
restore_log(struct world *w)
{
    if (w->stderr_before < 0)
        return;
    dup2(w->stderr_before, STDERR_FILENO);
    close(w->stderr_before);
    close(w->log);
    w->log = w->stderr_before = -1;
}

static int
tear_down(void **state)
{
    struct world *w = *state;

    mem_fail_at(0);
    restore_log(w);
    if (w->reader) {
        reader_stop(w->reader);
        for (struct reader_job *job; (job = reader_take_job(w->reader));)
            page_destroy(job->page);
        reader_destroy(w->reader);
    }
    sqlite3_close(w->db);
    temp_db_remove(&w->at);
    close(w->wake[0]);
    close(w->wake[1]);
    free(w);
    return 0;
}

/* Waits until the reader has something to say. */
static void
await_news(struct world *w)
{
    struct pollfd p = {.fd = w->wake[0], .events = POLLIN};
    char bytes[64];

    if (poll(&p, 1, DEADLINE_MS) != 1)
        fail_msg("the reader says nothing");
    while (read(w->wake[0], bytes, sizeof bytes) > 0)
        ;
}

/* Takes one page of the tail and checks that it goes on where the last one ended. */
static bool
take_page(struct world *w, size_t *n)
{
    struct page *p = reader_take_tail(w->reader);

    if (!p)
        return false;
    assert_int_equal(p->after, w->seen);
    assert_true(p->through > p->after);
    for (size_t i = 0; i < p->n; i++) {
        assert_int_equal(p->entries[i].id, w->seen + 1); /* these tests leave no gaps */
        assert_int_equal(page_topic(p, i).n, 1);
        w->seen++;
    }
    w->seen = p->through;
    w->marks = p->marks;
    if (n)
        *n = p->n;
    page_destroy(p);
    return true;
}

static void
await_tail(struct world *w, int64_t id)
{
    while (w->seen < id)
        if (!take_page(w, NULL))
            await_news(w);
    assert_int_equal(w->seen, id);
}

static struct reader_job *
await_job(struct world *w)
{
    struct reader_job *job;

    while (!(job = reader_take_job(w->reader)))
        await_news(w);
    return job;
}

static void
run(struct world *w, struct reader_job *job)
{
    reader_submit(w->reader, job);
    assert_ptr_equal(await_job(w), job);
}

static struct subscription
filter(const char *topic)
{
    struct subscription s;

    subscription_init(&s);
    subscription_add_topic(&s, text_of(topic), NULL);
    assert_int_equal(subscription_seal(&s), ERR_OK);
    return s;
}

/* ---- following ---- */

static void
what_is_there_at_the_start_is_read(void **state)
{
    struct world *w = *state;

    insert(w, 10);
    start_plain(w, NEVER_MS);
    await_tail(w, 10);
    assert_int_equal(w->marks.oldest, 1);
    assert_int_equal(w->marks.newest, 10);
    assert_int_equal(w->marks.pruned_through, 0);
}

static void
the_tail_begins_where_it_was_told(void **state)
{
    struct world *w = *state;

    insert(w, 10);
    start(w, 7, (struct reader_limits){64 * 1024, 1000, 1000, NEVER_MS});
    await_tail(w, 10);
}

/* Polling would take a minute; the deadline is shorter. */
static void
a_hint_is_enough(void **state)
{
    struct world *w = *state;

    start_plain(w, NEVER_MS);
    for (int i = 1; i <= 20; i++) {
        insert(w, 1);
        reader_hint(w->reader);
        await_tail(w, i);
    }
}

static void
polling_is_enough_without_any_hint(void **state)
{
    struct world *w = *state;

    start_plain(w, SOON_MS);
    for (int i = 1; i <= 20; i++) {
        insert(w, 1);
        await_tail(w, i);
    }
}

static void
what_was_rolled_back_is_never_seen(void **state)
{
    struct world *w = *state;

    start_plain(w, SOON_MS);
    sql(w, "BEGIN");
    insert(w, 3);
    reader_hint(w->reader);
    sql(w, "ROLLBACK");
    reader_hint(w->reader);
    insert(w, 2);
    reader_hint(w->reader);
    await_tail(w, 2); /* take_page() has checked that nothing else was there */
}

static void
a_transaction_is_seen_when_it_is_committed(void **state)
{
    struct world *w = *state;
    struct reader_job job = {.kind = JOB_MARKS};

    start_plain(w, NEVER_MS);
    sql(w, "BEGIN");
    insert(w, 5);
    reader_hint(w->reader);
    run(w, &job); /* the hint is dealt with before the job */
    assert_int_equal(job.marks.newest, 0);
    assert_null(reader_take_tail(w->reader));
    sql(w, "COMMIT");
    reader_hint(w->reader);
    await_tail(w, 5);
}

static void
pages_are_bounded_and_leave_no_gap(void **state)
{
    struct world *w = *state;
    size_t n, pages = 0;

    insert(w, 95);
    start(w, 0, (struct reader_limits){64 * 1024, 10, 1000, NEVER_MS});
    while (w->seen < 95) {
        if (take_page(w, &n)) {
            assert_true(n <= 10);
            pages++;
        } else {
            await_news(w);
        }
    }
    assert_int_equal(pages, 10);
}

static void
pages_are_bounded_in_bytes_too(void **state)
{
    struct world *w = *state;
    size_t n;

    insert(w, 100);
    start(w, 0, (struct reader_limits){1024, 1000, 1000, NEVER_MS});
    while (w->seen < 100) {
        if (take_page(w, &n))
            assert_in_range(n, 1, 1024 / 30);
        else
            await_news(w);
    }
}

static void
deletions_are_in_the_marks(void **state)
{
    struct world *w = *state;

    insert(w, 10);
    sql(w, "DELETE FROM events WHERE id <= 4");
    start(w, 4, (struct reader_limits){64 * 1024, 1000, 1000, NEVER_MS});
    await_tail(w, 10);
    assert_int_equal(w->marks.oldest, 5);
    assert_int_equal(w->marks.pruned_through, 4);
}

/* Rows that were deleted before anybody saw them still move the tail. */
static void
an_emptied_table_moves_the_tail(void **state)
{
    struct world *w = *state;

    insert(w, 10);
    sql(w, "DELETE FROM events");
    start_plain(w, NEVER_MS);
    await_tail(w, 10);
    assert_int_equal(w->marks.oldest, 11);
    assert_int_equal(w->marks.newest, 10);
}

/* ---- jobs ---- */

static void
a_job_reads_a_page_of_what_matches(void **state)
{
    struct world *w = *state;
    struct subscription b = filter("b");
    struct reader_job job = {.kind = JOB_PAGE, .filter = &b, .position = 3};

    insert(w, 30);
    start(w, 30, (struct reader_limits){64 * 1024, 4, 1000, NEVER_MS});
    run(w, &job);
    assert_int_equal(job.err, ERR_OK);
    assert_int_equal(job.page->after, 3);
    assert_int_equal(job.page->n, 4);
    assert_int_equal(job.page->marks.newest, 30);
    for (size_t i = 0; i < job.page->n; i++)
        assert_int_equal(job.page->entries[i].id % 3, job.page->entries[0].id % 3);
    assert_true(job.page->through >= job.page->entries[3].id);
    page_destroy(job.page);
    subscription_finish(&b);
}

static void
jobs_tell_marks_and_positions(void **state)
{
    struct world *w = *state;
    struct subscription all;
    struct reader_job marks = {.kind = JOB_MARKS, .position = 77},
                      earliest = {.kind = JOB_EARLIEST};
    struct reader_job since = {.kind = JOB_SINCE, .time_ms = 7000}, last = {.kind = JOB_LAST};

    subscription_init(&all);
    subscription_seal(&all);
    last.filter = &all;
    last.count = 3;
    insert(w, 10);
    sql(w, "DELETE FROM events WHERE id <= 2");
    start(w, 10, (struct reader_limits){64 * 1024, 1000, 1000, NEVER_MS});
    run(w, &marks);
    assert_int_equal(marks.err, ERR_OK);
    assert_int_equal(marks.position, 77); /* not its business */
    assert_int_equal(marks.marks.oldest, 3);
    assert_int_equal(marks.marks.newest, 10);
    assert_int_equal(marks.marks.pruned_through, 2);
    run(w, &earliest);
    assert_int_equal(earliest.position, 2);
    run(w, &since);
    assert_int_equal(since.position, 6); /* the seventh was created at 7,000 ms */
    assert_int_equal(since.marks.newest, 10);
    run(w, &last);
    assert_int_equal(last.position, 7);
    assert_int_equal(last.marks.newest, 10);
    subscription_finish(&all);
}

/* "The newest 5 of topic z", of which there is one in a hundred rows: many steps of a few rows. */
static void
the_newest_matches_are_found_in_steps(void **state)
{
    struct world *w = *state;
    struct subscription z = filter("z*"); /* a pattern: no index leads to it */
    struct reader_job last, marks, *first = NULL;

    for (int i = 0; i < 10; i++) {
        insert(w, 99);
        sql(w, "INSERT INTO events(topic, data) VALUES('zzz', '')"); /* 100, 200, … 1000 */
    }
    start(w, 1000, (struct reader_limits){64 * 1024, 1000, 30, NEVER_MS});
    /* Others have their turn between the steps. The reader may be through before the second job is
     * there, when this thread had to wait for a processor: then it is asked again. */
    for (int i = 0; i < 100 && first != &marks; i++) {
        last = (struct reader_job){.kind = JOB_LAST, .filter = &z, .count = 5};
        marks = (struct reader_job){.kind = JOB_MARKS};
        reader_submit(w->reader, &last);
        reader_submit(w->reader, &marks);
        first = await_job(w);
        await_job(w);
    }
    assert_ptr_equal(first, &marks);
    assert_int_equal(last.err, ERR_OK);
    assert_in_range(last.position, 500, 599);
    subscription_finish(&z);
}

static void
more_than_there_are_begin_at_the_beginning(void **state)
{
    struct world *w = *state;
    struct subscription b = filter("b");
    struct reader_job last = {.kind = JOB_LAST, .filter = &b, .count = 1000};

    insert(w, 30);
    start(w, 30, (struct reader_limits){64 * 1024, 1000, 7, NEVER_MS});
    run(w, &last);
    assert_int_equal(last.err, ERR_OK);
    assert_in_range(last.position, 0, 3);
    subscription_finish(&b);
}

/* Nobody takes the tail; clients that catch up are served all the same. */
static void
a_tail_that_nobody_takes_does_not_hold_up_jobs(void **state)
{
    struct world *w = *state;
    struct reader_job job = {.kind = JOB_MARKS};

    insert(w, 100);
    start(w, 0, (struct reader_limits){64 * 1024, 1, 1000, SOON_MS});
    for (int i = 0; i < 20; i++)
        run(w, &job);
    assert_int_equal(job.marks.newest, 100);
    await_tail(w, 100);
}

static void
jobs_come_back_when_the_reader_stops(void **state)
{
    struct world *w = *state;
    struct reader_job jobs[50];
    size_t n = 0;

    memset(jobs, 0, sizeof jobs);
    insert(w, 10);
    start_plain(w, SOON_MS);
    for (size_t i = 0; i < 50; i++) {
        jobs[i].kind = i % 2 ? JOB_MARKS : JOB_PAGE;
        reader_submit(w->reader, &jobs[i]);
    }
    reader_stop(w->reader);
    for (struct reader_job *job; (job = reader_take_job(w->reader)); n++)
        page_destroy(job->page);
    assert_int_equal(n, 50);
    reader_destroy(w->reader);
    w->reader = NULL;
}

/* ---- trouble ---- */

static int
count_in_log(const struct world *w, const char *what)
{
    static char text[1 << 20];
    ssize_t n = pread(w->log, text, sizeof text - 1, 0);
    int count = 0;

    text[n > 0 ? n : 0] = '\0';
    for (const char *at = text; (at = strstr(at, what)); at++)
        count++;
    return count;
}

/* Every hint makes the reader look at the table before it does the job. */
static void
look_often(struct world *w)
{
    for (int i = 0; i < 20; i++) {
        struct reader_job job = {.kind = JOB_MARKS};

        reader_hint(w->reader);
        run(w, &job);
    }
}

static void
an_error_is_logged_once_until_it_has_passed(void **state)
{
    struct world *w = *state;
    struct reader_job page = {.kind = JOB_PAGE};

    divert_log(w);
    insert(w, 3);
    start_plain(w, SOON_MS);
    await_tail(w, 3);
    sql(w, "ALTER TABLE events RENAME TO elsewhere");
    look_often(w);
    run(w, &page);
    assert_int_not_equal(page.err, ERR_OK);
    assert_null(page.page);
    sql(w, "ALTER TABLE elsewhere RENAME TO events");
    insert(w, 2);
    reader_hint(w->reader);
    await_tail(w, 5);
    look_often(w);
    assert_int_equal(count_in_log(w, "following the table: "), 1);
    /* A client's read may be the first to meet it; from then on it is known. */
    assert_in_range(count_in_log(w, "reading the table for a client"), 0, 1);
    assert_int_equal(count_in_log(w, "following the table works again"), 1);
}

static void
a_page_without_memory_is_an_error_of_its_job(void **state)
{
    struct world *w = *state;
    struct reader_job settled = {.kind = JOB_MARKS};
    enum err err = ERR_NOMEM;

    divert_log(w);
    insert(w, 30);
    start(w, 30, (struct reader_limits){64 * 1024, 1000, 1000, NEVER_MS});
    run(w, &settled);
    for (long n = 1; err != ERR_OK; n++) {
        struct reader_job job = {.kind = JOB_PAGE};

        mem_fail_at(n);
        run(w, &job);
        mem_fail_at(0);
        err = job.err;
        if (err != ERR_OK) {
            assert_int_equal(err, ERR_NOMEM);
            assert_null(job.page);
        } else { /* perhaps a shorter one: what is in it is whole */
            assert_true(job.page->n > 0);
            assert_int_equal(job.page->entries[job.page->n - 1].id, job.page->through);
        }
        page_destroy(job.page);
        assert_true(n < 20);
    }
}

static void
the_tail_goes_on_after_memory_ran_out(void **state)
{
    struct world *w = *state;

    divert_log(w);
    start_plain(w, SOON_MS);
    for (long n = 1; n <= 12; n++) {
        mem_fail_at(n);
        insert(w, 20);
        reader_hint(w->reader);
        await_tail(w, n * 20);
        mem_fail_at(0);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_is_there_at_the_start_is_read),
        TEST(the_tail_begins_where_it_was_told),
        TEST(a_hint_is_enough),
        TEST(polling_is_enough_without_any_hint),
        TEST(what_was_rolled_back_is_never_seen),
        TEST(a_transaction_is_seen_when_it_is_committed),
        TEST(pages_are_bounded_and_leave_no_gap),
        TEST(pages_are_bounded_in_bytes_too),
        TEST(deletions_are_in_the_marks),
        TEST(an_emptied_table_moves_the_tail),
        TEST(a_job_reads_a_page_of_what_matches),
        TEST(jobs_tell_marks_and_positions),
        TEST(the_newest_matches_are_found_in_steps),
        TEST(more_than_there_are_begin_at_the_beginning),
        TEST(a_tail_that_nobody_takes_does_not_hold_up_jobs),
        TEST(jobs_come_back_when_the_reader_stops),
        TEST(an_error_is_logged_once_until_it_has_passed),
        TEST(a_page_without_memory_is_an_error_of_its_job),
        TEST(the_tail_goes_on_after_memory_ran_out),
    };

    log_open("test_reader");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
