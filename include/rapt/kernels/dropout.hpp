/// \file
/// Dropout (Srivastava et al. 2014). The mask is never stored: forward and backward both compute the factor of an
/// element, 0 or 1 / (1 - rate), from the counter-based random numbers of core/rng.hpp.
#pragma once

#include "rapt/core/rng.hpp"
#include "rapt/kernels/elementwise.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace kernels {

/// One use of dropout: its random numbers, and the probability with which an element becomes zero. Rate 0 means no
/// dropout.
struct Dropout {
  RandomStream stream;  ///< of this use alone; its backward takes the same
  float rate = 0.f;     ///< the probability, in [0, 1); what stays is multiplied by 1 / (1 - rate)

  /// False if all elements stay as they are.
  [[nodiscard]] bool active() const { return rate > 0.f; }
};

/// Each row of a matrix takes a multiple of this many elements in the numbering of a dropout's random numbers.
inline constexpr Index kDropoutGroup = 64;

/// The number of elements that a row of `cols` takes in this numbering.
[[nodiscard]] constexpr Index dropout_row_size(Index cols) {
  return (cols + kDropoutGroup - 1) / kDropoutGroup * kDropoutGroup;
}

namespace detail {

/// The random words of the 64 elements of a group. Element 16 w + c of group g is word w of the stream's block 16 g +
/// c: a vector of consecutive counters then gives the words of consecutive elements, at any vector width.
template <class Isa>
[[gnu::always_inline]] inline void random_group(Isa, const RandomStream& stream, std::uint64_t group,
                                                std::uint32_t* words) {
  constexpr int kCount = Isa::kBytes / 4;
  using U32 = simd::Vector<std::uint32_t, kCount>;
  using U64 = simd::Vector<std::uint64_t, kCount / 2>;
  const U32 zero{};
  for (int c = 0; c < 16; c += kCount) {
    U32 x0 = zero + (static_cast<std::uint32_t>(group << 4) + static_cast<std::uint32_t>(c));
    for (std::uint32_t i = 0; i < kCount; ++i) x0[i] += i;
    U32 x1 = zero + static_cast<std::uint32_t>(group >> 28), x2 = zero + static_cast<std::uint32_t>(stream.stream),
        x3 = zero + static_cast<std::uint32_t>(stream.stream >> 32);
    auto k0 = static_cast<std::uint32_t>(stream.seed), k1 = static_cast<std::uint32_t>(stream.seed >> 32);
    // The high and low words of 32-bit products; even and odd lanes are multiplied separately, as products take 64
    // bits.
    const auto multiply = [&](const U32& x, std::uint32_t m, U32& high, U32& low) __attribute__((always_inline)) {
      const U64 even = ((U64)x & 0xffffffffu) * m, odd = ((U64)x >> 32) * m;
      high = (U32)((even >> 32) | (odd & 0xffffffff00000000u));
      low = (U32)((even & 0xffffffffu) | (odd << 32));
    };
    for (int round = 0; round < rapt::detail::kPhiloxRounds; ++round) {
      U32 high0, low0, high1, low1;
      multiply(x0, rapt::detail::kPhiloxM0, high0, low0);
      multiply(x2, rapt::detail::kPhiloxM1, high1, low1);
      x0 = high1 ^ x1 ^ k0;
      x1 = low1;
      x2 = high0 ^ x3 ^ k1;
      x3 = low0;
      k0 += rapt::detail::kPhiloxW0;
      k1 += rapt::detail::kPhiloxW1;
    }
    simd::store(words + c, x0);
    simd::store(words + 16 + c, x1);
    simd::store(words + 32 + c, x2);
    simd::store(words + 48 + c, x3);
  }
}

}  // namespace detail

/// factors[j] = 0 with probability rate, else 1 / (1 - rate), for elements first .. first + count in the dropout's
/// numbering; first must be a multiple of 64. Writes whole groups of 64 factors. Call inside `with_simd`.
template <class T, class Isa>
[[gnu::always_inline]] inline void dropout_factors(Isa isa, const Dropout& dropout, Index first, Index count,
                                                   T* factors) {
  const auto threshold = static_cast<std::uint32_t>(static_cast<double>(dropout.rate) * 0x1p32);
  const T keep = T(1) / (T(1) - static_cast<T>(dropout.rate));
  alignas(64) std::uint32_t words[kDropoutGroup];
  for (Index j = 0; j < count; j += kDropoutGroup) {
    detail::random_group(isa, dropout.stream, static_cast<std::uint64_t>((first + j) / kDropoutGroup), words);
    constexpr int kCount = simd::kLanes<Isa, T>;
    using Mask = simd::Vector<std::conditional_t<sizeof(T) == 4, std::int32_t, std::int64_t>, kCount>;
    for (int i = 0; i < kDropoutGroup; i += kCount) {
      simd::Vector<std::uint32_t, kCount> w;
      simd::load(w, words + i);
      const Mask kept = __builtin_convertvector(w >= threshold, Mask);
      const simd::Vector<T, kCount> zero{}, scaled = keep - zero;
      simd::store(factors + j + i, simd::Vector<T, kCount>(kept ? scaled : zero));
    }
  }
}

/// y = x * factors, or y += x * factors with accumulate   // [rows, cols]
/// This is dropout's forward pass and, with gradients in place of x and y, its backward pass.
template <class T>
void apply_dropout(const Dropout& dropout, const T* x, T* y, Index rows, Index cols, bool accumulate = false) {
  const Index row_size = dropout_row_size(cols), grain = std::max<Index>(1, kElementGrain / std::max<Index>(1, cols));
  parallel_for(rows, grain, [&](Index begin, Index end) {
    Tensor<T> factors(Shape{row_size});
    simd::with_simd([&](auto isa) __attribute__((always_inline)) {
      for (Index i = begin; i < end; ++i) {
        dropout_factors(isa, dropout, i * row_size, cols, factors.data());
        simd::for_lanes<T>(
            isa, cols, [&](auto lanes, Index j) __attribute__((always_inline)) {
              simd::Vector<T, lanes> v, factor, old{};
              simd::load(v, x + i * cols + j);
              simd::load(factor, factors.data() + j);
              if (accumulate) simd::load(old, y + i * cols + j);
              old += v * factor;
              simd::store(y + i * cols + j, old);
            });
      }
    });
  });
}

}}}  // namespace rapt::RAPT_ABI::kernels
