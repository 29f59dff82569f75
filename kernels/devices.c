/* The devices, as rows. The GPU's is a plugin, opened when somebody asks for it: gen itself needs no CUDA. */
#define _GNU_SOURCE /* dladdr: where this library lies */
#include "kernels/devices.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kernels/cpu/device.h"
#include "kernels/cuda/plugin.h"

enum { PATH_BYTES = 1024, MAX_GPUS = 64 };

/* How a device is to be opened. */
typedef struct request {
    int32_t index, threads;
    cuda_precision precision;
} request;

typedef struct device_row {
    const char *name;
    gen_status (*open)(const request *r, gen_device **device, gen_error *err);
    void (*describe)(char *buffer, size_t bytes); /* NULL: not shown */
} device_row;

/* ---- cpu ---- */

static gen_status check_index(const char *name, const request *r, gen_error *err)
{
    return r->index > 0 ? gen_fail(err, GEN_NO_DEVICE, "there is one %s device: '%s'", name, name) : GEN_OK;
}

static gen_status open_cpu(const request *r, gen_device **device, gen_error *err)
{
    GEN_TRY(check_index("cpu", r, err));
    if (r->precision == CUDA_TF32)
        return gen_fail(err, GEN_UNSUPPORTED, "the precisions of cpu are fp32 and bf16; tf32 is a GPU's");
    return cpu_device_open(r->precision == CUDA_BF16 ? CPU_BFLOAT16 : CPU_FLOAT, r->threads, device, err);
}

static gen_status open_cpu64(const request *r, gen_device **device, gen_error *err)
{
    GEN_TRY(check_index("cpu64", r, err));
    if (r->precision != CUDA_FP32)
        return gen_fail(err, GEN_UNSUPPORTED, "cpu64 computes in double precision; tf32 and bf16 are for others");
    return cpu_device_open(CPU_DOUBLE, r->threads, device, err);
}

/* ---- cuda: libgen_cuda.so, see kernels/cuda/plugin.h ---- */

static const char plugin_file[] = "libgen_cuda.so";

/* Cuts the file name off a path; "" when it has no folder. */
static void cut_to_folder(char *path)
{
    char *slash = strrchr(path, '/');
    path[slash ? slash - path : 0] = 0;
}

static void executable_folder(char *folder)
{
    ssize_t n = readlink("/proc/self/exe", folder, PATH_BYTES - 1);
    folder[n > 0 ? n : 0] = 0;
    cut_to_folder(folder);
}

static void library_folder(char *folder)
{
    static const char here; /* lies in the library, or in the executable that it is linked into */
    Dl_info info;
    folder[0] = 0;
    if (dladdr(&here, &info) && info.dli_fname) snprintf(folder, PATH_BYTES, "%s", info.dli_fname);
    cut_to_folder(folder);
}

static bool plugin_in(const char *folder, const char *below, char *path)
{
    int n = snprintf(path, PATH_BYTES, "%s%s/%s", folder, below, plugin_file);
    return *folder && n < PATH_BYTES && !access(path, R_OK);
}

/* $GEN_PLUGINS, then the folders of executable and library, then their lib/gen after an installation. */
static bool find_plugin(char *path)
{
    char exe[PATH_BYTES], library[PATH_BYTES];
    const char *named = getenv("GEN_PLUGINS");
    if (named && plugin_in(named, "", path)) return true;
    executable_folder(exe);
    library_folder(library);
    return plugin_in(exe, "", path) || plugin_in(library, "", path) || plugin_in(exe, "/../lib/gen", path) ||
           plugin_in(library, "/gen", path);
}

static gen_status open_cuda(const request *r, gen_device **device, gen_error *err)
{
    char path[PATH_BYTES];
    if (!find_plugin(path))
        return gen_fail(
            err, GEN_NO_DEVICE,
            "no GPU support: %s is neither in $GEN_PLUGINS nor beside the program; build it with the 'cuda' preset",
            plugin_file);
    void *plugin = dlopen(path, RTLD_NOW | RTLD_LOCAL); /* stays open: its devices live in it */
    if (!plugin) return gen_fail(err, GEN_NO_DEVICE, "%s does not load: %s", plugin_file, dlerror());
    cuda_open_fn open_device;
    *(void **)&open_device = dlsym(plugin, CUDA_OPEN_NAME); /* the cast that POSIX prescribes */
    if (!open_device)
        return gen_fail(err, GEN_NO_DEVICE, "%s has no " CUDA_OPEN_NAME ": it is not of this version", path);
    const cuda_open_request wanted = { r->index, r->precision };
    return open_device(GEN_VERSION, sizeof(gen_call), &wanted, device, err);
}

