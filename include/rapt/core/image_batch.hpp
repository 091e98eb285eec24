/// \file
/// Images of one size as a matrix, the input of vision models; and the batches from which these learn.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "rapt/core/error.hpp"
#include "rapt/core/patch_mask.hpp"
#include "rapt/core/tensor.hpp"
#include "rapt/core/token_batch.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// The sizes of an image: channels, rows and columns, in the order of its memory (PyTorch's CHW).
struct ImageShape {
  Index channels = 1;
  /// The number of rows.
  Index height = 0;
  /// The number of columns.
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

/// A batch of images with their labels.
template <class T>
struct LabelledImages {
  /// The images.
  ImageBatch<T> images = {};
  std::vector<std::int32_t> labels = {};        ///< [B]
  std::vector<std::int32_t> mixed_labels = {};  ///< [B] of a mixed batch, else empty
  double weight = 1;                            ///< weight of `labels`; `mixed_labels` have 1 - weight (see MixOptions)
  std::vector<Index> numbers = {};              ///< [B] numbers of the images in the dataset

  static constexpr std::string_view kItems = "images";
  [[nodiscard]] Index target_count() const { return static_cast<Index>(labels.size()); }
  [[nodiscard]] Index item_count() const { return images.images(); }
};

/// Images with a text each, for a model that learns which belong together (CLIP): text i is image i's.
template <class T>
struct CaptionedImages {
  /// The images.
  ImageBatch<T> images = {};
  /// The tokens of the texts.
  TokenBatch texts = {};

  static constexpr std::string_view kItems = "images";
  [[nodiscard]] Index target_count() const { return images.images(); }
  [[nodiscard]] Index item_count() const { return images.images(); }
};

/// Images, and which of their patches are masked, for a model that predicts these.
template <class T>
struct MaskedImages {
  /// The images.
  ImageBatch<T> images = {};
  /// Which patches of each image are masked.
  PatchMask mask = {};
  /// The visual token of each of `mask.masked()`, for models that predict visual tokens (BEiT); empty for models that
  /// predict pixels or colours.
  std::vector<std::int32_t> visual_tokens = {};

  static constexpr std::string_view kItems = "images";
  /// Masked patches.
  [[nodiscard]] Index target_count() const { return static_cast<Index>(mask.masked().size()); }
  [[nodiscard]] Index item_count() const { return images.images(); }
};

}}  // namespace rapt::RAPT_ABI
