/// \file
/// Running a check under every instruction set and several thread counts, and putting the settings back.
#pragma once

#include <gtest/gtest.h>

#include "rapt/core/cpu_features.hpp"
#include "rapt/core/precision.hpp"
#include "rapt/core/thread_pool.hpp"

#include "tests/common/expect_close.hpp"

namespace rapt_test {

/// Calls check() once for each instruction set that this processor has.
template <class Check>
void for_every_simd_level(const Check& check) {
  const rapt::SimdLevel before = rapt::simd_level();
  for (const auto level : rapt::kSimdLevels) {
    if (level > rapt::detected_simd_level()) break;
    const testing::ScopedTrace trace(__FILE__, __LINE__, "SIMD level " + to_string(level));
    rapt::set_simd_level(level);
    check();
  }
  rapt::set_simd_level(before);
}

/// Calls check(precision, unit) for `high` and `medium` on each unit that multiplies bfloat16 here, the portable one
/// included, and puts back what was set.
template <class Check>
void for_every_matrix_unit(const Check& check) {
  const rapt::Precision before = rapt::precision();
  for (const auto unit : {rapt::MatrixUnit::portable, rapt::MatrixUnit::neon_bf16, rapt::MatrixUnit::avx512_bf16,
                          rapt::MatrixUnit::amx}) {
    if (!rapt::has_matrix_unit(unit)) continue;
    rapt::set_matrix_unit(unit);
    for (const auto precision : {rapt::Precision::high, rapt::Precision::medium}) {
      const testing::ScopedTrace trace(__FILE__, __LINE__, to_string(precision) + " on " + to_string(unit));
      rapt::set_precision(precision);
      check(precision, unit);
    }
  }
  rapt::set_precision(before);
  rapt::set_matrix_unit(std::nullopt);
}

/// Products in float32 until the scope ends, for what is compared with float32 token for token.
class HighestPrecision {
 public:
  HighestPrecision() { rapt::set_precision(rapt::Precision::highest); }
  ~HighestPrecision() { rapt::set_precision(before_); }
  HighestPrecision(const HighestPrecision&) = delete;
  HighestPrecision& operator=(const HighestPrecision&) = delete;

 private:
  rapt::Precision before_ = rapt::precision();
};

/// Calls check() with 1, 2 and 3 threads.
template <class Check>
void for_every_thread_count(const Check& check) {
  const rapt::Index before = rapt::threads();
  for (const rapt::Index count : {1, 2, 3}) {
    const testing::ScopedTrace trace(__FILE__, __LINE__, std::to_string(count) + " threads");
    rapt::set_threads(count);
    check();
  }
  rapt::set_threads(before);
}

/// Expects that compute() returns the same bits with 1, 2 and 3 threads.
template <class Compute>
void expect_same_bits_on_any_threads(const Compute& compute) {
  decltype(compute()) first{};
  bool has_first = false;
  for_every_thread_count([&] {
    auto result = compute();
    if (has_first) {
      EXPECT_TRUE(same_bits(first, result));
    } else {
      first = std::move(result);
      has_first = true;
    }
  });
}

}  // namespace rapt_test