static void describe_cuda(char *buffer, size_t bytes)
{
    gen_error err = { 0 };
    gen_device *device = NULL;
    if (open_cuda(&(request){ 0 }, &device, &err)) {
        snprintf(buffer, bytes, "not here: %s", err.text);
        return;
    }
    snprintf(buffer, bytes, "%s", device->name);
    device->ops->close(device);
}

/* ---- by name ---- */

static const device_row rows[] = {
    { "cpu", open_cpu, cpu_describe },
    { "cpu64", open_cpu64, NULL },
    { "cuda", open_cuda, describe_cuda },
};
enum { N_ROWS = sizeof rows / sizeof *rows };

/* Splits "cuda:1"; -1 when what follows the colon is no number. */
static int32_t index_of(const char *name, size_t *length)
{
    *length = strcspn(name, ":");
    if (!name[*length]) return 0;
    char *end;
    long index = strtol(name + *length + 1, &end, 10);
    bool digit = name[*length + 1] >= '0' && name[*length + 1] <= '9';
    return digit && !*end && index < MAX_GPUS ? (int32_t)index : -1;
}

/* The GPU where there is one. */
static gen_status open_auto(const request *r, gen_device **device, char *note, size_t note_bytes, gen_error *err)
{
    gen_error why = { 0 };
    if (open_cuda(r, device, &why) == GEN_OK) return GEN_OK;
    if (r->precision == CUDA_TF32) return gen_fail(err, why.status, "this precision needs a GPU: %s", why.text);
    if (note) snprintf(note, note_bytes, "on the processor: %s", why.text);
    return open_cpu(r, device, err);
}

static gen_status parse_precision(const char *text, cuda_precision *precision, gen_error *err)
{
    static const char *const names[] = { [CUDA_FP32] = "fp32", [CUDA_TF32] = "tf32", [CUDA_BF16] = "bf16" };
    for (int i = 0; i < (int)(sizeof names / sizeof *names); i++)
        if (!strcmp(names[i], text)) return *precision = (cuda_precision)i, GEN_OK;
    return gen_fail(err, GEN_BAD_OPTION, "no precision is called '%s'; expected fp32, tf32 or bf16", text);
}

gen_status gen_device_open_with(const char *name, int32_t threads, const char *precision, gen_device **device,
                                char *note, size_t note_bytes, gen_error *err)
{
    request r = { .threads = threads };
    size_t length;
    if (note && note_bytes) note[0] = 0;
    GEN_TRY(parse_precision(precision, &r.precision, err));
    if (!strcmp(name, "auto")) return open_auto(&r, device, note, note_bytes, err);
    r.index = index_of(name, &length);
    for (int i = 0; i < N_ROWS && r.index >= 0; i++)
        if (strlen(rows[i].name) == length && !strncmp(rows[i].name, name, length))
            return rows[i].open(&r, device, err);
    return gen_fail(err, GEN_BAD_OPTION, "no device is called '%s'; expected auto, cpu, cpu64 or cuda[:n]", name);
}

gen_status gen_device_open(const char *name, int32_t threads, gen_device **device, gen_error *err)
{
    return gen_device_open_with(name, threads, "fp32", device, NULL, 0, err);
}

void gen_devices_describe(char *buffer, size_t bytes)
{
    size_t used = 0;
    if (bytes) buffer[0] = 0;
    for (int i = 0; i < N_ROWS && used < bytes; i++) {
        char text[512];
        if (!rows[i].describe) continue;
        rows[i].describe(text, sizeof text);
        used += (size_t)snprintf(buffer + used, bytes - used, "%-5s %s\n", rows[i].name, text);
    }
}

/* ---- one kernel of several: the CPU's ladder ---- */

int32_t gen_device_rungs(gen_device *device, const gen_call *call, const char **names, int32_t max)
{
    return cpu_device_rungs(device, call, names, max);
}

gen_status gen_device_compile_rung(gen_device *device, const gen_call *call, int32_t i, gen_exec **exec, gen_error *err)
{
    return cpu_device_compile_rung(device, call, i, exec, err);
}

gen_status gen_device_tune(gen_device *device, const char *folder, char *note, size_t note_bytes, gen_error *err)
{
    return cpu_device_tune(device, folder, note, note_bytes, err);
}
