/// \file
/// Arrays of bfloat16 numbers, which are the upper halves of float32 numbers: conversion, and sums that are rounded.
///
/// r(x) is x rounded to bfloat16 to nearest, ties to even; NaN stays NaN. The functions are templates, of one type
/// each, so that a program compiles those alone that it calls.
#pragma once

#include <concepts>
#include <cstdint>

#include "rapt/kernels/elementwise.hpp"
#include "rapt/kernels/gemm/bfloat16.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace kernels {

/// The bits of a bfloat16 number.
using Bfloat16Bits = std::uint16_t;

namespace detail {

/// x <- the bfloat16 numbers at `from` as float32. store_bfloat16 has the other direction: to <- r(x).
template <int lanes>
[[gnu::always_inline]] inline void load_bfloat16(simd::Vector<float, lanes>& x, const Bfloat16Bits* from) {
  simd::Vector<std::uint32_t, lanes> bits;
  simd::load_upper_halves<lanes>(bits, from);
  x = (simd::Vector<float, lanes>)bits;
}
template <int lanes>
[[gnu::always_inline]] inline void store_bfloat16(Bfloat16Bits* to, const simd::Vector<float, lanes>& x) {
  simd::Vector<std::uint32_t, lanes> bits;
  round_to_bfloat16(x, bits);
  simd::store_upper_halves<lanes>(to, bits);
}

}  // namespace detail

/// x = r(x)
template <std::same_as<float> T>
void round_to_bfloat16(T* x, Index count) {
  for_each_lane<float>(
      count, [&](auto lanes, Index i) __attribute__((always_inline)) {
        simd::Vector<float, lanes> v;
        simd::Vector<std::uint32_t, lanes> bits;
        simd::load(v, x + i);
        detail::round_to_bfloat16(v, bits);
        simd::store(x + i, bits);
      });
}

/// to = r(to + from)
template <std::same_as<float> T>
void add_rounded(T* to, const T* from, Index count) {
  for_each_lane<float>(
      count, [&](auto lanes, Index i) __attribute__((always_inline)) {
        simd::Vector<float, lanes> a, b;
        simd::Vector<std::uint32_t, lanes> bits;
        simd::load(a, to + i);
        simd::load(b, from + i);
        a += b;
        detail::round_to_bfloat16(a, bits);
        simd::store(to + i, bits);
      });
}

/// to = r(to + from) of bfloat16 numbers, whose sums are computed in float32.
template <std::same_as<Bfloat16Bits> T>
void add_rounded(T* to, const T* from, Index count) {
  for_each_lane<float>(
      count, [&](auto lanes, Index i) __attribute__((always_inline)) {
        simd::Vector<float, lanes> a, b;
        detail::load_bfloat16<lanes>(a, to + i);
        detail::load_bfloat16<lanes>(b, from + i);
        a += b;
        detail::store_bfloat16<lanes>(to + i, a);
      });
}

/// to = r(from)
template <std::same_as<float> T>
void to_bfloat16(const T* from, Bfloat16Bits* to, Index count) {
  for_each_lane<float>(
      count, [&](auto lanes, Index i) __attribute__((always_inline)) {
        simd::Vector<float, lanes> v;
        simd::load(v, from + i);
        detail::store_bfloat16<lanes>(to + i, v);
      });
}

/// to = from
template <std::same_as<float> T>
void from_bfloat16(const Bfloat16Bits* from, T* to, Index count) {
  for_each_lane<float>(
      count, [&](auto lanes, Index i) __attribute__((always_inline)) {
        simd::Vector<float, lanes> v;
        detail::load_bfloat16<lanes>(v, from + i);
        simd::store(to + i, v);
      });
}

}}}  // namespace rapt::RAPT_ABI::kernels
