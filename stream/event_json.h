/* event_json: one event as a JSON object, {"topic":…, "type":…, "data":…, "key":…}, which is the
 * same wherever events come in as JSON. What goes out is the dialect's (dialect.h).
 *
 * What comes in is never printed from a tree: data is the text that a string stands for, or the
 * value's own text, so that the table has what was sent. What a text in UTF-8 cannot have is
 * refused with its reason. */
#ifndef STREAM_EVENT_JSON_H
#define STREAM_EVENT_JSON_H

#include "base/buf.h"
#include "stream/event.h"

/* ERR_INVALID for what is not JSON (base/json.h) or not UTF-8; *value is the text without the
 * blanks around it. */
enum err event_json_check(struct text s, struct text *value, struct errbuf *eb);

/* What an event is made from: JSON values, TEXT_NONE where there is none. */
struct event_json {
    struct text topic, type, key, data;
};

/* The members that are there: of two with the same name the last one, as in JSON.parse(); null
 * counts as absent for topic, type and key. Other members are ignored. ERR_INVALID when the value,
 * which must have been checked, is not an object. */
enum err event_json_members(struct text value, struct event_json *m, struct errbuf *eb);

/* How many bytes of room event_json_read() may need; at most the value's length when the members
 * are of one value. */
size_t event_json_room(const struct event_json *m);

/* Reads topic, type and key as names: a string as the text that it stands for; a number or a
 * boolean as its own text. Data: a string in the same way; anything else (null too) as its own text
 * with the blanks outside strings left out. ERR_INVALID names the member; call event_check()
 * afterwards. What needs no change is a part of the value; the rest is written to *room, which
 * moves on. Absent stays TEXT_NONE. */
enum err event_json_read(const struct event_json *m, char **room, struct event *e,
                         struct errbuf *eb);

#endif
