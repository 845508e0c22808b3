/* fcgi: records as a web server sends them, requests that libfcgi reads out of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/mem.h"
#include "fcgi/record.h"
#include "fcgi/request.h"

#define COUNT_OF(array) (sizeof(array) / sizeof *(array))

enum { REQUEST_MAX = 128 * 1024, BEGIN = 1, ABORT = 2, PARAMS = 4, STDIN = 5 };

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

/* ---- a web server that writes a request ---- */

static void
put_record(struct buf *b, int type, unsigned id, struct text content, size_t padding)
{
    unsigned char head[RECORD_HEAD] = {1,
                                       (unsigned char)type,
                                       (unsigned char)(id >> 8),
                                       (unsigned char)id,
                                       (unsigned char)(content.n >> 8),
                                       (unsigned char)content.n,
                                       (unsigned char)padding,
                                       0};

    assert_true(content.n <= 65535 && padding <= 255);
    buf_append(b, head, sizeof head);
    buf_append(b, content.p, content.n);
    while (padding-- > 0)
        buf_byte(b, '#');
}

static void
put_begin(struct buf *b, unsigned id)
{
    put_record(b, BEGIN, id, (struct text){"\0\1\0\0\0\0\0\0", 8}, 0);
}

static void
put_length(struct buf *b, size_t n)
{
    if (n < 128) {
        buf_byte(b, (char)n);
    } else {
        buf_byte(b, (char)(n >> 24 | 0x80));
        buf_byte(b, (char)(n >> 16));
        buf_byte(b, (char)(n >> 8));
        buf_byte(b, (char)n);
    }
}

static void
put_pair(struct buf *b, struct text name, struct text value)
{
    put_length(b, name.n);
    put_length(b, value.n);
    buf_text(b, name);
    buf_text(b, value);
}

/* A whole request with these parameters, in records of at most content_max bytes. */
static void
put_request(struct buf *b, unsigned id, struct text pairs, size_t content_max, size_t padding)
{
    put_begin(b, id);
    while (pairs.n > 0) {
        size_t n = pairs.n < content_max ? pairs.n : content_max;

        put_record(b, PARAMS, id, (struct text){pairs.p, n}, padding);
        pairs = (struct text){pairs.p + n, pairs.n - n};
    }
    put_record(b, PARAMS, id, TEXT_LIT(""), padding);
}

static void
put_typical_pairs(struct buf *b)
{
    put_pair(b, TEXT_LIT("QUERY_STRING"), TEXT_LIT("topic=a&last=5"));
    put_pair(b, TEXT_LIT("REQUEST_METHOD"), TEXT_LIT("GET"));
    put_pair(b, TEXT_LIT("HTTP_LAST_EVENT_ID"), TEXT_LIT(""));
    put_pair(b, TEXT_LIT("HTTP_X"), TEXT_LIT("y"));
    put_pair(b, TEXT_LIT("REMOTE_ADDR"), TEXT_LIT("2001:db8::1"));
}

/* ---- record ---- */

static void
a_request_is_whole_at_its_last_byte_and_not_before(void **state)
{
    static const size_t paddings[] = {0, 1, 255};
    static const size_t splits[] = {1, 7, 65535};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(paddings) * COUNT_OF(splits); i++) {
        struct buf pairs, b;
        size_t n = 0;

        buf_init(&pairs, REQUEST_MAX);
        buf_init(&b, REQUEST_MAX);
        put_typical_pairs(&pairs);
        put_request(&b, 0x1234, buf_view(&pairs), splits[i / COUNT_OF(paddings)],
                    paddings[i % COUNT_OF(paddings)]);
        for (size_t prefix = 0; prefix < b.length; prefix++) {
            /* A copy, so that a look beyond the prefix is caught by the sanitizer. */
            char *copy = mem_copy((struct text){b.data, prefix});
            enum record_look look = record_look((struct text){copy, prefix}, &n);

            mem_free(copy);
            if (look != RECORD_PARTLY)
                fail_msg("%zu of %zu bytes", prefix, b.length);
        }
        assert_int_equal(record_look(buf_view(&b), &n), RECORD_WHOLE);
        assert_int_equal(n, b.length);
        put_record(&b, STDIN, 0x1234, TEXT_LIT(""), 0); /* a body may follow */
        assert_int_equal(record_look(buf_view(&b), &n), RECORD_WHOLE);
        assert_int_equal(n, b.length - RECORD_HEAD);
        buf_finish(&pairs);
        buf_finish(&b);
    }
}

static void
a_web_server_says_whether_it_keeps_the_connection(void **state)
{
    struct buf b;

    (void)state;
    for (int flags = 0; flags < 4; flags++) {
        const char begin[] = {0, 1, (char)flags, 0, 0, 0, 0, 0};

        buf_init(&b, REQUEST_MAX);
        put_record(&b, BEGIN, 1, (struct text){begin, sizeof begin}, 0);
        assert_int_equal(record_keeps(buf_view(&b)), flags & 1);
        assert_false(record_keeps((struct text){b.data, b.length - 1}));
        buf_finish(&b);
    }
}

