/* grants: the topics that somebody may read, or write. Pure.
 *
 * A list of patterns as stream/topic.h knows them, or everything. An empty list is nothing at all.
 * As text, which is how a web server says it in FRESHET_TOPICS: patterns separated by blanks, in
 * which %20 is a blank inside a topic and %25 a '%'; "*" is everything. */
#ifndef HTTP_GRANTS_H
#define HTTP_GRANTS_H

#include "stream/subscription.h"

struct grants {
    bool all;
    struct subscription list; /* only its topics are used; when not all */
};

/* Nothing. */
void grants_init(struct grants *g);
void grants_finish(struct grants *g);

/* ERR_INVALID for what no topic could match, ERR_NOMEM. */
enum err grants_add(struct grants *g, struct text pattern, struct errbuf *eb);

/* Fills *g, which was init'ed. ERR_INVALID, ERR_NOMEM: *g is still to be finished. */
enum err grants_parse(struct grants *g, struct text s, struct errbuf *eb);
/* Adds to *to (init'ed) what is in from. ERR_NOMEM. */
enum err grants_copy(struct grants *to, const struct grants *from);
/* Adds to *both (init'ed) what is in a and in b. ERR_NOMEM. */
enum err grants_meet(const struct grants *a, const struct grants *b, struct grants *both);

static inline bool
grants_none(const struct grants *g)
{
    return !g->all && g->list.n_topics == 0;
}

/* True when the topic, which is not taken for a pattern here, is granted. */
bool grants_cover(const struct grants *g, struct text topic);

#endif
