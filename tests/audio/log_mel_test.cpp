/// \file
/// Log-mel spectrograms against transformers'.
#include "rapt/audio/log_mel.hpp"

#include <gtest/gtest.h>

#include <string>

#include "rapt/io/safetensors.hpp"
#include "tests/common/expect_close.hpp"

namespace {

using rapt::LogMel;
using rapt::LogMelOptions;
using rapt::Tensor;
using rapt_test::expect_message;

[[nodiscard]] Tensor<float> mel_golden(const std::string& name) {
  return rapt::SafetensorsFile(std::string(RAPT_GOLDEN_DIR) + "/log_mel.safetensors").read<float>(name);
}
[[nodiscard]] Tensor<float> mel_of(const Tensor<float>& sound, const LogMelOptions& options) {
  return LogMel(options)(sound.values(), 16000);
}

TEST(LogMel, EqualsTransformers) {
  const Tensor<float> sound = mel_golden("sound");
  EXPECT_LE(rapt_test::relative_error(mel_of(sound, {.samples = 3200}), mel_golden("bins80")), 2e-6);
  EXPECT_LE(rapt_test::relative_error(mel_of(sound, {.bins = 128, .samples = 3200}), mel_golden("bins128")), 2e-6);
  EXPECT_LE(rapt_test::relative_error(mel_of(sound, {.samples = 1600}), mel_golden("cut")), 2e-6);
  EXPECT_LE(rapt_test::relative_error(mel_of(Tensor<float>(rapt::Shape{0}), {.samples = 800}), mel_golden("silence")),
            2e-6);
}

TEST(LogMel, RowsAreMoments) {
  const LogMel whisper;
  EXPECT_EQ(whisper.options().frames(), 3000);
  const std::vector<float> click = [] {
    std::vector<float> samples(16000, 0.f);
    samples[8000] = 1.f;
    return samples;
  }();
  const Tensor<float> found = LogMel({.samples = 16000})(click, 16000);
  EXPECT_EQ(found.shape(), (rapt::Shape{100, 80}));
  EXPECT_GT(found(50, 40), found(48, 40) + 0.5f);  // 8000 samples are 50 hops
  EXPECT_EQ(found(48, 40), found(10, 3));          // a window reaches 200 samples, less than two hops
}

TEST(LogMel, AreTheSameBitsOnAnyNumberOfThreads) {
  const Tensor<float> sound = mel_golden("sound");
  const LogMel mel({.samples = 40000});
  const rapt::Index before = rapt::threads();
  rapt::set_threads(1);
  const Tensor<float> one = mel(sound.values(), 16000);
  rapt::set_threads(3);
  EXPECT_TRUE(rapt_test::same_bits(one, mel(sound.values(), 16000)));
  rapt::set_threads(before);
}

TEST(LogMel, ErrorsNameTheValues) {
  expect_message([] { std::ignore = LogMel()(std::vector<float>(10), 44100); },
                 "[log_mel] the sound has 44100 samples in a second, wanted are 16000");
  expect_message([] { LogMel({.bins = 0}); }, "bins 0");
  expect_message([] { LogMel({.window = 401}); }, "window 401");
  expect_message([] { LogMel({.samples = 150}); }, "samples 150");
}

}  // namespace
