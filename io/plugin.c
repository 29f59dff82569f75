/* Plugins. */
#define _GNU_SOURCE /* dladdr */
#include "io/plugin.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifndef GEN_PLUGIN_DIR
#define GEN_PLUGIN_DIR "/usr/local/lib/gen"
#endif

enum { MAX_PATH = 4096 };

/* Cuts the last part off a path. */
static void keep_folder(char *path)
{
    char *slash = strrchr(path, '/');
    if (slash) *slash = 0;
    else snprintf(path, MAX_PATH, ".");
}

static int program_folder(char out[MAX_PATH])
{
    ssize_t n = readlink("/proc/self/exe", out, MAX_PATH - 1);
    if (n <= 0) return 0;
    out[n] = 0;
    keep_folder(out);
    return 1;
}

static int library_folder(char out[MAX_PATH])
{
    static const char here = 0;
    Dl_info info;
    if (!dladdr(&here, &info) || !info.dli_fname || strlen(info.dli_fname) >= MAX_PATH) return 0;
    snprintf(out, MAX_PATH, "%s", info.dli_fname);
    keep_folder(out);
    return 1;
}

/* A file that is there but does not open is worth a reason; one that is not there is not. */
static void *try_folder(const char *folder, const char *below, const char *name, char *reason, size_t reason_bytes)
{
    char path[MAX_PATH + 256];
    int n = snprintf(path, sizeof path, "%s%s/lib%s.so", folder, below, name);
    if (n < 0 || (size_t)n >= sizeof path || access(path, R_OK)) return NULL;
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!library) snprintf(reason, reason_bytes, " (%s)", dlerror());
    return library;
}

static void *search(const char *name, char *reason, size_t reason_bytes)
{
    char folders[2][MAX_PATH];
    const char *chosen = getenv("GEN_PLUGINS");
    int there[2] = { program_folder(folders[0]), library_folder(folders[1]) };
    void *library = chosen && chosen[0] ? try_folder(chosen, "", name, reason, reason_bytes) : NULL;
    for (int i = 0; i < 2 && !library; i++) {
        if (!there[i]) continue;
        library = try_folder(folders[i], "", name, reason, reason_bytes);
        if (!library) library = try_folder(folders[i], "/../lib/gen", name, reason, reason_bytes);
    }
    return library ? library : try_folder(GEN_PLUGIN_DIR, "", name, reason, reason_bytes);
}

gen_status gen_plugin_open(const char *name, uint32_t version, const char *purpose, const void **out, gen_error *err)
{
    char reason[200] = "", symbol[64];
    void *library = search(name, reason, sizeof reason);
    if (!library)
        return gen_fail(
            err, GEN_NO_DEVICE,
            "%s needs lib%s.so, which was not found%s: build gen with that library installed, or set $GEN_PLUGINS",
            purpose, name, reason);
    snprintf(symbol, sizeof symbol, "%s_plugin", name);
    const uint32_t *table = dlsym(library, symbol);
    if (!table || *table != version)
        return gen_fail(
            err, GEN_NO_DEVICE,
            "%s needs lib%s.so of this build of gen, another one was found: rebuild it or change $GEN_PLUGINS", purpose,
            name);
    *out = table;
    return GEN_OK;
}
