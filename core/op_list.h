/* core/op_list.h: THE list of ops, included several times with different meanings of OP. One row each:
 *
 *   OP(id, name, n_in, infer, grad, flags, dtype, computes)
 *
 * infer_<infer> is the shape rule, grad_<grad> adds the nodes of the gradient, ref_<name> (kernels/cpu/ref) is the definition of right; the linker
 * refuses a row without them. n_in = -1: any number. The gradients are made of ops of this list, so gradients of gradients cost nothing.
 * dtype: what the result holds (F32 everywhere: labels and token numbers are whole floats).
 */
// clang-format off

/* sources and sinks */
OP(INPUT,       input,        0, fixed,      none,        OP_SOURCE,            F32, "fed before each run")
OP(PARAM,       param,        0, fixed,      none,        OP_SOURCE,            F32, "a stored tensor, as it was before the step")
OP(CONST,       const,        0, fixed,      none,        OP_SOURCE,            F32, "y = constant data, or one number everywhere")
OP(ASSIGN,      assign,       2, assign,     none,        OP_SINK,              F32, "param in[0] becomes in[1] after the step's reads")
OP(STOP,        stop,         1, same,       none,        OP_VIEW,              F32, "y = x, and no gradient passes")

/* elementwise, one input */
OP(AFFINE,      affine,       1, same,       affine,      OP_ELEMENTWISE,       F32, "y = a x + b")
OP(ABS,         abs,          1, same,       abs,         OP_ELEMENTWISE,       F32, "y = |x|")
OP(SIGN,        sign,         1, same,       zero,        OP_ELEMENTWISE,       F32, "y = -1, 0 or 1")
OP(STEP,        step,         1, same,       zero,        OP_ELEMENTWISE,       F32, "y = x > 0 ? 1 : 0")
OP(SQUARE,      square,       1, same,       square,      OP_ELEMENTWISE,       F32, "y = x^2")
OP(SQRT,        sqrt,         1, same,       sqrt,        OP_ELEMENTWISE,       F32, "y = sqrt(x)")
OP(RSQRT,       rsqrt,        1, same,       rsqrt,       OP_ELEMENTWISE,       F32, "y = 1 / sqrt(x)")
OP(EXP,         exp,          1, same,       exp,         OP_ELEMENTWISE,       F32, "y = e^x")
OP(LOG,         log,          1, same,       log,         OP_ELEMENTWISE,       F32, "y = ln x")
OP(SIN,         sin,          1, same,       sin,         OP_ELEMENTWISE,       F32, "y = sin x")
OP(COS,         cos,          1, same,       cos,         OP_ELEMENTWISE,       F32, "y = cos x")
OP(TANH,        tanh,         1, same,       tanh,        OP_ELEMENTWISE,       F32, "y = tanh x")
OP(SIGMOID,     sigmoid,      1, same,       sigmoid,     OP_ELEMENTWISE,       F32, "y = 1 / (1 + e^-x)")
OP(SOFTPLUS,    softplus,     1, same,       softplus,    OP_ELEMENTWISE,       F32, "y = ln(1 + e^x), as max(x,0) + ln(1 + e^-|x|)")
OP(ERF,         erf,          1, same,       erf,         OP_ELEMENTWISE,       F32, "y = 2/sqrt(pi) int_0^x e^-t^2 dt")
OP(RELU,        relu,         1, same,       relu,        OP_ELEMENTWISE,       F32, "y = max(x, 0)")
OP(LEAKY,       leaky,        1, same,       leaky,       OP_ELEMENTWISE,       F32, "y = x > 0 ? x : a x, 0 <= a < 1")
OP(CLAMP,       clamp,        1, same,       clamp,       OP_ELEMENTWISE,       F32, "y = min(max(x, a), b)")
OP(FLOOR,       floor,        1, same,       zero,        OP_ELEMENTWISE,       F32, "y = largest whole number <= x")

