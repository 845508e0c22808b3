#include "ingest/rejects.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ingest/logfile.h"

enum { PENDING_BYTES = 64 * 1024 };

bool
rejects_would_be(const char *path, const char *other)
{
    struct stat a, b;

    return stat(path, &a) == 0 && S_ISREG(a.st_mode) &&
           (other ? stat(other, &b) : fstat(STDIN_FILENO, &b)) == 0 && logfile_same(&a, &b);
}

enum err
rejects_open(struct rejects *r, const char *path, struct errbuf *eb)
{
    *r = (struct rejects){.fd = -1, .path = path};
    buf_init(&r->pending, SIZE_MAX / 2);
    if (!path)
        return ERR_OK;
    r->fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
    if (r->fd < 0)
        return err_set(eb, ERR_IO, "--rejects %s: %s", path, strerror(errno));
    return ERR_OK;
}

void
rejects_close(struct rejects *r)
{
    if (r->fd >= 0)
        close(r->fd);
    r->fd = -1;
    buf_finish(&r->pending);
}

static enum err
write_pending(struct rejects *r, struct errbuf *eb)
{
    struct text rest = buf_view(&r->pending);

    if (buf_failed(&r->pending))
        return err_set(eb, ERR_NOMEM, "--rejects %s: out of memory", r->path);
    while (rest.n) {
        ssize_t n = write(r->fd, rest.p, rest.n);

        if (n < 0 && errno != EINTR)
            return err_set(eb, errno == ENOSPC || errno == EDQUOT ? ERR_FULL : ERR_IO,
                           "--rejects %s: %s", r->path, strerror(errno));
        if (n > 0)
            rest = (struct text){rest.p + n, rest.n - (size_t)n};
    }
    r->unsynced = true;
    buf_clear(&r->pending);
    return ERR_OK;
}

/* The block as it would have come; its comments and unknown fields are gone. */
static void
add_block(struct buf *out, const struct split_item *item)
{
    if (item->type.p) {
        buf_string(out, "event: ");
        buf_text(out, item->type);
        buf_byte(out, '\n');
    }
    if (item->id.p) {
        buf_string(out, "id: ");
        buf_text(out, item->id);
        buf_byte(out, '\n');
    }
    buf_string(out, "data: ");
    for (size_t i = 0; i < item->data.n; i++) {
        buf_byte(out, item->data.p[i]);
        if (item->data.p[i] == '\n')
            buf_string(out, "data: ");
    }
    buf_string(out, "\n\n");
}

enum err
rejects_add(struct rejects *r, enum format format, const struct split_item *item, struct errbuf *eb)
{
    if (r->fd < 0)
        return ERR_OK;
    if (format == FORMAT_SSE) {
        if (item->kind == SPLIT_WHOLE)
            add_block(&r->pending, item);
    } else {
        buf_append(&r->pending, item->data.p, item->data.n + item->has_cr);
        if (item->kind != SPLIT_PIECE)
            buf_byte(&r->pending, '\n');
    }
    return r->pending.length >= PENDING_BYTES || buf_failed(&r->pending) ? write_pending(r, eb)
                                                                         : ERR_OK;
}

bool
rejects_pending(const struct rejects *r)
{
    return r->pending.length > 0 || r->unsynced;
}

enum err
rejects_flush(struct rejects *r, struct errbuf *eb)
{
    enum err err = ERR_OK;

    if (r->pending.length || buf_failed(&r->pending))
        err = write_pending(r, eb);
    if (err != ERR_OK || !r->unsynced)
        return err;
    r->unsynced = false;
    if (fdatasync(r->fd) != 0 && errno != EINVAL) /* EINVAL: a pipe or a terminal */
        return err_set(eb, ERR_IO, "--rejects %s: %s", r->path, strerror(errno));
    return ERR_OK;
}
