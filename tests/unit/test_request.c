/* request: what libfcgi reads out of a web server's records. */
#include "tests/unit/front.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "fcgi/record.h"
#include "fcgi/request.h"

/* ---- descriptors that are closed twice ---- */

static int closed_twice;

int __wrap_close(int fd);
int __real_close(int fd);

int
__wrap_close(int fd)
{
    int result = __real_close(fd);

    closed_twice += result < 0 && errno == EBADF;
    return result;
}

/* ---- request ---- */

static int
set_up(void **state)
{
    struct errbuf eb;

    (void)state;
    return request_setup(REQUEST_MAX, &eb) == ERR_OK ? 0 : -1;
}

static int
tear_down(void **state)
{
    (void)state;
    request_teardown();
    return 0;
}

/* Parses a request that is all right; the pipe must be as it was, whatever came before. */
static void
a_good_request_is_read(void)
{
    struct buf pairs, b;
    struct request r;
    struct errbuf eb = {""};

    buf_init(&pairs, REQUEST_MAX);
    buf_init(&b, REQUEST_MAX);
    put_typical_pairs(&pairs);
    put_request(&b, 513, buf_view(&pairs), 65535, 3);
    if (request_parse(buf_view(&b), &r, &eb) != ERR_OK)
        fail_msg("%s", eb.text);
    assert_int_equal(r.id, 513);
    assert_true(text_equal(r.method, TEXT_LIT("GET")));
    assert_true(text_equal(r.query, TEXT_LIT("topic=a&last=5")));
    assert_true(text_equal(r.last_event_id, TEXT_LIT("")));
    assert_true(text_equal(r.remote, TEXT_LIT("2001:db8::1")));
    assert_null(r.topics.p);
    request_finish(&r);
    buf_finish(&pairs);
    buf_finish(&b);
}

static void
parameters_are_found_among_others(void **state)
{
    (void)state;
    a_good_request_is_read();
    a_good_request_is_read();
}

/* nginx below 1.23 passes two headers of one name as two parameters: none is better. */
static void
authorization_headers_are_counted(void **state)
{
    (void)state;
    for (unsigned n = 0; n < 3; n++) {
        struct buf pairs, b;
        struct request r;
        struct errbuf eb = {""};

        buf_init(&pairs, REQUEST_MAX);
        buf_init(&b, REQUEST_MAX);
        put_typical_pairs(&pairs);
        put_pair(&pairs, TEXT_LIT("HTTP_AUTHORIZATION_X"), TEXT_LIT("x"));
        for (unsigned i = 0; i < n; i++)
            put_pair(&pairs, TEXT_LIT("HTTP_AUTHORIZATION"), i ? TEXT_LIT("b") : TEXT_LIT("a"));
        put_request(&b, 1, buf_view(&pairs), 65535, 0);
        assert_int_equal(request_parse(buf_view(&b), &r, &eb), ERR_OK);
        assert_int_equal(r.authorizations, n);
        assert_true(text_equal(r.authorization, n ? TEXT_LIT("a") : TEXT_NONE));
        request_finish(&r);
        buf_finish(&pairs);
        buf_finish(&b);
    }
}

/* Everything between one record and a record per byte. */
static void
it_does_not_matter_how_parameters_are_split(void **state)
{
    struct buf pairs;

    (void)state;
    buf_init(&pairs, REQUEST_MAX);
    put_typical_pairs(&pairs);
    for (size_t content = 1; content <= pairs.length; content++) {
        struct buf b;
        struct request r;
        struct errbuf eb = {""};

        buf_init(&b, REQUEST_MAX);
        put_request(&b, 1, buf_view(&pairs), content, content % 9);
        if (request_parse(buf_view(&b), &r, &eb) != ERR_OK)
            fail_msg("records of %zu: %s", content, eb.text);
        assert_true(text_equal(r.query, TEXT_LIT("topic=a&last=5")));
        assert_true(text_equal(r.remote, TEXT_LIT("2001:db8::1")));
        request_finish(&r);
        buf_finish(&b);
    }
    buf_finish(&pairs);
}

