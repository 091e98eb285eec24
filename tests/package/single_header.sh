#!/bin/sh
# The single header that cmake/amalgamate.py writes is all of rapt.hpp: a program compiles with it and Eigen alone. CXX
# names the compiler, g++ if it is not set.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
. "$here/common.sh"

echo "== single header"
python3 "$root/cmake/amalgamate.py" --self-test
mkdir "$work/single"
python3 "$root/cmake/amalgamate.py" >"$work/single/rapt_single.hpp"
sed 's:rapt/rapt\.hpp:rapt_single.hpp:' "$here/main.cpp" >"$work/single/main.cpp"
quiet "${CXX:-g++}" -std=c++20 -I "$work/single" $(pkg-config --cflags eigen3) "$work/single/main.cpp" \
  -o "$work/single/main" -pthread
"$work/single/main"
