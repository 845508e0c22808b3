#include "admin/doctor_watch.h"

#include <stdio.h>
#include <stdlib.h>

/* The first comment comes at once; the shortest heartbeat that can be set is 100 ms. */
enum { SILENCE_US = 90000 };

void
watch_init(struct watch *w)
{
    *w = (struct watch){.retry_ms = -1};
}

/* {"id":"1235-k3f9"} */
static void
take_live(struct watch *w, int64_t at_us)
{
    const char *id = strstr(w->data, "\"id\":\"");
    size_t n = id ? strcspn(id + 6, "\"") : 0;

    w->live_us = at_us;
    if (id && n < sizeof w->live_id)
        snprintf(w->live_id, sizeof w->live_id, "%.*s", (int)n, id + 6);
}

static void
end_block(struct watch *w, int64_t at_us)
{
    if (strcmp(w->event, "freshet:live") == 0) {
        take_live(w, at_us);
    } else if (strcmp(w->event, "freshet:reset") == 0) {
        memcpy(w->reset, w->data, sizeof w->reset);
    } else if (w->id[0]) {
        if (w->events++ == 0)
            memcpy(w->first_id, w->id, sizeof w->id);
        if (w->expected && strcmp(w->data, w->expected) == 0) {
            memcpy(w->expected_id, w->id, sizeof w->id);
            w->expected_us = at_us;
        }
    }
    w->id[0] = w->event[0] = w->data[0] = '\0';
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
end_line(struct watch *w, int64_t at_us)
{
    const char *value;

    if (w->n > 0 && w->line[w->n - 1] == '\r')
        w->n--;
    w->line[w->n] = '\0';
    w->n = 0;
    if (w->line[0] == '\0')
        end_block(w, at_us);
    else if (w->line[0] == ':' && w->before_us && at_us - w->before_us >= SILENCE_US) {
        w->heartbeats++;
        w->heartbeat_us = at_us - w->before_us;
    } else if ((value = value_of(w->line, "retry")))
        w->retry_ms = strtoll(value, NULL, 10);
    else if ((value = value_of(w->line, "id")))
        snprintf(w->id, sizeof w->id, "%.*s", WATCH_ID - 1, value);
    else if ((value = value_of(w->line, "event")))
        snprintf(w->event, sizeof w->event, "%.*s", WATCH_ID - 1, value);
    else if ((value = value_of(w->line, "data")) && !w->data[0])
        snprintf(w->data, sizeof w->data, "%s", value);
}

void
watch_arrived(void *context, struct text bytes, int64_t at_us)
{
    struct watch *w = context;

    w->before_us = w->last_us;
    w->last_us = at_us;
    for (size_t i = 0; i < bytes.n; i++) {
        if (bytes.p[i] == '\n')
            end_line(w, at_us);
        else if (w->n < sizeof w->line - 1)
            w->line[w->n++] = bytes.p[i];
    }
}
