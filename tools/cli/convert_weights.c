/* convert: what PyTorch saved becomes safetensors, tensor by tensor, with the types that they have. */
#include "io/pth.h"
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
