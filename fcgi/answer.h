/* answer: what a request gets: a stream, a response, or the beginning of a publication. */
#ifndef FCGI_ANSWER_H
#define FCGI_ANSWER_H

#include "fcgi/query.h"
#include "fcgi/server.h"

struct access;
struct request;

void answer(struct conn *c, const struct request *r);

/* The reader found out where a stream begins. */
void answer_located(struct server *s, struct reader_job *job);

/* A problem body (RFC 9457). headers: whole lines, each with CRLF. title is a literal, detail any
 * text. */
void answer_problem(struct conn *c, int status, const char *title, const char *headers,
                    const char *detail);
void answer_too_large(struct conn *c);
/* A response that is complete, head and body. A buffer that has failed closes the connection. */
void answer_whole(struct conn *c, const struct buf *b);

/* What the query string and Last-Event-ID ask for, within what this request may read; the caller
 * finishes *q. False: it was refused, and that has been answered. */
bool answer_query(struct conn *c, const struct request *r, enum query_kind kind, struct query *q);

/* Whether this address may have one stream more; if so, the connection counts. */
bool answer_admit(struct conn *c);

/* publish.c: POST, whose body is then read: more of it has come; it is whole; it has been written.
 * What will not be written is forgotten (NULL is allowed). */
void publish(struct conn *c, const struct request *r, struct access *access);
void publish_body_grows(struct conn *c);
void publish_body_read(struct conn *c);
void publish_written(struct server *s, struct writer_job *job);
void publish_forget(struct server *s, struct writer_job *job);

#endif
