# The library targets: rapt::rapt; rapt::io, rapt::text, rapt::images and rapt::mpi where their dependencies are found;
# rapt::pretrained where there is rapt::io, and rapt::pipelines where there is rapt::text, too; rapt::onnx. They carry
# include paths, dependencies and what these need to be defined, and no flags but one that g++ for Windows needs.
# rapt::precompiled, on request, is rapt::rapt with what is heavy compiled already. Targets that the build has already stay as they are; rapt_new_targets
# lists the others.

option(RAPT_BUILD_PRECOMPILED "Build rapt::precompiled, a static library of rapt's templates for float and double" OFF)

if(NOT TARGET Eigen3::Eigen)
  find_package(Eigen3 REQUIRED NO_MODULE GLOBAL)  # no version here: Eigen 5 calls itself incompatible with a request for 3.4
endif()
if(Eigen3_VERSION AND Eigen3_VERSION VERSION_LESS 3.4)
  message(FATAL_ERROR "rapt needs Eigen 3.4 or newer, found ${Eigen3_VERSION}")
endif()
if(NOT TARGET Threads::Threads)
  find_package(Threads REQUIRED GLOBAL)
endif()

# rapt_find(<option> <package> <target>...): finds the packages (one for each target) unless the option is OFF or the
# library is there; sets <option>_FOUND.
function(rapt_find option)
  string(REPLACE "RAPT_" "rapt::" library "${option}")
  string(TOLOWER "${library}" library)
  if(TARGET ${library})
    set(${option}_FOUND TRUE PARENT_SCOPE)
    return()
  endif()
  set(wanted "${${option}}")
  set(found FALSE)
  set(MPI_components COMPONENTS CXX)  # and not of all the languages that the build has
  set(needed "${ARGN}")
  if(wanted)  # ON or AUTO
    set(found TRUE)
    while(needed)
      list(POP_FRONT needed package target)
      set(is_there TRUE)
      # CMake's FindMPI makes MPI::MPI_CXX to try it, so that the target may be there where MPI is not.
      if(NOT TARGET ${target} OR (package STREQUAL "MPI" AND NOT MPI_CXX_FOUND))
        if(wanted STREQUAL "AUTO")
          find_package(${package} QUIET GLOBAL ${${package}_components})
        else()
          find_package(${package} REQUIRED GLOBAL ${${package}_components})
        endif()
        set(is_there "${${package}_FOUND}")
      endif()
      if(NOT is_there OR NOT TARGET ${target})
        set(found FALSE)
        break()
      endif()
    endwhile()
  else()
    list(GET needed 0 package)
  endif()
  if(found)
    message(STATUS "${library}: yes")
  else()
    message(STATUS "${library}: no (it needs ${package}; ${option} is ${wanted})")
  endif()
  set(${option}_FOUND ${found} PARENT_SCOPE)
endfunction()

list(APPEND CMAKE_MODULE_PATH "${PROJECT_SOURCE_DIR}/cmake")
rapt_find(RAPT_IO nlohmann_json nlohmann_json::nlohmann_json)
rapt_find(RAPT_TEXT Utf8proc Utf8proc::Utf8proc Pcre2 Pcre2::Pcre2)
rapt_find(RAPT_IMAGES ZLIB ZLIB::ZLIB PNG PNG::PNG)
rapt_find(RAPT_MPI MPI MPI::MPI_CXX)

include("${PROJECT_SOURCE_DIR}/cmake/RaptHeaders.cmake")
set(include_dir "${rapt_source_dir}/include")
rapt_sort_headers("${include_dir}")
set(rapt_new_targets "")

# rapt_library(<target> <name in rapt::> <headers> <what it links>...)
function(rapt_library target name headers)
  if(TARGET rapt::${name})
    return()
  endif()
  list(APPEND rapt_new_targets ${target})
  set(rapt_new_targets "${rapt_new_targets}" PARENT_SCOPE)
  add_library(${target} INTERFACE)
  add_library(rapt::${name} ALIAS ${target})
  target_sources(${target} INTERFACE FILE_SET HEADERS BASE_DIRS "${include_dir}" FILES ${headers})
  target_compile_features(${target} INTERFACE cxx_std_20)
  target_link_libraries(${target} INTERFACE ${ARGN})
  # all_verify_interface_header_sets compiles every header alone.
  set_target_properties(${target} PROPERTIES EXPORT_NAME ${name} VERIFY_INTERFACE_HEADER_SETS ${PROJECT_IS_TOP_LEVEL})
