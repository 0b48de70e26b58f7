#include "forwarded.h"

#include "authority.h"

/* ---- elements of a list, from the right ---- */

/* The lines of a field are one list (RFC 9110 5.3). */
struct list {
    const struct field *fields;
    size_t n; /* lines that were not begun */
    struct slice name;
    bool quotes;       /* commas in "quotes" do not count */
    struct slice line; /* what is left of the line that was; p is NULL: none was */
};

static bool next_line(struct list *l)
{
    while (l->n > 0) {
        const struct field *f = &l->fields[--l->n];
        if (f->value.n && slice_ieq(f->name, l->name)) {
            l->line = f->value;
            return true;
        }
    }
    return false;
}

/* The last element of the line, off its end. */
static struct slice cut_last(struct list *l)
{
    size_t at = l->line.n;
    bool quoted = false;

    while (at > 0 && (quoted || l->line.p[at - 1] != ',')) {
        quoted ^= l->quotes && l->line.p[at - 1] == '"';
        at--;
    }
    struct slice element = slice_from(l->line, at);
    l->line.n = at ? at - 1 : 0;
    return slice_trim(element);
}

/* Empty ones are none (RFC 9110 5.6.1.2). */
static bool list_last(struct list *l, struct slice *ret_element)
{
    while (l->line.n || next_line(l)) {
        *ret_element = cut_last(l);
        if (ret_element->n)
            return true;
    }
    return false;
}

/* ---- addresses ---- */

/* The port behind an address: ":80"; ":_x" is one that is not told (RFC 7239 6.3). */
static bool read_port(struct slice text, uint16_t *ret_port)
{
    *ret_port = 0;
    if (text.n == 0)
        return true;
    if (text.n < 2 || text.p[0] != ':')
        return false;
    int64_t port = slice_decimal(slice_from(text, 1), UINT16_MAX);
    if (port >= 0)
        *ret_port = (uint16_t)port;
    return port >= 0 || text.p[1] == '_';
}

/* "192.0.2.1", "192.0.2.1:80", "2001:db8::1", "[2001:db8::1]", "[2001:db8::1]:80". */
static bool read_node(struct slice text, struct cidr_address *ret_address, uint16_t *ret_port)
{
    struct slice address = text, port = slice_of(NULL, 0);
    ssize_t end = slice_find(text, text.n && text.p[0] == '[' ? ']' : ':');

    if (text.n && text.p[0] == '[') {
        if (end < 0)
            return false;
        address = slice_of(text.p + 1, (size_t)end - 1);
        port = slice_from(text, (size_t)end + 1);
        if (slice_find(address, ':') < 0)
            return false;
    } else if (end >= 0 && slice_find(slice_from(text, (size_t)end + 1), ':') < 0) {
        address = slice_of(text.p, (size_t)end);
        port = slice_from(text, (size_t)end);
    }
    return cidr_address_parse(address, ret_address) && read_port(port, ret_port);
}

/* ---- elements of Forwarded ---- */

struct element {
    struct slice node, proto, host; /* p is NULL: not there */
};

/* Cut the pair in front of the next ';' outside of quotes off *rest. */
static struct slice cut_pair(struct slice *rest)
{
    bool quoted = false;
    size_t n = 0;

    while (n < rest->n && (quoted || rest->p[n] != ';'))
        quoted ^= rest->p[n++] == '"';
    struct slice pair = slice_of(rest->p, n);
    *rest = slice_from(*rest, n < rest->n ? n + 1 : n);
    return slice_trim(pair);
}

/* A token, or what is between quotes. */
static bool unquote(struct slice *value)
{
    bool quoted = value->n >= 2 && value->p[0] == '"' && value->p[value->n - 1] == '"';

    if (quoted)
        *value = slice_of(value->p + 1, value->n - 2);
    return value->n > 0 && slice_find(*value, '"') < 0 && slice_find(*value, '\\') < 0;
}

/* for=192.0.2.1;proto=https;host=example.org;by=_gw.  false: it is not one. */
static bool read_element(struct slice text, struct element *ret)
{
    struct element e = {0};
    const struct {
        struct slice name;
        struct slice *to;
    } parts[] = {{{"for", 3}, &e.node}, {{"proto", 5}, &e.proto}, {{"host", 4}, &e.host}};

    while (text.n) {
        struct slice pair = cut_pair(&text);
        ssize_t equals = slice_find(pair, '=');
        if (pair.n == 0)
            continue;
        if (equals <= 0)
            return false;
        struct slice name = slice_of(pair.p, (size_t)equals);
        struct slice value = slice_from(pair, (size_t)equals + 1);
        if (!unquote(&value))
            return false;
        for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
            if (!slice_ieq(name, parts[i].name))
                continue;
            if (parts[i].to->p)
                return false; /* RFC 7239 4: not twice */
            *parts[i].to = value;
        }
    }
    *ret = e;
    return true;
}

/* ---- the walk ---- */

/* The address of an element counts.  false: the walk is over. */
static bool take_node(struct slice node, const struct cidr_set *trusted, struct forwarded *f)
{
    struct cidr_address address;
    uint16_t port;

    if (!read_node(node, &address, &port))
        return false;
    f->known = true;
    f->address = address;
    f->port = port;
    return cidr_set_find(trusted, &address) != NULL;
}

static void walk_forwarded(struct list *l, const struct cidr_set *trusted, struct forwarded *f)
{
    struct slice text;

    while (list_last(l, &text)) {
        struct element e = {0};
        bool ok = read_element(text, &e);
        /* A trusted proxy wrote this one, whomever it is for. */
        f->proto = e.proto;
        f->host = e.host;
        if (!ok || !e.node.p || !take_node(e.node, trusted, f))
            return;
    }
}

/* How many proxies wrote what was walked. */
static unsigned walk_x_for(struct list *l, const struct cidr_set *trusted, struct forwarded *f)
{
    struct slice text;
    unsigned n = 0;

    while (list_last(l, &text)) {
        n++;
        if (!take_node(text, trusted, f))
            break;
    }
    return n;
}

/* What the same proxy wrote of something else: some add to the list, some replace it. */
static struct slice x_beside(struct list l, const char *name, unsigned n)
{
    struct slice text, found = slice_of(NULL, 0);

    l.name = slice_str(name);
    while (n-- && list_last(&l, &text))
        found = text;
    return found;
}

static struct slice valid_proto(struct slice proto)
{
    static const struct slice known[] = {{"http", 4}, {"https", 5}};

    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (slice_ieq(proto, known[i]))
            return known[i];
    }
    return slice_of(NULL, 0);
}

void forwarded_walk(const struct field *fields, size_t n_fields, enum conf_trusted_field field,
                    const struct cidr_set *trusted, struct forwarded *ret)
{
    struct list all = {.fields = fields, .n = n_fields, .name = SLICE("Forwarded")}, l = all;
    struct forwarded f = {0};

    if (field == CONF_TRUST_FORWARDED) {
        l.quotes = true;
        walk_forwarded(&l, trusted, &f);
    } else {
        l.name = SLICE("X-Forwarded-For");
        unsigned n = walk_x_for(&l, trusted, &f);
        f.proto = x_beside(all, "X-Forwarded-Proto", n ? n : 1);
        f.host = x_beside(all, "X-Forwarded-Host", n ? n : 1);
    }
    f.proto = valid_proto(f.proto);
    if (!f.host.n || !authority_valid(f.host))
        f.host = slice_of(NULL, 0);
    *ret = f;
}
