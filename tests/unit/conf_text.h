/*
 * tests/unit/conf_text.h - configurations as texts, for the tests of conf/.
 */
#ifndef TESTS_CONF_TEXT_H
#define TESTS_CONF_TEXT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "../../conf/conf.h"

#define ROWS(a) (sizeof(a) / sizeof((a)[0]))

/* What every configuration needs, in four lines: what follows begins at line 5. */
#define LISTEN "[listen a]\naddress = *:80\n"
#define MINIMAL LISTEN "[site s]\nroot = /srv\n"

/* The file is called x. */
static inline struct conf *read_text(const char *text, bool syntax_only, char **ret_errors)
{
    size_t len = 0;
    FILE *out = open_memstream(ret_errors, &len);
    struct conf_source source = {"x", slice_str(text), syntax_only};

    assert_non_null(out);
    struct conf *conf = conf_read(&source, out);
    fclose(out);
    return conf;
}

/* A configuration without errors; the machine is not asked. */
static inline struct conf *good(const char *text)
{
    char *errors = NULL;
    struct conf *conf = read_text(text, true, &errors);

    if (!conf)
        fail_msg("%s", errors);
    assert_string_equal(errors, "");
    free(errors);
    return conf;
}

#endif
