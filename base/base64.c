#include "base/base64.h"

static int
value_of(char c, const char *last_two)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    if (c == last_two[0])
        return 62;
    return c == last_two[1] ? 63 : -1;
}

static bool
decode(struct text s, const char *last_two, bool pem, struct buf *out)
{
    unsigned bits = 0, n_bits = 0;
    size_t n = 0;

    for (size_t i = 0; i < s.n; i++) {
        int value = value_of(s.p[i], last_two);

        if (pem && s.p[i] == '=')
            break;
        if (pem && value < 0 && memchr(" \t\r\n", s.p[i], 4))
            continue;
        if (value < 0)
            return false;
        bits = (bits << 6 | (unsigned)value) & 0xffff;
        n_bits += 6;
        n++;
        if (n_bits >= 8) {
            n_bits -= 8;
            buf_byte(out, (char)(bits >> n_bits & 0xff));
        }
    }
    return n % 4 != 1 && (bits & ((1U << n_bits) - 1)) == 0;
}

bool
base64_decode_url(struct text s, struct buf *out)
{
    return decode(s, "-_", false, out);
}

bool
base64_decode_pem(struct text s, struct buf *out)
{
    return decode(s, "+/", true, out);
}

void
base64_encode_url(struct text s, struct buf *out)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    unsigned bits = 0, n_bits = 0;

    for (size_t i = 0; i < s.n; i++) {
        bits = (bits << 8 | (unsigned char)s.p[i]) & 0xffff;
        for (n_bits += 8; n_bits >= 6; n_bits -= 6)
            buf_byte(out, digits[bits >> (n_bits - 6) & 63]);
    }
    if (n_bits > 0)
        buf_byte(out, digits[bits << (6 - n_bits) & 63]);
}
