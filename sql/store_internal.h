/* store_internal: what the files of the store share among themselves. Nobody else includes this,
 * except the store's own test. */
#ifndef SQL_STORE_INTERNAL_H
#define SQL_STORE_INTERNAL_H

#include <sqlite3.h>
#include <sys/types.h>

#include "sql/store.h"

enum statement {
#define STATEMENT(name, sql, plan) SQL_##name,
#include "sql/statements.def"
    N_STATEMENTS
};

struct store {
    sqlite3 *db;
    char *path;
    const char *prefix; /* of the tables' names, see schema.h */
    int format;         /* see schema.h */
    bool writes;        /* opened for writing */
    dev_t device;       /* what the path led to when the file was opened */
    ino_t inode;
    dev_t wal_device; /* the same of the WAL; inode 0 = not known */
    ino_t wal_inode;
    char epoch[STORE_EPOCH_LENGTH + 1];
    sqlite3_stmt *statements[N_STATEMENTS];
    struct where_subject subject; /* the row whose data conditions are being asked */
    bool in_part;                 /* of a transaction: what fails is undone by ending it */
};

/* ERR_MISSING, ERR_IO, or ERR_FOREIGN for what is not a regular file. */
enum err store_check_file(const char *path, struct errbuf *eb);
/* Such a file must not be opened: SQLite would remove the WAL that lies beside it, whatever
 * database that belongs to. */
bool store_is_empty_file(const char *path);
/* Both of them: ERR_MISSING also for an empty file. */
enum err store_check_made(const char *path, struct errbuf *eb);
/* The first step of opening: s has its path and a bare connection. flags: SQLITE_OPEN_…. */
enum err store_connect(struct store *s, const char *path, int flags, struct errbuf *eb);

/* ERR_OK: a database of ours, in a format that is read; its prefix and format are noted.
 * ERR_MISSING: nothing is in it yet. A guest is known by its table, a file of its own by the
 * head of the file. */
enum err store_identify(struct store *s, struct errbuf *eb);
/* What a QUESTION of statements.def is answered. */
enum question {
#define QUESTION(name, sql) ASK_##name,
#include "sql/statements.def"
};
enum err store_ask(struct store *s, enum question question, int64_t *answer, struct errbuf *eb);
/* Sets what is set for these modes, see OPENING in statements.def. */
enum { FOR_READ = 1, FOR_WRITE = 2, FOR_FULL = 4, FOR_NORMAL = 8, FOR_MAKING = 16 };
enum err store_set_up(struct store *s, unsigned modes, struct errbuf *eb);

/* Having read something, the connection has the WAL open, and keeps it as long as it is there: only
 * the last connection can remove it. So it is noted once. */
void store_note_wal(struct store *s);
/* Before closing. The last one to close writes the WAL into the database, and removes what has the
 * WAL's name. What others have written into a WAL that came after ours must not go that way. */
void store_spare_other_wal(struct store *s);

/* True: this user may not open the database, for reading or for writing, because of a file or a
 * directory that *what names, with what to do. wal: its write-ahead log, NULL = not looked at. */
bool store_is_barred(const char *path, const char *wal, bool write, struct errbuf *what);

/* What stands in the table now. */
enum err store_read_epoch(struct store *s, char epoch[STORE_EPOCH_LENGTH + 1], struct errbuf *eb);

/* For err_set(), with the table's name and the path: nothing is damaged, so neither repairing the
 * file nor the disk is what helps. */
#define STORE_TABLE_MISSING                                                                        \
    "table %s is missing: another program has dropped it, as migration tools do with tables that " \
    "they do not know; restore it from a backup (what else is missing: freshet check --db %s)"

/* Maps the connection's last error to enum err, and writes "PATH: DOING: what SQLite said". */
enum err store_fail(struct store *s, const char *doing, struct errbuf *eb);

/* Ends a statement's run: its read lock and its bindings are gone. */
void store_reset(struct store *s, enum statement name);
/* Runs a statement that gives no rows. */
enum err store_run(struct store *s, enum statement name, const char *doing, struct errbuf *eb);

/* The same on a connection where nothing is prepared yet. */
enum err store_run_unprepared(struct store *s, enum statement name, const char *doing,
                              struct errbuf *eb);

/* A read transaction around several statements; inside a write transaction both do nothing. *own
 * tells end whether begin has begun one. */
enum err store_begin_read(struct store *s, bool *own, struct errbuf *eb);
void store_end_read(struct store *s, bool own);

/* A column of the current row; valid until the statement's next step. */
struct text store_column(sqlite3_stmt *st, int column);

#endif
