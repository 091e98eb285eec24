/// \file
/// The settings of TransGAN's generator and discriminator.
#pragma once

#include <string_view>
#include <vector>

#include "rapt/core/error.hpp"
#include "rapt/core/image_batch.hpp"
#include "rapt/core/index.hpp"
#include "rapt/kernels/resize_grid.hpp"
#include "rapt/models/config_checks.hpp"
#include "rapt/models/config_fields.hpp"
#include "rapt/nn/block.hpp"

namespace rapt { inline namespace RAPT_ABI {

namespace detail {

/// Throws ValueError unless there are stages, and for each of them a number of layers and of heads, which are positive,
/// and the side of its windows.
inline void require_stages(const std::vector<Index>& layers, const std::vector<Index>& heads,
                           const std::vector<Index>& windows, std::string_view where) {
  require(!layers.empty() && heads.size() == layers.size() && windows.size() == layers.size(), where,
          "each stage needs layers, heads and windows: ", layers.size(), ", ", heads.size(), " and ", windows.size(),
          " are given");
  constexpr Index kMostLayers = 4096;  // keeps their sum below what an Index holds
  for (std::size_t i = 0; i < layers.size(); ++i) {
    require(layers[i] > 0 && layers[i] <= kMostLayers && heads[i] > 0 && windows[i] >= 0, where, "stage ", i,
            ": layers must be from 1 to ", kMostLayers, ", heads positive, windows not negative: ", layers[i], ", ",
            heads[i], ", ", windows[i]);
  }
}

inline constexpr Index kMostColumns = Index{1} << 16;

/// Tables of distances and of the order of rows are computed from a config, which a file may have: it must not ask for
/// more memory than a model of any use does. Also keeps the products of sizes below what an Index holds.
template <class Config>
void require_transgan_limits(const Config& config, std::string_view where) {
  constexpr Index kMostNumbers = Index{1} << 22, kMostRatio = 64, kMostTokens = 4096;
  constexpr Index kMostPairs = 2 * kMostTokens * kMostTokens;  // four bytes each
  const ImageShape& image = config.image;
  require(image.channels > 0 && image.height > 0 && image.width > 0 && image.height <= kMostNumbers / image.width &&
              image.channels <= kMostNumbers / (image.height * image.width),
          where, "images must have from 1 to ", kMostNumbers, " numbers: ", to_string(image));
  require(config.patch > 0 && config.patch <= kMostColumns && config.d_ff_ratio > 0 && config.d_ff_ratio <= kMostRatio,
          where, "patch must be positive, d_ff_ratio from 1 to ", kMostRatio, ": ", config.patch, ", ",
          config.d_ff_ratio);
  require(config.stages() <= 8, where, "at most 8 stages: ", config.stages());
  Index pairs = 0;
  for (Index i = 0; i < config.stages(); ++i) {
    const Index width = config.width(i), window = at(config.stage_windows, i);
    require(width > 0 && width <= kMostColumns, where, "stage ", i, " must have from 1 to ", kMostColumns,
            " columns: ", width);
    const bool is_one = window == 0;
    const Index rows = is_one ? config.grid(i).rows : window, cols = is_one ? config.grid(i).cols : window;
    require(!config.relative_positions || (rows <= kMostTokens && cols <= kMostTokens && rows * cols <= kMostTokens),
            where, "with relative positions a window may have ", kMostTokens, " tokens, those of stage ", i, " have ",
            rows, " x ", cols);
    if (config.relative_positions) pairs += rows * cols * rows * cols;
    require(pairs <= kMostPairs, where, "with relative positions the windows of all stages may have ", kMostPairs,
            " pairs of tokens together, those up to stage ", i, " have ", pairs);
  }
}

/// The number of all layers together.
[[nodiscard]] inline Index layers_of(const std::vector<Index>& stages) {
  Index sum = 0;
  for (const Index layers : stages) sum += layers;
  return sum;
}

/// A block of TransGAN: pre-norm, and each token is divided by its root mean square ("modified normalization"; the
/// learned factors are rapt's).
template <class Config>
[[nodiscard]] BlockOptions transgan_block(const Config& config, Index width, Index heads) {
  return {.attention = {.d_model = width, .heads = heads},
          .d_ff = config.d_ff_ratio * width,
          .activation = config.activation,
          .norm_kind = NormKind::rms,
          .norm = NormPlacement::pre,
          .norm_epsilon = config.norm_epsilon,
          .dropout = config.dropout};
}

/// What both configs have.
template <class Config, class Visitor>
void visit_transgan_fields(Config& config, const Visitor& field) {
  field("image_channels", config.image.channels);
  field("image_height", config.image.height);
  field("image_width", config.image.width);
  field("patch", config.patch);
  field("stage_layers", config.stage_layers);
  field("stage_heads", config.stage_heads);
  field("stage_windows", config.stage_windows);
  field("d_ff_ratio", config.d_ff_ratio);
  field("activation", config.activation);
  field("norm_epsilon", config.norm_epsilon);
  field("dropout", config.dropout);
  field("relative_positions", config.relative_positions);
  field("init_std", config.init_std);
}

}  // namespace detail

/// The generator: a random vector becomes a small grid of wide tokens, and between stages pixel shuffle makes each
/// token four tokens of a quarter of the width. Defaults are the paper's for CIFAR-10.
struct TransGanGeneratorConfig {
  ImageShape image = {.channels = 3, .height = 32, .width = 32};  ///< the images that it draws
  Index latent = 256;                                             ///< numbers of the random vector
  Index d_model = 1024;  ///< columns of the first stage; a multiple of 4^(stages - 1) times the last stage's heads
  Index patch = 1;       ///< the side of the square of pixels that each token of the last stage becomes
  std::vector<Index> stage_layers = {5, 4, 2};   ///< the number of blocks of each stage
  std::vector<Index> stage_heads = {4, 4, 4};    ///< the heads of each stage's attention
  std::vector<Index> stage_windows = {0, 0, 0};  ///< the side of each stage's windows; 0: one for the whole grid
  Index d_ff_ratio = 4;                          ///< columns of the feed-forward networks, over those of the stage
  Activation activation = Activation::gelu;
  Activation output_activation = Activation::none;  ///< of pixels; tanh keeps them between -1 and 1
  double norm_epsilon = 1e-8;
  float dropout = 0.f;             ///< rate of each sublayer's output
  bool relative_positions = true;  ///< scores have a learned bias for each offset within a window
  double init_std = 0.02;          ///< of positions

