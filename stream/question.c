#include "stream/question.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"

enum { NAME_ROOM = 1024, SLOTS_FIRST = 64, WORD_BITS = 64 };

/* One name of a pointer, below those before it. */
struct question_node {
    struct question_node *parent, *children; /* children: a hash by name */
    TAILQ_HEAD(, question) questions;        /* whose pointer ends here */
    uint32_t users;                          /* questions here and below */
    uint64_t event;                          /* when value was found */
    struct text value;
    struct question_node *next_found;
    UT_hash_handle by_name;
    size_t name_n;
    char name[];
};

/* ---- changes ---- */

void
question_changes_init(struct question_changes *c)
{
    *c = (struct question_changes){0};
    TAILQ_INIT(&c->added);
    TAILQ_INIT(&c->dropped);
}

bool
question_changes_move(struct question_changes *to, struct question_changes *from)
{
    struct question *question;

    if (TAILQ_EMPTY(&from->added) && TAILQ_EMPTY(&from->dropped))
        return false;
    TAILQ_FOREACH (question, &from->added, in_added)
        question->handed_over = true;
    TAILQ_CONCAT(&to->added, &from->added, in_added);
    TAILQ_CONCAT(&to->dropped, &from->dropped, in_dropped);
    to->last = from->last;
    to->slots = from->slots;
    return true;
}

static void
destroy(struct question *question)
{
    where_finish(&question->condition);
    mem_free(question);
}

/* ---- the registry ---- */

void
questions_init(struct questions *q)
{
    *q = (struct questions){0};
    question_changes_init(&q->changes);
}

void
questions_finish(struct questions *q)
{
    struct question *gone;

    assert(!q->by_text && TAILQ_EMPTY(&q->changes.added));
    while ((gone = TAILQ_FIRST(&q->changes.dropped))) {
        TAILQ_REMOVE(&q->changes.dropped, gone, in_dropped);
        destroy(gone);
    }
    mem_free(q->free_slots);
}

/* Room for one slot more on the stack of free ones, which it may be put back on at any time. */
static bool
make_slots(struct questions *q)
{
    size_t capacity = q->capacity;

    if (q->n_free > 0)
        return true;
    if (!mem_grow(&q->free_slots, capacity, &capacity, sizeof *q->free_slots, SLOTS_FIRST))
        return false;
    for (uint32_t i = (uint32_t)capacity; i > q->capacity; i--) /* the lowest are given first */
        q->free_slots[q->n_free++] = i - 1;
    q->capacity = q->changes.slots = (uint32_t)capacity;
    return true;
}

static struct question *
make_question(struct questions *q, struct text source)
{
    struct question *question = mem_zalloc(sizeof *question);

    if (!question)
        return NULL;
    if (!make_slots(q) || where_parse(&question->condition, source, NULL) != ERR_OK) {
        mem_free(question);
        return NULL;
    }
    HASH_ADD_KEYPTR(by_text, q->by_text, question->condition.source.p, source.n, question);
    if (!question->by_text.tbl) {
        destroy(question);
        return NULL;
    }
    question->slot = q->free_slots[--q->n_free];
    question->since = ++q->changes.last;
    q->n++;
    TAILQ_INSERT_TAIL(&q->changes.added, question, in_added);
    return question;
}

struct question *
question_find(const struct questions *q, const struct where_condition *condition)
{
    struct question *question;

    HASH_FIND(by_text, q->by_text, condition->source.p, condition->source.n, question);
    return question;
}

struct question *
question_hold(struct questions *q, const struct where_condition *condition)
{
    struct question *question = question_find(q, condition);

    if (!question)
        question = make_question(q, condition->source);
    if (question)
        question->refs++;
    return question;
}

void
question_release(struct questions *q, struct question *question)
{
    assert(question->refs > 0);
    if (--question->refs > 0)
        return;
    HASH_DELETE(by_text, q->by_text, question);
    q->free_slots[q->n_free++] = question->slot;
    q->n--;
    if (question->handed_over) {
        q->changes.last++;
        TAILQ_INSERT_TAIL(&q->changes.dropped, question, in_dropped);
    } else {
        TAILQ_REMOVE(&q->changes.added, question, in_added);
        destroy(question);
    }
}

/* ---- the tree of pointers ---- */

static struct question_node *
find_child(struct question_node *node, struct text name)
{
    struct question_node *child;

    HASH_FIND(by_name, node->children, name.p, name.n, child);
    return child;
}

