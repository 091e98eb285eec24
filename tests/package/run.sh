#!/bin/sh
# rapt as others use it: find_package of an installation, FetchContent, several times in one build, the precompiled
# library, two translation units with different flags, every combination of the optional dependencies, packages, and the
# single header. CMAKE names the cmake to use. Everything happens in a temporary folder.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
. "$here/common.sh"
"$cmake" --version | head -n 1

echo "== find_package"
quiet configure "$work/rapt" -DRAPT_IO=ON -DRAPT_TEXT=ON -DRAPT_IMAGES=ON -DRAPT_MPI=ON
quiet "$cmake" --install "$work/rapt" --prefix "$work/first_place"
mv "$work/first_place" "$work/installed" # an installation can be moved
if grep -rn -e "$root" -e "$work/first_place" "$work/installed"; then
  echo "FAILED: the installation names the folder that it was built in"
  exit 1
fi
installed=$(cd "$work/installed/include" && find . -name '*.hpp' | sort)
sources=$(cd "$root/include" && find . -name '*.hpp' | sort)
if [ "$installed" != "$sources" ]; then
  echo "FAILED: the installation does not hold every header"
  exit 1
fi
quiet "$cmake" -S "$here/find_package" -B "$work/find_package" -DCMAKE_PREFIX_PATH="$work/installed"
quiet "$cmake" --build "$work/find_package"
"$work/find_package/consumer"
(cd "$work" && find_package/consumer_components && find_package/consumer_pipelines)

echo "== FetchContent"
quiet "$cmake" -S "$here/fetch_content" -B "$work/fetch_content" -DRAPT_SOURCE="$root"
quiet "$cmake" --build "$work/fetch_content"
"$work/fetch_content/consumer"

echo "== several times in one build"
sh "$here/several.sh"

echo "== precompiled"
quiet "$cmake" -S "$root" -B "$work/rapt" -DRAPT_BUILD_PRECOMPILED=ON
quiet "$cmake" --build "$work/rapt" --target rapt_precompiled
quiet "$cmake" --install "$work/rapt" --prefix "$work/first_place"
mv "$work/first_place" "$work/with_library"
if grep -rn -e "$root" -e "$work/first_place" "$work/with_library"; then
  echo "FAILED: the installation names the folder that it was built in"
  exit 1
fi
quiet "$cmake" -S "$here/precompiled" -B "$work/precompiled" -DCMAKE_PREFIX_PATH="$work/with_library" \
  -DCMAKE_BUILD_TYPE=Release
quiet "$cmake" --build "$work/precompiled"
"$work/precompiled/precompiled"
for target in unlinked other_flags; do
  fails "" "$cmake" --build "$work/precompiled" --target "$target"
  if ! grep -q "undefined .*rapt::" "$work/log"; then
    cat "$work/log"
    echo "FAILED: $target does not build, but not for want of rapt's code"
    exit 1
  fi
done

echo "== two translation units"
if grep -q -m 1 -w avx2 /proc/cpuinfo && grep -q -m 1 -w fma /proc/cpuinfo && grep -q -m 1 -w bmi2 /proc/cpuinfo; then
  quiet "$cmake" -S "$here/two_translation_units" -B "$work/two" -DRAPT_SOURCE="$root"
  quiet "$cmake" --build "$work/two"
  "$work/two/two_translation_units"
else
  echo "SKIPPED: this processor does not run x86-64-v3"
fi
sh "$here/combinations.sh"
sh "$here/packages.sh"
sh "$here/single_header.sh"
echo "package tests passed"
