/// \file
/// The vector instruction sets that the processor has, found at run time, so that a program compiled without any -m
/// flag runs the fastest kernels, too.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>

#include "rapt/core/error.hpp"
#include "rapt/core/first_use.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// The vector instruction sets that kernels are compiled for, in rising order. `baseline` has vectors of 16 bytes,
/// which the compiler targets without flags (SSE2 on x86-64, NEON on AArch64).
enum class SimdLevel { baseline, avx2, avx512 };

[[nodiscard]] inline std::string to_string(SimdLevel level) {
  switch (level) {
    case SimdLevel::avx512:
      return "avx512";
    case SimdLevel::avx2:
      return "avx2";
    default:
      return "baseline";
  }
}

/// The best level that this processor and operating system support.
[[nodiscard]] inline SimdLevel detected_simd_level() {
#if defined(__x86_64__)
  static constinit detail::FirstUse<const SimdLevel> level;
  return level.get([] {
    __builtin_cpu_init();
    const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
    return std::make_unique<const SimdLevel>(avx512 ? SimdLevel::avx512 : avx2 ? SimdLevel::avx2 : SimdLevel::baseline);
  });
#else
  return SimdLevel::baseline;
#endif
}

namespace detail {

/// The level in force: the detected one, or a lower one asked for by the environment variable RAPT_SIMD
/// (baseline, avx2, avx512).
inline std::atomic<SimdLevel>& simd_level_in_force() {
  static constinit FirstUse<std::atomic<SimdLevel>> level;
  return level.get([] {
    const char* wish = std::getenv("RAPT_SIMD");
    const SimdLevel detected = detected_simd_level();
    if (wish == nullptr || *wish == '\0') return std::make_unique<std::atomic<SimdLevel>>(detected);
    for (const SimdLevel lower : {SimdLevel::baseline, SimdLevel::avx2, SimdLevel::avx512}) {
      if (to_string(lower) == wish) return std::make_unique<std::atomic<SimdLevel>>(std::min(lower, detected));
    }
    fail("simd", "RAPT_SIMD must be baseline, avx2 or avx512, not ", std::string_view(wish));
  });
}

}  // namespace detail

/// The level that kernels run at.
[[nodiscard]] inline SimdLevel simd_level() { return detail::simd_level_in_force().load(std::memory_order_relaxed); }

/// Sets the level that kernels run at, e.g. to compare kernels. Throws ValueError for a level that the processor lacks.
inline void set_simd_level(SimdLevel level) {
  require(level <= detected_simd_level(), "simd", "this processor has ", detected_simd_level(), ", not ", level);
  detail::simd_level_in_force() = level;
}

}}  // namespace rapt::RAPT_ABI
