/* The stream model: random life of the hub beside a reference that a child could check.
 *
 * Events come, are pruned and deleted, pages of any size are read and arrive late or not at all,
 * clients subscribe anywhere, stall, take any number of bytes, are cut at any byte and resume with
 * the last id they saw. After every step: the window and the feeds hold exactly what the reference
 * says; every client got only what it asked for, in order, byte for byte, and nothing that matches
 * was left out unless it had been deleted and the client was told. At the end everybody catches up,
 * driven by nothing but the hub's own wake-ups, and must have everything.
 *
 *   model_stream [--seed N] [--steps N]       the seed of a failure is printed
 */
#include <signal.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "stream/cursor.h"
#include "tests/model/model.h"

enum {
    REQUESTS_MAX = 4,
    TAIL_MAX = 3,
    LIFE_S = 5, /* of processor time; one takes a hundredth of a second */
};

uint64_t seed;
unsigned long step_number;

static struct hub hub;
static struct question_index questions; /* the reader's end of what is asked */

/* What the reader is at: pages that were read and have not been taken yet. */
static struct fetch {
    struct page_request *request;
    struct page *page;
} fetching[REQUESTS_MAX];
static struct page *tail[TAIL_MAX];
static size_t tail_n;

/* ---- what must hold after every step ---- */

static void
check_entry(const struct window *w, enum dialect_kind dialect, uint64_t seq, const struct row *r)
{
    struct text frame = window_frame(w, seq);
    const char *expected = row_frame(r, dialect);
    size_t n = strlen(expected);

    REQUIRE(window_at(w, seq)->id == r->id);
    REQUIRE(frame.n == n + 2 && memcmp(frame.p, expected, n) == 0 && frame.p[n] == '\n' &&
            frame.p[n + 1] == '\n');
    REQUIRE(text_equal(window_label(w, seq).topic, text_of(r->topic)));
    REQUIRE(text_equal(window_label(w, seq).type, text_of(r->type)));
}

/* Every event with floor_id < id <= head_id, and nothing else. */
static void
check_window(enum dialect_kind dialect)
{
    const struct window *w = hub.windows[dialect];
    size_t i = w ? table_after(w->floor_id) : 0;

    if (!w)
        return;
    /* What was deleted, as far as the hub has heard, is not there. */
    REQUIRE(w->floor_id >= hub.pruned_through || w->floor_id == w->head_id);
    REQUIRE(w->head_id == hub.window.head_id);

    for (uint64_t seq = w->tail; seq < w->head; seq++, i++) {
        REQUIRE(i < table.n && window_after(w, table.rows[i].id - 1) == seq);
        check_entry(w, dialect, seq, &table.rows[i]);
    }
    REQUIRE(i == table.n || table.rows[i].id > w->head_id);
    REQUIRE(window_after(w, w->head_id) == w->head && w->head - w->tail <= w->entries_max);
}

/* Every matching event above the floor is in the ring. */
static void
check_feed(const struct feed *f)
{
    uint64_t at = f->tail;

    if (f->everything)
        return;
    for (size_t i = table_after(f->floor_id); i < table.n; i++) {
        const struct feed_entry *e = &f->ring[at & (f->capacity - 1)];

        if (table.rows[i].id > hub.window.head_id || !filter_holds(&f->what, &table.rows[i]))
            continue;
        REQUIRE(at != f->head && e->id == table.rows[i].id && e->seq < f->window->head);
        REQUIRE(e->seq < f->window->tail || window_at(f->window, e->seq)->id == e->id);
        at++;
    }
    REQUIRE(at == f->head);
}

/* What the cache says that it costs is what its pages cost. */
static void
check_cache(void)
{
    const struct page *p;
    size_t bytes = 0;

    TAILQ_FOREACH (p, &hub.cache, in_cache)
        bytes += page_cost(p);
    REQUIRE(hub.cache_bytes == bytes);
}

/* ---- steps ---- */

