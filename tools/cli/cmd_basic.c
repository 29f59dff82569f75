/* version, devices */
#include "kernels/devices.h"
#include "tools/cli/cli.h"

static int version(cli_args *a, gen_error *err)
{
    if (a->o.json) {
        gen_json_out out = { .arena = a->arena };
        gen_json_open(&out, NULL, '{');
        gen_json_put_string(&out, "version", GEN_VERSION);
        gen_json_close(&out, '}');
        return cli_print_json(&out, err) == GEN_OK ? CLI_GOOD : CLI_FAILED;
    }
    puts("gen " GEN_VERSION);
    return CLI_GOOD;
}

static int devices(cli_args *a, gen_error *err)
{
    (void)a, (void)err;
    char text[2000];
    gen_devices_describe(text, sizeof text);
    fputs(text, stdout);
    return CLI_GOOD;
}

static const char *const version_takes[] = { "json", NULL };
static const char *const devices_takes[] = { NULL };
const cli_verb cli_version = { "version", "", "the version of gen", version_takes, 0, version };
const cli_verb cli_devices = { "devices",     "", "the devices of this machine, or why they are not there",
                               devices_takes, 0,  devices };
