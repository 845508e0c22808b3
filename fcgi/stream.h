/* stream: a connection that is a subscriber: where in the log it begins, what it is sent, its end.
 */
#ifndef FCGI_STREAM_H
#define FCGI_STREAM_H

struct access;
struct conn;
struct request;
struct server;

/* GET, and HEAD: the head of a stream and nothing else. They answer within what access grants. */
void stream(struct conn *c, const struct request *r, const struct access *access);
void stream_head(struct conn *c, const struct request *r, const struct access *access);

/* Sends a comment, so that silence is not taken for death. */
void stream_heartbeat(struct conn *c);

#endif
