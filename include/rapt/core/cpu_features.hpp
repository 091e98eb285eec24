/// \file
/// The vector instruction sets that the processor has, found at run time, so that a program compiled without any -m
/// flag runs the fastest kernels, too.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>

#if defined(__x86_64__)
#include <cpuid.h>
#elif defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>
#elif defined(__aarch64__) && defined(__APPLE__)
#include <sys/sysctl.h>
#elif defined(__aarch64__) && defined(_WIN32)
extern "C" __declspec(dllimport) int __stdcall IsProcessorFeaturePresent(unsigned long feature);
#endif

#include "rapt/core/error.hpp"
#include "rapt/core/first_use.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// The vector instruction sets that kernels are compiled for, in rising order. `baseline` has vectors of 16 bytes,
/// which the compiler targets without flags (SSE2 on x86-64). `neon` is AArch64's, which every such processor has.
enum class SimdLevel { baseline, neon, avx2, avx512 };

/// The levels that kernels are compiled for on this architecture, in rising order. Every processor has the first one.
inline constexpr std::array kSimdLevels =
#if defined(__x86_64__)
    {SimdLevel::baseline, SimdLevel::avx2, SimdLevel::avx512};
#elif defined(__aarch64__)
    {SimdLevel::neon};
#else
    {SimdLevel::baseline};
#endif

[[nodiscard]] inline std::string to_string(SimdLevel level) {
  constexpr const char* kNames[] = {"baseline", "neon", "avx2", "avx512"};
  return kNames[static_cast<int>(level)];
}

namespace detail {

#if defined(__x86_64__)

/// The extensions of x86-64 that kernels use, each true if the processor has it and the operating system keeps its
/// registers. `avx2` includes FMA; `avx512` the parts F, BW, DQ and VL.
struct X86Features {
  bool avx2 = false, f16c = false, avx512 = false, avx512_vnni = false, avx512_bf16 = false, amx_bf16 = false;
};

[[nodiscard]] inline X86Features read_x86_features() {
#if defined(_WIN32) && !defined(__clang__) && !defined(RAPT_UNALIGNED_VECTOR_MOVES)
  // g++ for Windows aligns the stack to 16 bytes, yet moves vectors of 32 and 64 bytes to and from it by instructions
  // that demand their alignment (GCC's bug 54412). Programs that are assembled with -Wa,-muse-unaligned-vector-move say
  // so by RAPT_UNALIGNED_VECTOR_MOVES, as CMake's target does.
  return {};
#else
  X86Features found;
  const auto has = [](unsigned bits, int bit) { return (bits >> bit & 1u) != 0; };
  unsigned a = 0, b = 0, c = 0, d = 0;
  if (__get_cpuid(1, &a, &b, &c, &d) == 0 || !has(c, 27)) return found;  // no instruction that tells what is kept
  unsigned kept = 0, unused = 0;
  asm volatile("xgetbv" : "=a"(kept), "=d"(unused) : "c"(0));
  const bool keeps_avx = (kept & 0x6) == 0x6;
#if defined(__APPLE__)
  const bool keeps_avx512 = keeps_avx;  // kept from the first use on
#else
  const bool keeps_avx512 = (kept & 0xe6) == 0xe6;
#endif
  const bool has_fma = has(c, 12), has_f16c = has(c, 29);
  if (!keeps_avx || __get_cpuid_count(7, 0, &a, &b, &c, &d) == 0) return found;
  found.avx2 = has_fma && has(b, 5);
  found.f16c = has_f16c;
  found.avx512 = found.avx2 && keeps_avx512 && has(b, 16) && has(b, 17) && has(b, 30) && has(b, 31);
  found.avx512_vnni = found.avx512 && has(c, 11);
  const bool has_amx_bf16 = has(d, 22) && has(d, 24);
  if (!found.avx512 || a == 0 || __get_cpuid_count(7, 1, &a, &b, &c, &d) == 0) return found;
  found.avx512_bf16 = has(a, 5);
  found.amx_bf16 = found.avx512_bf16 && has_amx_bf16;
  return found;
#endif
}

[[nodiscard]] inline const X86Features& x86_features() {
  static constinit FirstUse<const X86Features> features;
  return features.get([] { return std::make_unique<const X86Features>(read_x86_features()); });
}

#elif defined(__aarch64__)

/// The extensions of AArch64 that kernels use beyond NEON: dot products of bytes (Armv8.2), products of 2 x 8 by 8 x 2
/// bytes and of 2 x 4 by 4 x 2 bfloat16 (Armv8.6).
struct ArmFeatures {
  bool dot_product = false, int8_matrix = false, bfloat16 = false;
};

[[nodiscard]] inline ArmFeatures read_arm_features() {
#if defined(__linux__)
  const unsigned long first = ::getauxval(AT_HWCAP), second = ::getauxval(AT_HWCAP2);
  return {.dot_product = (first >> 20 & 1) != 0,
          .int8_matrix = (second >> 13 & 1) != 0,
          .bfloat16 = (second >> 14 & 1) != 0};
#elif defined(__APPLE__)
  const auto has = [](const char* name) {
    int value = 0;
    std::size_t size = sizeof value;
    return ::sysctlbyname(name, &value, &size, nullptr, 0) == 0 && value != 0;
  };
  return {.dot_product = has("hw.optional.arm.FEAT_DotProd"),
          .int8_matrix = has("hw.optional.arm.FEAT_I8MM"),
          .bfloat16 = has("hw.optional.arm.FEAT_BF16")};
#elif defined(_WIN32)
  constexpr unsigned long kDotProducts = 43;  // PF_ARM_V82_DP_INSTRUCTIONS_AVAILABLE
  return {.dot_product = ::IsProcessorFeaturePresent(kDotProducts) != 0};
#else
  return {};
#endif
}

[[nodiscard]] inline const ArmFeatures& arm_features() {
  static constinit FirstUse<const ArmFeatures> features;
  return features.get([] { return std::make_unique<const ArmFeatures>(read_arm_features()); });
}

#endif

}  // namespace detail

