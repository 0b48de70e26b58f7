#include "auth_verify.h"

#include <stdlib.h>
#include <unistd.h>

#include "err.h"
#include "htpasswd.h"

enum { BUCKETS = 256 };

/* One verification.  Field keys: I constant   j the job's, then its worker's   m under v->mu */
struct verify_run {
    struct job job;
    struct verifier *v;             /* I */
    struct writers *writers;        /* I */
    struct verify_lane *lane;       /* I */
    struct auth_file *group_file;   /* I */
    struct siphash_tag tag;         /* I  of file, user and password */
    struct verify_run *next_alike;  /* m  of one bucket */
    struct verify_run *prev, *next; /* m  of the lane, while it waits */
    bool waiting;                   /* m */
    struct verify_wait *waits;      /* m */
    int err;                        /* j */
    uint64_t generation, run_us;    /* j */
    size_t user_len, password_len;  /* I */
    char text[];                    /* I  user NUL password NUL */
};

struct verifier {
    struct siphash_key key;                     /* I */
    unsigned max_running;                       /* I */
    struct lock mu;                             /*    leaf */
    unsigned n_running;                         /* m */
    struct verify_lane *first_turn, *last_turn; /* m */
    struct verify_run *alike[BUCKETS];          /* m  waiting or running */
};

struct verifier *verifier_new(const struct siphash_key *key)
{
    struct verifier *v = calloc(1, sizeof(*v));
    long half = (sysconf(_SC_NPROCESSORS_ONLN) + 1) / 2;

    if (!v)
        return NULL;
    v->key = *key;
    v->max_running = half < 1                    ? 1
                     : half > VERIFY_RUNNING_MAX ? VERIFY_RUNNING_MAX
                                                 : (unsigned)half;
    lock_init(&v->mu);
    return v;
}

void verifier_free(struct verifier *v)
{
    if (!v)
        return;
    lock_fini(&v->mu);
    free(v);
}

/* ---- runs that are alike ---- */

static struct slice run_user(const struct verify_run *r)
{
    return slice_of(r->text, r->user_len);
}

static const char *run_password(const struct verify_run *r)
{
    return r->text + r->user_len + 1;
}

static void run_free(struct verify_run *r)
{
    explicit_bzero(r->text, r->user_len + r->password_len + 2);
    free(r);
}

static struct verify_run *run_new(struct verifier *v, struct writers *writers,
                                  const struct verify_what *what)
{
    struct verify_run *r = calloc(1, sizeof(*r) + what->user.n + what->password.n + 2);

    if (!r)
        return NULL;
    r->v = v;
    r->writers = writers;
    r->lane = what->lane;
    r->group_file = what->group_file;
    r->user_len = what->user.n;
    r->password_len = what->password.n;
    memcpy(r->text, what->user.p, what->user.n);
    memcpy(r->text + what->user.n + 1, what->password.p, what->password.n);
    /* The user has no NUL: no two texts run into one. */
    r->tag = siphash(v->key, r->text, what->user.n + what->password.n + 2);
    return r;
}

static bool is_alike(const struct verify_run *a, const struct verify_run *b)
{
    return a->lane == b->lane && a->group_file == b->group_file && a->tag.v[0] == b->tag.v[0] &&
           a->tag.v[1] == b->tag.v[1];
}

/* Where r, or one like it, is linked; or the end of its bucket. */
static struct verify_run **alike_locked(struct verifier *v, const struct verify_run *r)
    REQUIRES(v->mu)
{
    struct verify_run **at = &v->alike[r->tag.v[0] % BUCKETS];

    lock_assert_held(&v->mu);
    while (*at && !is_alike(*at, r))
        at = &(*at)->next_alike;
    return at;
}

static void alike_add_locked(struct verifier *v, struct verify_run *r) REQUIRES(v->mu)
{
    struct verify_run **bucket = &v->alike[r->tag.v[0] % BUCKETS];

    lock_assert_held(&v->mu);
    r->next_alike = *bucket;
    *bucket = r;
}

static void alike_remove_locked(struct verifier *v, struct verify_run *r) REQUIRES(v->mu)
{
    struct verify_run **at = alike_locked(v, r); /* there are no two */

    *at = r->next_alike;
    r->next_alike = NULL;
}

/* ---- those that wait for a run ---- */

