/* store_page: a page of the table, encoded, ready to be sent. */
#ifndef SQL_STORE_PAGE_H
#define SQL_STORE_PAGE_H

#include "sql/store.h"
#include "stream/page.h"

struct store_page_limits {
    size_t bytes;  /* of frames; a single event may be longer */
    uint32_t rows; /* events */
    struct store_step step;
};

/* The page after a position; filter: NULL = everything. with_names for pages that fill a window.
 * *page is the caller's, and may be empty. *end (may be NULL) says that nothing was in the table
 * behind it. */
enum err store_page_read(struct store *s, const struct subscription *filter, int64_t after,
                         const struct store_page_limits *limits, bool with_names,
                         struct page **page, bool *end, struct errbuf *eb);

#endif
