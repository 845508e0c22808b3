#include <stdio.h>

#include "admin/doctor_internal.h"
#include "admin/show.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/jws.h"
#include "base/mem.h"

enum { SLOW_START_US = 1000000 };

/* The stream of the URL, with the probe's topic in it where one will be published. */
static char *
choose_stream_url(const struct settings *s, const char *url)
{
    struct buf more;
    char *whole;

    if (!s->db && !s->publish_to)
        return doctor_url(url, "");
    buf_init(&more, SIZE_MAX / 4);
    buf_string(&more, "topic=");
    for (const char *p = s->topic; *p; p++)
        buf_format(&more, "%%%02x", (unsigned char)*p);
    buf_byte(&more, '\0');
    whole = buf_failed(&more) ? NULL : doctor_url(url, more.data);
    buf_finish(&more);
    return whole;
}

/* ---- no answer ---- */

static void
judge_no_answer(struct doctor *d)
{
    const struct exchange *x = &d->stream;
    int64_t waited_us = clock_mono_us() - x->began_us, took_us;

    if (x->ended && x->untrusted)
        doctor_symptom(d, SYMPTOM_UNTRUSTED, "%s", x->error);
    else if (x->ended && x->unreachable)
        doctor_symptom(d, SYMPTOM_UNREACHABLE, "%s", x->error);
    else if (x->ended)
        doctor_symptom(d, SYMPTOM_BROKEN_OFF, "%s", x->error ? x->error : "nothing was sent");
    else if (doctor_probe_history(d, &took_us))
        doctor_symptom(d, SYMPTOM_BUFFERED,
                       "no byte of the stream in %.1f s, while a page of history came in %.1f ms",
                       doctor_ms(waited_us) / 1000, doctor_ms(took_us));
    else
        doctor_symptom(d, SYMPTOM_SILENT, "no byte in %.1f s", doctor_ms(waited_us) / 1000);
}

/* ---- the start of the stream ---- */

static bool
is_live(void *context)
{
    const struct doctor *d = context;

    return d->heard.live_us || d->stream.ended;
}

/* False: there is no stream to look at. */
static bool
judge_start(struct doctor *d)
{
    const struct exchange *x = &d->stream;
    const struct heard *w = &d->heard;
    double first_ms = doctor_ms(x->first_us - x->began_us);

    if (!w->live_us && x->ended && w->retry_ms >= 0) {
        doctor_symptom(d, SYMPTOM_AWAY, "the stream contains only \"retry: %lld\"",
                       (long long)w->retry_ms);
        return false;
    }
    if (!x->first_us && !http_header(x, "Content-Encoding", NULL).p) {
        doctor_symptom(d, SYMPTOM_BUFFERED, "the head came, but no byte of the stream in %.1f s",
                       doctor_ms(clock_mono_us() - x->began_us) / 1000);
        return false;
    }
    if (!x->first_us) /* doctor_judge_head() says why */
        return true;
    if (x->first_us - x->began_us > SLOW_START_US)
        doctor_symptom(d, SYMPTOM_SLOW_START, "after %.1f ms", first_ms);
    else
        doctor_good(d, "first byte", "after %.1f ms", first_ms);
    if (w->live_us)
        doctor_good(d, "live", "after %.1f ms, at %s", doctor_ms(w->live_us - x->began_us),
                    w->live_id);
    else
        doctor_note(d, "live", "not yet after %.1f s; %lld past events came",
                    doctor_ms(clock_mono_us() - x->began_us) / 1000, (long long)w->events);
    return true;
}

/* ---- silence ---- */

static bool
silence_is_over(void *context)
{
    const struct doctor *d = context;

    return d->heard.heartbeats > 0 || d->stream.ended;
}

static void
judge_silence(struct doctor *d)
{
    const struct exchange *x = &d->stream;
    const struct heard *w = &d->heard;
    int64_t silent_us = (x->ended ? x->ended_us : clock_mono_us()) - w->last_us;
    double silent_s = doctor_ms(silent_us) / 1000;

    if (w->heartbeats > 0)
        doctor_good(d, "timeout", "a heartbeat after %.1f s of silence, and the stream continues",
                    doctor_ms(w->heartbeat_us) / 1000);
    else if (x->ended && silent_us > SLOW_START_US / 2)
        doctor_symptom(d, SYMPTOM_CUT, "the stream was cut after %.1f s of silence", silent_s);
    else if (x->ended)
        doctor_symptom(d, SYMPTOM_ENDED, "the stream ended after %.1f s%s%s",
                       doctor_ms(x->ended_us - x->began_us) / 1000, x->error ? ": " : "",
                       x->error ? x->error : "");
    else if (silent_us < d->settings->wait_ms * 1000 / 2)
        doctor_note(d, "timeout",
                    "not checked: events kept coming, so there was no silence for a heartbeat");
    else
        doctor_symptom(d, SYMPTOM_NO_HEARTBEAT, "no heartbeat in %.1f s of silence", silent_s);
}

