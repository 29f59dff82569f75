# io: sources, the plugins, tests and fuzz targets, by name. Needs dependencies.cmake before it, GNUInstallDirs, and png, jpeg, z, cjson,
# threads and ${CMAKE_DL_LIBS} linked to the library; the tests use zlib themselves.
set(IO_SOURCES
    io/file.c io/folder.c io/json.c io/vocabulary.c io/deflate.c io/sha256.c io/plugin.c
    io/image.c io/png.c io/apng.c io/jpeg.c io/pnm.c
    io/idx.c io/npy.c io/safetensors.c io/pth.c io/pickle.c io/tfevents.c
    io/dataset.c io/dataset_load.c io/dataset_folder.c io/dataset_sources.c io/prefetch.c
    io/midi_read.c io/midi_write.c io/midi_score.c io/midi_names.c io/roll.c io/voices.c io/mat.c io/sound.c io/synth.c
    io/plot.c io/fetch.c)

set(IO_TEST_SOURCES
    tests/test_file.c tests/test_json.c tests/test_image.c tests/test_png.c tests/test_jpeg.c tests/test_idx.c tests/test_npy.c tests/test_safetensors.c tests/test_pth.c
    tests/test_tfevents.c tests/test_dataset.c tests/test_prefetch.c tests/test_plot.c tests/test_fetch.c
    tests/test_midi.c tests/test_midi_torture.c tests/test_roll.c tests/test_voices.c tests/test_mat.c tests/test_synth.c)

# Each is tests/fuzz/<name>.c with seeds in tests/fuzz/corpus/<name>/.
set(FUZZ_TARGETS fuzz_png fuzz_jpeg fuzz_idx fuzz_npy fuzz_safetensors fuzz_pth fuzz_json fuzz_tfevents fuzz_midi fuzz_mat)

set_source_files_properties(io/dataset.c PROPERTIES COMPILE_DEFINITIONS
    "GEN_SAMPLES_DIR=\"${CMAKE_CURRENT_SOURCE_DIR}/samples/data\";GEN_INSTALLED_DATA_DIR=\"${CMAKE_INSTALL_FULL_DATADIR}/gen/data\"")
set_source_files_properties(io/plugin.c PROPERTIES COMPILE_DEFINITIONS "GEN_PLUGIN_DIR=\"${CMAKE_INSTALL_FULL_LIBDIR}/gen\"")

# Plugins call nothing of gen and link nothing of it. They are built beside the program, where it looks first. dependencies.cmake found
# (or did not find) their libraries.
set(IO_PLUGINS "")
function(gen_add_plugin name source library)
    if(NOT ${library}_FOUND)
        return()
    endif()
    add_library(${name} MODULE ${source})
    gen_target_defaults(${name})
    target_include_directories(${name} PRIVATE ${CMAKE_CURRENT_SOURCE_DIR})
    target_link_libraries(${name} PRIVATE PkgConfig::${library})
    set_target_properties(${name} PROPERTIES LIBRARY_OUTPUT_DIRECTORY ${CMAKE_CURRENT_BINARY_DIR})
    install(TARGETS ${name} LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}/gen)
    set(IO_PLUGINS ${IO_PLUGINS} ${name} PARENT_SCOPE)
endfunction()
gen_add_plugin(gen_plot io/plot_cairo.c CAIRO)
gen_add_plugin(gen_fetch io/fetch_curl.c CURL)
gen_add_plugin(gen_synth io/synth_fluid.c FLUIDSYNTH)
gen_add_plugin(gen_sound io/sound_sndfile.c SNDFILE)
