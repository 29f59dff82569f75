# CPU kernels. The references (kernels/cpu/ref) are compiled twice, for float and for double. The bodies of kernels/cpu/vec are compiled once for each
# instruction set and chosen at run time (kernels/cpu/table.c): only they get -m flags, and never LTO, which would carry such code into the rest.
set(CPU_REF_SOURCES
    kernels/cpu/ref/elementwise.c kernels/cpu/ref/matmul.c kernels/cpu/ref/conv.c kernels/cpu/ref/resample.c
    kernels/cpu/ref/reduce.c kernels/cpu/ref/norm.c kernels/cpu/ref/movement.c kernels/cpu/ref/random.c kernels/cpu/ref/recurrent.c)
include(cmake/cpu_vec.cmake OPTIONAL) # sets CPU_VEC_SOURCES, CPU_BF16_SOURCES
include(CheckCCompilerFlag)

set(CPU_FLAGS_base -msse2)
set(CPU_FLAGS_avx2 ${CPU_FLAGS_base} -mavx2 -mfma -mprfchw)
set(CPU_FLAGS_avx512 ${CPU_FLAGS_avx2} -mavx512f -mavx512bw -mavx512dq -mavx512vl -mprefer-vector-width=512)

# An object library of kernels whose objects end up in whatever links to target.
function(gen_add_kernel_objects target name)
    add_library(${name} OBJECT ${ARGN})
    gen_target_defaults(${name})
    target_include_directories(${name} PRIVATE ${CMAKE_CURRENT_SOURCE_DIR})
    set_target_properties(${name} PROPERTIES INTERPROCEDURAL_OPTIMIZATION OFF)
    target_compile_options(${name} PRIVATE -fno-lto)
    target_sources(${target} INTERFACE $<TARGET_OBJECTS:${name}>)
endfunction()

# Sanitizers make big unrolled functions bigger: -O3 would then take minutes a file.
set(CPU_VEC_OPTIMISE -O3)
if(GEN_SANITIZE)
    set(CPU_VEC_OPTIMISE -O1 -fno-var-tracking)
endif()

function(gen_add_cpu_kernels target)
    foreach(real float double) # optimised in every preset: the tests compare everything with them
        gen_add_kernel_objects(${target} gen_cpu_ref_${real} ${CPU_REF_SOURCES})
        target_compile_definitions(gen_cpu_ref_${real} PRIVATE REAL=${real})
        target_compile_options(gen_cpu_ref_${real} PRIVATE -O2)
    endforeach()
    if(NOT CPU_VEC_SOURCES OR NOT CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
        return()
    endif()
    target_compile_definitions(${target} PRIVATE GEN_CPU_VEC=1)
    set(level 0)
    foreach(isa base avx2 avx512)
        math(EXPR level "${level} + 1")
        gen_add_kernel_objects(${target} gen_cpu_${isa} ${CPU_VEC_SOURCES})
        target_compile_definitions(gen_cpu_${isa} PRIVATE VEC_ISA=${level})
        target_compile_options(gen_cpu_${isa} PRIVATE ${CPU_VEC_OPTIMISE} -ffp-contract=fast ${CPU_FLAGS_${isa}})
    endforeach()
    check_c_compiler_flag(-mavx512bf16 GEN_HAS_MAVX512BF16)
    if(GEN_HAS_MAVX512BF16)
        target_compile_definitions(${target} PRIVATE GEN_CPU_BF16=1)
        gen_add_kernel_objects(${target} gen_cpu_bf16 ${CPU_BF16_SOURCES})
        target_compile_definitions(gen_cpu_bf16 PRIVATE VEC_ISA=3 VEC_BF16=1)
        target_compile_options(gen_cpu_bf16 PRIVATE ${CPU_VEC_OPTIMISE} -ffp-contract=fast ${CPU_FLAGS_avx512} -mavx512bf16)
    endif()
endfunction()
