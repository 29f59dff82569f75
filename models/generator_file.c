#include "models/generator_file.h"

#include <stdio.h>
#include <string.h>

#include "io/safetensors.h"
#include "models/checkpoint.h"

enum { NAME_BYTES = 64 };

/* A tensor by prefix and name; NULL: there is none with so many axes. */
static const gen_tensor_entry *find(const gen_safetensors *st, const char *prefix, const char *name, int32_t n_dims)
{
    char full[NAME_BYTES];
    snprintf(full, sizeof full, "%s%s", prefix, name);
    const gen_tensor_entry *t = gen_safetensors_find(st, full);
    return t && t->n_dims == n_dims ? t : NULL;
}

static gen_status set_number(gen_run *run, const char *option, int64_t value, gen_error *err)
{
    char text[24];
    snprintf(text, sizeof text, "%lld", (long long)value);
    return gen_settings_set(&run->settings, option, text, err);
}

/* first[ngf,C,7,7] is the first layer; each block adds "model.<10 + i>.conv_block.1" and ".5"; then comes what doubles the size. */
static gen_status read_resnet(gen_run *run, const gen_safetensors *st, const char *prefix,
                              const gen_tensor_entry *first, gen_error *err)
{
    char name[NAME_BYTES];
    int64_t blocks = 0;
    for (bool more = true; more; blocks += more) {
        snprintf(name, sizeof name, "model.%d.conv_block.1.weight", 10 + (int)blocks);
        more = blocks < 64 && find(st, prefix, name, 4);
    }
    if (find(st, prefix, "model.10.conv_block.6.weight", 4))
        return gen_fail(err, GEN_UNSUPPORTED,
                        "a generator with dropout: its second layer of a block is conv_block.6, expected conv_block.5");
    if (find(st, prefix, "model.2.weight", 1))
        return gen_fail(
            err, GEN_UNSUPPORTED,
            "a generator with norms that have weights (model.2.weight): only instance norm without is known");
    snprintf(name, sizeof name, "model.%d.weight", 10 + (int)blocks);
    const gen_tensor_entry *grow = find(st, prefix, name, 4);
    if (!grow) return gen_fail(err, GEN_BAD_FILE, "after %d blocks there is no %s", (int)blocks, name);
    run->channels = first->dims[1];
    GEN_TRY(gen_settings_set(&run->settings, "net", "resnet", err));
    GEN_TRY(gen_settings_set(&run->settings, "up", grow->dims[0] < grow->dims[1] ? "nearest" : "conv-transpose", err));
    GEN_TRY(set_number(run, "blocks", blocks, err));
    return set_number(run, "ngf", first->dims[0], err);
}

static gen_status read_unet(gen_run *run, const gen_tensor_entry *first, gen_error *err)
{
    run->channels = first->dims[1];
    GEN_TRY(gen_settings_set(&run->settings, "net", "unet", err));
    return set_number(run, "ngf", first->dims[0], err);
}

static gen_status recognise(gen_run *run, const gen_safetensors *st, bool *alone, gen_error *err)
{
    static const char *const prefixes[] = { "", "g_ab." };
    for (int i = 0; i < 2; i++) {
        const gen_tensor_entry *resnet = find(st, prefixes[i], "model.1.weight", 4),
                               *unet = find(st, prefixes[i], "down1.weight", 4);
        *alone = i == 0;
        if (resnet) return read_resnet(run, st, prefixes[i], resnet, err);
        if (unet) return read_unet(run, unet, err);
    }
    return gen_fail(err, GEN_UNSUPPORTED,
                    "no network that is known: expected the tensors of a CycleGAN generator, model.1.weight …, or "
                    "a run's folder instead of a file");
}

static gen_status open_map(gen_run *run, const gen_bytes *map, bool *alone, gen_error *err)
{
    gen_safetensors st;
    if (map->size >= 4 && !memcmp(map->data, "PK\3\4", 4))
        return gen_fail(err, GEN_UNSUPPORTED,
                        "a file of torch.save; make it one of safetensors: python -c \"import torch, safetensors.torch "
                        "as s; s.save_file(torch.load('x.pth', 'cpu'), 'x.safetensors')\"");
    GEN_TRY(gen_safetensors_read(map->data, map->size, run->arena, &st, err));
    return recognise(run, &st, alone, err);
}

gen_status gen_generator_file_open(const char *path, gen_device *device, gen_run **out, bool *alone, gen_error *err)
{
    gen_bytes map;
    gen_run *run;
    GEN_TRY(gen_file_map(path, &map, err));
    gen_status status = gen_run_in_memory(gen_model_find("cyclegan"), device, &run, err);
    if (status == GEN_OK) {
        status = open_map(run, &map, alone, err);
        if (status == GEN_OK) *out = run;
        else gen_run_close(run);
    }
    if (status != GEN_OK) gen_error_in_file(err, path, status);
    gen_file_unmap(&map);
    return status;
}

gen_status gen_generator_file_load(gen_run *run, const char *path, bool alone, gen_error *err)
{
    if (!alone) return gen_checkpoint_load_file(run, path, err);
    return gen_checkpoint_load_part(run, path, run->direction ? "g_ba." : "g_ab.", err);
}
