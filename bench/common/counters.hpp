/// \file
/// What the benchmarks report, and the random numbers that they compute on.
#pragma once

#include <benchmark/benchmark.h>

#include <rapt/core/rng.hpp>
#include <rapt/core/tensor.hpp>
#include <rapt/core/token_batch.hpp>

#include <algorithm>
#include <chrono>
#include <vector>

namespace bench {

/// What every iteration does so much of, a second.
[[nodiscard]] inline benchmark::Counter per_second(double amount) {
  return benchmark::Counter(amount, benchmark::Counter::kIsIterationInvariantRate, benchmark::Counter::kIs1000);
}
[[nodiscard]] inline benchmark::Counter per_second(rapt::Index amount) {
  return per_second(static_cast<double>(amount));
}

/// Seconds from its construction on.
class Stopwatch {
 public:
  [[nodiscard]] double seconds() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

/// p50 and p99, in milliseconds, of the seconds that iterations took.
inline void report_percentiles(benchmark::State& state, std::vector<double> seconds) {
  if (seconds.empty()) return;
  std::sort(seconds.begin(), seconds.end());
  const auto at = [&](double share) {
    return 1e3 * seconds[static_cast<std::size_t>(share * static_cast<double>(seconds.size() - 1))];
  };
  state.counters["p50 ms"] = at(0.5);
  state.counters["p99 ms"] = at(0.99);
}

/// Uniform in [-1, 1).
template <class T = float>
[[nodiscard]] rapt::Tensor<T> random(rapt::Shape shape, std::uint64_t seed = 1) {
  rapt::Tensor<T> values(shape);
  rapt::Rng(seed).fill_uniform(values.values(), -1, 1);
  return values;
}

/// Ids from 3 on: 0 to 2 have a meaning of their own.
[[nodiscard]] inline std::vector<rapt::TokenId> random_tokens(rapt::Index count, rapt::Index vocabulary,
                                                              std::uint64_t seed = 1) {
  std::vector<rapt::TokenId> tokens(static_cast<std::size_t>(count));
  rapt::Rng rng(seed);
  for (rapt::TokenId& token : tokens) token = static_cast<rapt::TokenId>(3 + rng.below(vocabulary - 3));
  return tokens;
}

}  // namespace bench
