/* record: FastCGI records as a web server sends them. */
#include "tests/unit/front.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "fcgi/record.h"

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

/* What is answered to a record of this type and content; NULL = it is refused. */
static const char *
answer_to(int type, struct text content, size_t *n)
{
    static char answer[512];
    struct buf b, out;
    size_t used = 0;
    bool good;

    buf_init(&b, REQUEST_MAX);
    buf_init(&out, sizeof answer);
    put_record(&b, type, 0, content, 3);
    for (size_t prefix = 0; prefix < b.length; prefix++)
        assert_int_equal(record_look((struct text){b.data, prefix}, &used), RECORD_PARTLY);
    put_begin(&b, 1);
    assert_int_equal(record_look(buf_view(&b), &used), RECORD_MANAGEMENT);
    assert_int_equal(used, RECORD_HEAD + content.n + 3);
    good = record_answer_management(&out, (struct text){b.data, used}, 19950);
    assert_true(out.length < sizeof answer);
    memcpy(answer, out.data ? out.data : "", out.length);
    *n = out.length;
    buf_finish(&b);
    buf_finish(&out);
    return good ? answer : NULL;
}

#define ANSWER(text)                                                                               \
    {                                                                                              \
        text, sizeof(text) - 1                                                                     \
    }

static void
a_web_server_may_ask_for_values(void **state)
{
    static const struct {
        struct text content, answer;
    } rows[] = {
        {TEXT_LIT(""), ANSWER("\1\x0a\0\0\0\0\0\0")},
        {TEXT_LIT("\x0e\0FCGI_MAX_CONNS"), ANSWER("\1\x0a\0\0\0\x15\0\0\x0e\5FCGI_MAX_CONNS19950")},
        {TEXT_LIT("\xf\0FCGI_MPXS_CONNS\xd\0FCGI_MAX_REQS\xe\0FCGI_MAX_CONNS"),
         ANSWER("\1\x0a\0\0\0\x3b\0\0\x0e\5FCGI_MAX_CONNS19950\xd\5FCGI_MAX_REQS19950"
                "\xf\1FCGI_MPXS_CONNS0")},
        /* unknown names are left out, a value that is sent along and a repetition count for nothing
         */
        {TEXT_LIT("\x4\2FCGIxx\xf\3FCGI_MPXS_CONNSyes\xf\0FCGI_MPXS_CONNS"
                  "\x80\0\0\x15\0FCGI_MAX_CONNS_and_so"),
         ANSWER("\1\x0a\0\0\0\x12\0\0\xf\1FCGI_MPXS_CONNS0")},
    };
    static const struct text refused[] = {TEXT_LIT("\x0e"), TEXT_LIT("\x0e\0FCGI_MAX_CONN"),
                                          TEXT_LIT("\xff\xff"), TEXT_LIT("\1\1a")};
    size_t n;

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const char *answer = answer_to(9, rows[i].content, &n);

        assert_non_null(answer);
        if (!text_equal((struct text){answer, n}, rows[i].answer))
            fail_msg("row %zu: %zu bytes", i, n);
    }
    for (size_t i = 0; i < COUNT_OF(refused); i++)
        assert_null(answer_to(9, refused[i], &n));
}

static void
an_unknown_question_is_answered_too(void **state)
{
    size_t n;
    const char *answer = answer_to(200, TEXT_LIT("whatever"), &n);

    (void)state;
    assert_int_equal(n, 16);
    assert_memory_equal(answer, "\1\x0b\0\0\0\x08\0\0\xc8\0\0\0\0\0\0\0", 16);
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

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_is_whole_at_its_last_byte_and_not_before),
        cmocka_unit_test(a_web_server_says_whether_it_keeps_the_connection),
        cmocka_unit_test(what_is_no_request_is_garbage),
        cmocka_unit_test(a_web_server_may_ask_for_values),
        cmocka_unit_test(an_unknown_question_is_answered_too),
        cmocka_unit_test(random_bytes_never_confuse_a_look),
        cmocka_unit_test(output_is_split_at_65535_bytes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
