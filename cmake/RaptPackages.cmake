# cpack makes librapt-dev_<version>_all.deb and rapt-<version>.tar.gz of what cmake --install installs:
#   cmake --workflow --preset package

set(CPACK_PACKAGE_NAME rapt)
set(CPACK_PACKAGE_VENDOR "The rapt authors")
set(CPACK_PACKAGE_VERSION "${rapt_version}")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "${PROJECT_DESCRIPTION}")
set(CPACK_PACKAGE_FILE_NAME "rapt-${rapt_version}")
set(CPACK_PACKAGE_DIRECTORY "${PROJECT_BINARY_DIR}/packages")
set(CPACK_RESOURCE_FILE_LICENSE "${PROJECT_SOURCE_DIR}/LICENSE")
set(CPACK_VERBATIM_VARIABLES ON)
set(CPACK_GENERATOR TGZ)
find_program(RAPT_DPKG dpkg)
mark_as_advanced(RAPT_DPKG)
if(RAPT_DPKG)
  list(APPEND CPACK_GENERATOR DEB)
endif()
set(CPACK_SOURCE_GENERATOR "")  # a checkout is the source

set(CPACK_DEBIAN_PACKAGE_NAME librapt-dev)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_RELEASE 0rapt1)  # older than a revision of Debian's own
set(CPACK_DEBIAN_PACKAGE_ARCHITECTURE all)
set(CPACK_DEBIAN_PACKAGE_SECTION libdevel)
if(DEFINED ENV{DEBEMAIL} AND DEFINED ENV{DEBFULLNAME})  # as Debian's own tools know who makes a package
  set(CPACK_DEBIAN_PACKAGE_MAINTAINER "$ENV{DEBFULLNAME} <$ENV{DEBEMAIL}>")
else()
  set(CPACK_DEBIAN_PACKAGE_MAINTAINER "The rapt authors <rapt@example.org>")
endif()
set(CPACK_DEBIAN_PACKAGE_DEPENDS "libeigen3-dev (>= 3.4)")
set(CPACK_DEBIAN_PACKAGE_RECOMMENDS
  "nlohmann-json3-dev, libutf8proc-dev, libpcre2-dev, libpng-dev, zlib1g-dev, pkg-config | pkgconf")
set(CPACK_DEBIAN_PACKAGE_SUGGESTS "mpi-default-dev, cmake")
set(CPACK_DEBIAN_PACKAGE_DESCRIPTION
"rapt builds, trains and runs the Transformer of \"Attention Is All You Need\"
and its descendants on the CPU. It opens, fine-tunes and saves published model
folders from within a C++ program.
.
What needs more than Eigen is used with the recommended packages: model files
(nlohmann-json3-dev), tokenizers (libutf8proc-dev, libpcre2-dev), images
(libpng-dev, zlib1g-dev), and with mpi-default-dev training over processes.")
set(CPACK_PROJECT_CONFIG_FILE "${PROJECT_SOURCE_DIR}/cmake/packaging/debian/cpack.cmake")

include(CPack)
