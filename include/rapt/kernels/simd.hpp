/// \file
/// Vectors without intrinsics, and the choice of instruction set at run time.
///
/// A kernel is written once, on the compiler's portable vector types, as a lambda that takes the instruction set as an
/// argument. `with_simd` calls it inside a function that carries the matching target attribute; as the lambda (and
/// everything it calls) is always inlined there, one source gives AVX-512, AVX2 and baseline code, whatever the flags:
///
///     with_simd([&](auto isa) __attribute__((always_inline)) {
///       for_lanes<float>(isa, n, [&](auto lanes, Index i) __attribute__((always_inline)) {
///         Vector<float, lanes> v;
///         load(v, x + i);
///         store(y + i, Vector<float, lanes>(v * v));
///       });
///     });
///
/// Vectors never pass by value through a function (their ABI depends on flags): they are locals and references.
#pragma once

#include <array>
#include <cmath>
#include <cstdint>
#include <type_traits>
#include <utility>

#include "rapt/core/cpu_features.hpp"
#include "rapt/core/index.hpp"
#include "rapt/core/shape.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace simd {

/// Instruction sets: bytes of a vector register, and the block of a matrix product that fits the register file
/// (rows x columns in vectors: accumulators + columns + 1 broadcast <= number of registers).
struct Avx512 {
  static constexpr int kBytes = 64, kGemmRows = 14, kGemmColumns = 2;
};
struct Avx2 {
  static constexpr int kBytes = 32, kGemmRows = 6, kGemmColumns = 2;
};
struct Baseline {
  static constexpr int kBytes = 16, kGemmRows = 4, kGemmColumns = 2;
};

template <class T, int kLanes>
struct VectorOf {
  typedef T Type __attribute__((vector_size(kLanes * sizeof(T))));
};
/// `kLanes` values of T in a register.
template <class T, int kLanes>
using Vector = typename VectorOf<T, kLanes>::Type;
/// As many values of T as a register of the instruction set holds.
template <class Isa, class T>
inline constexpr int kLanes = Isa::kBytes / static_cast<int>(sizeof(T));
template <class Isa, class T>
using Native = Vector<T, kLanes<Isa, T>>;

/// Vector <- memory and memory <- vector, of any alignment.
template <class V, class T>
[[gnu::always_inline]] inline void load(V& v, const T* from) {
  __builtin_memcpy(&v, from, sizeof(V));
}
template <class V, class T>
[[gnu::always_inline]] inline void store(T* to, const V& v) {
  __builtin_memcpy(to, &v, sizeof(V));
}

namespace detail {

#if defined(__x86_64__)
template <class F>
[[gnu::noinline, gnu::target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]] void call_avx512(const F& f) {
  f(Avx512{});
}
template <class F>
[[gnu::noinline, gnu::target("avx2,fma")]] void call_avx2(const F& f) {
  f(Avx2{});
}
#endif

}  // namespace detail

/// Calls f(isa) for the level in force. f must be always inlined and must not start threads: dispatch inside of parts.
template <class F>
[[gnu::always_inline]] inline void with_simd(const F& f) {
#if defined(__x86_64__)
  switch (simd_level()) {
    case SimdLevel::avx512:
      return detail::call_avx512(f);
    case SimdLevel::avx2:
      return detail::call_avx2(f);
    default:
      break;
  }
#endif
  f(Baseline{});
}

/// Walks 0 .. count in vectors: f(lanes, i) with lanes an integral constant, full vectors first, then single elements.
template <class T, class Isa, class F>
[[gnu::always_inline]] inline void for_lanes(Isa, Index count, const F& f) {
  constexpr int kWidth = kLanes<Isa, T>;
  Index i = 0;
  for (; i + kWidth <= count; i += kWidth) f(std::integral_constant<int, kWidth>{}, i);
  for (; i < count; ++i) f(std::integral_constant<int, 1>{}, i);
}

/// Sum (largest) of a vector's lanes, in a fixed tree order.
template <int kCount, class V>
[[gnu::always_inline]] inline auto sum_lanes(const V& v) {
  if constexpr (kCount == 1) {
    return v[0];
  } else {
    V folded;
    [&]<std::size_t... kI>(std::index_sequence<kI...>) __attribute__((always_inline)) {
      folded = v + __builtin_shufflevector(v, v, static_cast<int>((kI + kCount / 2) % sizeof...(kI))...);
    }
    (std::make_index_sequence<sizeof(V) / sizeof(v[0])>{});
    return sum_lanes<kCount / 2>(folded);
  }
}
template <int kCount, class V>
[[gnu::always_inline]] inline auto max_lanes(const V& v) {
  if constexpr (kCount == 1) {
    return v[0];
  } else {
    V folded;
    [&]<std::size_t... kI>(std::index_sequence<kI...>) __attribute__((always_inline)) {
      const V other = __builtin_shufflevector(v, v, static_cast<int>((kI + kCount / 2) % sizeof...(kI))...);
      folded = v > other ? v : other;
    }
    (std::make_index_sequence<sizeof(V) / sizeof(v[0])>{});
    return max_lanes<kCount / 2>(folded);
  }
}

