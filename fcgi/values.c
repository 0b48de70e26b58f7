#include "values.h"

#include <fastcgi.h>

#include "../gateway/err.h"
#include "record.h"

enum {
    PADDING = 8,
    PAIR_MAX = 1024,
    NUMBER_MAX = 1000000, /* more than any number of requests that is meant */
};

static const struct slice max_conns = {FCGI_MAX_CONNS, sizeof(FCGI_MAX_CONNS) - 1};
static const struct slice max_reqs = {FCGI_MAX_REQS, sizeof(FCGI_MAX_REQS) - 1};
static const struct slice mpxs_conns = {FCGI_MPXS_CONNS, sizeof(FCGI_MPXS_CONNS) - 1};

int fcgi_values_ask(struct buf *out)
{
    static const uint8_t padding[PADDING];
    const struct slice none = {NULL, 0};
    size_t before = buf_len(out);
    uint8_t header[FCGI_RECORD_HEADER] = {0};

    if (buf_append(out, header, sizeof(header)) < 0 ||
        fcgi_params_put(out, max_conns, none) < 0 || fcgi_params_put(out, max_reqs, none) < 0 ||
        fcgi_params_put(out, mpxs_conns, none) < 0 ||
        buf_append(out, padding, sizeof(padding)) < 0) {
        out->len = out->off + before;
        return GW_ENO_MEMORY;
    }
    fcgi_record_header(buf_at(out) + before, FCGI_GET_VALUES, 0,
                       (uint16_t)(buf_len(out) - before - FCGI_RECORD_HEADER - PADDING),
                       PADDING);
    return 0;
}

void fcgi_values_init(struct fcgi_values_reader *v)
{
    *v = (struct fcgi_values_reader){0};
    fcgi_params_init(&v->pairs, PAIR_MAX);
}

void fcgi_values_fini(struct fcgi_values_reader *v)
{
    fcgi_params_fini(&v->pairs);
}

void fcgi_values_clear(struct fcgi_values_reader *v)
{
    fcgi_params_clear(&v->pairs);
    v->values = (struct fcgi_values){0};
}

/* What is no number says nothing. */
static unsigned number(struct slice value)
{
    int64_t n = slice_decimal(value, NUMBER_MAX);

    return n > 0 ? (unsigned)n : 0;
}

static int take_pair(void *arg, struct slice name, struct slice value)
{
    struct fcgi_values *values = arg;

    if (slice_eq(name, max_conns))
        values->max_conns = number(value);
    else if (slice_eq(name, max_reqs))
        values->max_reqs = number(value);
    else if (slice_eq(name, mpxs_conns))
        values->mpxs = number(value) == 1;
    return 0;
}

int fcgi_values_feed(struct fcgi_values_reader *v, const uint8_t *in, size_t len)
{
    return fcgi_params_feed(&v->pairs, in, len, take_pair, &v->values);
}

int fcgi_values_end(const struct fcgi_values_reader *v, struct fcgi_values *ret)
{
    int rc = fcgi_params_end(&v->pairs);

    if (rc == 0)
        *ret = v->values;
    return rc;
}
