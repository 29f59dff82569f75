/* The weights of a run from any bytes: refused with a sentence, or loaded. Parameters live in plain memory: no kernels are needed. */
#define _GNU_SOURCE /* memfd_create: checkpoints are read by path */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "models/checkpoint.h"

static void *host_alloc(gen_device *device, size_t bytes)
{
    (void)device;
    return gen_alloc(1, bytes);
}

static void host_free(gen_device *device, void *memory)
{
    (void)device;
    gen_free(memory);
}

static gen_status host_upload(gen_device *device, void *to, const float *from, size_t count, gen_error *err)
{
    (void)device, (void)err;
    memcpy(to, from, count * sizeof *from);
    return GEN_OK;
}

static const gen_device_ops host_ops = { .alloc = host_alloc, .free = host_free, .upload = host_upload };
static gen_device host = { &host_ops, "memory", sizeof(float) };

/* The encoder of a vae of 36 pixels and four hidden units, as its parameters alone. */
static gen_run *small_run(void)
{
    static gen_run run;
    gen_error err = { 0 };
    run.arena = gen_arena_new();
    run.folder = "";
    run.height = run.width = 6;
    run.channels = 1;
    run.device = &host;
    run.params = gen_params_new(&host);
    gen_graph *g = gen_graph_new();
    if (gen_settings_start(&run.settings, gen_model_find("vae"), run.arena, &err) != GEN_OK) abort();
    if (gen_settings_set(&run.settings, "net", "mlp", &err) != GEN_OK) abort();
    if (gen_settings_set(&run.settings, "hidden", "4", &err) != GEN_OK) abort();
    if (gen_settings_set(&run.settings, "latent", "2", &err) != GEN_OK) abort();
    gen_model_context m = gen_run_context(&run, 2);
    run.settings.model->encode(g, &m);
    if (gen_params_add(run.params, g, 1, &err) != GEN_OK) abort();
    gen_graph_free(g);
    return &run;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static gen_run *run;
    static int file = -1;
    char path[32];
    gen_error err = { 0 };
    if (!run) {
        run = small_run();
        file = memfd_create("checkpoint", 0);
    }
    if (ftruncate(file, 0) || pwrite(file, data, size, 0) != (ssize_t)size) abort();
    snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    gen_status status = gen_checkpoint_load_file(run, path, &err);
    if ((status == GEN_OK) != (err.status == GEN_OK)) abort();
    return 0;
}
