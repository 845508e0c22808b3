/* store: the database. Everything that is SQL, and every sqlite3 call, is behind this header.
 *
 * A struct store is one connection with its prepared statements; it belongs to one thread at a
 * time. Reading functions take a bounded page in a read transaction of their own that has ended
 * when they return, so that no reader ever pins the WAL. sqlite3 codes do not leave: they become
 * enum err, with the text in the errbuf (file name, what SQLite said, what to do). */
#ifndef SQL_STORE_H
#define SQL_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/text.h"
#include "stream/event.h"
#include "stream/position.h"
#include "stream/subscription.h"

struct store;

enum { STORE_EPOCH_LENGTH = 4 };

enum store_mode {
    STORE_READ,  /* query_only; the file must exist and be ours */
    STORE_WRITE, /* may append and prune */
};

enum store_sync { STORE_SYNC_FULL, STORE_SYNC_NORMAL };

/* Makes a new database (schema, epoch). A file that is a freshet database already is left as it is
 * and *existed is set; any other non-empty file is ERR_FOREIGN. */
enum err store_create(const char *path, bool *existed, struct errbuf *eb);

/* Makes the same tables as a guest in the database of an application: behind a prefix, in one
 * transaction, and without touching anything else of the file, its journal mode included. *existed
 * is set when they are there already. ERR_EXISTS: the file is freshet's own. ERR_FOREIGN: not in
 * UTF-8. */
enum err store_create_guest(const char *path, bool *existed, struct errbuf *eb);

/* Brings a database to the current format, in one short transaction whose cost does not grow with
 * the table, while others go on reading and writing. *from and *to are its format before and after;
 * they are equal when there was nothing to do. */
enum err store_upgrade(const char *path, int *from, int *to, struct errbuf *eb);

/* Older formats are read and written as they are. ERR_MISSING no such file, ERR_FOREIGN not a
 * freshet database, not in WAL mode, or made by a newer version. */
enum err store_open(struct store **store, const char *path, enum store_mode mode,
                    enum store_sync sync, struct errbuf *eb);
void store_close(struct store *s); /* NULL is allowed */

/* How long to wait for another writer before ERR_BUSY; 5,000 unless set. */
void store_set_busy_timeout(struct store *s, int64_t ms);

/* Whether the path still leads to the file that is open, and its WAL to that one. SQLite does not
 * notice when it does not: it goes on with a file that nobody else can find. Two stat(2). */
enum store_place {
    STORE_IN_PLACE,
    STORE_GONE,     /* nothing is there: deleted, or moved away */
    STORE_REPLACED, /* another file is there */
    STORE_MIXED,    /* another file is there, beside this one's WAL: opening it would mix the two */
    STORE_WAL_LOST, /* the file is there; its "-wal" is gone, or is another one */
};
enum store_place store_place(const struct store *s);

/* What the file of the write-ahead log takes, bytes; 0 when there is none. One stat(2). */
int64_t store_wal_bytes(const struct store *s);

/* As it was given to store_open(); valid until store_close(). */
const char *store_path(const struct store *s);

/* Where its write-ahead log is, which need not exist: SQLite puts it beside the file that a link
 * leads to. Absolute; valid until store_close(). */
const char *store_wal_path(const struct store *s);

/* STORE_EPOCH_LENGTH characters [0-9a-z], NUL-terminated; valid until store_close(). */
const char *store_epoch(const struct store *s);
/* Whether somebody has given the log another epoch since it was opened; no when it cannot be read
 * just now. One row. */
bool store_has_new_epoch(struct store *s);

/* The format of the file, from 1 on. */
int store_format(const struct store *s);
/* Whether it is older than the current one; *what then says so, and what to do about it. */
bool store_is_old(const struct store *s, struct errbuf *what);
/* Whether the tables are in the database of an application, behind a prefix. */
bool store_is_guest(const struct store *s);

