/* request: reads a request out of FastCGI records. The only file that knows libfcgi.
 *
 * libfcgi parses parameters well, but it blocks while it does and its output streams die on a
 * socket that is full. So it is never given a connection: the caller reads until record_look() says
 * that the request is whole, and request_parse() lets libfcgi read those bytes out of a pipe, where
 * they are all at hand. */
#ifndef FCGI_REQUEST_H
#define FCGI_REQUEST_H

#include "base/err.h"
#include "base/text.h"
#include "http/request.h"

/* Once, before any other call. ERR_IO. */
enum err request_setup(size_t bytes_max, struct errbuf *eb);
void request_teardown(void);

/* bytes: exactly one whole request as record_look() found it, at most bytes_max of request_setup().
 * ERR_INVALID, ERR_NOMEM, ERR_IO. */
enum err request_parse(struct text bytes, struct request *r, struct errbuf *eb);

/* Started as a plain CGI program, the environment is the request. ERR_INVALID when it is not
 * one. */
enum err request_from_environment(struct request *r, struct errbuf *eb);

void request_finish(struct request *r);

#endif
