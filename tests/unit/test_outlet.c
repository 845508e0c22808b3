/* outlet: whatever the socket takes of a write, the web server receives the same bytes.
 *
 * writev() is replaced (--wrap): it takes as many bytes as the test allows at a time, and then
 * fails as the test wants. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/mem.h"
#include "fcgi/outlet.h"
#include "fcgi/record.h"

enum { ANY = -1, DATA = 1024 * 1024 };

/* ---- a socket that does as it is told ---- */

struct answer {
    ssize_t take; /* how many bytes; ANY = all; 0 = fail with `error` */
    int error;
};

static const struct answer *answers; /* NULL: the kernel is asked */
static size_t n_answers;             /* after the last one everything is taken */
static struct buf received;

ssize_t __wrap_writev(int fd, const struct iovec *pieces, int n);
ssize_t __real_writev(int fd, const struct iovec *pieces, int n);

ssize_t
__wrap_writev(int fd, const struct iovec *pieces, int n)
{
    struct answer a = {ANY, 0};
    ssize_t taken = 0;

    if (!answers)
        return __real_writev(fd, pieces, n);
    if (n_answers > 0) {
        a = *answers++;
        n_answers--;
    }
    if (a.take == 0) {
        errno = a.error;
        return -1;
    }
    for (int i = 0; i < n; i++) {
        size_t part = pieces[i].iov_len;

        if (a.take != ANY && part > (size_t)(a.take - taken))
            part = (size_t)(a.take - taken);
        buf_append(&received, pieces[i].iov_base, part);
        taken += (ssize_t)part;
    }
    return taken;
}

static void
answer_with(const struct answer *with, size_t n)
{
    if (!received.data) { /* room for all, so that it is the outlet that runs out of memory */
        buf_init(&received, 2 * DATA);
        buf_reserve(&received, 2 * DATA);
    }
    buf_clear(&received);
    answers = with;
    n_answers = n;
}

/* ---- a web server: contents of the FCGI_STDOUT records ---- */

static void
unframe(struct text bytes, uint16_t id, struct buf *content)
{
    const unsigned char *p = (const unsigned char *)bytes.p;

    for (size_t at = 0, n; at < bytes.n; at += RECORD_HEAD + n) {
        assert_true(bytes.n - at >= RECORD_HEAD);
        assert_int_equal(p[at], 1);
        assert_int_equal(p[at + 1], 6);
        assert_int_equal(p[at + 2] << 8 | p[at + 3], id);
        n = (size_t)p[at + 4] << 8 | p[at + 5];
        assert_in_range(n, 1, RECORD_CONTENT_MAX);
        assert_int_equal(p[at + 6], 0);
        assert_true(bytes.n - at >= RECORD_HEAD + n);
        buf_append(content, p + at + RECORD_HEAD, n);
    }
}

static void
must_hold(struct text bytes, uint16_t id, struct text content)
{
    struct buf b;

    buf_init(&b, 8 * DATA);
    unframe(bytes, id, &b);
    assert_true(text_equal(buf_view(&b), content));
    buf_finish(&b);
}

/* ---- what is sent ---- */

static char frames[] =
    "id: 1-k3f9\ndata: one\n\nid: 2-k3f9\ndata: two\n\nid: 3-k3f9\ndata: three\n\n";

/* The frames in pieces that lie apart, as a feed would give them. */
static void
gather_frames(struct gather *g)
{
    static const size_t cuts[] = {22, 44, sizeof frames - 1};
    size_t from = 0;

    gather_init(g, 1000);
    for (size_t i = 0; i < sizeof cuts / sizeof *cuts; i++) {
        g->pieces[g->n++] = (struct iovec){frames + from, cuts[i] - from};
        g->bytes += cuts[i] - from;
        from = cuts[i];
    }
}

/* What is not larger than a record needs no part of an event. */
static uint32_t none;

static const struct text frames_text = {frames, sizeof frames - 1};

/* ---- tests ---- */

static void
a_record_cut_anywhere_arrives_whole(void **state)
{
    (void)state;
    for (ssize_t cut = 0; cut <= (ssize_t)frames_text.n + RECORD_HEAD; cut++) {
        struct answer first[] = {{cut, EAGAIN}};
        struct gather g;
        struct outlet o;
        enum outlet_sent sent;

        outlet_init(&o, -1, 0x1234, false);
        gather_frames(&g);
        answer_with(first, 1);
        sent = outlet_gather(&o, &g, &none);
        if (cut == 0) {
            assert_int_equal(sent, OUTLET_NOTHING);
            assert_false(outlet_pending(&o));
            assert_int_equal(outlet_gather(&o, &g, &none), OUTLET_SENT);
        } else if (cut < (ssize_t)frames_text.n + RECORD_HEAD) {
            assert_int_equal(sent, OUTLET_KEPT);
            assert_true(outlet_pending(&o));
            memset(g.scratch, '!', sizeof g.scratch);
            assert_int_equal(outlet_flush(&o), OUTLET_SENT);
        } else {
            assert_int_equal(sent, OUTLET_SENT);
        }
        assert_false(outlet_pending(&o));
        assert_null(o.rest);
        assert_int_equal(o.bytes, received.length);
        must_hold(buf_view(&received), 0x1234, frames_text);
        outlet_finish(&o);
    }
}