static struct question_node *
make_node(struct question_node *parent, struct text name)
{
    struct question_node *node = mem_zalloc(sizeof *node + name.n);

    if (!node)
        return NULL;
    TAILQ_INIT(&node->questions);
    node->parent = parent;
    node->name_n = name.n;
    memcpy(node->name, name.p, name.n);
    if (parent)
        HASH_ADD_KEYPTR(by_name, parent->children, node->name, node->name_n, node);
    if (parent && !node->by_name.tbl) {
        mem_free(node);
        return NULL;
    }
    return node;
}

/* Frees the node, and those above it that are not needed either. */
static void
trim(struct question_index *x, struct question_node *node)
{
    while (node && node->users == 0 && !node->children) {
        struct question_node *parent = node->parent;

        if (parent)
            HASH_DELETE(by_name, parent->children, node);
        else
            x->root = NULL;
        mem_free(node);
        node = parent;
    }
}

static bool
add(struct question_index *x, struct question *question)
{
    struct question_node *node = x->root, *child;
    struct text name;

    if (!node)
        node = x->root = make_node(NULL, TEXT_LIT(""));
    for (size_t i = 0; node && pointer_name(&question->condition.pointer, i, &name); i++) {
        child = find_child(node, name);
        if (!child)
            child = make_node(node, name);
        if (!child)
            trim(x, node);
        node = child;
    }
    if (!node)
        return false;
    TAILQ_INSERT_TAIL(&node->questions, question, in_node);
    question->node = node;
    question->indexed = true;
    for (; node; node = node->parent)
        node->users++;
    x->n++;
    return true;
}

static void
drop(struct question_index *x, struct question *question)
{
    struct question_node *node = question->node;

    TAILQ_REMOVE(&node->questions, question, in_node);
    for (struct question_node *at = node; at; at = at->parent)
        at->users--;
    trim(x, node);
    x->n--;
}

/* ---- the index ---- */

void
question_index_init(struct question_index *x)
{
    *x = (struct question_index){0};
    question_changes_init(&x->changes);
}

/* Frees a node without children, with the questions that are left in it. */
static struct question_node *
destroy_leaf(struct question_node *node)
{
    struct question_node *parent = node->parent;
    struct question *question;

    while ((question = TAILQ_FIRST(&node->questions))) {
        TAILQ_REMOVE(&node->questions, question, in_node);
        destroy(question);
    }
    if (parent)
        HASH_DELETE(by_name, parent->children, node);
    mem_free(node);
    return parent;
}

static void
destroy_tree(struct question_node *node)
{
    while (node) {
        while (node->children)
            node = node->children; /* the first of the hash */
        node = destroy_leaf(node);
    }
}

/* The question's bit in a row of answers. */
static void
set_answer(uint64_t *row, const struct question *question, bool yes)
{
    uint64_t bit = (uint64_t)1 << question->slot % WORD_BITS;

    if (yes)
        row[question->slot / WORD_BITS] |= bit;
    else
        row[question->slot / WORD_BITS] &= ~bit;
}

static void
apply_dropped(struct question_index *x)
{
    struct question *question;

    while ((question = TAILQ_FIRST(&x->changes.dropped))) {
        TAILQ_REMOVE(&x->changes.dropped, question, in_dropped);
        if (question->indexed)
            drop(x, question);
        else
            TAILQ_REMOVE(&x->changes.added, question, in_added);
        destroy(question);
    }
}

static bool
make_words(struct question_index *x)
{
    uint32_t words = (x->changes.slots + WORD_BITS - 1) / WORD_BITS;
    uint64_t *defaults;

    if (words <= x->words)
        return true;
    defaults = mem_realloc(x->defaults, words * sizeof *defaults);
    if (!defaults)
        return false;
    memset(defaults + x->words, 0, (words - x->words) * sizeof *defaults);
    x->defaults = defaults;
    x->words = words;
    return true;
}

void
question_index_apply(struct question_index *x)
{
    struct question *question;

    apply_dropped(x);
    if (!make_words(x))
        return;
    while ((question = TAILQ_FIRST(&x->changes.added))) {
        if (!add(x, question))
            return;
        TAILQ_REMOVE(&x->changes.added, question, in_added);
        set_answer(x->defaults, question, where_answer(&question->condition, TEXT_NONE));
    }
    x->applied = x->changes.last;
}

