/* share: gives a database to a group, so that several users can write to it.
 *
 * SQLite makes -wal and -shm beside the database when it is first opened, with the mode of the
 * database and the group of the user who opens it. What several users share therefore needs a group
 * of its own, a directory that this group may write to and that hands its group on (setgid), and
 * mode 0660. */
#ifndef ADMIN_SHARE_H
#define ADMIN_SHARE_H

#include <sys/types.h>

#include "base/err.h"

/* A group by name or number. ERR_MISSING. */
enum err share_group(const char *name, gid_t *group, struct errbuf *eb);

/* Makes the directory of the database, or makes it the group's, with mode 2770. One that is not for
 * this database alone is never changed: it must be right already, else ERR_DENIED says what to do.
 */
enum err share_directory(const char *db, gid_t group, struct errbuf *eb);
/* Makes an existing database, and what SQLite has made beside it, the group's with mode 0660. */
enum err share_files(const char *db, gid_t group, struct errbuf *eb);

#endif
