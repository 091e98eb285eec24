# Finds PCRE2 for strings of bytes (libpcre2-8), whose packages may come without a CMake configuration, and defines
# Pcre2::Pcre2.

find_package(PkgConfig QUIET)
if(PkgConfig_FOUND)
  pkg_check_modules(Pcre2_pc QUIET libpcre2-8)
endif()
find_path(Pcre2_INCLUDE_DIR pcre2.h HINTS ${Pcre2_pc_INCLUDE_DIRS})
find_library(Pcre2_LIBRARY pcre2-8 HINTS ${Pcre2_pc_LIBRARY_DIRS})

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(Pcre2 REQUIRED_VARS Pcre2_LIBRARY Pcre2_INCLUDE_DIR
                                  VERSION_VAR Pcre2_pc_VERSION)
mark_as_advanced(Pcre2_INCLUDE_DIR Pcre2_LIBRARY)

if(Pcre2_FOUND AND NOT TARGET Pcre2::Pcre2)
  add_library(Pcre2::Pcre2 UNKNOWN IMPORTED)
  set_target_properties(Pcre2::Pcre2 PROPERTIES
    IMPORTED_LOCATION "${Pcre2_LIBRARY}"
    INTERFACE_INCLUDE_DIRECTORIES "${Pcre2_INCLUDE_DIR}")
endif()
