/* publish: POST. Reads the body, gives it to the writer, and answers after COMMIT. */
#ifndef FCGI_PUBLISH_H
#define FCGI_PUBLISH_H

struct access;
struct conn;
struct request;
struct server;
struct writer_job;

/* What follows is the body. */
void publish(struct conn *c, const struct request *r, const struct access *access);
/* The writer is done with it, and gives it back. */
void publish_written(struct server *s, struct writer_job *job);

#endif
