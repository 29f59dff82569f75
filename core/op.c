/* The op table, made from op_list.h, and shapes. */
#include "core/op.h"

#include <stdio.h>

#include "core/op/family.h"

static const gen_op_info op_table[] = {
#define OP(id, op_name, n, infer_rule, grad_rule, op_flags, op_dtype, text)                                            \
    { .name = #op_name,                                                                                                \
      .computes = text,                                                                                                \
      .n_in = n,                                                                                                       \
      .flags = op_flags,                                                                                               \
      .dtype = GEN_##op_dtype,                                                                                         \
      .infer = infer_##infer_rule,                                                                                     \
      .grad = grad_##grad_rule },
#include "core/op_list.h"
#undef OP
};

const gen_op_info *gen_op_get(gen_op op)
{
    return &op_table[op];
}

int64_t gen_window_out(const gen_window *window, int axis, int64_t n)
{
    int64_t reach = (int64_t)window->dilation[axis] * (window->kernel[axis] - 1) + 1;
    int64_t room = n + window->pad[axis] + window->pad[axis + 2] - reach;
    return room < 0 ? 0 : room / window->stride[axis] + 1;
}

gen_shape gen_shape_of(int32_t rank, const int64_t *dim)
{
    gen_shape shape = { .rank = rank };
    for (int32_t i = 0; i < rank && i < GEN_MAX_RANK; i++) shape.dim[i] = dim[i];
    return shape;
}

int64_t gen_shape_count(const gen_shape *shape)
{
    int64_t count = 1;
    for (int32_t i = 0; i < shape->rank; i++) count *= shape->dim[i];
    return count;
}

bool gen_shape_equal(const gen_shape *a, const gen_shape *b)
{
    if (a->rank != b->rank) return false;
    for (int32_t i = 0; i < a->rank; i++)
        if (a->dim[i] != b->dim[i]) return false;
    return true;
}

const char *gen_shape_text(const gen_shape *shape, char *buffer, size_t bytes)
{
    size_t used = (size_t)snprintf(buffer, bytes, "[");
    for (int32_t i = 0; i < shape->rank && used < bytes; i++)
        used += (size_t)snprintf(buffer + used, bytes - used, "%s%lld", i ? "," : "", (long long)shape->dim[i]);
    if (used < bytes) snprintf(buffer + used, bytes - used, "]");
    return buffer;
}
