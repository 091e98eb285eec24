/// \file
/// TransGAN: two Transformers that learn from one another, one to make images and one to tell them from real ones
/// (Jiang, Chang and Wang 2021). There is no convolution in either. They are trained by AdversarialTraining
/// (train/adversarial_training.hpp).
#pragma once

#include <cmath>
#include <cstdint>
#include <string_view>
#include <vector>

#include "rapt/autograd/ops/concatenate_columns.hpp"
#include "rapt/autograd/ops/fold_patches.hpp"
#include "rapt/autograd/ops/gather_rows.hpp"
#include "rapt/autograd/ops/mean_rows.hpp"
#include "rapt/autograd/ops/pixel_shuffle.hpp"
#include "rapt/autograd/ops/reshape.hpp"
#include "rapt/models/transgan_config.hpp"
#include "rapt/nn/grid_stack.hpp"
#include "rapt/nn/linear.hpp"
#include "rapt/nn/patch_embedding.hpp"

namespace rapt { inline namespace RAPT_ABI {

namespace detail {

/// The kinds of parts of TransGAN's blocks.
inline constexpr BlockKinds kTransGanKinds = {
    .rotary = false, .query_key_norm = false, .rms_norm = true, .gated = false, .scaled_residuals = false};

/// Stage i of a config.
template <class T, class Config>
[[nodiscard]] GridStack<T, kTransGanKinds> transgan_stage(const Config& config, Index i, bool class_token, Rng& rng) {
  return {{.grid = config.grid(i),
           .window = at(config.stage_windows, i),
           .layers = at(config.stage_layers, i),
           .block = config.block(i),
           .relative_positions = config.relative_positions,
           .class_token = class_token,
           .final_norm = class_token,
           .init_std = config.init_std},
          rng};
}

}  // namespace detail

/// Random vectors to images. A const generator may be used from many threads.
///
/// ```cpp
/// const auto generator = rapt::load_model<rapt::TransGanGenerator<float>>("generator.safetensors");
/// const rapt::ImageBatch<float> made(generator(z).value(), generator.config().image);   // z [B, latent], normal
/// ```
template <class T = float>
class TransGanGenerator {
 public:
  using ScalarType = T;
  using Config = TransGanGeneratorConfig;

  /// Throws ValueError for a config that does not fit.
  TransGanGenerator(const TransGanGeneratorConfig& config, Rng& rng)
      : config_(detail::checked(config)),
        first_(config.latent, config.grid(0).cells() * config.d_model, rng),
        to_pixels_(config.width(config.stages() - 1), config.patch * config.patch * config.image.channels, rng) {
    stages_.reserve(to_size(config.stages()));
    for (Index i = 0; i < config.stages(); ++i) {
      stages_.push_back(detail::transgan_stage<T>(config, i, /*class_token=*/false, rng));
    }
  }

  /// Pixels of an image for each vector   // [B, C H W] from z [B, latent]
  [[nodiscard]] Variable<T> operator()(const Variable<T>& z) const {
    require<ShapeError>(z.shape().rank() == 2 && z.cols() == config_.latent, kWhere, "vectors have shape ", z.shape(),
                        ", wanted are ", config_.latent, " columns");
    const Index images = z.rows();
    // One long row of tokens for each image, row by row of the grid; from then on rows stand as stages want them.
    Variable<T> x = reshape<T>(first_(z), Shape{images * config_.grid(0).cells(), config_.d_model});
    if (config_.stage_windows[0] > 0) x = gather_rows<T>(x, rows_in_order(stages_[0], images));
    for (Index i = 0; i < config_.stages(); ++i) {
      if (i > 0) {
        const auto &before = at(stages_, i - 1), &next = at(stages_, i);
        x = pixel_shuffle<T>(x, before.grid(), 2, before.order(images), next.order(images));
      }
      x = at(stages_, i)(x, images);
    }
    const PatchGrid grid{config_.image, config_.patch, config_.patch};
    return fold_patches<T>(to_pixels_(x, config_.output_activation), grid, stages_.back().order(images));
  }
  [[nodiscard]] Variable<T> operator()(const Tensor<T>& z) const { return (*this)(Variable<T>(Tensor<T>(z))); }

  [[nodiscard]] const TransGanGeneratorConfig& config() const { return config_; }
  /// Columns of the random vectors.
  [[nodiscard]] Index latent_columns() const { return config_.latent; }

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& visitor) {
    visitor("first", self.first_);
    visitor("stages", self.stages_);
    visitor("to_pixels", self.to_pixels_);
  }

 private:
  static constexpr std::string_view kWhere = "transgan_generator";
  using Stage = GridStack<T, detail::kTransGanKinds>;

