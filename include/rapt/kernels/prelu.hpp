/// \file
/// Leaky ReLU with a learned slope, one for all columns or one for each (PReLU, He et al. 2015), and its gradients.
#pragma once

#include "rapt/kernels/gated.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace kernels {

/// y = x for x > 0, else slope x   // [N, D]; slopes [D] if by_column, else [1]
template <class T>
void prelu(TensorView<const T> x, const T* slopes, bool by_column, TensorView<T> y) {
  detail::for_each_row_lane<T>(
      x.rows(), x.cols(), [&](auto lanes, Index i, Index j) __attribute__((always_inline)) {
        simd::Vector<T, lanes> v, slope = *slopes - simd::Vector<T, lanes>{};
        simd::load(v, x.row(i) + j);
        if (by_column) simd::load(slope, slopes + j);
        v = v > T(0) ? v : v * slope;
        simd::store(y.row(i) + j, v);
      });
}

/// dx (+)= dy for x > 0, else slope dy
template <class T>
void prelu_backward(TensorView<const T> x, const T* slopes, bool by_column, TensorView<const T> dy,
                    const GradientView<T>& dx) {
  detail::for_each_row_lane<T>(
      x.rows(), x.cols(), [&](auto lanes, Index i, Index j) __attribute__((always_inline)) {
        simd::Vector<T, lanes> v, upstream, slope = *slopes - simd::Vector<T, lanes>{};
        simd::load(v, x.row(i) + j);
        simd::load(upstream, dy.row(i) + j);
        if (by_column) simd::load(slope, slopes + j);
        upstream = v > T(0) ? upstream : upstream * slope;
        detail::join(dx, i, j, upstream);
      });
}

/// d_slopes += the sums of dy x over the elements with x <= 0, of each column or of all
template <class T>
void prelu_slope_backward(TensorView<const T> x, TensorView<const T> dy, bool by_column, T* d_slopes) {
  Tensor<T> products(Shape{x.rows(), x.cols()});
  detail::for_each_row_lane<T>(
      x.rows(), x.cols(), [&](auto lanes, Index i, Index j) __attribute__((always_inline)) {
        simd::Vector<T, lanes> v, upstream;
        simd::load(v, x.row(i) + j);
        simd::load(upstream, dy.row(i) + j);
        v = v > T(0) ? simd::Vector<T, lanes>{} : v * upstream;
        simd::store(products.row(i) + j, v);
      });
  if (by_column) return add_column_sums<T>(products, d_slopes);
  *d_slopes += static_cast<T>(sum_of(products.data(), products.size(), [](double v) { return v; }));
}

}}}  // namespace rapt::RAPT_ABI::kernels
