# Runs a portfile by `cmake -P` without vcpkg, with functions in place of those that it calls. Each does, for a port that
# is built for release alone, what https://learn.microsoft.com/vcpkg/maintainers/functions/ says of vcpkg's function of
# the name; an argument that is not documented there is an error. -D names PORT, FEATURES, CURRENT_PORT_DIR,
# CURRENT_PACKAGES_DIR and CURRENT_BUILDTREES_DIR.
cmake_minimum_required(VERSION 3.25)

# refuse_rest(<function>): stops if the function was called with arguments that it does not know.
macro(refuse_rest name)
  if(DEFINED arg_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "${name} has no arguments ${arg_UNPARSED_ARGUMENTS}")
  endif()
endmacro()

function(run)
  execute_process(COMMAND ${ARGN} COMMAND_ERROR_IS_FATAL ANY)
endfunction()

function(vcpkg_check_features)
  cmake_parse_arguments(PARSE_ARGV 0 arg "" "OUT_FEATURE_OPTIONS;PREFIX" "FEATURES;INVERTED_FEATURES")
  refuse_rest(vcpkg_check_features)
  if(DEFINED arg_PREFIX OR DEFINED arg_INVERTED_FEATURES)
    message(FATAL_ERROR "PREFIX and INVERTED_FEATURES are not done here")
  endif()
  set(options "")
  while(arg_FEATURES)
    list(POP_FRONT arg_FEATURES feature variable)
    if(feature IN_LIST FEATURES)
      list(APPEND options "-D${variable}=ON")
    else()
      list(APPEND options "-D${variable}=OFF")
    endif()
  endwhile()
  set(${arg_OUT_FEATURE_OPTIONS} "${options}" PARENT_SCOPE)
endfunction()

function(vcpkg_cmake_configure)
  cmake_parse_arguments(PARSE_ARGV 0 arg "DISABLE_PARALLEL_CONFIGURE;NO_CHARSET_FLAG;WINDOWS_USE_MSBUILD"
    "SOURCE_PATH;LOGFILE_BASE;GENERATOR" "OPTIONS;OPTIONS_RELEASE;OPTIONS_DEBUG;MAYBE_UNUSED_VARIABLES")
  refuse_rest(vcpkg_cmake_configure)
  if(NOT VCPKG_BUILD_TYPE STREQUAL "release")
    message(FATAL_ERROR "only ports for release are built here, and VCPKG_BUILD_TYPE is \"${VCPKG_BUILD_TYPE}\"")
  endif()
  run("${CMAKE_COMMAND}" -S "${arg_SOURCE_PATH}" -B "${CURRENT_BUILDTREES_DIR}/release" -G Ninja
    -DCMAKE_BUILD_TYPE=Release "-DCMAKE_INSTALL_PREFIX=${CURRENT_PACKAGES_DIR}" -DCMAKE_INSTALL_LIBDIR:STRING=lib
    -DCMAKE_ERROR_ON_ABSOLUTE_INSTALL_DESTINATION=ON ${arg_OPTIONS} ${arg_OPTIONS_RELEASE})
endfunction()

function(vcpkg_cmake_install)
  cmake_parse_arguments(PARSE_ARGV 0 arg "DISABLE_PARALLEL;ADD_BIN_TO_PATH" "" "")
  refuse_rest(vcpkg_cmake_install)
  run("${CMAKE_COMMAND}" --build "${CURRENT_BUILDTREES_DIR}/release" --target install)
endfunction()

# Moves the configuration to share/<package>, two folders below the prefix, from which it must find the prefix then.
function(vcpkg_cmake_config_fixup)
  cmake_parse_arguments(PARSE_ARGV 0 arg "DO_NOT_DELETE_PARENT_CONFIG_PATH;NO_PREFIX_CORRECTION"
    "PACKAGE_NAME;CONFIG_PATH;TOOLS_PATH" "")
  refuse_rest(vcpkg_cmake_config_fixup)
  if(NOT DEFINED arg_PACKAGE_NAME)
    set(arg_PACKAGE_NAME "${PORT}")
  endif()
  set(from "${CURRENT_PACKAGES_DIR}/${arg_CONFIG_PATH}")
  set(to "${CURRENT_PACKAGES_DIR}/share/${arg_PACKAGE_NAME}")
  file(GLOB files "${from}/*")
  if(NOT files)
    message(FATAL_ERROR "there is nothing in ${from}")
  endif()
  file(COPY ${files} DESTINATION "${to}")
  cmake_path(GET from PARENT_PATH parent)
  cmake_path(GET parent FILENAME parent_name)
  if(parent_name STREQUAL "cmake" AND NOT arg_DO_NOT_DELETE_PARENT_CONFIG_PATH)
    file(REMOVE_RECURSE "${parent}")
  else()
    file(REMOVE_RECURSE "${from}")
  endif()
  set(of_file "get_filename_component(_IMPORT_PREFIX \"\${CMAKE_CURRENT_LIST_FILE}\" PATH)\n")
  set(parent "get_filename_component(_IMPORT_PREFIX \"\${_IMPORT_PREFIX}\" PATH)\n")
  file(GLOB_RECURSE scripts "${to}/*.cmake")
  foreach(script IN LISTS scripts)
    file(READ "${script}" text)
    string(REPLACE "${parent}" "" text "${text}")  # as many as there are
    string(REPLACE "${of_file}" "${of_file}${parent}${parent}" text "${text}")
    string(REGEX REPLACE "(PACKAGE_PREFIX_DIR \"\\\${CMAKE_CURRENT_LIST_DIR}/)[./]+\"" "\\1../../\"" text "${text}")
    string(REPLACE "${CURRENT_PACKAGES_DIR}" "\${_IMPORT_PREFIX}" text "${text}")
    file(WRITE "${script}" "${text}")
  endforeach()
endfunction()

# Our files are relative to where they lie already.
function(vcpkg_fixup_pkgconfig)
  cmake_parse_arguments(PARSE_ARGV 0 arg "SKIP_CHECK" ""
    "RELEASE_FILES;DEBUG_FILES;SYSTEM_LIBRARIES;SYSTEM_PACKAGES;IGNORE_FLAGS")
  refuse_rest(vcpkg_fixup_pkgconfig)
  file(GLOB_RECURSE files "${CURRENT_PACKAGES_DIR}/*.pc")
  foreach(file IN LISTS files)
    file(STRINGS "${file}" prefix REGEX "^prefix=\\\${pcfiledir}/")
    if(NOT prefix)
      message(FATAL_ERROR "${file} has a fixed prefix")
    endif()
  endforeach()
endfunction()

function(vcpkg_install_copyright)
  cmake_parse_arguments(PARSE_ARGV 0 arg "" "COMMENT" "FILE_LIST")
  refuse_rest(vcpkg_install_copyright)
  file(INSTALL ${arg_FILE_LIST} DESTINATION "${CURRENT_PACKAGES_DIR}/share/${PORT}" RENAME copyright)
endfunction()

include("${CURRENT_PORT_DIR}/portfile.cmake")
