#include "encode.h"

#include <stddef.h>

#include "compress.h"
#include "conn.h"
#include "counters.h"
#include "stream_out.h"
#include "worker.h"

struct encoder {
    struct stream *s;
    struct encoder *prev, *next;   /* in the worker's list, if listed */
    struct compress_choice choice; /* until a codec is chosen */
    struct response held;          /* while holds */
    struct chain in;               /* what the codec has not taken */
    struct codec *codec;           /* NULL while holds */
    int level;
    unsigned turn;  /* when it was last looked at */
    bool listed;    /* it will be looked at */
    bool waiting;   /* counted in n_waiting */
    bool holds;     /* the head did not go out */
    bool fresh;     /* something came since it was looked at */
    bool unflushed; /* something came since the last flush */
    bool stopped;   /* the handler waits for room */
    bool ends;      /* nothing more comes */
};

static struct encoders *of(const struct encoder *e)
{
    return &worker_of(e->s)->encoders;
}

/* ---- codecs and what they cost ---- */

static void spare_drop(struct encoders *es, enum coding coding)
{
    if (!es->spare[coding])
        return;
    atomic_fetch_sub_explicit(&es->budget->used, codec_cost(coding, es->spare_level[coding]),
                              memory_order_relaxed);
    codec_free(es->spare[coding]);
    es->spare[coding] = NULL;
}

/* Room for so much more, if need be in place of spare ones. */
static bool charge(struct encoders *es, size_t cost)
{
    struct encode_budget *b = es->budget;

    for (unsigned coding = 0;; coding++) {
        size_t before = atomic_fetch_add_explicit(&b->used, cost, memory_order_relaxed);
        if (before + cost <= b->limit)
            return true;
        atomic_fetch_sub_explicit(&b->used, cost, memory_order_relaxed);
        if (coding == CODINGS)
            return false;
        spare_drop(es, (enum coding)coding);
    }
}

static struct codec *codec_take(struct encoders *es, enum coding coding, int level,
                                int64_t size)
{
    struct codec *c = es->spare[coding];

    if (c && es->spare_level[coding] == level && codec_restart(c, level, size)) {
        es->spare[coding] = NULL; /* what it costs is counted */
        return c;
    }
    if (!charge(es, codec_cost(coding, level)))
        return NULL;
    c = codec_new(coding, level, size);
    if (!c)
        atomic_fetch_sub_explicit(&es->budget->used, codec_cost(coding, level),
                                  memory_order_relaxed);
    return c;
}

/* The pages of a fresh codec cost more than it takes to encode a small answer: gzip makes 8 KiB
 * smaller in 0.1 ms, and in 0.9 if its memory is new.  So one of each kind is kept while there
 * is room for it. */
static void codec_give(struct encoders *es, struct codec *c, int level)
{
    enum coding coding = codec_coding(c);
    size_t used = atomic_load_explicit(&es->budget->used, memory_order_relaxed);

    if (coding != CODING_BR && used <= es->budget->limit / 2) {
        spare_drop(es, coding);
        es->spare[coding] = c;
        es->spare_level[coding] = level;
        return;
    }
    atomic_fetch_sub_explicit(&es->budget->used, codec_cost(coding, level),
                              memory_order_relaxed);
    codec_free(c);
}

/* ---- the list ---- */

static void note_waiting(struct encoder *e)
{
    bool waits = !e->holds && e->in.n > 0;

    if (waits != e->waiting)
        of(e)->n_waiting += waits ? 1 : -1u;
    e->waiting = waits;
}

static void list(struct encoder *e)
{
    struct encoders *es = of(e);

    if (e->listed)
        return;
    e->listed = true;
    e->next = NULL;
    e->prev = es->last;
    *(es->last ? &es->last->next : &es->first) = e;
    es->last = e;
    loop_defer(es->loop, &es->task);
}

static void unlist(struct encoder *e)
{
    struct encoders *es = of(e);

    if (!e->listed)
        return;
    e->listed = false;
    *(e->prev ? &e->prev->next : &es->first) = e->next;
    *(e->next ? &e->next->prev : &es->last) = e->prev;
}

void encode_drop(struct stream *s)
{
    struct encoder *e = s->encoder;

    if (!e)
        return;
    unlist(e);
    chain_fini(&e->in);
    note_waiting(e);
    if (e->codec)
        codec_give(of(e), e->codec, e->level);
    e->codec = NULL;
    s->encoder = NULL;
}

bool encode_is_held(const struct stream *s)
{
    return s->encoder && s->encoder->holds;
}

/* ---- encoding ---- */

/* n bytes, and the time since then, are this turn's. */
static void spend(struct encoders *es, size_t n, uint64_t since_us)
{
    es->spent_us += clock_now_us() - since_us;
    es->left -= n < es->left ? n : es->left;
    if (es->spent_us >= ENCODE_TURN_US)
        es->left = 0;
    loop_defer(es->loop, &es->task); /* a turn begins after this one */
}

