/* settings: what the command line and the configuration file of freshet-ingest say. */
#ifndef INGEST_SETTINGS_H
#define INGEST_SETTINGS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/option.h"

/* In the order of the words in options.def. */
enum format { FORMAT_NDJSON, FORMAT_SSE, FORMAT_LINES };
enum invalid_utf8 { INVALID_REJECT, INVALID_REPLACE };
enum sync { SYNC_FULL, SYNC_NORMAL };

struct settings {
#define OPTION OPTION_MEMBER
#include "ingest/options.def"
#undef OPTION
    const char *input; /* the file to read or follow; NULL = standard input */
};

extern const struct option_set settings_options;

/* After option_parse(): what single values cannot tell. Sets input from --follow or argv[rest].
 * ERR_INVALID is a mistake in usage. */
enum err settings_check(struct settings *s, int argc, char **argv, int rest, struct errbuf *eb);

/* True when one of the --…-from options is given. */
bool settings_have_pointers(const struct settings *s);

#endif
