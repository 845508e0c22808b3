/* route: a request goes to what answers it (stream.c, history.c, publish.c), if it is granted. */
#ifndef FCGI_ROUTE_H
#define FCGI_ROUTE_H

struct conn;
struct request;

void route(struct conn *c, const struct request *r);

#endif
