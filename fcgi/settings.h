/* settings: the values of fcgi/options.def for one run. */
#ifndef FCGI_SETTINGS_H
#define FCGI_SETTINGS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/jws.h"
#include "base/option.h"
#include "http/grants.h"
#include "sql/store.h"

struct settings {
#define OPTION OPTION_MEMBER
#include "fcgi/options.def"
#undef OPTION
};

extern const struct option_set settings_options;

/* How far one step of a read for clients goes. */
struct store_step settings_step(const struct settings *s);

/* Rules that concern more than one setting. ERR_INVALID. */
enum err settings_check(const struct settings *s, struct errbuf *eb);

/* What --public-topics says; *g is init'ed and filled, and finished by the caller. ERR_INVALID,
 * ERR_NOMEM: there is nothing to finish then. */
enum err settings_public(const struct settings *s, struct grants *g, struct errbuf *eb);

/* What may change while running (SIGHUP) is exchanged with fresh's; what needs a restart stays.
 * Both are still to be finished. Returns the name of the first setting that differs and was not
 * taken over, or NULL. */
const char *settings_reload(struct settings *s, struct settings *fresh);

#endif
