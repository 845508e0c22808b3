#include "ingest/logfile.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

int
logfile_open(const char *path)
{
    return open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
}

enum err
logfile_unreadable(const char *path, struct errbuf *eb)
{
    return err_set(eb, ERR_IO, "%s: %s", path, strerror(errno));
}

/* Where writers are on other machines, or the kernel refuses leases for its own reasons. */
static bool
is_remote(int fd)
{
    struct statfs fs;

    if (fstatfs(fd, &fs) != 0)
        return true;
    switch ((uint32_t)fs.f_type) {
    case NFS_SUPER_MAGIC:
    case SMB_SUPER_MAGIC:
    case CIFS_SUPER_MAGIC:
    case SMB2_SUPER_MAGIC:
    case FUSE_SUPER_MAGIC:
    case V9FS_MAGIC:
    case CEPH_SUPER_MAGIC:
        return true;
    default:
        return false;
    }
}

/* The kernel gives a lease for reading only on a file that nobody has open for writing. It is given
 * back at once: it would stop the next program that opens the file. */
enum logfile_writers
logfile_writers(int fd)
{
    if (is_remote(fd))
        return WRITERS_UNKNOWN;
    if (fcntl(fd, F_SETLEASE, F_RDLCK) == 0) {
        fcntl(fd, F_SETLEASE, F_UNLCK);
        return WRITERS_NONE;
    }
    return errno == EAGAIN ? WRITERS_SOME : WRITERS_UNKNOWN;
}

/* A file system that cannot do it for a reader leaves things as they are: its answer is not looked
 * at. */
void
logfile_sync(struct logfile *f)
{
    struct stat st;

    if (f->offset <= f->synced || fstat(f->fd, &st) != 0)
        return;
    fdatasync(f->fd);
    f->synced = (int64_t)st.st_size;
}
