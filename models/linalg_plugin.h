/* models/linalg_plugin.h: what models/linalg.c asks of the plugin libgen_linalg.so (models/linalg_lapack.c). The plugin calls nothing of gen. */
#ifndef GEN_MODELS_LINALG_PLUGIN_H
#define GEN_MODELS_LINALG_PLUGIN_H

#include <stdint.h>

enum { GEN_LINALG_PLUGIN_VERSION = 1 };

typedef struct gen_linalg_plugin_table {
    uint32_t version;
    /* One triangle of c[n,n] += x[rows,n]^T x */
    void (*gram)(const double *x, int32_t rows, int32_t n, double *c);
    /* a[n,n], of which gram's triangle is read and which is destroyed -> the k largest eigenvalues, rising, and their vectors [k,n]. 0: good; -1: no
     * memory; above 0: it did not converge. */
    int (*eigen)(double *a, int32_t n, int32_t k, double *values, double *vectors);
} gen_linalg_plugin_table;

#endif
