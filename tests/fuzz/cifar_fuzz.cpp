/// \file
/// libFuzzer target: whatever the bytes are, reading them as CIFAR's records either works or throws rapt::Error.
///
///     sh tests/fuzz/run.sh 120 cifar  # -max_len=10000
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
