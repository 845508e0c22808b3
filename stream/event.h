/* event: one row of the events table as a value, and the rules that it must obey.
 *
 * The same rules stand in sql/schema.sql as constraints, for rows that other programs insert;
 * checking here gives our own programs a reason that names the member. */
#ifndef STREAM_EVENT_H
#define STREAM_EVENT_H

#include <stdint.h>

#include "base/err.h"
#include "base/text.h"

enum {
    EVENT_TOPIC_MAX = 255,        /* bytes */
    EVENT_TYPE_MAX = 255,         /* bytes */
    EVENT_KEY_MAX = 255,          /* bytes */
    EVENT_DATA_MAX = 1024 * 1024, /* bytes; the default of an option */
};

/* Event types with this prefix are the responder's own signals; they never carry an id. */
#define EVENT_SIGNAL_PREFIX "freshet:"

/* Stands between the key of a request and the number of one of its events; see event_key(). */
#define EVENT_KEY_PART "\x1f"

/* What decides, apart from its data, which clients an event goes to. */
struct label {
    struct text topic;
    struct text type; /* TEXT_NONE = "message" */
};

struct event {
    int64_t id;         /* 0 until the table has given one */
    int64_t created_ms; /* wall clock, since 1970; 0 = let the table say */
    struct text topic;
    struct text type; /* TEXT_NONE = "message" */
    struct text data;
    struct text key; /* TEXT_NONE = no idempotency key */
};

/* 1..EVENT_TOPIC_MAX bytes of UTF-8 without control characters (below 0x20 and 0x7f). */
enum err event_check_topic(struct text topic, struct errbuf *eb);
/* The same rule for types; a type must also not begin with "freshet:", which is kept for signals.
 */
enum err event_check_type(struct text type, struct errbuf *eb);
/* All members of an event that is to be appended: data is UTF-8 of at most data_max bytes and has
 * no NUL; key, where present, is 1..EVENT_KEY_MAX bytes without NUL. ERR_INVALID with the reason.
 */
enum err event_check(const struct event *e, size_t data_max, struct errbuf *eb);

/* The key of a request of n events: 1..EVENT_KEY_MAX bytes, also with EVENT_KEY_PART and a number
 * behind it when n > 1. EVENT_KEY_PART is not in it, nor in the keys that such a request's events
 * bring along: so a key that event_key() makes is never another request's. */
enum err event_check_request(struct text key, const struct event *events, size_t n,
                             struct errbuf *eb);
/* The key of the i-th (from 0) of the n events of one request: its own; else the request's, of
 * several with EVENT_KEY_PART and i + 1 behind it; TEXT_NONE when there is neither. The request has
 * passed event_check_request(). *room may be what the text points to. */
struct text event_key(const struct event *e, struct text key, size_t i, size_t n,
                      char room[EVENT_KEY_MAX + 1]);

#endif
