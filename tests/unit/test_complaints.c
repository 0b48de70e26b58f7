/* conf/complaints.h: the word that was meant. */
#include "../../conf/complaints.h"
#include "conf_text.h"

static const struct {
    const char *given, *words[4], *best;
} near_rows[] = {
    {"wokers", {"workers", "writers", "writer"}, "workers"},
    {"worekrs", {"workers", "writers"}, "workers"},
    {"timeuot", {"timeout"}, "timeout"},
    {"user", {"queue"}, NULL},
    {"x", {"y"}, "y"},
    {"x", {"yy"}, NULL},
    {"", {"a"}, NULL},
    {"max_connection", {"max_connections", "max_requests"}, "max_connections"},
    {"h2stream", {"h2_streams", "h2_stream_window"}, "h2_streams"},
};

static void test_nearest(void **state)
{
    struct arena arena;
    char long_word[100];

    (void)state;
    for (size_t i = 0; i < ROWS(near_rows); i++) {
        struct nearest n = nearest_init(slice_str(near_rows[i].given));
        for (size_t k = 0; k < 4 && near_rows[i].words[k]; k++)
            nearest_try(&n, slice_str(near_rows[i].words[k]));
        if (!near_rows[i].best)
            assert_null(n.best.p);
        else
            assert_true(slice_eq(n.best, slice_str(near_rows[i].best)));
    }
    memset(long_word, 'a', sizeof(long_word));
    for (size_t k = 63; k <= 65; k++) {
        struct nearest n = nearest_init(slice_of(long_word, k));
        nearest_try(&n, slice_of(long_word, 64));
        assert_int_equal(n.best.p != NULL, k <= 64);
    }
    arena_init(&arena);
    struct nearest n = nearest_init(SLICE("of"));
    assert_string_equal(nearest_text(&n, &arena), "");
    nearest_try(&n, SLICE("off"));
    assert_string_equal(nearest_text(&n, &arena), "; did you mean \"off\"?");
    arena_fini(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nearest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
