/// \file
/// libFuzzer target: whatever the bytes are, reading them as a PNG file either works or throws rapt::Error.
///
///     clang++-14 -std=c++20 -O1 -g -fsanitize=fuzzer,address,undefined -Iinclude -I. -isystem /usr/include/eigen3 \
///       tests/fuzz/png_fuzz.cpp -o png_fuzz -lpng
///     mkdir corpus && ./png_fuzz -max_total_time=120 -max_len=4096 corpus
#include <cstdint>
#include <cstdlib>
#include <span>

#include "rapt/images/png.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    const rapt::Image image = rapt::decode_png(std::span(data, size), "input", {.max_pixels = 1 << 20});
    if (rapt::decode_png(rapt::encode_png(image), "again") != image) std::abort();
  } catch (const rapt::Error&) {
  }
  return 0;
}
