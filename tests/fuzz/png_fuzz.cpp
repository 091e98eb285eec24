/// \file
/// libFuzzer target: whatever the bytes are, reading them as a PNG file either works or throws rapt::Error.
///
///     sh tests/fuzz/run.sh 120 png  # -max_len=4096
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
