#!/bin/sh
# From nothing to a trained translator: installs what is missing, builds the example `translate` and runs it.
# Arguments go to the program: examples/quickstart.sh --help
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)

sh "$root/cmake/install_packages.sh" g++ cmake ninja-build pkg-config libeigen3-dev nlohmann-json3-dev libcli11-dev \
  libutf8proc-dev libpcre2-dev
cmake -S "$root" -B "$root/build/quickstart" -G Ninja -DCMAKE_BUILD_TYPE=Release \
  -DRAPT_BUILD_TESTS=OFF -DRAPT_BUILD_BENCH=OFF
cmake --build "$root/build/quickstart" --target rapt_example_translate
exec "$root/build/quickstart/examples/translate" "$@"
