#include "fcgi/outlet.h"

#include <assert.h>
#include <errno.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/mem.h"
#include "fcgi/record.h"

/* With 32 KB for both --record-bytes and --send-buffer, a part of an event and its header are one
 * of the kernel's buffers, which has 64 bytes less than that. Two of these are in the socket then,
 * and not a third: more than 64 KB there goes through temporary files of lighttpd. */
enum { PART_SPARE = 128 };

void
outlet_init(struct outlet *o, int fd, uint16_t request_id, bool bare)
{
    *o = (struct outlet){.fd = fd, .request_id = request_id, .bare = bare};
}

void
outlet_finish(struct outlet *o)
{
    mem_free(o->rest);
    o->rest = NULL;
    o->rest_at = o->rest_n = 0;
}

/* One attempt. >= 0 bytes taken (0 = would block), -1 the connection is broken. */
static ssize_t
attempt(struct outlet *o, const struct iovec *pieces, int n)
{
    ssize_t taken;

    do
        taken = writev(o->fd, pieces, n);
    while (taken < 0 && errno == EINTR);
    if (taken < 0)
        return errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS ? 0 : -1;
    o->bytes += (uint64_t)taken;
    return taken;
}

int
outlet_unread(const struct outlet *o)
{
    int bytes;

    return ioctl(o->fd, SIOCOUTQ, &bytes) == 0 ? bytes : 0;
}

enum outlet_sent
outlet_flush(struct outlet *o)
{
    struct iovec rest = {o->rest + o->rest_at, o->rest_n - o->rest_at};
    ssize_t taken;

    if (!outlet_pending(o))
        return OUTLET_SENT;
    taken = attempt(o, &rest, 1);
    if (taken < 0)
        return OUTLET_GONE;
    o->rest_at += (uint32_t)taken;
    if (outlet_pending(o)) /* the socket is full: trying again now would only fail again */
        return OUTLET_KEPT;
    outlet_finish(o);
    return OUTLET_SENT;
}

/* The bytes become what is kept, behind what is. Takes the buffer's memory over, or frees it. */
static bool
keep(struct outlet *o, struct buf *b)
{
    struct buf all;
    bool kept = !buf_failed(b);

    if (kept && outlet_pending(o)) {
        buf_init(&all, UINT32_MAX);
        buf_append(&all, o->rest + o->rest_at, o->rest_n - o->rest_at);
        buf_text(&all, buf_view(b));
        buf_finish(b);
        *b = all;
        kept = !buf_failed(b);
    }
    if (!kept || b->length == 0) {
        buf_finish(b);
        return kept;
    }
    mem_free(o->rest);
    o->rest = b->data;
    o->rest_at = 0;
    o->rest_n = (uint32_t)b->length;
    return true;
}

bool
outlet_hold(struct outlet *o, struct text text)
{
    struct buf b;

    buf_init(&b, UINT32_MAX);
    if (o->bare)
        buf_text(&b, text);
    else
        record_stdout(&b, o->request_id, text);
    return keep(o, &b);
}

bool
outlet_hold_record(struct outlet *o, struct text record)
{
    struct buf b;

    buf_init(&b, UINT32_MAX);
    buf_text(&b, record);
    return keep(o, &b);
}

bool
outlet_hold_end(struct outlet *o)
{
    struct buf b;

    buf_init(&b, 64);
    if (!o->bare)
        record_end(&b, o->request_id);
    return keep(o, &b);
}

/* Keeps what follows the first `skip` bytes of the pieces; what was kept before is among these. */
static enum outlet_sent
keep_rest(struct outlet *o, const struct iovec *pieces, int n, size_t skip, size_t total)
{
    char *to = mem_alloc(total - skip), *rest = to;

    assert(total <= UINT32_MAX);
    if (!to)
        return OUTLET_NO_MEMORY;
    for (int i = 0; i < n; i++) {
        size_t from = skip < pieces[i].iov_len ? skip : pieces[i].iov_len;

        memcpy(to, (char *)pieces[i].iov_base + from, pieces[i].iov_len - from);
        to += pieces[i].iov_len - from;
        skip -= from;
    }
    mem_free(o->rest);
    o->rest = rest;
    o->rest_at = 0;
    o->rest_n = (uint32_t)(to - rest);
    return OUTLET_KEPT;
}

/* One write of what is kept and the pieces. */
static enum outlet_sent
send_pieces(struct outlet *o, const struct iovec *pieces, int n, size_t total)
{
    size_t kept = outlet_pending(o) ? o->rest_n - o->rest_at : 0;
    struct iovec all[2 + GATHER_PIECES];
    ssize_t taken;

    if (kept > 0) {
        all[0] = (struct iovec){o->rest + o->rest_at, kept};
        memcpy(all + 1, pieces, (size_t)n * sizeof *pieces);
        pieces = all;
        n++;
    }
    taken = attempt(o, pieces, n);
    if (taken < 0)
        return OUTLET_GONE;
    if ((size_t)taken <= kept) { /* the new record has not begun */
        o->rest_at += (uint32_t)taken;
        return OUTLET_NOTHING;
    }
    if ((size_t)taken < kept + total)
        return keep_rest(o, pieces, n, (size_t)taken, kept + total);
    outlet_finish(o);
    return OUTLET_SENT;
}

/* Leaves of the pieces n bytes, from there on. */
static void
cut_out(struct gather *g, size_t from, size_t n)
{
    int kept = 1;

    g->bytes = n;
    for (int i = 1; i < g->n; i++) {
        struct iovec piece = g->pieces[i];
        size_t skip = from < piece.iov_len ? from : piece.iov_len;
        size_t left = piece.iov_len - skip < n ? piece.iov_len - skip : n;

        from -= skip;
        n -= left;
        if (left > 0)
            g->pieces[kept++] = (struct iovec){(char *)piece.iov_base + skip, left};
    }
    g->n = kept;
}

static enum outlet_sent
send_record(struct outlet *o, struct gather *g)
{
    unsigned char head[RECORD_HEAD];

    if (o->bare)
        return send_pieces(o, g->pieces + 1, g->n - 1, g->bytes);
    record_stdout_head(head, o->request_id, g->bytes);
    g->pieces[0] = (struct iovec){head, sizeof head};
    return send_pieces(o, g->pieces, g->n, g->bytes + sizeof head);
}

enum outlet_sent
outlet_gather(struct outlet *o, struct gather *g, uint32_t *part)
{
    size_t all = g->bytes, n = all - *part,
           max = g->bytes_max < RECORD_CONTENT_MAX ? g->bytes_max : RECORD_CONTENT_MAX;
    enum outlet_sent sent;

    assert(g->n > 1 && *part < all && all <= UINT32_MAX && (*part == 0 || all > max));
    if (all > max)
        cut_out(g, *part, n < max - PART_SPARE ? n : max - PART_SPARE);
    sent = send_record(o, g);
    if (all > max && (sent == OUTLET_SENT || sent == OUTLET_KEPT))
        *part = *part + g->bytes < all ? *part + (uint32_t)g->bytes : 0;
    return sent;
}
