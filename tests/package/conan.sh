#!/bin/sh
# The Conan recipe makes a package, with all parts and with the core alone, and a program of each is built and run. What
# rapt requires comes from small recipes that name the system's own headers and libraries as ConanCenter's recipes name
# theirs, so that no remote is asked. CONAN names the conan (2.0 or newer) to use.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
. "$here/common.sh"
conan=${CONAN:-conan}

echo "== conan"
if ! command -v "$conan" >/dev/null; then
  echo "SKIPPED: there is no conan"
  exit 0
fi
"$conan" --version
CONAN_HOME=$work/conan_home
export CONAN_HOME
quiet "$conan" profile detect
cat >>"$CONAN_HOME/global.conf" <<end
tools.cmake.cmake_layout:test_folder=$work/test_package
tools.cmake.cmaketoolchain:user_presets=
tools.build:jobs=1
end

# system_package NAME VERSION PKG_CONFIG_MODULE FILE_NAME TARGET [COMPONENT]: a recipe of what the system has.
system_package() {
  mkdir -p "$work/$1"
  cat >"$work/$1/conanfile.py" <<end
import subprocess

from conan import ConanFile


def flags(option, prefix):
    command = ["pkg-config", option, "--keep-system-cflags", "--keep-system-libs", "$3"]
    words = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    return [word.removeprefix(prefix) for word in words]


class SystemConan(ConanFile):
    name, version, package_type = "$1", "$2", "shared-library"

    def package_info(self):
        self.cpp_info.set_property("cmake_file_name", "$4")
        self.cpp_info.set_property("cmake_target_name", "$5")
        info = self.cpp_info.components["$6"] if "$6" else self.cpp_info
        info.set_property("cmake_target_name", "$5")
        info.includedirs, info.bindirs = flags("--cflags-only-I", "-I"), []
        info.libdirs, info.libs = flags("--libs-only-L", "-L"), flags("--libs-only-l", "-l")
end
  quiet "$conan" create "$work/$1"
}
system_package eigen 3.4.0 eigen3 Eigen3 Eigen3::Eigen eigen3
system_package nlohmann_json 3.11.2 nlohmann_json nlohmann_json nlohmann_json::nlohmann_json ""
system_package utf8proc 2.8.0 libutf8proc utf8proc utf8proc::utf8proc ""
system_package pcre2 10.42 libpcre2-8 PCRE2 PCRE2::8BIT pcre2-8
system_package libpng 1.6.39 libpng PNG PNG::PNG ""
system_package zlib 1.2.13 zlib ZLIB ZLIB::ZLIB ""
mpi=False
if pkg-config --exists ompi; then
  system_package openmpi 4.1.4 ompi MPI MPI::MPI_CXX ""
  mpi=True
fi

# create OPTION...: the package and its test_package, without remotes; shows what the programs print.
create() {
  quiet "$conan" create "$root/cmake/packaging/conan" --no-remote -s compiler.cppstd=20 "$@"
  grep -E '^(rapt [0-9.]+|read back): ' "$work/log"
}
create -o "&:mpi=$mpi"
echo "== conan, the core alone"
create -o "&:io=False" -o "&:text=False" -o "&:images=False"
if grep -q -e nlohmann_json -e 'read back' "$work/log"; then
  echo "FAILED: the core alone has parts"
  exit 1
fi
fails "lower than the required C++ standard" "$conan" create "$root/cmake/packaging/conan" --no-remote \
  -s compiler.cppstd=17 --test-folder=
