#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <crypt.h>
#include <cmocka.h>

#include "../../gateway/htpasswd.h"

static void each_kind_of_hash(void **state)
{
    static const struct {
        const char *prefix;
        unsigned long cost;
    } kinds[] = {
        {"$2a$", 4}, {"$2b$", 4},    {"$2y$", 4}, {"$5$", 1000},
        {"$6$", 0},  {"$6$", 10000}, {"$y$", 1},  {"$y$", 5},
    };
    char setting[CRYPT_GENSALT_OUTPUT_SIZE];
    struct crypt_data *data = calloc(1, sizeof(*data));

    (void)state;
    assert_non_null(data);
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        assert_non_null(crypt_gensalt_rn(kinds[i].prefix, kinds[i].cost, NULL, 0, setting,
                                         sizeof(setting)));
        struct slice hash = slice_str(crypt_r("secret", setting, data));
        assert_null(htpasswd_fault(hash));
        assert_true(htpasswd_matches(hash, "secret"));
        assert_false(htpasswd_matches(hash, "Secret"));
        assert_false(htpasswd_matches(hash, ""));
        hash.n--; /* cut short */
        assert_non_null(htpasswd_fault(hash));
        assert_false(htpasswd_matches(hash, "secret"));
    }
    free(data);
    assert_true(htpasswd_matches(SLICE("$apr1$abcd1234$KISB.4aBzP4pecxr2tTpg1"), "secret"));
    assert_false(htpasswd_matches(SLICE("$apr1$abcd1234$KISB.4aBzP4pecxr2tTpg1"), "secre"));
    assert_false(htpasswd_matches(htpasswd_dummy, ""));
}

#define SALT53 "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0"
#define HASH43 "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQ"
#define HASH86 HASH43 HASH43

static void faults(void **state)
{
    static const struct {
        const char *hash, *why; /* NULL: none */
    } rows[] = {
        {"$2y$16$" SALT53, NULL},
        {"$2y$17$" SALT53, "takes too long"},
        {"$2y$03$" SALT53, "damaged"},
        {"$2y$xx$" SALT53, "damaged"},
        {"$2y$10$" SALT53 "x", "damaged"},
        {"$2x$10$" SALT53, "not known"},
        {"$5$salt$" HASH43, NULL},
        {"$5$salt$" HASH86, "damaged"},
        {"$6$salt$" HASH86, NULL},
        {"$6$salt$", "damaged"},
        {"$6$salt", "damaged"},
        {"$6$rounds=5000000$salt$" HASH86, NULL},
        {"$6$rounds=5000001$salt$" HASH86, "takes too long"},
        {"$6$rounds=99999999999999999999$salt$" HASH86, "takes too long"},
        {"$6$rounds=5000", "damaged"},
        {"$y$jCT$salt$" HASH43, NULL},
        {"$y$jDT$salt$" HASH43, "takes too long"},
        {"$y$j9U$salt$" HASH43, "takes too long"},
        {"$y$j9T", "damaged"},
        {"$apr1$abcd1234$KISB.4aBzP4pecxr2tTpg1", NULL},
        {"$apr1$abcd1234$KISB", "damaged"},
        {"$1$abcd1234$KISB.4aBzP4pecxr2tTpg1", "MD5 crypt"},
        {"{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=", "{SHA}"},
        {"{SSHA}5en6G6MezRroT3XKqkdPOmY/BfQ=", "{SSHA}"},
        {"rqXexS6ZhobKA", "DES crypt"},
        {"secret", "plain text"},
        {"$argon2id$v=19$m=65536", "not known"},
        {"!", "locked"},
        {"*", "locked"},
        {"", "no hash"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const char *why = htpasswd_fault(slice_str(rows[i].hash));
        if (!rows[i].why != !why || (why && !strstr(why, rows[i].why)))
            fail_msg("%s: %s", rows[i].hash, why ? why : "taken");
    }
}

/* crypt(3) would stop at it. */
static void a_nul_is_damage(void **state)
{
    static const char bcrypt[] = "$2y$10$" SALT53,
                      apr1[] = "$apr1$ab\0d1234$KISB.4aBzP4pecxr2tTpg1";
    char hash[sizeof(bcrypt)];

    (void)state;
    memcpy(hash, bcrypt, sizeof(hash));
    assert_null(htpasswd_fault(slice_of(hash, sizeof(hash) - 1)));
    hash[20] = '\0';
    assert_string_equal(htpasswd_fault(slice_of(hash, sizeof(hash) - 1)),
                        "a hash that is cut short or damaged");
    assert_string_equal(htpasswd_fault(slice_of(apr1, sizeof(apr1) - 1)),
                        "a hash that is cut short or damaged");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_kind_of_hash),
        cmocka_unit_test(faults),
        cmocka_unit_test(a_nul_is_damage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
