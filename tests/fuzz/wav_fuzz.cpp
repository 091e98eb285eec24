/// \file
/// libFuzzer target: whatever the bytes are, reading them as a WAV file either works or throws rapt::Error.
///
///     sh tests/fuzz/run.sh 120 wav  # -max_len=4096
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <span>

#include "rapt/audio/wav.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    const rapt::Sound sound = rapt::decode_wav(std::span(data, size), "input");
    if (sound.samples.size() >= size || sound.rate <= 0) std::abort();  // every sample takes a byte
    for (const float sample : sound.samples) {
      if (!std::isfinite(sample)) std::abort();
    }
  } catch (const rapt::Error&) {
  }
  return 0;
}