/// Turns the square of lanes x lanes in `rows` over its diagonal: blocks off it change places, at each size from half
/// the square down to one element (Eklundh 1972).
template <class V, std::size_t kCount>
[[gnu::always_inline]] inline void transpose(V (&rows)[kCount]) {
  const auto exchange = [&]<std::size_t kBlock, std::size_t... kI>(
      std::integral_constant<std::size_t, kBlock>, std::index_sequence<kI...>) __attribute__((always_inline)) {
#pragma GCC unroll 16
    for (std::size_t i = 0; i < kCount; ++i) {
      if ((i & kBlock) != 0) continue;
      const V a = rows[i], b = rows[i + kBlock];
      rows[i] = __builtin_shufflevector(a, b, static_cast<int>((kI & kBlock) == 0 ? kI : kCount + kI - kBlock)...);
      rows[i + kBlock] =
          __builtin_shufflevector(a, b, static_cast<int>((kI & kBlock) == 0 ? kI + kBlock : kCount + kI)...);
    }
  };
  constexpr auto kLanesInOrder = std::make_index_sequence<kCount>{};
  if constexpr (kCount > 8) exchange(std::integral_constant<std::size_t, 8>{}, kLanesInOrder);
  if constexpr (kCount > 4) exchange(std::integral_constant<std::size_t, 4>{}, kLanesInOrder);
  if constexpr (kCount > 2) exchange(std::integral_constant<std::size_t, 2>{}, kLanesInOrder);
  exchange(std::integral_constant<std::size_t, 1>{}, kLanesInOrder);
}

namespace detail {

/// What exp needs of T.
template <class T>
struct ExpConstants {
  static constexpr bool kFloat = sizeof(T) == 4;
  using Bits = std::conditional_t<kFloat, std::int32_t, std::int64_t>;
  static constexpr T kLow = kFloat ? T(-87.336544) : T(-708.39641853226408);  // results are normal numbers from here
  static constexpr T kHigh = kFloat ? T(88.722839) : T(709.78271289338397);   // to here
  static constexpr T kLn2High = kFloat ? T(0.693359375) : T(6.93147180369123816490e-01);
  static constexpr T kLn2Low = kFloat ? T(-2.12194440e-4) : T(1.90821492927058770002e-10);
  static constexpr T kMagic = kFloat ? T(12582912.) : T(6755399441055744.);  // 1.5 * 2^(mantissa bits)
  static constexpr int kMantissa = kFloat ? 23 : 52, kDegree = kFloat ? 7 : 13;
  static constexpr Bits kBias = (Bits{1} << (kMantissa - (kFloat ? 16 : 42))) - 1;
};
/// As many integers of the same width as V has numbers.
template <class T, class V>
using BitsOf = Vector<typename ExpConstants<T>::Bits, static_cast<int>(sizeof(V) / sizeof(T))>;

/// r and n with x = n ln 2 + r, |r| <= ln(2) / 2 (Cody and Waite). Adding kMagic rounds to an integer, which the
/// lowest bits then hold; a compiler that may reorder sums would drop it, so clang is told not to.
template <class T, class V>
[[gnu::always_inline]] inline void reduce_exponent(const V& x, V& r, BitsOf<T, V>& n) {
#if defined(__clang__)
#pragma clang fp reassociate(off)
#endif
  using C = ExpConstants<T>;
  const V zero{}, shifted = x * T(1.44269504088896340736) + C::kMagic;
  const V rounded = shifted - C::kMagic;
  r = (x - rounded * C::kLn2High) - rounded * C::kLn2Low;
  n = (BitsOf<T, V>)shifted - (BitsOf<T, V>)(C::kMagic - zero);
}

/// sum <- r^0 / kFirst! + r^1 / (kFirst + 1)! + ..., the tail of e^r's Taylor polynomial.
template <int kFirst, class T, class V>
[[gnu::always_inline]] inline void exp_polynomial(const V& r, V& sum) {
  constexpr int kDegree = ExpConstants<T>::kDegree;
  constexpr auto kCoefficients = [] {  // 1 / k!
    std::array<T, kDegree + 1> c{};
    T factorial = 1;
    for (int k = 0; k <= kDegree; ++k) at(c, k) = T(1) / (factorial *= k > 0 ? T(k) : T(1));
    return c;
  }();
  V s = kCoefficients[kDegree] - V{};  // a local one: compilers see what value and derivative share
#pragma GCC unroll 16
  for (int k = kDegree - 1; k >= kFirst; --k) s = s * r + at(kCoefficients, k);
  sum = s;
}

}  // namespace detail

