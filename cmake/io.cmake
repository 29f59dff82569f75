# io: sources, the two plugins, tests and fuzz targets, by name. Included by the top CMakeLists.txt, which links png, z, cjson, threads and
# ${CMAKE_DL_LIBS} to the library and defines GEN_SAMPLES_DIR, GEN_INSTALLED_DATA_DIR and GEN_PLUGIN_DIR.
set(IO_SOURCES
    io/file.c io/folder.c io/json.c io/deflate.c io/sha256.c io/plugin.c
    io/image.c io/png.c io/apng.c io/pnm.c
    io/idx.c io/npy.c io/safetensors.c io/tfevents.c
    io/dataset.c io/dataset_load.c io/dataset_folder.c io/dataset_sources.c io/prefetch.c
    io/plot.c io/fetch.c)

set(IO_TEST_SOURCES
    tests/test_file.c tests/test_json.c tests/test_image.c tests/test_png.c tests/test_idx.c tests/test_npy.c tests/test_safetensors.c
    tests/test_tfevents.c tests/test_dataset.c tests/test_prefetch.c tests/test_plot.c tests/test_fetch.c)

# Each is tests/fuzz/<name>.c with seeds in tests/fuzz/corpus/<name>/.
set(FUZZ_TARGETS fuzz_png fuzz_idx fuzz_npy fuzz_safetensors fuzz_json fuzz_tfevents)

# Plugins are opened at run time, from the folder of the program first: they call nothing of gen and link nothing of it.
find_package(PkgConfig)
set(IO_PLUGINS "")
function(gen_add_plugin name source package)
    if(PkgConfig_FOUND)
        pkg_check_modules(${name}_DEP IMPORTED_TARGET ${package})
    endif()
    if(NOT ${name}_DEP_FOUND)
        return()
    endif()
    add_library(${name} MODULE ${source})
    gen_target_defaults(${name})
    target_include_directories(${name} PRIVATE ${CMAKE_SOURCE_DIR})
    target_link_libraries(${name} PRIVATE PkgConfig::${name}_DEP)
    set_target_properties(${name} PROPERTIES LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR})
    install(TARGETS ${name} LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}/gen)
    set(IO_PLUGINS ${IO_PLUGINS} ${name} PARENT_SCOPE)
endfunction()
gen_add_plugin(gen_plot io/plot_cairo.c cairo)
gen_add_plugin(gen_fetch io/fetch_curl.c libcurl)
