/* settings: defaults, bounds, and what may change while the responder runs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "fcgi/settings.h"

#define COUNT_OF(array) (sizeof(array) / sizeof *(array))

static enum err
parse(struct settings *s, struct errbuf *eb, const char *first, const char *second)
{
    char *argv[] = {"freshet-fcgi", "--db", "x.db", (char *)first, (char *)second, NULL};
    int rest, argc = second ? 5 : first ? 4 : 3;
    enum option_outcome outcome;
    enum err err;

    *s = (struct settings){0};
    err = option_parse(&settings_options, s, argc, argv, &rest, &outcome, eb);
    if (err == ERR_OK) {
        err = settings_check(s, eb);
        if (err != ERR_OK)
            option_finish(&settings_options, s);
    }
    return err;
}

static void
defaults_fit_together(void **state)
{
    struct settings s;
    struct errbuf eb = {""};

    (void)state;
    if (parse(&s, &eb, NULL, NULL) != ERR_OK)
        fail_msg("%s", eb.text);
    assert_string_equal(s.db, "x.db");
    assert_string_equal(s.socket_mode, "0660");
    assert_null(s.listen);
    assert_int_equal(s.heartbeat_ms, 15000);
    assert_true(s.heartbeat_ms < 45000); /* some polyfills give a silent stream up then */
    option_finish(&settings_options, &s);
}

/* Each numeric row accepts its bounds and nothing beyond. */
static void
every_setting_has_bounds(void **state)
{
    (void)state;
    for (size_t i = 0; i < settings_options.n_rows; i++) {
        const struct option_row *row = &settings_options.rows[i];
        const char *unit = row->kind == OPTION_DURATION ? "ms" : "";
        struct settings s;
        struct errbuf eb;
        char text[96];

        if (row->kind != OPTION_COUNT && row->kind != OPTION_SIZE && row->kind != OPTION_DURATION)
            continue;
        snprintf(text, sizeof text, "--%s=%lld%s", row->name, (long long)row->max + 1, unit);
        assert_int_equal(parse(&s, &eb, text, NULL), ERR_INVALID);
        assert_non_null(strstr(eb.text, row->name));
        snprintf(text, sizeof text, "--%s=%lld%s", row->name, (long long)row->min - 1, unit);
        assert_int_equal(parse(&s, &eb, text, NULL), ERR_INVALID);
        assert_non_null(strstr(eb.text, row->name));
    }
}

static void
settings_that_contradict_each_other_are_refused(void **state)
{
    struct settings s;
    struct errbuf eb;
    char *argv[] = {"freshet-fcgi", NULL};
    int rest;
    enum option_outcome outcome;

    (void)state;
    assert_int_equal(parse(&s, &eb, "--retry-min=10s", "--retry-max=9s"), ERR_INVALID);
    assert_non_null(strstr(eb.text, "--retry-min"));
    assert_int_equal(parse(&s, &eb, "--record-bytes=2K", "--turn-bytes=1K"), ERR_INVALID);
    assert_non_null(strstr(eb.text, "--turn-bytes"));
    assert_int_equal(parse(&s, &eb, "--token-cookie=login", NULL), ERR_INVALID);
    assert_non_null(strstr(eb.text, "--token-key"));
    assert_int_equal(parse(&s, &eb, "--cors-origin=*", NULL), ERR_INVALID);
    assert_non_null(strstr(eb.text, "--cors-origin"));
    s = (struct settings){0};
    assert_int_equal(option_parse(&settings_options, &s, 1, argv, &rest, &outcome, &eb), ERR_OK);
    assert_int_equal(settings_check(&s, &eb), ERR_INVALID);
    assert_non_null(strstr(eb.text, "--db"));
    option_finish(&settings_options, &s);
}

static void
what_can_change_while_running_does(void **state)
{
    static const struct {
        const char *option, *later; /* later: the setting that needs a restart */
    } rows[] = {
        {"--heartbeat=20s", NULL},
        {"--streams-max=7", NULL},
        {"--log-level=debug", NULL},
        {"--retry-max=9s", NULL},
        {"--send-buffer=0", NULL},
        {"--record-bytes=16K", NULL},
        {"--cors-origin=https://a.example", NULL},
        {"--streams-per-address=3", NULL},
        {"--publishes-per-second=3", NULL},
        {"--token-leeway=3s", NULL},
        {"--token-key=k", "token-key"},
        {"--token-algorithm=RS256", "token-algorithm"},
        {"--db=other.db", "db"},
        {"--listen=tcp:x:1", "listen"},
        {"--socket-mode=0600", "socket-mode"},
        {"--workers=2", "workers"},
        {"--publish", "publish"},
        {"--sandbox=off", "sandbox"},
        {"--event-bytes=5", "event-bytes"},
        {"--publish-queue=5", "publish-queue"},
        {"--window-bytes=1M", "window-bytes"},
        {"--window-events=5", "window-events"},
        {"--page-cache=1M", "page-cache"},
        {"--feed-bytes=1M", "feed-bytes"},
        /* the tail has these, and the pipe to libfcgi its size, from the start */
        {"--poll=1s", "poll"},
        {"--page-bytes=1M", "page-bytes"},
        {"--page-rows=5", "page-rows"},
        {"--scan-rows=5", NULL},
        {"--request-bytes=128K", "request-bytes"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct settings s, fresh;
        struct errbuf eb;
        const char *later;

        assert_int_equal(parse(&s, &eb, NULL, NULL), ERR_OK);
        assert_int_equal(parse(&fresh, &eb, rows[i].option, NULL), ERR_OK);
        later = settings_reload(&s, &fresh);
        if (later != rows[i].later && (!later || !rows[i].later || strcmp(later, rows[i].later)))
            fail_msg("%s: \"%s\"", rows[i].option, later ? later : "");
        option_finish(&settings_options, &fresh); /* what s took over must not be fresh's */
        assert_string_equal(s.db, "x.db");
        assert_string_equal(s.socket_mode, "0660");
        assert_null(s.listen);
        assert_int_equal(s.window_bytes, 32 << 20);
        assert_int_equal(s.poll_ms, 250);
        assert_false(s.publish);
        assert_int_equal(s.heartbeat_ms, i == 0 ? 20000 : 15000);
        assert_int_equal(s.streams_max, i == 1 ? 7 : 20000);
        assert_int_equal(!!s.cors_origin, strstr(rows[i].option, "cors") != NULL);
        assert_int_equal(s.token_keys.n, 0);
        option_finish(&settings_options, &s);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_fit_together),
        cmocka_unit_test(every_setting_has_bounds),
        cmocka_unit_test(settings_that_contradict_each_other_are_refused),
        cmocka_unit_test(what_can_change_while_running_does),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
