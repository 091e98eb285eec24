/// \file
/// What this machine computes at most, measured: what the share of the peak is a share of.
#pragma once

#include <rapt/core/precision.hpp>
#include <rapt/core/thread_pool.hpp>
#include <rapt/kernels/simd.hpp>

#include <cstdint>
#include <map>
#include <string>
#include <utility>

#include "counters.hpp"

namespace bench {

/// What multiplies and adds: vectors of the instruction set in force (RAPT_SIMD lowers it), AVX-512's dot products of
/// bfloat16 pairs, or AMX tiles.
enum class Unit { float32, float64, avx512_bf16, amx };

[[nodiscard]] inline std::string to_string(Unit unit) {
  constexpr const char* kNames[] = {"float32", "float64", "avx512_bf16", "amx"};
  return kNames[static_cast<int>(unit)];
}

[[nodiscard]] inline bool is_available(Unit unit) {
  if (unit == Unit::amx) return rapt::detected_matrix_unit() == rapt::MatrixUnit::amx;
  if (unit == Unit::avx512_bf16) return rapt::detected_matrix_unit() >= rapt::MatrixUnit::avx512_bf16;
  return true;
}

namespace detail {

/// Operations that do not wait for one another: more than any processor has under way (latency times throughput), and
/// few enough to stay in 16 registers.
inline constexpr int kChains = 12;
inline constexpr int kRounds = 20000;  // of a burst: less than a millisecond

/// Computes for a moment in registers alone; returns how many floating-point operations these were.
template <class T>
[[gnu::noinline]] double fma_burst() {
  double flops = 0;
  rapt::simd::with_simd([&](auto isa) __attribute__((always_inline)) {
    using V = rapt::simd::Native<decltype(isa), T>;
    V sums[kChains], factor = T(0.999) - V{}, shift = T(0.001) - V{};
#pragma GCC unroll 12
    for (int i = 0; i < kChains; ++i) sums[i] = static_cast<T>(i) - V{};  // equal chains would be computed once
    for (int round = 0; round < kRounds; ++round) {
#pragma GCC unroll 12
      for (int i = 0; i < kChains; ++i) sums[i] = sums[i] * factor + shift;
    }
#pragma GCC unroll 12
    for (int i = 1; i < kChains; ++i) sums[0] += sums[i];
    asm volatile("" : : "m"(sums[0]));  // somebody reads it
    flops = 2.0 * rapt::simd::kLanes<decltype(isa), T> * kChains * kRounds;
  });
  return flops;
}

#if defined(__x86_64__)

/// Two products a lane, with float32 sums.
[[gnu::noinline, gnu::target("avx512f,avx512bf16")]] inline double bf16_burst() {
  using V = rapt::simd::Vector<float, 16>;
  V sums[kChains] = {};
  const V ones = 1.f - V{};  // any bits serve as factors
  for (int round = 0; round < kRounds; ++round) {
#pragma GCC unroll 12
    for (int i = 0; i < kChains; ++i) asm volatile("vdpbf16ps %1, %1, %0" : "+v"(sums[i]) : "v"(ones));
  }
  return 2.0 * 2 * 16 * kChains * kRounds;
}

/// Products of 16 x 32 by 32 x 16 bfloat16 tiles with float32 sums: four chains, as tiles are eight. What the thread's
/// tiles are configured for is put back, but not what they hold.
[[gnu::noinline, gnu::target("amx-tile,amx-bf16")]] inline double amx_burst() {
  struct alignas(64) Config {
    std::uint8_t palette = 1, start_row = 0, reserved[14] = {};
    std::uint16_t column_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
    std::uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
  } config, before;
  alignas(64) std::uint16_t ones[16 * 32];
  for (std::uint16_t& value : ones) value = 0x3f80;  // 1 in bfloat16
  asm volatile("sttilecfg %0" : "=m"(before));
  asm volatile("ldtilecfg %0" : : "m"(config));
  asm volatile(
      "tilezero %%tmm0\n\ttilezero %%tmm1\n\ttilezero %%tmm2\n\ttilezero %%tmm3\n\t"
      "tileloadd (%0, %1), %%tmm4\n\ttileloadd (%0, %1), %%tmm5\n\t"
      "tileloadd (%0, %1), %%tmm6\n\ttileloadd (%0, %1), %%tmm7"
      :
      : "r"(ones), "r"(std::int64_t{64})
      : "memory");
  for (int round = 0; round < kRounds; ++round) {
    asm volatile(
        "tdpbf16ps %tmm6, %tmm4, %tmm0\n\ttdpbf16ps %tmm7, %tmm4, %tmm1\n\t"
        "tdpbf16ps %tmm6, %tmm5, %tmm2\n\ttdpbf16ps %tmm7, %tmm5, %tmm3");
  }
  asm volatile("ldtilecfg %0" : : "m"(before));
  return 2.0 * 16 * 16 * 32 * 4 * kRounds;
}

#endif

}  // namespace detail

/// Floating-point operations of a burst on the calling thread.
inline double burst(Unit unit) {
  switch (unit) {
    case Unit::float64:
      return detail::fma_burst<double>();
#if defined(__x86_64__)
    case Unit::avx512_bf16:
      return detail::bf16_burst();
    case Unit::amx:
      return detail::amx_burst();
#endif
    default:
      return detail::fma_burst<float>();
  }
}

/// FLOP/s of a unit on `rapt::threads()` threads: the best of 20 runs of some milliseconds, measured at the first call
/// and remembered.
[[nodiscard]] inline double peak(Unit unit) {
  static std::map<std::pair<Unit, rapt::Index>, double> known;
  double& best = known[{unit, rapt::threads()}];
  if (best > 0) return best;
  const rapt::Index bursts = 16 * rapt::threads();  // so many that no thread waits long for the last
  const double flops = burst(unit) * static_cast<double>(bursts);
  for (int run = 0; run < 20; ++run) {
    const Stopwatch watch;
    rapt::parallel_parts(bursts, [&](rapt::Index) { burst(unit); });
    best = std::max(best, flops / watch.seconds());
  }
  return best;
}

/// What multiplies T in the precision in force, and how many products it takes for one.
template <class T>
[[nodiscard]] std::pair<Unit, int> unit_in_force() {
  if constexpr (sizeof(T) == 8) return {Unit::float64, 1};
  const int products = rapt::precision() == rapt::Precision::high ? 3 : 1;
  const rapt::MatrixUnit unit = rapt::matrix_unit(rapt::precision());
  if (unit == rapt::MatrixUnit::amx) return {Unit::amx, products};
  if (unit == rapt::MatrixUnit::avx512_bf16) return {Unit::avx512_bf16, products};
  return {Unit::float32, 1};
}

/// FLOP/s and their share of the peak of the unit in force, for matrix products of `flops` an iteration that took so
/// many seconds together. Call it behind the loop: the first call measures the peak.
template <class T = float>
void report_flops(benchmark::State& state, double flops, double seconds) {
  const auto [unit, products] = unit_in_force<T>();
  state.counters["FLOP/s"] = per_second(flops);
  state.counters["peak share"] = products * flops * static_cast<double>(state.iterations()) / seconds / peak(unit);
}

}  // namespace bench
