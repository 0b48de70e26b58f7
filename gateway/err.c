#include "err.h"

#include <stddef.h>

struct err_row {
    int err;
    int status;
    const char *name;
    const char *text;
};

static const struct err_row rows[] = {
    {GW_OK, 200, "OK", "no error"},
#define GW_ERR(sym, val, status, text) {GW_##sym, status, #sym, text},
#include "tbl/errors.def"
#undef GW_ERR
};

static const struct err_row *err_find(int err)
{
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (rows[i].err == err)
            return &rows[i];
    }
    return NULL;
}

int gw_err_status(int err)
{
    const struct err_row *row = err_find(err);
    return row ? row->status : 500;
}

const char *gw_err_name(int err)
{
    const struct err_row *row = err_find(err);
    return row ? row->name : "EUNKNOWN";
}

const char *gw_err_text(int err)
{
    const struct err_row *row = err_find(err);
    return row ? row->text : "unknown error";
}
