#!/bin/sh
# Builds tests for AArch64 by Debian's cross compiler and runs them under qemu, on three processors: one with all
# extensions, a Neoverse N1 (dot products of bytes) and a Cortex-A72 (NEON alone). Arguments are test files:
#   sh tests/arm.sh tests/kernels/gemm/int8_test.cpp
# Without arguments these are the tests of the processor's features and of matrix products. Tests that start themselves
# anew (death tests) are left out, as the system cannot start programs of another processor.
set -eu
cd "$(dirname "$0")/.."

sh cmake/install_packages.sh g++-aarch64-linux-gnu qemu-user-static libeigen3-dev nlohmann-json3-dev
[ $# -gt 0 ] || set -- tests/core/cpu_features_test.cpp tests/core/precision_test.cpp tests/core/system_test.cpp \
  tests/kernels/bfloat16_arrays_test.cpp tests/kernels/gemm/*_test.cpp

# The libraries for AArch64 are unpacked beside the build and not installed.
root=$PWD/build/arm/root
if [ ! -f "$root/complete" ]; then
  mkdir -p "$root/packages" "$root/headers"
  if ! dpkg --print-foreign-architectures | grep -q -x arm64; then
    dpkg --add-architecture arm64
    apt-get update -qq
  fi
  (cd "$root/packages" && apt-get download -qq libgtest-dev:arm64 libutf8proc-dev:arm64 libpcre2-dev:arm64 \
    libpng-dev:arm64 zlib1g-dev:arm64)
  for package in "$root"/packages/*.deb; do dpkg -x "$package" "$root"; done
  ln -sfn /usr/include/nlohmann "$root/headers/nlohmann"
  touch "$root/complete"
fi

for test in "$@"; do
  program=build/arm/$(echo "${test%.cpp}" | tr / _)
  echo "=== $test"
  aarch64-linux-gnu-g++ -std=c++20 -O1 -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wno-psabi -Iinclude -I. \
    -isystem /usr/include/eigen3 -isystem "$root/usr/include" -isystem "$root/headers" \
    -DRAPT_GOLDEN_DIR="\"$PWD/tests/golden\"" -DRAPT_DATA_DIR="\"$PWD/../shared/data\"" "$test" \
    -L"$root/usr/lib/aarch64-linux-gnu" -lgtest -lgtest_main -lutf8proc -lpcre2-8 -lpng -lz -static -pthread \
    -o "$program"
  for processor in max neoverse-n1 cortex-a72; do
    echo "--- $processor"
    qemu-aarch64-static -cpu "$processor" "$program" --gtest_brief=1 --gtest_filter=-*DeathTest*
  done
done
