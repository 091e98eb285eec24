/// \file
/// Images of one size as a matrix, the input of vision models.
#pragma once

#include <string>
#include <utility>

#include "rapt/core/error.hpp"
#include "rapt/core/tensor.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// The sizes of an image: channels, rows and columns, in the order of its memory (PyTorch's CHW).
struct ImageShape {
  Index channels = 1;
  Index height = 0;
  Index width = 0;

  /// The number of values of an image.
  [[nodiscard]] Index size() const { return channels * height * width; }
  friend bool operator==(const ImageShape&, const ImageShape&) = default;
  friend std::string to_string(const ImageShape& shape) {
    return std::to_string(shape.channels) + " x " + std::to_string(shape.height) + " x " + std::to_string(shape.width);
  }
};

/// B images of one shape: a dense [B, C, H, W] tensor, seen as the [B, C * H * W] matrix that it is in memory.
template <class T>
class ImageBatch {
 public:
  ImageBatch() = default;
  /// Throws ShapeError if the matrix does not hold images of that shape.
  ImageBatch(Tensor<T> pixels, const ImageShape& shape) : pixels_(std::move(pixels)), shape_(shape) {
    require<ShapeError>(shape.channels > 0 && shape.height > 0 && shape.width > 0, "image_batch",
                        "sizes must be positive: ", to_string(shape));
    require<ShapeError>(pixels_.shape().rank() == 2 && pixels_.cols() == shape.size(), "image_batch", "images of ",
                        to_string(shape), " need [B, ", shape.size(), "] numbers, got ", to_string(pixels_.shape()));
  }

  [[nodiscard]] const Tensor<T>& pixels() const { return pixels_; }  ///< [B, C * H * W]
  [[nodiscard]] const ImageShape& shape() const { return shape_; }
  [[nodiscard]] Index images() const { return pixels_.empty() ? 0 : pixels_.rows(); }

 private:
  Tensor<T> pixels_;
  ImageShape shape_;
};

}}  // namespace rapt::RAPT_ABI
