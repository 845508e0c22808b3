/* check_internal: what the files of the check share among themselves. */
#ifndef SQL_CHECK_INTERNAL_H
#define SQL_CHECK_INTERNAL_H

#include "sql/check.h"
#include "sql/store_internal.h"

enum checking {
#define CHECKING(name, sql) CHECK_##name,
#include "sql/statements.def"
};

enum { CHECK_CURE_SIZE = 1024 };

struct check {
    const struct check_order *order;
    struct store *store; /* a bare connection, no statement is prepared; with prefix and format */
    int made_as;         /* the format that its tables were made in; upgraded since if it is less */
    struct errbuf *eb;
    bool told_restore; /* how to save what can be read has been said */
};

/* Before a table's name in a finding. */
#define CHECK_PREFIX(c) ((c)->store->prefix)

/* The findings. cure is NULL where there is nothing to do. */
void check_good(struct check *c, const char *part, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void check_bad(struct check *c, enum check_level level, const char *part, const char *cure,
               const char *format, ...) __attribute__((format(printf, 5, 6)));
/* A finding that one statement fixes: sqlite3 FILE "SQL". */
void check_cure(struct check *c, const char *part, const char *sql, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* After a failed sqlite3 call. Transient errors (busy, no memory) are returned and end the check;
 * everything else is a finding about the part, and ERR_CORRUPT ends that part. */
enum err check_trouble(struct check *c, const char *part);

/* Prepares; NULL after an error, which is check_trouble()'s and in *err. */
sqlite3_stmt *check_prepare(struct check *c, enum checking sql, const char *part, enum err *err);
/* Goes to the next row: false at the end or after an error (*err). */
bool check_step(struct check *c, sqlite3_stmt *st, const char *part, enum err *err);
/* A text for printf's "%.*s". */
#define CHECK_TEXT(st, column) sqlite3_column_bytes(st, column), sqlite3_column_text(st, column)

/* Needs no connection. */
void check_rights(struct check *c);
/* The parts. Each gives ERR_OK or ERR_CORRUPT when the check may go on. */
enum err check_schema(struct check *c);
enum err check_log(struct check *c);
enum err check_events(struct check *c);
enum err check_keys(struct check *c);
enum err check_sources(struct check *c);

#endif
