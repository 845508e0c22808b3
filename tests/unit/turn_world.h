/* turn_world: a whole responder whose turns the test makes, and whose time the test says: real
 * connections (socket pairs), a real database with its threads, and in place of fcgi/loop.c a loop
 * that only notes what it is asked for. Nothing sleeps: where a thread has to be waited for, its
 * news are, and the time of the turns stands still meanwhile. */
#ifndef TESTS_UNIT_TURN_WORLD_H
#define TESTS_UNIT_TURN_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <sqlite3.h>

#include "base/buf.h"
#include "fcgi/server.h"
#include "tests/unit/temp_db.h"

enum { CLIENTS = 64, BEGIN_MS = 1000000 };

/* The web server's end of a connection. */
struct client {
    int fd;
    struct buf got;  /* the contents of FCGI_STDOUT */
    bool ended;      /* FCGI_END_REQUEST has come */
    bool closed;     /* the connection was closed */
    struct buf rest; /* of a record that has not come whole */
};

struct turn_world {
    struct temp_db at;
    char key[220];
    sqlite3 *db;
    struct server server;
    struct settings settings;
    struct client clients[CLIENTS];
    int n_clients;
    int64_t now_ms;
    /* what the loop was asked for */
    int news[2]; /* a pipe: a thread has something */
    int64_t wait_ms;
    bool stopped, listening;
};

/* options: those of the responder beside --db, ends with NULL. "KEY" stands for the name of a file
 * with the secret of keys.h. */
void turn_world_open(struct turn_world *w, const char *const *options);
void turn_world_close(struct turn_world *w);

/* Time passes, then there is one turn. */
void pass(struct turn_world *w, int64_t ms);
/* Turns at this time, whenever a thread has news, until the condition holds. */
#define UNTIL(w, condition)                                                                        \
    while (!(condition))                                                                           \
    await_news(w, #condition)
void await_news(struct turn_world *w, const char *what);

/* A client that has sent a GET; more: further parameters, names and values in turn, ends with NULL.
 * keep: the web server goes on with the connection. */
struct client *ask(struct turn_world *w, const char *query, bool keep, const char *const *more);
/* The same, after its first turns: a stream that has all there is. */
struct client *stream_of(struct turn_world *w, const char *query);
/* Bytes, as they are. */
void say(struct client *c, struct text bytes);

/* Takes what has come; true when what it has got in all contains the text. */
bool has_got(struct client *c, const char *text);
/* The same for its end, with FCGI_END_REQUEST or without. */
bool has_ended(struct client *c);
bool is_closed(struct client *c);

void sql(struct turn_world *w, const char *text);

#endif
