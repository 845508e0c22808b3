#include "sql/store_page.h"

struct building {
    struct page *page;
    bool with_names, no_memory;
};

static bool
add_event(void *context, const struct event *e)
{
    struct building *b = context;

    switch (page_add(b->page, e, b->with_names)) {
    case PAGE_ADDED:
        return true;
    case PAGE_NO_MEMORY:
        b->no_memory = true;
        return false;
    case PAGE_IS_FULL:
        return false;
    }
    return false;
}

enum err
store_page_read(struct store *s, const struct store_page_want *want, struct page **page, bool *end,
                struct errbuf *eb)
{
    struct building b = {page_create(want->after, want->bytes, want->dialect), want->with_names,
                         false};
    struct store_query q = {
        .filter = want->filter, .after = want->after, .rows_max = want->rows, .step = want->step};
    struct store_page read;
    enum err err;

    *page = NULL;
    if (!b.page)
        return err_nomem(eb);
    if (want->second)
        page_add_twin(b.page, want->second);
    if (want->index)
        page_ask(b.page, want->index);
    err = store_read(s, &q, add_event, &b, &read, eb);
    if (err == ERR_OK && b.no_memory && b.page->n == 0)
        err = err_nomem(eb);
    if (err != ERR_OK) {
        page_destroy(b.page);
        return err;
    }
    b.page->through = read.through;
    b.page->marks = read.marks;
    *page = b.page;
    if (end)
        *end = read.end;
    return ERR_OK;
}