/* How much of n bytes goes in now. */
static size_t piece_of(const struct encoder *e, size_t n)
{
    size_t most = codec_piece(codec_coding(e->codec), e->level);

    if (most > of(e)->left)
        most = of(e)->left;
    return n < most ? n : most;
}

/* Do op with p[0..n), all of which is taken. */
static int run(struct encoder *e, enum codec_op op, const void *p, size_t n)
{
    struct encoders *es = of(e);
    struct slice in = slice_of(p, n);
    uint64_t since_us = clock_now_us();
    int done = 0;

    while (done == 0) {
        size_t made;
        done = codec_step(e->codec, op, &in, es->out, sizeof(es->out), &made);
        if (done < 0)
            return done;
        int rc = made ? stream_pass_body(e->s, es->out, made) : 0;
        if (rc < 0)
            return rc;
    }
    spend(es, n, since_us);
    return 0;
}

/* What waits, as much of it as this turn may take. */
static int drain(struct encoder *e)
{
    int rc = 0;

    while (rc == 0 && e->in.n && of(e)->left) {
        struct slice part = chain_front(&e->in);
        part.n = piece_of(e, part.n);
        rc = run(e, CODEC_RUN, part.p, part.n);
        chain_drop(&e->in, part.n);
    }
    note_waiting(e);
    return rc;
}

/* ---- the head ---- */

/* The first of what waits, before the head says that it is encoded: a library that fails with it,
 * as for want of memory, leaves a response that can still go as it is.  What comes out stays in
 * the worker's out. */
static int prime(struct encoder *e, size_t *ret_made)
{
    struct encoders *es = of(e);
    struct slice part = chain_front(&e->in);

    *ret_made = 0;
    if (!e->in.n)
        return 0;
    size_t most = codec_piece(codec_coding(e->codec), e->level);
    if (most > ENCODE_OUT)
        most = ENCODE_OUT;
    if (part.n > most)
        part.n = most;
    size_t before = part.n;
    uint64_t since_us = clock_now_us();
    int rc = codec_step(e->codec, CODEC_RUN, &part, es->out, sizeof(es->out), ret_made);
    if (rc < 0)
        return rc;
    size_t taken = before - part.n;
    chain_drop(&e->in, taken);
    spend(es, taken, since_us);
    return 0;
}

static void codec_drop(struct encoder *e)
{
    atomic_fetch_sub_explicit(&of(e)->budget->used,
                              codec_cost(codec_coding(e->codec), e->level),
                              memory_order_relaxed);
    codec_free(e->codec);
    e->codec = NULL;
}

/* The first of its codings that there is memory for, and that takes what there is; identity where
 * there is none.  *ret_made bytes of it are in the worker's out, to go behind the head. */
static enum coding begin(struct encoder *e, int64_t size, size_t *ret_made)
{
    const struct conf_compress *conf = e->s->route->compress;

    for (unsigned i = 0; i < e->choice.n; i++) {
        enum coding coding = e->choice.codings[i];
        e->level = conf->level[coding];
        e->codec = codec_take(of(e), coding, e->level, size);
        if (e->codec && prime(e, ret_made) == 0)
            return coding;
        if (e->codec)
            codec_drop(e);
    }
    *ret_made = 0;
    counter_add(COUNTER_COMPRESS_MEMORY);
    return CODING_IDENTITY;
}

/* It may have to wait for longer than its maker keeps it. */
static int hold(struct encoder *e, const struct response *r)
{
    struct arena *a = &e->s->arena;
    struct field *fields = arena_alloc(a, (r->n_fields + 1) * sizeof(*fields));

    if (!fields)
        return GW_ENO_MEMORY;
    e->held = *r;
    e->held.fields = fields;
    e->held.reason = arena_dup(a, r->reason);
    for (size_t i = 0; i < r->n_fields; i++) {
        fields[i] =
            (struct field){arena_dup(a, r->fields[i].name), arena_dup(a, r->fields[i].value)};
        if (!fields[i].name.p || !fields[i].value.p)
            return GW_ENO_MEMORY;
    }
    e->holds = e->fresh = true;
    list(e);
    return 1;
}

int encode_head(struct stream *s, struct response *r)
{
    const struct conf_compress *conf = s->route->compress;
    struct compress_choice choice;

    compress_choose(conf, &s->req, r, &choice);
    if (!choice.varies)
        return 0;
    /* Without a body the head is that which it would have with one (RFC 9110 9.3.2, 15.4.5). */
    if (choice.n == 0 || s->out.no_body)
        return compress_head(&s->arena, choice.n ? choice.codings[0] : CODING_IDENTITY, r);
    struct encoder *e = arena_zalloc(&s->arena, sizeof(*e));
    if (!e)
        return GW_ENO_MEMORY;
    e->s = s;
    e->choice = choice;
    s->encoder = e;
    return hold(e, r);
}

