# One place for compiler flags. No -march=native, no fast-math: kernels for better CPUs are compiled apart (cpu_isa.cmake) and chosen at run time.
add_library(gen_warnings INTERFACE)
target_compile_options(gen_warnings INTERFACE
    -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wno-sign-conversion -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wdouble-promotion -Wundef
    $<$<BOOL:${GEN_WERROR}>:-Werror>)

function(gen_target_defaults target)
    target_link_libraries(${target} PRIVATE gen_warnings)
    target_compile_options(${target} PRIVATE -fno-math-errno -fno-trapping-math)
endfunction()