/// The best level that this processor and operating system support.
[[nodiscard]] inline SimdLevel detected_simd_level() {
#if defined(__x86_64__)
  const detail::X86Features& features = detail::x86_features();
  return features.avx512 ? SimdLevel::avx512 : features.avx2 ? SimdLevel::avx2 : SimdLevel::baseline;
#else
  return kSimdLevels.back();
#endif
}

namespace detail {

/// The level in force: the detected one, or a lower one asked for by the environment variable RAPT_SIMD
/// (baseline, neon, avx2, avx512).
inline std::atomic<SimdLevel>& simd_level_in_force() {
  static constinit FirstUse<std::atomic<SimdLevel>> level;
  return level.get([] {
    const char* wish = std::getenv("RAPT_SIMD");
    const SimdLevel detected = detected_simd_level();
    if (wish == nullptr || *wish == '\0') return std::make_unique<std::atomic<SimdLevel>>(detected);
    for (const SimdLevel named : {SimdLevel::baseline, SimdLevel::neon, SimdLevel::avx2, SimdLevel::avx512}) {
      if (to_string(named) != wish) continue;
      SimdLevel lower = kSimdLevels.front();  // of this architecture's levels, the highest that is not above the wish
      for (const SimdLevel own : kSimdLevels) {
        if (own <= std::min(named, detected)) lower = own;
      }
      return std::make_unique<std::atomic<SimdLevel>>(lower);
    }
    fail("simd", "RAPT_SIMD must be baseline, neon, avx2 or avx512, not ", std::string_view(wish));
  });
}

}  // namespace detail

/// The level that kernels run at.
[[nodiscard]] inline SimdLevel simd_level() { return detail::simd_level_in_force().load(std::memory_order_relaxed); }

/// Sets the level that kernels run at, e.g. to compare kernels. Throws ValueError for a level that the processor lacks.
inline void set_simd_level(SimdLevel level) {
  const bool is_here = std::find(kSimdLevels.begin(), kSimdLevels.end(), level) != kSimdLevels.end();
  require(is_here && level <= detected_simd_level(), "simd", "this processor has ", detected_simd_level(), ", not ",
          level);
  detail::simd_level_in_force() = level;
}

}}  // namespace rapt::RAPT_ABI
