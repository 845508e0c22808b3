/* event_json: one event as a JSON object, {"topic":…, "type":…, "data":…, "key":…}, which is the
 * same wherever events come in as JSON; what goes out has "id" and "created" too, and no key, which
 * is between the publisher and the table. */
#ifndef STREAM_EVENT_JSON_H
#define STREAM_EVENT_JSON_H

#include <json-c/json.h>

#include "base/buf.h"
#include "stream/event.h"

/* Appends {"id":"12-k3f9","topic":…,"type":…,"created":MS,"data":"as stored"}; type is null for a
 * message. What is not UTF-8 (a row may hold anything) comes out as U+FFFD. */
void event_json_write(struct buf *out, const struct event *e, const char *epoch);

/* Appends a text of a row as a JSON string, in the same way. */
void event_json_text(struct buf *out, struct text s);

/* Checks and parses one JSON text, an object or an array; the caller puts the tree. ERR_INVALID
 * also for an integer that json-c would change. *room: the bytes that trees may still take, of
 * which this one's are taken off; ERR_FULL when it does not fit. */
enum err event_json_parse(struct text s, size_t *room, struct json_object **tree,
                          struct errbuf *eb);

/* Reads the members that are there; what is absent is TEXT_NONE in *e, and null counts as absent
 * for topic, type and key. Other members are ignored. The texts live as long as the object does and
 * is not changed. ERR_INVALID names the member. Call event_check() afterwards. */
enum err event_json_read(struct json_object *object, struct event *e, struct errbuf *eb);

/* A value as a name (topic, type, key): a string as it is; a number or a boolean as its text. */
enum err event_json_name(const char *member, struct json_object *value, struct text *name,
                         struct errbuf *eb);

/* A value as data: a string as it is, anything else (null too) as compact JSON. Never TEXT_NONE
 * unless memory is short. */
struct text event_json_data(struct json_object *value);

#endif
