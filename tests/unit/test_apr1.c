/* The hashes are those of openssl passwd -apr1 and htpasswd -m. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "../../gateway/apr1.h"

static const struct {
    const char *password, *hash;
} vectors[] = {
    {"", "$apr1$x$tMwYqBfQwi3FYAr0aJc8M/"},
    {"a", "$apr1$x$16j9.5e7KiXmuYFAYpPJM/"},
    {"secret", "$apr1$x$12YdXEY0/hH4rDNkmZupO0"},
    {"exactly16bytes!!", "$apr1$x$XM2EUsmKncC40XqtwTP8B."},
    {"seventeen bytes!!", "$apr1$x$uqsdKlVqSxokoaZq59C1/."},
    {"a word that is a good deal longer than forty bytes", "$apr1$x$tuczSQVDp3JUw1cbEVZUi."},
    {"p\xc3\xa4"
     "ss:w\xc3\xb6"
     "rd",
     "$apr1$x$/Kb8eqrmLx1AVR4XZA54T."},
    {"", "$apr1$abcdefgh$L.PT565ESX4Tp2bqNs7Ie."},
    {"a", "$apr1$abcdefgh$G8IsPsylW5ROvIKsQMRG61"},
    {"secret", "$apr1$abcdefgh$h9FWgUz3n9YxylKLlR5SQ/"},
    {"exactly16bytes!!", "$apr1$abcdefgh$rhV8fu.Ml1p5UP5KqKDi3/"},
    {"seventeen bytes!!", "$apr1$abcdefgh$i827fbeHN3wspu7Db0o4S."},
    {"a word that is a good deal longer than forty bytes",
     "$apr1$abcdefgh$FrvT3PMSP5JybP4PJmcRq1"},
    {"p\xc3\xa4"
     "ss:w\xc3\xb6"
     "rd",
     "$apr1$abcdefgh$qsIM3VGOJnNJW6HZOO3/t1"},
    {"", "$apr1$ab.d/Z$c/3/ti93O2mxGvetsd4Gu."},
    {"a", "$apr1$ab.d/Z$T2zmkEAIqK0V0KEa7qnCN0"},
    {"secret", "$apr1$ab.d/Z$HQe.N9u52wL3BZsjhkBcu/"},
    {"exactly16bytes!!", "$apr1$ab.d/Z$kPVtiL.Ul86sm1pxlur0H1"},
    {"seventeen bytes!!", "$apr1$ab.d/Z$iQMbgluCvj2wx4m6Dm76b1"},
    {"a word that is a good deal longer than forty bytes",
     "$apr1$ab.d/Z$90.gsrf/vnMeO0snc747Q1"},
    {"p\xc3\xa4"
     "ss:w\xc3\xb6"
     "rd",
     "$apr1$ab.d/Z$VPgcQkbNtbGQjm/6oM01H/"},
    {"htpasswd's own", "$apr1$tUGDCs19$zwQY0D8giTauV5.Hd2wD/."},
    {"x", "$apr1$6Ua.y5oU$UZxZ6s2omxKx6bPifEhHs0"},
};

static void known_hashes(void **state)
{
    char out[APR1_TEXT];

    (void)state;
    for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
        struct slice hash = slice_str(vectors[i].hash);
        assert_true(apr1_is(hash));
        assert_true(apr1_crypt(hash, vectors[i].password, out));
        assert_string_equal(out, vectors[i].hash);
        assert_true(apr1_crypt(hash, "another", out));
        assert_string_not_equal(out, vectors[i].hash);
    }
}

static void what_is_none(void **state)
{
    static const char *const none[] = {
        "",
        "$apr1$",
        "$apr1$$KISB.4aBzP4pecxr2tTpg1",          /* no salt */
        "$apr1$abcd1234$KISB.4aBzP4pecxr2tTpg",   /* short */
        "$apr1$abcd1234$KISB.4aBzP4pecxr2tTpg11", /* long */
        "$apr1$abcd1234$KISB.4aBzP4pecxr2tTp!1",  /* no digit */
        "$apr1$abcd12345$KISB.4aBzP4pecxr2tTpg1", /* salt too long */
        "$1$abcd1234$KISB.4aBzP4pecxr2tTpg1",
    };
    char out[APR1_TEXT];

    (void)state;
    for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++)
        assert_false(apr1_is(slice_str(none[i])));
    assert_false(apr1_is(SLICE("$apr1$ab\0d1234$KISB.4aBzP4pecxr2tTpg1")));
    assert_false(apr1_crypt(SLICE("$apr1$ab\0d"), "x", out));
    assert_false(apr1_crypt(SLICE("$apr1$"), "x", out));
    assert_false(apr1_crypt(SLICE("$1$abcd"), "x", out));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_hashes),
        cmocka_unit_test(what_is_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
