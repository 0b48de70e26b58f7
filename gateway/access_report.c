#include "access_report.h"

#include <stdlib.h>

struct access_report *access_report_new(void)
{
    struct access_report *r = calloc(1, sizeof(*r));

    if (r)
        r->n_refs = 2;
    return r;
}

void access_report_drop(struct access_report *r)
{
    if (!r || --r->n_refs)
        return;
    buf_fini(&r->line);
    free(r);
}

void access_report_end(void *arg, const struct script_use *use)
{
    struct access_report *r = arg;

    r->over = true;
    r->known = use != NULL;
    if (use)
        r->use = *use;
    if (r->finish)
        r->finish(r);
    access_report_drop(r);
}
