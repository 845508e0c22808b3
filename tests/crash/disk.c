#include "tests/crash/disk.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FILES_MAX = 64, NAMES_MAX = 8, DIR_OPS_MAX = 256, SECTOR = 512, PATH_MAX_BYTES = 4096 };

static struct disk_setup setup;
struct disk_figures disk_figures;
struct image disk_in_place;

void
disk_open(const struct disk_setup *with)
{
    setup = *with;
}

/* ---- small things ---- */

uint64_t
disk_random(uint64_t below)
{
    setup.seed += 0x9e3779b97f4a7c15; /* splitmix64 */
    uint64_t z = setup.seed;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return (z ^ z >> 31) % below;
}

void
disk_die(const char *what)
{
    perror(what);
    exit(2);
}

void *
disk_grown(void *p, size_t size)
{
    p = realloc(p, size);
    if (!p)
        disk_die("memory");
    return p;
}

/* ---- files as the disk has them ---- */

struct file {
    uint64_t inode;
    struct image durable;
    const struct powerlog **pending; /* writes and truncations since the last sync */
    size_t n_pending, room;
};

struct dir_op {
    bool create;
    struct file *file;
    char name[64];
};

static struct file files[FILES_MAX];
static size_t n_files;
static struct {
    char name[64];
    struct file *file;
} names[NAMES_MAX]; /* the directory as the disk has it; file NULL: no such entry */
static struct dir_op dir_ops[DIR_OPS_MAX];
static size_t n_dir_ops;

static void
image_resize(struct image *m, size_t size)
{
    if (size > m->room) {
        m->room = size * 2;
        m->bytes = disk_grown(m->bytes, m->room);
    }
    if (size > m->size)
        memset(m->bytes + m->size, 0, size - m->size);
    m->size = size;
}

static void
image_write(struct image *m, size_t offset, const char *bytes, size_t n)
{
    if (n && offset + n > m->size)
        image_resize(m, offset + n);
    if (n)
        memcpy(m->bytes + offset, bytes, n);
}

static void
apply(struct image *m, const struct powerlog *r)
{
    if (r->kind == POWERLOG_TRUNCATE)
        image_resize(m, r->offset);
    else
        image_write(m, r->offset, powerlog_payload(r), r->length);
}

/* Each sector of the write by a throw of its own; or the first ones only. */
static void
apply_torn(struct image *m, const struct powerlog *r, bool prefix)
{
    uint64_t end = r->offset + r->length, next, sectors = r->length / SECTOR + 1;
    uint64_t keep = disk_random(sectors + 1);

    for (uint64_t at = r->offset; at<end; at = next, keep -= keep> 0) {
        next = (at / SECTOR + 1) * SECTOR;
        if (next > end)
            next = end;
        if (prefix ? keep > 0 : disk_random(2))
            image_write(m, at, powerlog_payload(r) + (at - r->offset), next - at);
    }
}

static struct file *
file_of(uint64_t inode)
{
    for (size_t i = 0; i < n_files; i++)
        if (files[i].inode == inode)
            return &files[i];
    if (n_files == FILES_MAX)
        disk_die("too many files");
    files[n_files].inode = inode;
    return &files[n_files++];
}

/* Where the name stands in names[]; a new one gets a place. */
static size_t
place_of(const char *name)
{
    size_t i = 0;

    while (i < NAMES_MAX && names[i].name[0] && strcmp(names[i].name, name) != 0)
        i++;
    if (i == NAMES_MAX)
        disk_die("too many names");
    snprintf(names[i].name, sizeof names[i].name, "%s", name);
    return i;
}

static void
add_dir_op(bool create, const struct powerlog *r)
{
    struct dir_op *op = &dir_ops[n_dir_ops++];

    if (n_dir_ops == DIR_OPS_MAX)
        disk_die("too many changes of the directory");
    op->create = create;
    if (create) /* the number may be that of a file that is gone, which a cut may bring back */
        file_of(r->file)->inode = 0;
    op->file = file_of(r->file);
    snprintf(op->name, sizeof op->name, "%.*s", (int)r->length, powerlog_payload(r));
}

static const char *
name_of(const struct file *f)
{
    for (size_t i = n_dir_ops; i-- > 0;)
        if (dir_ops[i].file == f)
            return dir_ops[i].name;
    for (size_t i = 0; i < NAMES_MAX; i++)
        if (names[i].file == f)
            return names[i].name;
    return "";
}

static bool
is_ignored(const char *name)
{
    return strcmp(setup.ignored, "all") == 0 || strcmp(setup.ignored, name) == 0;
}

static void
sync_file(struct file *f)
{
    if (is_ignored(name_of(f)))
        return;
    for (size_t i = 0; i < f->n_pending; i++)
        apply(&f->durable, f->pending[i]);
    f->n_pending = 0;
}