/* The ring may move on as soon as the write has returned: the rest is a copy. */
static void
what_is_kept_does_not_follow_the_window(void **state)
{
    static const struct answer first[] = {{10, 0}, {3, 0}, {0, EAGAIN}};
    char moving[] = "data: as it was\n\n";
    struct gather g;
    struct outlet o;

    (void)state;
    outlet_init(&o, -1, 1, false);
    gather_init(&g, 1000);
    g.pieces[g.n++] = (struct iovec){moving, sizeof moving - 1};
    g.bytes = sizeof moving - 1;
    answer_with(first, 3);
    assert_int_equal(outlet_gather(&o, &g, &none), OUTLET_KEPT);
    memset(moving, '!', sizeof moving - 1);
    assert_int_equal(outlet_flush(&o), OUTLET_KEPT);
    assert_int_equal(received.length, 13);
    assert_int_equal(outlet_flush(&o), OUTLET_KEPT);
    assert_int_equal(received.length, 13);
    assert_int_equal(outlet_flush(&o), OUTLET_SENT);
    must_hold(buf_view(&received), 1, TEXT_LIT("data: as it was\n\n"));
    outlet_finish(&o);
}

static void
plain_cgi_gets_bare_bytes_whatever_the_cut(void **state)
{
    (void)state;
    for (ssize_t cut = 1; cut <= (ssize_t)frames_text.n; cut++) {
        struct answer first[] = {{cut, 0}};
        struct gather g;
        struct outlet o;

        outlet_init(&o, -1, 0, true);
        gather_frames(&g);
        answer_with(first, 1);
        if (outlet_gather(&o, &g, &none) == OUTLET_KEPT)
            assert_int_equal(outlet_flush(&o), OUTLET_SENT);
        assert_true(text_equal(buf_view(&received), frames_text));
        assert_true(outlet_hold_end(&o));
        assert_int_equal(outlet_flush(&o), OUTLET_SENT);
        assert_int_equal(received.length, frames_text.n);
        outlet_finish(&o);
    }
}

static void
gather_large(struct gather *g, char *large, size_t n, size_t bytes_max)
{
    gather_init(g, bytes_max);
    g->pieces[g->n++] = (struct iovec){large, n / 3};
    g->pieces[g->n++] = (struct iovec){large + n / 3, n - n / 3};
    g->bytes = n;
}

/* An event of a mebibyte is many records; cuts around every record's edge. */
static void
a_large_event_goes_as_several_records(void **state)
{
    static char large[DATA];
    static const ssize_t edges[] = {
        0, 1, 7, 8, 9, 65542, 65543, 65544, 65551, 131086, 131087, DATA, DATA + 17 * 8 - 1};

    (void)state;
    for (size_t i = 0; i < sizeof large; i++)
        large[i] = (char)('a' + i % 23);
    for (size_t i = 0; i < sizeof edges / sizeof *edges; i++) {
        struct answer first[] = {{edges[i], EAGAIN}};
        uint32_t part = 0;
        unsigned records = 0;
        struct gather g;
        struct outlet o;

        outlet_init(&o, -1, 7, false);
        answer_with(first, 1);
        do {
            enum outlet_sent sent;

            gather_large(&g, large, sizeof large, 2 * RECORD_CONTENT_MAX);
            sent = outlet_gather(&o, &g, &part);
            /* It is one record's rest that is kept, not the event's. */
            assert_in_range(outlet_memory(&o), 0, RECORD_HEAD + RECORD_CONTENT_MAX);
            if (sent == OUTLET_KEPT)
                assert_int_equal(outlet_flush(&o), OUTLET_SENT);
            records += sent != OUTLET_NOTHING;
        } while (part > 0 || records == 0);
        assert_true(records > DATA / RECORD_CONTENT_MAX);
        must_hold(buf_view(&received), 7, (struct text){large, sizeof large});
        outlet_finish(&o);
    }
}

