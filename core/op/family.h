/* core/op/family.h: what the files of core/op share: the rules that op_list.h names, and small helpers for shape rules. */
#ifndef GEN_CORE_OP_FAMILY_H
#define GEN_CORE_OP_FAMILY_H

#include "core/graph.h"

/* Every rule that a row names, declared once per row (the same rule may serve many rows). */
#define OP(id, name, n_in, infer, grad, flags, dtype, computes)                                                        \
    gen_status infer_##infer(const gen_node *y, gen_shape *out, gen_error *err);                                       \
    void grad_##grad(gen_graph *g, gen_node *y, gen_node *dy, gen_node *dx[], const bool want[]);
#include "core/op_list.h"
#undef OP

/* The NumPy broadcast of two shapes; false when they do not fit. */
bool op_broadcast_shapes(const gen_shape *a, const gen_shape *b, gen_shape *out);

/* GEN_BAD_SHAPE unless in[i] has this rank. what: "x", "w" */
gen_status op_need_rank(const gen_node *y, int32_t i, int32_t rank, const char *what, gen_error *err);

#endif