static void
sync_dir(void)
{
    for (size_t i = 0; i < n_dir_ops; i++)
        names[place_of(dir_ops[i].name)].file = dir_ops[i].create ? dir_ops[i].file : NULL;
    n_dir_ops = 0;
}

static void
change(const struct powerlog *r)
{
    struct file *f = file_of(r->file);

    if (f->n_pending == f->room) {
        f->room = f->room ? f->room * 2 : 64;
        f->pending = disk_grown(f->pending, f->room * sizeof *f->pending);
    }
    f->pending[f->n_pending++] = r;
}

void
disk_follow(const struct powerlog *r)
{
    switch ((enum powerlog_kind)r->kind) {
    case POWERLOG_CREATE:
        add_dir_op(true, r);
        break;
    case POWERLOG_UNLINK:
        add_dir_op(false, r);
        break;
    case POWERLOG_WRITE:
    case POWERLOG_TRUNCATE:
        change(r);
        break;
    case POWERLOG_SYNC:
        sync_file(file_of(r->file));
        break;
    case POWERLOG_SYNC_DIR:
        sync_dir();
        break;
    case POWERLOG_OUT:
    case POWERLOG_MARK:
        break;
    }
}

const char *
disk_name(const struct powerlog *r)
{
    return name_of(file_of(r->file));
}

/* ---- the cut ---- */

enum fate { NOTHING, ALL, FIRST, SOME, SECTORS, FATES };

static void
survive(struct image *m, const struct file *f)
{
    enum fate fate = (enum fate)disk_random(FATES);
    size_t first = f->n_pending ? disk_random(f->n_pending) : 0;

    m->size = 0;
    image_write(m, 0, f->durable.bytes, f->durable.size);
    for (size_t i = 0; i < f->n_pending; i++) {
        const struct powerlog *r = f->pending[i];
        bool whole = fate == ALL || (fate == FIRST && i < first) ||
                     (fate == SOME && disk_random(2)) ||
                     (fate == SECTORS && r->kind == POWERLOG_TRUNCATE && disk_random(2));

        if (whole)
            apply(m, r);
        else if (r->kind == POWERLOG_WRITE && (fate == SECTORS || (fate == FIRST && i == first)))
            apply_torn(m, r, fate == FIRST);
        disk_figures.dropped_bytes += whole ? 0 : r->length;
    }
    disk_figures.unsynced += f->n_pending > 0;
    disk_figures.torn += f->n_pending > 0 && (fate == SECTORS || fate == FIRST);
}

/* A file that is there keeps its inode. */
void
disk_put(const char *path, const struct image *m)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    size_t done = 0;
    ssize_t n;

    if (fd < 0 || ftruncate(fd, 0) != 0)
        disk_die(path);
    for (; done < m->size; done += (size_t)n)
        if ((n = write(fd, m->bytes + done, m->size - done)) <= 0)
            disk_die(path);
    close(fd);
}

static bool
is_in_place(const char *name)
{
    const char *slash = strrchr(setup.in_place, '/');

    return slash && strcmp(slash + 1, name) == 0;
}

static void
put_by_name(const char *name, const struct file *f)
{
    static struct image m;
    char path[PATH_MAX_BYTES];

    survive(&m, f);
    if (is_in_place(name)) {
        image_resize(&disk_in_place, 0);
        image_write(&disk_in_place, 0, m.bytes, m.size);
        disk_put(setup.in_place, &m);
    } else {
        snprintf(path, sizeof path, "%s/%s", setup.scratch, name);
        disk_put(path, &m);
    }
}

/* What the cut before this one has left; and the -shm file, which is memory. */
static void
remove_left(const char *name)
{
    char path[PATH_MAX_BYTES];

    snprintf(path, sizeof path, "%s/%s", setup.scratch, name);
    unlink(path);
    snprintf(path, sizeof path, "%s/%s-shm", setup.scratch, name);
    unlink(path);
}

void
disk_cut(void)
{
    struct file *there[NAMES_MAX];
    /* Changes of a directory reach the disk in their order, or not yet. */
    size_t reached = n_dir_ops ? disk_random(n_dir_ops + 1) : 0;

    for (size_t i = 0; i < NAMES_MAX; i++) {
        there[i] = names[i].file;
        if (names[i].name[0] && !is_in_place(names[i].name))
            remove_left(names[i].name);
    }
    for (size_t k = 0; k < n_dir_ops; k++) {
        size_t i = place_of(dir_ops[k].name);

        if (k < reached)
            there[i] = dir_ops[k].create ? dir_ops[k].file : NULL;
    }
    disk_in_place.size = 0;
    disk_put(setup.in_place, &disk_in_place);
    for (size_t i = 0; i < NAMES_MAX; i++)
        if (there[i])
            put_by_name(names[i].name, there[i]);
}
