/// \file
/// Rotary positions (Su et al. 2021) and the ways to make them reach further than a model was trained for.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <type_traits>
#include <vector>

#include "rapt/autograd/ops/rotary.hpp"
#include "rapt/nn/positional_encoding.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// How frequencies change for sequences longer than the model was trained on.
enum class RotaryScaling {
  none,
  linear,    ///< all are divided by `factor`: positions are interpolated (Chen et al. 2023)
  dynamic,   ///< theta grows with the sequence, once that is longer than `max_positions` ("dynamic NTK")
  llama3,    ///< low ones are divided by `factor`, high ones stay, with a ramp between (Llama 3.1)
  yarn,      ///< the same with another ramp, and cosines and sines are stretched (Peng et al. 2023)
  longrope,  ///< each is divided by a factor of its own, which long sequences have others of (Ding et al. 2024; Phi-3)
};

[[nodiscard]] inline std::string to_string(RotaryScaling scaling) {
  constexpr const char* kNames[] = {"none", "linear", "dynamic", "llama3", "yarn", "longrope"};
  return kNames[static_cast<int>(scaling)];
}

/// A short list of numbers that is copied as plain memory, so that options which hold it cost no code to copy.
class RotaryFactors {
 public:
  /// The most numbers of a list; there are so many pairs in a head of 256 columns.
  static constexpr std::size_t kMost = 128;

  RotaryFactors() = default;
  RotaryFactors(std::initializer_list<double> values) {
    for (const double value : values) emplace_back() = value;
  }
  /// Adds a zero. Throws ValueError for more than kMost numbers.
  double& emplace_back() {
    require(size_ < kMost, "rotary", "at most ", kMost, " pairs can have factors of their own");
    values_[size_] = 0;
    return values_[size_++];
  }
  /// Takes all numbers out.
  void clear() { size_ = 0; }
  /// The last number; there must be one.
  [[nodiscard]] double& back() { return values_[size_ - 1]; }
  /// Number i, which is not checked.
  [[nodiscard]] double operator[](std::size_t i) const { return values_[i]; }
  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] const double* begin() const { return values_.data(); }
  [[nodiscard]] const double* end() const { return values_.data() + size_; }

  friend bool operator==(const RotaryFactors& a, const RotaryFactors& b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end());
  }

 private:
  std::array<double, kMost> values_ = {};
  std::size_t size_ = 0;
};
static_assert(std::is_trivially_copyable_v<RotaryFactors>);

/// The angles of rotary positions, and how they are scaled for longer texts.
struct RotaryOptions {
  double theta = 10000;        ///< pair i of r / 2 rotates by theta^(-2i / r) from one position to the next
  double rotated_ratio = 1;    ///< of each head's columns; the others have no position
  Index max_positions = 2048;  ///< length that the model was made for; `dynamic` begins behind it
  RotaryLayout layout = RotaryLayout::halves;  ///< which columns of a head are pairs

  RotaryScaling scaling = RotaryScaling::none;  ///< how frequencies change for longer sequences
  double factor = 1;  ///< how many times longer they may be, 1 at least; longrope reads it for attention_factor alone
  Index original_positions = 0;            ///< llama3, yarn, longrope: length before scaling; 0: max_positions
  double low_factor = 1, high_factor = 4;  ///< llama3: the rotations in that length where the ramp begins and ends
  double beta_slow = 1, beta_fast = 32;    ///< yarn: the same
  bool truncate = true;                    ///< yarn: the ramp begins and ends at whole pairs
  /// yarn, longrope: of cosines and sines. Unset: yarn has 1 + 0.1 log(factor), or what mscale and mscale_all give;
  /// longrope sqrt(1 + log(factor) / log(original length)).
  std::optional<double> attention_factor = {};
  double mscale = 0, mscale_all = 0;  ///< yarn: used if both are set (DeepSeek)
  RotaryFactors short_factors = {};   ///< longrope: of each pair, in sequences up to the original length
  RotaryFactors long_factors = {};    ///< longrope: of each pair, in longer sequences

  friend bool operator==(const RotaryOptions&, const RotaryOptions&) = default;

  /// Length before scaling.
  [[nodiscard]] Index original_length() const { return original_positions > 0 ? original_positions : max_positions; }
  /// How many of a head's columns are rotated.
  [[nodiscard]] Index rotated(Index head_dim) const {
    return static_cast<Index>(static_cast<double>(head_dim) * rotated_ratio);
  }