/* ---- the whole examination ---- */

static void
examine_stream(struct doctor *d)
{
    int64_t took_us;

    atomic_store(&d->doing, "waiting for freshet:live");
    doctor_wait(d, is_live, d, PATIENCE_US);
    if (!judge_start(d))
        return;
    doctor_judge_head(d);
    if (!d->stream.first_us)
        return;
    doctor_probe_history(d, &took_us);
    doctor_look_beside(d);
    doctor_probe_delay(d);
    atomic_store(&d->doing, "listening for a heartbeat");
    doctor_wait(d, silence_is_over, d, d->settings->wait_ms * 1000);
    judge_silence(d);
    doctor_note(
        d, "away",
        "not checked: what clients are told while the responder is down; stop it and run again "
        "with --expect-down");
}

static void
examine(struct doctor *d)
{
    struct errbuf eb = {""};

    heard_init(&d->heard);
    d->request = (struct http_request){.url = d->stream_url,
                                       .accept = "text/event-stream",
                                       .origin = d->settings->origin,
                                       .arrived = heard_arrived,
                                       .context = &d->heard};
    if (http_open(&d->http, &d->stream, &d->request, &eb) != ERR_OK) {
        findings_add(&d->findings, FINDING_FAIL, "connect", eb.text, NULL);
        return;
    }
    atomic_store(&d->doing, "waiting for an answer");
    doctor_wait(d, doctor_has_head, &d->stream, PATIENCE_US);
    if (!d->stream.head_us) {
        judge_no_answer(d);
    } else {
        http_learn(&d->stream);
        if (d->stream.status != 200)
            doctor_wait(d, doctor_has_ended, &d->stream, PATIENCE_US);
        if (doctor_judge_answer(d))
            d->settings->expect_down ? doctor_probe_down(d) : examine_stream(d);
    }
    http_close(&d->http, &d->stream);
}

/* ---- the command ---- */

static void
tell_progress(void *context, int64_t elapsed_ms, char line[PROGRESS_LINE])
{
    struct doctor *d = context;
    const char *doing = atomic_load(&d->doing);

    if (doing)
        snprintf(line, PROGRESS_LINE, "freshet doctor: %s, %lld s", doing,
                 (long long)(elapsed_ms / 1000));
}

/* "-" is the first word of standard input, so that a token need not stand in the list of
 * processes. */
static char *
read_token(const char *token)
{
    char line[JWS_TOKEN_MAX + 2] = "";

    if (!token || strcmp(token, "-") != 0)
        return token ? mem_copy(text_of(token)) : NULL;
    if (!fgets(line, sizeof line, stdin))
        line[0] = '\0';
    return mem_copy((struct text){line, strcspn(line, " \t\r\n")});
}

int
doctor_run(const struct settings *settings, const char *url, char **argv)
{
    struct doctor d = {.settings = settings,
                       .url = url,
                       .stream_url = choose_stream_url(settings, url),
                       .token = read_token(settings->token),
                       .deadline_us = clock_mono_us() + settings->timeout_ms * 1000};
    struct progress progress;
    struct errbuf eb = {""};
    int status;

    (void)argv;
    d.http = (struct http){.ca = settings->ca,
                           .token = d.token,
                           .cookie = settings->cookie,
                           .headers = &settings->headers};
    show_init();
    findings_init(&d.findings, "url", url, settings->json);
    progress_begin(&progress, tell_progress, &d);
    d.findings.progress = &progress;
    if (!d.stream_url)
        findings_add(&d.findings, FINDING_FAIL, "connect", "out of memory", NULL);
    else if (http_init(&d.http, &eb) != ERR_OK)
        findings_add(&d.findings, FINDING_FAIL, "connect", eb.text, NULL);
    else
        examine(&d);
    d.findings.progress = NULL;
    progress_end(&progress);
    http_finish(&d.http);
    mem_free(d.stream_url);
    mem_free(d.token);
    status = findings_finish(&d.findings, "Nothing to fix", "There is something to fix");
    return status;
}
