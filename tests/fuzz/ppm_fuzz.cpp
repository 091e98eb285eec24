/// \file
/// libFuzzer target: whatever the bytes are, reading them as a PPM or PGM file either works or throws rapt::Error.
///
///     clang++-14 -std=c++20 -O1 -g -fsanitize=fuzzer,address,undefined -Iinclude -I. -isystem /usr/include/eigen3 \
///       tests/fuzz/ppm_fuzz.cpp -o ppm_fuzz
///     mkdir corpus && ./ppm_fuzz -max_total_time=120 -max_len=4096 corpus
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
