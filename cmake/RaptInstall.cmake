# cmake --install, and what find_package(rapt COMPONENTS io text images precompiled) finds afterwards. The result may be
# moved.

include(CMakePackageConfigHelpers)
include(GNUInstallDirs)

set(package_dir "${CMAKE_INSTALL_DATADIR}/cmake/rapt")  # headers only: the same for every architecture
foreach(target IN ITEMS rapt rapt_io rapt_text rapt_images)
  if(TARGET ${target})
    string(REPLACE "_" "-" file "${target}-targets")
    install(TARGETS ${target} EXPORT ${file} FILE_SET HEADERS DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}")
    install(EXPORT ${file} NAMESPACE rapt:: DESTINATION "${package_dir}")
  endif()
endforeach()

set(precompiled_dir "${CMAKE_INSTALL_LIBDIR}/cmake/rapt")  # of one architecture
if(TARGET rapt_precompiled)
  install(TARGETS rapt_precompiled EXPORT rapt-precompiled-targets
    ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}" COMPONENT precompiled)
  install(EXPORT rapt-precompiled-targets NAMESPACE rapt:: DESTINATION "${precompiled_dir}" COMPONENT precompiled)
endif()

configure_package_config_file(
  "${PROJECT_SOURCE_DIR}/cmake/rapt-config.cmake.in" "${PROJECT_BINARY_DIR}/rapt-config.cmake"
  INSTALL_DESTINATION "${package_dir}" PATH_VARS precompiled_dir NO_SET_AND_CHECK_MACRO)
write_basic_package_version_file("${PROJECT_BINARY_DIR}/rapt-config-version.cmake"
  COMPATIBILITY SameMinorVersion ARCH_INDEPENDENT)  # before 1.0 a minor version may break
install(FILES
  "${PROJECT_BINARY_DIR}/rapt-config.cmake"
  "${PROJECT_BINARY_DIR}/rapt-config-version.cmake"
  "${PROJECT_SOURCE_DIR}/cmake/FindUtf8proc.cmake"
  DESTINATION "${package_dir}")
install(FILES "${PROJECT_SOURCE_DIR}/LICENSE" DESTINATION "${CMAKE_INSTALL_DATADIR}/licenses/rapt")
