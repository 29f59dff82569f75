/* Which instruction sets this processor has. Compiled without -m flags: what asks must run everywhere. */
#define _POSIX_C_SOURCE 200809L
#include "kernels/cpu/kernel.h"

#include <stdlib.h>
#include <string.h>

static const char *const names[CPU_ISA_COUNT] = { "ref", "base", "avx2", "avx512", "avx512-bf16" };

static cpu_isa machine_level(void)
{
#if defined(__GNUC__) && defined(__x86_64__)
    __builtin_cpu_init();
    bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    bool avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                  __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
    return avx2 && avx512 ? CPU_AVX512 : avx2 ? CPU_AVX2 : CPU_BASE;
#else
    return CPU_BASE;
#endif
}

/* A word that is no level caps nothing here; opening the device refuses it (device.c). */
cpu_isa cpu_isa_best(void)
{
    cpu_isa best = machine_level();
    const char *cap = getenv("GEN_CPU");
    for (cpu_isa isa = CPU_REF; cap && isa < best; isa++)
        if (!strcmp(cap, names[isa])) return isa;
    return best;
}

bool cpu_has_bf16(void)
{
#if defined(GEN_CPU_BF16)
    __builtin_cpu_init();
    return cpu_isa_best() == CPU_AVX512 && __builtin_cpu_supports("avx512bf16");
#else
    return false;
#endif
}

const char *cpu_isa_name(cpu_isa isa)
{
    return names[isa];
}
