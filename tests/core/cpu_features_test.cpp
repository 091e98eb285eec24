/// \file
/// The SIMD level: detected, lowered by hand or by the environment, never raised beyond the processor.
#include "rapt/core/cpu_features.hpp"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <cstdio>

#include "tests/common/settings.hpp"

namespace {

using rapt::SimdLevel;

/// Prints the level that RAPT_SIMD=wish leads to, or the error, and exits.
[[noreturn]] void print_level_of(const char* wish) {
  ::setenv("RAPT_SIMD", wish, 1);
  try {
    std::fprintf(stderr, "level %s\n", to_string(rapt::simd_level()).c_str());
  } catch (const rapt::ValueError& error) {
    std::fprintf(stderr, "%s\n", error.what());
  }
  std::_Exit(0);
}

TEST(CpuFeatures, LevelsHaveNames) {
  EXPECT_EQ(to_string(SimdLevel::baseline), "baseline");
  EXPECT_EQ(to_string(SimdLevel::avx2), "avx2");
  EXPECT_EQ(to_string(SimdLevel::avx512), "avx512");
}

TEST(CpuFeatures, LevelCanBeLoweredAndRaisedAgain) {
  int levels = 0;
  const SimdLevel before = rapt::simd_level();
  rapt_test::for_every_simd_level([&] { levels += rapt::simd_level() <= rapt::detected_simd_level(); });
  EXPECT_EQ(levels, static_cast<int>(rapt::detected_simd_level()) + 1);
  EXPECT_EQ(rapt::simd_level(), before);
}

TEST(CpuFeatures, LevelThatTheProcessorLacksIsRefused) {
  if (rapt::detected_simd_level() == SimdLevel::avx512) GTEST_SKIP() << "this processor has every level";
  EXPECT_THROW(rapt::set_simd_level(SimdLevel::avx512), rapt::ValueError);
}

TEST(CpuFeaturesDeathTest, EnvironmentLowersTheLevel) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(print_level_of("baseline"), testing::ExitedWithCode(0), "level baseline");
  EXPECT_EXIT(print_level_of("avx512"), testing::ExitedWithCode(0), "level " + to_string(rapt::detected_simd_level()));
  EXPECT_EXIT(print_level_of(""), testing::ExitedWithCode(0), "level " + to_string(rapt::detected_simd_level()));
  EXPECT_EXIT(print_level_of("sse9"), testing::ExitedWithCode(0),
              "\\[simd\\] RAPT_SIMD must be baseline, avx2 or avx512, not sse9");
}

}  // namespace
