/* replay: pages of the table for subscribers that are behind: what the hub asks for is read by the
 * reader and given back to the hub. */
#ifndef FCGI_REPLAY_H
#define FCGI_REPLAY_H

struct server;

/* Once per turn: begins to read what the hub has come to need. */
void replay_more(struct server *s);
/* The loop has ended: no subscriber is left. */
void replay_finish(struct server *s);

#endif