static void
a_text_waits_until_it_is_flushed(void **state)
{
    (void)state;
    for (ssize_t cut = 0; cut <= 13; cut++) {
        struct answer first[] = {{cut, EAGAIN}};
        struct outlet o;

        outlet_init(&o, -1, 9, false);
        answer_with(first, 1);
        assert_true(outlet_hold(&o, TEXT_LIT(":\n\nx")));
        assert_int_equal(received.length, 0);
        assert_int_equal(outlet_flush(&o), cut < 12 ? OUTLET_KEPT : OUTLET_SENT);
        assert_int_equal(outlet_flush(&o), OUTLET_SENT);
        must_hold(buf_view(&received), 9, TEXT_LIT(":\n\nx"));
        outlet_finish(&o);
    }
}

/* A head, then events: in that order, in one write, wherever it is cut. */
static void
what_is_held_goes_out_before_what_is_gathered(void **state)
{
    const struct text head = TEXT_LIT("Status: 200 OK\r\n\r\nretry: 1\n\n");
    const ssize_t held = 2 * RECORD_HEAD + (ssize_t)head.n,
                  all = held + RECORD_HEAD + (ssize_t)frames_text.n;
    struct buf expected;

    (void)state;
    buf_init(&expected, 1000);
    buf_text(&expected, head);
    buf_text(&expected, frames_text);
    for (ssize_t cut = 0; cut <= all; cut++) {
        struct answer first[] = {{cut, EAGAIN}};
        struct gather g;
        struct outlet o;
        enum outlet_sent sent;

        outlet_init(&o, -1, 3, false);
        assert_true(outlet_hold(&o, (struct text){head.p, 10}));
        assert_true(outlet_hold(&o, (struct text){head.p + 10, head.n - 10}));
        gather_frames(&g);
        answer_with(first, 1);
        sent = outlet_gather(&o, &g, &none);
        assert_int_equal(sent, cut <= held ? OUTLET_NOTHING
                               : cut < all ? OUTLET_KEPT
                                           : OUTLET_SENT);
        if (sent == OUTLET_NOTHING) /* of the record; of what was held some may be gone */
            assert_int_equal(outlet_gather(&o, &g, &none), OUTLET_SENT);
        assert_int_equal(outlet_flush(&o), OUTLET_SENT);
        must_hold(buf_view(&received), 3, buf_view(&expected));
        assert_int_equal(o.bytes, received.length);
        outlet_finish(&o);
    }
    buf_finish(&expected);
}

static void
the_end_is_an_empty_stream_and_end_request(void **state)
{
    static const char end[] = "\1\6\0\5\0\0\0\0"
                              "\1\3\0\5\0\10\0\0"
                              "\0\0\0\0\0\0\0\0";

    (void)state;
    for (ssize_t cut = 0; cut <= 24; cut++) {
        struct answer first[] = {{cut, EAGAIN}};
        struct outlet o;

        outlet_init(&o, -1, 5, false);
        answer_with(first, 1);
        assert_true(outlet_hold_end(&o));
        if (outlet_flush(&o) != OUTLET_SENT)
            assert_int_equal(outlet_flush(&o), OUTLET_SENT);
        assert_true(text_equal(buf_view(&received), (struct text){end, 24}));
        outlet_finish(&o);
    }
}

static void
an_interrupted_write_is_repeated(void **state)
{
    static const struct answer signals[] = {{0, EINTR}, {0, EINTR}, {5, 0}, {0, EINTR}};
    struct gather g;
    struct outlet o;

    (void)state;
    outlet_init(&o, -1, 1, false);
    gather_frames(&g);
    answer_with(signals, 4);
    assert_int_equal(outlet_gather(&o, &g, &none), OUTLET_KEPT);
    assert_int_equal(outlet_flush(&o), OUTLET_SENT);
    must_hold(buf_view(&received), 1, frames_text);
    outlet_finish(&o);
}

static void
a_broken_connection_is_gone(void **state)
{
    static const int errors[] = {EPIPE, ECONNRESET, EBADF, EIO};

    (void)state;
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
        struct answer broken[] = {{0, errors[i]}}, later[] = {{4, 0}, {0, errors[i]}};
        struct gather g;
        struct outlet o;

        outlet_init(&o, -1, 1, false);
        gather_frames(&g);
        answer_with(broken, 1);
        assert_int_equal(outlet_gather(&o, &g, &none), OUTLET_GONE);
        answer_with(broken, 1);
        assert_true(outlet_hold(&o, TEXT_LIT("x")));
        assert_int_equal(outlet_flush(&o), OUTLET_GONE);
        answer_with(broken, 1);
        assert_int_equal(outlet_gather(&o, &g, &none), OUTLET_GONE);
        outlet_finish(&o);
        answer_with(later, 2);
        assert_int_equal(outlet_gather(&o, &g, &none), OUTLET_KEPT);
        assert_int_equal(outlet_flush(&o), OUTLET_GONE);
        outlet_finish(&o);
    }
}

