# What Debian's policy wants in /usr/share/doc: the licence as `copyright`, and both changelogs, compressed. cpack runs
# it when the files of librapt-dev lie in its folder.
set(root "${CMAKE_CURRENT_LIST_DIR}/../../..")
set(share "${CPACK_TEMPORARY_DIRECTORY}/usr/share")
set(documents "${share}/doc/${CPACK_DEBIAN_PACKAGE_NAME}")
if(NOT EXISTS "${share}/licenses/rapt/LICENSE")
  message(FATAL_ERROR "rapt's files do not lie in ${CPACK_TEMPORARY_DIRECTORY}")
endif()
file(REMOVE_RECURSE "${share}/licenses")

file(READ "${root}/LICENSE" licence)
string(REGEX MATCH "Copyright \\(c\\) ([^\n]+)\n\n(.+[^\n])\n*$" found "${licence}")
set(holder "${CMAKE_MATCH_1}")
set(conditions "${CMAKE_MATCH_2}")
string(REGEX REPLACE "\n\n" "\n.\n" conditions "${conditions}")
string(REPLACE "\n" "\n " conditions "${conditions}")
file(WRITE "${documents}/copyright"
  "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n"
  "Upstream-Name: rapt\n\nFiles: *\nCopyright: ${holder}\nLicense: Expat\n ${conditions}\n")

string(TIMESTAMP date "%a, %d %b %Y %H:%M:%S +0000" UTC)  # SOURCE_DATE_EPOCH, if it is set
file(WRITE "${documents}/changelog.Debian"
  "rapt (${CPACK_PACKAGE_VERSION}-${CPACK_DEBIAN_PACKAGE_RELEASE}) unstable; urgency=medium\n\n"
  "  * Version ${CPACK_PACKAGE_VERSION}; changelog.gz tells what is new.\n\n"
  " -- ${CPACK_DEBIAN_PACKAGE_MAINTAINER}  ${date}\n")
configure_file("${root}/examples/guide/pages/changelog.md" "${documents}/changelog" COPYONLY)
file(GLOB texts "${documents}/*")
file(CHMOD ${texts} PERMISSIONS OWNER_READ OWNER_WRITE GROUP_READ WORLD_READ)
execute_process(COMMAND gzip -9n "${documents}/changelog" "${documents}/changelog.Debian" COMMAND_ERROR_IS_FATAL ANY)
