/* history: requests that are answered and done: a page of events, one event, the list of topics,
 * and the long poll, which is a page that waits while it is empty.
 *
 * Life: an asker (struct history, of one connection) hangs at a read, which
 * is queued, then with the reader, then done and gone. Askers that come before the same read has
 * begun share it; a read that all its askers have left is cancelled. A page that is empty at the
 * newest event, and may wait, makes its asker a subscriber of a feed: no thread and no read until
 * something matches or the time is up; then it reads again.
 *
 * Bounds: the reader takes turns by address; askers that have waited for a read for
 * --request-timeout get 503; no read begins while more than --history-bytes of responses have not
 * been taken by their clients; a long poll that waits has a seat. */
#ifndef FCGI_HISTORY_H
#define FCGI_HISTORY_H

#include <stdbool.h>
#include <stdint.h>

struct access;
struct conn;
struct request;
struct server;

/* GET and HEAD. They answer within what access grants. */
void history_page(struct conn *c, const struct request *r, const struct access *access);
void history_event(struct conn *c, const struct request *r, const struct access *access);
void history_topics(struct conn *c, const struct request *r, const struct access *access);

/* In each turn: begins queued reads. */
void history_read_more(struct server *s);

/* Answers the long polls that wait. */
void history_end_waits(struct server *s);
/* No read could be made for it in time: 503. */
void history_too_late(struct conn *c);

#endif
