/* topic: patterns that choose topics.
 *
 * A pattern is a topic, which matches itself, or a prefix followed by one '*' at its very end,
 * which matches every topic that starts with it; "*" matches all. A '*' elsewhere is an ordinary
 * byte. */
#ifndef STREAM_TOPIC_H
#define STREAM_TOPIC_H

#include "base/text.h"

/* True when the pattern is a prefix; *prefix is then the pattern without its '*'. */
bool topic_is_prefix(struct text pattern, struct text *prefix);

bool topic_matches(struct text pattern, struct text topic);

/* True when every topic that narrow matches is matched by wide too. */
bool topic_covers(struct text wide, struct text narrow);

#endif