static enum record_look
look(struct buf *b)
{
    size_t n;
    enum record_look result = record_look(buf_view(b), &n);

    buf_clear(b);
    return result;
}

static void
what_is_no_request_is_garbage(void **state)
{
    struct buf b;

    (void)state;
    buf_init(&b, REQUEST_MAX);
    buf_string(&b, "GET / HTTP/1.1\r\n\r\n");
    assert_int_equal(look(&b), RECORD_GARBAGE);
    buf_append(&b, "\0\0\0\0\0\0\0\0", 8);
    assert_int_equal(look(&b), RECORD_GARBAGE);
    put_begin(&b, 1);
    b.data[0] = 2; /* version */
    assert_int_equal(look(&b), RECORD_GARBAGE);
    put_begin(&b, 0); /* a management record's id */
    assert_int_equal(look(&b), RECORD_GARBAGE);
    put_record(&b, BEGIN, 1, TEXT_LIT("seven b"), 0);
    assert_int_equal(look(&b), RECORD_GARBAGE);
    put_begin(&b, 1);
    b.data[RECORD_HEAD + 1] = 2; /* the role of an authorizer */
    assert_int_equal(look(&b), RECORD_GARBAGE);
    put_record(&b, PARAMS, 1, TEXT_LIT(""), 0); /* without a beginning */
    assert_int_equal(look(&b), RECORD_GARBAGE);
    put_record(&b, 9, 0, TEXT_LIT(""), 0); /* FCGI_GET_VALUES */
    assert_int_equal(look(&b), RECORD_GARBAGE);
    put_begin(&b, 1);
    put_record(&b, PARAMS, 2, TEXT_LIT(""), 0); /* of another request */
    assert_int_equal(look(&b), RECORD_GARBAGE);
    put_begin(&b, 1);
    put_begin(&b, 1);
    assert_int_equal(look(&b), RECORD_GARBAGE);
    put_begin(&b, 1);
    put_record(&b, STDIN, 1, TEXT_LIT(""), 0);
    assert_int_equal(look(&b), RECORD_GARBAGE);
    put_begin(&b, 1);
    put_record(&b, ABORT, 1, TEXT_LIT(""), 0);
    assert_int_equal(look(&b), RECORD_GARBAGE);
    put_begin(&b, 1);
    put_record(&b, PARAMS, 1, TEXT_LIT("\1\1ab"), 0);
    b.data[2 * RECORD_HEAD] = 3; /* version of the second record */
    assert_int_equal(look(&b), RECORD_GARBAGE);
    buf_finish(&b);
}

/* Any bytes give an answer, and a look never reads beyond them. */
static void
random_bytes_never_confuse_a_look(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20000; seed++) {
        uint64_t random = seed;
        struct buf b;
        size_t n = 0;
        char *copy;

        buf_init(&b, REQUEST_MAX);
        put_begin(&b, 1);
        put_record(&b, PARAMS, 1, TEXT_LIT("\1\1ab"), seed % 5);
        put_record(&b, PARAMS, 1, TEXT_LIT(""), 0);
        for (int changes = 0; changes < 3; changes++) {
            random = random * 6364136223846793005ULL + 1442695040888963407ULL;
            b.data[(random >> 33) % b.length] = (char)(random >> 56);
        }
        copy = mem_copy(buf_view(&b));
        if (record_look((struct text){copy, b.length}, &n) == RECORD_WHOLE && n > b.length)
            fail_msg("seed %llu", (unsigned long long)seed);
        mem_free(copy);
        buf_finish(&b);
    }
}

static void
output_is_split_at_65535_bytes(void **state)
{
    static const size_t lengths[] = {0, 1, 65534, 65535, 65536, 131070, 131071, 200000};
    static char text[200000];

    (void)state;
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = (char)('a' + i % 23);
    for (size_t i = 0; i < COUNT_OF(lengths); i++) {
        struct buf b;
        size_t seen = 0;

        buf_init(&b, 4 * sizeof text);
        record_stdout(&b, 0xfedc, (struct text){text, lengths[i]});
        for (size_t at = 0; at < b.length;) {
            const unsigned char *p = (const unsigned char *)b.data + at;
            size_t n = (size_t)p[4] << 8 | p[5];

            assert_memory_equal(p, "\1\6\xfe\xdc", 4);
            assert_int_equal(p[6], 0);
            assert_in_range(n, 1, 65535);
            assert_true(n == 65535 || seen + n == lengths[i]);
            assert_memory_equal(p + RECORD_HEAD, text + seen, n);
            seen += n;
            at += RECORD_HEAD + n;
        }
        assert_int_equal(seen, lengths[i]);
        buf_finish(&b);
    }
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
        cmocka_unit_test(a_request_is_whole_at_its_last_byte_and_not_before),
        cmocka_unit_test(a_web_server_says_whether_it_keeps_the_connection),
        cmocka_unit_test(what_is_no_request_is_garbage),
        cmocka_unit_test(random_bytes_never_confuse_a_look),
        cmocka_unit_test(output_is_split_at_65535_bytes),
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
