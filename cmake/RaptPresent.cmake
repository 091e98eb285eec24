# Included where the build has rapt already: a program and a library that it uses both take rapt in, under whatever
# names. There is one rapt in a build: the first. A later one of the same version adds the libraries that the first was
# not asked for, and nothing else; another version is an error. Sets rapt_source_dir to the first one's folder, empty if
# it is an installation.

get_target_property(rapt_present_version rapt::rapt RAPT_VERSION)
get_target_property(rapt_present_is_imported rapt::rapt IMPORTED)
if(NOT rapt_present_is_imported)
  get_target_property(rapt_source_dir rapt SOURCE_DIR)
  set(rapt_present_place "${rapt_source_dir}")
else()
  set(rapt_source_dir "")
  set(rapt_present_place "${rapt_DIR}")
endif()

if(NOT rapt_present_version STREQUAL rapt_version)
  if(NOT rapt_present_version)
    set(rapt_present_version "of an unknown version")
  endif()
  message(FATAL_ERROR "A build can have one rapt, and this one asks for two.\n"
    "  the first:  rapt ${rapt_present_version} in ${rapt_present_place}\n"
    "  the second: rapt ${rapt_version} in ${PROJECT_SOURCE_DIR}\n"
    "Let all parts of the program ask for the same version. If all of them declare it under the same name, "
    "FetchContent_Declare(rapt ...), FetchContent takes the first declaration for all.")
endif()
message(VERBOSE "rapt ${rapt_version} is in this build already, from ${rapt_present_place}; "
  "${PROJECT_SOURCE_DIR} is not needed")

if(rapt_source_dir STREQUAL "")
  find_package(rapt ${rapt_version} QUIET GLOBAL OPTIONAL_COMPONENTS io text images mpi pretrained pipelines onnx
    PATHS "${rapt_DIR}" NO_DEFAULT_PATH)
  foreach(library IN ITEMS io text images mpi)
    string(TOUPPER "RAPT_${library}" option)
    if(${option} AND NOT ${option} STREQUAL "AUTO" AND NOT TARGET rapt::${library})
      message(FATAL_ERROR "${option} is ${${option}}, but this build uses the rapt that find_package found in "
        "${rapt_present_place}, and rapt::${library} or what it needs is not there")
    endif()
  endforeach()
endif()
