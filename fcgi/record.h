/* record: FastCGI's framing (FastCGI Specification 1.0, section 3.3 and 8). Pure.
 *
 * A record is a header of eight bytes, up to 65,535 bytes of content, and padding. What we write
 * has no padding: the specification recommends aligned records, no web server needs them. */
#ifndef FCGI_RECORD_H
#define FCGI_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

enum { RECORD_HEAD = 8, RECORD_CONTENT_MAX = 65535 };

/* The header of an FCGI_STDOUT record with n bytes of content, 1 <= n <= RECORD_CONTENT_MAX. */
void record_stdout_head(unsigned char head[RECORD_HEAD], uint16_t request_id, size_t n);

/* Appends text as FCGI_STDOUT records. */
void record_stdout(struct buf *out, uint16_t request_id, struct text text);

/* Appends what ends a response: an empty FCGI_STDOUT and FCGI_END_REQUEST with application status
 * 0. */
void record_end(struct buf *out, uint16_t request_id);

/* Looks at the beginning of what a web server sent: BEGIN_REQUEST and the PARAMS stream of one
 * request. */
enum record_look {
    RECORD_WHOLE,      /* the PARAMS stream has ended; *n = bytes up to there */
    RECORD_MANAGEMENT, /* a question about us comes before the request; *n = its bytes */
    RECORD_PARTLY,     /* all right so far; more must come */
    RECORD_GARBAGE,    /* not FastCGI 1, or not one request's beginning */
};
enum record_look record_look(struct text bytes, size_t *n);

/* Of a WHOLE one: whether the web server goes on with this connection after the response
 * (FCGI_KEEP_CONN). If not, it waits for the end of the connection. */
bool record_keeps(struct text bytes);

/* Appends the answer to a MANAGEMENT one (section 4): FCGI_GET_VALUES_RESULT with those of the
 * values it asks for that there are, connections_max for FCGI_MAX_CONNS and FCGI_MAX_REQS and no
 * multiplexing; FCGI_UNKNOWN_TYPE to any other type. False: its names and values do not end where
 * it ends. */
bool record_answer_management(struct buf *out, struct text record, uint64_t connections_max);

/* True when the names and values in the PARAMS stream of a whole request end where it ends. One
 * that announces more than there is would make libfcgi allocate as much, up to 4 GB, and overflow
 * in versions without the correction of CVE-2025-23016. */
bool record_params_fit(struct text bytes);

/* Reads what comes behind the parameters, in pieces of any size: the body (FCGI_STDIN) and an
 * abort. */
struct record_reader {
    unsigned char head[RECORD_HEAD];
    uint8_t head_n;     /* bytes of the header that have come */
    uint8_t padding_n;  /* bytes still to come, like: */
    uint16_t content_n; /* when head_n == RECORD_HEAD */
    bool ended;         /* the body has ended: nothing but an abort may follow */
    uint16_t request_id;
};

enum record_read {
    RECORD_MORE,    /* go on */
    RECORD_END,     /* the body has ended; said once, and what follows is not looked at yet */
    RECORD_ABORT,   /* the web server gives the request up */
    RECORD_INVALID, /* not FastCGI */
};

/* Zeroed but for request_id, it is the beginning; records of other requests are RECORD_INVALID.
 * What is read is taken off *bytes: all of it but for END. Appends the body's bytes to body, which
 * may be NULL to drop them. A body that does not fit makes the buffer fail; reading goes on. */
enum record_read record_read(struct record_reader *r, struct text *bytes, struct buf *body);

#endif