static void wait_add_locked(struct verifier *v, struct verify_run *r, struct verify_wait *wait)
    REQUIRES(v->mu)
{
    lock_assert_held(&v->mu);
    wait->run = r;
    wait->prev = NULL;
    wait->next = r->waits;
    if (r->waits)
        r->waits->prev = wait;
    r->waits = wait;
}

static void wait_remove_locked(struct verifier *v, struct verify_wait *wait) REQUIRES(v->mu)
{
    lock_assert_held(&v->mu);
    if (wait->prev)
        wait->prev->next = wait->next;
    else
        wait->run->waits = wait->next;
    if (wait->next)
        wait->next->prev = wait->prev;
    wait->run = NULL;
}

/* ---- lanes ---- */

static void lane_turn_locked(struct verifier *v, struct verify_lane *lane) REQUIRES(v->mu)
{
    lock_assert_held(&v->mu);
    lane->next_turn = NULL;
    if (v->last_turn)
        v->last_turn->next_turn = lane;
    else
        v->first_turn = lane;
    v->last_turn = lane;
}

static void lane_append_locked(struct verifier *v, struct verify_run *r) REQUIRES(v->mu)
{
    struct verify_lane *lane = r->lane;

    lock_assert_held(&v->mu);
    r->prev = lane->tail;
    if (lane->tail) {
        lane->tail->next = r;
    } else {
        lane->head = r;
        lane_turn_locked(v, lane);
    }
    lane->tail = r;
    lane->n++;
    r->waiting = true;
}

/* The caller sees to the turn of a lane that is empty by this. */
static void lane_remove_locked(struct verifier *v, struct verify_run *r) REQUIRES(v->mu)
{
    struct verify_lane *lane = r->lane;

    lock_assert_held(&v->mu);
    if (r->prev)
        r->prev->next = r->next;
    else
        lane->head = r->next;
    if (r->next)
        r->next->prev = r->prev;
    else
        lane->tail = r->prev;
    r->prev = r->next = NULL;
    r->waiting = false;
    lane->n--;
}

static void turn_drop_locked(struct verifier *v, struct verify_lane *lane) REQUIRES(v->mu)
{
    struct verify_lane **at = &v->first_turn, *before = NULL;

    lock_assert_held(&v->mu);
    while (*at != lane) {
        before = *at;
        at = &before->next_turn;
    }
    *at = lane->next_turn;
    if (v->last_turn == lane)
        v->last_turn = before;
    lane->next_turn = NULL;
}

/* The next lane's oldest; NULL: none waits. */
static struct verify_run *lane_take_locked(struct verifier *v) REQUIRES(v->mu)
{
    struct verify_lane *lane = v->first_turn;

    lock_assert_held(&v->mu);
    if (!lane)
        return NULL;
    struct verify_run *r = lane->head;
    turn_drop_locked(v, lane);
    lane_remove_locked(v, r);
    if (lane->head)
        lane_turn_locked(v, lane);
    return r;
}

/* How long the next of lane would wait, its own turns alone. */
static uint64_t lane_wait_us(const struct verifier *v, const struct verify_lane *lane)
{
    return lane->n * lane->run_us / v->max_running;
}

/* ---- a run ---- */

/* Writer thread. */
static void run_verify(struct job *job)
{
    struct verify_run *r = (struct verify_run *)job;
    uint64_t begin = clock_now_us();

    auth_file_refresh(r->lane->file);
    if (r->group_file)
        auth_file_refresh(r->group_file);
    struct auth_table *t = auth_file_hold(r->lane->file, &r->generation);
    r->err = GW_EAUTH_FILE;
    if (!t)
        return;
    struct slice hash = auth_table_hash(t, run_user(r));
    bool known = hash.n > 0;
    if (!known)
        hash = auth_table_other_hash(t, run_user(r));
    bool same = htpasswd_matches(hash.n ? hash : htpasswd_dummy, run_password(r));
    r->err = known && same ? 0 : GW_EUNAUTHORIZED;
    auth_table_unref(t);
    r->run_us = clock_now_us() - begin;
}

static void run_done(struct loop *l, struct job *job);

/* On a worker, whose loop does not end before the run does. */
static void run_begin(struct verify_run *r, struct loop *l)
{
    r->job = (struct job){.run = run_verify, .loop = l, .done = run_done};
    writers_job(r->writers, &r->job);
}

