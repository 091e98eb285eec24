/// \file
/// Random numbers from a counter: Philox4x32-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3").
///
/// Number i of stream s under a seed is a pure function of (seed, s, i). Any thread can therefore compute any number,
/// and results do not depend on how work is divided. The whole state of a generator is two integers.
#pragma once

#include <array>
#include <cmath>
#include <cstdint>
#include <span>
#include <utility>

#include "rapt/core/error.hpp"
#include "rapt/core/index.hpp"
#include "rapt/core/shape.hpp"

namespace rapt { inline namespace RAPT_ABI {

namespace detail {

inline constexpr std::uint32_t kPhiloxM0 = 0xD2511F53, kPhiloxM1 = 0xCD9E8D57;  // the paper's multipliers
inline constexpr std::uint32_t kPhiloxW0 = 0x9E3779B9, kPhiloxW1 = 0xBB67AE85;  // the paper's key increments
inline constexpr int kPhiloxRounds = 10;

/// Four random words for a 128-bit counter and a 64-bit key.
[[nodiscard]] constexpr std::array<std::uint32_t, 4> philox(std::array<std::uint32_t, 4> counter, std::uint64_t key) {
  auto k0 = static_cast<std::uint32_t>(key), k1 = static_cast<std::uint32_t>(key >> 32);
  for (int round = 0; round < kPhiloxRounds; ++round, k0 += kPhiloxW0, k1 += kPhiloxW1) {
    const std::uint64_t p0 = std::uint64_t{kPhiloxM0} * counter[0], p1 = std::uint64_t{kPhiloxM1} * counter[2];
    counter = {static_cast<std::uint32_t>(p1 >> 32) ^ counter[1] ^ k0, static_cast<std::uint32_t>(p1),
               static_cast<std::uint32_t>(p0 >> 32) ^ counter[3] ^ k1, static_cast<std::uint32_t>(p0)};
  }
  return counter;
}

}  // namespace detail

/// The address of the random numbers of one use, e.g. of one dropout.
struct RandomStream {
  /// The seed of the generator that the stream was taken from.
  std::uint64_t seed = 0;
  /// The number of the stream among those of its seed.
  std::uint64_t stream = 0;

  /// Words 4 i .. 4 i + 3 of the stream.
  [[nodiscard]] constexpr std::array<std::uint32_t, 4> block(std::uint64_t i) const {
    return detail::philox({static_cast<std::uint32_t>(i), static_cast<std::uint32_t>(i >> 32),
                           static_cast<std::uint32_t>(stream), static_cast<std::uint32_t>(stream >> 32)},
                          seed);
  }
};

/// A generator: a seed, and how many streams have been taken from it. A copy gives the same numbers as the original.
class Rng {
 public:
  /// All that the numbers to come follow from.
  struct State {
    /// The seed that the generator was made with.
    std::uint64_t seed = 0;
    /// How many streams have been taken from it.
    std::uint64_t streams_taken = 0;
    friend bool operator==(const State&, const State&) = default;
  };

  explicit Rng(std::uint64_t seed = 0) : state_{seed, 0} {}
  explicit Rng(const State& state) : state_(state) {}

  /// The whole state, from which the same generator can be made again.
  [[nodiscard]] const State& state() const { return state_; }

  /// A stream that nobody has used before.
  [[nodiscard]] RandomStream next_stream() { return {state_.seed, state_.streams_taken++}; }

  /// A uniform word of 64 bits. Takes one stream.
  [[nodiscard]] std::uint64_t bits() {
    const auto words = next_stream().block(0);
    return (std::uint64_t{words[0]} << 32) | words[1];
  }
  /// Uniform in [0, 1).
  [[nodiscard]] double uniform() { return static_cast<double>(bits() >> 11) * 0x1p-53; }
  /// Uniform in 0 .. bound - 1, without bias.
  [[nodiscard]] Index below(Index bound) {
    require(bound > 0, "rng", "below: the bound must be positive: ", bound);
    const auto n = static_cast<std::uint64_t>(bound);
    const std::uint64_t limit =
        ~std::uint64_t{0} - (~std::uint64_t{0} % n + 1) % n;  // last value of the last full cycle
    std::uint64_t value = bits();
    while (value > limit) value = bits();
    return static_cast<Index>(value % n);
  }

  /// Brings the values into a random order, each order with equal probability (Fisher-Yates).
  template <class T>
  void shuffle(std::span<T> values) {
    for (std::size_t i = values.size(); i > 1; --i) {
      std::swap(values[i - 1], at(values, below(static_cast<Index>(i))));
    }
  }

  /// Fills with numbers uniform in [low, high). Takes one stream for all values.
  template <class T>
  void fill_uniform(std::span<T> values, double low, double high) {
    const RandomStream stream = next_stream();
    for (std::size_t i = 0; i < values.size(); ++i) {
      const auto value = static_cast<T>(low + (high - low) * unit(stream, i)), end = static_cast<T>(high);
      values[i] = value < end
                      ? value
                      : std::nextafter(end, static_cast<T>(low));  // Rounding to T may have given `high` itself.
    }
  }
  /// Fills with normal numbers of the given mean and standard deviation (Box-Muller). Takes one stream for all values.
  template <class T>
  void fill_normal(std::span<T> values, double mean, double deviation) {
    const RandomStream stream = next_stream();
    constexpr double kTwoPi = 6.283185307179586476925;
    for (std::size_t i = 0; i < values.size(); ++i) {
      const double radius = std::sqrt(-2.0 * std::log(1.0 - unit(stream, 2 * i)));
      values[i] = static_cast<T>(mean + deviation * radius * std::cos(kTwoPi * unit(stream, 2 * i + 1)));
    }
  }

 private:
  // Number i of a stream, uniform in [0, 1). A block has two numbers.
  [[nodiscard]] static double unit(const RandomStream& stream, std::uint64_t i) {
    const auto words = stream.block(i / 2);
    const std::size_t at = i % 2 * 2;
    const std::uint64_t bits = (std::uint64_t{words[at]} << 32) | words[at + 1];
    return static_cast<double>(bits >> 11) * 0x1p-53;
  }

  State state_;
};

}}  // namespace rapt::RAPT_ABI
