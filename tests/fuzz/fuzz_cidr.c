/*
 * Words with spaces between, as blocks: each is the same when written and read again, and a set
 * of them finds for each one's first address the longest prefix that holds it.
 */
#include <stdlib.h>

#include "../../conf/cidr.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { RULES = 64 };

static void check(bool ok)
{
    if (!ok)
        abort();
}

static void check_text(const struct cidr *c)
{
    char text[CIDR_TEXT];
    struct cidr again;

    cidr_text(c, text);
    check(cidr_parse(slice_str(text), &again) == NULL);
    check(memcmp(c, &again, sizeof(again)) == 0);
    check(cidr_has(c, &c->address) && cidr_covers(c, c));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice rest = slice_of(data, size);
    struct cidr_rule rules[RULES] = {0}, plain[RULES] = {0};
    struct cidr_set set = {rules, 0};

    while (rest.n && set.n < RULES) {
        ssize_t space = slice_find(rest, ' ');
        size_t n = space < 0 ? rest.n : (size_t)space;
        struct cidr c;
        if (cidr_parse(slice_of(rest.p, n), &c) == NULL) {
            check_text(&c);
            rules[set.n++] = (struct cidr_rule){.block = c, .says = (int)c.bits};
        }
        rest = slice_from(rest, n < rest.n ? n + 1 : n);
    }
    unsigned n = set.n;
    memcpy(plain, rules, n * sizeof(*rules));
    check(cidr_set_build(&set) == NULL);
    for (unsigned i = 0; i < n; i++) {
        const struct cidr_rule *r = cidr_set_find(&set, &plain[i].block.address);
        check(r && r->says >= plain[i].says);
        for (unsigned k = 0; k < n; k++)
            check(r->says >= plain[k].says ||
                  !cidr_has(&plain[k].block, &plain[i].block.address));
    }
    return 0;
}