static void wait_message(struct loop *l, struct loop_msg *msg)
{
    struct verify_wait *wait =
        (struct verify_wait *)(void *)((char *)msg - offsetof(struct verify_wait, msg));

    wait->done(l, wait);
}

static void run_tell(struct loop *l, struct verify_wait *waits)
{
    while (waits) {
        struct verify_wait *wait = waits;
        waits = wait->next;
        wait->msg.fn = wait_message;
        if (wait->loop == l)
            wait->done(l, wait);
        else
            loop_post(wait->loop, &wait->msg);
    }
}

/* Worker, as a message. */
static void run_done(struct loop *l, struct job *job)
{
    struct verify_run *r = (struct verify_run *)job;
    struct verifier *v = r->v;

    lock_take(&v->mu);
    alike_remove_locked(v, r);
    struct verify_wait *waits = r->waits;
    for (struct verify_wait *wait = waits; wait; wait = wait->next) {
        wait->err = r->err;
        wait->generation = r->generation;
        wait->run = NULL;
    }
    if (r->run_us) /* a moving average */
        r->lane->run_us = (r->lane->run_us * 7 + r->run_us) / (r->lane->run_us ? 8 : 1);
    struct verify_run *next = lane_take_locked(v);
    if (!next)
        v->n_running--;
    lock_drop(&v->mu);
    if (next)
        run_begin(next, l);
    run_tell(l, waits);
    run_free(r);
}

/* ---- for workers ---- */

static bool join_locked(struct verifier *v, const struct verify_run *like,
                        struct verify_wait *wait) REQUIRES(v->mu)
{
    struct verify_run *found = *alike_locked(v, like);

    if (found)
        wait_add_locked(v, found, wait);
    return found != NULL;
}

bool verifier_join(struct verifier *v, const struct verify_what *what, struct verify_wait *wait)
{
    struct verify_run *like = run_new(v, NULL, what);

    if (!like)
        return false;
    lock_take(&v->mu);
    bool joined = join_locked(v, like, wait);
    lock_drop(&v->mu);
    run_free(like);
    return joined;
}

/* What becomes of a new run. */
enum start { START_RUN, START_WAIT, START_JOINED, START_FULL };

static enum start start_locked(struct verifier *v, struct verify_run *r,
                               struct verify_wait *wait, uint64_t wait_us) REQUIRES(v->mu)
{
    enum start start = START_WAIT;

    lock_assert_held(&v->mu);
    if (join_locked(v, r, wait)) /* another worker began it meanwhile */
        return START_JOINED;
    if (v->n_running < v->max_running) {
        v->n_running++;
        start = START_RUN;
    } else if (r->lane->n >= VERIFY_WAITING_MAX || wait_us > VERIFY_WAIT_S * 1000000ULL) {
        return START_FULL;
    } else {
        lane_append_locked(v, r);
    }
    alike_add_locked(v, r);
    wait_add_locked(v, r, wait);
    return start;
}

int verifier_start(struct verifier *v, struct writers *writers, const struct verify_what *what,
                   struct verify_wait *wait, unsigned *ret_wait_s)
{
    struct verify_run *r = run_new(v, writers, what);

    if (!r)
        return GW_ENO_MEMORY;
    lock_take(&v->mu);
    uint64_t wait_us = lane_wait_us(v, what->lane);
    enum start start = start_locked(v, r, wait, wait_us);
    lock_drop(&v->mu);
    switch (start) {
    case START_RUN:
        run_begin(r, wait->loop);
        return 0;
    case START_WAIT:
        return 0;
    case START_JOINED:
        run_free(r);
        return 0;
    case START_FULL:
        break;
    }
    run_free(r);
    *ret_wait_s = (unsigned)(wait_us / 1000000) + 1;
    return GW_EAUTH_BUSY;
}

bool verifier_leave(struct verifier *v, struct verify_wait *wait)
{
    struct verify_run *useless = NULL;

    lock_take(&v->mu);
    struct verify_run *r = wait->run;
    if (r) {
        wait_remove_locked(v, wait);
        if (!r->waits && r->waiting) {
            lane_remove_locked(v, r);
            if (!r->lane->head)
                turn_drop_locked(v, r->lane);
            alike_remove_locked(v, r);
            useless = r;
        }
    }
    lock_drop(&v->mu);
    if (useless)
        run_free(useless);
    return r != NULL;
}
