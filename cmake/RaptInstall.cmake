# cmake --install, and what find_package(rapt COMPONENTS io text images mpi pretrained pipelines onnx precompiled)
# finds afterwards, and the files of pkg-config. The result may be moved. What a build that has rapt already does not
# make anew is not installed again.

include(CMakePackageConfigHelpers)
include(GNUInstallDirs)
include("${PROJECT_SOURCE_DIR}/cmake/RaptPkgConfig.cmake")

set(package_dir "${CMAKE_INSTALL_DATADIR}/cmake/rapt")  # headers only: the same for every architecture
foreach(target IN ITEMS rapt rapt_io rapt_text rapt_images rapt_mpi rapt_pretrained rapt_pipelines rapt_onnx)
  if(target IN_LIST rapt_new_targets)
    string(REPLACE "_" "-" file "${target}-targets")
    install(TARGETS ${target} EXPORT ${file} FILE_SET HEADERS DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}")
    install(EXPORT ${file} NAMESPACE rapt:: DESTINATION "${package_dir}")
    rapt_install_pkg_config(${target} "${CMAKE_INSTALL_DATADIR}/pkgconfig")
  endif()
endforeach()

set(precompiled_dir "${CMAKE_INSTALL_LIBDIR}/cmake/rapt")  # of one architecture
if("rapt_precompiled" IN_LIST rapt_new_targets)
  install(TARGETS rapt_precompiled EXPORT rapt-precompiled-targets
    ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}" COMPONENT precompiled)
  install(EXPORT rapt-precompiled-targets NAMESPACE rapt:: DESTINATION "${precompiled_dir}" COMPONENT precompiled)
  rapt_install_pkg_config(rapt_precompiled "${CMAKE_INSTALL_LIBDIR}/pkgconfig" COMPONENT precompiled)
endif()

if(NOT "rapt" IN_LIST rapt_new_targets)
  return()
endif()
configure_package_config_file(
  "${PROJECT_SOURCE_DIR}/cmake/rapt-config.cmake.in" "${PROJECT_BINARY_DIR}/rapt-config.cmake"
  INSTALL_DESTINATION "${package_dir}" PATH_VARS precompiled_dir NO_SET_AND_CHECK_MACRO)
write_basic_package_version_file("${PROJECT_BINARY_DIR}/rapt-config-version.cmake"
  COMPATIBILITY SameMinorVersion ARCH_INDEPENDENT)  # before 1.0 a minor version may break
install(FILES
  "${PROJECT_BINARY_DIR}/rapt-config.cmake"
  "${PROJECT_BINARY_DIR}/rapt-config-version.cmake"
  "${PROJECT_SOURCE_DIR}/cmake/FindPcre2.cmake"
  "${PROJECT_SOURCE_DIR}/cmake/FindUtf8proc.cmake"
  DESTINATION "${package_dir}")
install(FILES "${PROJECT_SOURCE_DIR}/include/rapt/core/gdb_printers.hpp.py"
  DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}/rapt/core")  # gdb looks for it beside its header
install(FILES "${PROJECT_SOURCE_DIR}/LICENSE" DESTINATION "${CMAKE_INSTALL_DATADIR}/licenses/rapt")

# find_package(rapt) in a build that has rapt's sources in it finds these, before any installation.
if(NOT PROJECT_IS_TOP_LEVEL)
  configure_file("${PROJECT_SOURCE_DIR}/cmake/rapt-config-of-build.cmake.in"
    "${CMAKE_FIND_PACKAGE_REDIRECTS_DIR}/rapt-config.cmake" @ONLY)
  configure_file("${PROJECT_BINARY_DIR}/rapt-config-version.cmake"
    "${CMAKE_FIND_PACKAGE_REDIRECTS_DIR}/rapt-config-version.cmake" COPYONLY)
endif()
