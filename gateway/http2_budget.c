#include "http2_budget.h"

enum {
    PREFACE_LEN = 24,     /* RFC 9113 3.4 */
    UPDATES_FIRST = 32,   /* before anything was sent: the connection's and some streams' */
    UPDATES_REQUEST = 2,  /* a request may bring one for its stream and one for all */
    UPDATES_FRAME = 2,    /* a DATA frame may bring the same two */
    UPDATES_BYTES = 1024, /* and one more for so many bytes, as readers in small steps send */
    UPDATES_MAX = 1 << 20,
};

enum { FLAG_END_STREAM = 1, FLAG_PADDED = 8 };

enum { TYPE_DATA = 0, TYPE_HEADERS = 1, TYPE_RST_STREAM = 3, TYPE_WINDOW_UPDATE = 8 };

/* ---- frames ---- */

static void unpack(const uint8_t *p, struct h2_frame_head *ret)
{
    *ret = (struct h2_frame_head){
        .length = (uint32_t)p[0] << 16 | (uint32_t)p[1] << 8 | p[2],
        .type = p[3],
        .flags = p[4],
        .stream_id =
            ((uint32_t)p[5] << 24 | (uint32_t)p[6] << 16 | (uint32_t)p[7] << 8 | p[8]) &
            0x7fffffff,
    };
}

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

bool h2_scan_next(struct h2_scan *scan, struct slice *in, struct h2_frame_head *ret)
{
    size_t k = smaller(in->n, PREFACE_LEN - (size_t)scan->n_preface);

    scan->n_preface = (uint8_t)(scan->n_preface + k);
    *in = slice_from(*in, k);
    k = smaller(in->n, scan->skip);
    scan->skip -= (uint32_t)k;
    *in = slice_from(*in, k);
    k = smaller(in->n, sizeof(scan->raw) - scan->n_raw);
    if (k == 0)
        return false;
    memcpy(scan->raw + scan->n_raw, in->p, k);
    scan->n_raw = (uint8_t)(scan->n_raw + k);
    *in = slice_from(*in, k);
    if (scan->n_raw < sizeof(scan->raw))
        return false;
    unpack(scan->raw, ret);
    scan->n_raw = 0;
    scan->skip = ret->length;
    return true;
}

/* ---- counters ---- */

static void rate_turn(struct h2_rate *r, uint64_t now_ms, uint32_t window_ms)
{
    uint64_t passed = now_ms > r->start_ms ? now_ms - r->start_ms : 0;

    if (r->start_ms == 0 || passed >= 2 * (uint64_t)window_ms) {
        *r = (struct h2_rate){.start_ms = now_ms};
    } else if (passed >= window_ms) {
        r->before = r->now;
        r->now = 0;
        r->start_ms += window_ms;
    }
}

uint32_t h2_rate_add(struct h2_rate *r, uint32_t n, uint64_t now_ms, uint32_t window_ms)
{
    rate_turn(r, now_ms, window_ms);
    r->now = n > UINT32_MAX / 2 - r->now ? UINT32_MAX / 2 : r->now + n;
    uint64_t passed = now_ms > r->start_ms ? now_ms - r->start_ms : 0;
    return r->now + (uint32_t)(r->before * (window_ms - passed) / window_ms);
}

/* ---- charges ---- */

void h2_budget_init(struct h2_budget *b, uint32_t max_resets, uint32_t max_controls)
{
    *b = (struct h2_budget){
        .max_resets = max_resets, .max_controls = max_controls, .updates = UPDATES_FIRST};
}

static void allow_updates(struct h2_budget *b, size_t n)
{
    b->updates = n < UPDATES_MAX - b->updates ? b->updates + (uint32_t)n : UPDATES_MAX;
}

void h2_budget_pushed(struct h2_budget *b)
{
    b->pushed++; /* as many as there are ids */
}

void h2_budget_sent(struct h2_budget *b, size_t n)
{
    allow_updates(b, UPDATES_FRAME + n / UPDATES_BYTES);
}

void h2_budget_provoked(struct h2_budget *b, uint32_t n, uint64_t now_ms)
{
    if (n)
        h2_rate_add(&b->resets, n, now_ms, H2_RESET_WINDOW_MS);
}

/* A frame that carries nothing and does not end its stream either.  Behind a pad length byte
 * up to 255 bytes may be padding; who sends so few and pads them pays for it. */
static bool data_is_empty(const struct h2_frame_head *f)
{
    return !(f->flags & FLAG_END_STREAM) && f->length <= (f->flags & FLAG_PADDED ? 256 : 0);
}

static enum h2_charge charge_of(struct h2_budget *b, const struct h2_frame_head *f)
{
    switch (f->type) {
    case TYPE_DATA:
        return data_is_empty(f) ? H2_CHARGE_CONTROL : H2_CHARGE_NONE;
    case TYPE_HEADERS:
        allow_updates(b, UPDATES_REQUEST);
        return f->length == 0 ? H2_CHARGE_CONTROL : H2_CHARGE_NONE;
    case TYPE_RST_STREAM:
        if (f->stream_id % 2 || b->pushed == 0)
            return H2_CHARGE_RESET;
        b->pushed--;
        return H2_CHARGE_NONE;
    case TYPE_WINDOW_UPDATE:
        if (b->updates == 0)
            return H2_CHARGE_CONTROL;
        b->updates--;
        return H2_CHARGE_NONE;
    default: /* PRIORITY, SETTINGS, PING, CONTINUATION, and what we do not know */
        return H2_CHARGE_CONTROL;
    }
}

bool h2_budget_input(struct h2_budget *b, struct slice in, uint64_t now_ms)
{
    uint32_t n[3] = {0};
    struct h2_frame_head f;
    struct h2_trip trip;

    while (h2_scan_next(&b->scan, &in, &f))
        n[charge_of(b, &f)]++;
    if (n[H2_CHARGE_RESET])
        h2_rate_add(&b->resets, n[H2_CHARGE_RESET], now_ms, H2_RESET_WINDOW_MS);
    if (n[H2_CHARGE_CONTROL])
        h2_rate_add(&b->controls, n[H2_CHARGE_CONTROL], now_ms, H2_CONTROL_WINDOW_MS);
    return !h2_budget_tripped(b, now_ms, &trip);
}

bool h2_budget_tripped(const struct h2_budget *b, uint64_t now_ms, struct h2_trip *ret)
{
    struct h2_rate resets = b->resets, controls = b->controls;
    uint32_t n_resets = h2_rate_add(&resets, 0, now_ms, H2_RESET_WINDOW_MS);
    uint32_t n_controls = h2_rate_add(&controls, 0, now_ms, H2_CONTROL_WINDOW_MS);

    if (n_resets > b->max_resets)
        *ret = (struct h2_trip){"resets", COUNTER_H2_RESETS, n_resets, b->max_resets,
                                H2_RESET_WINDOW_MS / 1000};
    else if (n_controls > b->max_controls)
        *ret = (struct h2_trip){"control frames", COUNTER_H2_CONTROL_FRAMES, n_controls,
                                b->max_controls, H2_CONTROL_WINDOW_MS / 1000};
    else
        return false;
    return true;
}