  /// Throws ValueError that names the values which do not fit.
  void validate(Index head_dim) const {
    constexpr std::string_view kWhere = "rotary";
    require(rotated_ratio > 0 && rotated_ratio <= 1, kWhere, "rotated_ratio must be in (0, 1]: ", rotated_ratio);
    require(rotated(head_dim) > 0 && rotated(head_dim) % 2 == 0, kWhere,
            "the number of rotated columns must be even: rotated_ratio ", rotated_ratio, " of head_dim = ", head_dim);
    require(theta > 1 && max_positions > 0 && original_positions >= 0, kWhere, "theta ", theta, ", max_positions ",
            max_positions, ", original_positions ", original_positions);
    require(factor >= 1 && std::isfinite(factor), kWhere, "factor must be at least 1: ", factor);
    require(scaling != RotaryScaling::dynamic || rotated(head_dim) > 2, kWhere,
            "dynamic scaling needs more than one pair of columns: head_dim = ", head_dim);
    require(low_factor > 0 && high_factor > low_factor, kWhere, "low_factor ", low_factor, ", high_factor ",
            high_factor);
    if (scaling == RotaryScaling::longrope) {
      const auto is_factor = [](double x) { return x > 0 && std::isfinite(x); };
      for (const RotaryFactors* factors : {&short_factors, &long_factors}) {
        require(
            std::ssize(*factors) == rotated(head_dim) / 2 && std::all_of(factors->begin(), factors->end(), is_factor),
            kWhere, "longrope needs a positive factor for each of ", rotated(head_dim) / 2,
            " pairs: short_factors has ", short_factors.size(), ", long_factors ", long_factors.size());
      }
    }
    require(beta_slow > 0 && beta_fast >= beta_slow, kWhere, "beta_slow ", beta_slow, ", beta_fast ", beta_fast);
  }
};

namespace detail {

/// 0 before `low`, 1 behind `high`, straight between.
[[nodiscard]] inline double ramp(double x, double low, double high) {
  if (low == high) high += 0.001;
  return std::clamp((x - low) / (high - low), 0.0, 1.0);
}

}  // namespace detail

/// The angle by which each of r / 2 pairs rotates from one position to the next, in a sequence of `length` tokens.
[[nodiscard]] inline std::vector<double> rotary_frequencies(const RotaryOptions& options, Index rotated, Index length) {
  constexpr double kTwoPi = 6.283185307179586476925;
  const auto r = static_cast<double>(rotated), max = static_cast<double>(options.max_positions);
  const auto original = static_cast<double>(options.original_length());
  const double factor = options.factor;
  double theta = options.theta;
  if (options.scaling == RotaryScaling::dynamic && length > options.max_positions) {
    theta *= std::pow(factor * static_cast<double>(length) / max - (factor - 1), r / (r - 2));
  }
  // The pair that makes so many rotations in the original length.
  const auto pair_of = [&](double rotations) {
    return r * std::log(original / (rotations * kTwoPi)) / (2 * std::log(theta));
  };
  double first = pair_of(options.beta_fast), last = pair_of(options.beta_slow);
  if (options.truncate) first = std::floor(first), last = std::ceil(last);
  first = std::max(first, 0.0), last = std::min(last, r - 1);

  std::vector<double> frequencies;
  for (Index i = 0; i < rotated / 2; ++i) {
    double frequency = std::pow(theta, -2 * static_cast<double>(i) / r);
    if (options.scaling == RotaryScaling::longrope) {
      frequency /= (length > options.original_length() ? options.long_factors : options.short_factors)[to_size(i)];
    }
    double slowed = 0;  // how much of it is divided by the factor
    if (options.scaling == RotaryScaling::linear) slowed = 1;
    if (options.scaling == RotaryScaling::llama3) {
      slowed = 1 - detail::ramp(original * frequency / kTwoPi, options.low_factor, options.high_factor);
    }
    if (options.scaling == RotaryScaling::yarn) slowed = detail::ramp(static_cast<double>(i), first, last);
    frequencies.push_back(frequency * (1 - slowed) + frequency / factor * slowed);
  }
  return frequencies;
}

