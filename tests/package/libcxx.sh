#!/bin/sh
# rapt with clang and LLVM's standard library: every header compiles without a warning, and a program trains and decodes.
# CXX names the compiler, clang++-14 if it is not set.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

compile() {
  "${CXX:-clang++-14}" -stdlib=libc++ -std=c++20 -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror \
    -I"$root/include" -isystem /usr/include/eigen3 "$@"
}

# MPI's own headers are not rapt's to mend; without MPI, those of rapt::mpi are left out.
if mpi=$(pkg-config --cflags-only-I mpi-cxx 2>/dev/null); then
  mpi="$(echo "$mpi" | sed 's/-I/-isystem /g') -DOMPI_SKIP_MPICXX -DMPICH_SKIP_MPICXX" without=" "
else
  echo "SKIPPED: the headers of rapt::mpi, as there is no MPI"
  mpi="" without=/mpi_
fi
(cd "$root/include" && find rapt -name '*.hpp' | grep -v "$without" | LC_ALL=C sort | sed 's/.*/#include <&>/') \
  >"$work/headers.cpp"
echo '#if !defined(_LIBCPP_VERSION)' >>"$work/headers.cpp"
echo '#error this is not libc++' >>"$work/headers.cpp"
echo '#endif' >>"$work/headers.cpp"
compile $mpi -fsyntax-only "$work/headers.cpp" # a list of options
compile -O1 "$here/precompiled/main.cpp" -o "$work/program" -pthread
"$work/program"