enum err store_marks(struct store *s, struct marks *m, struct errbuf *eb);

/* PRAGMA data_version: changes after another connection's commit. A hint, never a proof. */
enum err store_data_version(struct store *s, int64_t *version, struct errbuf *eb);

/* Called once per event in the page's order; the event's texts are valid during the call only.
 * Returning false says that this event was NOT taken and ends the page before it. */
typedef bool store_sink(void *context, const struct event *e);

/* How far one call goes before it comes back, so that others that wait have their turn. A call
 * always looks at one row at least, whatever that row costs. */
struct store_step {
    uint32_t rows; /* at most this many are looked at */
    size_t bytes;  /* about as much data is read, where conditions must be tried on it */
    int64_t us;    /* it ends soon after this time; 0 = it takes the time it takes */
};

/* No bound: it takes the time it takes. */
extern const struct store_step store_step_all;

struct store_query {
    const struct subscription *filter; /* NULL = everything */
    int64_t after;                     /* events with id > after */
    uint32_t rows_max;                 /* at most this many events are handed to the sink */
    struct store_step step;
};

struct store_page {
    int64_t through; /* every matching event in (after, through] was handed to the sink; >= after */
    bool end;        /* nothing beyond `through` was in the table: through >= marks.newest */
    struct marks marks; /* read in the same transaction as the rows */
};

/* One page, oldest first. When after < marks.pruned_through the caller's position is gone: the page
 * still reads the rows that are left after `after`; what to tell the client is the caller's
 * business. Cost: one index seek for everything or for exact topics; a scan with the filter applied
 * otherwise, so a page may be empty and not at the end. */
enum err store_read(struct store *s, const struct store_query *q, store_sink *sink, void *context,
                    struct store_page *page, struct errbuf *eb);

/* The same downwards: events with id < q->after, newest first. Every matching event in [through,
 * q->after) was handed to the sink, and `end` says through <= marks.oldest. */
enum err store_read_back(struct store *s, const struct store_query *q, store_sink *sink,
                         void *context, struct store_page *page, struct errbuf *eb);

/* The position before the last n matching events: reading after it gives exactly them (fewer when
 * there are fewer). Goes downwards from `before` (exclusive; 0 = from the newest), no further than
 * the step allows. *found counts the matches met. When the step ended the search, *done is false
 * and *position is the lowest id looked at: call again with before = that and n - found. */
enum err store_last(struct store *s, const struct subscription *filter, int64_t before, uint32_t n,
                    const struct store_step *step, int64_t *position, uint32_t *found, bool *done,
                    struct errbuf *eb);

/* The position before the first event created at or after created_ms, by binary search over ids:
 * exact while `created` does not decrease with id, which holds unless the clock was stepped. */
enum err store_since(struct store *s, int64_t created_ms, int64_t *position, struct errbuf *eb);

/* ---- what an operator asks; counting takes time that grows with the table ---- */

struct store_status {
    struct marks marks;
    int64_t rows, topics;
    int64_t made_ms;           /* when the database was made */
    int64_t newest_created_ms; /* of the newest row that is left; 0 when there is none */
    int64_t db_bytes, wal_bytes;
};
enum err store_status(struct store *s, struct store_status *status, struct errbuf *eb);

/* How many events have an id <= through. */
enum err store_count(struct store *s, int64_t through, int64_t *rows, struct errbuf *eb);

/* Called once per ingest source, in the order of their names; the texts are valid during the call.
 */
typedef void store_source_sink(void *context, struct text source, struct text position);
enum err store_sources(struct store *s, store_source_sink *sink, void *context, struct errbuf *eb);

/* The first topic after the text `after`, in byte order, that the filter's topics match (its types
 * are not looked at); *topic is a copy that the caller frees with mem_free(), NULL when there is
 * none. One index seek: a topic that is found and matches no pattern cannot exist, see
 * store_topics.c. */
