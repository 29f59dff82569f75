# One place for compiler flags. No -march=native, no fast-math: kernels for better CPUs are compiled apart (cpu_isa.cmake) and chosen at run time.
add_library(gen_warnings INTERFACE)
target_compile_options(gen_warnings INTERFACE
    -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wno-sign-conversion -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wdouble-promotion -Wundef
    $<$<BOOL:${GEN_WERROR}>:-Werror>)

if(GEN_SANITIZE)
    add_compile_options(-fsanitize=${GEN_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
    add_link_options(-fsanitize=${GEN_SANITIZE})
endif()

# Includes are written from the root: "core/graph.h" shows the folder that a file depends on.
function(gen_target_defaults target)
    target_link_libraries(${target} PRIVATE gen_warnings)
    target_compile_options(${target} PRIVATE -fno-math-errno -fno-trapping-math)
    target_include_directories(${target} PRIVATE ${PROJECT_SOURCE_DIR})
endfunction()
