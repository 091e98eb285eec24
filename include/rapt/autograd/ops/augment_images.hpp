/// \file
/// Changes of images through which gradients flow: differentiable augmentation (Zhao et al. 2020).
#pragma once

#include <string_view>
#include <utility>
#include <vector>

#include "rapt/autograd/record.hpp"
#include "rapt/kernels/augment_images.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// y_b is image x_b after changes[b]; pixels that are cut out, or come in from outside, are `background`
///   // [B, C H W] from x [B, C H W]
template <class T>
[[nodiscard]] Variable<T> augment_images(const Variable<T>& x, const ImageShape& shape,
                                         std::vector<ImageChange> changes, double background = 0) {
  constexpr std::string_view kWhere = "augment_images";
  require<ShapeError>(x.cols() == shape.size() && x.rows() == std::ssize(changes), kWhere, "images of ",
                      to_string(shape), " and ", changes.size(), " changes, x has shape ", x.shape());
  for (std::size_t b = 0; b < changes.size(); ++b) {
    const ImageChange& change = changes[b];
    require(change.top >= 0 && change.left >= 0 && change.height >= 0 && change.width >= 0 &&
                change.height <= shape.height - change.top && change.width <= shape.width - change.left,
            kWhere, "the rectangle that is cut out of image ", b, " is not in it: ", change.height, " x ", change.width,
            " pixels from row ", change.top, ", column ", change.left);
  }
  Tensor<T> y(x.shape());
  kernels::augment_images<T>(x.value(), shape, changes, static_cast<T>(background), y);
  return overwritable(record("augment_images", std::move(y), {x}, [shape, changes = std::move(changes)](Node<T>& out) {
    kernels::augment_images_backward<T>(out.grad, shape, changes, out.input(0).grad_sum());
  }));
}

}}  // namespace rapt::RAPT_ABI
