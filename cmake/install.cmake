# `cmake --install build/release --prefix P`: P/bin/gen, the libraries with headers in P/include/gen (so <core/graph.h>), a pkg-config file and a CMake
# package, plugins in P/lib/gen (io.cmake), and data and weights that come with the source in P/share/gen.

# Every header of these folders is public, and tests/headers compiles each alone, except these: they are between files of one folder.
set(INTERNAL_HEADERS core/plan_parts.h io/dataset_load.h io/fetch_plugin.h io/plot_plugin.h io/sound_plugin.h io/synth_plugin.h models/linalg_plugin.h)
file(GLOB PUBLIC_HEADERS RELATIVE ${PROJECT_SOURCE_DIR} CONFIGURE_DEPENDS core/*.h io/*.h models/*.h kernels/*.h)
list(REMOVE_ITEM PUBLIC_HEADERS ${INTERNAL_HEADERS})

foreach(header IN LISTS PUBLIC_HEADERS)
    get_filename_component(folder ${header} DIRECTORY)
    install(FILES ${header} DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/gen/${folder})
endforeach()
foreach(kind static shared) # two sets of targets: who links the shared library needs no headers of its dependencies
    install(TARGETS gen_${kind} EXPORT gen_${kind})
    install(EXPORT gen_${kind} NAMESPACE gen:: FILE gen_${kind}.cmake DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/gen)
endforeach()
if(TARGET gen)
    install(TARGETS gen)
endif()
install(DIRECTORY samples/data/ DESTINATION ${CMAKE_INSTALL_DATADIR}/gen/data)
install(DIRECTORY samples/weights/ DESTINATION ${CMAKE_INSTALL_DATADIR}/gen/weights)

include(CMakePackageConfigHelpers)
write_basic_package_version_file(${PROJECT_BINARY_DIR}/genConfigVersion.cmake COMPATIBILITY SameMinorVersion)
file(RELATIVE_PATH PC_TO_PREFIX ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig ${CMAKE_INSTALL_PREFIX}) # so that the tree may be moved
configure_file(cmake/gen.pc.in gen.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/gen.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
install(FILES cmake/genConfig.cmake ${PROJECT_BINARY_DIR}/genConfigVersion.cmake DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/gen)