/* elementwise, more inputs; shapes broadcast as NumPy's */
OP(ADD,         add,          2, broadcast,  add,         OP_ELEMENTWISE,       F32, "y = a + b")
OP(SUB,         sub,          2, broadcast,  sub,         OP_ELEMENTWISE,       F32, "y = a - b")
OP(MUL,         mul,          2, broadcast,  mul,         OP_ELEMENTWISE,       F32, "y = a b")
OP(DIV,         div,          2, broadcast,  div,         OP_ELEMENTWISE,       F32, "y = a / b")
OP(POW,         pow,          2, broadcast,  pow,         OP_ELEMENTWISE,       F32, "y = a^b, a >= 0")
OP(MIN,         min,          2, broadcast,  min,         OP_ELEMENTWISE,       F32, "y = min(a, b)")
OP(MAX,         max,          2, broadcast,  max,         OP_ELEMENTWISE,       F32, "y = max(a, b)")
OP(LESS,        less,         2, broadcast,  zero,        OP_ELEMENTWISE,       F32, "y = a < b ? 1 : 0")
OP(EQUAL,       equal,        2, broadcast,  zero,        OP_ELEMENTWISE,       F32, "y = a == b ? 1 : 0")
OP(SELECT,      select,       3, broadcast,  select,      OP_ELEMENTWISE,       F32, "y = c != 0 ? a : b")
OP(CHAIN,       chain,       -1, fixed,      none,        OP_PLAN,              F32, "several elementwise ops in one pass (made by the plan)")

/* products */
OP(MATMUL,      matmul,       2, matmul,     matmul,      0,                    F32, "y[..,m,n] = sum_k a[..,m,k] b[..,k,n], either transposed")
OP(CONV2D,      conv2d,       2, conv2d,     conv2d,      0,                    F32, "y[n,p,q,k] = sum_{r,s,c} x[n, p u + r d - pad, q u + s d - pad, c] w[r,s,c,k]")
OP(CONV2D_T,    conv2d_t,     2, conv2d_t,   conv2d_t,    0,                    F32, "adjoint of conv2d in x (transposed convolution)")
OP(CONV2D_W,    conv2d_w,     2, conv2d_w,   conv2d_w,    0,                    F32, "adjoint of conv2d in w")

/* whole sequences: [T,N,..], T steps of time */
OP(LSTM,        lstm,         4, lstm,       lstm,        0,                    F32, "y[6,T,N,H]: gates i f g o as [T,N,4,H], planes c h; in: xg[T,N,4H] w[H,4H] h0 c0[N,H]")
OP(LSTM_DX,     lstm_dx,      4, lstm_dx,    none,        0,                    F32, "y[T+1,N,4H]: gradient in xg; row T: that in c0, zeros; in: y w c0 dy[P,T,N,H] of P planes")
OP(GRU,         gru,          4, gru,        gru,         0,                    F32, "y[5,T,N,H]: gates r z n q as [T,N,4,H], plane h; in: xg[T,N,3H] w[H,3H] b[3H] h0[N,H]")
OP(GRU_DX,      gru_dx,       4, gru_dx,     none,        0,                    F32, "y[T+1,N,4H]: gradient before r z n q; row T: that in h0, zeros; in: y w h0 dy[P,T,N,H] of P planes")
/* resampling on [N,H,W,C] */
OP(SUM_POOL,    sum_pool,     1, pool,       sum_pool,    0,                    F32, "y[n,p,q,c] = sum over the window of x")
OP(SUM_POOL_T,  sum_pool_t,   1, pool_t,     sum_pool_t,  0,                    F32, "adjoint of sum_pool; with kernel = stride: nearest upsampling")
OP(MAX_PICK,    max_pick,     2, pool,       max_pick,    0,                    F32, "y = v at the first place of the window where x is largest; v = x: max pooling")
OP(MAX_PICK_T,  max_pick_t,   2, max_pick_t, max_pick_t,  0,                    F32, "adjoint of max_pick in v")
OP(RESIZE,      resize,       1, resize,     resize,      0,                    F32, "bilinear, half-pixel centres (align_corners = false)")
OP(RESIZE_T,    resize_t,     1, resize,     resize_t,    0,                    F32, "adjoint of resize")

