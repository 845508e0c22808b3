/* base64: bytes as text, RFC 4648. Strict: one text has one meaning, and only that is accepted. */
#ifndef BASE_BASE64_H
#define BASE_BASE64_H

#include <stdbool.h>

#include "base/buf.h"

/* Appends what s stands for in the URL alphabet without padding (section 5). False for any other
 * byte, an impossible length, or bits left over that are not zero; *out may then hold a part. A
 * full buffer is reported by buf_failed(), not here. */
bool base64_decode_url(struct text s, struct buf *out);

/* The same for the ordinary alphabet as it stands in a PEM file: white space is skipped, and '='
 * ends it. */
bool base64_decode_pem(struct text s, struct buf *out);

/* Appends what base64_decode_url() takes for s. */
void base64_encode_url(struct text s, struct buf *out);

#endif
