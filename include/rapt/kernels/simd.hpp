/// \file
/// Vectors without intrinsics, the choice of instruction set at run time, and elementary functions on vectors.
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
/// No function takes or returns a vector by value, as the calling convention of vectors depends on flags: they are
/// local variables and references.
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

/// Instruction sets: kBytes, the bytes of a vector register, and the largest register block of a matrix product, which
/// has kGemmRows rows x kGemmColumns vectors. Its sums, the vectors of a row of the right operand and one broadcast
/// must fit the registers: 14 * 2 + 2 + 1 <= 32 for AVX-512, 5 * 4 + 4 + 5 <= 32 for NEON, whose compilers load the
/// elements of all rows before they use them, and 16 registers for the others.
struct Avx512 {
  static constexpr int kBytes = 64, kGemmRows = 14, kGemmColumns = 2;
};
/// AVX2: vectors of 32 bytes.
struct Avx2 {
  static constexpr int kBytes = 32, kGemmRows = 6, kGemmColumns = 2;  ///< see Avx512
};
/// NEON of 64-bit ARM: vectors of 16 bytes, 32 of them.
struct Neon {
  static constexpr int kBytes = 16, kGemmRows = 5, kGemmColumns = 4;  ///< see Avx512
};
/// What every processor has: vectors of 16 bytes.
struct Baseline {
  static constexpr int kBytes = 16, kGemmRows = 4, kGemmColumns = 2;  ///< see Avx512
};

/// The compiler's vector type of `kLanes` values of T.
template <class T, int kLanes>
struct VectorOf {
  typedef T Type __attribute__((vector_size(kLanes * sizeof(T))));  ///< has the operators of numbers, lane by lane
};
/// A vector of `kLanes` values of T.
template <class T, int kLanes>
using Vector = typename VectorOf<T, kLanes>::Type;
/// The number of values of T that a register of the instruction set holds, and the vector of so many.
template <class Isa, class T>
inline constexpr int kLanes = Isa::kBytes / static_cast<int>(sizeof(T));
/// The widest vector of T that the instruction set Isa has.
template <class Isa, class T>
using Native = Vector<T, kLanes<Isa, T>>;

/// Reads a vector from memory of any alignment.
template <class V, class T>
[[gnu::always_inline]] inline void load(V& v, const T* from) {
  __builtin_memcpy(&v, from, sizeof(V));
}
/// Writes a vector to memory of any alignment.
template <class V, class T>
[[gnu::always_inline]] inline void store(T* to, const V& v) {
  __builtin_memcpy(to, &v, sizeof(V));
}

