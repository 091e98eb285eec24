# An overlay port of the checkout that it lies in:
#   vcpkg install rapt --overlay-ports=cmake/packaging/vcpkg/ports

cmake_path(ABSOLUTE_PATH CURRENT_PORT_DIR NORMALIZE OUTPUT_VARIABLE SOURCE_PATH)
foreach(level RANGE 4)  # rapt, ports, vcpkg, packaging, cmake
  cmake_path(GET SOURCE_PATH PARENT_PATH SOURCE_PATH)
endforeach()
if(NOT EXISTS "${SOURCE_PATH}/include/rapt/rapt.hpp")
  message(FATAL_ERROR "This port packages the checkout of rapt that it lies in, and ${SOURCE_PATH} is none.")
endif()

set(VCPKG_BUILD_TYPE release)  # headers only
vcpkg_check_features(OUT_FEATURE_OPTIONS FEATURE_OPTIONS
  FEATURES
    images RAPT_IMAGES
    io RAPT_IO
    mpi RAPT_MPI
    text RAPT_TEXT
)
vcpkg_cmake_configure(
  SOURCE_PATH "${SOURCE_PATH}"
  OPTIONS
    -DRAPT_BUILD_TESTS=OFF
    -DRAPT_BUILD_EXAMPLES=OFF
    -DRAPT_BUILD_BENCH=OFF
    ${FEATURE_OPTIONS}
)
vcpkg_cmake_install()
vcpkg_cmake_config_fixup(CONFIG_PATH share/cmake/rapt)
vcpkg_fixup_pkgconfig()

file(REMOVE_RECURSE "${CURRENT_PACKAGES_DIR}/share/licenses")
file(INSTALL "${CURRENT_PORT_DIR}/usage" DESTINATION "${CURRENT_PACKAGES_DIR}/share/${PORT}")
vcpkg_install_copyright(FILE_LIST "${SOURCE_PATH}/LICENSE")