  /// The number of stages, and of the blocks of all stages.
  [[nodiscard]] Index stages() const { return std::ssize(stage_layers); }
  /// The number of blocks of all stages together.
  [[nodiscard]] Index blocks() const { return detail::layers_of(stage_layers); }
  /// Columns of a stage.
  [[nodiscard]] Index width(Index stage) const { return d_model >> (2 * stage); }
  /// The grid of a stage.
  [[nodiscard]] kernels::GridSize grid(Index stage) const {
    const Index later = stages() - 1 - stage;
    return {image.height / patch >> later, image.width / patch >> later};
  }
  /// The options of the blocks of a stage.
  [[nodiscard]] BlockOptions block(Index stage) const {
    return detail::transgan_block(*this, width(stage), at(stage_heads, stage));
  }

  /// Throws ValueError that names the values which do not fit.
  void validate() const {
    constexpr std::string_view kWhere = "transgan_generator";
    detail::require_stages(stage_layers, stage_heads, stage_windows, kWhere);
    detail::require_transgan_limits(*this, kWhere);
    require(latent > 0 && latent <= detail::kMostColumns, kWhere, "latent must be from 1 to ", detail::kMostColumns,
            ": ", latent);
    const Index step = patch << (stages() - 1), part = Index{1} << (2 * (stages() - 1));
    require(image.height % step == 0 && image.width % step == 0, kWhere, "images of ", image.height, " x ", image.width,
            " cannot come of ", stages(), " stages and patches of ", patch, ": sides must be multiples of ", step);
    require(d_model > 0 && d_model % part == 0, kWhere, stages(), " stages need a d_model that is a multiple of ", part,
            ": ", d_model);
    for (Index i = 0; i < stages(); ++i) detail::require_heads(width(i), at(stage_heads, i), kWhere);
    detail::require_dropout({dropout}, kWhere);
    require(norm_epsilon > 0 && init_std >= 0, kWhere, "norm_epsilon must be positive: ", norm_epsilon,
            ", init_std not negative: ", init_std);
  }