/* The kernel may be short of buffers for a moment; that is no reason to lose a client. */
static void
a_kernel_without_buffers_is_waited_for(void **state)
{
    static const struct answer full[] = {{0, ENOBUFS}};
    struct gather g;
    struct outlet o;

    (void)state;
    outlet_init(&o, -1, 1, false);
    gather_frames(&g);
    answer_with(full, 1);
    assert_int_equal(outlet_gather(&o, &g, &none), OUTLET_NOTHING);
    outlet_finish(&o);
}

static void
without_memory_for_the_rest_it_says_so(void **state)
{
    static const struct answer first[] = {{10, 0}};
    struct gather g;
    struct outlet o;

    (void)state;
    outlet_init(&o, -1, 1, false);
    gather_frames(&g);
    answer_with(first, 1);
    mem_fail_at(1);
    assert_int_equal(outlet_gather(&o, &g, &none), OUTLET_NO_MEMORY);
    mem_fail_at(0);
    assert_false(outlet_pending(&o));
    for (long n = 1; n <= 2; n++) { /* a text of its own, and joined to what is kept already */
        mem_fail_at(n);
        assert_int_equal(outlet_hold(&o, TEXT_LIT("x")), n == 2);
        mem_fail_at(0);
    }
    for (long n = 1; n <= 2; n++) {
        mem_fail_at(n);
        assert_false(outlet_hold(&o, TEXT_LIT("y")));
        mem_fail_at(0);
    }
    answer_with(NULL, 0);
    answers = first;
    assert_int_equal(outlet_flush(&o), OUTLET_SENT);
    must_hold(buf_view(&received), 1, TEXT_LIT("x"));
    /* What the socket takes whole needs no memory. */
    answer_with(first, 0);
    mem_fail_at(1);
    assert_int_equal(outlet_gather(&o, &g, &none), OUTLET_SENT);
    mem_fail_at(0);
    outlet_finish(&o);
}

/* The same with a real socket that is read slowly: partial writes as the kernel makes them. */
static void
a_real_socket_that_is_full_loses_nothing(void **state)
{
    static char large[DATA / 2], bytes[4096];
    int ends[2], size = 4096;
    struct buf got;
    struct gather g;
    struct outlet o;
    enum outlet_sent sent;
    uint32_t part = 0;
    unsigned kept = 0;
    ssize_t n;

    (void)state;
    answers = NULL;
    for (size_t i = 0; i < sizeof large; i++)
        large[i] = (char)('a' + i % 23);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
    setsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    buf_init(&got, 8 * DATA);
    outlet_init(&o, ends[0], 3, false);
    do {
        gather_large(&g, large, sizeof large, 32768);
        sent = outlet_gather(&o, &g, &part);
        kept += sent == OUTLET_KEPT;
        while (sent != OUTLET_SENT && (n = read(ends[1], bytes, sizeof bytes)) > 0) {
            buf_append(&got, bytes, (size_t)n);
            if (sent == OUTLET_KEPT)
                sent = outlet_flush(&o);
        }
    } while (part > 0 || got.length == 0);
    assert_true(kept > 0);
    assert_int_equal(sent, OUTLET_SENT);
    while ((n = read(ends[1], bytes, sizeof bytes)) > 0)
        buf_append(&got, bytes, (size_t)n);
    assert_int_equal(o.bytes, got.length);
    must_hold(buf_view(&got), 3, (struct text){large, sizeof large});
    outlet_finish(&o);
    buf_finish(&got);
    close(ends[0]);
    close(ends[1]);
}

static int
finish(void **state)
{
    (void)state;
    buf_finish(&received);
    return 0;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_record_cut_anywhere_arrives_whole),
        cmocka_unit_test(what_is_kept_does_not_follow_the_window),
        cmocka_unit_test(plain_cgi_gets_bare_bytes_whatever_the_cut),
        cmocka_unit_test(a_large_event_goes_as_several_records),
        cmocka_unit_test(a_text_waits_until_it_is_flushed),
        cmocka_unit_test(what_is_held_goes_out_before_what_is_gathered),
        cmocka_unit_test(the_end_is_an_empty_stream_and_end_request),
        cmocka_unit_test(an_interrupted_write_is_repeated),
        cmocka_unit_test(a_broken_connection_is_gone),
        cmocka_unit_test(a_kernel_without_buffers_is_waited_for),
        cmocka_unit_test(without_memory_for_the_rest_it_says_so),
        cmocka_unit_test(a_real_socket_that_is_full_loses_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, finish);
}
