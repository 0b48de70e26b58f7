/*
 * conf/schema.c: each row of the table, and the reference file conf/h2cgi.ini, which must say what
 * the table says.
 */
#include "conf_item.h"

/* ---- the table -------------------------------------------------------------------------- */

static void test_rows(void **state)
{
    size_t n;
    const struct schema_key *keys = schema_keys(&n);

    (void)state;
    for (size_t i = 0; i < n; i++) {
        const struct schema_key *k = &keys[i];
        size_t size = schema_kind(k->section)->size;
        bool number =
            k->type == SCHEMA_NUMBER || k->type == SCHEMA_SIZE || k->type == SCHEMA_DURATION;

        assert_true(i == 0 || keys[i - 1].section <= k->section);
        assert_int_equal(schema_find(k->section, slice_str(k->name)), i);
        assert_true(k->offset + (k->n_offset ? sizeof(void *) : k->size) <= size);
        assert_true(k->n_offset + sizeof(unsigned) <= size);
        assert_true(k->min <= k->max);
        assert_int_equal(number, k->unit != NULL);
        assert_true(k->type != SCHEMA_ENUM || k->words);
        assert_true(strlen(k->text) <= 96 && k->text[strlen(k->text) - 1] == '.');
        assert_true(!k->required || !k->def);
        assert_true(!k->derived || k->def);
    }
    assert_int_equal(schema_find(SCHEMA_POOL, SLICE("env.HOME")),
                     schema_find(SCHEMA_POOL, SLICE("env.NAME")));
    assert_int_equal(schema_find(SCHEMA_POOL, SLICE("env")), -1);
    assert_int_equal(schema_find(SCHEMA_SITE, SLICE("queue")), -1);
    assert_int_equal(schema_find(SCHEMA_SITE, SLICE("Root")), -1);
    assert_int_equal(schema_section_find(SLICE("pool")), SCHEMA_POOL);
    assert_int_equal(schema_section_find(SLICE("Pool")), SCHEMA_SECTIONS);
}

/* The row takes its own default, and one that is not derived is in the struct. */
static void test_defaults(void **state)
{
    size_t n;
    const struct schema_key *keys = schema_keys(&n);

    (void)state;
    for (size_t i = 0; i < n; i++) {
        const struct schema_key *k = &keys[i];
        struct item it, set;
        if (!k->def)
            continue;
        item_init(&it, k->section);
        item_init(&set, k->section);
        assert_null(item_set(&set, k->section, k->name, k->def));
        if (k->type != SCHEMA_PATH && k->type != SCHEMA_STRING && k->type != SCHEMA_EXPIRES &&
            k->type != SCHEMA_HSTS && k->type != SCHEMA_FAILURES && !k->n_offset) {
            int64_t want = k->derived ? k->unset : item_number(&set, k);
            assert_true(item_number(&it, k) == want);
        }
        arena_fini(&it.arena);
        arena_fini(&set.arena);
    }
}

static void test_number_text(void **state)
{
    (void)state;
    assert_string_equal(schema_number(SCHEMA_SIZE, 0).s, "0");
    assert_string_equal(schema_number(SCHEMA_SIZE, 1023).s, "1023");
    assert_string_equal(schema_number(SCHEMA_SIZE, 1024).s, "1K");
    assert_string_equal(schema_number(SCHEMA_SIZE, 3 << 20).s, "3M");
    assert_string_equal(schema_number(SCHEMA_SIZE, 4LL << 30).s, "4G");
    assert_string_equal(schema_number(SCHEMA_DURATION, 0).s, "0ms");
    assert_string_equal(schema_number(SCHEMA_DURATION, 1500).s, "1500ms");
    assert_string_equal(schema_number(SCHEMA_DURATION, 90000).s, "90s");
    assert_string_equal(schema_number(SCHEMA_DURATION, 7200000).s, "2h");
    assert_string_equal(schema_number(SCHEMA_NUMBER, 1024).s, "1024");
}

/* ---- the listing and the reference file ------------------------------------------------- */

static void test_listing(void **state)
{
    char *text = NULL;
    size_t len = 0, n;
    FILE *out = open_memstream(&text, &len);

    (void)state;
    assert_non_null(out);
    schema_print(out);
    fclose(out);
    assert_non_null(strstr(text, "  workers                auto, number 1 to 256 threads; "
                                 "default auto\n"));
    assert_non_null(strstr(text, "  address                list of addresses; required\n"));
    const struct schema_key *keys = schema_keys(&n);
    for (size_t i = 0; i < n; i++)
        assert_non_null(strstr(text, keys[i].text));
    free(text);
}

/* The reference file, with the sections of each kind put together: comments without their
 * mark, of keys that are commented out the mark remains. */
static char *reference(enum schema_section section)
{
    FILE *in = fopen("conf/h2cgi.ini", "r");
    size_t len = 0;
    char *text = NULL, line[256];
    FILE *out = open_memstream(&text, &len);
    enum schema_section at = SCHEMA_SECTIONS;

    assert_true(in && out);
    while (fgets(line, sizeof(line), in)) {
        const char *header = line[0] == ';' ? line + 1 : line;
        if (header[0] == '[')
            at = schema_section_find(slice_of(header + 1, strcspn(header + 1, " ]")));
        else if (at == section)
            fprintf(out, "%s", line);
    }
    fclose(in);
    fclose(out);
    return text;
}

static char *row_text(const struct schema_key *key)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);

    assert_non_null(out);
    fprintf(out, "; %s\n; Value: ", key->text);
    schema_print_range(key, out);
    fputc('\n', out);
    if (key->family)
        fprintf(out, ";%.*s", SLICE_FMT(schema_stem(key)));
    else if (key->required || strcmp(key->name, "root") == 0)
        key = NULL; /* not commented out, or not everywhere */
    else
        fprintf(out, ";%s = %s", key->name, key->def ? key->def : "");
    fprintf(out, "%s", key && key->def ? "\n" : "");
    fclose(out);
    return text;
}

static void test_reference(void **state)
{
    size_t n;
    const struct schema_key *keys = schema_keys(&n);

    (void)state;
    for (size_t i = 0; i < n; i++) {
        char *file = reference(keys[i].section);
        char *row = row_text(&keys[i]);
        if (!strstr(file, row))
            fail_msg("conf/h2cgi.ini lacks, in a [%s]:\n%s", schema_kind(keys[i].section)->name,
                     row);
        free(file);
        free(row);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_number_text), cmocka_unit_test(test_listing),
        cmocka_unit_test(test_reference),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
