#include "fcgi/replay.h"

#include "base/log.h"
#include "base/mem.h"
#include "fcgi/conn.h"
#include "fcgi/seat.h"
#include "fcgi/state.h"
#include "sql/store_page.h"

enum { FIRST_PAGE_ROWS = 64 }; /* a page of 2,048 takes a millisecond; a screen is filled by less */

struct replay_job {
    struct reader_job job; /* first: the reader gives it back */
    struct page_request *request;
    struct store_page_want want;
    struct page *page; /* the result */
};

static void
wake_subscriber(void *context, struct subscriber *sub)
{
    (void)context;
    conn_make_ready(seat_conn(sub));
}

static void
drop_subscriber(void *context, struct subscriber *sub)
{
    (void)context;
    conn_end(seat_conn(sub), REASON_DATABASE);
}

static bool
read_page(struct reader_job *job, struct store *store, enum err *err, struct errbuf *eb)
{
    struct replay_job *j = (struct replay_job *)job;

    *err = store_page_read(store, &j->want, &j->page, NULL, eb);
    return true;
}

/* Below the window, yet nothing follows in the table: this is not the table that we know. */
static bool
is_of_another_table(const struct page *p)
{
    if (p->through > p->after)
        return false;
    log_line(LOG_ERROR,
             "the table ends at %lld, which was passed before; has the database been "
             "replaced? Restart to follow the new one",
             (long long)p->marks.newest);
    return true;
}

static void
page_read(struct reader_job *job, void *context)
{
    struct replay_job *j = (struct replay_job *)job;
    struct server *s = context;

    if (!j->page && job->err == ERR_OK && j->request->waiting > 0) {
        reader_submit(s->reader, job); /* given up, and then another one came to this place */
        return;
    }
    if (j->page && is_of_another_table(j->page)) {
        page_destroy(j->page);
        j->page = NULL;
    }
    if (j->page) {
        s->counters.pages++;
        hub_deliver(&s->hub, j->request, j->page, wake_subscriber, NULL);
    } else {
        hub_fail(&s->hub, j->request, drop_subscriber, NULL);
    }
    mem_free(j);
}

static void
fetch(struct server *s, struct page_request *request)
{
    const struct settings *set = s->settings;
    struct replay_job *j = mem_zalloc(sizeof *j);

    if (!j) {
        hub_fail(&s->hub, request, drop_subscriber, NULL);
        return;
    }
    j->job.run = read_page;
    j->job.done = page_read;
    j->job.lane = request->lane;
    j->request = request;
    j->want = (struct store_page_want){.filter = &request->feed->what,
                                       .after = request->after,
                                       .bytes = (size_t)set->page_bytes,
                                       .rows = (uint32_t)set->page_rows,
                                       .step = settings_step(set),
                                       .dialect = request->feed->dialect};
    if (request->first && j->want.rows > FIRST_PAGE_ROWS)
        j->want.rows = FIRST_PAGE_ROWS;
    request->cancelled = &j->job.cancelled;
    reader_submit(s->reader, &j->job);
}

void
replay_more(struct server *s)
{
    struct page_request *request;

    tail_speak(s->tail, hub_second_dialect(&s->hub));
    tail_ask(s->tail, &s->hub.questions.changes);
    while ((request = hub_next_request(&s->hub)))
        fetch(s, request);
}

void
replay_finish(struct server *s)
{
    struct page_request *request;

    while ((request = hub_next_request(&s->hub)))
        hub_fail(&s->hub, request, drop_subscriber, NULL);
}
