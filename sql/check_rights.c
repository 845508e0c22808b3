/* Who may write a database, and whether all of them may use what SQLite makes beside it. */
#include "sql/check_internal.h"

#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define PART "writers"

enum { NAME_SIZE = 64 };

static const char *
user_name(uid_t uid, char name[NAME_SIZE])
{
    const struct passwd *p = getpwuid(uid);

    snprintf(name, NAME_SIZE, p ? "%s" : "%.0s%u", p ? p->pw_name : "", (unsigned)uid);
    return name;
}

static const char *
group_name(gid_t gid, char name[NAME_SIZE])
{
    const struct group *g = getgrgid(gid);

    snprintf(name, NAME_SIZE, g ? "%s" : "%.0s%u", g ? g->gr_name : "", (unsigned)gid);
    return name;
}

/* The database's own mode says who is meant to write: its owner, its group, everybody. Each of them
 * needs these bits (as for others) of the file beside it, or of the directory. */
static bool
lets_in(const struct stat *db, const struct stat *st, mode_t bits)
{
    bool others = (st->st_mode & bits) == bits;
    bool members = st->st_gid == db->st_gid && (st->st_mode & bits << 3) == bits << 3;
    bool owner = st->st_uid == db->st_uid && (st->st_mode & bits << 6) == bits << 6;

    if (db->st_mode & S_IWOTH && !others)
        return false;
    if (db->st_mode & S_IWGRP && !others && !members)
        return false;
    return owner || members || others || db->st_uid == 0;
}

static const char *
who_writes(const struct stat *db, char who[2 * NAME_SIZE])
{
    char name[NAME_SIZE];

    if (db->st_mode & S_IWOTH)
        snprintf(who, 2 * NAME_SIZE, "everybody");
    else if (db->st_mode & S_IWGRP)
        snprintf(who, 2 * NAME_SIZE, "group %s", group_name(db->st_gid, name));
    else
        snprintf(who, 2 * NAME_SIZE, "user %s", user_name(db->st_uid, name));
    return who;
}

struct rights {
    struct check *c;
    const char *path; /* of the database, without links */
    struct stat db;
    char who[2 * NAME_SIZE];
    bool good;
};

/* path and why make a sentence; what ls(1) would show follows. */
static void
complain(struct rights *r, const char *path, const struct stat *st, const char *why)
{
    char user[NAME_SIZE], group[NAME_SIZE], cure[CHECK_CURE_SIZE];

    r->good = false;
    if (r->db.st_mode & (S_IWGRP | S_IWOTH))
        snprintf(cure, sizeof cure, "freshet init --group %s --db %s",
                 r->db.st_mode & S_IWGRP && r->db.st_gid != 0 ? group_name(r->db.st_gid, group)
                                                              : "NAME",
                 r->c->order->path);
    else
        snprintf(cure, sizeof cure, "chown %s %s", user_name(r->db.st_uid, user), path);
    check_bad(r->c, CHECK_ODD, PART, cure,
              "%s may write the database, but %s%s: mode %04o, user %s, group %s", r->who, path,
              why, (unsigned)st->st_mode & 07777, user_name(st->st_uid, user),
              group_name(st->st_gid, group));
}

static void
look_beside(struct rights *r, const char *suffix)
{
    char path[PATH_MAX + 8];
    struct stat st;

    snprintf(path, sizeof path, "%s%s", r->path, suffix);
    if (stat(path, &st) == 0 && !lets_in(&r->db, &st, 06))
        complain(r, path, &st, " keeps some of them out");
}

static void
look_at_directory(struct rights *r)
{
    mode_t shared = r->db.st_mode & (S_IWGRP | S_IWOTH);
    char directory[PATH_MAX];
    struct stat st;
    char *slash;

    snprintf(directory, sizeof directory, "%s", r->path);
    slash = strrchr(directory, '/');
    slash[slash == directory] = '\0';
    if (stat(directory, &st) != 0)
        return;
    if (!lets_in(&r->db, &st, 03))
        complain(r, directory, &st, ", where SQLite makes -wal and -shm, keeps some of them out");
    else if (shared == S_IWGRP && !(st.st_mode & S_ISGID && st.st_gid == r->db.st_gid))
        complain(r, directory, &st,
                 " does not pass its group on (setgid) to -wal and -shm, which SQLite makes there");
}

void
check_rights(struct check *c)
{
    struct rights r = {.c = c, .good = true};
    char real[PATH_MAX];

    if (!realpath(c->order->path, real) || stat(real, &r.db) != 0)
        return;
    r.path = real;
    who_writes(&r.db, r.who);
    look_beside(&r, "-wal");
    look_beside(&r, "-shm");
    look_at_directory(&r);
    if (r.good)
        check_good(c, PART, "%s, mode %04o", r.who, (unsigned)r.db.st_mode & 07777);
}
