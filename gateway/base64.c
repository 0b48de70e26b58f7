#include "base64.h"

static int digit(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

ssize_t base64_decode(struct slice in, char *out)
{
    size_t n = 0, pad = 0;

    if (in.n % 4 != 0)
        return -1;
    while (pad < 2 && pad < in.n && in.p[in.n - 1 - pad] == '=')
        pad++;
    for (size_t i = 0; i < in.n; i += 4) {
        size_t digits = i + 4 == in.n ? 4 - pad : 4;
        uint32_t v = 0;
        for (size_t k = 0; k < 4; k++) {
            int d = k < digits ? digit(in.p[i + k]) : 0;
            if (d < 0)
                return -1;
            v = v << 6 | (uint32_t)d;
        }
        /* RFC 4648 3.5: bits that stand for nothing are zero */
        if ((digits == 3 && (v & 0xff)) || (digits == 2 && (v & 0xffff)))
            return -1;
        for (size_t k = 0; k + 1 < digits; k++)
            out[n++] = (char)(v >> (16 - 8 * k) & 0xff);
    }
    return (ssize_t)n;
}

void base64_encode(struct slice in, char *out)
{
    static const char digits[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    for (size_t i = 0; i < in.n; i += 3) {
        size_t n = in.n - i < 3 ? in.n - i : 3;
        uint32_t v = 0;
        for (size_t k = 0; k < 3; k++)
            v = v << 8 | (k < n ? (uint8_t)in.p[i + k] : 0);
        for (size_t k = 0; k < 4; k++)
            *out++ = k <= n ? digits[v >> (18 - 6 * k) & 63] : '=';
    }
}