  /// The model's name in files, and every setting with its name there.
  static constexpr std::string_view kName = "transgan_generator";
  template <class Self, class Visitor>
  static void visit_fields(Self& self, const Visitor& field) {
    detail::visit_transgan_fields(self, field);
    field("latent", self.latent);
    field("d_model", self.d_model);
    field("output_activation", self.output_activation);
  }
};

/// The discriminator, which reads an image at several scales: stage i begins with patches of side patch 2^i, whose
/// columns stand beside those of the stage before, averaged over 2 x 2 tokens. Defaults are the paper's for CIFAR-10.
struct TransGanDiscriminatorConfig {
  ImageShape image = {.channels = 3, .height = 32, .width = 32};
  Index patch = 2;                               ///< the side of the first stage's patches
  std::vector<Index> stage_columns = {288, 96};  ///< that each stage projects its patches to, beside those before it
  std::vector<Index> stage_layers = {3, 3};      ///< the number of blocks of each stage
  std::vector<Index> stage_heads = {4, 4};       ///< the heads of each stage's attention
  std::vector<Index> stage_windows = {0, 0};     ///< the side of each stage's windows; 0: one, as the last must have
  Index d_ff_ratio = 4;                          ///< columns of the feed-forward networks, over those of the stage
  Activation activation = Activation::gelu;
  double norm_epsilon = 1e-8;
  float dropout = 0.f;             ///< rate of each sublayer's output
  bool relative_positions = true;  ///< scores have a learned bias for each offset within a window
  double init_std = 0.02;          ///< of positions and the class token

  /// The number of stages, and of the blocks of all stages.
  [[nodiscard]] Index stages() const { return std::ssize(stage_layers); }
  /// The number of blocks of all stages together.
  [[nodiscard]] Index blocks() const { return detail::layers_of(stage_layers); }
  /// Columns of a stage: its own and those before it.
  [[nodiscard]] Index width(Index stage) const {
    Index sum = 0;
    for (Index i = 0; i <= stage; ++i) sum += at(stage_columns, i);
    return sum;
  }
  /// The patches of a stage.
  [[nodiscard]] PatchGrid patches(Index stage) const { return {image, patch << stage, patch << stage}; }
  /// The rows and columns of a stage's patches.
  [[nodiscard]] kernels::GridSize grid(Index stage) const { return {patches(stage).rows(), patches(stage).cols()}; }
  /// The options of the blocks of a stage.
  [[nodiscard]] BlockOptions block(Index stage) const {
    return detail::transgan_block(*this, width(stage), at(stage_heads, stage));
  }

  /// Throws ValueError that names the values which do not fit.
  void validate() const {
    constexpr std::string_view kWhere = "transgan_discriminator";
    detail::require_stages(stage_layers, stage_heads, stage_windows, kWhere);
    require(std::ssize(stage_columns) == stages(), kWhere, "each of ", stages(), " stages needs columns: there are ",
            stage_columns.size());
    for (const Index columns : stage_columns) {
      require(columns > 0 && columns <= detail::kMostColumns, kWhere, "a stage needs from 1 to ", detail::kMostColumns,
              " columns: ", columns);
    }
    detail::require_transgan_limits(*this, kWhere);
    for (Index i = 0; i < stages(); ++i) {
      patches(i).validate(kWhere);
      detail::require_heads(width(i), at(stage_heads, i), kWhere);
    }
    require(stage_windows.back() == 0, kWhere,
            "the class token of the last stage attends to all tokens, there are no windows: ", stage_windows.back());
    detail::require_dropout({dropout}, kWhere);
    require(norm_epsilon > 0 && init_std >= 0, kWhere, "norm_epsilon must be positive: ", norm_epsilon,
            ", init_std not negative: ", init_std);
  }

  /// The model's name in files, and every setting with its name there.
  static constexpr std::string_view kName = "transgan_discriminator";
  template <class Self, class Visitor>
  static void visit_fields(Self& self, const Visitor& field) {
    detail::visit_transgan_fields(self, field);
    field("stage_columns", self.stage_columns);
  }
};

}}  // namespace rapt::RAPT_ABI
