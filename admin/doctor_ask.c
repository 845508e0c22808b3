#include "admin/doctor_internal.h"
#include "base/buf.h"
#include "base/clock.h"

int64_t
doctor_until(const struct doctor *d, int64_t us)
{
    int64_t until = clock_mono_us() + us;

    return until < d->deadline_us ? until : d->deadline_us;
}

bool
doctor_wait(struct doctor *d, bool (*done)(void *context), void *context, int64_t us)
{
    return http_wait(&d->http, done, context, doctor_until(d, us));
}

bool
doctor_has_ended(void *exchange)
{
    return ((const struct exchange *)exchange)->ended;
}

bool
doctor_has_head(void *exchange)
{
    const struct exchange *x = exchange;

    return x->ended || x->head_us;
}

char *
doctor_url(const char *url, const char *more)
{
    struct buf b;

    buf_init(&b, SIZE_MAX / 4);
    buf_append(&b, url, strcspn(url, "#"));
    if (more[0])
        buf_byte(&b, strchr(url, '?') ? '&' : '?');
    buf_string(&b, more);
    return buf_take(&b);
}
