/// \file
/// Dropout as an op of its own; attention and add_norm have theirs built in.
#pragma once

#include "rapt/autograd/record.hpp"
#include "rapt/kernels/dropout.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// In Training: each element is 0 with probability `rate`, else x / (1 - rate). Otherwise x itself.
template <class T>
[[nodiscard]] Variable<T> dropout(Variable<T> x, float rate) {
  const kernels::Dropout drop = next_dropout(rate);
  if (!drop.active()) return x;
  const T* from = x.value().data();
  Tensor<T> y = x.elements_to_overwrite();
  kernels::apply_dropout(drop, from, y.data(), x.rows(), x.cols());
  return overwritable(record("dropout", std::move(y), {x}, [drop](Node<T>& out) {  // dx = dy * the same factors
    Node<T>& in = out.input(0);
    auto [dx, accumulate] = in.grad_target();
    kernels::apply_dropout(drop, out.grad.data(), dx.data(), in.value.rows(), in.value.cols(), accumulate);
  }));
}

}}  // namespace rapt::RAPT_ABI
