/* tests/bench_other.h: every op but convolutions against the reference, for bench_kernels.c. */

static gen_view edge_view(gen_shape shape) /* random numbers, with the special ones first */
{
    static const float special[] = { 0,   -0.0f, 1,      -1,      INFINITY, -INFINITY, NAN, 1e-40f, 88.6f, -87.5f,
                                     -95, 3e38f, 1e-30f, 0.6249f, 0.9f,     1.1f,      25,  9000,   100 };
    gen_view v = random_view(shape);
    float *p = v.data;
    int64_t n = gen_shape_count(&shape);
    for (int64_t i = 0; i < n; i++) {
        if (i < (int64_t)(sizeof special / sizeof *special)) p[i] = special[i];
        else p[i] *= (float)exp(4 * uniform() - 2);
    }
    return v;
}

static void bench_elementwise(void)
{
    for (int op = GEN_OP_AFFINE; op < GEN_OP_CHAIN; op++) {
        const gen_op_info *info = gen_op_get((gen_op)op);
        gen_shape shape = GEN_SHAPE(3, 1111, 37), row = GEN_SHAPE(37), sample = GEN_SHAPE(3, 1, 1),
                  scalar = GEN_SHAPE(1);
        gen_attr attr = { .a = 0.3, .b = 0.9 };
        for (int variant = 0; variant < (info->n_in > 1 ? 4 : 1); variant++) {
            gen_shape second = variant == 0 ? shape : variant == 1 ? row : variant == 2 ? sample : scalar;
            gen_view in[3] = { edge_view(shape), edge_view(second), edge_view(shape) }, out[1] = { random_view(shape) };
            if (op == GEN_OP_POW) {
                float *a = in[0].data;
                for (int i = 0; i < 3 * 1111 * 37; i++) a[i] = fabsf(a[i]);
            }
            char name[64];
            snprintf(name, sizeof name, "%s %d", info->name, variant);
            gen_call call = {
                .op = (gen_op)op, .n_in = info->n_in, .n_out = 1, .in = in, .out = out, .attr = &attr, .name = name
            };
            run_against_ref(name, &call, 0, 1e-6);
            for (int i = 0; i < 3; i++) free(in[i].data);
            free(out[0].data);
        }
    }
}

/* Adam: m' = b1 m + (1 - b1) g, v' = b2 v + (1 - b2) g^2, p' = p - lr m' / (sqrt(v') + eps), e' = d e + (1 - d) p'; in place. */
static void bench_adam(int64_t n, bool in_place)
{
    gen_shape shape = GEN_SHAPE(n), one = GEN_SHAPE(1);
    gen_view in[6] = { random_view(shape), random_view(shape), random_view(shape),
                       random_view(shape), random_view(shape), random_view(one) };
    float *v = in[3].data;
    for (int64_t i = 0; i < n; i++) v[i] = fabsf(v[i]);
    gen_view out[4];
    for (int i = 0; i < 4; i++) out[i] = in_place ? in[i == 0 ? 0 : i + 1] : random_view(shape);
    gen_chain chain = { .shape = shape, .n_in = 6, .n_out = 4, .n_code = 11, .out = { 13, 7, 10, 16 } };
    const gen_chain_code code[] = {
        { GEN_OP_AFFINE, { 2, -1, -1 }, .9, 0 },    /* 6: b1 m */
        { GEN_OP_ADD, { 6, 1, -1 }, 0, 0 },         /* 7: m' (g as if scaled) */
        { GEN_OP_SQUARE, { 1, -1, -1 }, 0, 0 },     /* 8 */
        { GEN_OP_AFFINE, { 3, -1, -1 }, .999, 0 },  /* 9 */
        { GEN_OP_ADD, { 9, 8, -1 }, 0, 0 },         /* 10: v' */
        { GEN_OP_SQRT, { 10, -1, -1 }, 0, 0 },      /* 11 */
        { GEN_OP_AFFINE, { 11, -1, -1 }, 1, 1e-8 }, /* 12 */
        { GEN_OP_DIV, { 7, 12, -1 }, 0, 0 },        /* 13: replaced below */
        { GEN_OP_MUL, { 13, 5, -1 }, 0, 0 },        /* 14: lr m' / … */
        { GEN_OP_SUB, { 0, 14, -1 }, 0, 0 },        /* 15: p' */
        { GEN_OP_ADD, { 15, 4, -1 }, 0, 0 },        /* 16: ema */
    };
    memcpy(chain.code, code, sizeof code);
    chain.out[0] = 15;
    gen_attr attr = { 0 };
    gen_call call = {
        .op = GEN_OP_CHAIN, .n_in = 6, .n_out = 4, .in = in, .out = out, .attr = &attr, .chain = &chain, .name = "adam"
    };
    if (in_place) { /* runs change the inputs: only the speed counts */
        if (wanted("adam in place")) {
            bool was = failures;
            run_case("adam in place", &call, NULL, 0, 4.0 * 9 * (double)n, 1e30);
            failures = was; /* inputs change from run to run: never the same bits */
        }
    } else {
        run_against_ref("adam", &call, 0, 1e-6);
    }
    for (int i = 0; i < 6; i++) free(in[i].data);
    for (int i = 0; i < 4 && !in_place; i++) free(out[i].data);
}