/* reductions over a set of axes, which stay with size 1 */
OP(SUM,         sum,          1, reduce,     sum,         0,                    F32, "y = sum of x over the axes")
OP(MAX_OF,      max_of,       1, reduce,     max_of,      0,                    F32, "y = largest x over the axes")
OP(LSE,         lse,          1, reduce,     lse,         0,                    F32, "y = ln sum e^x over the axes, shifted by the largest x")
OP(SUM_SQUARES, sum_squares, -1, sum_squares, sum_squares, 0,                  F32, "y = sum of the squares of all elements of all inputs, one number")
OP(ARGMAX,      argmax,       1, argmax,     zero,        0,                    F32, "index of the first largest x of the last axis")

/* normalisation of x[N,..,C] in G groups of C/G neighbouring channels */
OP(NORM_STATS,  norm_stats,   1, norm_stats, norm_stats,  0,                    F32, "y[n,0,g] = mean, y[n,1,g] = 1/sqrt(var + eps) of group g of sample n")
OP(NORM,        norm,         4, norm,       norm,        0,                    F32, "y = (x - mean) rstd gamma[c] + beta[c]; in: x stats gamma beta")
OP(NORM_DX,     norm_dx,      4, norm_dx,    norm_dx,     0,                    F32, "gradient of norm in x, statistics included; in: x stats gamma dy")
OP(NORM_DP,     norm_dp,      3, norm_dp,    norm_dp,     0,                    F32, "y[0,c] = sum dy (x - mean) rstd, y[1,c] = sum dy; in: x stats dy")

/* movement */
OP(RESHAPE,     reshape,      1, reshape,    reshape,     OP_VIEW,              F32, "the same numbers in another shape")
OP(TRANSPOSE,   transpose,    1, transpose,  transpose,   0,                    F32, "y's axis i is x's axis perm[i]")
OP(BROADCAST,   broadcast,    1, expand,     broadcast,   0,                    F32, "axes of size 1 repeated to a shape")
OP(SLICE,       slice,        1, slice,      slice,       0,                    F32, "y[i] = x[start + i step] on each axis; step may be negative")
OP(SLICE_T,     slice_t,      1, slice_t,    slice_t,     0,                    F32, "adjoint of slice: x in a field of zeros (zero padding)")
OP(PAD,         pad,          1, pad,        pad,         0,                    F32, "reflect or replicate padding of H and W of x[N,H,W,C]")
OP(PAD_T,       pad_t,        1, pad_t,      pad_t,       0,                    F32, "adjoint of pad")
OP(CONCAT,      concat,      -1, concat,     concat,      0,                    F32, "inputs one after the other along an axis")
OP(GATHER,      gather,       2, gather,     gather,      0,                    F32, "y[..,d] = table[index[..], d]: embedding; in: table index")
OP(SCATTER_ADD, scatter_add,  2, scatter_add, scatter_add, 0,                   F32, "adjoint of gather in the table; in: index dy")
OP(ONE_HOT,     one_hot,      1, one_hot,    zero,        0,                    F32, "y[..,v] = x[..] == v")

/* random numbers: functions of (seed, node key, step, first sample + n, element), see core/rng.h */
OP(NORMAL,      normal,       0, fixed,      none,        OP_RANDOM,            F32, "y ~ N(0, 1)")
OP(UNIFORM,     uniform,      0, fixed,      none,        OP_RANDOM,            F32, "y ~ U[0, 1)")
OP(BERNOULLI,   bernoulli,    0, fixed,      none,        OP_RANDOM,            F32, "y = 1 with probability a, else 0")
// clang-format on