/* Padding has no meaning, wherever it stands. */
static void
the_first_record_may_be_padded(void **state)
{
    struct buf pairs;

    (void)state;
    buf_init(&pairs, REQUEST_MAX);
    put_typical_pairs(&pairs);
    for (size_t padding = 0; padding <= 255; padding++) {
        struct buf b;
        struct request r;
        struct errbuf eb = {""};

        buf_init(&b, REQUEST_MAX);
        put_record(&b, BEGIN, 7, (struct text){"\0\1\0\0\0\0\0\0", 8}, padding);
        put_record(&b, PARAMS, 7, buf_view(&pairs), 0);
        put_record(&b, PARAMS, 7, TEXT_LIT(""), 0);
        if (request_parse(buf_view(&b), &r, &eb) != ERR_OK)
            fail_msg("padding of %zu: %s", padding, eb.text);
        assert_int_equal(r.id, 7);
        assert_true(text_equal(r.remote, TEXT_LIT("2001:db8::1")));
        request_finish(&r);
        buf_finish(&b);
    }
    buf_finish(&pairs);
}

static void
long_names_and_values_have_long_lengths(void **state)
{
    static const size_t lengths[] = {126, 127, 128, 255, 256, 8191, 8192, 8193, 60000};
    static char long_text[60000];

    (void)state;
    memset(long_text, 'x', sizeof long_text);
    for (size_t i = 0; i < COUNT_OF(lengths); i++) {
        struct text value = {long_text, lengths[i]};
        struct buf pairs, b;
        struct request r;
        struct errbuf eb = {""};

        buf_init(&pairs, REQUEST_MAX);
        buf_init(&b, REQUEST_MAX);
        put_pair(&pairs, (struct text){long_text, lengths[i]}, TEXT_LIT("1"));
        put_pair(&pairs, TEXT_LIT("QUERY_STRING"), value);
        put_pair(&pairs, TEXT_LIT("REQUEST_METHOD"), TEXT_LIT("GET"));
        put_request(&b, 1, buf_view(&pairs), 65535, 0);
        if (request_parse(buf_view(&b), &r, &eb) != ERR_OK)
            fail_msg("%zu: %s", lengths[i], eb.text);
        assert_true(text_equal(r.query, value));
        assert_true(text_equal(r.method, TEXT_LIT("GET")));
        request_finish(&r);
        buf_finish(&pairs);
        buf_finish(&b);
    }
}

static void
many_parameters_are_no_trouble(void **state)
{
    struct buf pairs, b;
    struct request r;
    struct errbuf eb = {""};

    (void)state;
    buf_init(&pairs, REQUEST_MAX);
    buf_init(&b, REQUEST_MAX);
    for (int i = 0; i < 5000; i++) {
        char name[32];

        snprintf(name, sizeof name, "HTTP_X_%d", i);
        put_pair(&pairs, text_of(name), TEXT_LIT("value"));
    }
    put_typical_pairs(&pairs);
    put_request(&b, 1, buf_view(&pairs), 4000, 0);
    if (request_parse(buf_view(&b), &r, &eb) != ERR_OK)
        fail_msg("%s", eb.text);
    assert_true(text_equal(r.method, TEXT_LIT("GET")));
    request_finish(&r);
    buf_finish(&pairs);
    buf_finish(&b);
}

/* libfcgi reads 8,192 bytes at a time. Whatever lies at such an edge, nothing may stay behind in
 * the pipe for the request of somebody else. */