/* What was held back, as it is, and e is through with it. */
static int pass_plain(struct encoder *e)
{
    struct stream *s = e->s;
    int rc = 0;

    while (e->in.n && rc == 0) {
        struct slice part = chain_front(&e->in);
        rc = stream_pass_body(s, part.p, part.n);
        chain_drop(&e->in, part.n);
    }
    encode_drop(s);
    return rc;
}

/* The head goes out: it is worth it, or nobody can tell. */
static int let_go(struct encoder *e)
{
    struct stream *s = e->s;
    size_t made;
    enum coding coding = begin(e, e->held.content_length, &made);
    int rc = compress_head(&s->arena, coding, &e->held);

    if (rc < 0)
        return rc;
    e->holds = false;
    rc = stream_pass_head(s, &e->held);
    if (rc == 0 && made)
        rc = stream_pass_body(s, of(e)->out, made);
    return rc < 0 || e->codec ? rc : pass_plain(e);
}

/* All of it came, and it is not worth it; now its length is known. */
static int let_go_small(struct encoder *e)
{
    e->held.content_length = (int64_t)e->in.n;
    int rc = stream_pass_head(e->s, &e->held);
    return rc < 0 ? rc : pass_plain(e);
}

/* ---- the body ---- */

/* Is what came of a held response enough to let it go? */
static bool is_enough(const struct encoder *e)
{
    if (e->held.content_length >= 0)
        return e->in.n > 0;
    return e->in.n && (int64_t)e->in.n >= e->s->route->compress->min;
}

/* What is given to a codec that has its turn need not be copied first. */
static int put_now(struct encoder *e, const void **p, size_t *n)
{
    int rc = 0;

    if (e->holds || e->in.n || of(e)->n_waiting)
        return 0;
    while (rc == 0 && *n && of(e)->left) {
        size_t now = piece_of(e, *n);
        rc = run(e, CODEC_RUN, *p, now);
        *p = (const char *)*p + now;
        *n -= now;
    }
    return rc;
}

int encode_put(struct stream *s, const void *p, size_t n)
{
    struct encoder *e = s->encoder;
    int rc = put_now(e, &p, &n);

    if (rc == 0 && n)
        rc = chain_append(&e->in, p, n);
    if (rc < 0)
        return rc;
    e->fresh = e->unflushed = true;
    list(e);
    if (e->holds && is_enough(e)) {
        rc = let_go(e);
        if (rc < 0 || !s->encoder)
            return rc;
        return drain(e);
    }
    note_waiting(e);
    return 0;
}

size_t encode_waiting(const struct stream *s)
{
    return s->encoder && s->encoder->waiting ? s->encoder->in.n : 0;
}

void encode_hold_up(struct stream *s)
{
    s->encoder->stopped = true;
}

int encode_finish(struct stream *s)
{
    struct encoder *e = s->encoder;

    if (e->holds)
        return let_go_small(e);
    e->ends = true;
    if (e->in.n || of(e)->n_waiting || of(e)->left == 0) {
        list(e);
        return 1;
    }
    int rc = run(e, CODEC_END, "", 0);
    encode_drop(s);
    return rc;
}

/* ---- the end of a turn ---- */

/* 0, or a gw_err.  e may be gone after it. */
static int look(struct encoder *e)
{
    struct stream *s = e->s;
    int rc;

    if (e->holds && e->fresh) {
        e->fresh = false;
        list(e);
        return 0;
    }
    if (e->holds && ((rc = let_go(e)) < 0 || !s->encoder))
        return rc;
    rc = drain(e);
    if (rc < 0)
        return rc;
    if (e->in.n) {
        list(e);
        return 0;
    }
    if (e->ends) {
        rc = run(e, CODEC_END, "", 0);
        encode_drop(s);
        if (rc == 0)
            stream_pass_end(s);
        return rc;
    }
    if (e->fresh) {
        e->fresh = false;
        list(e);
    } else if (e->unflushed) {
        e->unflushed = false;
        rc = run(e, CODEC_FLUSH, "", 0);
    }
    if (rc == 0 && e->stopped) {
        e->stopped = false;
        stream_pass_room(s); /* which may end s */
    }
    return rc;
}

static void turn_fn(struct loop *l, struct loop_task *task)
{
    struct encoders *es =
        (struct encoders *)(void *)((char *)task - offsetof(struct encoders, task));

    (void)l;
    es->turn++;
    es->left = ENCODE_TURN;
    es->spent_us = 0;
    while (es->first && es->first->turn != es->turn) {
        struct encoder *e = es->first;
        struct stream *s = e->s;
        unlist(e);
        e->turn = es->turn;
        int rc = look(e);
        if (rc < 0)
            stream_fail(s, rc);
    }
}

void encoders_init(struct encoders *es, struct loop *loop, struct encode_budget *budget)
{
    es->loop = loop;
    es->budget = budget;
    es->task.fn = turn_fn;
    es->left = ENCODE_TURN;
}

void encoders_fini(struct encoders *es)
{
    for (unsigned coding = 0; coding < CODINGS; coding++)
        spare_drop(es, (enum coding)coding);
    if (es->loop)
        loop_undefer(es->loop, &es->task);
}
