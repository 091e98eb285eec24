#!/bin/sh
# Builds tests with clang 14 under the address and undefined-behaviour sanitizers in build/sanitize/ and runs them:
# tests/sanitize.sh [room...], where tests/ROOM/ is a room; all of them without names.
set -eu
cd "$(dirname "$0")/.."

for room; do
  [ -d "tests/$room" ] || { echo "sanitize.sh: there is no room $room: no tests/$room" >&2; exit 2; }
done
sh cmake/install_packages.sh clang-14 libclang-rt-14-dev
jobs=$(sh cmake/build_jobs.sh)
cmake --preset sanitize
if [ $# -eq 0 ]; then
  cmake --build --preset sanitize -j "$jobs"
  ctest --preset sanitize -j "$jobs"
else
  rooms=$(echo "$*" | tr ' ' '|')
  cmake --build --preset sanitize -j "$jobs" --target $(printf 'rapt_tests_%s ' "$@")
  ctest --preset sanitize -j "$jobs" -R "^($rooms)/"
fi
