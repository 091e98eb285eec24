#!/bin/sh
# Builds tests/soak/soak.cpp in build/soak/ and runs it: tests/soak/run.sh [DECODES [THREADS]]. Without arguments
# 1,000,000 sequences are decoded. Fails if the resident memory grows or a sequence comes out differently. CXX is the
# compiler.
set -eu
cd "$(dirname "$0")/../.."
mkdir -p build/soak
"${CXX:-g++}" -std=c++20 -O2 -Iinclude -isystem /usr/include/eigen3 tests/soak/soak.cpp -pthread -o build/soak/soak
exec build/soak/soak "$@"
