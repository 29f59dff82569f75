#include "core/gen.h"

#include <stdio.h>

#undef gen_fail /* what the analyser takes it for */

gen_status gen_fail(gen_error *err, gen_status status, const char *format, ...)
{
    if (err && err->status == GEN_OK) {
        va_list args;
        va_start(args, format);
        vsnprintf(err->text, sizeof err->text, format, args);
        va_end(args);
        err->status = status;
    }
    return status;
}

const char *gen_status_text(gen_status status)
{
    static const char *const texts[] = {
#define X(id, text) text,
        GEN_STATUS_LIST(X)
#undef X
    };
    return (size_t)status < sizeof texts / sizeof *texts ? texts[status] : "unknown status";
}
