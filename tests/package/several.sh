#!/bin/sh
# Several parts of one build take rapt in: under two FetchContent names, as a folder, from an installation. There is one
# rapt in a build, and another version is refused.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
. "$here/common.sh"

version=$(sed -n 's/^#define RAPT_VERSION_[A-Z]* //p' "$root/include/rapt/version.hpp" | paste -s -d .)
other=${version%.*}.99

# Two copies of the sources, and one of another version.
for copy in first second other; do
  mkdir "$work/$copy"
  (cd "$root" && cp -r CMakeLists.txt LICENSE cmake include "$work/$copy")
done
sed -i.old 's/^#define RAPT_VERSION_PATCH .*/#define RAPT_VERSION_PATCH 99/' "$work/other/include/rapt/version.hpp"
quiet configure "$work/rapt"
quiet "$cmake" --install "$work/rapt" --prefix "$work/installed"
quiet "$cmake" -S "$work/other" -B "$work/rapt_other" -DRAPT_BUILD_TESTS=OFF -DRAPT_BUILD_EXAMPLES=OFF -DRAPT_BUILD_BENCH=OFF
quiet "$cmake" --install "$work/rapt_other" --prefix "$work/installed_other"

# several FOLDER FIRST SECOND OPTION...
several() {
  folder=$1 first=$2 second=$3
  shift 3
  "$cmake" -S "$here/several" -B "$work/$folder" -DFIRST="$first" -DSECOND="$second" -DIO=OFF \
    -DTEXT=AUTO -DVERSION="$version" -DNAME_OF_SECOND=my_rapt "$@"
}

quiet several two_names "$work/first" "$work/second"
quiet "$cmake" --build "$work/two_names"
(cd "$work" && two_names/consumer_components)
quiet "$cmake" -S "$here/several" -B "$work/two_names" # again: what the cache holds is no obstacle
quiet several same_folder "$work/first" "$work/first" -DIO=AUTO
quiet several named_rapt "$work/first" "$work/second" -DNAME_OF_SECOND=rapt
quiet "$cmake" --install "$work/two_names" --prefix "$work/with_program"
quiet "$cmake" -S "$here/combination" -B "$work/with_program_consumer" -DCMAKE_PREFIX_PATH="$work/with_program" \
  -DREQUIRED="io;text;images" -DEXPECTED="io;text;images" -DHIDDEN="$work" -DCMAKE_DISABLE_FIND_PACKAGE_MPI=ON
quiet several without_text "$work/first" "$work/second" -DIO=ON -DTEXT=OFF
quiet "$cmake" --install "$work/without_text" --prefix "$work/with_text"
for prefix in with_program with_text; do
  if ! diff -r "$work/installed/include" "$work/$prefix/include"; then
    echo "FAILED: what a program installs with it is not all of rapt"
    exit 1
  fi
done
quiet several after_installation installed "$work/second" -DCMAKE_PREFIX_PATH="$work/installed"

fails "A build can have one rapt, and this one asks for two." several other_version "$work/first" "$work/other"
fails "the first: rapt $version in $work/first" several other_version "$work/first" "$work/other"
fails "the second: rapt $other in $work/other" several other_version "$work/first" "$work/other"
fails "the first: rapt $other in $work/installed_other" several other_installed installed "$work/second" \
  -DCMAKE_PREFIX_PATH="$work/installed_other"
fails "this build has rapt $version already" several find_other "$work/first" "$work/second" \
  -DCMAKE_PREFIX_PATH="$work/installed_other" -DOTHER_VERSION="$other"
fails "RAPT_IO is ON" several without_io installed "$work/second" -DCMAKE_PREFIX_PATH="$work/installed" \
  -DCMAKE_DISABLE_FIND_PACKAGE_nlohmann_json=ON