enum err store_next_topic(struct store *s, const struct subscription *filter, struct text after,
                          char **topic, struct errbuf *eb);

/* Counts the next rows of a topic: those with id > after, at most rows_max. *last is the id of the
 * last one counted, or `after`; *count < rows_max says that there are no more. */
enum err store_count_topic(struct store *s, struct text topic, int64_t after, uint32_t rows_max,
                           uint32_t *count, int64_t *last, struct errbuf *eb);

/* The first id of a topic above `after`; 0 when there is none. */
enum err store_first_in_topic(struct store *s, struct text topic, int64_t after, int64_t *id,
                              struct errbuf *eb);

/* ---- writing; STORE_WRITE only ---- */

/* One transaction at a time per store. ERR_BUSY when another writer held on for longer than the
 * busy timeout, ERR_FULL disk full, ERR_MISSING when the store is not in its place any more, so
 * that what is written would be lost. After any error the transaction is rolled back. */
enum err store_begin(struct store *s, struct errbuf *eb);
enum err store_commit(struct store *s, struct errbuf *eb);
void store_rollback(struct store *s);

/* Inside a transaction: what is appended between the two is undone when it is not kept. An error
 * between them does not roll the transaction back, so that the rest of it can go on: end the part
 * without keeping it. After an error of these two themselves the transaction is rolled back; of
 * end, ERR_INVALID says that what was appended has done that (a trigger can). */
enum err store_begin_part(struct store *s, struct errbuf *eb);
enum err store_end_part(struct store *s, bool keep, struct errbuf *eb);

/* Inside a transaction. *id is the row's id; with a key that exists already, the id that the first
 * one got, *repeated is set and nothing is written. The event must have passed event_check().
 * ERR_INVALID: the table, or a trigger of somebody's, refuses it; the text names no path and may be
 * shown to whoever wrote the event. */
enum err store_append(struct store *s, const struct event *e, int64_t *id, bool *repeated,
                      struct errbuf *eb);

/* The event that has a key. */
struct store_holder {
    int64_t id; /* 0: there is none */
    bool same;  /* it has the topic, the type and the data that were asked for */
    char topic[EVENT_TOPIC_MAX + 1];
};
/* Inside a transaction. The event that has this one's key, if there is one. */
enum err store_key_holder(struct store *s, const struct event *e, struct store_holder *holder,
                          struct errbuf *eb);

enum store_request {
    STORE_REQUEST_NEW,      /* no event has a key of this request */
    STORE_REQUEST_REPEATED, /* all that it would append under its key are there, and no others */
    STORE_REQUEST_OTHER,    /* the key was another request's, or some of its events are deleted */
};
/* Inside a transaction. What the table knows of a request of n events under one key: the keys that
 * event_key() makes are looked up, and their topics, types and data compared. With _OTHER, *holder
 * is one that has such a key, if there is one. */
enum err store_request(struct store *s, struct text key, const struct event *events, size_t n,
                       enum store_request *request, struct store_holder *holder, struct errbuf *eb);

/* Where an ingest source stands, an opaque text. Set inside a transaction, so that position and
 * events are committed together. get: *position is a copy that the caller frees with mem_free(),
 * NULL when the source is unknown. */
enum err store_get_cursor(struct store *s, const char *source, char **position, struct errbuf *eb);
enum err store_set_cursor(struct store *s, const char *source, const char *position,
                          struct errbuf *eb);

/* Gives the log another epoch (in a transaction of its own), which store_epoch() then says. All
 * positions that were given so far are void: clients that come back with one are told to start
 * over. */
enum err store_renew_epoch(struct store *s, struct errbuf *eb);

/* Deletes up to rows_max of the oldest events with id <= through (inside a transaction of its own);
 * *deleted is how many. Call again until it is 0. */
enum err store_prune(struct store *s, int64_t through, uint32_t rows_max, uint32_t *deleted,
                     struct errbuf *eb);

#endif