static void bench_matmul(int64_t batch, int64_t m, int64_t n, int64_t k, bool ta, bool tb, gen_op act)
{
    gen_shape sa = ta ? GEN_SHAPE(batch, k, m) : GEN_SHAPE(batch, m, k),
              sb = tb ? GEN_SHAPE(batch, n, k) : GEN_SHAPE(batch, k, n);
    gen_view in[2] = { random_view(sa), random_view(sb) }, out[1] = { random_view(GEN_SHAPE(batch, m, n)) };
    gen_attr attr = { .trans_a = ta, .trans_b = tb };
    char name[64];
    snprintf(name, sizeof name, "matmul %dx%dx%dx%d%s%s", (int)batch, (int)m, (int)n, (int)k, ta ? " ta" : "",
             tb ? " tb" : "");
    gen_call call = { .op = GEN_OP_MATMUL, .n_in = 2, .n_out = 1, .in = in, .out = out, .attr = &attr, .name = name };
    call.epilogue.act = GEN_OP_COUNT;
    if (act != GEN_OP_COUNT) call.epilogue = (gen_epilogue){ random_view(GEN_SHAPE(n)), { 0 }, act, .2 };
    run_against_ref(name, &call, 2. * batch * (double)m * (double)n * (double)k, 2e-6);
    free(in[0].data), free(in[1].data), free(out[0].data);
}

static void bench_reduce(gen_shape shape, uint32_t axes, float shift)
{
    static const gen_op ops[] = { GEN_OP_SUM, GEN_OP_MAX_OF, GEN_OP_LSE };
    gen_shape to = shape;
    for (int i = 0; i < shape.rank; i++)
        if (axes >> i & 1) to.dim[i] = 1;
    gen_view in[1] = { random_view(shape) }, out[1] = { random_view(to) };
    for (int64_t i = 0; i < gen_shape_count(&shape); i++) ((float *)in[0].data)[i] += shift;
    gen_attr attr = { .axes = axes };
    for (int i = 0; i < 3; i++) {
        char name[128], *at = name;
        at += sprintf(at, "%s", gen_op_get(ops[i])->name);
        for (int d = 0; d < shape.rank; d++) at += sprintf(at, " %d%s", (int)shape.dim[d], axes >> d & 1 ? "*" : "");
        gen_call call = { .op = ops[i], .n_in = 1, .n_out = 1, .in = in, .out = out, .attr = &attr, .name = name };
        run_against_ref(name, &call, 0, 1e-6);
    }
    free(in[0].data), free(out[0].data);
}

static void bench_norm(int64_t n, int64_t pixels, int64_t channels, int groups, gen_op act)
{
    gen_shape shape = pixels > 1 ? GEN_SHAPE(n, pixels, channels) : GEN_SHAPE(n, channels), row = GEN_SHAPE(channels);
    gen_view x = random_view(shape), dy = random_view(shape), stats = random_view(GEN_SHAPE(n, 2, groups)),
             gamma = random_view(row), beta = random_view(row);
    gen_view out[1] = { random_view(shape) }, dp[1] = { random_view(GEN_SHAPE(2, channels)) };
    for (int64_t i = 0; i < gen_shape_count(&shape); i++) ((float *)x.data)[i] += 30;
    gen_attr attr = { .groups = groups, .a = 1e-5 };
    char name[96];
    snprintf(name, sizeof name, "norm %dx%dx%d/%d", (int)n, (int)pixels, (int)channels, groups);
    gen_call call = {
        .op = GEN_OP_NORM_STATS, .n_in = 1, .n_out = 1, .in = &x, .out = &stats, .attr = &attr, .name = name
    };
    run_against_ref(name, &call, 0, 1e-6);
    run_bound(&cpu_ref_norm_stats, &call, &(bound){ .work = { .n_phases = 1, .parts = { 1 } } });
    gen_view in[4] = { x, stats, gamma, beta };
    call = (gen_call){ .op = GEN_OP_NORM, .n_in = 4, .n_out = 1, .in = in, .out = out, .attr = &attr, .name = name };
    call.epilogue.act = act, call.epilogue.act_a = .2;
    run_against_ref(name, &call, 0, 2e-6);
    call.epilogue.act = GEN_OP_COUNT;
    in[3] = dy, call.op = GEN_OP_NORM_DX;
    run_against_ref(name, &call, 0, 2e-6);
    in[2] = dy, call.op = GEN_OP_NORM_DP, call.n_in = 3, call.out = dp;
    run_against_ref(name, &call, 0, 2e-5);
    free(x.data), free(dy.data), free(out[0].data), free(dp[0].data), free(stats.data);
}

