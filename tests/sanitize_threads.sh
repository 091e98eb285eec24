#!/bin/sh
# Builds what lets a model answer while it learns (train/live_model.hpp), threads in the place of processes
# (distributed/local_communicator.hpp), the thread that exchanges gradients (train/background_exchange.hpp), and batches
# that several threads search (generation/batches.hpp), with clang 14 under the thread sanitizer in
# build/sanitize_threads/, and runs it: the tests, and examples/live with several threads that answer.
set -eu
cd "$(dirname "$0")/.."

sh cmake/install_packages.sh clang-14 libclang-rt-14-dev
mkdir -p build/sanitize_threads
build() {  # build SOURCE LIBRARIES...
  source=$1; shift
  clang++-14 -std=c++20 -O1 -g1 -fsanitize=thread -Iinclude -I. -isystem /usr/include/eigen3 "$source" \
    -o "build/sanitize_threads/$(basename "$source" .cpp)" "$@" -lutf8proc -lpcre2-8 -lpthread
}
build tests/train/live_model_test.cpp -lgtest -lgtest_main
build examples/live.cpp
build tests/distributed/local_communicator_test.cpp -lgtest -lgtest_main
build tests/distributed/collectives_test.cpp -lgtest -lgtest_main
build tests/train/background_exchange_test.cpp -lgtest -lgtest_main
for test in batches decoding_constraint generation_rules; do
  build "tests/generation/${test}_test.cpp" -lgtest -lgtest_main
  "build/sanitize_threads/${test}_test"
done
build/sanitize_threads/live_model_test
build/sanitize_threads/local_communicator_test
build/sanitize_threads/collectives_test
build/sanitize_threads/background_exchange_test --gtest_filter=-*AForkedChild*  # which the sanitizer does not follow
build/sanitize_threads/live --measure 5000 --answerers 3 --threads 2
