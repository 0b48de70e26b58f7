#include "check_auth.h"

#include <regex.h>

/* What means nothing where nobody is asked for a password. */
static const char *const needs_basic[] = {"auth_file",  "auth_realm",  "auth_match",
                                          "auth_users", "auth_groups", "auth_group_file"};

enum { N_NEEDS_BASIC = sizeof(needs_basic) / sizeof(needs_basic[0]) };

static void check_needs(struct load *l, const struct section *s, bool basic)
{
    for (size_t i = 0; !basic && i < N_NEEDS_BASIC; i++) {
        if (schema_find(s->kind, slice_str(needs_basic[i])) >= 0 &&
            section_has(s, needs_basic[i]))
            complain(&l->bad, section_place(s, needs_basic[i]), "%s without auth = basic",
                     needs_basic[i]);
    }
}

static void check_who(struct load *l, const struct section *s, const struct conf_auth *auth)
{
    if (section_has(s, "auth_groups") && !auth->group_file)
        complain(&l->bad, section_place(s, "auth_groups"), "auth_groups needs auth_group_file");
    for (unsigned i = 0; i < auth->n_users; i++) {
        if (section_has(s, "auth_users") && slice_eq(auth->users[i], SLICE("*")) &&
            (auth->n_users > 1 || auth->n_groups))
            complain(&l->bad, section_place(s, "auth_users"),
                     "auth_users = *: everybody of auth_file stands alone");
    }
}

static bool site_has_basic(const struct conf_site *site)
{
    bool has = site->auth.basic > 0;

    for (unsigned i = 0; i < site->n_routes; i++)
        has |= site->routes[i].auth.basic > 0;
    return has;
}

void check_site_auth(struct load *l, const struct section *s, const struct conf_site *site)
{
    if (site->auth.basic > 0 && !site->auth.file)
        complain(&l->bad, section_place(s, "auth"), "auth = basic needs auth_file");
    check_needs(l, s, site_has_basic(site));
    check_who(l, s, &site->auth);
}

static void check_match(struct load *l, const struct section *s, const struct conf_route *route)
{
    char why[200];
    regex_t re;

    if (!route->auth_match)
        return;
    int err = regcomp(&re, route->auth_match, REG_EXTENDED | REG_NOSUB);
    if (err) {
        regerror(err, &re, why, sizeof(why));
        complain(&l->bad, section_place(s, "auth_match"), "auth_match = %.*s: %s",
                 ECHO(slice_str(route->auth_match)), why);
        return;
    }
    regfree(&re);
}

/* Of one thing alone any is all. */
static void check_satisfy(struct load *l, const struct section *s,
                          const struct conf_route *route)
{
    int n =
        (route->auth.basic > 0) + (route->authorizer != NULL) + access_may_allow(route->access);

    if (section_has(s, "satisfy") && route->auth.satisfy == CONF_SATISFY_ANY && n < 2)
        complain(
            &l->bad, section_place(s, "satisfy"),
            "satisfy = any needs two of allow, auth = basic and authorizer to choose from");
}

void check_route_auth(struct load *l, const struct section *s, const struct conf_route *route)
{
    const struct conf_site *site = &l->conf->sites[s->index];
    bool basic = route->auth.basic > 0;

    /* Of the site's own auth its section was told. */
    if (basic && !route->auth.file && !(site->auth.basic > 0))
        complain(&l->bad, section_place(s, "auth"), "auth = basic needs auth_file");
    check_needs(l, s, basic);
    check_who(l, s, &route->auth);
    check_match(l, s, route);
    check_satisfy(l, s, route);
}
