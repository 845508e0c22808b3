/* One connection, both ends: the responder's side is the code under test as conn.c uses it, the far
 * side a socket that takes what it likes and a client that knows what it is owed. */
#include <errno.h>

#include "stream/cursor.h"
#include "tests/model/model.h"

enum { FD_FIRST = 1000, REQUEST_ID = 7 };

struct client clients[CLIENTS_MAX];

/* ---- what a client is owed ---- */

void
client_account(struct client *c, int64_t id)
{
    for (; c->checked < table.n && table.rows[c->checked].id <= id; c->checked++) {
        const struct row *r = &table.rows[c->checked];

        if (r->id > c->start && wish_holds(&c->wish, r))
            REQUIRE(r->deleted && r->id <= c->told);
    }
    c->last = id;
}

static void
got_event(struct client *c, const char *block)
{
    int64_t id = atoll(block + 4);

    REQUIRE(id > c->last && id > c->start);
    client_account(c, id - 1);
    REQUIRE(c->checked < table.n && table.rows[c->checked].id == id);
    REQUIRE(wish_holds(&c->wish, &table.rows[c->checked]));
    REQUIRE(strcmp(row_frame(&table.rows[c->checked], c->wish.dialect), block) == 0);
    c->checked++;
    c->last = c->last_id = id;
    if (c->events++ == 0)
        c->first_id = id;
    snprintf(c->resume, sizeof c->resume, "%.*s", (int)strcspn(block + 4, "\n"), block + 4);
}

/* The id in a member such as "newest":"12-abcd"; 0 when it is null. */
static int64_t
member(const char *block, const char *name)
{
    char pattern[32];
    const char *at;

    snprintf(pattern, sizeof pattern, "\"%s\":", name);
    at = strstr(block, pattern);
    REQUIRE(at);
    at += strlen(pattern);
    REQUIRE(strncmp(at, "null", 4) == 0 || *at == '"');
    return *at == '"' ? atoll(at + 1) : 0;
}

/* What is gone is what lies below the oldest; except that of rows deleted from the middle only the
 * table knows. */
static void
got_reset(struct client *c, const char *block)
{
    int64_t oldest = member(block, "oldest"), newest = member(block, "newest");
    int64_t told = table.by_hand ? table.pruned_through : oldest ? oldest - 1 : newest;

    REQUIRE(strstr(block, "\"reason\":\"pruned\""));
    REQUIRE(newest <= table.next_id - 1 && told >= c->told_here &&
            told <= table.pruned_through + 4);
    c->told_here = told;
    c->told = told > c->told ? told : c->told;
    if (!c->reset_now || newest < c->last)
        return;
    c->checked = table_after(newest);
    c->last = newest;
}

/* freshet:live and freshet:at: everything up to their id is with the client, which comes back from
 * there when it is cut. */
static void
got_position(struct client *c, const char *block, bool live)
{
    int64_t id = member(block, "id");

    REQUIRE(id >= c->last && atoll(block + 4) == id);
    client_account(c, id);
    c->lives += live;
    REQUIRE(c->lives <= 1);
    snprintf(c->resume, sizeof c->resume, "%.*s", (int)strcspn(block + 4, "\n"), block + 4);
}

static bool
is_signal(const char *block, const char *name)
{
    const char *line = strchr(block, '\n');

    return line && strncmp(line, "\nevent: freshet:", 16) == 0 &&
           strncmp(line + 16, name, strlen(name)) == 0;
}

/* An independent reading of what arrives: blocks, and in them the lines that matter. */
static void
read_blocks(struct client *c)
{
    char *at, *end;

    buf_byte(&c->text, '\0');
    REQUIRE(!buf_failed(&c->text));
    at = c->text.data;
    while ((end = strstr(at, "\n\n"))) {
        *end = '\0';
        if (is_signal(at, "live\n") || is_signal(at, "at\n"))
            got_position(c, at, is_signal(at, "live\n"));
        else if (strncmp(at, "id: ", 4) == 0)
            got_event(c, at);
        else if (strncmp(at, "event: freshet:reset\n", 21) == 0)
            got_reset(c, at);
        else
            REQUIRE(!"a block that nobody knows");
        at = end + 2;
    }
    c->text.length = strlen(at);
    memmove(c->text.data, at, c->text.length);
}

/* ---- the far end's socket ---- */

/* FastCGI 1.0, section 3.3, read byte by byte. */
static void
arrive(struct client *c, const unsigned char *bytes, size_t n)
{
    while (n > 0) {
        size_t part;

        if (c->head_n < sizeof c->head) {
            c->head[c->head_n++] = *bytes++;
            n--;
            if (c->head_n < sizeof c->head)
                continue;
            REQUIRE(c->head[0] == 1 && c->head[1] == 6 && c->head[2] == 0 &&
                    c->head[3] == REQUEST_ID);
            c->content_n = (size_t)c->head[4] << 8 | c->head[5];
            c->padding_n = c->head[6];
            REQUIRE(c->content_n > 0);
            continue;
        }
        part = n < c->content_n ? n : c->content_n;
        buf_append(&c->text, bytes, part);
        c->content_n -= part;
        bytes += part;
        n -= part;
        for (; c->content_n == 0 && c->padding_n > 0 && n > 0; n--, bytes++)
            c->padding_n--;
        if (c->content_n == 0 && c->padding_n == 0)
            c->head_n = 0;
    }
    read_blocks(c);
}

/* How much of n bytes the socket takes; -1 with errno. Once full it stays so until it is drained.
 */