/* The reader reads ahead: a page may be published long after it was read. */
static void
step_read_tail(void)
{
    int64_t after = tail_n > 0 ? tail[tail_n - 1]->through : hub.window.head_id;
    struct page *p;

    if (tail_n == TAIL_MAX)
        return;
    if (rnd(4) > 0) { /* the hand-over may come late */
        question_changes_move(&questions.changes, &hub.questions.changes);
        question_index_apply(&questions);
    }
    p = table_read(NULL, after, 1 + rnd(rnd(4) ? 8 : 100), 100 + rnd(400), true,
                   &hub.dialects[DIALECT_PLAIN], rnd(10) ? hub_second_dialect(&hub) : NULL,
                   rnd(20) ? &questions : NULL);
    if (p->through > after || p->marks.pruned_through > hub.pruned_through)
        tail[tail_n++] = p;
    else
        page_destroy(p);
}

static void
step_publish(void)
{
    struct feed *f;
    struct subscriber *s;

    if (tail_n == 0)
        return;
    hub_publish(&hub, tail[0]);
    page_destroy(tail[0]);
    memmove(tail, tail + 1, --tail_n * sizeof *tail);
    while ((f = hub_next_dirty(&hub))) {
        TAILQ_FOREACH (s, &f->live, in_feed)
            client_of(s)->ready = client_of(s)->ready || !client_of(s)->blocked;
    }
    check_window(DIALECT_PLAIN);
    check_window(DIALECT_ENVELOPE);
}

/* "last=N": from memory, if it can tell. */
static void
check_last(const struct wish *w, uint32_t n, int64_t position)
{
    uint32_t found = 0;

    for (size_t i = table_after(position); i < table.n; i++)
        found += table.rows[i].id <= hub.window.head_id && wish_holds(w, &table.rows[i]);
    REQUIRE(position <= hub.window.head_id && found == n);
}

/* Often the same that somebody else asked for. */
static struct wish
choose_wish(void)
{
    const struct client *other = &clients[rnd(CLIENTS_MAX)];

    return other->connected && rnd(2) ? other->wish : wish_random();
}

static void
step_subscribe(struct client *c)
{
    struct wish w = choose_wish();
    struct subscription what = wish_subscription(&w);
    int64_t position = rnd(3) ? rnd((uint32_t)table.next_id) : hub.window.head_id;

    if (rnd(4) == 0) {
        struct subscription same = wish_subscription(&w);
        struct feed *f = hub_hold(&hub, &same, w.dialect);
        uint32_t n = rnd(10);

        REQUIRE(f);
        if (feed_last(f, n, &position))
            check_last(&w, n, position);
        hub_release(&hub, f);
    }
    client_begin(c, &w, rnd(6) == 0, position);
    client_connect(c, &hub, &what, position);
}

static void
step_resume(struct client *c)
{
    struct subscription what = wish_subscription(&c->wish);
    int64_t position;

    REQUIRE(cursor_parse(text_of(c->resume), EPOCH, &position) == CURSOR_EXACT);
    REQUIRE(position == atoll(c->resume));
    client_connect(c, &hub, &what, position);
}

static void
wake(void *context, struct subscriber *s)
{
    (void)context;
    REQUIRE(!s->waiting);
    client_of(s)->ready = true;
}

static void
drop(void *context, struct subscriber *s)
{
    (void)context;
    client_cut(client_of(s), &hub);
}

/* A page is asked for, is read, arrives; each at its time. Some cannot be read. */
static void
step_page(struct fetch *f)
{
    struct page_request *r = f->request;

    if (!r) {
        f->request = hub_next_request(&hub);
    } else if (!f->page && rnd(30) == 0) {
        f->request = NULL;
        hub_fail(&hub, r, drop, NULL);
    } else if (!f->page) {
        f->page = table_read(&r->feed->what, r->after, 1 + rnd(rnd(4) ? 12 : 100), 60 + rnd(600),
                             false, r->feed->dialect, NULL, NULL);
    } else {
        struct page *p = f->page;

        *f = (struct fetch){0};
        hub_deliver(&hub, r, p, wake, NULL);
    }
}

static bool
is_cut(const struct client *c)
{
    return c->used && !c->connected;
}

static void
step_client(struct client *c)
{
    if (!c->used)
        step_subscribe(c);
    else if (!c->connected)
        step_resume(c);
    else if (rnd(60) == 0)
        client_cut(c, &hub);
    else if (rnd(20) == 0)
        client_beat(c);
    else if (c->full && rnd(3) == 0)
        client_drain(c);
    else if (c->ready)
        client_flush(c, &hub);
    if (is_cut(c) && rnd(8) == 0)
        client_end(c);
}

