# Kernels written once against kernels/cpu/vec/vec.h and compiled once for each instruction set (cpu_isa.cmake).
set(CPU_VEC_SOURCES
    kernels/cpu/vec/conv_direct.c kernels/cpu/vec/conv_thin.c kernels/cpu/vec/conv_thin_weight.c kernels/cpu/vec/conv_winograd.c kernels/cpu/vec/conv_winograd_weight.c kernels/cpu/vec/conv_weight.c kernels/cpu/vec/elementwise.c
    kernels/cpu/vec/matmul.c kernels/cpu/vec/matmul_strassen.c kernels/cpu/vec/reduce.c kernels/cpu/vec/norm.c kernels/cpu/vec/peak.c
    kernels/cpu/vec/movement.c kernels/cpu/vec/resample.c kernels/cpu/vec/lookup.c kernels/cpu/vec/recurrent.c kernels/cpu/vec/random.c)
# Products of bfloat16, for one instruction set.
set(CPU_BF16_SOURCES kernels/cpu/bf16/matmul.c kernels/cpu/bf16/conv_weight.c kernels/cpu/bf16/peak.c kernels/cpu/vec/conv_direct.c kernels/cpu/vec/recurrent.c)
