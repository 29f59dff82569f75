/* kernels/cpu/vec/epilogue.h: what a product does to its result on the way to memory: y = act(y + bias[k] + residual).
 *
 * Bias, residual, RELU and LEAKY happen in registers (max(v, slope v), slope 1: none); SIGMOID and TANH in a second pass over the stored rows,
 * which are still in L1: their code would not fit into the unrolled tiles.
 */
#ifndef GEN_KERNELS_CPU_VEC_EPILOGUE_H
#define GEN_KERNELS_CPU_VEC_EPILOGUE_H

#include <stdbool.h>

#include "core/op.h"
#include "kernels/cpu/vec/micro.h"
#include "kernels/cpu/vec/vec_math.h"

typedef struct epilogue {
    const float *bias;     /* [K] or NULL */
    const float *residual; /* like y, or NULL */
    const float *y;        /* where y begins: residual of an element of y lies at the same offset */
    float slope;           /* 1: no activation, 0: RELU */
    int late;              /* GEN_OP_SIGMOID, GEN_OP_TANH or 0 */
} epilogue;

VEC_INLINE epilogue epilogue_of(const gen_call *c)
{
    const gen_epilogue *from = &c->epilogue;
    epilogue e = { from->bias.data, from->residual.data, c->out[0].data, 1.0f, 0 };
    if (from->act == GEN_OP_RELU) e.slope = 0.0f;
    if (from->act == GEN_OP_LEAKY) e.slope = (float)from->act_a;
    if (from->act == GEN_OP_SIGMOID || from->act == GEN_OP_TANH) e.late = (int)from->act;
    return e;
}

/* n consecutive elements at y, columns k .. k + n - 1, 0 < n <= VEC_W. */
VEC_INLINE void epilogue_store(const epilogue *e, vecf v, float *y, int64_t k, int n)
{
    if (n == VEC_W) {
        if (e->bias) v = v + vec_load(e->bias + k);
        if (e->residual) v = v + vec_load(e->residual + (y - e->y));
        if (e->slope != 1.0f) v = vec_max(v * vec_set(e->slope), v);
        vec_store(y, v);
        return;
    }
    if (e->bias) v = v + vec_load_n(e->bias + k, n);
    if (e->residual) v = v + vec_load_n(e->residual + (y - e->y), n);
    if (e->slope != 1.0f) v = vec_max(v * vec_set(e->slope), v);
    vec_store_n(y, v, n);
}

/* The late activations over n stored elements. */
static void epilogue_late(const epilogue *e, float *y, int64_t n)
{
    for (int64_t i = 0; i < n; i += VEC_W) {
        int left = n - i < VEC_W ? (int)(n - i) : VEC_W;
        vecf v = left == VEC_W ? vec_load(y + i) : vec_load_n(y + i, left);
        v = e->late == GEN_OP_SIGMOID ? vec_sigmoid(v) : vec_tanh(v);
        if (left == VEC_W) vec_store(y + i, v);
        else vec_store_n(y + i, v, left);
    }
}

/* Rows of a tile to memory: row i at y[i] (NULL: none), columns k .. k + n - 1 of it, n <= TILE_COLS. */
VEC_INLINE void epilogue_tile(const epilogue *e, const int rows, vecf acc[][TILE_VECS], float *const *y, int64_t k,
                              int n)
{
    if (n == TILE_COLS) {
        vecf bias[TILE_VECS], slope = vec_set(e->slope);
        VEC_UNROLL
        for (int j = 0; j < TILE_VECS; j++) bias[j] = e->bias ? vec_load(e->bias + k + j * VEC_W) : vec_set(0);
        VEC_UNROLL
        for (int i = 0; i < rows; i++) {
            if (!y[i]) continue;
            float *to = y[i] + k;
            VEC_UNROLL
            for (int j = 0; j < TILE_VECS; j++) {
                vecf v = acc[i][j] + bias[j];
                if (e->residual) v = v + vec_load(e->residual + (to - e->y) + j * VEC_W);
                if (e->slope != 1.0f) v = vec_max(v * slope, v);
                vec_store(to + j * VEC_W, v);
            }
        }
    } else {
        VEC_UNROLL
        for (int i = 0; i < rows; i++) {
            if (!y[i]) continue;
            VEC_UNROLL
            for (int j = 0; j < TILE_VECS; j++) {
                int left = n - j * VEC_W < VEC_W ? n - j * VEC_W : VEC_W;
                if (left > 0) epilogue_store(e, acc[i][j], y[i] + k + j * VEC_W, k + j * VEC_W, left);
            }
        }
    }
    if (e->late)
        for (int i = 0; i < rows; i++)
            if (y[i]) epilogue_late(e, y[i] + k, n);
}

#endif