/// x <- e^x: e^r by its Taylor polynomial, 2^n by exponent bits. Relative error below 2 epsilon; 0 below the smallest
/// normal number; +infinity above the largest; NaN stays.
template <class T, class V>
[[gnu::always_inline]] inline void exp_in_place(V& x) {
#if defined(__clang__)
#pragma clang fp reassociate(off)
#endif
  using C = detail::ExpConstants<T>;
  using IntVector = detail::BitsOf<T, V>;
  const V zero{}, low = C::kLow - zero, high = C::kHigh - zero, infinity = T(INFINITY) - zero;
  const V clamped = x < low ? low : (x > high ? high : x);
  V r, sum;
  IntVector exponent;
  detail::reduce_exponent<T>(clamped, r, exponent);
  detail::exp_polynomial<0, T>(r, sum);
  // 2^n in two factors, as n = 128 (1024) has no exponent of its own.
  const IntVector half = exponent >> 1, bias = IntVector{} + C::kBias;
  const V scale1 = (V)((half + bias) << C::kMantissa), scale2 = (V)((exponent - half + bias) << C::kMantissa);
  const V result = sum * scale1 * scale2;
  x = x < low ? zero : (x > high ? infinity : result);
}

/// x <- e^x and rest <- 1 - e^x, of x <= 0. Relative errors of a few epsilon, that of 1 - e^x near 0, too; e^x is 0
/// below the smallest normal number; NaN stays.
template <class T, class V>
[[gnu::always_inline]] inline void exp_of_negative_in_place(V& x, V& rest) {
#if defined(__clang__)
#pragma clang fp reassociate(off)
#endif
  using C = detail::ExpConstants<T>;
  const V zero{}, low = C::kLow - zero;
  const V clamped = x < low ? low : x;
  V r, sum;
  detail::BitsOf<T, V> exponent;
  detail::reduce_exponent<T>(clamped, r, exponent);
  detail::exp_polynomial<1, T>(r, sum);
  const V scale = (V)((exponent + C::kBias) << C::kMantissa), grown = r * sum * scale;  // 2^n and 2^n (e^r - 1)
  rest = (T(1) - scale) - grown;
  x = x < low ? zero : grown + scale;
}

/// x <- log(1 + x) of 0 <= x <= 1 = 2 atanh(x / (2 + x)), by its series. Relative error of a few epsilon; NaN stays.
template <class T, class V>
[[gnu::always_inline]] inline void log1p_in_place(V& x) {
  constexpr int kTerms = sizeof(T) == 4 ? 7 : 16;
  const V z = x / (T(2) + x), square = z * z;
  V sum = T(1) / T(2 * kTerms - 1) - V{};
#pragma GCC unroll 16
  for (int k = kTerms - 2; k >= 0; --k) sum = sum * square + T(1) / T(2 * k + 1);
  x = T(2) * z * sum;
}

/// x <- tanh(x) = d / (2 - d) with d = 1 - e^-2|x|, and the sign of x. Relative error of a few epsilon.
template <class T, class V>
[[gnu::always_inline]] inline void tanh_in_place(V& x) {
  const V zero{};
  V e = x < zero ? x * T(2) : x * T(-2), d;
  exp_of_negative_in_place<T>(e, d);
  const V t = d / (T(2) - d);
  x = x < zero ? -t : t;
}

/// x <- erf(x), gauss <- e^-x^2. In float erf is Abramowitz and Stegun's 7.1.26 (absolute error below 1.5e-7), in
/// double the library's.
template <class T, class V>
[[gnu::always_inline]] inline void erf_in_place(V& x, V& gauss) {
  gauss = -x * x;
  exp_in_place<T>(gauss);
  if constexpr (sizeof(T) == 8) {
    for (std::size_t i = 0; i < sizeof(V) / sizeof(T); ++i) x[i] = std::erf(x[i]);
  } else {
    const V zero{}, magnitude = x < zero ? -x : x;
    const V t = T(1) / (T(1) + T(0.3275911) * magnitude);
    const V polynomial =
        ((((T(1.061405429) * t - T(1.453152027)) * t + T(1.421413741)) * t - T(0.284496736)) * t + T(0.254829592)) * t;
    const V result = T(1) - polynomial * gauss;
    x = x < zero ? -result : result;
  }
}

}}}  // namespace rapt::RAPT_ABI::simd
