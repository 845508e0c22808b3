#include "stream/pattern.h"

#include <string.h>

#include "base/mem.h"
#include "stream/feed.h"
#include "stream/topic.h"

static struct pattern *
find(const struct patterns *all, struct text text)
{
    struct pattern *p;

    HASH_FIND(by_text, all->by_text, text.p, text.n, p);
    return p;
}

const struct pattern *
patterns_find(const struct patterns *all, struct text text)
{
    return find(all, text);
}

static void
count_prefix(struct patterns *all, const struct pattern *p, int change)
{
    struct text prefix;

    if (topic_is_prefix((struct text){p->text, p->text_n}, &prefix))
        all->prefixes[prefix.n] = (uint32_t)((int64_t)all->prefixes[prefix.n] + change);
}

static struct pattern *
make(struct patterns *all, struct text text)
{
    struct pattern *p = mem_zalloc(sizeof *p + text.n);

    if (!p)
        return NULL;
    memcpy(p->text, text.p, text.n);
    p->text_n = text.n;
    HASH_ADD_KEYPTR(by_text, all->by_text, p->text, p->text_n, p);
    if (!p->by_text.tbl) { /* out of memory inside uthash */
        mem_free(p);
        return NULL;
    }
    count_prefix(all, p, 1);
    return p;
}

static void
drop_if_unused(struct patterns *all, struct pattern *p)
{
    if (p->n > 0)
        return;
    count_prefix(all, p, -1);
    HASH_DELETE(by_text, all->by_text, p);
    mem_free(p->feeds);
    mem_free(p);
}

static bool
add_one(struct patterns *all, struct text text, struct feed *f)
{
    struct pattern *p = find(all, text);

    if (!p)
        p = make(all, text);
    if (!p)
        return false;
    if (!mem_grow(&p->feeds, p->n, &p->capacity, sizeof(struct feed *), 1)) {
        drop_if_unused(all, p);
        return false;
    }
    p->feeds[p->n++] = f;
    return true;
}

static void
remove_one(struct patterns *all, struct text text, const struct feed *f)
{
    struct pattern *p = find(all, text);

    for (size_t i = 0; p && i < p->n; i++) {
        if (p->feeds[i] == f) {
            p->feeds[i] = p->feeds[--p->n];
            drop_if_unused(all, p);
            return;
        }
    }
}

void
patterns_remove(struct patterns *all, const struct feed *f)
{
    if (f->what.n_topics == 0)
        remove_one(all, TEXT_LIT("*"), f);
    for (size_t i = 0; i < f->what.n_topics; i++)
        remove_one(all, f->what.topics[i], f);
}

bool
patterns_add(struct patterns *all, struct feed *f)
{
    bool done = f->what.n_topics > 0 || add_one(all, TEXT_LIT("*"), f);

    for (size_t i = 0; done && i < f->what.n_topics; i++)
        done = add_one(all, f->what.topics[i], f);
    if (!done)
        patterns_remove(all, f);
    return done;
}
