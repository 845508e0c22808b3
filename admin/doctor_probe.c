#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "admin/doctor_internal.h"
#include "base/clock.h"
#include "base/mem.h"
#include "sql/store.h"

enum {
    PROBES = 5,
    /* On a machine with nothing else to do an event takes about a millisecond; without a wake-up
     * the responder looks each 250 ms. */
    LATE_US = 500 * 1000,
    LUMP_US = 2 * 1000000,
};

struct fetched {
    struct exchange x;
    struct http_request request;
    char *url;
};

/* ---- pages of history ---- */

/* Asks, and waits for the end of a page, or for the head of anything else. The URL is taken
 * over. */
static bool
get_url(struct doctor *d, struct fetched *p, char *url)
{
    struct errbuf eb;
    struct text type;

    *p = (struct fetched){.url = url};
    p->request = (struct http_request){
        .url = p->url, .accept = "application/json", .origin = d->settings->origin};
    if (!p->url || http_open(&d->http, &p->x, &p->request, &eb) != ERR_OK)
        return false;
    if (!doctor_wait(d, doctor_has_head, &p->x, PATIENCE_US))
        return false;
    type = http_header(&p->x, "Content-Type", NULL);
    if (!text_starts(type, TEXT_LIT("text/event-stream")))
        doctor_wait(d, doctor_has_ended, &p->x, PATIENCE_US);
    type = http_header(&p->x, "Content-Type", NULL);
    return p->x.status == 200 && text_starts(type, TEXT_LIT("application/json")) && p->x.ended;
}

static bool
get_page(struct doctor *d, struct fetched *p, const char *more)
{
    return get_url(d, p, doctor_url(d->url, more));
}

static void
drop_page(struct doctor *d, struct fetched *p)
{
    http_close(&d->http, &p->x);
    mem_free(p->url);
}

bool
doctor_probe_history(struct doctor *d, int64_t *took_us)
{
    struct fetched p;
    bool good = get_page(d, &p, "limit=1");
    struct text server = http_header(&p.x, "Server", NULL);
    struct text type = http_header(&p.x, "Content-Type", NULL);

    if (server.p)
        snprintf(d->server, sizeof d->server, "%.*s", (int)server.n, server.p);
    *took_us = p.x.ended_us - p.x.began_us;
    if (good)
        doctor_good(d, "history", "a page of history after %.1f ms", doctor_ms(*took_us));
    else if (text_starts(type, TEXT_LIT("text/event-stream")))
        doctor_symptom(d, SYMPTOM_ACCEPT_DROPPED,
                       "a page of history was requested, and a stream came");
    else if (p.x.status)
        doctor_symptom(d, SYMPTOM_NO_HISTORY, "a page of history was requested, status %d came",
                       p.x.status);
    drop_page(d, &p);
    return good;
}

/* ---- delay ---- */

struct probe {
    struct doctor *d;
    struct store *store; /* NULL = by POST */
    char data[64];       /* of the event that is on its way */
    int64_t sent_us;
    int64_t took_us[PROBES];
    char ids[PROBES][HEARD_ID];
    int n;
    bool failed; /* which has been said */
};

static bool
has_come(void *context)
{
    const struct probe *p = context;

    return p->d->heard.expected_us != 0 || p->d->stream.ended;
}

static enum err
insert(struct probe *p, struct errbuf *eb)
{
    struct event e = {.topic = text_of(p->d->settings->topic),
                      .type = TEXT_LIT("freshet-doctor"),
                      .data = text_of(p->data)};
    int64_t id;
    bool repeated;
    enum err err = event_check(&e, EVENT_DATA_MAX, eb);

    if (err == ERR_OK)
        err = store_begin(p->store, eb);
    if (err == ERR_OK)
        err = store_append(p->store, &e, &id, &repeated, eb);
    if (err == ERR_OK)
        err = store_commit(p->store, eb);
    p->sent_us = clock_mono_us();
    return err;
}

/* Goes on when both are there, answer and event, in whichever order they come. */
static enum err
post(struct probe *p, struct errbuf *eb)
{
    struct doctor *d = p->d;
    struct exchange x;
    struct buf body;
    struct http_request request = {.url = d->settings->publish_to,
                                   .accept = "application/json",
                                   .origin = d->settings->origin};
    enum err err;

    buf_init(&body, HTTP_BODY_MAX);
    buf_string(&body, "{\"topic\":");
    buf_json(&body, text_of(d->settings->topic));
    buf_format(&body, ",\"type\":\"freshet-doctor\",\"data\":\"%s\"}", p->data);
    buf_byte(&body, '\0');
    request.body = body.data;
    p->sent_us = clock_mono_us();
    err = buf_failed(&body) ? err_nomem(eb) : http_open(&d->http, &x, &request, eb);
    if (err == ERR_OK) {
        doctor_wait(d, doctor_has_ended, &x, PATIENCE_US);
        if (x.status != 201)
            err = err_set(eb, ERR_DENIED, "POST %s: %s %d%s%.200s", d->settings->publish_to,
                          x.error ? x.error : "status", x.status, x.body.length ? ": " : "",
                          x.body.length ? x.body.data : "");
        http_close(&d->http, &x);
    }
    buf_finish(&body);
    return err;
}

