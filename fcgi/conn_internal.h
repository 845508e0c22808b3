/* conn_internal: what conn.c and conn_read.c, which are one module, share. */
#ifndef FCGI_CONN_INTERNAL_H
#define FCGI_CONN_INTERNAL_H

#include "fcgi/conn.h"

/* conn_read() has more to do in the next turn. */
void conn_make_readable(struct conn *c);

/* Frees what has come of a request's head. */
void conn_forget_pieces(struct conn *c);

#endif
