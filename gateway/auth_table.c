#include "auth_table.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "htpasswd.h"

/* A user and his hash, or a member and his group. */
struct entry {
    struct slice name, value;
};

struct auth_table {
    atomic_uint n_refs;
    struct siphash_key key;
    enum auth_table_kind kind;
    struct entry *entries;
    size_t n, cap;
    uint32_t *slots; /* index + 1 into entries; 0: free */
    size_t n_slots;  /* a power of two, twice n at least */
    size_t text_n;
    char text[];
};

/* ---- lines ---- */

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

static struct slice line_next(struct slice *text)
{
    ssize_t nl = slice_find(*text, '\n');
    size_t n = nl < 0 ? text->n : (size_t)nl;
    struct slice line = slice_of(text->p, n);

    *text = slice_from(*text, nl < 0 ? n : n + 1);
    while (line.n && is_blank(line.p[line.n - 1]))
        line.n--;
    return line;
}

static struct slice word_next(struct slice *rest)
{
    size_t n = 0;

    while (rest->n && is_blank(rest->p[0]))
        *rest = slice_from(*rest, 1);
    while (n < rest->n && !is_blank(rest->p[n]))
        n++;
    struct slice word = slice_of(rest->p, n);
    *rest = slice_from(*rest, n);
    return word;
}

/* ---- entries ---- */

static uint64_t hash_of(const struct auth_table *t, struct slice name, struct slice group)
{
    struct siphash_tag tag = siphash(t->key, name.p, name.n);

    if (t->kind == AUTH_TABLE_GROUPS)
        tag.v[0] += siphash(t->key, group.p, group.n).v[1];
    return tag.v[0];
}

/* Where name is, or the free place that it would have. */
static uint32_t *slot_of(const struct auth_table *t, struct slice name, struct slice group)
{
    size_t at = hash_of(t, name, group) & (t->n_slots - 1);

    for (; t->slots[at]; at = (at + 1) & (t->n_slots - 1)) {
        const struct entry *e = &t->entries[t->slots[at] - 1];
        if (slice_eq(e->name, name) &&
            (t->kind == AUTH_TABLE_USERS || slice_eq(e->value, group)))
            break;
    }
    return &t->slots[at];
}

static bool add(struct auth_table *t, struct slice name, struct slice value)
{
    if (t->n == t->cap) {
        size_t cap = t->cap ? t->cap * 2 : 16;
        struct entry *more = reallocarray(t->entries, cap, sizeof(*more));
        if (!more)
            return false;
        t->entries = more;
        t->cap = cap;
    }
    t->entries[t->n++] = (struct entry){name, value};
    return true;
}

static bool add_members(struct auth_table *t, struct slice group, struct slice rest)
{
    struct slice word;

    while ((word = word_next(&rest)).n) {
        if (!add(t, word, group))
            return false;
    }
    return true;
}

static bool take_line(struct auth_table *t, struct slice line, unsigned number,
                      auth_table_fault *fault, void *arg)
{
    ssize_t colon = slice_find(line, ':');

    if (!line.n || line.p[0] == '#')
        return true;
    if (colon <= 0) {
        fault(arg, number, slice_of("", 0), colon < 0 ? "no colon" : "no name");
        return true;
    }
    struct slice name = slice_of(line.p, (size_t)colon);
    struct slice rest = slice_from(line, (size_t)colon + 1);
    if (t->kind == AUTH_TABLE_GROUPS)
        return add_members(t, name, rest);
    size_t n = 0;
    while (n < rest.n && rest.p[n] != ':' && !is_blank(rest.p[n]))
        n++;
    struct slice hash = slice_of(rest.p, n);
    const char *why = htpasswd_fault(hash);
    if (!why)
        return add(t, name, hash);
    fault(arg, number, name, why);
    return true;
}

/* The first of a name is found; the others are dropped. */
static bool index_entries(struct auth_table *t)
{
    size_t kept = 0;

    for (t->n_slots = 16; t->n_slots < 2 * t->n;)
        t->n_slots *= 2;
    t->slots = calloc(t->n_slots, sizeof(*t->slots));
    if (!t->slots)
        return false;
    for (size_t i = 0; i < t->n; i++) {
        struct entry e = t->entries[i];
        uint32_t *slot = slot_of(t, e.name, e.value);
        if (*slot)
            continue;
        t->entries[kept++] = e;
        *slot = (uint32_t)kept;
    }
    t->n = kept;
    return true;
}

struct auth_table *auth_table_new(enum auth_table_kind kind, struct slice text,
                                  const struct siphash_key *key, auth_table_fault *fault,
                                  void *arg)
{
    struct auth_table *t = calloc(1, sizeof(*t) + text.n + 1);
    unsigned number = 0;
    bool ok = t != NULL;

    if (!t)
        return NULL;
    atomic_init(&t->n_refs, 1);
    t->key = *key;
    t->kind = kind;
    t->text_n = text.n;
    memcpy(t->text, text.p, text.n);
    struct slice rest = slice_of(t->text, text.n);
    while (ok && rest.n) {
        struct slice line = line_next(&rest);
        ok = take_line(t, line, ++number, fault, arg);
    }
    if (ok && index_entries(t))
        return t;
    auth_table_unref(t);
    return NULL;
}

void auth_table_ref(struct auth_table *t)
{
    atomic_fetch_add_explicit(&t->n_refs, 1, memory_order_relaxed);
}

void auth_table_unref(struct auth_table *t)
{
    if (!t || atomic_fetch_sub_explicit(&t->n_refs, 1, memory_order_acq_rel) != 1)
        return;
    explicit_bzero(t->text, t->text_n);
    free(t->entries);
    free(t->slots);
    free(t);
}

size_t auth_table_size(const struct auth_table *t)
{
    return t->n;
}

struct slice auth_table_hash(const struct auth_table *t, struct slice user)
{
    uint32_t slot = *slot_of(t, user, slice_of("", 0));

    return slot ? t->entries[slot - 1].value : slice_of("", 0);
}

struct slice auth_table_other_hash(const struct auth_table *t, struct slice user)
{
    if (!t->n)
        return slice_of("", 0);
    /* Apart from the bits that tell the slot. */
    return t->entries[siphash(t->key, user.p, user.n).v[1] % t->n].value;
}

bool auth_table_in_group(const struct auth_table *t, struct slice group, struct slice user)
{
    return *slot_of(t, user, group) != 0;
}

bool auth_table_is(const struct auth_table *t, struct slice text)
{
    return slice_eq(slice_of(t->text, t->text_n), text);
}
