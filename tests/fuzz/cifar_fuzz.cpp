/// \file
/// libFuzzer target: whatever the bytes are, reading them as CIFAR's records either works or throws rapt::Error.
///
///     clang++-14 -std=c++20 -O1 -g -fsanitize=fuzzer,address,undefined -Iinclude -I. -isystem /usr/include/eigen3 \
///       tests/fuzz/cifar_fuzz.cpp -o cifar_fuzz -lz
///     mkdir corpus && ./cifar_fuzz -max_total_time=120 -max_len=10000 corpus
#include <cstdint>
#include <cstdlib>
#include <span>

#include "rapt/images/cifar.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using rapt::CifarLabels;
  for (const CifarLabels labels : {CifarLabels::ten, CifarLabels::hundred_fine, CifarLabels::hundred_coarse}) {
    try {
      const rapt::ImageDataset dataset = rapt::decode_cifar(std::span(data, size), labels, "input");
      if (dataset.bytes().size() >= size || dataset.images() == 0) std::abort();
    } catch (const rapt::Error&) {
    }
  }
  return 0;
}
