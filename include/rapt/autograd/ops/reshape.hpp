/// \file
/// The same elements under another shape.
#pragma once

#include "rapt/autograd/pass_gradient.hpp"
#include "rapt/autograd/record.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// y = x with another shape of equal size. The elements are x's own: nothing is copied.
template <class T>
[[nodiscard]] Variable<T> reshape(const Variable<T>& x, const Shape& shape) {
  require<ShapeError>(shape.size() == x.size(), "reshape", "from ", x.shape(), " to ", shape);
  // The node keeps x alive, and is none that a later op may write over.
  return record("reshape", Tensor<T>::borrowed(x.node()->value.data(), shape, x.node()), {x}, [](Node<T>& out) {
    pass_gradient(std::move(out.grad), out.input(0));  // dx = dy
  });
}

}}  // namespace rapt::RAPT_ABI
