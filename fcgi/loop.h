/* loop: what waits for the server until there is something to do: libuv's handles, and the
 * callbacks that record for the turn what has happened. The only file that knows libuv; the tests
 * of turns have another one in its place, and make time pass as they like. */
#ifndef FCGI_LOOP_H
#define FCGI_LOOP_H

#include "fcgi/state.h"

/* Makes s->loop and s->poller. Needs s->settings, s->sockets. ERR_IO, ERR_NOMEM. */
enum err loop_open(struct server *s, struct errbuf *eb);
/* Runs until loop_stop(); turn() is called before each wait, with the monotonic clock's time. */
void loop_run(struct server *s, void (*turn)(struct server *s, int64_t now_ms));
void loop_stop(struct server *s);
/* Closes every handle. */
void loop_close(struct server *s);

/* The next turn comes within this many milliseconds; INT64_MAX = only when something happens. */
void loop_next_turn(struct server *s, int64_t wait_ms);

/* Nothing happens for a moment of at most a few milliseconds. */
void loop_rest(const struct server *s, int64_t us);

/* Signals wait until the next loop is open: without a loop they would end the process. */
void loop_hold_signals(void);

void loop_listen(struct server *s);
/* No new connections for this long; or for good, and then the sockets are closed unless they are
 * kept for the next server. */
void loop_pause_listening(struct server *s, int64_t pause_ms);
void loop_stop_listening(struct server *s, bool keep_sockets);

/* Makes a turn happen; context is the server. From any thread. */
void loop_wake(void *context);

#endif