  /// Which rows of tokens that stand row by row a stage reads one after the other.
  static std::vector<std::int32_t> rows_in_order(const Stage& stage, Index images) {
    std::vector<std::int32_t> rows = stage.order(images);
    const Index tokens = stage.grid().cells();
    for (Index i = 0; i < std::ssize(rows); ++i) at(rows, i) += static_cast<std::int32_t>(i / tokens * tokens);
    return rows;
  }

  TransGanGeneratorConfig config_;
  Linear<T> first_;
  std::vector<Stage> stages_;
  Linear<T> to_pixels_;
};
static_assert(Module<TransGanGenerator<float>>);

/// How real images look: a score for each, higher for real ones. A const discriminator may be used from many threads.
///
/// What differs from the paper: patches do not overlap, and the class token is in the last stage from its first block
/// on.
template <class T = float>
class TransGanDiscriminator {
 public:
  using ScalarType = T;
  using Config = TransGanDiscriminatorConfig;

  /// Throws ValueError for a config that does not fit.
  TransGanDiscriminator(const TransGanDiscriminatorConfig& config, Rng& rng)
      : config_(detail::checked(config)), head_(config.width(config.stages() - 1), 1, rng) {
    stages_.reserve(to_size(config.stages()));
    for (Index i = 0; i < config.stages(); ++i) {
      const PatchGrid patches = config.patches(i);
      const Index columns = at(config.stage_columns, i);
      // Xavier's; with 0.02 the positions would be larger than what comes from the few numbers of a small patch.
      const double init_std = std::sqrt(2.0 / static_cast<double>(patches.patch_size() + columns));
      embeddings_.emplace_back(patches, columns, rng, PatchEmbeddingOptions{.init_std = init_std});
      stages_.push_back(detail::transgan_stage<T>(config, i, /*class_token=*/i + 1 == config.stages(), rng));
    }
  }

  /// [B, 1] from pixels [B, C H W]
  [[nodiscard]] Variable<T> operator()(const Variable<T>& pixels) const {
    require<ShapeError>(pixels.shape().rank() == 2 && pixels.cols() == config_.image.size(), kWhere, "images of ",
                        to_string(config_.image), " need [B, ", config_.image.size(), "] numbers, got ",
                        pixels.shape());
    const Index images = pixels.rows();
    Variable<T> x;
    for (Index i = 0; i < config_.stages(); ++i) {
      const Stage& stage = at(stages_, i);
      const Variable<T> patches = at(embeddings_, i)(pixels, stage.order(images));
      x = stage(i == 0 ? patches : concatenate_columns<T>(averaged(x, at(stages_, i - 1), stage, images), patches),
                images);
    }
    std::vector<std::int32_t> class_tokens;
    for (Index b = 0; b < images; ++b) class_tokens.push_back(static_cast<std::int32_t>(b * stages_.back().length()));
    return head_(gather_rows<T>(x, class_tokens));
  }
  [[nodiscard]] Variable<T> operator()(const ImageBatch<T>& images) const {
    return (*this)(Variable<T>(Tensor<T>(images.pixels())));
  }

  [[nodiscard]] const TransGanDiscriminatorConfig& config() const { return config_; }

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& visitor) {
    visitor("embeddings", self.embeddings_);
    visitor("stages", self.stages_);
    visitor("head", self.head_);
  }

 private:
  static constexpr std::string_view kWhere = "transgan_discriminator";
  using Stage = GridStack<T, detail::kTransGanKinds>;

  /// The mean of 2 x 2 tokens for each token of the next stage, in its order   // [B P / 4, D] from x [B P, D]
  static Variable<T> averaged(const Variable<T>& x, const Stage& before, const Stage& next, Index images) {
    const Index tokens = before.grid().cells(), cols = before.grid().cols, next_cols = next.grid().cols;
    const std::vector<std::int32_t> order = before.order(1), wanted = next.order(1);
    std::vector<std::int32_t> row_of(order.size()), rows;  // the row of each token of the grid
    for (std::size_t k = 0; k < order.size(); ++k) at(row_of, order[k]) = static_cast<std::int32_t>(k);
    rows.reserve(to_size(images * tokens));
    for (Index b = 0; b < images; ++b) {
      for (const Index token : wanted) {
        const Index corner = token / next_cols * 2 * cols + token % next_cols * 2;
        for (const Index of_four : {corner, corner + 1, corner + cols, corner + cols + 1}) {
          rows.push_back(static_cast<std::int32_t>(b * tokens) + at(row_of, of_four));
        }
      }
    }
    return mean_rows(gather_rows<T>(x, rows), RowSplits::equal(images * tokens / 4, 4));
  }

  TransGanDiscriminatorConfig config_;
  std::vector<PatchEmbedding<T>> embeddings_;
  std::vector<Stage> stages_;
  Linear<T> head_;
};
static_assert(Module<TransGanDiscriminator<float>>);

}}  // namespace rapt::RAPT_ABI
