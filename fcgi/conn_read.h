/* conn_read: what the web server says on a connection. A request's head is put together from what
 * recv() gives; once it is whole, route() decides. What comes behind it is the body of a POST, or
 * is passed over. */
#ifndef FCGI_CONN_READ_H
#define FCGI_CONN_READ_H

#include "fcgi/conn.h"

/* Reads what is there: of a request, or the news that the peer has closed. */
void conn_read(struct conn *c);

#endif
