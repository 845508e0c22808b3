/* server: what the loop does. Start reading at server_turn() in server.c. */
#ifndef FCGI_SERVER_H
#define FCGI_SERVER_H

#include "fcgi/state.h"

/* Serves the sockets until SIGTERM, which closes them, or until the database has been replaced:
 * then s->reopening is set, and the caller opens the new one and calls again. *s is zeroed but for
 * argc, argv and counters. The stores are taken over; `writable` is NULL unless publishing is on.
 */
enum err server_run(struct server *s, struct settings *settings, struct store *store,
                    struct store *writable, const int *sockets, int n_sockets, struct errbuf *eb);

/* Serves one plain CGI request on standard output. */
enum err server_run_cgi(struct server *s, struct settings *settings, struct store *store,
                        const struct request *request, struct errbuf *eb);

/* One turn of the work, before the loop waits. now_ms: of any clock that does not go back. */
void server_turn(struct server *s, int64_t now_ms);

/* What the two above do before the loop runs and after it. Tests, which make the turns themselves,
 * call these. `single` is NULL but for plain CGI. When server_open() fails nothing is left. */
enum err server_open(struct server *s, struct settings *settings, struct store *store,
                     struct store *writable, const struct request *single, struct errbuf *eb);
void server_close(struct server *s);

#endif
