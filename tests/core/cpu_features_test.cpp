/// \file
/// The SIMD level: detected, lowered by hand or by the environment, never raised beyond the processor.
#include "rapt/core/cpu_features.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <vector>

#include "tests/common/environment.hpp"
#include "tests/common/expect_close.hpp"
#include "tests/common/settings.hpp"

namespace {

using rapt::SimdLevel;

/// Prints the level that RAPT_SIMD=wish leads to, or the error, and exits.
[[noreturn]] void print_level_of(const char* wish) {
  rapt_test::set_variable("RAPT_SIMD", wish);
  try {
    std::fprintf(stderr, "level %s\n", to_string(rapt::simd_level()).c_str());
  } catch (const rapt::ValueError& error) {
    std::fprintf(stderr, "%s\n", error.what());
  }
  std::_Exit(0);
}

TEST(CpuFeatures, LevelsHaveNames) {
  EXPECT_EQ(to_string(SimdLevel::baseline), "baseline");
  EXPECT_EQ(to_string(SimdLevel::neon), "neon");
  EXPECT_EQ(to_string(SimdLevel::avx2), "avx2");
  EXPECT_EQ(to_string(SimdLevel::avx512), "avx512");
}

TEST(CpuFeatures, LevelCanBeLoweredAndRaisedAgain) {
  std::vector<SimdLevel> levels;
  const SimdLevel before = rapt::simd_level();
  rapt_test::for_every_simd_level([&] { levels.push_back(rapt::simd_level()); });
  EXPECT_EQ(levels.back(), rapt::detected_simd_level());
  EXPECT_TRUE(std::equal(levels.begin(), levels.end(), rapt::kSimdLevels.begin()));
  EXPECT_EQ(rapt::simd_level(), before);
}

TEST(CpuFeatures, LevelThatTheProcessorLacksIsRefused) {
  const std::string detected = to_string(rapt::detected_simd_level());
  for (const auto level : {SimdLevel::baseline, SimdLevel::neon, SimdLevel::avx2, SimdLevel::avx512}) {
    const bool is_here =
        std::find(rapt::kSimdLevels.begin(), rapt::kSimdLevels.end(), level) != rapt::kSimdLevels.end();
    if (is_here && level <= rapt::detected_simd_level()) continue;
    EXPECT_EQ(rapt_test::error_text<rapt::ValueError>([&] { rapt::set_simd_level(level); }),
              "[simd] this processor has " + detected + ", not " + to_string(level));
  }
}

#if defined(__x86_64__)
TEST(CpuFeatures, ExtensionsAreThoseThatTheCompilerFinds) {
#if defined(_WIN32) && !defined(__clang__) && !defined(RAPT_UNALIGNED_VECTOR_MOVES)
  GTEST_SKIP() << "vectors of more than 16 bytes are not used in this build";
#endif
  const auto& found = rapt::detail::x86_features();
  __builtin_cpu_init();
  EXPECT_EQ(found.avx2, __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"));
  EXPECT_EQ(found.avx512, __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                              __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"));
  EXPECT_EQ(found.avx512_vnni, found.avx512 && __builtin_cpu_supports("avx512vnni"));
  EXPECT_EQ(found.avx512_bf16, found.avx512 && __builtin_cpu_supports("avx512bf16"));
}
#endif

TEST(CpuFeaturesDeathTest, EnvironmentLowersTheLevel) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const auto exits = testing::ExitedWithCode(0);
  const std::string lowest = to_string(rapt::kSimdLevels.front()), highest = to_string(rapt::detected_simd_level());
  EXPECT_EXIT(print_level_of("baseline"), exits, "level " + lowest);
  EXPECT_EXIT(print_level_of("avx512"), exits, "level " + highest);
  EXPECT_EXIT(print_level_of(""), exits, "level " + highest);
  EXPECT_EXIT(print_level_of("sse9"), exits, "\\[simd\\] RAPT_SIMD must be baseline, neon, avx2 or avx512, not sse9");
}

}  // namespace
