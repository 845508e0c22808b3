#include "fcgi/control.h"

#include "base/log.h"
#include "fcgi/loop.h"
#include "fcgi/seat.h"

static void
log_counters(const struct server *s)
{
    struct buf b;

    buf_init(&b, 4096);
    buf_format(&b,
               "counters connections_open=%llu streams_open=%llu feeds=%llu window_events=%llu "
               "page_cache_bytes=%zu unsent_bytes=%llu",
               (unsigned long long)s->n_conns, (unsigned long long)s->n_seats,
               (unsigned long long)s->hub.n_feeds,
               (unsigned long long)(s->hub.window.head - s->hub.window.tail), s->hub.cache_bytes,
               (unsigned long long)s->unsent);
#define COUNTER(member, help)                                                                      \
    buf_format(&b, " " #member "=%llu", (unsigned long long)s->counters.member);
#include "fcgi/counters.def"
#undef COUNTER
    log_line(LOG_INFO, "%.*s", (int)b.length, b.length ? b.data : "");
    buf_finish(&b);
}

/* The files may hold other keys; their places and the algorithm are the same until a restart. */
static void
reload_token_keys(struct server *s)
{
    const struct settings *set = s->settings;
    struct jws_keys fresh;
    struct errbuf eb;

    if (set->token_keys.n == 0)
        return;
    if (jws_keys_read(&fresh, set->token_keys.values, set->token_keys.n,
                      (enum jws_algorithm)set->token_algorithm, &eb) != ERR_OK) {
        log_line(LOG_ERROR, "the token key stays as it is: %s", eb.text);
        return;
    }
    jws_keys_finish(&s->token_keys);
    s->token_keys = fresh;
    log_line(
        LOG_INFO,
        "token key read again: %zu in use, %zu ignored; ended %zu streams whose key was removed",
        fresh.n, fresh.ignored, seat_expire_unsigned(s));
}

static void
reload_public_topics(struct server *s)
{
    struct grants fresh;
    struct errbuf eb;

    if (settings_public(s->settings, &fresh, &eb) != ERR_OK) {
        log_line(LOG_ERROR, "--public-topics stays as it is: %s", eb.text);
        return;
    }
    grants_finish(&s->open);
    s->open = fresh;
}

static void
reload(struct server *s)
{
    struct settings fresh = {0};
    struct errbuf eb;
    enum option_outcome outcome;
    int rest;
    enum err err = option_parse(&settings_options, &fresh, s->argc, s->argv, &rest, &outcome, &eb);

    if (err == ERR_OK)
        err = settings_check(&fresh, &eb);
    if (err != ERR_OK) {
        log_line(LOG_ERROR, "settings stay as they are: %s", eb.text);
    } else {
        const char *later = settings_reload(s->settings, &fresh);

        log_set_level((enum log_level)s->settings->log_level);
        reload_public_topics(s);
        log_line(LOG_INFO, "settings read again%s%s", later ? "; this one needs a restart: --" : "",
                 later ? later : "");
    }
    option_finish(&settings_options, &fresh);
}

/* The first time, streams end over --drain; asked again, at once. */
static void
stop(struct server *s)
{
    int64_t over_ms = s->stop_asked > 1 ? 0 : s->settings->drain_ms;

    if (!s->draining)
        loop_stop_listening(s, false);
    s->draining = true;
    s->reopening = false;
    s->drain_ends_ms = s->now_ms + over_ms;
    log_line(LOG_INFO, "ending %llu streams within %lld ms", (unsigned long long)s->n_seats,
             (long long)over_ms);
}

/* All positions belong to the old database: every client comes back, and is told by a reset. */
static void
reopen(struct server *s)
{
    log_line(LOG_WARN, "ending %llu streams to open the database again",
             (unsigned long long)s->n_seats);
    loop_hold_signals();
    loop_stop_listening(s, true);
    s->draining = s->reopening = true;
    s->drain_ends_ms = s->now_ms;
}

void
control(struct server *s)
{
    if (s->reload_due) {
        reload(s);
        reload_token_keys(s);
    }
    if (s->counters_due)
        log_counters(s);
    if (s->stop_asked > s->stop_served)
        stop(s);
    if (!s->draining && tail_replaced(s->tail))
        reopen(s);
    s->reload_due = s->counters_due = false;
    s->stop_served = s->stop_asked;
}
