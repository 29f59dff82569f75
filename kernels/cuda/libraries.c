#define _POSIX_C_SOURCE 200809L /* glob */
#include "kernels/cuda/libraries.h"

#include <dlfcn.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/rng.h"

enum { PATH_BYTES = 1024 };

/* The first of the files that a pattern stands for, opened. */
static void *open_match(const char *pattern)
{
    glob_t found = { 0 };
    void *library = NULL;
    if (!glob(pattern, 0, NULL, &found))
        for (size_t i = 0; i < found.gl_pathc && !library; i++)
            library = dlopen(found.gl_pathv[i], RTLD_NOW | RTLD_LOCAL);
    globfree(&found);
    return library;
}

static void *open_in(const char *folder, const char *below, const char *file)
{
    char pattern[PATH_BYTES];
    if (!folder || !*folder || snprintf(pattern, sizeof pattern, "%s%s/%s", folder, below, file) >= PATH_BYTES)
        return NULL;
    return open_match(pattern);
}

static void *open_library(const char *file, char *reason, size_t reason_bytes)
{
    void *library = open_in(getenv("GEN_CUDA_LIBRARIES"), "", file);
    if (!library) library = dlopen(file, RTLD_NOW | RTLD_LOCAL);
    if (!library) snprintf(reason, reason_bytes, "%s", dlerror()); /* that one names the file and what is wrong */
    if (!library) library = open_in("/usr/local/cuda/lib64", "", file);
    if (!library) library = open_in(getenv("VIRTUAL_ENV"), "/lib/python*/site-packages/nvidia/*/lib", file);
    return library;
}

/* One function of a library: where its address goes. */
typedef struct symbol {
    const char *name;
    void *to; /* a pointer to a function, filled as POSIX prescribes */
} symbol;

static gen_status load(const char *what, const char *const *files, const symbol *symbols, gen_error *err)
{
    char reason[256] = "";
    void *library = NULL;
    for (const char *const *file = files; *file && !library; file++)
        library = open_library(*file, reason, sizeof reason);
    if (!library)
        return gen_fail(err, GEN_NO_DEVICE, "%s is not here: %s; $GEN_CUDA_LIBRARIES may name its folder", what,
                        reason);
    for (const symbol *s = symbols; s->name; s++) {
        *(void **)s->to = dlsym(library, s->name);
        if (!*(void **)s->to) return gen_fail(err, GEN_NO_DEVICE, "%s has no %s: %s", what, s->name, dlerror());
    }
    return GEN_OK;
}

gen_status cuda_load_cudnn(cudnn_api *api, gen_error *err)
{
    static const char *const files[] = { "libcudnn_graph.so.9", NULL };
    const symbol symbols[] = { { "cudnnGetVersion", &api->version },
                               { "cudnnCreate", &api->create },
                               { "cudnnDestroy", &api->destroy },
                               { "cudnnSetStream", &api->set_stream },
                               { "cudnnBackendCreateDescriptor", &api->create_descriptor },
                               { "cudnnBackendDestroyDescriptor", &api->destroy_descriptor },
                               { "cudnnBackendSetAttribute", &api->set_attribute },
                               { "cudnnBackendGetAttribute", &api->get_attribute },
                               { "cudnnBackendFinalize", &api->finalize },
                               { "cudnnBackendExecute", &api->execute },
                               { NULL, NULL } };
    return load("cuDNN 9", files, symbols, err);
}

gen_status cuda_load_cublaslt(cublaslt_api *api, gen_error *err)
{
    static const char *const files[] = { "libcublasLt.so.13", "libcublasLt.so.12", NULL };
    const symbol symbols[] = { { "cublasLtCreate", &api->create },
                               { "cublasLtDestroy", &api->destroy },
                               { "cublasLtMatmulDescCreate", &api->desc_create },
                               { "cublasLtMatmulDescDestroy", &api->desc_destroy },
                               { "cublasLtMatmulDescSetAttribute", &api->desc_set },
                               { "cublasLtMatrixLayoutCreate", &api->layout_create },
                               { "cublasLtMatrixLayoutDestroy", &api->layout_destroy },
                               { "cublasLtMatrixLayoutSetAttribute", &api->layout_set },
                               { "cublasLtMatmulPreferenceCreate", &api->preference_create },
                               { "cublasLtMatmulPreferenceDestroy", &api->preference_destroy },
                               { "cublasLtMatmulPreferenceSetAttribute", &api->preference_set },
                               { "cublasLtMatmulAlgoGetHeuristic", &api->heuristic },
                               { "cublasLtMatmul", &api->matmul },
                               { NULL, NULL } };
    return load("cuBLASLt", files, symbols, err);
}

/* ---- for a device ---------------------------------------------------------------------------------------------------------- */

/* What was the fastest on GPUs of this kind, by this cuDNN. NULL: nobody wants to know. */
static cuda_choices *open_choices(size_t version, const char *kind)
{
    char key[256], file[64], path[PATH_BYTES];
    const char *wish = getenv("GEN_CUDA_TUNE");
    if (wish && !strcmp(wish, "off")) return NULL;
    snprintf(key, sizeof key, "cuDNN %zu, %s", version, kind);
    snprintf(file, sizeof file, "cudnn-%zu-%08x.txt", version, (unsigned)gen_hash_name(kind));
    return cuda_choices_open(cuda_choices_path(file, path, sizeof path) ? path : NULL, key);
}

gen_status cuda_products_open(cuda_products *products, const char *kind, char *text, size_t text_bytes, gen_error *err)
{
    gen_error why = { 0 };
    cudnn_api dnn;
    cublaslt_api blas;
    char version[32] = "without cuDNN";
    if (cuda_load_cudnn(&dnn, &why) == GEN_OK && cudnn_open(&dnn, NULL, &products->dnn, &why) == GEN_OK) {
        const size_t n = dnn.version();
        snprintf(version, sizeof version, "cuDNN %d.%d.%d", (int)(n / 10000), (int)(n / 100 % 100), (int)(n % 100));
        products->choices = open_choices(n, kind);
    }
    if (cuda_load_cublaslt(&blas, &why) == GEN_OK) (void)cublaslt_open(&blas, &products->blas, &why);
    snprintf(text, text_bytes, "%s, %scuBLASLt", version, products->blas ? "" : "without ");
    if ((products->dnn && products->blas) || products->precision == CUDA_FP32) return GEN_OK;
    cuda_products_close(products);
    return gen_fail(err, GEN_NO_DEVICE, "this precision needs cuDNN and cuBLASLt, fp32 does not: %s", why.text);
}

void cuda_products_close(cuda_products *products)
{
    cudnn_close(products->dnn);
    cublaslt_close(products->blas);
    cuda_choices_close(products->choices);
    products->choices = NULL;
    products->dnn = NULL;
    products->blas = NULL;
}

/* cuBLASLt's have two digits. */
const char *cuda_library_error_text(int status)
{
    switch (status / 1000) {
    case 1: return "cuDNN: not initialised";
    case 2: return "cuDNN: a wrong parameter";
    case 3: return "cuDNN: not supported";
    case 4: return "cuDNN: an error inside";
    case 5: return "cuDNN: it did not run";
    default: return "cuBLASLt: it refused";
    }
}
