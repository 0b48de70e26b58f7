/*
 * Whatever a client writes, what a trusted proxy puts behind it counts: the client's address,
 * and what is said beside it.
 */
#include <stdlib.h>

#include "../../gateway/forwarded.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MOST = 4096 };

static void check(bool ok)
{
    if (!ok)
        abort();
}

static struct forwarded walk(const struct field *fields, size_t n,
                             enum conf_trusted_field field)
{
    static struct cidr_rule rule = {.block = {{CIDR_V4, {10}}, 8}, .outer = -1};
    static const struct cidr_set trusted = {&rule, 1};
    struct forwarded f;

    forwarded_walk(fields, n, field, &trusted, &f);
    check(f.known || f.port == 0);
    return f;
}

/* What the client wrote, in one line with what the proxy adds or in one above it. */
static void check_added(struct slice client, bool same_line, enum conf_trusted_field field,
                        const char *name, const char *added)
{
    static const uint8_t want[4] = {192, 0, 2, 1};
    char text[MOST + 80];
    struct field fields[2] = {{slice_str(name), client}, {slice_str(name), slice_str(added)}};
    size_t n = 2;

    if (same_line) {
        size_t len = client.n;
        memcpy(text, client.p ? client.p : "", client.n);
        text[len++] = ',';
        memcpy(text + len, added, strlen(added));
        fields[0].value = slice_of(text, len + strlen(added));
        n = 1;
    }
    struct forwarded f = walk(fields, n, field);
    check(f.known && f.address.family == CIDR_V4 && memcmp(f.address.ip, want, 4) == 0);
    if (field == CONF_TRUST_FORWARDED)
        check(slice_eq(f.proto, SLICE("http")) && f.port == 7 && !f.host.n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice client = slice_of(data, size);
    struct field one[] = {{SLICE("Forwarded"), client},
                          {SLICE("X-Forwarded-For"), client},
                          {SLICE("X-Forwarded-Proto"), client},
                          {SLICE("X-Forwarded-Host"), client}};

    if (size > MOST)
        return 0;
    (void)walk(one, 4, CONF_TRUST_FORWARDED);
    (void)walk(one, 4, CONF_TRUST_X_FORWARDED_FOR);
    for (int same = 0; same < 2; same++) {
        check_added(client, same, CONF_TRUST_X_FORWARDED_FOR, "X-Forwarded-For",
                    "192.0.2.1, 10.0.0.7");
        check_added(client, same, CONF_TRUST_FORWARDED, "Forwarded",
                    "for=\"192.0.2.1:7\";proto=http, for=10.0.0.1");
    }
    return 0;
}
