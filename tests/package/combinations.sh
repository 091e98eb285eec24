#!/bin/sh
# Every combination of the optional dependencies nlohmann_json (rapt::io), utf8proc and PCRE2 (rapt::text), and libpng
# and zlib (rapt::images), which are there or not, or whose library is switched off, and MPI (rapt::mpi) alone: rapt
# configures, installs, and a consumer finds the libraries that there are and compiles all their headers. The headers of
# dependencies that are not there are hidden behind ones that stop the compiler.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
. "$here/common.sh"

# packages_of LIBRARY, headers_of LIBRARY: its dependencies.
packages_of() {
  case "$1" in
    io) echo nlohmann_json ;;
    text) echo "Utf8proc Pcre2" ;;
    images) echo "PNG ZLIB" ;;
    mpi) echo MPI ;;
  esac
}
headers_of() {
  case "$1" in
    io) echo nlohmann/json.hpp ;;
    text) echo "utf8proc.h pcre2.h" ;;
    images) echo "png.h zlib.h" ;;
    mpi) echo mpi.h ;;
  esac
}

quiet configure "$work/rapt" -DRAPT_IO=ON -DRAPT_TEXT=ON -DRAPT_IMAGES=ON -DRAPT_MPI=ON
quiet "$cmake" --install "$work/rapt" --prefix "$work/all"

combinations=0
# The libraries that there are.
for there in "" images text "text images" io "io images" "io text" "io text images" mpi; do
  name=$(echo $there | tr ' ' _)
  at=$work/with_$name
  echo "== libraries: rapt $there"
  mkdir -p "$at/hidden/nlohmann"
  disable="" off=""
  for library in io text images mpi; do
    case " $there " in *" $library "*) continue ;; esac
    for package in $(packages_of $library); do disable="$disable -DCMAKE_DISABLE_FIND_PACKAGE_$package=ON"; done
    for header in $(headers_of $library); do echo "#error $header is not there" >"$at/hidden/$header"; done
    off="$off -DRAPT_$(echo $library | tr a-z A-Z)=OFF"
  done

  # shellcheck disable=SC2086  # lists of options
  quiet configure "$at/rapt" $disable
  quiet "$cmake" --install "$at/rapt" --prefix "$at/installed"
  # shellcheck disable=SC2086
  quiet configure "$at/rapt_off" $off
  quiet "$cmake" --install "$at/rapt_off" --prefix "$at/installed_off"
  if ! diff -r "$at/installed" "$at/installed_off"; then
    echo "FAILED: a library that is switched off and one whose dependency is absent differ"
    exit 1
  fi
  # shellcheck disable=SC2086
  quiet "$cmake" -S "$here/combination" -B "$at/consumer" $disable -DCMAKE_PREFIX_PATH="$at/installed" \
    -DEXPECTED="$(echo $there | tr ' ' ';')" -DHIDDEN="$at/hidden"
  # The images' headers and the others do not meet: each is compiled without the other.
  case "$there" in *" images") ;; *) quiet "$cmake" --build "$at/consumer" ;; esac
  # A consumer that lacks what the builder had: the other components are there.
  # shellcheck disable=SC2086
  quiet "$cmake" -S "$here/combination" -B "$at/poorer_consumer" $disable -DEXPECTED="$(echo $there | tr ' ' ';')" \
    -DCMAKE_PREFIX_PATH="$work/all" -DHIDDEN="$at/hidden"
  combinations=$((combinations + 1))
done

echo "== a target of MPI where there is no MPI"
mkdir "$work/modules"
cat >"$work/modules/FindMPI.cmake" <<'end'
# As CMake's own module does where there is no MPI.
if(NOT TARGET MPI::MPI_CXX)
  add_library(MPI::MPI_CXX INTERFACE IMPORTED)
endif()
set(MPI_CXX_FOUND FALSE)
set(MPI_FOUND FALSE)
end
quiet configure "$work/no_mpi" "-DCMAKE_MODULE_PATH=$work/modules"
grep -q '^-- rapt::mpi: no' "$work/log" || { cat "$work/log"; echo "FAILED: rapt::mpi without MPI"; exit 1; }

echo "== libraries that are asked for and cannot be had"
for library in io text images mpi; do
  option=RAPT_$(echo $library | tr a-z A-Z)
  for package in $(packages_of $library); do
    fails "$package" configure "$work/asked_$package" "-D$option=ON" "-DCMAKE_DISABLE_FIND_PACKAGE_$package=ON"
  done
done
for library in text pipelines; do
  for package in $(packages_of text); do
    fails "dependency $package could not be found" "$cmake" -S "$here/combination" \
      -B "$work/asked_of_all_${library}_$package" -DCMAKE_PREFIX_PATH="$work/all" "-DREQUIRED=$library" \
      "-DCMAKE_DISABLE_FIND_PACKAGE_$package=ON"
  done
done
for library in io pretrained pipelines; do
  fails "dependency nlohmann_json could not be found" "$cmake" -S "$here/combination" -B "$work/asked_of_all_no_json_$library" \
    -DCMAKE_PREFIX_PATH="$work/all" "-DREQUIRED=$library" -DCMAKE_DISABLE_FIND_PACKAGE_nlohmann_json=ON
done
fails "dependency MPI could not be found" "$cmake" -S "$here/combination" -B "$work/asked_of_all_no_mpi" \
  -DCMAKE_PREFIX_PATH="$work/all" -DREQUIRED=mpi -DCMAKE_DISABLE_FIND_PACKAGE_MPI=ON
fails "this installation of rapt has no component pipelines" "$cmake" -S "$here/combination" -B "$work/asked_no_pipelines" \
  -DCMAKE_PREFIX_PATH="$work/with_io_images/installed" -DREQUIRED=pipelines
fails "this installation of rapt has no component text" "$cmake" -S "$here/combination" -B "$work/asked_absent" \
  -DCMAKE_PREFIX_PATH="$work/with_io_images/installed" -DREQUIRED=text

echo "$combinations combinations passed"
