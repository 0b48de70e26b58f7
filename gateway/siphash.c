#include "siphash.h"

#include <endian.h>
#include <string.h>

struct sip {
    uint64_t v0, v1, v2, v3;
};

static uint64_t rotl(uint64_t x, unsigned b)
{
    return x << b | x >> (64 - b);
}

static void sip_rounds(struct sip *s, unsigned n)
{
    while (n--) {
        s->v0 += s->v1;
        s->v1 = rotl(s->v1, 13) ^ s->v0;
        s->v0 = rotl(s->v0, 32);
        s->v2 += s->v3;
        s->v3 = rotl(s->v3, 16) ^ s->v2;
        s->v0 += s->v3;
        s->v3 = rotl(s->v3, 21) ^ s->v0;
        s->v2 += s->v1;
        s->v1 = rotl(s->v1, 17) ^ s->v2;
        s->v2 = rotl(s->v2, 32);
    }
}

/* Little-endian, n of less than 8 bytes. */
static uint64_t le_get(const uint8_t *p, size_t n)
{
    uint64_t v = 0;

    for (size_t i = 0; i < n; i++)
        v |= (uint64_t)p[i] << (8 * i);
    return v;
}

static void sip_word(struct sip *s, uint64_t word)
{
    s->v3 ^= word;
    sip_rounds(s, 2);
    s->v0 ^= word;
}

static uint64_t sip_out(const struct sip *s)
{
    return s->v0 ^ s->v1 ^ s->v2 ^ s->v3;
}

struct siphash_tag siphash(struct siphash_key key, const void *p, size_t n)
{
    const uint8_t *in = p;
    struct sip s = {
        key.k[0] ^ 0x736f6d6570736575u,
        key.k[1] ^ 0x646f72616e646f6du ^ 0xee, /* 0xee: 128 bits are wanted */
        key.k[0] ^ 0x6c7967656e657261u,
        key.k[1] ^ 0x7465646279746573u,
    };
    struct siphash_tag tag;
    size_t left = n;

    for (; left >= 8; in += 8, left -= 8) {
        uint64_t word;
        memcpy(&word, in, sizeof(word));
        sip_word(&s, le64toh(word));
    }
    sip_word(&s, (uint64_t)n << 56 | le_get(in, left));
    s.v2 ^= 0xee;
    sip_rounds(&s, 4);
    tag.v[0] = sip_out(&s);
    s.v1 ^= 0xdd;
    sip_rounds(&s, 4);
    tag.v[1] = sip_out(&s);
    return tag;
}
