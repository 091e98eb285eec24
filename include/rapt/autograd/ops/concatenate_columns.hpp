/// \file
/// Two matrices side by side.
#pragma once

#include <algorithm>
#include <utility>

#include "rapt/autograd/record.hpp"
#include "rapt/kernels/elementwise.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// y_i = [a_i, b_i]   // [N, A + B] from a [N, A], b [N, B]
template <class T>
[[nodiscard]] Variable<T> concatenate_columns(const Variable<T>& a, const Variable<T>& b) {
  require<ShapeError>(a.rows() == b.rows(), "concatenate_columns", "the numbers of rows must be the same: ", a.shape(),
                      ", ", b.shape());
  const Index width = a.cols(), all = a.cols() + b.cols();
  const Index grain = std::max<Index>(1, kernels::kElementGrain / std::max<Index>(1, all));
  Tensor<T> y(Shape{a.rows(), all});
  parallel_for(y.rows(), grain, [&](Index begin, Index end) {
    for (Index i = begin; i < end; ++i) {
      std::copy_n(a.value().row(i), width, y.row(i));
      std::copy_n(b.value().row(i), all - width, y.row(i) + width);
    }
  });
  return overwritable(record("concatenate_columns", std::move(y), {a, b}, [width, grain](Node<T>& out) {
    for (std::size_t k = 0; k < 2; ++k) {  // da and db are columns of dy
      Node<T>& in = out.input(k);
      if (!in.requires_grad) continue;
      auto [gradient, add] = in.grad_target();
      const TensorView<T> to = gradient;
      const bool accumulate = add;
      const Index first = k == 0 ? 0 : width;
      parallel_for(to.rows(), grain, [&](Index begin, Index end) {
        for (Index i = begin; i < end; ++i) {
          const T* const dy = out.grad.row(i) + first;
          for (Index j = 0; j < to.cols(); ++j) to.row(i)[j] = accumulate ? to.row(i)[j] + dy[j] : dy[j];
        }
      });
    }
  }));
}

}}  // namespace rapt::RAPT_ABI
