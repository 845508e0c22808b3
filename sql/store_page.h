/* store_page: a page of the table, encoded, ready to be sent. */
#ifndef SQL_STORE_PAGE_H
#define SQL_STORE_PAGE_H

#include "sql/store.h"
#include "stream/page.h"

struct store_page_want {
    const struct subscription *filter; /* NULL = everything */
    int64_t after;
    size_t bytes;  /* of frames; a single event may be longer */
    uint32_t rows; /* events */
    struct store_step step;
    const struct dialect *dialect; /* lives as long as the page */
    const struct dialect *second;  /* of its twin, or NULL */
    bool with_names;               /* for a page that fills a window */
    struct question_index *index;  /* whose questions the page answers, or NULL */
};

/* The page after a position. *page is the caller's, and may be empty. *end (may be NULL) says that
 * nothing was in the table behind it. */
enum err store_page_read(struct store *s, const struct store_page_want *want, struct page **page,
                         bool *end, struct errbuf *eb);

#endif
