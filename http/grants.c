#include "http/grants.h"

#include "base/mem.h"
#include "http/form.h"
#include "stream/topic.h"

void
grants_init(struct grants *g)
{
    g->all = false;
    subscription_init(&g->list);
}

void
grants_finish(struct grants *g)
{
    subscription_finish(&g->list);
    g->all = false;
}

enum err
grants_add(struct grants *g, struct text pattern, struct errbuf *eb)
{
    enum err err;

    if (g->all || text_equal(pattern, TEXT_LIT("*"))) {
        grants_finish(g);
        g->all = true;
        return ERR_OK;
    }
    err = subscription_add_topic(&g->list, pattern, eb);
    return err == ERR_NOMEM ? err_nomem(eb) : err;
}

enum err
grants_parse(struct grants *g, struct text s, struct errbuf *eb)
{
    enum err err = ERR_OK;

    while (err == ERR_OK && s.n > 0) {
        char *pattern = NULL;
        struct text word;
        size_t n;

        text_cut(&s, ' ', &word);
        if (word.n > 0)
            err = form_decode(word, false, &pattern, &n, eb);
        if (err == ERR_OK && word.n > 0)
            err = grants_add(g, (struct text){pattern, n}, eb);
        mem_free(pattern);
    }
    return err;
}

enum err
grants_copy(struct grants *to, const struct grants *from)
{
    enum err err = from->all ? grants_add(to, TEXT_LIT("*"), NULL) : ERR_OK;

    for (size_t i = 0; err == ERR_OK && i < from->list.n_topics; i++)
        err = grants_add(to, from->list.topics[i], NULL);
    return err;
}

enum err
grants_meet(const struct grants *a, const struct grants *b, struct grants *both)
{
    enum err err = ERR_OK;

    if (a->all || b->all)
        return grants_copy(both, a->all ? b : a);
    for (size_t i = 0; i < a->list.n_topics; i++) {
        for (size_t k = 0; err == ERR_OK && k < b->list.n_topics; k++) {
            struct text one = a->list.topics[i], other = b->list.topics[k];

            if (topic_covers(one, other))
                err = grants_add(both, other, NULL);
            else if (topic_covers(other, one))
                err = grants_add(both, one, NULL);
        }
    }
    return err;
}

bool
grants_cover(const struct grants *g, struct text topic)
{
    for (size_t i = 0; i < g->list.n_topics; i++)
        if (topic_matches(g->list.topics[i], topic))
            return true;
    return g->all;
}
