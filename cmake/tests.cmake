# Tests as CTest sees them: one entry for each file of gen-test, and a few about the tree and the package. A test that cannot run here exits with 77.

# Entries carry their preset's name (GEN_TEST_PREFIX), and the label "gate" when one of their labels is in GEN_GATE: `tools/check` runs those of all
# presets together.
set(GEN_TEST_PREFIX "" CACHE STRING "what the names of this build's tests begin with")
set(GEN_GATE "quick;full" CACHE STRING "labels of the tests of this build that tools/check runs")

# gen_add_test(name COMMAND … LABELS … [TIMEOUT s])
function(gen_add_test name)
    cmake_parse_arguments(PARSE_ARGV 1 test "" "TIMEOUT" "COMMAND;LABELS")
    foreach(label IN LISTS test_LABELS)
        if(label IN_LIST GEN_GATE)
            list(APPEND test_LABELS gate)
            break()
        endif()
    endforeach()
    if(NOT test_TIMEOUT)
        set(test_TIMEOUT 300)
    endif()
    set(name ${GEN_TEST_PREFIX}${name})
    add_test(NAME ${name} COMMAND ${test_COMMAND} WORKING_DIRECTORY ${PROJECT_SOURCE_DIR})
    set_tests_properties(${name} PROPERTIES LABELS "${test_LABELS}" TIMEOUT ${test_TIMEOUT} SKIP_RETURN_CODE 77
        ENVIRONMENT "UBSAN_OPTIONS=print_stacktrace=1;TSAN_OPTIONS=halt_on_error=1;LSAN_OPTIONS=print_suppressions=0:suppressions=${PROJECT_SOURCE_DIR}/tests/lsan.supp")
endfunction()

# The program gen-test from helpers, and an entry for each file that has TESTs.
function(gen_add_test_program)
    cmake_parse_arguments(PARSE_ARGV 0 of "" "" "HELPERS;QUICK;FULL;THREADS")
    add_executable(gen-test ${of_HELPERS} ${of_QUICK} ${of_FULL})
    gen_target_defaults(gen-test)
    target_compile_definitions(gen-test PRIVATE GEN_SOURCE_DIR="${PROJECT_SOURCE_DIR}" GEN_BUILD_DIR="${PROJECT_BINARY_DIR}")
    target_link_libraries(gen-test PRIVATE gen_static PkgConfig::CMOCKA)
    add_dependencies(gen-test gen) # some tests run the program
    foreach(label QUICK FULL)
        string(TOLOWER ${label} labels)
        foreach(source IN LISTS of_${label})
            get_filename_component(name ${source} NAME_WE)
            set(more "")
            if(source IN_LIST of_THREADS)
                set(more threads)
            endif()
            gen_add_test(${name} COMMAND gen-test ${name}.c LABELS ${labels} ${more} TIMEOUT 900)
        endforeach()
    endforeach()
endfunction()

# Of the tree and of the package: once, in the build that users run.
function(gen_add_tree_tests)
    if(GEN_TEST_PREFIX)
        return()
    endif()
    list(FILTER PUBLIC_HEADERS EXCLUDE REGEX _list.h$) # rows, included with a macro defined
    gen_add_test(layers COMMAND ${PROJECT_SOURCE_DIR}/tools/layers.py LABELS quick)
    gen_add_test(format COMMAND ${PROJECT_SOURCE_DIR}/tools/format --check LABELS quick)
    gen_add_test(readme COMMAND ${PROJECT_SOURCE_DIR}/tools/readme.py $<TARGET_FILE:gen> LABELS quick)
    gen_add_test(headers COMMAND ${PROJECT_SOURCE_DIR}/tests/headers/run ${PUBLIC_HEADERS} LABELS quick)
    gen_add_test(installed COMMAND ${PROJECT_SOURCE_DIR}/tests/installed/run ${PROJECT_BINARY_DIR} LABELS full)
    gen_add_test(exports COMMAND ${PROJECT_SOURCE_DIR}/tests/installed/exports $<TARGET_FILE:gen_shared> LABELS quick)
endfunction()
