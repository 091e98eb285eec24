/// \file
/// The precision of float matrix products, in PyTorch's words, and the unit of the processor that computes the lower
/// ones.
#pragma once

#include <atomic>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#if defined(__x86_64__) && defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif

#include "rapt/core/cpu_features.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// How factors of float matrix products are rounded. Sums are float32 in each case, and products in double are never
/// rounded.
///   highest  float32
///   high     each factor split in two bfloat16, three products: about 16 bits of mantissa, relative error 4e-6
///   medium   factors rounded to bfloat16: 8 bits of mantissa, relative error 2e-3
enum class Precision { highest, high, medium };

/// The unit that multiplies bfloat16 pairs: none, in which case products are float32; portable C++, which is slow and
/// serves tests as the reference; NEON's products of 2 x 4 by 4 x 2 bfloat16; AVX-512's dot products, at most twice as
/// fast as float32; or AMX tiles.
enum class MatrixUnit { none, portable, neon_bf16, avx512_bf16, amx };

[[nodiscard]] inline std::string to_string(Precision precision) {
  return precision == Precision::highest ? "highest" : precision == Precision::high ? "high" : "medium";
}
[[nodiscard]] inline std::string to_string(MatrixUnit unit) {
  constexpr const char* kNames[] = {"none", "portable", "neon_bf16", "avx512_bf16", "amx"};
  return kNames[static_cast<int>(unit)];
}

/// The best unit that this processor has and the operating system permits to use.
[[nodiscard]] inline MatrixUnit detected_matrix_unit() {
#if defined(__x86_64__)
  static constinit detail::FirstUse<const MatrixUnit> unit;
  return unit.get([] {
    const auto found = [](MatrixUnit best) { return std::make_unique<const MatrixUnit>(best); };
    if (!detail::x86_features().avx512_bf16) return found(MatrixUnit::none);
#if defined(__linux__)
    if (detail::x86_features().amx_bf16) {
      // Linux grants tile state once per process, on request: arch_prctl(ARCH_REQ_XCOMP_PERM, XTILEDATA).
      if (syscall(SYS_arch_prctl, 0x1023, 18) == 0) return found(MatrixUnit::amx);
    }
#endif
    return found(MatrixUnit::avx512_bf16);
  });
#elif defined(__aarch64__)
  return detail::arm_features().bfloat16 ? MatrixUnit::neon_bf16 : MatrixUnit::none;
#else
  return MatrixUnit::none;
#endif
}

/// True if products can be computed on the unit here: the portable one and none everywhere, the others where the
/// processor has them.
[[nodiscard]] inline bool has_matrix_unit(MatrixUnit unit) {
  if (unit <= MatrixUnit::portable) return true;
  const MatrixUnit best = detected_matrix_unit();
  return unit == best || (unit == MatrixUnit::avx512_bf16 && best == MatrixUnit::amx);
}

namespace detail {

struct PrecisionState {
  std::atomic<Precision> precision{Precision::highest};
  std::atomic<MatrixUnit> unit{MatrixUnit::none};
  std::atomic<bool> unit_was_set{false};

  template <class Choice, std::size_t kCount>
  static Choice parse(const char* variable, std::string_view wish, const Choice (&choices)[kCount]) {
    for (const Choice choice : choices) {
      if (to_string(choice) == wish) return choice;
    }
    std::string names;
    for (const Choice choice : choices) names += (names.empty() ? "" : ", ") + to_string(choice);
    fail("precision", variable, " must be one of ", names, ", not ", wish);
  }

  PrecisionState() {
    unit = detected_matrix_unit();
    if (const char* wish = std::getenv("RAPT_PRECISION"); wish != nullptr && *wish != '\0') {
      precision = parse("RAPT_PRECISION", wish, {Precision::highest, Precision::high, Precision::medium});
    }
    if (const char* wish = std::getenv("RAPT_MATRIX_UNIT"); wish != nullptr && *wish != '\0') {
      set(parse(
          "RAPT_MATRIX_UNIT", wish,
          {MatrixUnit::none, MatrixUnit::portable, MatrixUnit::neon_bf16, MatrixUnit::avx512_bf16, MatrixUnit::amx}));
    }
  }

  void set(std::optional<MatrixUnit> wish) {
    require(!wish || has_matrix_unit(*wish), "precision", "this processor has ", detected_matrix_unit(), ", not ",
            wish.value_or(MatrixUnit::none));
    unit = wish.value_or(detected_matrix_unit());
    unit_was_set = wish.has_value();
  }
};

inline PrecisionState& precision_state() {
  static constinit FirstUse<PrecisionState> state;
  return state.get([] { return std::make_unique<PrecisionState>(); });
}

}  // namespace detail

/// The precision of all products of the program. At first it is `highest`, or what the environment variable
/// RAPT_PRECISION says.
[[nodiscard]] inline Precision precision() {
  return detail::precision_state().precision.load(std::memory_order_relaxed);
}
/// Sets the precision of the products of float matrices, for all threads of the program.
inline void set_precision(Precision precision) { detail::precision_state().precision = precision; }

/// Sets the unit on which `high` and `medium` are computed, even where float32 would be faster; the environment
/// variable RAPT_MATRIX_UNIT does the same. With std::nullopt the library chooses again. Throws ValueError for a unit
/// that the processor lacks.
inline void set_matrix_unit(std::optional<MatrixUnit> unit) { detail::precision_state().set(unit); }

/// The unit that products of a precision run on; `none` means float32. Unless one was set, the best that is faster than
/// float32: AMX for both lower precisions, dot products of AVX-512 and products of NEON for `medium` alone. The three
/// products of `high` take half again as long as one in float32 on AVX-512, and by NEON's tables about as long;
/// float32 is also more exact.
[[nodiscard]] inline MatrixUnit matrix_unit(Precision precision) {
  if (precision == Precision::highest) return MatrixUnit::none;
  const detail::PrecisionState& state = detail::precision_state();
  const MatrixUnit unit = state.unit.load(std::memory_order_relaxed);
  if (unit >= MatrixUnit::avx512_bf16 && simd_level() < SimdLevel::avx512) return MatrixUnit::none;
  if (state.unit_was_set.load(std::memory_order_relaxed)) return unit;
  const bool is_vector_unit = unit == MatrixUnit::avx512_bf16 || unit == MatrixUnit::neon_bf16;
  return is_vector_unit && precision == Precision::high ? MatrixUnit::none : unit;
}

}}  // namespace rapt::RAPT_ABI
