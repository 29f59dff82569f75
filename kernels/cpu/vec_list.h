/* kernels/cpu/vec_list.h: which kernel of vec/ serves which op, included with CPU_VEC(op id, symbol) defined. Several rows of an op: the last whose
 * fits() agrees wins. The symbol exists once per instruction set: cpu_<symbol>_base, _avx2, _avx512. */
// clang-format off
CPU_VEC(CONV2D,      conv2d_direct)
CPU_VEC(CONV2D_T,    conv2d_t_direct)
CPU_VEC(CONV2D_W,    conv2d_w_direct)
// clang-format on
