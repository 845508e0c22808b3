#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <sqlite3.h>

#include "tests/unit/disk.h"

struct disk disk;

static sqlite3_vfs *real_vfs;

struct faulty_file {
    sqlite3_file base;
    sqlite3_file real[]; /* of the real VFS, larger than it looks */
};

static sqlite3_file *
real(sqlite3_file *f)
{
    return ((struct faulty_file *)f)->real;
}

/* SQLITE_OK, or what this call must fail with. */
static int
fault(int broken, bool needs_room)
{
    if (disk.countdown == 0 || (disk.full && !needs_room))
        return SQLITE_OK;
    disk.calls++;
    if (disk.calls < disk.countdown || (disk.calls > disk.countdown && !disk.for_good))
        return SQLITE_OK;
    disk.fired = true;
    return disk.full ? SQLITE_FULL : broken;
}

#define OR_FAIL(code, needs_room, call)                                                            \
    int failed = fault(code, needs_room);                                                          \
    return failed ? failed : (call)

static int
faulty_close(sqlite3_file *f)
{
    return real(f)->pMethods->xClose(real(f));
}

static int
faulty_read(sqlite3_file *f, void *p, int n, sqlite3_int64 at)
{
    OR_FAIL(SQLITE_IOERR_READ, false, real(f)->pMethods->xRead(real(f), p, n, at));
}

static int
faulty_write(sqlite3_file *f, const void *p, int n, sqlite3_int64 at)
{
    OR_FAIL(SQLITE_IOERR_WRITE, true, real(f)->pMethods->xWrite(real(f), p, n, at));
}

static int
faulty_truncate(sqlite3_file *f, sqlite3_int64 size)
{
    OR_FAIL(SQLITE_IOERR_TRUNCATE, false, real(f)->pMethods->xTruncate(real(f), size));
}

/* Nothing is pulled here, so nothing needs to reach a disk. */
static int
faulty_sync(sqlite3_file *f, int flags)
{
    (void)f;
    (void)flags;
    return fault(SQLITE_IOERR_FSYNC, false);
}

static int
faulty_size(sqlite3_file *f, sqlite3_int64 *size)
{
    OR_FAIL(SQLITE_IOERR_FSTAT, false, real(f)->pMethods->xFileSize(real(f), size));
}

static int
faulty_lock(sqlite3_file *f, int level)
{
    OR_FAIL(SQLITE_IOERR_LOCK, false, real(f)->pMethods->xLock(real(f), level));
}

static int
faulty_unlock(sqlite3_file *f, int level)
{
    return real(f)->pMethods->xUnlock(real(f), level);
}

static int
faulty_check_reserved(sqlite3_file *f, int *reserved)
{
    OR_FAIL(SQLITE_IOERR_CHECKRESERVEDLOCK, false,
            real(f)->pMethods->xCheckReservedLock(real(f), reserved));
}

static int
faulty_control(sqlite3_file *f, int op, void *arg)
{
    return real(f)->pMethods->xFileControl(real(f), op, arg);
}

static int
faulty_sector_size(sqlite3_file *f)
{
    return real(f)->pMethods->xSectorSize(real(f));
}

static int
faulty_characteristics(sqlite3_file *f)
{
    return real(f)->pMethods->xDeviceCharacteristics(real(f));
}

static int
faulty_shm_map(sqlite3_file *f, int page, int size, int extend, void volatile **p)
{
    OR_FAIL(SQLITE_IOERR_SHMMAP, extend,
            real(f)->pMethods->xShmMap(real(f), page, size, extend, p));
}

static int
faulty_shm_lock(sqlite3_file *f, int offset, int n, int flags)
{
    if (flags & SQLITE_SHM_UNLOCK)
        return real(f)->pMethods->xShmLock(real(f), offset, n, flags);
    OR_FAIL(SQLITE_IOERR_SHMLOCK, false, real(f)->pMethods->xShmLock(real(f), offset, n, flags));
}

static void
faulty_shm_barrier(sqlite3_file *f)
{
    real(f)->pMethods->xShmBarrier(real(f));
}

static int
faulty_shm_unmap(sqlite3_file *f, int delete_it)
{
    return real(f)->pMethods->xShmUnmap(real(f), delete_it);
}

static const sqlite3_io_methods faulty_methods = {
    .iVersion = 2,
    .xClose = faulty_close,
    .xRead = faulty_read,
    .xWrite = faulty_write,
    .xTruncate = faulty_truncate,
    .xSync = faulty_sync,
    .xFileSize = faulty_size,
    .xLock = faulty_lock,
    .xUnlock = faulty_unlock,
    .xCheckReservedLock = faulty_check_reserved,
    .xFileControl = faulty_control,
    .xSectorSize = faulty_sector_size,
    .xDeviceCharacteristics = faulty_characteristics,
    .xShmMap = faulty_shm_map,
    .xShmLock = faulty_shm_lock,
    .xShmBarrier = faulty_shm_barrier,
    .xShmUnmap = faulty_shm_unmap,
};

static int
faulty_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *f, int flags, int *out)
{
    int code = fault(SQLITE_CANTOPEN, false);

    (void)vfs;
    f->pMethods = NULL;
    if (code == SQLITE_OK)
        code = real_vfs->xOpen(real_vfs, name, real(f), flags, out);
    if (code == SQLITE_OK)
        f->pMethods = &faulty_methods;
    return code;
}

void
disk_hook(void)
{
    static sqlite3_vfs faulty;

    real_vfs = sqlite3_vfs_find(NULL);
    faulty = *real_vfs;
    faulty.zName = "faulty";
    faulty.szOsFile += (int)sizeof(struct faulty_file);
    faulty.xOpen = faulty_open;
    assert_int_equal(sqlite3_vfs_register(&faulty, 1), SQLITE_OK);
}
