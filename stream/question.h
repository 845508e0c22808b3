/* question: a condition on the data of events, asked once per new event, however many clients have
 * it and however many conditions there are.
 *
 * It has two ends. The registry belongs to the loop: feeds hold questions there, the same text is
 * the same question, and each has a slot, which is its bit in the answers. The index belongs to the
 * thread that reads new events: all JSON Pointers together are one tree, and the data of an event
 * is walked once, down the tree's branches only; what lies elsewhere is passed over. A page carries
 * the answers as one row of bits an event, and the number of the last change that its index knew: a
 * feed whose question came with a later change must ask the table.
 *
 * In between are changes: what was added and what was dropped, handed over in lists. The caller
 * keeps the two ends apart (a lock around the hand-over); nothing here waits or locks. A question
 * is freed by the index once it was dropped, or by the registry while it has not been handed over.
 *
 * Cost: holding and releasing O(1); an event, two passes over its data, and a comparison for each
 * question whose pointer leads to something. Memory: about 300 bytes a question. */
#ifndef STREAM_QUESTION_H
#define STREAM_QUESTION_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/buf.h"
#include "base/hash.h"
#include "stream/where.h"

struct question_node;

struct question {
    /* of the registry; constant as long as it is held */
    struct where_condition condition;
    uint32_t slot;
    uint64_t since; /* the change with which it came */
    uint32_t refs;
    UT_hash_handle by_text;
    bool handed_over; /* its addition has left the registry */
    /* of the index */
    bool indexed;
    struct question_node *node;
    TAILQ_ENTRY(question) in_added, in_dropped, in_node;
};

struct question_changes {
    TAILQ_HEAD(question_added, question) added;
    TAILQ_HEAD(question_dropped, question) dropped;
    uint64_t last;  /* the number of the last change */
    uint32_t slots; /* how many bits answers need from then on */
};

void question_changes_init(struct question_changes *c);
/* Moves all of `from` behind `to`. False when there was nothing. */
bool question_changes_move(struct question_changes *to, struct question_changes *from);

/* ---- the registry ---- */

struct questions {
    struct question *by_text; /* hash */
    uint32_t n;
    uint32_t *free_slots; /* a stack with room for all */
    uint32_t n_free, capacity;
    struct question_changes changes; /* not handed over yet */
};

void questions_init(struct questions *q);
/* Everything must have been released. Frees what was not handed over. */
void questions_finish(struct questions *q);

/* The question for this condition, borrowed. NULL = nobody asks it. */
struct question *question_find(const struct questions *q, const struct where_condition *condition);

/* The question for this condition, with one reference more. NULL = no memory. */
struct question *question_hold(struct questions *q, const struct where_condition *condition);
void question_release(struct questions *q, struct question *question);

/* ---- the index ---- */

struct question_index {
    struct question_node *root;
    struct question_changes changes; /* to be applied */
    uint32_t n;
    uint64_t event;              /* counts events: what was found for an older one is void */
    struct question_node *found; /* for the present one, linked */
    uint64_t *defaults;          /* the answers where nothing is found */
    uint32_t words;              /* of defaults */
    uint64_t applied;            /* the last change that it knows */
};

void question_index_init(struct question_index *x);
void question_index_finish(struct question_index *x);

/* Applies x->changes. Those that there is no memory for stay in it, and `applied` stays as it
 * was. */
void question_index_apply(struct question_index *x);

/* Appends the row of answers about this event's data, x->words words. */
void question_index_answer(struct question_index *x, struct text data, struct buf *answers);

#endif
