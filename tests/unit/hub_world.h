/* hub_world: what a hub lives with: a table, what a reader makes of it, and clients that note what
 * they get. There is one of each table and hub; open_hub() starts again. */
#ifndef TESTS_UNIT_HUB_WORLD_H
#define TESTS_UNIT_HUB_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "stream/hub.h"

#define COUNT_OF(array) (sizeof(array) / sizeof *(array))

enum { ROWS_MAX = 200, STREAM_MAX = 1 << 20 };

/* ---- a table, and what a reader makes of it ---- */

struct row {
    const char *topic, *type;
    size_t data_n; /* 0 = a short one */
};

extern struct row rows[ROWS_MAX + 1]; /* the id is the index */
extern int64_t newest, pruned_through;

void empty_table(void);
void insert(const char *topic, const char *type);

/* Everything after `after`, at most rows_max events. NULL = no memory. */
struct page *read_page(const struct subscription *filter, int64_t after, size_t rows_max,
                       bool names);

/* ---- the hub ---- */

extern struct hub hub;

void open_hub(size_t window_bytes, size_t window_events, size_t cache_max);
void close_hub(void);

/* Gives it what is new in the table. */
void publish_new(void);

/* For hub_deliver() and hub_fail(): counts in `context`, an int, or nothing. */
void ignore(void *context, struct subscriber *s);

/* ---- a client ---- */

struct client {
    struct subscriber sub;
    char ids[1024]; /* what it was given: "1 2 reset live 3 " */
};

/* What it wants; NULL = no such condition. Without a key when memory ran out. */
struct subscription wish(const char *topic, const char *second, const char *type);

/* False = no memory. Takes `what`. */
bool join(struct client *c, struct subscription what, int64_t cursor);
void leave(struct client *c);

/* Takes what it may have at once, and notes it. */
enum gathered gather(struct client *c, size_t bytes_max);

/* Reads on until there is nothing more; pages come from the table when they are asked for. */
void catch_up(struct client *c);

#endif
