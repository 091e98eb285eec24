// Generated series that look like an electrocardiogram, of three rhythms: the heart beats regularly, irregularly as in
// atrial fibrillation, or regularly with beats left out. All have the same waves; the times of the beats differ alone.
#pragma once

#include <array>
#include <cmath>
#include <cstdint>
#include <numbers>
#include <rapt/rapt.hpp>
#include <span>
#include <string_view>
#include <vector>

inline constexpr std::array kRhythms = {"regular", "irregular", "beats missing"};
inline constexpr rapt::Index kPatch = 5, kPatches = 40;  // 40 vectors of 5 samples
inline constexpr double kRate = 25;                      // samples a second, so that a series has 8 seconds

/// The times of the beats, in seconds. The interval between them is 0.6 to 1 second on average.
inline std::vector<double> beats(std::int32_t rhythm, rapt::Rng& rng) {
  const double interval = 0.6 + 0.4 * rng.uniform(), spread = rhythm == 1 ? 0.4 : 0.04;
  const rapt::Index period = 3 + rng.below(3), first = rng.below(period);  // of the beats that are left out
  std::vector<double> times;
  double time = -interval * rng.uniform();
  for (rapt::Index beat = 0; time < kPatch * kPatches / kRate + 1; ++beat) {
    if (rhythm != 2 || beat % period != first) times.push_back(time);
    time += interval * (1 + spread * (2 * rng.uniform() - 1));
  }
  return times;
}

/// Series as patches of samples, laid end to end, and the number of each one's rhythm.
struct RhythmBatch {
  rapt::Tensor<float> values;  // [N, kPatch]
  rapt::RowSplits splits;
  std::vector<std::int32_t> labels;

  static constexpr std::string_view kItems = "patches";
  [[nodiscard]] rapt::Index target_count() const { return std::ssize(labels); }
  [[nodiscard]] rapt::Index item_count() const { return values.rows(); }
};

/// Series of random rhythms: waves P, R, S and T of each beat, a slow drift as breathing makes it, and noise. Their
/// standard deviation is about 1.
inline RhythmBatch rhythms(rapt::Index count, rapt::Rng& rng) {
  struct Wave {
    double height, delay, width;  // the last two in seconds
  };
  constexpr std::array<Wave, 4> kWaves = {{{0.6, -0.16, 0.03}, {4, 0, 0.03}, {-0.8, 0.06, 0.03}, {1.2, 0.25, 0.06}}};
  RhythmBatch batch{
      rapt::Tensor<float>(rapt::Shape{count * kPatches, kPatch}), rapt::RowSplits::equal(count, kPatches), {}};
  rng.fill_normal(batch.values.values(), 0, 0.2);
  for (rapt::Index i = 0; i < count; ++i) {
    batch.labels.push_back(static_cast<std::int32_t>(rng.below(3)));
    const std::vector<double> times = beats(batch.labels.back(), rng);
    const double phase = rng.uniform();
    const std::span<float> series =
        batch.values.values().subspan(rapt::to_size(i * kPatches * kPatch), rapt::to_size(kPatches * kPatch));
    for (std::size_t s = 0; s < series.size(); ++s) {
      const double t = static_cast<double>(s) / kRate;
      double value = 0.4 * std::sin(2 * std::numbers::pi * (t / 4 + phase));
      for (const double beat : times) {
        if (std::abs(t - beat) > 0.6) continue;
        for (const Wave& wave : kWaves) {
          value += wave.height * std::exp(-0.5 * std::pow((t - beat - wave.delay) / wave.width, 2));
        }
      }
      series[s] += static_cast<float>(value);
    }
  }
  return batch;
}
