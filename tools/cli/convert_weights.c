/* convert: what PyTorch saved becomes safetensors, tensor by tensor, with the types that they have; a trained classifier becomes a network that sees. */
#include "io/pth.h"
#include "kernels/devices.h"
#include "models/checkpoint.h"
#include "models/features.h"
#include "tools/cli/cli.h"

bool cli_is_weights(const char *from, const char *to)
{
    static const char *const kinds[] = { "pth", "pt", "bin", "ckpt" };
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (gen_path_has_extension(from, kinds[i])) return gen_path_has_extension(to, "safetensors");
    return false;
}

gen_status cli_convert_weights(cli_args *a, const char *from, const char *to, gen_error *err)
{
    gen_bytes map;
    gen_safetensors st;
    GEN_TRY(gen_file_map(from, &map, err));
    gen_status status = gen_pth_read(map.data, map.size, a->arena, &st, err);
    if (status != GEN_OK) gen_error_in_file(err, from, status);
    else status = gen_safetensors_write(to, st.tensors, st.n_tensors, NULL, 0, err);
    gen_file_unmap(&map);
    return status == GEN_OK ? cli_print_file(a, to, (int64_t)st.n_tensors, "tensors", err) : status;
}

/* ---- a classifier of gen's own ------------------------------------------------------------------------------------------------------ */

bool cli_is_classifier(const char *from, const char *to)
{
    bool is_run = gen_path_is_folder(from), is_file = gen_path_has_extension(from, "safetensors");
    return (is_run || is_file) && gen_path_has_extension(to, "safetensors");
}

/* The best checkpoint of a run; a file is what it is. */
static gen_status find_weights(cli_args *a, const char *from, char **path, gen_error *err)
{
    gen_device *device;
    gen_run *run = NULL;
    char *found;
    if (!gen_path_is_folder(from))
        return (*path = gen_arena_strdup(a->arena, from)) ? GEN_OK
                                                          : gen_fail(err, GEN_NO_MEMORY, "no memory for a name");
    GEN_TRY(gen_device_open("cpu", 1, &device, err));
    gen_status status = gen_run_open(from, device, GEN_RUN_READ, &run, err);
    if (status == GEN_OK) status = gen_checkpoint_find(run, "best-or-latest", &found, err);
    if (status == GEN_OK && !(*path = gen_arena_strdup(a->arena, found)))
        status = gen_fail(err, GEN_NO_MEMORY, "no memory for a name");
    gen_run_close(run);
    device->ops->close(device);
    return status;
}

static gen_status write_folded(cli_args *a, const gen_safetensors *st, const char *to, gen_error *err)
{
    static const gen_metadata_entry says[] = { { "network", "vgg-small" }, { "input", "RGB in [0,1]" } };
    gen_tensor_entry *tensors;
    size_t n;
    GEN_TRY(gen_features_fold(&gen_vgg_small, st, a->arena, &tensors, &n, err));
    GEN_TRY(gen_safetensors_write(to, tensors, n, says, sizeof says / sizeof *says, err));
    return cli_print_file(a, to, (int64_t)n, "tensors", err);
}

gen_status cli_convert_classifier(cli_args *a, const char *from, const char *to, gen_error *err)
{
    gen_bytes map;
    gen_safetensors st;
    char *path = NULL;
    GEN_TRY(find_weights(a, from, &path, err));
    GEN_TRY(gen_file_map(path, &map, err));
    gen_status status = gen_safetensors_read(map.data, map.size, a->arena, &st, err);
    if (status == GEN_OK) status = write_folded(a, &st, to, err);
    if (status != GEN_OK) gen_error_in_file(err, path, status);
    gen_file_unmap(&map);
    return status;
}
