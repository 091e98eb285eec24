#!/bin/sh
# What cpack makes, unpacked and used without CMake: the archive holds what an installation holds, librapt-dev is as
# Debian's policy wants it, and the flags of its pkg-config files compile and link programs. CXX names the compiler, g++
# if it is not set.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
. "$here/common.sh"
compiler=${CXX:-g++}

quiet configure "$work/rapt" -DRAPT_IO=ON -DRAPT_TEXT=ON -DRAPT_IMAGES=ON -DRAPT_MPI=ON
quiet "$cmake" --install "$work/rapt" --prefix "$work/installed"
quiet "$cmake" --build "$work/rapt" --target package
packages=$work/rapt/packages

echo "== archive"
mkdir "$work/archive"
tar -xzf "$packages"/rapt-*.tar.gz -C "$work/archive" --strip-components=1
if ! diff -r "$work/installed" "$work/archive"; then
  echo "FAILED: the archive and an installation differ"
  exit 1
fi

echo "== pkg-config"
unpacked=$work/installed
if command -v dpkg-deb >/dev/null; then
  dpkg-deb -x "$packages"/librapt-dev_*_all.deb "$work/debian"
  unpacked=$work/debian/usr
  for document in copyright changelog.gz changelog.Debian.gz; do
    [ -s "$unpacked/share/doc/librapt-dev/$document" ] || { echo "FAILED: there is no $document"; exit 1; }
  done
  if ! diff -r "$work/installed/include" "$unpacked/include"; then
    echo "FAILED: the package and an installation differ"
    exit 1
  fi
else
  echo "SKIPPED: librapt-dev, as there is no dpkg-deb"
fi
PKG_CONFIG_PATH=$unpacked/share/pkgconfig
export PKG_CONFIG_PATH
version=$(sed -n 's/^#define RAPT_VERSION_[A-Z]* //p' "$root/include/rapt/version.hpp" | paste -s -d .)
for module in rapt rapt-io rapt-text rapt-images rapt-mpi rapt-pretrained rapt-pipelines rapt-onnx; do
  found=$(pkg-config --print-errors --modversion $module)
  [ "$found" = "$version" ] || { echo "FAILED: $module is version $found, not $version"; exit 1; }
  quiet pkg-config --print-errors --exists $module
done
# shellcheck disable=SC2046  # lists of options
{
  quiet "$compiler" -std=c++20 "$here/find_package/components.cpp" -o "$work/components" \
    $(pkg-config --cflags --libs rapt-io rapt-text rapt-images)
  quiet "$compiler" -std=c++20 -fsyntax-only "$here/find_package/pipelines.cpp" $(pkg-config --cflags rapt-pipelines)
  fails "compile with -std=c++20" "$compiler" -std=c++17 -E "$here/find_package/components.cpp" \
    $(pkg-config --cflags rapt-io)
}
(cd "$work" && ./components)

echo "== lintian"
if command -v lintian >/dev/null && command -v dpkg-deb >/dev/null; then
  quiet lintian --allow-root --fail-on warning,error "$packages"/librapt-dev_*_all.deb
else
  echo "SKIPPED: there is no lintian"
fi
