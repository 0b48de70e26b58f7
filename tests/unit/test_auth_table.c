#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "../../gateway/auth_table.h"

#define H "$apr1$abcd1234$KISB.4aBzP4pecxr2tTpg1"
#define I "$apr1$abcd1234$9ARrPhupKa1ZPJFmPEwwo."

static const struct siphash_key key = {{1, 2}};
static char said[1024];

static void note(void *arg, unsigned line, struct slice name, const char *why)
{
    size_t n = strlen(said);

    assert_ptr_equal(arg, said);
    snprintf(said + n, sizeof(said) - n, "%u %.*s %s\n", line, SLICE_FMT(name), why);
}

static struct auth_table *table(enum auth_table_kind kind, const char *text)
{
    said[0] = '\0';
    struct auth_table *t = auth_table_new(kind, slice_str(text), &key, note, said);
    assert_non_null(t);
    assert_true(auth_table_is(t, slice_str(text)));
    return t;
}

static void users(void **state)
{
    static const struct {
        const char *text, *hash, *said;
    } rows[] = {
        {"", "", ""},
        {"a", "", "1  no colon\n"},
        {"a:", "", "1 a no hash\n"},
        {"a:" H, H, ""},
        {"a:" H "\n", H, ""},
        {"a:" H "\r\n", H, ""},
        {"a:" H ":rest:x\n", H, ""},
        {"a:" H " comment\n", H, ""},
        {"b:" I "\na:" H "\na:" I "\n", H, ""},
        {"\n\n:\n:x\na:" H, H, "3  no name\n4  no name\n"},
        {"#a:x\n# c:" H "\n a:" H "\naa:" H "\n", "", ""},
        {"b:secret\na:" H, H, "1 b plain text, or no known hash\n"},
        {"a:secret\na:" H, H, "1 a plain text, or no known hash\n"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct auth_table *t = table(AUTH_TABLE_USERS, rows[i].text);
        struct slice hash = auth_table_hash(t, SLICE("a"));
        if (!slice_eq(hash, slice_str(rows[i].hash)))
            fail_msg("row %zu: %.*s", i, SLICE_FMT(hash));
        assert_string_equal(said, rows[i].said);
        assert_int_equal(auth_table_hash(t, SLICE("")).n, 0);
        assert_int_equal(auth_table_hash(t, SLICE("A")).n, 0);
        auth_table_unref(t);
    }
}

static void groups(void **state)
{
    static const struct {
        const char *group, *user;
        bool in;
    } rows[] = {
        {"admins", "alice", true},  {"admins", "bob", true},  {"admins", "carol", false},
        {"staff", "carol", true},   {"staff", "dave", true},  {"staff", "alice", false},
        {"admin", "salice", false}, {"nobody", "bob", false}, {"empty", "", false},
        {"", "alice", false},       {"admins", "eve", true},  {"# admins", "x", false},
    };
    struct auth_table *t =
        table(AUTH_TABLE_GROUPS, "# admins: x\nadmins: alice  bob\tbob\r\n"
                                 "staff:carol dave\n\nempty:\nadmins: eve\nword\n");

    (void)state;
    assert_string_equal(said, "7  no colon\n");
    assert_int_equal(auth_table_size(t), 5);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (auth_table_in_group(t, slice_str(rows[i].group), slice_str(rows[i].user)) !=
            rows[i].in)
            fail_msg("%s in %s", rows[i].user, rows[i].group);
    }
    auth_table_unref(t);
}

/* Each is found; who is not there gets a hash of the file, always the same, spread over it. */
static void many(void **state)
{
    enum { N = 20000 };
    static bool seen[64];
    char *text = NULL, name[32];
    size_t len = 0, n_seen = 0;
    FILE *out = open_memstream(&text, &len);

    (void)state;
    for (int i = 0; i < N; i++)
        fprintf(out, "user%d:$apr1$%08d$9ARrPhupKa1ZPJFmPEwwo.\n", i, i);
    fclose(out);
    struct auth_table *t = table(AUTH_TABLE_USERS, text);
    assert_int_equal(auth_table_size(t), N);
    for (int i = 0; i < N; i++) {
        snprintf(name, sizeof(name), "user%d", i);
        assert_int_equal(atoi(auth_table_hash(t, slice_str(name)).p + 6), i);
        name[0] = 'U';
        assert_int_equal(auth_table_hash(t, slice_str(name)).n, 0);
        struct slice other = auth_table_other_hash(t, slice_str(name));
        assert_ptr_equal(other.p, auth_table_other_hash(t, slice_str(name)).p);
        seen[atoi(other.p + 6) * 64 / N] = true;
    }
    for (size_t i = 0; i < 64; i++)
        n_seen += seen[i];
    assert_int_equal(n_seen, 64);
    auth_table_ref(t);
    auth_table_unref(t);
    assert_int_equal(auth_table_size(t), N);
    auth_table_unref(t);
    auth_table_unref(NULL);
    free(text);
    t = table(AUTH_TABLE_USERS, "");
    assert_int_equal(auth_table_other_hash(t, SLICE("x")).n, 0);
    auth_table_unref(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(users),
        cmocka_unit_test(groups),
        cmocka_unit_test(many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