/// What cosines and sines are multiplied by.
[[nodiscard]] inline double rotary_magnitude(const RotaryOptions& options) {
  const bool longrope = options.scaling == RotaryScaling::longrope;
  if (options.scaling != RotaryScaling::yarn && !longrope) return 1;
  if (options.attention_factor) return *options.attention_factor;
  if (longrope) {
    const auto original = static_cast<double>(options.original_length());
    return options.factor > 1 ? std::sqrt(1 + std::log(options.factor) / std::log(original)) : 1;
  }
  const auto growth = [&](double scale) { return 0.1 * scale * std::log(options.factor) + 1; };
  return options.mscale != 0 && options.mscale_all != 0 ? growth(options.mscale) / growth(options.mscale_all)
                                                        : growth(1);
}

/// Rotates heads by their positions. Copies share one table of cosines and sines, so that layers do.
///
/// With dynamic scaling and longrope the frequencies are those of each sequence's own length. While decoding that is
/// the length so far, and keys in a cache stay as they were rotated: behind `max_positions` (dynamic) or the original
/// length (longrope) the result is not that of the whole sequence at once.
template <class T = float>
class Rotary {
 public:
  /// A table of `kept` positions (fewer where heads are huge) is computed now; longer sequences compute theirs when
  /// they come. Throws ValueError for options that do not fit.
  explicit Rotary(Index head_dim, const RotaryOptions& options = {}, Index kept = 4096)
      : head_dim_(head_dim), options_(options) {
    options.validate(head_dim);
    constexpr Index kMostElements = Index{1} << 22;
    const Index rotated = options.rotated(head_dim);
    kept = std::min({kept, options.max_positions, kMostElements / rotated});
    if (options.scaling == RotaryScaling::longrope) kept = std::min(kept, options.original_length());
    Tensor<T> table(Shape{kept, rotated});
    if (kept > 0) {
      const auto frequencies = rotary_frequencies(options, rotated, kept);
      for (Index position = 0; position < kept; ++position) fill_row(table.row(position), frequencies, position);
    }
    table_ = std::make_shared<const Tensor<T>>(std::move(table));
  }

  /// x with its first `heads` heads rotated   // [N, ..]; `starts`: position of each sequence's first row (empty: 0)
  [[nodiscard]] Variable<T> operator()(Variable<T> x, const RowSplits& splits, Index heads,
                                       std::span<const Index> starts = {}) const {
    return rotary(std::move(x), angles(splits, starts),
                  {.first = 0, .count = heads, .head_dim = head_dim_, .layout = options_.layout});
  }

  /// The angles of each row's position.
  [[nodiscard]] RotaryAngles<T> angles(const RowSplits& splits, std::span<const Index> starts = {}) const {
    std::vector<std::int32_t> positions = detail::positions_of(splits, starts);
    const auto is_kept = [&](std::int32_t position) { return position < table_->rows(); };
    if (std::all_of(positions.begin(), positions.end(), is_kept)) return {table_, std::move(positions)};
    auto table = std::make_shared<Tensor<T>>(Shape{splits.rows(), table_->cols()});
    for (Index s = 0; s < splits.sequences(); ++s) {
      const Index start = starts.empty() ? 0 : starts[static_cast<std::size_t>(s)];
      const auto frequencies = rotary_frequencies(options_, table->cols(), start + splits.length(s));
      parallel_for(splits.length(s), 64, [&](Index begin, Index end) {
        for (Index i = begin; i < end; ++i) fill_row(table->row(splits.begin(s) + i), frequencies, start + i);
      });
    }
    for (std::size_t i = 0; i < positions.size(); ++i) positions[i] = static_cast<std::int32_t>(i);
    return {std::move(table), std::move(positions)};
  }

  [[nodiscard]] const RotaryOptions& options() const { return options_; }
  /// The columns of a head, rotated or not.
  [[nodiscard]] Index head_dim() const { return head_dim_; }

 private:
  /// [cosines | sines] of one position.
  void fill_row(T* row, const std::vector<double>& frequencies, Index position) const {
    const double magnitude = rotary_magnitude(options_);
    const std::size_t pairs = frequencies.size();
    for (std::size_t i = 0; i < pairs; ++i) {
      const double angle = static_cast<double>(position) * frequencies[i];
      row[i] = static_cast<T>(magnitude * std::cos(angle));
      row[pairs + i] = static_cast<T>(magnitude * std::sin(angle));
    }
  }

  Index head_dim_;
  RotaryOptions options_;
  std::shared_ptr<const Tensor<T>> table_;
};

}}  // namespace rapt::RAPT_ABI
