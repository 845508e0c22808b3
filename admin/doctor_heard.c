#include "admin/doctor_heard.h"

#include <stdio.h>
#include <stdlib.h>

/* The first comment comes at once; the shortest heartbeat that can be set is 100 ms. */
enum { SILENCE_US = 90000 };

void
heard_init(struct heard *h)
{
    *h = (struct heard){.retry_ms = -1};
}

/* {"id":"1235-k3f9"} */
static void
take_live(struct heard *h, int64_t at_us)
{
    const char *id = strstr(h->data, "\"id\":\"");
    size_t n = id ? strcspn(id + 6, "\"") : 0;

    h->live_us = at_us;
    if (id && n < sizeof h->live_id)
        snprintf(h->live_id, sizeof h->live_id, "%.*s", (int)n, id + 6);
}

static void
end_block(struct heard *h, int64_t at_us)
{
    if (strcmp(h->event, "freshet:live") == 0) {
        take_live(h, at_us);
    } else if (strcmp(h->event, "freshet:reset") == 0) {
        memcpy(h->reset, h->data, sizeof h->reset);
    } else if (h->id[0]) {
        if (h->events++ == 0)
            memcpy(h->first_id, h->id, sizeof h->id);
        if (h->expected && strcmp(h->data, h->expected) == 0) {
            memcpy(h->expected_id, h->id, sizeof h->id);
            h->expected_us = at_us;
        }
    }
    h->id[0] = h->event[0] = h->data[0] = '\0';
}

static const char *
value_of(const char *line, const char *name)
{
    size_t n = strlen(name);

    if (strncmp(line, name, n) != 0 || line[n] != ':')
        return NULL;
    return line[n + 1] == ' ' ? line + n + 2 : line + n + 1;
}

static void
end_line(struct heard *h, int64_t at_us)
{
    const char *value;

    if (h->n > 0 && h->line[h->n - 1] == '\r')
        h->n--;
    h->line[h->n] = '\0';
    h->n = 0;
    if (h->line[0] == '\0')
        end_block(h, at_us);
    else if (h->line[0] == ':' && h->before_us && at_us - h->before_us >= SILENCE_US) {
        h->heartbeats++;
        h->heartbeat_us = at_us - h->before_us;
    } else if ((value = value_of(h->line, "retry")))
        h->retry_ms = strtoll(value, NULL, 10);
    else if ((value = value_of(h->line, "id")))
        snprintf(h->id, sizeof h->id, "%.*s", HEARD_ID - 1, value);
    else if ((value = value_of(h->line, "event")))
        snprintf(h->event, sizeof h->event, "%.*s", HEARD_ID - 1, value);
    else if ((value = value_of(h->line, "data")) && !h->data[0])
        snprintf(h->data, sizeof h->data, "%s", value);
}

void
heard_arrived(void *context, struct text bytes, int64_t at_us)
{
    struct heard *h = context;

    h->before_us = h->last_us;
    h->last_us = at_us;
    for (size_t i = 0; i < bytes.n; i++) {
        if (bytes.p[i] == '\n')
            end_line(h, at_us);
        else if (h->n < sizeof h->line - 1)
            h->line[h->n++] = bytes.p[i];
    }
}
