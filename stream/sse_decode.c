#include "stream/sse_decode.h"

enum { MARK, AFTER_CR, LINE_START, NAME, VALUE_START, VALUE };

static const char byte_order_mark[3] = "\xef\xbb\xbf";

void
sse_decode_init(struct sse_decode *d, size_t data_max)
{
    *d = (struct sse_decode){.line = 1, .state = MARK};
    buf_init(&d->data, data_max < SIZE_MAX ? data_max + 1 : data_max); /* the LF that is dropped */
    buf_init(&d->type, SSE_DECODE_TYPE_MAX);
    buf_init(&d->id, SSE_DECODE_ID_MAX);
    buf_init(&d->new_id, SSE_DECODE_ID_MAX);
    buf_init(&d->last_id, SSE_DECODE_ID_MAX);
}

void
sse_decode_finish(struct sse_decode *d)
{
    buf_finish(&d->data);
    buf_finish(&d->type);
    buf_finish(&d->id);
    buf_finish(&d->new_id);
    buf_finish(&d->last_id);
}

static void
clear_block(struct sse_decode *d)
{
    buf_clear(&d->data);
    buf_clear(&d->type);
    buf_clear(&d->id);
    d->has_data = d->has_type = d->has_id = d->broken = d->given = false;
    d->block_line = 0;
}

void
sse_decode_restart(struct sse_decode *d, int64_t line)
{
    clear_block(d);
    d->state = MARK;
    d->mark_length = 0;
    d->line = line;
}

void
sse_decode_resume(struct sse_decode *d, int64_t line)
{
    sse_decode_restart(d, line);
    d->state = LINE_START;
}

static bool
name_is(const struct sse_decode *d, struct text name)
{
    return d->name_length == name.n && memcmp(d->name, name.p, name.n) == 0;
}

/* The field name is complete: chooses where the value goes; NULL = nowhere. A comment, `retry` and
 * unknown fields begin no block: nothing is lost where the input ends after one. */
static void
begin_value(struct sse_decode *d)
{
    d->target = NULL;
    if (name_is(d, TEXT_LIT("data"))) {
        d->target = &d->data;
        d->has_data = true;
    } else if (name_is(d, TEXT_LIT("event"))) {
        d->target = &d->type;
        buf_clear(&d->type);
        d->has_type = true;
    } else if (name_is(d, TEXT_LIT("id"))) {
        d->target = &d->new_id;
        buf_clear(&d->new_id);
    } else if (d->name_length && !name_is(d, TEXT_LIT("retry")) && d->unknown++ == 0) {
        d->unknown_line = d->line;
    }
    if (d->target && !d->block_line)
        d->block_line = d->line;
    d->state = VALUE_START;
}

/* A field with a NUL, or one that did not fit, leaves the id before it in force, which may be one
 * of the same block. */
static void
take_id(struct sse_decode *d)
{
    struct text id = buf_view(&d->new_id);

    if (buf_failed(&d->new_id) || (id.n && memchr(id.p, '\0', id.n)))
        return;
    buf_clear(&d->id);
    buf_text(&d->id, id);
    d->has_id = !buf_failed(&d->id);
}

static void
end_value(struct sse_decode *d)
{
    if (d->target == &d->data)
        buf_byte(&d->data, '\n');
    else if (d->target == &d->new_id)
        take_id(d);
    d->target = NULL;
}

static void
end_line(struct sse_decode *d, char c)
{
    d->line++;
    d->state = c == '\r' ? AFTER_CR : LINE_START;
}

/* The blank line: true when the block is a message. */
static bool
end_block(struct sse_decode *d, struct sse_message *m)
{
    d->broken = d->has_data && (buf_failed(&d->data) || buf_failed(&d->type));
    if (d->has_id) {
        buf_clear(&d->last_id);
        buf_text(&d->last_id, buf_view(&d->id));
    }
    if (!d->has_data) {
        clear_block(d);
        return false;
    }
    *m = (struct sse_message){.line = d->block_line, .broken = d->broken};
    if (!d->broken) {
        m->data = (struct text){d->data.data, d->data.length - 1};
        if (d->has_type && d->type.length)
            m->type = buf_view(&d->type);
        if (d->has_id)
            m->id = buf_view(&d->id);
    }
    d->given = true;
    return true;
}

static void
advance(struct text *input, size_t n)
{
    input->p += n;
    input->n -= n;
}

/* One byte of a field's name, which ends at ':' or, for a field without value, with the line. */
static void
name_byte(struct sse_decode *d, char c)
{
    if (c == ':') {
        begin_value(d);
    } else if (c == '\n' || c == '\r') {
        begin_value(d);
        end_value(d);
        end_line(d, c);
    } else if (d->name_length < sizeof d->name) {
        d->name[d->name_length++] = c;
    }
}

static void
value_bytes(struct sse_decode *d, struct text *input)
{
    size_t n = 0;

    while (n < input->n && input->p[n] != '\n' && input->p[n] != '\r')
        n++;
    if (d->target)
        buf_append(d->target, input->p, n);
    if (n < input->n) {
        end_value(d);
        end_line(d, input->p[n++]);
    }
    advance(input, n);
}

/* The mark is optional and may be cut by the pieces. What only begins like one is the name of an
 * unknown field. */
static void
mark_byte(struct sse_decode *d, struct text *input)
{
    if (input->p[0] == byte_order_mark[d->mark_length]) {
        d->mark_length++;
        advance(input, 1);
        if (d->mark_length == sizeof byte_order_mark)
            d->state = LINE_START;
        return;
    }
    d->state = LINE_START;
    if (d->mark_length) {
        d->state = NAME;
        memcpy(d->name, byte_order_mark, d->mark_length);
        d->name_length = d->mark_length;
    }
}

bool
sse_decode_next(struct sse_decode *d, struct text *input, struct sse_message *m)
{
    if (d->given)
        clear_block(d);
    while (input->n) {
        char c = input->p[0];

        if (d->state == MARK) {
            mark_byte(d, input);
        } else if (d->state == AFTER_CR) {
            d->state = LINE_START;
            if (c == '\n')
                advance(input, 1);
        } else if (d->state == LINE_START && (c == '\n' || c == '\r')) {
            advance(input, 1);
            end_line(d, c);
            if (end_block(d, m))
                return true;
        } else if (d->state == LINE_START) {
            d->name_length = 0;
            d->state = NAME;
        } else if (d->state == NAME) {
            advance(input, 1);
            name_byte(d, c);
        } else if (d->state == VALUE_START) {
            d->state = VALUE;
            if (c == ' ')
                advance(input, 1);
        } else {
            value_bytes(d, input);
        }
    }
    return false;
}

bool
sse_decode_between(const struct sse_decode *d)
{
    return (d->state == MARK || d->state == LINE_START || d->state == AFTER_CR) &&
           d->mark_length % sizeof byte_order_mark == 0 && (d->given || d->block_line == 0);
}

int64_t
sse_decode_unknown(const struct sse_decode *d, int64_t *line)
{
    *line = d->unknown_line;
    return d->unknown;
}

struct text
sse_decode_last_id(const struct sse_decode *d)
{
    return buf_view(&d->last_id);
}

void
sse_decode_set_last_id(struct sse_decode *d, struct text id)
{
    buf_clear(&d->last_id);
    if (id.n <= SSE_DECODE_ID_MAX)
        buf_text(&d->last_id, id);
}

int64_t
sse_decode_line(const struct sse_decode *d)
{
    return d->line;
}
