/* pattern: which feeds named which pattern of topics, so that publishing finds them by hashing.
 *
 * An event concerns the feeds of its topic's own text, and of each of its beginnings with a '*' of
 * a length that is in use. A feed of all topics is with the pattern "*". Cost: one look-up for each
 * length in use, however many feeds there are. */
#ifndef STREAM_PATTERN_H
#define STREAM_PATTERN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/hash.h"
#include "stream/event.h"

struct feed;

struct pattern {
    struct feed **feeds; /* n of them, in no order */
    size_t n, capacity;
    UT_hash_handle by_text;
    size_t text_n;
    char text[];
};

/* A zeroed struct is empty; it needs no finish once all feeds are removed. */
struct patterns {
    struct pattern *by_text;
    uint32_t prefixes[EVENT_TOPIC_MAX + 1]; /* how many patterns are prefixes of this length */
};

/* Adds the feed to each pattern that it names. False = no memory, and it is in none. */
bool patterns_add(struct patterns *all, struct feed *f);
void patterns_remove(struct patterns *all, const struct feed *f);

/* NULL when no feed named it. */
const struct pattern *patterns_find(const struct patterns *all, struct text text);

#endif
