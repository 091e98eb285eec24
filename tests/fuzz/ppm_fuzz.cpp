/// \file
/// libFuzzer target: whatever the bytes are, reading them as a PPM or PGM file either works or throws rapt::Error.
///
///     sh tests/fuzz/run.sh 120 ppm  # -max_len=4096
#include <cstdint>
#include <cstdlib>
#include <span>

#include "rapt/images/ppm.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    const rapt::Image image = rapt::decode_ppm(std::span(data, size), "input");
    if (image.bytes().size() >= size) std::abort();  // every value takes a byte, and there is a header
    if (rapt::decode_ppm(rapt::encode_ppm(image), "again") != image) std::abort();
  } catch (const rapt::Error&) {
  }
  return 0;
}