static void
send_one(struct probe *p)
{
    struct doctor *d = p->d;
    struct heard *w = &d->heard;
    struct errbuf eb = {""};
    enum err err;

    snprintf(p->data, sizeof p->data, "probe %d of %d, %lld-%lld", p->n + 1, PROBES,
             (long long)getpid(), (long long)clock_wall_ms());
    w->expected = p->data;
    w->expected_us = 0;
    err = p->store ? insert(p, &eb) : post(p, &eb);
    if (err != ERR_OK) {
        doctor_symptom(d, SYMPTOM_NOT_PUBLISHED, "a probe event could not be published: %s",
                       eb.text);
        p->failed = true;
        return;
    }
    doctor_wait(d, has_come, p, PATIENCE_US);
    w->expected = NULL;
    if (!w->expected_us) {
        p->failed = true;
        if (!d->stream.ended) /* else judge_silence() says so */
            doctor_symptom(d, SYMPTOM_LOST,
                           "probe event %d was committed, but did not come in %.0f s", p->n + 1,
                           PATIENCE_US / 1e6);
        return;
    }
    p->took_us[p->n] = w->expected_us > p->sent_us ? w->expected_us - p->sent_us : 0;
    memcpy(p->ids[p->n], w->expected_id, HEARD_ID);
    p->n++;
}

static int
ascending(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return (x > y) - (x < y);
}

static void
judge_delay(struct probe *p)
{
    const char *from = p->store ? "COMMIT" : "sending the POST";
    int64_t median, longest;

    qsort(p->took_us, (size_t)p->n, sizeof *p->took_us, ascending);
    median = p->took_us[p->n / 2];
    longest = p->took_us[p->n - 1];
    if (median < LATE_US)
        doctor_good(p->d, "delay", "%d events, from %s to here: median %.1f ms, longest %.1f ms",
                    p->n, from, doctor_ms(median), doctor_ms(longest));
    else
        doctor_symptom(p->d, median < LUMP_US ? SYMPTOM_LATE : SYMPTOM_LUMPS,
                       "%d events, from %s to here: median %.1f ms, longest %.1f ms", p->n, from,
                       doctor_ms(median), doctor_ms(longest));
}

/* Comes back after `id` and looks whether `next` is the first that comes. */
static void resume_after(struct doctor *d, const char *id, const char *next);

static void
send_all(struct probe *p)
{
    struct doctor *d = p->d;

    while (p->n < PROBES && !p->failed && (p->n == 0 || p->took_us[p->n - 1] < LUMP_US))
        send_one(p);
    if (p->n > 0)
        judge_delay(p);
    if (p->n >= 2)
        resume_after(d, p->ids[0], p->ids[1]);
}

void
doctor_probe_delay(struct doctor *d)
{
    struct probe p = {.d = d};
    struct errbuf eb = {""};

    atomic_store(&d->doing, "publishing probe events");
    if (!d->settings->db && !d->settings->publish_to)
        doctor_note(d, "delay", "not measured: nothing is published without --db or --publish-to");
    else if (d->settings->db &&
             store_open(&p.store, d->settings->db, STORE_WRITE, STORE_SYNC_FULL, &eb) != ERR_OK)
        doctor_symptom(d, SYMPTOM_NOT_PUBLISHED, "a probe event could not be published: %s",
                       eb.text);
    else
        send_all(&p);
    store_close(p.store);
    if (p.n < 2)
        doctor_probe_resume(d);
}

/* ---- resume ---- */

struct return_ {
    struct exchange x;
    struct heard heard;
    struct http_request request;
};

static bool
has_resumed(void *context)
{
    const struct return_ *r = context;

    return r->heard.live_us || r->heard.events || r->x.ended;
}

static bool
come_back(struct doctor *d, struct return_ *r, const char *url, const char *id)
{
    struct errbuf eb;

    *r = (struct return_){.request = {.url = url,
                                      .accept = "text/event-stream",
                                      .origin = d->settings->origin,
                                      .last_event_id = id,
                                      .arrived = heard_arrived,
                                      .context = &r->heard}};
    heard_init(&r->heard);
    return http_open(&d->http, &r->x, &r->request, &eb) == ERR_OK &&
           doctor_wait(d, has_resumed, r, PATIENCE_US) && !r->x.ended;
}

/* An event has a place below the stream's. Where the path is passed as one, the answer is that of
 * the stream's; a place that does not exist, or that this client may not read, says nothing. */