static ssize_t
room(struct client *c, size_t n)
{
    uint32_t how = rnd(100);

    if (how < 8)
        errno = EINTR;
    else if (how < 9)
        errno = EPIPE;
    else if (c->full || how < 20)
        errno = how % 2 ? EAGAIN : ENOBUFS;
    else if (how < 60)
        n = 1 + rnd((uint32_t)n);
    if (how >= 9 && how < 60)
        c->full = true;
    return errno ? -1 : (ssize_t)n;
}

ssize_t __wrap_writev(int fd, const struct iovec *pieces, int n);

ssize_t
__wrap_writev(int fd, const struct iovec *pieces, int n)
{
    static unsigned char bytes[4 * FRAME_MAX];
    struct client *c = &clients[fd - FD_FIRST];
    size_t total = 0;
    ssize_t taken;

    for (int i = 0; i < n; i++) {
        REQUIRE(pieces[i].iov_len > 0 && total + pieces[i].iov_len <= sizeof bytes);
        memcpy(bytes + total, pieces[i].iov_base, pieces[i].iov_len);
        total += pieces[i].iov_len;
    }
    errno = 0;
    taken = room(c, total);
    if (taken > 0)
        arrive(c, bytes, (size_t)taken);
    return taken;
}

/* ---- the life of a connection ---- */

void
client_begin(struct client *c, const struct wish *w, bool reset_now, int64_t start)
{
    *c = (struct client){.used = true, .wish = *w, .reset_now = reset_now, .start = start};
    snprintf(c->resume, sizeof c->resume, "%lld", (long long)start);
    buf_init(&c->text, SIZE_MAX / 4);
}

void
client_connect(struct client *c, struct hub *hub, struct subscription *what, int64_t position)
{
    c->connected = c->ready = true;
    c->blocked = c->full = false;
    c->head_n = c->content_n = c->padding_n = c->lives = 0;
    c->text.length = 0;
    c->events = 0;
    c->part = 0;
    c->first_id = c->last_id = 0;
    c->told_here = 0; /* a page in the cache may know less than the client heard before */
    c->last = position;
    c->checked = table_after(position);
    outlet_init(&c->out, FD_FIRST + (int)(c - clients), REQUEST_ID, false);
    c->sub = (struct subscriber){.reset_now = c->reset_now, .at.pos.cursor = position};
    c->sub.feed = hub_hold(hub, what, c->wish.dialect);
    REQUIRE(c->sub.feed);
    hub_join(hub, &c->sub);
}

void
client_cut(struct client *c, struct hub *hub)
{
    hub_leave(hub, &c->sub);
    outlet_finish(&c->out);
    c->connected = c->ready = false;
}

void
client_end(struct client *c)
{
    buf_finish(&c->text);
    *c = (struct client){0};
}

void
client_beat(struct client *c)
{
    struct buf b;

    buf_init(&b, 1024);
    if (subscriber_say_at(&c->sub, &b, rnd(20))) {
        REQUIRE(!buf_failed(&b) && outlet_hold(&c->out, buf_view(&b)));
        c->ready = true;
    }
    buf_finish(&b);
}

/* True when the socket has taken all, and then the two ends agree about what that was. */
static bool
sent(struct client *c, struct hub *hub, enum outlet_sent result)
{
    const struct subscriber_position *at = &c->sub.at;

    REQUIRE(result != OUTLET_NO_MEMORY);
    if (result == OUTLET_GONE)
        client_cut(c, hub);
    else if (result != OUTLET_SENT)
        c->blocked = true;
    if (result != OUTLET_SENT)
        return false;
    REQUIRE(!outlet_pending(&c->out) && c->head_n == 0);
    if (c->part > 0)
        return true;
    REQUIRE(c->text.length == 0);
    REQUIRE(at->events == c->events && at->last_id == c->last_id && at->first_id == c->first_id);
    REQUIRE(at->live_told == (c->lives == 1) && at->pos.cursor >= c->last);
    return true;
}

/* One record; true when another one may follow at once. */
static bool
flush_record(struct client *c, struct hub *hub)
{
    struct subscriber_position before = c->sub.at;
    enum gathered gathered;
    enum outlet_sent result;
    struct gather g;

    if (c->part == 0)
        c->part_max = 200 + rnd(3) * rnd(1000);
    gather_init(&g, c->part_max);
    gathered = subscriber_gather(&c->sub, &g);
    if (c->sub.at.live_told && !before.live_told) /* history has been given, all of it */
        REQUIRE(c->sub.at.pos.cursor >= hub->window.head_id);
    if (c->part > 0 && (g.bytes > 0 || gathered == GATHERED_ALL) &&
        (c->sub.at.events != before.events + 1 || c->sub.at.last_id != c->part_id)) {
        client_cut(c, hub); /* what was begun has been deleted */
        return false;
    }
    if (g.bytes > 0) {
        result = outlet_gather(&c->out, &g, &c->part);
        c->part_id = c->sub.at.last_id;
        if (result == OUTLET_NOTHING || c->part > 0)
            c->sub.at = before;
    } else {
        result = outlet_flush(&c->out);
    }
    if (!sent(c, hub, result))
        return false;
    REQUIRE(gathered != GATHERED_PART || g.bytes > 0);
    if (c->part > 0 && g.bytes > 0)
        return true;
    if (gathered == GATHERED_BEHIND)
        REQUIRE(hub_wait(hub, &c->sub, 0) == ERR_OK && c->sub.waiting);
    return gathered == GATHERED_PART;
}

void
client_flush(struct client *c, struct hub *hub)
{
    c->ready = false;
    if (c->sub.waiting) {
        sent(c, hub, outlet_flush(&c->out));
        return;
    }
    while (flush_record(c, hub)) {
        if (rnd(4) == 0) { /* its share of the turn is used up */
            c->ready = true;
            return;
        }
    }
}

void
client_drain(struct client *c)
{
    c->full = false;
    if (c->blocked)
        c->ready = true;
    c->blocked = false;
}
