/* io/pth.h: tensors in files of PyTorch's torch.save (.pth, .pt): the zip container (since 1.6) and the older one. Nothing of the file is executed: its
 * pickle is read by a machine that knows dictionaries, tuples and tensors; every other object stays an unknown thing.
 *
 *     gen_safetensors st;
 *     if (gen_is_pth(file.data, file.size)) GEN_TRY(gen_pth_read(file.data, file.size, arena, &st, err));
 *     const gen_tensor_entry *w = gen_safetensors_find(&st, "features.0.weight");
 */
#ifndef GEN_IO_PTH_H
#define GEN_IO_PTH_H

#include "io/safetensors.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Do the bytes begin as one of the two containers do? (Any zip file, too.) */
int gen_is_pth(const void *data, size_t size);

/* The tensors of the saved object, in its order: nested dictionaries join their keys with dots, lists count. Values that are no tensors are left out.
 * Names are in the arena; data in the bytes given, or in the arena for transposed and sliced tensors and compressed entries. GEN_BAD_FILE for damage,
 * GEN_UNSUPPORTED for the tar container of 2016, big-endian files and types that gen_dtype lacks. */
gen_status gen_pth_read(const void *data, size_t size, gen_arena *arena, gen_safetensors *out, gen_error *err);

#ifdef __cplusplus
}
#endif
#endif
