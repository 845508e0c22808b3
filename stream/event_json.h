/* event_json: one event as a JSON object, {"topic":…, "type":…, "data":…, "key":…}, which is the
 * same wherever events come in as JSON. */
#ifndef STREAM_EVENT_JSON_H
#define STREAM_EVENT_JSON_H

#include <json-c/json.h>

#include "stream/event.h"

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
