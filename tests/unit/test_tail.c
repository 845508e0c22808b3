/* tail: the thread that follows the table, while another connection writes to it. */
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
#include "fcgi/tail.h"
#include "tests/unit/temp_db.h"
#include "stream/dialect.h"

static const struct dialect plain = {DIALECT_PLAIN, "k3f9"};

enum { DEADLINE_MS = 120000, NEVER_MS = 600000, SOON_MS = 10 };

/* ---- a database, a writer and a tail ---- */

struct world {
    struct temp_db at;
    sqlite3 *db; /* as any program would write */
    struct tail *tail;
    int wake[2];  /* the tail's thread writes a byte */
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
start(struct world *w, int64_t start_id, struct tail_limits limits)
{
    struct store *store;
    struct errbuf eb = {""};

    if (store_open(&store, w->at.path, STORE_READ, STORE_SYNC_FULL, &eb) != ERR_OK ||
        tail_start(&w->tail, store, start_id, &plain, &limits, wake, w, &eb) != ERR_OK)
        fail_msg("%s", eb.text);
    w->seen = start_id;
}

static void
start_plain(struct world *w, int64_t poll_ms)
{
    start(w, 0, (struct tail_limits){64 * 1024, 1000, poll_ms});
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
    if (w->tail)
        tail_stop(w->tail);
    sqlite3_close(w->db);
    temp_db_remove(&w->at);
    close(w->wake[0]);
    close(w->wake[1]);
    free(w);
    return 0;
}

/* Waits until the tail has something to say. */
static void
await_news(struct world *w)
{
    struct pollfd p = {.fd = w->wake[0], .events = POLLIN};
    char bytes[64];

    if (poll(&p, 1, DEADLINE_MS) != 1)
        fail_msg("the tail says nothing");
    while (read(w->wake[0], bytes, sizeof bytes) > 0)
        ;
}

/* Takes one page of the tail and checks that it goes on where the last one ended. */
static bool
take_page(struct world *w, size_t *n)
{
    struct page *p = tail_take(w->tail);

    if (!p)
        return false;
    assert_int_equal(p->after, w->seen);
    assert_true(p->through > p->after || p->marks.pruned_through > w->marks.pruned_through);
    for (size_t i = 0; i < p->n; i++) {
        assert_int_equal(p->entries[i].id, w->seen + 1); /* these tests leave no gaps */
        assert_int_equal(page_label(p, i).topic.n, 1);
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
    start(w, 7, (struct tail_limits){64 * 1024, 1000, NEVER_MS});
    await_tail(w, 10);
}

/* Polling would take ten minutes; the deadline is shorter. */
static void
a_hint_is_enough(void **state)
{
    struct world *w = *state;

    start_plain(w, NEVER_MS);
    for (int i = 1; i <= 20; i++) {
        insert(w, 1);
        tail_hint(w->tail);
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
    tail_hint(w->tail);
    sql(w, "ROLLBACK");
    tail_hint(w->tail);
    insert(w, 2);
    tail_hint(w->tail);
    await_tail(w, 2); /* take_page() has checked that nothing else was there */
}

static void
a_transaction_is_seen_when_it_is_committed(void **state)
{
    struct world *w = *state;

    start_plain(w, NEVER_MS);
    sql(w, "BEGIN");
    insert(w, 5);
    for (int i = 0; i < 20; i++) {
        tail_hint(w->tail);
        assert_null(tail_take(w->tail));
    }
    sql(w, "COMMIT");
    tail_hint(w->tail);
    await_tail(w, 5);
}

static void
pages_are_bounded_and_leave_no_gap(void **state)
{
    struct world *w = *state;
    size_t n, pages = 0;

    insert(w, 95);
    start(w, 0, (struct tail_limits){64 * 1024, 10, NEVER_MS});
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
    start(w, 0, (struct tail_limits){1024, 1000, NEVER_MS});
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
    start(w, 4, (struct tail_limits){64 * 1024, 1000, NEVER_MS});
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

/* Whatever is taken back is told, though no new row is there. */
static void
a_deletion_alone_is_news(void **state)
{
    struct world *w = *state;

    insert(w, 10);
    start_plain(w, SOON_MS);
    await_tail(w, 10);
    sql(w, "DELETE FROM events WHERE id = 7");
    while (w->marks.pruned_through != 7)
        if (!take_page(w, NULL))
            await_news(w);
    assert_int_equal(w->seen, 10);
}

/* Another table of the same file is written to all the time; events come through all the same. */
static void
commits_of_others_are_no_news_and_hide_none(void **state)
{
    struct world *w = *state;

    sql(w, "CREATE TABLE other(x)");
    start_plain(w, NEVER_MS);
    for (int i = 1; i <= 50; i++) {
        for (int n = 0; n < 5; n++)
            sql(w, "INSERT INTO other VALUES(1)");
        insert(w, 1);
        await_tail(w, i);
    }
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

/* Waits until the log has said it; meanwhile the tail looks again and again. */
static void
await_log(struct world *w, const char *what)
{
    int64_t end_ms = clock_mono_ms() + DEADLINE_MS;

    while (count_in_log(w, what) == 0) {
        if (clock_mono_ms() > end_ms)
            fail_msg("the log never says \"%s\"", what);
        tail_hint(w->tail);
        clock_rest_us(1000);
    }
}

static void
an_error_is_logged_once_until_it_has_passed(void **state)
{
    struct world *w = *state;

    divert_log(w);
    insert(w, 3);
    start_plain(w, SOON_MS);
    await_tail(w, 3);
    sql(w, "ALTER TABLE events RENAME TO elsewhere");
    await_log(w, "following the table: ");
    for (int i = 0; i < 20; i++)
        tail_hint(w->tail);
    sql(w, "ALTER TABLE elsewhere RENAME TO events");
    insert(w, 2);
    tail_hint(w->tail);
    await_tail(w, 5);
    await_log(w, "following the table works again");
    assert_int_equal(count_in_log(w, "following the table: "), 1);
    assert_int_equal(count_in_log(w, "following the table works again"), 1);
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
        tail_hint(w->tail);
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
        TEST(a_deletion_alone_is_news),
        TEST(commits_of_others_are_no_news_and_hide_none),
        TEST(an_error_is_logged_once_until_it_has_passed),
        TEST(the_tail_goes_on_after_memory_ran_out),
    };

    log_open("test_tail");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