endfunction()

rapt_library(rapt rapt "${core_headers}" Eigen3::Eigen Threads::Threads)
# For whoever asks for rapt a second time: RaptPresent.cmake and rapt-config.cmake.
set_target_properties(rapt PROPERTIES RAPT_VERSION ${rapt_version} EXPORT_PROPERTIES RAPT_VERSION)
# g++ for Windows keeps vectors of 32 and 64 bytes on a stack that is aligned to 16 and moves them by instructions that
# demand their own alignment (GCC's bug 54412). The assembler, of binutils 2.38 or newer, replaces these instructions;
# the definition tells rapt that AVX2 and AVX-512 are safe.
if(WIN32 AND "rapt" IN_LIST rapt_new_targets)
  target_compile_options(rapt INTERFACE
    "$<$<COMPILE_LANG_AND_ID:CXX,GNU>:-Wa,-muse-unaligned-vector-move;-DRAPT_UNALIGNED_VECTOR_MOVES>")
endif()
rapt_library(rapt_onnx onnx "${onnx_headers}" rapt)
if(RAPT_TEXT_FOUND)
  rapt_library(rapt_text text "${text_headers}" rapt Utf8proc::Utf8proc Pcre2::Pcre2)
endif()
if(RAPT_IMAGES_FOUND)
  rapt_library(rapt_images images "${images_headers}" rapt PNG::PNG ZLIB::ZLIB)
endif()
if(RAPT_MPI_FOUND)
  rapt_library(rapt_mpi mpi "${mpi_headers}" rapt MPI::MPI_CXX)
  if("rapt_mpi" IN_LIST rapt_new_targets)  # without the C++ bindings that MPI has given up
    target_compile_definitions(rapt_mpi INTERFACE OMPI_SKIP_MPICXX MPICH_SKIP_MPICXX)
  endif()
endif()
if(RAPT_IO_FOUND)
  rapt_library(rapt_io io "${io_headers}" rapt nlohmann_json::nlohmann_json)
  # Tokenizer files need text, so rapt::pretrained brings rapt::text where that is there: in the build that links it.
  rapt_library(rapt_pretrained pretrained "${pretrained_headers}" rapt::io $<TARGET_NAME_IF_EXISTS:rapt::text>)
  if(RAPT_TEXT_FOUND AND ("rapt_pretrained" IN_LIST rapt_new_targets OR "rapt_text" IN_LIST rapt_new_targets))
    target_sources(rapt_pretrained INTERFACE FILE_SET HEADERS FILES ${pretrained_text_headers})
  endif()
  if(RAPT_TEXT_FOUND)
    rapt_library(rapt_pipelines pipelines "${pipelines_headers}" rapt::pretrained rapt::text)
  endif()
endif()

if(RAPT_BUILD_PRECOMPILED AND NOT TARGET rapt_precompiled)
  list(APPEND rapt_new_targets rapt_precompiled)
  add_library(rapt_precompiled STATIC
    "${include_dir}/rapt/precompiled/float.cpp" "${include_dir}/rapt/precompiled/double.cpp")
  add_library(rapt::precompiled ALIAS rapt_precompiled)
  target_link_libraries(rapt_precompiled PUBLIC rapt)
  target_compile_definitions(rapt_precompiled INTERFACE RAPT_PRECOMPILED)
  set_target_properties(rapt_precompiled PROPERTIES
    EXPORT_NAME precompiled CXX_EXTENSIONS OFF POSITION_INDEPENDENT_CODE ON)  # shared libraries may link it
endif()

# Warnings for our own executables only.
function(rapt_own_executable target)
  target_compile_options(${target} PRIVATE -Wall -Wextra -Wpedantic -Wconversion -Wshadow)
  set_target_properties(${target} PROPERTIES CXX_EXTENSIONS OFF)
endfunction()