static void
look_at_event(struct doctor *d, const char *id)
{
    struct fetched p;
    struct buf url;
    char expected[HEARD_ID + 16];

    buf_init(&url, SIZE_MAX / 4);
    buf_append(&url, d->url, strcspn(d->url, "?#"));
    buf_format(&url, "/%s", id);
    if (get_url(d, &p, buf_take(&url)) || p.x.status == 200) {
        snprintf(expected, sizeof expected, "{\"id\":\"%s\"", id);
        if (text_starts(buf_view(&p.x.body), text_of(expected)))
            doctor_good(d, "events", "%s has a URL of its own", id);
        else
            doctor_symptom(d, SYMPTOM_EVENT_NOT_SPLIT, "%s is answered with something else", p.url);
    }
    drop_page(d, &p);
    buf_finish(&url);
}

/* Others may have written between the two events that are known: then one of theirs is right. */
static bool
comes_between(const char *first, const char *id, const char *next)
{
    long long n = strtoll(first, NULL, 10);

    return n > strtoll(id, NULL, 10) && n <= strtoll(next, NULL, 10);
}

static void
resume_after(struct doctor *d, const char *id, const char *next)
{
    struct return_ r;

    look_at_event(d, id);
    if (!come_back(d, &r, d->stream_url, id))
        doctor_note(d, "resume", "not checked: the second stream did not open");
    else if (comes_between(r.heard.first_id, id, next))
        doctor_good(d, "resume", "after Last-Event-ID: %s comes %s", id, r.heard.first_id);
    else
        doctor_symptom(d, SYMPTOM_ID_DROPPED, "after Last-Event-ID: %s comes %s instead of %s", id,
                       r.heard.first_id[0] ? r.heard.first_id : "nothing", next);
    http_close(&d->http, &r.x);
}

/* The responder answers an invalid position with a reset, if the position reaches it. */
static void
resume_nowhere(struct doctor *d)
{
    char *url = doctor_url(d->url, "reset=now");
    struct return_ r;

    if (!url)
        return;
    if (!come_back(d, &r, url, "freshet-doctor"))
        doctor_note(d, "resume", "not checked: the second stream did not open");
    else if (strstr(r.heard.reset, "\"freshet-doctor\""))
        doctor_good(d, "resume", "Last-Event-ID arrives: an invalid position is reported as such");
    else
        doctor_symptom(
            d, SYMPTOM_ID_DROPPED,
            "Last-Event-ID: freshet-doctor, which is not a position, is answered with %s",
            r.heard.live_us ? "a stream as for a new client" : "something else");
    http_close(&d->http, &r.x);
    mem_free(url);
}

/* The two newest events of a page that goes back: ids[0] is the older one. */
static bool
newest_two(struct doctor *d, char ids[2][HEARD_ID])
{
    struct fetched p;
    bool found = false;

    if (get_page(d, &p, "before=now&limit=2")) {
        struct json_object *page, *events;

        buf_byte(&p.x.body, '\0');
        page = buf_failed(&p.x.body) ? NULL : json_tokener_parse(p.x.body.data);
        events = json_object_object_get(page, "events");
        found =
            json_object_is_type(events, json_type_array) && json_object_array_length(events) == 2;
        for (size_t i = 0; found && i < 2; i++) {
            struct json_object *event = json_object_array_get_idx(events, i);
            const char *id = json_object_get_string(json_object_object_get(event, "id"));

            snprintf(ids[1 - i], HEARD_ID, "%s", id ? id : "");
        }
        json_object_put(page);
    }
    drop_page(d, &p);
    return found;
}

void
doctor_probe_resume(struct doctor *d)
{
    char ids[2][HEARD_ID];

    atomic_store(&d->doing, "coming back with a position");
    if (newest_two(d, ids))
        resume_after(d, ids[0], ids[1]);
    else
        resume_nowhere(d);
}

/* ---- while the responder is away ---- */

static void
judge_json_down(struct doctor *d)
{
    struct fetched p;
    bool good = get_page(d, &p, "limit=1");

    if (!good && p.x.status >= 500)
        doctor_good(d, "away", "a page of history is refused with status %d", p.x.status);
    else
        doctor_symptom(d, SYMPTOM_JSON_LIED, "a page of history is answered with status %d",
                       p.x.status);
    drop_page(d, &p);
}

static bool
is_decided(void *context)
{
    const struct doctor *d = context;

    return d->stream.ended || d->heard.live_us;
}

void
doctor_probe_down(struct doctor *d)
{
    doctor_wait(d, is_decided, d, PATIENCE_US);
    if (d->heard.live_us) {
        doctor_symptom(d, SYMPTOM_NOT_DOWN, "the stream is live at %s", d->heard.live_id);
        return;
    }
    if (d->heard.retry_ms < 0)
        doctor_symptom(d, SYMPTOM_NO_RETRY, "200 and text/event-stream, but no retry: time");
    else
        doctor_good(d, "away",
                    "200, text/event-stream, \"retry: %lld\": clients come back by themselves",
                    (long long)d->heard.retry_ms);
    judge_json_down(d);
}
