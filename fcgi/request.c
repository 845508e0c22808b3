#include "fcgi/request.h"

#include <errno.h>
#include <fcgiapp.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/mem.h"
#include "fcgi/record.h"
#include "http/header.h"

enum { FCGX_READ_BYTES = 8192 }; /* what libfcgi reads at a time */

/* The pipe that libfcgi reads from; empty between two calls. Loop thread only. */
static int pipe_read = -1, pipe_write = -1;
static size_t pipe_bytes;

static enum err
open_pipe(struct errbuf *eb)
{
    int ends[2];

    /* Non-blocking: a request that libfcgi finds incomplete must fail, not hang. */
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
        return err_set(eb, ERR_IO, "cannot make a pipe: %s", strerror(errno));
    /* In the worst case every byte of room is used: a page of a pipe is filled before the next. */
    if (fcntl(ends[1], F_SETPIPE_SZ, (int)pipe_bytes) < (int)pipe_bytes) {
        close(ends[0]);
        close(ends[1]);
        return err_set(eb, ERR_IO, "cannot make a pipe of %zu bytes: %s", pipe_bytes,
                       strerror(errno));
    }
    pipe_read = ends[0];
    pipe_write = ends[1];
    return ERR_OK;
}

enum err
request_setup(size_t bytes_max, struct errbuf *eb)
{
    if (FCGX_Init() != 0)
        return err_set(eb, ERR_IO, "libfcgi cannot be initialised");
    pipe_bytes = bytes_max;
    return open_pipe(eb);
}

void
request_teardown(void)
{
    if (pipe_read >= 0)
        close(pipe_read);
    if (pipe_write >= 0)
        close(pipe_write);
    pipe_read = pipe_write = -1;
}

/* After a failure anything may be left in the pipe. */
static void
renew_pipe(void)
{
    request_teardown();
    open_pipe(NULL);
}

/* libfcgi stops reading where the parameters end: padding beyond that would be the beginning of the
 * next request. What came in one read is not in the pipe any more. */
static void
empty_pipe(size_t written)
{
    char rest[256];

    while (written > FCGX_READ_BYTES && read(pipe_read, rest, sizeof rest) > 0)
        ;
}

/* libfcgi does not skip what pads FCGI_BEGIN_REQUEST and would read it as the next record: it is
 * left out. */
static bool
fill_pipe(struct text bytes)
{
    enum { PADDING_AT = 6, BEGIN_BYTES = 16 }; /* header and content are eight bytes each */
    char begin[BEGIN_BYTES];
    size_t n = bytes.n < sizeof begin ? bytes.n : sizeof begin;
    size_t padding = n > PADDING_AT ? (unsigned char)bytes.p[PADDING_AT] : 0;
    struct iovec parts[2];

    if (padding > bytes.n - n)
        padding = bytes.n - n;
    memcpy(begin, bytes.p, n);
    if (padding > 0)
        begin[PADDING_AT] = 0;
    parts[0] = (struct iovec){begin, n};
    parts[1] = (struct iovec){(char *)bytes.p + n + padding, bytes.n - n - padding};
    return writev(pipe_write, parts, 2) == (ssize_t)(bytes.n - padding);
}

struct used_parameter {
    struct text *member;
    struct text name;
};

/* The value of a header comes as the web server took it off the line: nginx leaves tabs at its
 * ends. */
static struct text
value_of(struct text name, const char *value)
{
    bool header = text_starts(name, TEXT_LIT("HTTP_")) || text_starts(name, TEXT_LIT("CONTENT_"));

    return header ? header_trim(text_of(value)) : text_of(value);
}

/* Looks each variable up among the parameters that are used; sums their lengths. The first of
 * several with one name counts. */
static size_t
find_parameters(char **environment, const struct used_parameter *used, size_t n, struct request *r)
{
    size_t total = 0;

    for (char **one = environment; *one; one++) {
        const char *end = strchr(*one, '=');
        struct text name = {*one, end ? (size_t)(end - *one) : 0};

        r->authorizations += text_equal(name, TEXT_LIT("HTTP_AUTHORIZATION"));
        for (size_t i = 0; i < n; i++) {
            if (!text_equal(name, used[i].name))
                continue;
            if (!used[i].member->p) {
                *used[i].member = value_of(name, end + 1);
                total += used[i].member->n;
            }
            break;
        }
    }
    return total;
}

/* Copies the used parameters into one piece of memory. */
static enum err
copy_parameters(char **environment, struct request *r)
{
    const struct used_parameter used[] = {
#define REQUEST_ROW(member, name) {&r->member, TEXT_LIT(name)},
        REQUEST_PARAMETERS(REQUEST_ROW)
#undef REQUEST_ROW
    };
    size_t n = sizeof used / sizeof *used;
    size_t total = find_parameters(environment, used, n, r);
    char *at = r->bytes = mem_alloc(total);

    if (!at) {
        *r = (struct request){0};
        return ERR_NOMEM;
    }
    for (size_t i = 0; i < n; i++) {
        struct text *value = used[i].member;

        if (!value->p)
            continue;
        memcpy(at, value->p, value->n);
        value->p = at;
        at += value->n;
    }
    return ERR_OK;
}

enum err
request_parse(struct text bytes, struct request *r, struct errbuf *eb)
{
    FCGX_Request fcgx;
    enum err err;

    *r = (struct request){.keeps = record_keeps(bytes)};
    if (!record_params_fit(bytes))
        return err_set(eb, ERR_INVALID, "the FastCGI parameters are incomplete");
    if (pipe_read < 0 && open_pipe(eb) != ERR_OK)
        return ERR_IO;
    if (!fill_pipe(bytes)) {
        renew_pipe();
        return err_set(eb, ERR_IO, "a request of %zu bytes does not fit the pipe", bytes.n);
    }
    if (FCGX_InitRequest(&fcgx, -1, 0) != 0)
        return err_set(eb, ERR_IO, "libfcgi cannot start a request");
    fcgx.ipcFd = pipe_read;
    fcgx.keepConnection = 1; /* else Accept closes ipcFd before it reads */
    if (FCGX_Accept_r(&fcgx) != 0) {
        pipe_read = fcgx.ipcFd; /* it has closed it; the number may be in use again by now */
        renew_pipe();
        return err_set(eb, ERR_INVALID, "the FastCGI parameters cannot be read");
    }
    r->id = (uint16_t)fcgx.requestId;
    /* An unfinished PARAMS stream at a record boundary counts as success for Accept. */
    if (FCGX_GetError(fcgx.in) != 0)
        err = err_set(eb, ERR_INVALID, "the FastCGI parameters are incomplete");
    else if (copy_parameters(fcgx.envp, r) != ERR_OK)
        err = err_nomem(eb);
    else
        err = ERR_OK;
    FCGX_Free(&fcgx, 0); /* 0: the pipe stays open */
    if (err == ERR_OK)
        empty_pipe(bytes.n);
    else
        renew_pipe();
    return err;
}

enum err
request_from_environment(struct request *r, struct errbuf *eb)
{
    *r = (struct request){0};
    if (copy_parameters(environ, r) != ERR_OK)
        return err_nomem(eb);
    if (!r->method.p) {
        request_finish(r);
        return err_set(
            eb, ERR_INVALID,
            "there is no socket to listen on: give --listen ADDRESS, or let a web server, "
            "spawn-fcgi or systemd start the program (see --help)");
    }
    return ERR_OK;
}

void
request_finish(struct request *r)
{
    mem_free(r->bytes);
    *r = (struct request){0};
}
