# The GPU: libgen_cuda.so, opened at run time (kernels/devices.c), where there is nvcc; gen itself needs nothing of CUDA. What can be proven without a GPU
# is in gen-test (tests/cuda_emulator.c). The runtime is linked statically, so that the plugin loads where no CUDA is installed, and says so.
set(GEN_CUDA AUTO CACHE STRING "the plugin for NVIDIA GPUs: AUTO (where nvcc is found), ON (nvcc is required), OFF")
set_property(CACHE GEN_CUDA PROPERTY STRINGS AUTO ON OFF)
set(GEN_CUDA_ARCHITECTURES "90" CACHE STRING "GPUs that the plugin has code for; the target cuda-all compiles for 80, 90, 100 and 120")

set(CUDA_HOST_SOURCES # of the plugin and, without a GPU, of its tests
    kernels/cuda/device.c kernels/cuda/device_loop.c kernels/cuda/device_tune.c kernels/cuda/join.c kernels/cuda/order.c kernels/cuda/lower.c kernels/cuda/lower_items.c kernels/cuda/lower_segments.c kernels/cuda/lower_sums.c kernels/cuda/lower_products.c
    kernels/cuda/lower_conv.c kernels/cuda/cudnn.c kernels/cuda/choices.c kernels/cuda/cublaslt.c kernels/cuda/libraries.c)

# Compiles kernels/cuda/plugin.cu to `object` for the architectures, warnings and spills are errors.
function(gen_compile_cuda object architectures)
    set(code "")
    foreach(architecture IN LISTS architectures)
        list(APPEND code -gencode "arch=compute_${architecture},code=sm_${architecture}")
    endforeach()
    list(GET architectures -1 last)
    list(APPEND code -gencode "arch=compute_${last},code=compute_${last}") # for GPUs to come
    add_custom_command(OUTPUT ${object}
        COMMAND ${PROJECT_SOURCE_DIR}/cmake/compile_cuda ${object} ${GEN_NVCC} -std=c++17 -O3 ${code} -I${PROJECT_SOURCE_DIR} -Werror all-warnings -Xptxas --warn-on-spills,-Werror
                -Xcompiler -fPIC,-fvisibility=hidden,-Wall,-Wextra -MD -MF ${object}.d -c ${PROJECT_SOURCE_DIR}/kernels/cuda/plugin.cu
        DEPENDS kernels/cuda/plugin.cu cmake/compile_cuda DEPFILE ${object}.d COMMENT "Compiling GPU kernels for ${architectures}" VERBATIM)
endfunction()

# The plugin lies beside the program. nvcc is called as it is, not as a language of CMake's: that one would compile for a GPU of its own choice, and
# hand the sanitizers' flags to it.
function(gen_add_cuda_plugin)
    set(GEN_CUDA_FOUND "" PARENT_SCOPE)
    if(GEN_CUDA STREQUAL "OFF" OR GEN_SANITIZE)
        return()
    endif()
    find_program(GEN_NVCC nvcc PATHS /usr/local/cuda/bin)
    if(NOT GEN_NVCC)
        if(GEN_CUDA STREQUAL "ON")
            message(FATAL_ERROR "GEN_CUDA is ON, but nvcc is neither in PATH nor in /usr/local/cuda/bin: set GEN_NVCC to it")
        endif()
        return()
    endif()
    get_filename_component(cuda ${GEN_NVCC} REALPATH)
    get_filename_component(cuda ${cuda}/../.. ABSOLUTE)
    find_library(GEN_CUDART NAMES cudart_static PATHS ${cuda}/lib64 ${cuda}/targets/x86_64-linux/lib ${cuda}/targets/sbsa-linux/lib NO_DEFAULT_PATH)
    find_library(GEN_CUDART NAMES cudart_static)
    if(NOT GEN_CUDART)
        message(WARNING "${GEN_NVCC} is there, but no libcudart_static.a: no plugin for GPUs")
        return()
    endif()
    gen_compile_cuda(${PROJECT_BINARY_DIR}/plugin.cu.o "${GEN_CUDA_ARCHITECTURES}")
    add_library(gen_cuda MODULE ${CUDA_HOST_SOURCES} ${PROJECT_BINARY_DIR}/plugin.cu.o)
    gen_target_defaults(gen_cuda)
    set_target_properties(gen_cuda PROPERTIES LIBRARY_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR} C_VISIBILITY_PRESET hidden LINKER_LANGUAGE C)
    # what it needs of core is linked in, and hidden; the C++ runtime too, of which nvcc's code uses next to nothing
    target_link_libraries(gen_cuda PRIVATE gen_static ${GEN_CUDART} -Wl,--exclude-libs,ALL -Wl,-z,defs -Wl,-Bstatic -lstdc++ -Wl,-Bdynamic rt pthread ${CMAKE_DL_LIBS})
    install(TARGETS gen_cuda LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}/gen)
    gen_compile_cuda(${PROJECT_BINARY_DIR}/plugin-all.cu.o "80;90;100;120")
    add_custom_target(cuda-all DEPENDS ${PROJECT_BINARY_DIR}/plugin-all.cu.o)
    set(GEN_CUDA_FOUND ON PARENT_SCOPE)
endfunction()
