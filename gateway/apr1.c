#include "apr1.h"

/* For MD5 alone; TLS is tls.c's. */
#include <openssl/evp.h>

enum { MD5_BYTES = 16, ROUNDS = 1000 };

static const struct slice magic = {"$apr1$", 6};

static const char digits[] = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/* The salt of setting; n = 0: it has none, or one that no text can have. */
static struct slice salt_of(struct slice setting)
{
    size_t n = 0;

    if (!slice_starts(setting, magic))
        return slice_of("", 0);
    struct slice rest = slice_from(setting, magic.n);
    while (n < rest.n && n < APR1_SALT_MAX && rest.p[n] != '$')
        n++;
    if (memchr(rest.p, '\0', n))
        n = 0;
    return slice_of(rest.p, n);
}

bool apr1_is(struct slice text)
{
    struct slice salt = salt_of(text);
    size_t at = magic.n + salt.n;

    if (!salt.n || text.n != at + 1 + APR1_HASH || text.p[at] != '$')
        return false;
    for (at++; at < text.n; at++) {
        if (!text.p[at] || !strchr(digits, text.p[at]))
            return false;
    }
    return true;
}

/* One digest: begin, put, end.  Any that fails makes all fail. */
struct md5 {
    EVP_MD_CTX *ctx;
    const EVP_MD *md;
    bool ok;
};

static void md5_begin(struct md5 *m)
{
    m->ok = m->ok && EVP_DigestInit_ex(m->ctx, m->md, NULL) == 1;
}

static void md5_put(struct md5 *m, const void *p, size_t n)
{
    m->ok = m->ok && EVP_DigestUpdate(m->ctx, p, n) == 1;
}

static void md5_end(struct md5 *m, unsigned char out[MD5_BYTES])
{
    m->ok = m->ok && EVP_DigestFinal_ex(m->ctx, out, NULL) == 1;
}

/* What the rounds begin with. */
static void first(struct md5 *m, struct slice password, struct slice salt,
                  unsigned char sum[MD5_BYTES])
{
    md5_begin(m);
    md5_put(m, password.p, password.n);
    md5_put(m, salt.p, salt.n);
    md5_put(m, password.p, password.n);
    md5_end(m, sum);
    md5_begin(m);
    md5_put(m, password.p, password.n);
    md5_put(m, magic.p, magic.n);
    md5_put(m, salt.p, salt.n);
    for (size_t n = password.n; n; n -= n < MD5_BYTES ? n : MD5_BYTES)
        md5_put(m, sum, n < MD5_BYTES ? n : MD5_BYTES);
    for (size_t n = password.n; n; n >>= 1)
        md5_put(m, n & 1 ? "" : password.p, 1); /* the NUL of "" */
    md5_end(m, sum);
}

static void round_of(struct md5 *m, unsigned i, struct slice password, struct slice salt,
                     unsigned char sum[MD5_BYTES])
{
    bool odd = i & 1;

    md5_begin(m);
    md5_put(m, odd ? (const void *)password.p : sum, odd ? password.n : MD5_BYTES);
    if (i % 3)
        md5_put(m, salt.p, salt.n);
    if (i % 7)
        md5_put(m, password.p, password.n);
    md5_put(m, odd ? (const void *)sum : password.p, odd ? MD5_BYTES : password.n);
    md5_end(m, sum);
}

/* n digits of the number that three bytes of sum are. */
static char *put_digits(char *at, const unsigned char *sum, int a, int b, int c, int n)
{
    unsigned v = (unsigned)(a < 0 ? 0 : sum[a]) << 16 | (unsigned)(b < 0 ? 0 : sum[b]) << 8 |
                 (unsigned)sum[c];

    for (; n; n--, v >>= 6)
        *at++ = digits[v & 63];
    return at;
}

static void put_text(char *at, struct slice salt, const unsigned char sum[MD5_BYTES])
{
    at = mempcpy(at, magic.p, magic.n);
    at = mempcpy(at, salt.p, salt.n);
    *at++ = '$';
    for (int i = 0; i < 5; i++)
        at = put_digits(at, sum, i, i + 6, i == 4 ? 5 : i + 12, 4);
    at = put_digits(at, sum, -1, -1, 11, 2);
    *at = '\0';
}

bool apr1_crypt(struct slice setting, const char *password, char out[APR1_TEXT])
{
    struct slice salt = salt_of(setting), pw = slice_str(password);
    unsigned char sum[MD5_BYTES];
    struct md5 m = {.ctx = EVP_MD_CTX_new(), .md = EVP_md5(), .ok = salt.n > 0};

    m.ok = m.ok && m.ctx;
    first(&m, pw, salt, sum);
    for (unsigned i = 0; m.ok && i < ROUNDS; i++)
        round_of(&m, i, pw, salt, sum);
    EVP_MD_CTX_free(m.ctx);
    if (m.ok)
        put_text(out, salt, sum);
    explicit_bzero(sum, sizeof(sum));
    return m.ok;
}
