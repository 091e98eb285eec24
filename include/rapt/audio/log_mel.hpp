/// \file
/// Log-mel spectrograms: how loud sound is at each moment and pitch, on scales like those of hearing. They are what
/// Whisper hears (Radford et al. 2022, section 2.2).
#pragma once

#include <algorithm>
#include <cmath>
#include <complex>
#include <numbers>
#include <span>
#include <string_view>
#include <unsupported/Eigen/FFT>
#include <vector>

#include "rapt/core/error.hpp"
#include "rapt/core/index.hpp"
#include "rapt/core/tensor.hpp"
#include "rapt/core/thread_pool.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// Defaults are Whisper's: windows of 25 ms, one every 10 ms, 30 s at a time.
struct LogMelOptions {
  Index bins = 80;         ///< pitches; 128 in Whisper large-v3
  Index rate = 16000;      ///< samples in a second
  Index window = 400;      ///< samples that a row is made of
  Index hop = 160;         ///< samples from a row to the next
  Index samples = 480000;  ///< of a spectrogram; shorter sound is filled up with silence

  /// The number of rows of a spectrogram.
  [[nodiscard]] Index frames() const { return samples / hop; }
  /// Throws ValueError that names the values which do not fit.
  void validate() const {
    constexpr std::string_view kWhere = "log_mel";
    require(bins > 0 && rate > 0 && window > 1 && hop > 0, kWhere, "sizes must be positive: bins ", bins, ", rate ",
            rate, ", window ", window, ", hop ", hop);
    require(window % 2 == 0 && samples >= hop && samples > window / 2, kWhere,
            "the window must be even, and a spectrogram longer than its half and than a hop: window ", window,
            ", samples ", samples, ", hop ", hop);
  }
};

namespace detail {

/// Slaney's scale of pitch: linear up to 1000 Hz, which are 15 mel, then logarithmic with a factor of 6.4 in 27 mel.
[[nodiscard]] inline double mel_of(double hertz) {
  return hertz < 1000 ? 3 * hertz / 200 : 15 + std::log(hertz / 1000) * 27 / std::log(6.4);
}
[[nodiscard]] inline double hertz_of(double mel) {
  return mel < 15 ? 200 * mel / 3 : 1000 * std::exp((mel - 15) * std::log(6.4) / 27);
}

}  // namespace detail

/// Makes spectrograms. A const one may be used from many threads.
class LogMel {
 public:
  /// Throws ValueError for options that do not fit.
  explicit LogMel(const LogMelOptions& options = {}) : options_(options) {
    options.validate();
    window_.resize(to_size(options.window));
    for (Index i = 0; i < options.window; ++i) {  // Hann's, whose period is its length
      at(window_, i) =
          0.5 - 0.5 * std::cos(2 * std::numbers::pi * static_cast<double>(i) / static_cast<double>(options.window));
    }
    make_filters();
  }

  /// Row i has the logarithm of the energy around sample i hop in each bin   // [frames, bins]
  ///   max(log10 max(energy, 1e-10), largest - 8) / 4 + 1
  /// Sound longer than the options' samples is cut off. In front of the first sample and behind the last one it is
  /// mirrored. Throws ValueError for another rate.
  [[nodiscard]] Tensor<float> operator()(std::span<const float> samples, Index rate) const {
    require(rate == options_.rate, "log_mel", "the sound has ", rate, " samples in a second, wanted are ",
            options_.rate, ": resample it first, for instance by sox or ffmpeg");
    const Index frames = options_.frames(), bins = options_.bins;
    Tensor<float> result(Shape{frames, bins});
    parallel_for(frames, kFramesAtOnce, [&](Index begin, Index end) {
      Eigen::FFT<double> transform;
      std::vector<double> frame(to_size(options_.window));
      std::vector<std::complex<double>> spectrum;
      for (Index i = begin; i < end; ++i) {
        for (Index j = 0; j < options_.window; ++j) {
          at(frame, j) = at(window_, j) * sample(samples, i * options_.hop + j - options_.window / 2);
        }
        transform.fwd(spectrum, frame);
        for (Index b = 0; b < bins; ++b) result(i, b) = static_cast<float>(log_energy(spectrum, b));
      }
    });
    const float largest = *std::max_element(result.values().begin(), result.values().end());
    for (float& value : result.values()) value = (std::max(value, largest - 8) + 4) / 4;
    return result;
  }

  [[nodiscard]] const LogMelOptions& options() const { return options_; }

 private:
  static constexpr Index kFramesAtOnce = 100;

  /// The weights of one bin: a triangle over some of the frequencies.
  struct Filter {
    Index first = 0;
    std::vector<double> weights;
  };

  /// Triangles whose corners are equally far apart in mel, from 0 to the highest frequency; bin b rises from corner b
  /// to b + 1 and falls to b + 2. Each has the same area (Slaney 1998).
  void make_filters() {
    const Index frequencies = options_.window / 2 + 1;
    const double step = static_cast<double>(options_.rate) / static_cast<double>(options_.window);
    const double highest = detail::mel_of(static_cast<double>(options_.rate) / 2);
    std::vector<double> corners(to_size(options_.bins + 2));
    for (std::size_t i = 0; i < corners.size(); ++i) {
      corners[i] = detail::hertz_of(highest * static_cast<double>(i) / static_cast<double>(corners.size() - 1));
    }
    filters_.resize(to_size(options_.bins));
    for (std::size_t b = 0; b < filters_.size(); ++b) {
      Filter& filter = filters_[b];
      for (Index k = 0; k < frequencies; ++k) {
        const double hertz = static_cast<double>(k) * step;
        const double rise = (hertz - corners[b]) / (corners[b + 1] - corners[b]);
        const double fall = (corners[b + 2] - hertz) / (corners[b + 2] - corners[b + 1]);
        const double weight = std::max(0.0, std::min(rise, fall)) * 2 / (corners[b + 2] - corners[b]);
        if (weight == 0) continue;
        if (filter.weights.empty()) filter.first = k;
        filter.weights.push_back(weight);
      }
    }
  }

  /// The sample at a place of the filled-up sound, which is mirrored at both ends.
  [[nodiscard]] double sample(std::span<const float> samples, Index place) const {
    if (place < 0) place = -place;
    if (place >= options_.samples) place = 2 * (options_.samples - 1) - place;
    return place < std::ssize(samples) ? static_cast<double>(at(samples, place)) : 0.0;
  }
  [[nodiscard]] double log_energy(const std::vector<std::complex<double>>& spectrum, Index bin) const {
    const Filter& filter = at(filters_, bin);
    double energy = 0;
    for (std::size_t k = 0; k < filter.weights.size(); ++k) {
      energy += filter.weights[k] * std::norm(spectrum[to_size(filter.first) + k]);
    }
    return std::log10(std::max(energy, 1e-10));
  }

  LogMelOptions options_;
  std::vector<double> window_;   // [window]
  std::vector<Filter> filters_;  // [bins]
};

}}  // namespace rapt::RAPT_ABI