/// bits <- the numbers of 16 bits at `from` in the upper halves of the lanes, as bfloat16 stands in float32; the lower
/// halves are 0.
template <int kWidth>
[[gnu::always_inline]] inline void load_upper_halves(Vector<std::uint32_t, kWidth>& bits, const std::uint16_t* from) {
  if constexpr (kWidth == 4) {  // compilers would convert half a register element by element
    Vector<std::uint16_t, 8> zero{}, halves{};
    __builtin_memcpy(&halves, from, 8);
    bits = (Vector<std::uint32_t, 4>)__builtin_shufflevector(zero, halves, 0, 8, 1, 9, 2, 10, 3, 11);
  } else {
    Vector<std::uint16_t, kWidth> halves;
    load(halves, from);
    bits = __builtin_convertvector(halves, Vector<std::uint32_t, kWidth>) << 16;
  }
}
/// to[i] = the upper half of lane i of `bits`, which load_upper_halves puts back.
template <int kWidth>
[[gnu::always_inline]] inline void store_upper_halves(std::uint16_t* to, const Vector<std::uint32_t, kWidth>& bits) {
  if constexpr (kWidth == 4) {
    const auto halves = (Vector<std::uint16_t, 8>)bits;
    const Vector<std::uint16_t, 8> upper = __builtin_shufflevector(halves, halves, 1, 3, 5, 7, 1, 3, 5, 7);
    __builtin_memcpy(to, &upper, 8);
  } else {
    const Vector<std::uint32_t, kWidth> upper = bits >> 16;
    store(to, __builtin_convertvector(upper, Vector<std::uint16_t, kWidth>));
  }
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

/// Calls f(isa) for the instruction set in force. f must be always inlined. It must not start threads: a parallel
/// kernel calls with_simd inside each part of its work.
template <class F>
[[gnu::always_inline]] inline void with_simd(const F& f) {
#if defined(__x86_64__)
  switch (simd_level()) {
    case SimdLevel::avx512:
      return detail::call_avx512(f);
    case SimdLevel::avx2:
      return detail::call_avx2(f);
    default:
      return f(Baseline{});
  }
#elif defined(__aarch64__)
  f(Neon{});
#else
  f(Baseline{});
#endif
}

/// Calls f(lanes, i) for elements i .. i + lanes until 0 .. count is covered: whole vectors first, then single
/// elements. `lanes` is an integral constant, so that the type Vector<T, lanes> can be named.
template <class T, class Isa, class F>
[[gnu::always_inline]] inline void for_lanes(Isa, Index count, const F& f) {
  constexpr int kWidth = kLanes<Isa, T>;
  Index i = 0;
  for (; i + kWidth <= count; i += kWidth) f(std::integral_constant<int, kWidth>{}, i);
  for (; i < count; ++i) f(std::integral_constant<int, 1>{}, i);
}

/// The sum of a vector's lanes, and the largest of them: halves are combined until one lane is left, always in this
/// order.
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
/// The largest of the first `kCount` lanes.
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

/// Transposes the square of lanes x lanes elements in `rows`: the two blocks off the diagonal change places, for blocks
/// of half the square, then inside each block for blocks of a quarter, down to single elements (Eklundh 1972).
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

/// The constants of exp for T.
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
/// A vector of as many integers as V has numbers, of the same width.
template <class T, class V>
using BitsOf = Vector<typename ExpConstants<T>::Bits, static_cast<int>(sizeof(V) / sizeof(T))>;

/// Gives r and n with x = n ln 2 + r and |r| <= ln(2) / 2 (Cody and Waite 1980). Adding kMagic rounds x / ln 2 to an
/// integer, which the lowest bits of the sum then hold. A compiler that may reassociate sums would remove kMagic, so
/// clang is told not to.
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

/// sum <- r^0 / kFirst! + r^1 / (kFirst + 1)! + ..., the Taylor polynomial of e^r from the term kFirst on, divided by
/// r^kFirst.
template <int kFirst, class T, class V>
[[gnu::always_inline]] inline void exp_polynomial(const V& r, V& sum) {
  constexpr int kDegree = ExpConstants<T>::kDegree;
  constexpr auto kCoefficients = [] {  // 1 / k!
    std::array<T, kDegree + 1> c{};
    T factorial = 1;
    for (int k = 0; k <= kDegree; ++k) at(c, k) = T(1) / (factorial *= k > 0 ? T(k) : T(1));
    return c;
  }();
  V s =
      kCoefficients[kDegree] - V{};  // A local variable lets compilers see what an activation and its derivative share.
#pragma GCC unroll 16
  for (int k = kDegree - 1; k >= kFirst; --k) s = s * r + at(kCoefficients, k);
  sum = s;
}

}  // namespace detail

/// x <- e^x = 2^n e^r, with e^r by its Taylor polynomial and 2^n by exponent bits. The relative error is below 2
/// epsilon. The result is 0 where e^x is below the smallest normal number, and infinity above the largest; NaN stays.
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
  // 2^n is made of two factors, as 2^128 (2^1024 in double) is no number although e^x may still be one.
  const IntVector half = exponent >> 1, bias = IntVector{} + C::kBias;
  const V scale1 = (V)((half + bias) << C::kMantissa), scale2 = (V)((exponent - half + bias) << C::kMantissa);
  const V result = sum * scale1 * scale2;
  x = x < low ? zero : (x > high ? infinity : result);
}

/// x <- e^x and rest <- 1 - e^x for x <= 0. The relative errors are a few epsilon, also that of 1 - e^x near 0, which
/// is computed without cancellation. e^x is 0 where it is below the smallest normal number; NaN stays.
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

/// x <- log(1 + x) for 0 <= x <= 1, as the series of 2 atanh(x / (2 + x)). The relative error is a few epsilon; NaN
/// stays.
template <class T, class V>
[[gnu::always_inline]] inline void log1p_in_place(V& x) {
  constexpr int kTerms = sizeof(T) == 4 ? 7 : 16;
  const V z = x / (T(2) + x), square = z * z;
  V sum = T(1) / T(2 * kTerms - 1) - V{};
#pragma GCC unroll 16
  for (int k = kTerms - 2; k >= 0; --k) sum = sum * square + T(1) / T(2 * k + 1);
  x = T(2) * z * sum;
}

/// x <- tanh(x), as d / (2 - d) with d = 1 - e^-2|x| and the sign of x. The relative error is a few epsilon.
template <class T, class V>
[[gnu::always_inline]] inline void tanh_in_place(V& x) {
  const V zero{};
  V e = x < zero ? x * T(2) : x * T(-2), d;
  exp_of_negative_in_place<T>(e, d);
  const V t = d / (T(2) - d);
  x = x < zero ? -t : t;
}

/// x <- erf(x) and gauss <- e^(-x^2). In float, erf is formula 7.1.26 of Abramowitz and Stegun (absolute error below
/// 1.5e-7); in double it is the standard library's.
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