static void bench_copy(const char *name, gen_op op, gen_shape from, gen_shape to, gen_attr attr)
{
    gen_view in[1] = { random_view(from) }, out[1] = { random_view(to) };
    gen_call call = { .op = op, .n_in = 1, .n_out = 1, .in = in, .out = out, .attr = &attr, .name = name };
    run_against_ref(name, &call, 0, 0);
    free(in[0].data), free(out[0].data);
}

static void bench_movement(void)
{
    bench_copy("transpose 64x56x48", GEN_OP_TRANSPOSE, GEN_SHAPE(64, 56, 48), GEN_SHAPE(64, 48, 56),
               (gen_attr){ .perm = { 0, 2, 1 } });
    bench_copy("transpose 515x1027", GEN_OP_TRANSPOSE, GEN_SHAPE(515, 1027), GEN_SHAPE(1027, 515),
               (gen_attr){ .perm = { 1, 0 } });
    bench_copy("transpose 3x5x64x9", GEN_OP_TRANSPOSE, GEN_SHAPE(3, 5, 64, 9), GEN_SHAPE(5, 9, 3, 64),
               (gen_attr){ .perm = { 1, 3, 0, 2 } });
    bench_copy("transpose heads", GEN_OP_TRANSPOSE, GEN_SHAPE(8, 64, 4, 16), GEN_SHAPE(8, 4, 64, 16),
               (gen_attr){ .perm = { 0, 2, 1, 3 } });
    bench_copy("broadcast rows", GEN_OP_BROADCAST, GEN_SHAPE(64), GEN_SHAPE(32, 49, 64), (gen_attr){ 0 });
    bench_copy("broadcast middle", GEN_OP_BROADCAST, GEN_SHAPE(32, 1, 64), GEN_SHAPE(32, 49, 64), (gen_attr){ 0 });
    bench_copy("broadcast last", GEN_OP_BROADCAST, GEN_SHAPE(32, 49, 1), GEN_SHAPE(32, 49, 64), (gen_attr){ 0 });
    bench_copy("broadcast scalar", GEN_OP_BROADCAST, GEN_SHAPE(1), GEN_SHAPE(31, 49, 7), (gen_attr){ 0 });
    gen_attr slice = { .start = { 1, 8, 2, 47 }, .step = { 1, -2, 3, -1 } };
    bench_copy("slice", GEN_OP_SLICE, GEN_SHAPE(5, 9, 20, 48), GEN_SHAPE(3, 4, 5, 40), slice);
    bench_copy("slice_t", GEN_OP_SLICE_T, GEN_SHAPE(3, 4, 5, 40), GEN_SHAPE(5, 9, 20, 48), slice);
    bench_copy("slice channels", GEN_OP_SLICE, GEN_SHAPE(8, 256, 128), GEN_SHAPE(8, 256, 64),
               (gen_attr){ .start = { 0, 0, 64 }, .step = { 1, 1, 1 } });
    for (int mode = 0; mode < 2; mode++) {
        gen_attr pad = { .mode = mode, .window = { .pad = { 3, 2, 1, 4 } } };
        bench_copy("pad", GEN_OP_PAD, GEN_SHAPE(2, 30, 31, 64), GEN_SHAPE(2, 34, 37, 64), pad);
        bench_copy("pad_t", GEN_OP_PAD_T, GEN_SHAPE(2, 34, 37, 64), GEN_SHAPE(2, 30, 31, 64), pad);
    }
    gen_view in[3] = { random_view(GEN_SHAPE(40, 9, 33)), random_view(GEN_SHAPE(40, 9, 64)),
                       random_view(GEN_SHAPE(40, 9, 1)) },
             out[1] = { random_view(GEN_SHAPE(40, 9, 98)) };
    gen_attr attr = { .axis = 2 };
    gen_call call = {
        .op = GEN_OP_CONCAT, .n_in = 3, .n_out = 1, .in = in, .out = out, .attr = &attr, .name = "concat"
    };
    run_against_ref("concat", &call, 0, 0);
    const gen_run_state state = { 12345678901234567ull, 77, 5 };
    for (int op = GEN_OP_NORMAL; op <= GEN_OP_BERNOULLI; op++)
        for (int odd = 0; odd < 2; odd++) {
            gen_view y[1] = { random_view(odd ? GEN_SHAPE(37, 131) : GEN_SHAPE(32, 28, 28, 16)) };
            gen_attr a = { .a = .3, .key = 0x123456789abcdefull };
            gen_call random = { .op = (gen_op)op, .n_out = 1, .out = y, .attr = &a, .state = &state };
            run_against_ref(gen_op_get((gen_op)op)->name, &random, 0, 0);
            free(y[0].data);
        }
}

