/* Where the file of a connection is: whether its path still leads to it, and whose its WAL is. */
#include "sql/store_internal.h"

#include <errno.h>
#include <sys/stat.h>

const char *
store_wal_path(const struct store *s)
{
    return sqlite3_filename_wal(sqlite3_db_filename(s->db, "main"));
}

int64_t
store_wal_bytes(const struct store *s)
{
    struct stat st;

    return stat(store_wal_path(s), &st) == 0 ? st.st_size : 0;
}

void
store_note_wal(struct store *s)
{
    struct stat st;

    if (stat(store_wal_path(s), &st) != 0)
        return;
    s->wal_device = st.st_dev;
    s->wal_inode = st.st_ino;
}

enum wal { WAL_OURS, WAL_GONE, WAL_OTHER };

static enum wal
look_at_wal(const struct store *s, off_t *size)
{
    struct stat st;

    *size = 0;
    if (s->wal_inode == 0) /* not opened all the way, or there was none */
        return WAL_OURS;
    if (stat(store_wal_path(s), &st) != 0)
        return errno == ENOENT ? WAL_GONE : WAL_OURS;
    *size = st.st_size;
    return st.st_dev == s->wal_device && st.st_ino == s->wal_inode ? WAL_OURS : WAL_OTHER;
}

/* SQLite knows whether the file that it opened has moved, but nothing of links that lead to it. */
enum store_place
store_place(const struct store *s)
{
    int moved = 0;
    struct stat st;
    off_t wal_size;
    enum wal wal = look_at_wal(s, &wal_size);

    if (stat(s->path, &st) != 0) /* should the file only be out of reach, reading will fail */
        return errno == ENOENT ? STORE_GONE : STORE_IN_PLACE;
    sqlite3_file_control(s->db, "main", SQLITE_FCNTL_HAS_MOVED, &moved);
    if (moved && wal == WAL_OURS && wal_size > 0)
        return STORE_MIXED;
    if (moved || st.st_dev != s->device || st.st_ino != s->inode)
        return STORE_REPLACED;
    return wal == WAL_OURS ? STORE_IN_PLACE : STORE_WAL_LOST;
}

void
store_spare_other_wal(struct store *s)
{
    off_t size;

    if (look_at_wal(s, &size) == WAL_OTHER && size > 0)
        sqlite3_db_config(s->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
}
