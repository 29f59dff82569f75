# One program for each reader (clang's libFuzzer): tests/fuzz/<name>.c with seeds in tests/fuzz/corpus/<name>. The test runs it for 30 s; to go on for
# longer: build/fuzz/fuzz_png -max_total_time=3600 new-inputs/ tests/fuzz/corpus/fuzz_png
set(GEN_FUZZ_SECONDS 30 CACHE STRING "how long the test of a fuzz target runs")

function(gen_add_fuzz_targets)
    foreach(name IN LISTS ARGN)
        add_executable(${name} tests/fuzz/${name}.c)
        gen_target_defaults(${name})
        target_link_libraries(${name} PRIVATE gen_static)
        target_link_options(${name} PRIVATE -fsanitize=fuzzer)
        gen_add_test(${name} COMMAND ${PROJECT_SOURCE_DIR}/tests/fuzz/run $<TARGET_FILE:${name}> ${GEN_FUZZ_SECONDS} LABELS fuzz TIMEOUT 900)
    endforeach()
endfunction()