static void bench_other(void)
{
    bench_norm(1, 64 * 32 * 32, 128, 128, GEN_OP_LEAKY);
    bench_norm(1, 32 * 28 * 28, 64, 64, GEN_OP_RELU);
    bench_norm(8, 32 * 32, 128, 32, GEN_OP_COUNT);
    bench_norm(1, 64 * 64, 256, 256, GEN_OP_RELU);
    bench_norm(3, 50, 37, 37, GEN_OP_TANH);
    bench_norm(3, 50, 36, 4, GEN_OP_SIGMOID);
    bench_norm(4, 7, 20, 1, GEN_OP_COUNT);
    bench_norm(1024, 1, 256, 1, GEN_OP_COUNT);
    bench_norm(33, 1, 21, 3, GEN_OP_COUNT);
    bench_movement();
    bench_reduce(GEN_SHAPE(32, 28, 28, 32), 7, 1);
    bench_reduce(GEN_SHAPE(32, 28, 28, 1), 15, 1);
    bench_reduce(GEN_SHAPE(32, 14, 14, 64), 7, 10);
    bench_reduce(GEN_SHAPE(64, 32, 32, 128), 7, 0);
    bench_reduce(GEN_SHAPE(64, 32, 32, 3), 7, 0);
    bench_reduce(GEN_SHAPE(8, 16, 16, 65), 6, 0);
    bench_reduce(GEN_SHAPE(512, 1000), 2, 0);
    bench_reduce(GEN_SHAPE(300, 7), 2, 0);
    bench_reduce(GEN_SHAPE(1, 5), 3, 9);
    bench_reduce(GEN_SHAPE(1 << 20), 1, 1);
    bench_elementwise();
    bench_adam(100003, false);
    bench_adam(100003, true);
    bench_adam(8 << 20, true);
    bench_matmul(1, 32, 2, 3136, false, false, GEN_OP_LEAKY);
    bench_matmul(1, 32, 3136, 2, false, false, GEN_OP_RELU);
    bench_matmul(1, 3136, 2, 32, true, false, GEN_OP_COUNT);
    bench_matmul(1, 32, 3136, 2, false, true, GEN_OP_COUNT);
    bench_matmul(1, 2, 3136, 32, true, false, GEN_OP_COUNT);
    bench_matmul(1, 32, 2, 3136, false, true, GEN_OP_COUNT);
    bench_matmul(1, 32, 1024, 464, false, false, GEN_OP_COUNT);
    bench_matmul(1, 1024, 1024, 208, false, false, GEN_OP_TANH);
    bench_matmul(1, 8192, 256, 128, false, true, GEN_OP_COUNT);
    bench_matmul(1, 464, 1024, 32, true, false, GEN_OP_COUNT);
    bench_matmul(1, 512, 512, 512, true, true, GEN_OP_COUNT);
    bench_matmul(16, 64, 64, 48, false, true, GEN_OP_COUNT);
    bench_matmul(32, 1, 33, 17, false, false, GEN_OP_COUNT);
    bench_matmul(3, 5, 7, 9, true, true, GEN_OP_SIGMOID);
    bench_matmul(1, 1, 1000, 1000, false, false, GEN_OP_COUNT);
}
