/// \file
/// Element-wise kernels on contiguous memory, dot products, and sums over rows.
#pragma once

#include "rapt/core/tensor.hpp"
#include "rapt/core/thread_pool.hpp"
#include "rapt/kernels/simd.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace kernels {

/// The number of elements of one part of an element-wise kernel, which one thread takes.
inline constexpr Index kElementGrain = 16384;

/// Calls f(lanes, i) for elements i .. i + lanes until 0 .. count is covered (simd::for_lanes), on all threads. f must
/// be always inlined.
template <class T, class F>
void for_each_lane(Index count, const F& f) {
  parallel_for(count, kElementGrain, [&](Index begin, Index end) {
    simd::with_simd([&](auto isa) __attribute__((always_inline)) {
      simd::for_lanes<T>(
          isa, end - begin, [&](auto lanes, Index i) __attribute__((always_inline)) { f(lanes, begin + i); });
    });
  });
}

/// to = from
template <class T>
void copy(const T* from, T* to, Index count) {
  parallel_for(count, kElementGrain,
               [&](Index begin, Index end) { std::copy_n(from + begin, end - begin, to + begin); });
}

/// to += factor * from
template <class T>
void add_scaled(T* to, const T* from, T factor, Index count) {
  for_each_lane<T>(
      count, [&](auto lanes, Index i) __attribute__((always_inline)) {
        simd::Vector<T, lanes> a, b;
        simd::load(a, to + i);
        simd::load(b, from + i);
        a += factor * b;
        simd::store(to + i, a);
      });
}

/// to += rate * (from - to)
template <class T>
void move_towards(T* to, const T* from, T rate, Index count) {
  for_each_lane<T>(
      count, [&](auto lanes, Index i) __attribute__((always_inline)) {
        simd::Vector<T, lanes> a, b;
        simd::load(a, to + i);
        simd::load(b, from + i);
        a += rate * (b - a);
        simd::store(to + i, a);
      });
}

/// x += addend
template <class T>
void add_constant(T* x, T addend, Index count) {
  for_each_lane<T>(
      count, [&](auto lanes, Index i) __attribute__((always_inline)) {
        simd::Vector<T, lanes> v;
        simd::load(v, x + i);
        v += addend;
        simd::store(x + i, v);
      });
}

/// x *= factor
template <class T>
void scale(T* x, T factor, Index count) {
  for_each_lane<T>(
      count, [&](auto lanes, Index i) __attribute__((always_inline)) {
        simd::Vector<T, lanes> v;
        simd::load(v, x + i);
        v *= factor;
        simd::store(x + i, v);
      });
}

/// out = a + b
template <class T>
void add(const T* a, const T* b, T* out, Index count) {
  for_each_lane<T>(
      count, [&](auto lanes, Index i) __attribute__((always_inline)) {
        simd::Vector<T, lanes> x, y;
        simd::load(x, a + i);
        simd::load(y, b + i);
        x += y;
        simd::store(out + i, x);
      });
}

/// out = a * b, or out += a * b with accumulate
template <class T>
void multiply(const T* a, const T* b, T* out, Index count, bool accumulate = false) {
  for_each_lane<T>(
      count, [&](auto lanes, Index i) __attribute__((always_inline)) {
        simd::Vector<T, lanes> x, y, old{};
        simd::load(x, a + i);
        simd::load(y, b + i);
        if (accumulate) simd::load(old, out + i);
        old += x * y;
        simd::store(out + i, old);
      });
}

/// The sum over j of x_j y_j. Call inside `with_simd`.
template <class Isa, class T>
[[gnu::always_inline]] inline T dot(Isa isa, const T* x, const T* y, Index count) {
  constexpr int kWidth = simd::kLanes<Isa, T>;
  simd::Native<Isa, T> products{};
  T rest = 0;
  simd::for_lanes<T>(
      isa, count, [&](auto lanes, Index j) __attribute__((always_inline)) {
        simd::Vector<T, lanes> a, b;
        simd::load(a, x + j);
        simd::load(b, y + j);
        a *= b;
        if constexpr (lanes == kWidth) {
          products += a;
        } else {
          rest += a[0];
        }
      });
  return rest + simd::sum_lanes<kWidth>(products);
}

/// sums[j] += sum over i of m(i, j), as in the gradient of a bias   // m [N, D], sums [D]
/// Rows are added in parts of a fixed size, each in order; then the parts are added in order.
template <class T>
void add_column_sums(TensorView<const T> m, T* sums) {
  // Adds rows begin .. end to `to`, four at a time, so that the sums are read and written once for four rows.
  const auto add_rows = [](const TensorView<const T>& rows, Index begin, Index end, T* to) {
    simd::with_simd([&](auto isa) __attribute__((always_inline)) {
      const auto add = [&]<Index... r>(Index i, std::integer_sequence<Index, r...>) __attribute__((always_inline)) {
        simd::for_lanes<T>(
            isa, rows.cols(), [&](auto lanes, Index j) __attribute__((always_inline)) {
              simd::Vector<T, lanes> sum, row;
              simd::load(sum, to + j);
              ((simd::load(row, rows.row(i + r) + j), sum += row), ...);
              simd::store(to + j, sum);
            });
      };
      Index i = begin;
      for (; i + 4 <= end; i += 4) add(i, std::make_integer_sequence<Index, 4>{});
      for (; i < end; ++i) add(i, std::make_integer_sequence<Index, 1>{});
    });
  };
  if (m.cols() == 0) return;
  const Index grain = std::max<Index>(16, kElementGrain / m.cols()), parts = (m.rows() + grain - 1) / grain;
  if (parts <= 1) return add_rows(m, 0, m.rows(), sums);
  Tensor<T> partial(Shape{parts, m.cols()}, T(0));
  parallel_for(m.rows(), grain, [&](Index begin, Index end) { add_rows(m, begin, end, partial.row(begin / grain)); });
  add_rows(std::as_const(partial), 0, parts, sums);
}

/// The number of parts of an element-wise kernel.
[[nodiscard]] constexpr Index element_parts(Index count) { return (count + kElementGrain - 1) / kElementGrain; }

/// sums[p] = the sum of f(x) over the elements of part p in double   // sums [element_parts(count)]
template <class T, class F>
void sums_of_parts(const T* x, Index count, const F& f, double* sums) {
  parallel_for(count, kElementGrain, [&](Index begin, Index end) {
    double lanes[8] = {};  // Eight sums side by side need not wait for each other.
    Index i = begin;
    for (; i + 8 <= end; i += 8) {
      for (Index j = 0; j < 8; ++j) lanes[j] += f(static_cast<double>(x[i + j]));
    }
    for (; i < end; ++i) lanes[0] += f(static_cast<double>(x[i]));
    double sum = 0;
    for (const double lane : lanes) sum += lane;
    sums[begin / kElementGrain] = sum;
  });
}

/// The sum of f(x) over all elements in double. Parts of a fixed size are added in order, so that the result is the
/// same bits on any number of threads.
template <class T, class F>
[[nodiscard]] double sum_of(const T* x, Index count, const F& f) {
  Tensor<double> sums(Shape{element_parts(count)});
  sums_of_parts(x, count, f, sums.data());
  double total = 0;
  for (const double sum : sums.values()) total += sum;
  return total;
}

}}}  // namespace rapt::RAPT_ABI::kernels
