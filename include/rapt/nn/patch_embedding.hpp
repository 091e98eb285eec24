/// \file
/// An image as a sequence: its patches, each projected to the model's width (Dosovitskiy et al. 2020, equation 1).
#pragma once

#include <cstdint>

#include "rapt/autograd/ops/assemble_tokens.hpp"
#include "rapt/autograd/ops/linear.hpp"
#include "rapt/autograd/ops/reshape.hpp"
#include "rapt/nn/module.hpp"
#include "rapt/nn/truncated_normal.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// The sizes of images and patches, and the width of their embeddings.
struct PatchEmbeddingOptions {
  double init_std = 0.02;  ///< standard deviation of the weight at first, a truncated normal
  bool bias = true;        ///< b is added, zero at first
};

/// y = patches W^T + b   // [B K, D] from images [B, C H W]
/// The weight has the shape of the convolution that this is, [D, C, p_h, p_w].
template <class T = float>
class PatchEmbedding {
 public:
  /// Throws ValueError, which names both sizes, unless the patches fill the images.
  PatchEmbedding(const PatchGrid& grid, Index d_model, Rng& rng, const PatchEmbeddingOptions& options = {})
      : grid_(grid) {
    grid.validate("patch_embedding");
    require(d_model > 0, "patch_embedding", "d_model must be positive: ", d_model);
    weight_ = Parameter<T>(init::truncated_normal<T>(
        Shape{d_model, grid.image.channels, grid.patch_height, grid.patch_width}, rng, options.init_std));
    if (options.bias) bias_ = Parameter<T>(init::constant<T>(Shape{d_model}, T(0)));
  }

  /// Images may have another height and width than the grid's, as long as patches fill them. `visible`: the patches
  /// to embed, as many of each image; empty: all.
  [[nodiscard]] Variable<T> operator()(const ImageBatch<T>& images, std::span<const std::int32_t> visible = {}) const {
    std::ignore = grid_of(images.shape());
    return project(unfold_patches(images, grid_.patch_height, grid_.patch_width, visible));
  }
  /// The same of images of the grid's own size whose pixels take a gradient, as those that another model makes do
  ///   // [B K, D] from pixels [B, C H W]
  [[nodiscard]] Variable<T> operator()(const Variable<T>& pixels, std::span<const std::int32_t> visible = {}) const {
    return project(unfold_patches(pixels, grid_, visible));
  }

  /// How images of the model's own size are cut.
  [[nodiscard]] const PatchGrid& grid() const { return grid_; }
  /// How others are. Throws unless they have the channels, and patches fill them.
  [[nodiscard]] PatchGrid grid_of(const ImageShape& image) const {
    require<ShapeError>(image.channels == grid_.image.channels, "patch_embedding", "images of ", to_string(image),
                        ", the model's have ", grid_.image.channels, " channels");
    const PatchGrid grid{image, grid_.patch_height, grid_.patch_width};
    grid.validate("patch_embedding");
    return grid;
  }

  [[nodiscard]] const Parameter<T>& weight() const { return weight_; }

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& visitor) {
    visitor("weight", self.weight_);
    visitor("bias", self.bias_);
  }

 private:
  [[nodiscard]] Variable<T> project(const Variable<T>& patches) const {
    return linear<T>(patches, reshape<T>(weight_, Shape{weight_.shape()[0], grid_.patch_size()}), bias_);
  }

  PatchGrid grid_;
  Parameter<T> weight_, bias_;
};
static_assert(Module<PatchEmbedding<float>>);

}}  // namespace rapt::RAPT_ABI
