/* tail: the thread that follows the table, and does nothing else: whatever clients ask for is read
 * by another thread on another connection, so that nothing delays what is new.
 *
 * It yields pages with names in id order without a gap. They are collected with tail_take() after
 * the wake function was called (from the tail's thread). A page may be empty: then only its marks
 * are news, because events were deleted. It reads ahead only as far as the loop has taken the pages
 * before: memory is bounded.
 *
 * tail_hint() says that there has probably been a commit. The hint comes from the write to the WAL,
 * which is just before the commit can be seen, so a look that finds nothing is repeated at growing
 * intervals; PRAGMA data_version says whether there is anything to read, so that a commit of other
 * tables costs a look and no more. It is polled every poll_ms in case a hint was missed. A database
 * error is logged once until it is gone, and tried again every poll_ms.
 *
 * Just as often it looks whether the path still leads to the file that it reads. When another
 * database is there, and can be opened, tail_replaced() says so. */
#ifndef FCGI_TAIL_H
#define FCGI_TAIL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "sql/store_page.h"
#include "stream/page.h"

struct tail;

struct tail_limits {
    size_t page_bytes;
    uint32_t page_rows;
    int64_t poll_ms;
};

/* Takes the store over, also when it fails. Begins after start_id. Pages are in this dialect, which
 * lives longer. wake() must be callable from any thread. */
enum err tail_start(struct tail **tail, struct store *store, int64_t start_id,
                    const struct dialect *dialect, const struct tail_limits *limits,
                    void (*wake)(void *), void *context, struct errbuf *eb);
/* Waits for the thread's end; what was not taken is freed. */
void tail_stop(struct tail *t);

void tail_hint(struct tail *t);

/* Takes the changes of questions over: pages that are read from now on answer them. */
void tail_ask(struct tail *t, struct question_changes *changes);

/* Pages that are read from now on get a twin in this dialect, which lives longer; NULL = none. */
void tail_speak(struct tail *t, const struct dialect *second);

/* The next page, or NULL; it is the caller's from then on. */
struct page *tail_take(struct tail *t);

/* Another database has taken the place of the one that is read, or another WAL that of its own:
 * nothing new will come from this one. wake() was called when that became true. */
bool tail_replaced(struct tail *t);

#endif