static void
a_request_leaves_nothing_for_the_next_one(void **state)
{
    static char filler[9000];

    (void)state;
    memset(filler, 'x', sizeof filler);
    for (size_t n = 7800; n <= 8192; n++) {
        struct buf pairs, b;
        struct request r;
        struct errbuf eb = {""};

        buf_init(&pairs, REQUEST_MAX);
        buf_init(&b, REQUEST_MAX);
        put_pair(&pairs, TEXT_LIT("HTTP_COOKIE"), (struct text){filler, n});
        put_pair(&pairs, TEXT_LIT("REQUEST_METHOD"), TEXT_LIT("GET"));
        put_request(&b, 1, buf_view(&pairs), 65535, n % 2 ? 255 : 7);
        if (request_parse(buf_view(&b), &r, &eb) != ERR_OK)
            fail_msg("%zu: %s", n, eb.text);
        assert_true(text_equal(r.method, TEXT_LIT("GET")));
        request_finish(&r);
        buf_finish(&pairs);
        buf_finish(&b);
        a_good_request_is_read();
    }
}

static void
parameters_that_lie_about_their_length_are_refused(void **state)
{
    static const struct text lies[] = {
        TEXT_LIT("\x05\x01N"),               /* name longer than what is there */
        TEXT_LIT("\x01\x05Nab"),             /* value likewise */
        TEXT_LIT("\x0e\xff\xff\xff\xffREQ"), /* two gigabytes announced */
        TEXT_LIT("\xff\xff\xff\xff\x01N"),   /* as a name */
        TEXT_LIT("\x80"),                    /* cut in a long length */
        TEXT_LIT("\x01"),                    /* no length of the value */
        TEXT_LIT("\x01\x01N"),               /* no value */
        TEXT_LIT("\x01\x01NvX"),             /* a good one, then a cut one */
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(lies); i++) {
        struct buf b;
        struct request r;
        struct errbuf eb = {""};
        enum err err;

        buf_init(&b, REQUEST_MAX);
        put_request(&b, 1, lies[i], 65535, 0);
        err = request_parse(buf_view(&b), &r, &eb);
        if (err == ERR_OK || strlen(eb.text) == 0)
            fail_msg("lie %zu: %d \"%s\"", i, err, eb.text);
        buf_finish(&b);
        a_good_request_is_read();
    }
    assert_int_equal(closed_twice, 0);
}

/* What a lie announces is not allocated: the parameters are looked through before libfcgi sees
 * them. The rest of the stream tells whether one is a lie. */
static void
parameters_fit_up_to_their_last_byte(void **state)
{
    struct buf pairs;

    (void)state;
    buf_init(&pairs, REQUEST_MAX);
    put_typical_pairs(&pairs);
    put_pair(&pairs,
             (struct text){"12345678901234567890123456789012345678901234567890"
                           "12345678901234567890123456789012345678901234567890"
                           "1234567890123456789012345678",
                           128},
             TEXT_LIT("v"));
    for (size_t content = 1; content < 10; content++) {
        struct buf b, whole;

        buf_init(&whole, REQUEST_MAX);
        put_request(&whole, 1, buf_view(&pairs), content, content % 3);
        assert_true(record_params_fit(buf_view(&whole)));
        for (size_t n = 0; n < whole.length - content % 3; n++) {
            char *copy = mem_copy((struct text){whole.data, n});

            if (record_params_fit((struct text){copy, n}))
                fail_msg("%zu of %zu bytes", n, whole.length);
            mem_free(copy);
        }
        buf_init(&b, REQUEST_MAX);
        put_request(&b, 1, (struct text){pairs.data, pairs.length - 1}, content, 0);
        assert_false(record_params_fit(buf_view(&b)));
        buf_finish(&whole);
        buf_finish(&b);
    }
    buf_finish(&pairs);
}

