/// \file
/// Rows of length one: their products are cosines.
#pragma once

#include <type_traits>

#include "rapt/autograd/record.hpp"
#include "rapt/kernels/normalize.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// y_i = x_i / max(|x_i|, epsilon), |.| the Euclidean length   // [N, D]
template <class T>
[[nodiscard]] Variable<T> normalize(const Variable<T>& x, std::type_identity_t<T> epsilon = T(1e-12)) {
  require(epsilon > T(0), "normalize", "epsilon must be positive: ", epsilon);
  Tensor<T> y(x.shape()), lengths(Shape{x.rows()});
  kernels::normalize_rows<T>(x.value(), epsilon, lengths.data(), y.data());
  return record("normalize", std::move(y), {x}, [epsilon, lengths = std::move(lengths)](Node<T>& out) {
    kernels::normalize_rows_backward<T>(out.value, lengths.data(), epsilon, out.grad.data(),
                                        out.input(0).grad_sum().data());
  });
}

}}  // namespace rapt::RAPT_ABI