void
question_index_finish(struct question_index *x)
{
    struct question *question;

    apply_dropped(x);
    while ((question = TAILQ_FIRST(&x->changes.added))) {
        TAILQ_REMOVE(&x->changes.added, question, in_added);
        destroy(question);
    }
    destroy_tree(x->root);
    mem_free(x->defaults);
}

/* ---- asking ---- */

static bool
is_below(const struct question_node *node, const struct question_node *top)
{
    while (node && node != top)
        node = node->parent;
    return node;
}

/* Of members with the same name the last one counts: what an earlier one had is void. */
static void
forget(struct question_index *x, const struct question_node *top)
{
    for (struct question_node *node = x->found; node; node = node->next_found)
        if (is_below(node, top))
            node->value = TEXT_NONE;
}

static void
note(struct question_index *x, struct question_node *node, struct text value)
{
    if (TAILQ_EMPTY(&node->questions))
        return;
    if (node->event != x->event) {
        node->event = x->event;
        node->next_found = x->found;
        x->found = node;
    }
    node->value = value;
}

/* A long name with escapes is compared with each. */
static struct question_node *
child_by_string(struct question_node *node, struct text string)
{
    struct question_node *child, *next;

    HASH_ITER (by_name, node->children, child, next)
        if (json_string_is(string, (struct text){child->name, child->name_n}))
            return child;
    return NULL;
}

static struct question_node *
child_for(struct question_node *node, struct text string, size_t index)
{
    char room[NAME_ROOM], *at = room;
    struct text name;

    if (!string.p)
        return find_child(node,
                          (struct text){room, (size_t)snprintf(room, sizeof room, "%zu", index)});
    if (string.n > sizeof room)
        return child_by_string(node, string);
    return json_string_decode(string, &at, &name) ? find_child(node, name) : NULL;
}

/* How far down the tree, and the data, a walk has got. */
struct level {
    struct question_node *node;
    struct json_walk walk; /* of what the node's value holds */
    size_t i;              /* of the next element, if that is an array */
};

/* The walk of the level above is at a value to which the node's names lead: notes it, and passes it
 * over unless questions ask for what is in it. True: *inner is to be walked. */
static bool
enter(struct question_index *x, struct question_node *node, struct json_walk *at,
      struct level *inner)
{
    enum json_kind kind = json_here(at);
    struct json_walk here = *at;

    if (!node->children || (kind != JSON_OBJECT && kind != JSON_ARRAY)) {
        note(x, node, json_pass(at));
        return false;
    }
    if (!TAILQ_EMPTY(&node->questions))
        note(x, node, json_pass(&here));
    *inner = (struct level){.node = node};
    json_into(at, &inner->walk);
    return true;
}

/* The depth of a checked text is bounded, and so is the stack. */
static void
visit(struct question_index *x, struct json_walk *root)
{
    struct level stack[JSON_DEPTH_MAX + 1], *top = stack;
    struct text name;

    if (!enter(x, x->root, root, top))
        return;
    for (;;) {
        struct question_node *child;

        if (!json_step(&top->walk, &name)) {
            if (top == stack)
                return;
            json_out(&top[-1].walk, &top->walk);
            top--;
            continue;
        }
        child = child_for(top->node, name, top->i++);
        if (!child) {
            json_pass(&top->walk);
            continue;
        }
        forget(x, child);
        if (enter(x, child, &top->walk, top + 1))
            top++;
    }
}

static void
answer_found(struct question_index *x, uint64_t *row)
{
    struct question *question;

    for (struct question_node *node = x->found; node; node = node->next_found) {
        if (!node->value.p)
            continue;
        TAILQ_FOREACH (question, &node->questions, in_node)
            set_answer(row, question, where_answer(&question->condition, node->value));
    }
}

void
question_index_answer(struct question_index *x, struct text data, struct buf *answers)
{
    size_t bytes = x->words * sizeof *x->defaults;
    char *row = bytes > 0 ? buf_reserve(answers, bytes) : NULL;
    struct text json;

    if (!row) /* nothing was ever asked, or no memory */
        return;
    memcpy(row, x->defaults, bytes);
    x->event++;
    x->found = NULL;
    if (x->root && json_check(data, &json, NULL) == ERR_OK) {
        struct json_walk root = {.p = json.p, .end = json.p + json.n};

        visit(x, &root);
        answer_found(x, (uint64_t *)(void *)row);
    }
    buf_commit(answers, bytes);
}
