/* load_report: figures of the children, added up and printed. */
#include <stddef.h>
#include <stdio.h>

#include "bench/load_shared.h"

static int64_t
later(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

void
figures_join(struct figures *sum, const struct figures *more, const struct figures *less)
{
    static const struct figures none;

    if (!less)
        less = &none;
#define JOIN(member) sum->member += more->member - less->member
    JOIN(opened);
    JOIN(open_failed);
    JOIN(left);
    JOIN(bytes);
    JOIN(comments);
    JOIN(resets);
    JOIN(unnumbered);
    for (int i = 0; i < READERS; i++) {
        JOIN(of[i].events);
        JOIN(of[i].missing);
        JOIN(of[i].doubled);
        JOIN(of[i].backward);
        JOIN(of[i].closed);
        hist_join(&sum->of[i].latency, &more->of[i].latency, &less->of[i].latency);
    }
#undef JOIN
    hist_join(&sum->connect, &more->connect, &less->connect);
    hist_join(&sum->first, &more->first, &less->first);
    /* These are states, not sums over time. */
    sum->open += more->open;
    sum->reached += more->reached;
    sum->last_open_ns = later(sum->last_open_ns, more->last_open_ns);
    sum->last_event_ns = later(sum->last_event_ns, more->last_event_ns);
    sum->last_reached_ns = later(sum->last_reached_ns, more->last_reached_ns);
}

static void
print_hist(const char *name, const struct hist *h)
{
    printf(",\"%s\":{\"n\":%lu,\"p50\":%.3f,\"p90\":%.3f,\"p99\":%.3f,\"p999\":%.3f,\"max\":%.3f}",
           name, h->n, hist_ms(h, 0.5), hist_ms(h, 0.9), hist_ms(h, 0.99), hist_ms(h, 0.999),
           hist_ms(h, 1));
}

static void
print_counts(const struct counts *c)
{
    printf("\"events\":%lu,\"missing\":%lu,\"doubled\":%lu,\"backward\":%lu,\"closed\":%lu",
           c->events, c->missing, c->doubled, c->backward, c->closed);
    print_hist("latency_ms", &c->latency);
}

/* From `from` to an event's time; 0 when there was none since. */
static double
since_s(int64_t at_ns, const struct moment *from)
{
    return at_ns > from->at_ns ? (double)(at_ns - from->at_ns) / 1e9 : 0;
}

void
report(const struct moment *from, const struct moment *to, const struct watched *watched, int n)
{
    static struct figures f; /* large */
    int64_t cpu_ns = 0;

    f = (struct figures){0};
    figures_join(&f, &to->figures, &from->figures);
    printf("\"mark_ns\":%ld,\"seconds\":%.4f,\"opened\":%lu,\"open\":%lu,\"open_failed\":%lu,"
           "\"reached\":%lu,"
           "\"left\":%lu,"
           "\"bytes\":%lu,\"comments\":%lu,\"resets\":%lu,\"unnumbered\":%lu",
           from->at_ns, since_s(to->at_ns, from), f.opened, f.open, f.open_failed, f.reached,
           f.left, f.bytes, f.comments, f.resets, f.unnumbered);
    printf(",\"last_open_s\":%.4f,\"last_event_s\":%.4f,\"last_reached_s\":%.4f",
           since_s(f.last_open_ns, from), since_s(f.last_event_ns, from),
           since_s(f.last_reached_ns, from));
    print_hist("connect_ms", &f.connect);
    print_hist("first_ms", &f.first);
    printf(",\"fast\":{");
    print_counts(&f.of[READER_FAST]);
    printf("},\"slow\":{");
    print_counts(&f.of[READER_SLOW]);
    printf("},\"client_cpu_s\":%.4f,\"tcp_kb\":%ld,\"tcp_kb_before\":%ld,\"available_kb\":%ld,"
           "\"available_kb_before\":%ld,\"servers\":{",
           (double)(to->client_cpu_ns - from->client_cpu_ns) / 1e9, to->tcp_kb, from->tcp_kb,
           to->available_kb, from->available_kb);
    for (int i = 0; i < n; i++) {
        const struct proc_sample *b = &from->watched[i], *e = &to->watched[i];

        printf("%s\"%s\":{\"cpu_s\":%.6f,\"rss_kb\":%ld,\"pss_kb\":%ld,\"pss_kb_before\":%ld,"
               "\"own_kb\":%ld,\"processes\":%d,\"descriptors\":%d}",
               i ? "," : "", watched[i].name, (double)(e->cpu_ns - b->cpu_ns) / 1e9, e->rss_kb,
               e->pss_kb, b->pss_kb, e->own_kb, e->processes, e->descriptors);
        cpu_ns += e->cpu_ns - b->cpu_ns;
    }
    printf("},\"server_cpu_s\":%.6f", (double)cpu_ns / 1e9);
}
