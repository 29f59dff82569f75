/* tests/bench_other.h: every op but convolutions, for bench_kernels.c. */

static void bench_other(void) {}
