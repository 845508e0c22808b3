/* respond: what all kinds of requests share: responses that are whole, and refusals. */
#ifndef FCGI_RESPOND_H
#define FCGI_RESPOND_H

#include <stdbool.h>

#include "base/buf.h"
#include "http/query.h"

struct access;
struct conn;
struct request;

/* A problem body (RFC 9457). headers: whole lines, each with CRLF. title is a literal, detail any
 * text. */
void respond_problem(struct conn *c, int status, const char *title, const char *headers,
                     const char *detail);
void respond_too_large(struct conn *c);
/* A response that is complete, head and body. A buffer that has failed closes the connection. */
void respond_whole(struct conn *c, const struct buf *b);
/* The same for a long one: the client has as long for it as a stream has that takes no byte, and
 * what it has not taken counts for --history-bytes. */
void respond_reply(struct conn *c, const struct buf *b);

/* What the query string and Last-Event-ID ask for, within what this request may read; the caller
 * finishes *q. False: it was refused, and that has been answered. */
bool respond_query(struct conn *c, const struct request *r, const struct access *access,
                   enum query_kind kind, struct query *q);
/* Refuses what access does not cover: 401 where a token might help, else 403. */
void respond_denied(struct conn *c, const struct access *access, const char *why);

/* When the token that allows this ends, by the loop's clock; DEADLINE_NEVER. */
int64_t respond_expiry(const struct conn *c, const struct access *access);

#endif
