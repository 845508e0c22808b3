/* grants as text, as grants_parse() reads them, for tests to compare. */
#ifndef TESTS_UNIT_GRANTS_TEXT_H
#define TESTS_UNIT_GRANTS_TEXT_H

#include "base/buf.h"
#include "http/grants.h"

static inline void
grants_text(const struct grants *g, struct buf *out)
{
    buf_string(out, g->all ? "*" : "");
    for (size_t i = 0; i < g->list.n_topics; i++) {
        struct text topic = g->list.topics[i];

        buf_string(out, i > 0 ? " " : "");
        for (size_t k = 0; k < topic.n; k++) {
            if (topic.p[k] == ' ' || topic.p[k] == '%')
                buf_format(out, "%%%02X", (unsigned)topic.p[k]);
            else
                buf_byte(out, topic.p[k]);
        }
    }
    buf_byte(out, '\0');
}

#endif