static void
step(void)
{
    struct client *c = &clients[rnd(CLIENTS_MAX)];

    switch (rnd(12)) {
    case 0:
        table_insert();
        break;
    case 1:
        step_read_tail();
        break;
    case 2:
    case 3:
        step_publish();
        break;
    case 4:
    case 5:
    case 6:
        step_page(&fetching[rnd(REQUESTS_MAX)]);
        break;
    case 7:
        check_cache();
        hub_expire(&hub, (int64_t)step_number);
        hub_trim(&hub);
        break;
    case 8:
        if (rnd(6) == 0)
            table_prune();
        else if (rnd(400) == 0)
            table_delete_one();
        break;
    default:
        step_client(c);
    }
    if (c->connected)
        check_feed(c->sub.feed);
}

/* ---- a life ---- */

/* True when something was left to do. No client is called that has not been woken. */
static bool
catch_up(struct client *c)
{
    if (!c->used)
        return false;
    if (!c->connected)
        step_resume(c);
    else if (c->full)
        client_drain(c);
    if (!c->ready)
        return false;
    client_flush(c, &hub);
    return true;
}

/* Every client that is left must get to the end, and then have been given everything. */
static void
finish(void)
{
    bool busy = true;

    for (int turns = 0; busy || hub.window.head_id < table.next_id - 1; turns++) {
        REQUIRE(turns < 20000);
        busy = tail_n > 0;
        step_read_tail();
        step_publish();
        for (int i = 0; i < CLIENTS_MAX; i++)
            busy = catch_up(&clients[i]) || busy;
        for (int i = 0; i < REQUESTS_MAX; i++) {
            step_page(&fetching[i]);
            busy = busy || fetching[i].request;
        }
        for (int i = 0; i < CLIENTS_MAX; i++)
            busy = busy || clients[i].ready || clients[i].full || is_cut(&clients[i]);
    }
    for (int i = 0; i < CLIENTS_MAX; i++) {
        struct client *c = &clients[i];

        if (!c->used)
            continue;
        REQUIRE(c->connected && !c->sub.waiting && c->lives == 1);
        client_account(c, table.next_id - 1);
        client_cut(c, &hub);
        client_end(c);
    }
}

static void
on_time_up(int number)
{
    (void)number;
    fprintf(stderr, "model_stream: a loop that does not end; --seed %llu, step %lu\n",
            (unsigned long long)seed, step_number);
    _exit(1);
}

static void
one_life(void)
{
    setitimer(ITIMER_VIRTUAL, &(struct itimerval){.it_value.tv_sec = LIFE_S}, NULL);
    table_init();
    REQUIRE(hub_init(&hub, 128 + rnd(2000), 1 + rnd(64), rnd(2000), rnd(2) ? 0 : table.next_id - 1,
                     EPOCH) == ERR_OK);
    question_index_init(&questions);
    if (rnd(2)) /* rings that may not grow drop what they know */
        hub.feed_memory.max = rnd(2000);
    while (table.n < ROWS_MAX) {
        step();
        step_number++;
    }
    finish();
    hub_trim(&hub);
    REQUIRE(hub.n_feeds == 0 && hub.cache_bytes == 0 && hub.questions.n == 0);
    question_changes_move(&questions.changes, &hub.questions.changes);
    question_index_apply(&questions);
    REQUIRE(questions.n == 0);
    question_index_finish(&questions);
    hub_finish(&hub);
    table_finish();
}

int
main(int argc, char **argv)
{
    unsigned long steps = 1000000;

    seed = (uint64_t)time(NULL);
    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--seed") == 0)
            seed = strtoull(argv[i + 1], NULL, 10);
        else if (strcmp(argv[i], "--steps") == 0)
            steps = strtoul(argv[i + 1], NULL, 10);
    }
    signal(SIGVTALRM, on_time_up);
    printf("model_stream --seed %llu --steps %lu\n", (unsigned long long)seed, steps);
    while (step_number < steps)
        one_life();
    printf("%lu steps, all as in the reference\n", step_number);
    return 0;
}
