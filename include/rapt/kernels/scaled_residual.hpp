/// \file
/// Residual sums x + scale * sublayer(x), where each column has a scale (layer scale, Touvron et al. 2021) and each
/// sequence has one (stochastic depth, Huang et al. 2016).
#pragma once

#include <span>

#include "rapt/core/index.hpp"
#include "rapt/kernels/elementwise.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace kernels {

/// The scales of a sublayer's output [N, D].
template <class T>
struct ResidualScale {
  const T* columns = nullptr;      ///< [D]; nullptr means 1 everywhere
  std::span<const T> sequences{};  ///< [B], each for N / B rows; empty means 1 everywhere

  /// The scale of the sequence of row `row`, where `rows` is N.
  [[nodiscard]] T of_row(Index row, Index rows) const {
    if (sequences.empty()) return T(1);
    return at(sequences, row / (rows / std::ssize(sequences)));
  }
};

namespace detail {

/// to = addend + factor * columns * from, for one row; unless `adds`, the addend is 0 and not read. Without columns
/// (nullptr) they are 1. Call inside `with_simd`.
template <class Isa, class T>
[[gnu::always_inline]] inline void add_scaled_row(Isa isa, bool adds, const T* addend, const T* from, const T* columns,
                                                  T factor, T* to, Index count) {
  simd::for_lanes<T>(
      isa, count, [&](auto lanes, Index j) __attribute__((always_inline)) {
        simd::Vector<T, lanes> sum{}, v, scale;
        if (adds) simd::load(sum, addend + j);
        simd::load(v, from + j);
        v *= factor;
        if (columns != nullptr) {
          simd::load(scale, columns + j);
          v *= scale;
        }
        sum += v;
        simd::store(to + j, sum);
      });
}

}  // namespace detail

/// y_ij = x_ij + columns_j sequence_i sublayer_ij, where sequence_i is the scale of row i's sequence   // all [N, D]
template <class T>
void scaled_residual(TensorView<const T> x, const T* sublayer, const ResidualScale<T>& scale, T* y) {
  const Index rows = x.rows(), cols = x.cols();
  parallel_for(rows, std::max<Index>(1, kElementGrain / std::max<Index>(1, cols)), [&](Index begin, Index end) {
    simd::with_simd([&](auto isa) __attribute__((always_inline)) {
      for (Index i = begin; i < end; ++i) {
        detail::add_scaled_row(isa, true, x.row(i), sublayer + i * cols, scale.columns, scale.of_row(i, rows),
                               y + i * cols, cols);
      }
    });
  });
}

/// d_sublayer_ij (+)= columns_j sequence_i dy_ij
template <class T>
void scaled_residual_backward(TensorView<const T> dy, const ResidualScale<T>& scale, T* d_sublayer, bool accumulate) {
  const Index rows = dy.rows(), cols = dy.cols();
  parallel_for(rows, std::max<Index>(1, kElementGrain / std::max<Index>(1, cols)), [&](Index begin, Index end) {
    simd::with_simd([&](auto isa) __attribute__((always_inline)) {
      for (Index i = begin; i < end; ++i) {
        T* to = d_sublayer + i * cols;
        detail::add_scaled_row(isa, accumulate, to, dy.row(i), scale.columns, scale.of_row(i, rows), to, cols);
      }
    });
  });
}

/// d_columns_j += sum over i of sequence_i dy_ij sublayer_ij, added in the order of rows. Threads take columns.
template <class T>
void add_scale_gradient(TensorView<const T> dy, const T* sublayer, const ResidualScale<T>& scale, T* d_columns) {
  const Index rows = dy.rows(), cols = dy.cols();
  parallel_for(cols, 64, [&](Index begin, Index end) {
    simd::with_simd([&](auto isa) __attribute__((always_inline)) {
      for (Index i = 0; i < rows; ++i) {
        detail::add_scaled_row(isa, true, d_columns + begin, dy.row(i) + begin, sublayer + i * cols + begin,
                               scale.of_row(i, rows), d_columns + begin, end - begin);
      }
    });
  });
}

}}}  // namespace rapt::RAPT_ABI::kernels
