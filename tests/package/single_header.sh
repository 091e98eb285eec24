#!/bin/sh
# The single header that cmake/amalgamate.py writes is all of rapt.hpp: the program of README.md compiles with it and
# Eigen alone, without a warning, in two translation units, and prints what README.md says; with headers of io, text and
# images in it, a program of these parts does. CXX names the compiler, g++ if it is not set.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
. "$here/common.sh"
compiler=${CXX:-g++}
warnings="-Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror"

# eigen OPTION: Eigen's flags, with its folder behind -I or -isystem.
eigen() {
  pkg-config --cflags eigen3 | sed "s:-I *:$1 :g"
}

echo "== single header"
python3 "$root/cmake/amalgamate.py" --self-test
mkdir "$work/single"
python3 "$root/cmake/amalgamate.py" >"$work/single/rapt_single.hpp"
sed -e 's:rapt/rapt\.hpp:rapt_single.hpp:' -e 's:^int main() {$:double sum_of_second_unit();\n\n&:' \
  -e 's:^  rapt\:\:Rng rng(1);$:  if (sum_of_second_unit() != 9.0) return 1;\n&:' "$root/examples/first.cpp" \
  >"$work/single/first.cpp"
cat >"$work/single/second.cpp" <<'end'
#include "rapt_single.hpp"

double sum_of_second_unit();
double sum_of_second_unit() { return rapt::Tensor<double>(rapt::Shape{2, 3}, 1.5).matrix().sum(); }
end
# shellcheck disable=SC2046,SC2086  # lists of options
quiet "$compiler" -std=c++20 -O1 $warnings -I "$work/single" $(eigen -isystem) "$work/single/first.cpp" \
  "$work/single/second.cpp" -o "$work/single/first" -pthread
"$work/single/first" >"$work/single/printed"
cat "$work/single/printed"
if [ ! -s "$work/single/printed" ] || ! grep -q sum_of_second_unit "$work/single/first.cpp"; then
  echo "FAILED: the program printed nothing, or has no second translation unit"
  exit 1
fi
while read -r line; do
  grep -qxF -- "$line" "$root/README.md" || { echo "FAILED: README.md's program does not print \"$line\""; exit 1; }
done <"$work/single/printed"
if command -v clang++-14 >/dev/null; then
  # shellcheck disable=SC2046,SC2086
  quiet clang++-14 -std=c++20 -fsyntax-only $warnings -I "$work/single" $(eigen -isystem) "$work/single/first.cpp"
else
  echo "SKIPPED: there is no clang++-14"
fi

echo "== single header with io, text and images"
parts=$(sed -n 's:^#include <\(rapt/.*\)>$:\1:p' "$here/find_package/components.cpp")
# shellcheck disable=SC2086  # a list of headers
python3 "$root/cmake/amalgamate.py" --line-markers $parts rapt/io/model_file.hpp >"$work/single/parts.hpp"
sed -e '/^#include <rapt/d' -e '1i #include <parts.hpp>' "$here/find_package/components.cpp" >"$work/single/parts.cpp"
modules=$(pkg-config --cflags --libs nlohmann_json libutf8proc libpcre2-8 libpng zlib)
# shellcheck disable=SC2046,SC2086  # lists of options
quiet "$compiler" -std=c++20 $warnings -isystem "$work/single" $(eigen -I) "$work/single/parts.cpp" \
  -o "$work/single/parts" $modules -pthread
(cd "$work/single" && ./parts)
