#include "htpasswd.h"

#include <crypt.h>
#include <stdlib.h>

#include "apr1.h"

enum { BCRYPT_COST_MAX = 16, SHA_ROUNDS_MAX = 5000000 };

const struct slice htpasswd_dummy = {"$6$h2cgih2cgih2cgi$", 19};

static const char costly[] = "a hash that takes too long to verify";
static const char broken[] = "a hash that is cut short or damaged";

/* $2y$12$ and 53 characters */
static const char *bcrypt_fault(struct slice hash)
{
    int64_t cost = hash.n < 7 ? -1 : slice_decimal(slice_of(hash.p + 4, 2), 99);

    if (hash.n != 60 || cost < 4 || hash.p[6] != '$')
        return broken;
    return cost > BCRYPT_COST_MAX ? costly : NULL;
}

/* $6$rounds=5000$SALT$HASH, $6$SALT$HASH; the prefix is looked at */
static const char *sha_fault(struct slice hash, size_t digits)
{
    static const struct slice word = {"rounds=", 7};
    struct slice rest = slice_from(hash, 3);
    ssize_t dollar;

    if (slice_starts(rest, word)) {
        dollar = slice_find(rest, '$');
        if (dollar < 0)
            return broken;
        if (slice_decimal(slice_of(rest.p + word.n, (size_t)dollar - word.n), SHA_ROUNDS_MAX) <
            0)
            return costly;
        rest = slice_from(rest, (size_t)dollar + 1);
    }
    dollar = slice_find(rest, '$');
    return dollar < 0 || rest.n - (size_t)dollar - 1 != digits ? broken : NULL;
}

static const char *sha256_fault(struct slice hash)
{
    return sha_fault(hash, 43);
}

static const char *sha512_fault(struct slice hash)
{
    return sha_fault(hash, 86);
}

/* $y$j9T$SALT$HASH: the flavour j, one less than the logarithm of N, one less than r (32 at
 * most), a letter each: 128 * N * r bytes. */
static const char *yescrypt_fault(struct slice hash)
{
    enum { PREFIX = 7, DIGITS = 43 };
    ssize_t dollar = -1;

    if (hash.n > PREFIX && hash.p[3] == 'j' && hash.p[PREFIX - 1] == '$')
        dollar = slice_find(slice_from(hash, PREFIX), '$');
    if (dollar < 0 || hash.n - PREFIX - (size_t)dollar - 1 != DIGITS)
        return broken;
    bool many = hash.p[4] > 'C' || (hash.p[4] > '9' && hash.p[4] < 'A');
    return many || hash.p[5] > 'T' ? costly : NULL;
}

static const char *apr1_fault(struct slice hash)
{
    return apr1_is(hash) ? NULL : broken;
}

const char *htpasswd_fault(struct slice hash)
{
    static const struct {
        const char *prefix;
        const char *(*fault)(struct slice hash);
        const char *refused;
    } kinds[] = {
        {"$2a$", bcrypt_fault, NULL},
        {"$2b$", bcrypt_fault, NULL},
        {"$2y$", bcrypt_fault, NULL},
        {"$5$", sha256_fault, NULL},
        {"$6$", sha512_fault, NULL},
        {"$y$", yescrypt_fault, NULL},
        {"$apr1$", apr1_fault, NULL},
        {"$1$", NULL, "MD5 crypt, which is too weak"},
        {"{SHA}", NULL, "{SHA}, which is too weak"},
        {"{SSHA}", NULL, "{SSHA}, which is too weak"},
        {"$", NULL, "a kind of hash that is not known"},
        {"!", NULL, "locked"},
        {"*", NULL, "locked"},
    };

    if (!hash.n)
        return "no hash";
    if (memchr(hash.p, '\0', hash.n))
        return broken;
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (slice_starts(hash, slice_str(kinds[i].prefix)))
            return kinds[i].fault ? kinds[i].fault(hash) : kinds[i].refused;
    }
    return hash.n == 13 ? "DES crypt, or plain text, which is too weak"
                        : "plain text, or no known hash";
}

static bool equal_in_constant_time(const char *a, const char *b, size_t n)
{
    unsigned char diff = 0;

    for (size_t i = 0; i < n; i++)
        diff |= (unsigned char)(a[i] ^ b[i]);
    return diff == 0;
}

/* "*0" and "*1" are libxcrypt's words for failure. */
static bool is_same(const char *out, struct slice hash)
{
    return out && out[0] != '*' && strlen(out) == hash.n &&
           equal_in_constant_time(out, hash.p, hash.n);
}

static bool crypt_matches(struct slice hash, const char *password)
{
    char setting[CRYPT_OUTPUT_SIZE];
    struct crypt_data *data = calloc(1, sizeof(*data)); /* 32 KiB: too much for a stack */
    bool same = false;

    if (data && hash.n < sizeof(setting)) {
        memcpy(setting, hash.p, hash.n);
        setting[hash.n] = '\0';
        same = is_same(crypt_r(password, setting, data), hash);
        explicit_bzero(data, sizeof(*data));
    }
    free(data);
    return same;
}

bool htpasswd_matches(struct slice hash, const char *password)
{
    char out[APR1_TEXT];

    if (!apr1_is(hash))
        return crypt_matches(hash, password);
    return apr1_crypt(hash, password, out) && is_same(out, hash);
}
