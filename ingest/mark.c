#include "ingest/mark.h"

#include <errno.h>
#include <unistd.h>

/* FNV-1a: this tells files apart, it does not keep anybody out. */
static uint64_t
hash(uint64_t h, const unsigned char *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++)
        h = (h ^ bytes[i]) * 0x100000001b3;
    return h;
}

/* ERR_MISSING: the file ends before. */
static enum err
read_all(int fd, unsigned char *to, size_t n, int64_t at)
{
    while (n > 0) {
        ssize_t got = pread(fd, to, n, (off_t)at);

        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return got < 0 ? ERR_IO : ERR_MISSING;
        to += got;
        n -= (size_t)got;
        at += got;
    }
    return ERR_OK;
}

static enum err
make_print(int fd, int64_t offset, uint64_t *print)
{
    unsigned char bytes[MARK_PRINT_SPAN];
    size_t n = offset < MARK_PRINT_SPAN ? (size_t)offset : MARK_PRINT_SPAN;
    enum err err = read_all(fd, bytes, n, 0);

    if (err != ERR_OK)
        return err;
    *print = hash(0xcbf29ce484222325, bytes, n);
    err = read_all(fd, bytes, n, offset - (int64_t)n);
    *print = hash(*print, bytes, n);
    return err;
}

enum err
mark_take(struct mark *m, int fd, int64_t offset)
{
    struct stat st;
    uint64_t print;
    enum err err = fstat(fd, &st) == 0 ? make_print(fd, offset, &print) : ERR_IO;

    if (err != ERR_OK)
        return err;
    m->offset = offset;
    m->device = (uint64_t)st.st_dev;
    m->inode = (uint64_t)st.st_ino;
    m->print = print;
    return ERR_OK;
}

enum err
mark_fits(const struct mark *m, int fd, bool *fits)
{
    uint64_t print;
    enum err err = make_print(fd, m->offset, &print);

    *fits = err == ERR_OK && print == m->print;
    return err == ERR_MISSING ? ERR_OK : err;
}