/* record_look() keeps these away; should one slip through, it must not hang or harm the next. */
static void
an_incomplete_request_fails_and_does_not_hang(void **state)
{
    struct buf pairs, b;

    (void)state;
    buf_init(&pairs, REQUEST_MAX);
    buf_init(&b, REQUEST_MAX);
    put_typical_pairs(&pairs);
    put_request(&b, 1, buf_view(&pairs), 20, 2);
    for (size_t n = 0; n + 2 < b.length; n++) { /* the last two bytes are padding */
        struct request r;
        struct errbuf eb = {""};

        if (request_parse((struct text){b.data, n}, &r, &eb) == ERR_OK)
            fail_msg("%zu bytes of %zu are enough", n, b.length);
        assert_true(strlen(eb.text) > 0);
    }
    a_good_request_is_read();
    assert_int_equal(closed_twice, 0);
    buf_finish(&pairs);
    buf_finish(&b);
}

static void
a_request_without_memory_harms_only_itself(void **state)
{
    struct buf pairs, b;
    struct request r;
    struct errbuf eb = {""};

    (void)state;
    buf_init(&pairs, REQUEST_MAX);
    buf_init(&b, REQUEST_MAX);
    put_typical_pairs(&pairs);
    put_request(&b, 1, buf_view(&pairs), 65535, 0);
    mem_fail_at(1);
    assert_int_equal(request_parse(buf_view(&b), &r, &eb), ERR_NOMEM);
    mem_fail_at(0);
    assert_null(r.bytes);
    a_good_request_is_read();
    assert_int_equal(closed_twice, 0);
    buf_finish(&pairs);
    buf_finish(&b);
}

static void
a_request_that_is_too_long_for_the_pipe_is_refused(void **state)
{
    static char large[4 * REQUEST_MAX];
    struct buf pairs, b;
    struct request r;
    struct errbuf eb = {""};

    buf_init(&pairs, 2 * sizeof large);
    buf_init(&b, 2 * sizeof large);
    memset(large, 'x', sizeof large);
    put_pair(&pairs, TEXT_LIT("QUERY_STRING"), (struct text){large, sizeof large});
    put_request(&b, 1, buf_view(&pairs), 65535, 0);
    (void)state;
    assert_int_equal(request_parse(buf_view(&b), &r, &eb), ERR_IO);
    a_good_request_is_read();
    assert_int_equal(closed_twice, 0);
    buf_finish(&pairs);
    buf_finish(&b);
}

static void
plain_cgi_takes_its_request_from_the_environment(void **state)
{
    struct request r;
    struct errbuf eb = {""};

    (void)state;
    unsetenv("REQUEST_METHOD");
    assert_int_equal(request_from_environment(&r, &eb), ERR_INVALID);
    assert_non_null(strstr(eb.text, "--listen"));
    setenv("REQUEST_METHOD", "GET", 1);
    setenv("QUERY_STRING", "topic=a", 1);
    setenv("FRESHET_TOPICS", "", 1);
    unsetenv("HTTP_LAST_EVENT_ID");
    assert_int_equal(request_from_environment(&r, &eb), ERR_OK);
    assert_int_equal(r.id, 0);
    assert_true(text_equal(r.query, TEXT_LIT("topic=a")));
    assert_true(text_equal(r.topics, TEXT_LIT(""))); /* empty is not absent: nothing is granted */
    assert_null(r.last_event_id.p);
    request_finish(&r);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parameters_are_found_among_others),
        cmocka_unit_test(authorization_headers_are_counted),
        cmocka_unit_test(it_does_not_matter_how_parameters_are_split),
        cmocka_unit_test(the_first_record_may_be_padded),
        cmocka_unit_test(long_names_and_values_have_long_lengths),
        cmocka_unit_test(many_parameters_are_no_trouble),
        cmocka_unit_test(a_request_leaves_nothing_for_the_next_one),
        cmocka_unit_test(parameters_that_lie_about_their_length_are_refused),
        cmocka_unit_test(parameters_fit_up_to_their_last_byte),
        cmocka_unit_test(an_incomplete_request_fails_and_does_not_hang),
        cmocka_unit_test(a_request_without_memory_harms_only_itself),
        cmocka_unit_test(a_request_that_is_too_long_for_the_pipe_is_refused),
        cmocka_unit_test(plain_cgi_takes_its_request_from_the_environment),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
