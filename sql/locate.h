/* locate: where in the log a client begins, asked of the table.
 *
 * Most starts need only the marks; the newest N that match a filter may be far down, so the search
 * goes in steps, between which others have their turn, and ends after a total time: the client then
 * begins where the search has got to, and `limited` says that there may be more. */
#ifndef SQL_LOCATE_H
#define SQL_LOCATE_H

#include "sql/store.h"
#include "stream/position.h"

struct locate {
    /* in */
    struct start start;
    const struct subscription *filter; /* lives as long as this does */
    int64_t search_us;                 /* the most that all steps together take; 0 = no bound */
    /* between steps */
    int64_t spent_us, scanned_to;
    uint32_t found;
    /* out, when it is done */
    struct position at;
    enum cursor_reset reset; /* the client must be told, unless CURSOR_EXACT */
    struct marks marks;
    bool limited;
};

/* One step; *done when the rest is filled in. After an error it is over. */
enum err locate_step(struct locate *l, struct store *s, const struct store_step *step, bool *done,
                     struct errbuf *eb);

#endif
