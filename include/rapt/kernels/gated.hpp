/// \file
/// Gated activations y = activation(a) * b (Dauphin et al. 2017; Shazeer 2020): the first half a of a feed-forward
/// network's inner layer determines how much of the second half b is passed on.
#pragma once

#include "rapt/kernels/activation.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace kernels {

/// A gradient with a row stride that a kernel adds to (accumulate) or overwrites; without memory it is not computed.
template <class T>
struct GradientView {
  TensorView<T> values;  ///< without data: not computed
  bool accumulate = true;
};

namespace detail {

/// Calls f(lanes, row, column) until all of [rows, cols] is covered in vectors, on all threads. f must be always
/// inlined.
template <class T, class F>
void for_each_row_lane(Index rows, Index cols, const F& f) {
  parallel_for(rows, std::max<Index>(1, kElementGrain / std::max<Index>(1, cols)), [&](Index begin, Index end) {
    simd::with_simd([&](auto isa) __attribute__((always_inline)) {
      for (Index i = begin; i < end; ++i) {
        simd::for_lanes<T>(
            isa, cols, [&](auto lanes, Index j) __attribute__((always_inline)) { f(lanes, i, j); });
      }
    });
  });
}

/// Adds `value` to the gradient's elements at (row, column) and following, or overwrites them. `value` becomes the
/// result.
template <class T, class V>
[[gnu::always_inline]] inline void join(const GradientView<T>& gradient, Index row, Index column, V& value) {
  T* to = gradient.values.row(row) + column;
  if (gradient.accumulate) {
    V old;
    simd::load(old, to);
    value += old;
  }
  simd::store(to, value);
}

}  // namespace detail

/// y = activation(a) * b, element by element   // all [N, F]
template <class T>
void gated(Activation activation, TensorView<const T> a, TensorView<const T> b, TensorView<T> y) {
  detail::with_activation(activation, [&](const auto& f) {
    detail::for_each_row_lane<T>(
        y.rows(), y.cols(), [&](auto lanes, Index i, Index j) __attribute__((always_inline)) {
          simd::Vector<T, lanes> gate, value;
          simd::load(gate, a.row(i) + j);
          simd::load(value, b.row(i) + j);
          f.template value<T>(gate);
          gate *= value;
          simd::store(y.row(i) + j, gate);
        });
  });
}

/// da (+)= dy b activation'(a),   db (+)= dy activation(a)   // all [N, F]
/// da and db may be the same memory if db accumulates; it then holds the sum of both.
template <class T>
void gated_backward(Activation activation, TensorView<const T> a, TensorView<const T> b, TensorView<const T> dy,
                    const GradientView<T>& da, const GradientView<T>& db) {
  detail::with_activation(activation, [&](const auto& f) {
    detail::for_each_row_lane<T>(
        dy.rows(), dy.cols(), [&](auto lanes, Index i, Index j) __attribute__((always_inline)) {
          simd::Vector<T, lanes> gate, value, upstream, slope;
          simd::load(gate, a.row(i) + j);
          simd::load(value, b.row(i) + j);
          simd::load(upstream, dy.row(i) + j);
          if (da.values.data() != nullptr) {
            slope = gate;
            f.template derivative<T>(slope);
            slope *= upstream;
            slope *= value;
            detail::join(da, i, j, slope);
          }
          if (db.values.data() != nullptr) {
            f.template value<T>(gate);
            gate *= upstream;
            detail::join(db, i, j, gate);
          }
        });
  });
}

}}}  // namespace rapt::RAPT_ABI::kernels
