#!/bin/sh
# Builds what the tests need in build/ and runs them; installs what is missing. Arguments go to ctest: tests/run.sh -R io
set -eu
cd "$(dirname "$0")/.."

sh cmake/install_packages.sh g++ cmake ninja-build pkg-config python3 libeigen3-dev libgtest-dev libbenchmark-dev \
  nlohmann-json3-dev libcli11-dev libutf8proc-dev libpcre2-dev libpng-dev zlib1g-dev
jobs=$(sh cmake/build_jobs.sh)

cmake -S . -B build -G Ninja -DRAPT_BUILD_PRECOMPILED=ON -DRAPT_BUILD_BENCH=OFF -DRAPT_TESTS_TOGETHER=10 \
  -DRAPT_EXAMPLES_QUICKLY=ON
cmake --build build -j "$jobs" --target rapt_tests
ctest --test-dir build --output-on-failure --no-tests=error -j "$jobs" "$@"
