/* history: requests that are answered and done: a page of events, one event, the list of topics,
 * and the long poll, which is a page that waits while it is empty.
 *
 * Life: an asker (struct history, of one connection) hangs at a read, which
 * is queued, then with the reader, then done and gone. Askers that come while the same read is
 * still queued share it. A page that is empty at the newest event, and may wait, makes its asker a
 * subscriber of a feed: no thread and no read until something matches or the time is up; then it
 * reads again.
 *
 * Bounds: HISTORY_IN_FLIGHT reads with the reader; askers that have waited for a read for
 * --request-timeout get 503; no read begins while more than --history-bytes of responses have not
 * been taken by their clients; a long poll that waits has a seat. */
#ifndef FCGI_HISTORY_H
#define FCGI_HISTORY_H

#include <stdbool.h>
#include <stdint.h>

struct access;
struct conn;
struct reader_job;
struct request;
struct server;

enum { HISTORY_IN_FLIGHT = 4 };

/* GET and HEAD. They answer within what access grants. */
void history_page(struct conn *c, const struct request *r, const struct access *access);
void history_event(struct conn *c, const struct request *r, const struct access *access);
void history_topics(struct conn *c, const struct request *r, const struct access *access);

/* In each turn: begins queued reads. */
void history_read_more(struct server *s);
/* A read is done; without the loop running (askers are gone) it is only freed. */
void history_arrived(struct server *s, struct reader_job *read);

/* Answers the long polls that wait. */
void history_end_waits(struct server *s);
/* No read could be made for it in time: 503. */
void history_too_late(struct conn *c);

#endif
