/* model: what the files of the stream model share.
 *
 * model_table.c is the reference: the table as a plain array, and subscriptions that a child could
 * check. model_client.c is the far end of one connection: a socket that takes as much as it likes,
 * and a client that knows what it is owed. model_stream.c leads both through a random life.
 * Nothing here asks the code under test whether an event matches, where it lies, or how it is
 * encoded. */
#ifndef TESTS_MODEL_H
#define TESTS_MODEL_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fcgi/outlet.h"
#include "stream/hub.h"

#define EPOCH "abcd"

enum { ROWS_MAX = 400, CLIENTS_MAX = 12, WISHES_MAX = 3, FRAME_MAX = 160 * 1024 };

extern uint64_t seed;
extern unsigned long step_number;

/* Evenly in [0, below). */
uint32_t rnd(uint32_t below);

#define REQUIRE(condition)                                                                         \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "model_stream: %s:%d: %s does not hold; --seed %llu, step %lu\n",      \
                    __FILE__, __LINE__, #condition, (unsigned long long)seed, step_number);        \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

/* ---- the table ---- */

struct row {
    int64_t id;
    const char *topic, *type; /* type: NULL = none */
    bool deleted;
    int n; /* the member "n" of its data */
    char *data;
};

struct table {
    struct row rows[ROWS_MAX]; /* in the order of their ids, the deleted ones too */
    size_t n;
    int64_t next_id, pruned_through;
    bool by_hand; /* a row was deleted from the middle once */
};
extern struct table table;

void table_init(void);
void table_finish(void);
void table_insert(void);
void table_prune(void);
void table_delete_one(void);
/* Index of the first row above id; table.n when there is none. */
size_t table_after(int64_t id);
/* The bytes of an event's block, up to and without its blank line. Valid until the next call. */
const char *row_frame(const struct row *r, enum dialect_kind dialect);

/* What a client asked for, as it wrote it. */
struct wish {
    enum dialect_kind dialect;
    const char *topics[WISHES_MAX], *types[WISHES_MAX], *where[WISHES_MAX];
    size_t n_topics, n_types, n_where;
};
struct wish wish_random(void);
struct subscription wish_subscription(const struct wish *w);
bool wish_holds(const struct wish *w, const struct row *r);
/* The same for a subscription, which is in canonical form. */
bool filter_holds(const struct subscription *what, const struct row *r);

/* What the reader does: a page from the table, with limits of any size; filter NULL = all. second:
 * of the page's twin, index: whose questions it answers, or NULL. */
struct page *table_read(const struct subscription *filter, int64_t after, size_t rows_max,
                        size_t bytes_max, bool names, const struct dialect *dialect,
                        const struct dialect *second, struct question_index *index);

/* ---- a client, both ends ---- */

struct client {
    bool used;      /* it has a wish */
    bool connected; /* sub and out are in use */
    bool ready, blocked, full;
    struct subscriber sub;
    struct outlet out;
    uint32_t part;   /* of the event that is being sent, */
    int64_t part_id; /* which is this one, */
    size_t part_max; /* gathered with this bound */
    /* the far end: what has arrived of a record, and of a block */
    unsigned char head[8];
    size_t head_n, content_n, padding_n;
    struct buf text;
    /* what it knows */
    struct wish wish;
    bool reset_now;
    int64_t start;
    char resume[32];   /* what it would send as Last-Event-ID */
    size_t checked;    /* rows before this index have been accounted for */
    int64_t last;      /* nothing at or below may come any more */
    int64_t told;      /* deletions up to here it knows of, */
    int64_t told_here; /* and has heard of on this connection */
    /* of this connection */
    unsigned lives; /* freshet:live seen */
    uint64_t events;
    int64_t first_id, last_id;
};
extern struct client clients[CLIENTS_MAX];

void client_begin(struct client *c, const struct wish *w, bool reset_now, int64_t start);
void client_connect(struct client *c, struct hub *hub, struct subscription *what, int64_t position);
/* The connection is cut: what has not arrived never will. */
void client_cut(struct client *c, struct hub *hub);
void client_end(struct client *c);
/* What a heartbeat does: the client may be given its position. */
void client_beat(struct client *c);
/* The same as a turn of the responder does for one connection. */
void client_flush(struct client *c, struct hub *hub);
/* The socket has room again. */
void client_drain(struct client *c);
/* Everything that matches up to id has been given, or was deleted and the client was told. */
void client_account(struct client *c, int64_t id);

static inline struct client *
client_of(struct subscriber *s)
{
    return (struct client *)((char *)s - offsetof(struct client, sub));
}

#endif
