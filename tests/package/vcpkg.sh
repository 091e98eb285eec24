#!/bin/sh
# The port for vcpkg, without vcpkg: its vcpkg.json has documented fields, its portfile runs with functions that do what
# those of vcpkg are documented to do, and what it installs is used by a program, wherever it is moved to.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
. "$here/common.sh"
port=$root/cmake/packaging/vcpkg/ports/rapt

echo "== vcpkg"
python3 "$here/vcpkg/check_manifest.py" "$port/vcpkg.json"

# install FOLDER FEATURES: what the port installs, in $work/FOLDER, moved there after it was made.
install() {
  quiet "$cmake" -DPORT=rapt "-DFEATURES=$2" "-DCURRENT_PORT_DIR=$port" "-DCURRENT_PACKAGES_DIR=$work/packages" \
    "-DCURRENT_BUILDTREES_DIR=$work/trees" -P "$here/vcpkg/functions.cmake"
  mv "$work/packages" "$work/$1"
  rm -rf "$work/trees"
  for file in usage copyright rapt-config.cmake; do
    [ -s "$work/$1/share/rapt/$file" ] || { echo "FAILED: there is no share/rapt/$file"; exit 1; }
  done
  if grep -rn -e "$root" -e "$work" "$work/$1" || [ -d "$work/$1/debug" ] || find "$work/$1" -type d -empty | grep .; then
    echo "FAILED: the installation names a folder that it was made in, or holds what vcpkg refuses"
    exit 1
  fi
}
install all "core;images;io;mpi;text"
installed=$(cd "$work/all/include" && find . -name '*.hpp' | sort)
[ "$installed" = "$(cd "$root/include" && find . -name '*.hpp' | sort)" ] || { echo "FAILED: headers lack"; exit 1; }
quiet "$cmake" -S "$here/find_package" -B "$work/consumer" -DCMAKE_PREFIX_PATH="$work/all"
quiet "$cmake" --build "$work/consumer" --target consumer consumer_components
"$work/consumer/consumer"
(cd "$work" && consumer/consumer_components)
install core core
fails "this installation of rapt has no component" "$cmake" -S "$here/find_package" -B "$work/core_consumer" -DCMAKE_PREFIX_PATH="$work/core"
