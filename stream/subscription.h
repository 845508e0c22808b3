/* subscription: which events a client asked for, as a value in canonical form.
 *
 * Topics and types are sorted, without doubles, and without topics that a wider pattern covers, so
 * two requests for the same events have the same key and can share one feed. No topics means all
 * topics; no types means all types; no conditions, any data. The type "message" stands for events
 * without a type.
 *
 * Life cycle: init; add_* as often as wanted; seal once; then match and read. After seal it is
 * immutable. Matching costs one comparison per topic plus one per type. */
#ifndef STREAM_SUBSCRIPTION_H
#define STREAM_SUBSCRIPTION_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/text.h"
#include "stream/event.h"
#include "stream/where.h"

struct subscription {
    struct text *topics; /* owned, like the bytes they point to */
    size_t n_topics;
    struct text *types;
    size_t n_types;
    struct where_condition *where; /* all of them must hold */
    size_t n_where;
    char *key; /* after seal: such as "topic=a&topic=b*&type=edit"; "" = everything */
};

void subscription_init(struct subscription *s);
void subscription_finish(struct subscription *s);

/* Copies the text. ERR_INVALID for a text that no topic or type could equal, ERR_NOMEM. */
enum err subscription_add_topic(struct subscription *s, struct text pattern, struct errbuf *eb);
enum err subscription_add_type(struct subscription *s, struct text type, struct errbuf *eb);

/* A condition on the data, as where.h has it. */
enum err subscription_add_where(struct subscription *s, struct text source, struct errbuf *eb);

/* Before seal: keeps of the topics what the granted patterns cover. A requested pattern wider than
 * a grant shrinks to the grant, and asking for all topics asks for all that is granted. ERR_DENIED
 * (with text) when one of the requested topics is not covered at all, ERR_NOMEM. */
enum err subscription_narrow(struct subscription *s, const struct text *grants, size_t n_grants,
                             struct errbuf *eb);

/* Brings it into canonical form and makes the key. ERR_NOMEM. */
enum err subscription_seal(struct subscription *s);

/* Topic and type only; the conditions on the data come on top. */
bool subscription_matches(const struct subscription *s, const struct label *label);
bool subscription_matches_type(const struct subscription *s, struct text type);
bool subscription_matches_data(const struct subscription *s, struct where_subject *data);

/* True when it asks for every event there is. */
bool subscription_is_everything(const struct subscription *s);

#endif
