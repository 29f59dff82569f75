/* matmul: y[..,m,n] = sum_k a[..,m,k] b[..,k,n]; trans_a: a lies as [..,k,m]; trans_b: b lies as [..,n,k].
 * The leading axes of a and b are equal, or b has only two axes and serves them all. */
#include "kernels/cpu/ref/ref.h"

#include <string.h>

typedef struct sizes {
    int64_t batch, m, n, k;
    int64_t a_size, b_size; /* elements from one matrix to the next */
} sizes;

static sizes sizes_of(const gen_call *c)
{
    const gen_shape *a = &c->in[0].shape, *b = &c->in[1].shape, *y = &c->out[0].shape;
    sizes s = { .m = y->dim[y->rank - 2], .n = y->dim[y->rank - 1] };
    s.k = a->dim[a->rank - (c->attr->trans_a ? 2 : 1)];
    s.batch = gen_shape_count(y) / (s.m * s.n);
    s.a_size = s.m * s.k;
    s.b_size = b->rank > 2 ? s.k * s.n : 0;
    return s;
}

static void matmul_setup(const gen_call *c, cpu_work *w)
{
    sizes s = sizes_of(c);
    w->parts[0] = cpu_parts_for(s.batch * s.m, 1);
    w->thread_bytes = (size_t)s.n * sizeof(double);
}

static void product_row(const sizes *s, const gen_attr *attr, const REAL *a, const REAL *b, int64_t m, double *sum)
{
    memset(sum, 0, (size_t)s->n * sizeof *sum);
    for (int64_t k = 0; k < s->k; k++) {
        double x = (double)(attr->trans_a ? a[k * s->m + m] : a[m * s->k + k]);
        if (attr->trans_b)
            for (int64_t n = 0; n < s->n; n++) sum[n] += x * (double)b[n * s->k + k];
        else ref_add_row(sum, x, b + k * s->n, s->n);
    }
}

static void matmul_run(const gen_call *c, const cpu_job *job)
{
    sizes s = sizes_of(c);
    int64_t begin, end;
    cpu_part_range(job, s.batch * s.m, 1, &begin, &end);
    for (int64_t row = begin; row < end; row++) {
        int64_t i = row / s.m;
        product_row(&s, c->attr, ref_in(c, 0) + i * s.a_size, ref_in(c, 1) + i * s.b_size, row % s.m, job->scratch);
        ref_store_row(c, row * s.n, job->scratch, s.n);
    }
}

REF_KERNEL(matmul, matmul_setup, matmul_run)
