#include "fcgi/outlet.h"

#include <assert.h>
#include <errno.h>
#include <unistd.h>

#include "base/mem.h"
#include "fcgi/record.h"

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

enum outlet_sent
outlet_flush(struct outlet *o)
{
    while (outlet_pending(o)) {
        struct iovec rest = {o->rest + o->rest_at, o->rest_n - o->rest_at};
        ssize_t taken = attempt(o, &rest, 1);

        if (taken < 0)
            return OUTLET_GONE;
        if (taken == 0)
            return OUTLET_KEPT;
        o->rest_at += (uint32_t)taken;
    }
    outlet_finish(o);
    return OUTLET_SENT;
}

/* Copies what follows the first `skip` bytes of the pieces. */
static enum outlet_sent
keep_rest(struct outlet *o, const struct iovec *pieces, int n, size_t skip, size_t total)
{
    char *to = mem_alloc(total - skip);

    assert(!outlet_pending(o) && total <= UINT32_MAX);
    if (!to)
        return OUTLET_NO_MEMORY;
    o->rest = to;
    o->rest_at = 0;
    o->rest_n = (uint32_t)(total - skip);
    for (int i = 0; i < n; i++) {
        size_t from = skip < pieces[i].iov_len ? skip : pieces[i].iov_len;

        memcpy(to, (char *)pieces[i].iov_base + from, pieces[i].iov_len - from);
        to += pieces[i].iov_len - from;
        skip -= from;
    }
    return OUTLET_KEPT;
}

/* Whole messages that are encoded already. */
static enum outlet_sent
send_bytes(struct outlet *o, const struct buf *b)
{
    struct iovec all = {b->data, b->length};
    ssize_t taken;

    if (buf_failed(b))
        return OUTLET_NO_MEMORY;
    if (b->length == 0)
        return OUTLET_SENT;
    taken = attempt(o, &all, 1);
    if (taken < 0)
        return OUTLET_GONE;
    if ((size_t)taken == b->length)
        return OUTLET_SENT;
    return keep_rest(o, &all, 1, (size_t)taken, b->length);
}

enum outlet_sent
outlet_text(struct outlet *o, struct text text)
{
    struct buf b;
    enum outlet_sent sent;

    buf_init(&b, UINT32_MAX);
    if (o->bare)
        buf_text(&b, text);
    else
        record_stdout(&b, o->request_id, text);
    sent = send_bytes(o, &b);
    buf_finish(&b);
    return sent;
}

static enum outlet_sent
send_large(struct outlet *o, const struct gather *g)
{
    struct buf b;
    enum outlet_sent sent;

    buf_init(&b, UINT32_MAX);
    for (int i = 1; i < g->n; i++)
        record_stdout(&b, o->request_id,
                      (struct text){g->pieces[i].iov_base, g->pieces[i].iov_len});
    sent = send_bytes(o, &b);
    buf_finish(&b);
    return sent;
}

enum outlet_sent
outlet_gather(struct outlet *o, struct gather *g)
{
    unsigned char head[RECORD_HEAD];
    const struct iovec *pieces = g->pieces;
    int n = g->n;
    size_t total = g->bytes;
    ssize_t taken;

    assert(!outlet_pending(o) && g->n > 1);
    if (o->bare) {
        pieces++;
        n--;
    } else if (g->bytes > RECORD_CONTENT_MAX) {
        return send_large(o, g);
    } else {
        record_stdout_head(head, o->request_id, g->bytes);
        g->pieces[0] = (struct iovec){head, sizeof head};
        total += sizeof head;
    }
    taken = attempt(o, pieces, n);
    if (taken < 0)
        return OUTLET_GONE;
    if (taken == 0)
        return OUTLET_NOTHING;
    if ((size_t)taken == total)
        return OUTLET_SENT;
    return keep_rest(o, pieces, n, (size_t)taken, total);
}

enum outlet_sent
outlet_end(struct outlet *o)
{
    struct buf b;
    enum outlet_sent sent;

    if (o->bare)
        return OUTLET_SENT;
    buf_init(&b, 64);
    record_end(&b, o->request_id);
    sent = send_bytes(o, &b);
    buf_finish(&b);
    return sent;
}
