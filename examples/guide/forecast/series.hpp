// A series of numbers, one each hour: a day's wave, a tide's, and noise of standard deviation 0.1.
#pragma once

#include <cmath>
#include <numbers>
#include <rapt/rapt.hpp>
#include <span>
#include <string_view>
#include <vector>

constexpr rapt::Index kWindow = 60, kHours = 2000, kTraining = 1600;

inline std::vector<float> hourly_series() {
  rapt::Rng rng(7);
  std::vector<float> series(kHours);
  rng.fill_normal(std::span(series), 0, 0.1);
  for (std::size_t t = 0; t < series.size(); ++t) {
    const double turns = 2 * std::numbers::pi * static_cast<double>(t);
    series[t] += static_cast<float>(std::sin(turns / 24) + 0.6 * std::sin(turns / 12.42));
  }
  return series;
}

/// Windows of the series, laid end to end; the target of a value is the one behind it.
struct SeriesBatch {
  rapt::Tensor<float> values, targets;  // [N, 1]
  rapt::RowSplits splits;

  static constexpr std::string_view kItems = "values";
  [[nodiscard]] rapt::Index target_count() const { return targets.size(); }
  [[nodiscard]] rapt::Index item_count() const { return values.size(); }
};

/// The windows that begin at these hours.
inline SeriesBatch windows(const std::vector<float>& series, std::span<const rapt::Index> begins) {
  SeriesBatch batch{rapt::Tensor<float>(rapt::Shape{std::ssize(begins) * kWindow, 1}), {}, {}};
  batch.targets = batch.values;
  rapt::Index row = 0;
  for (const rapt::Index begin : begins) {
    batch.splits.push_back(kWindow);
    for (rapt::Index t = begin; t < begin + kWindow; ++t, ++row) {
      batch.values(row, 0) = rapt::at(series, t);
      batch.targets(row, 0) = rapt::at(series, t + 1);
    }
  }
  return batch;
}
