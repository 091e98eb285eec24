/// \file
/// Pre-training of a ViT without labels, as its paper has tried it: half of the patches are corrupted, and the encoder
/// learns to predict what they were (Dosovitskiy et al. 2021, section B.1.2). What it has learned is then put to use in
/// a classifier (vit.hpp).
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "rapt/autograd/ops/cross_entropy.hpp"
#include "rapt/autograd/ops/gather_rows.hpp"
#include "rapt/autograd/ops/mean_squared_error.hpp"
#include "rapt/autograd/ops/reshape.hpp"
#include "rapt/core/image_batch.hpp"
#include "rapt/core/named_value.hpp"
#include "rapt/core/patch_mask.hpp"
#include "rapt/kernels/patch_colours.hpp"
#include "rapt/kernels/patch_pixels.hpp"
#include "rapt/models/vit.hpp"
#include "rapt/nn/transfer.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// What is predicted of a corrupted patch: the three targets that the paper compares.
enum class PatchTarget {
  mean_colour,  ///< the mean colour, a class; what the paper reports
  mosaic,       ///< the colours of a mosaic's cells, as many classes at once
  pixels,       ///< all pixels, by their squared distance
};

[[nodiscard]] constexpr auto named_values(PatchTarget) {
  return std::to_array<NamedValue<PatchTarget>>(
      {{"mean_colour", PatchTarget::mean_colour}, {"mosaic", PatchTarget::mosaic}, {"pixels", PatchTarget::pixels}});
}

/// Everything that makes a model of corrupted patches. The defaults are those of the paper.
struct PatchPredictionConfig {
  VitConfig encoder = {};                         ///< without heads
  PatchTarget target = PatchTarget::mean_colour;  ///< what is predicted of a corrupted patch
  Index bits = 3;                                 ///< of each channel of a colour
  Index mosaic_side = 4;                          ///< the mosaic has so many rows of so many cells
  /// The values of a channel at its darkest and at its brightest, of which colours are made (see PatchColours).
  std::vector<double> lowest = {0.0}, highest = {1.0};

  /// The colours that are predicted of a patch; of no use for PatchTarget::pixels.
  [[nodiscard]] PatchColours colours() const {
    const Index side = target == PatchTarget::mosaic ? mosaic_side : 1;
    return {.rows = side, .cols = side, .bits = bits, .lowest = lowest, .highest = highest};
  }
  /// What the head has for a patch: scores of each cell's colours, or pixels.
  [[nodiscard]] Index outputs() const {
    if (target == PatchTarget::pixels) return encoder.grid.patch_size();
    return colours().cells() * colours().colours(encoder.grid.image.channels);
  }

  /// Throws ValueError that names the values which do not fit.
  void validate() const {
    constexpr std::string_view kWhere = "patch_prediction";
    encoder.validate();
    require(encoder.labels.empty() && !encoder.pooler, kWhere, "the encoder has no heads here: it is given ",
            encoder.labels.size(), " labels", encoder.pooler ? " and a pooler" : "");
    if (target != PatchTarget::pixels) colours().validate(encoder.grid, kWhere);
  }

  /// The blocks of the encoder.
  [[nodiscard]] Index blocks() const { return encoder.layers; }

  /// The model's name in files, and every setting with its name there.
  static constexpr std::string_view kName = "patch_prediction";
  template <class Self, class Visitor>
  static void visit_fields(Self& self, const Visitor& field) {
    VitConfig::visit_fields(self.encoder, field);
    field("target", self.target);
    field("bits", self.bits);
    field("mosaic_side", self.mosaic_side);
    field("lowest", self.lowest);
    field("highest", self.highest);
  }
};

/// The encoder of a Vit, a mask embedding, and a linear head. A const model may be used from many threads.
///
/// ```cpp
/// const rapt::PatchMask mask = rapt::corrupted_patch_mask(images.images(), config.encoder.grid.patches(), rng);
/// const auto loss = prediction.loss({.images = images, .mask = mask});
/// ...
/// rapt::copy_encoder(prediction, classifier);  // a Vit with labels
/// ```
template <class T = float>
class PatchPrediction {
 public:
  using ScalarType = T;
  using Config = PatchPredictionConfig;

  /// All matrices and tokens normal with the encoder's standard deviation, truncated. Throws ValueError for a config
  /// that does not fit.
  PatchPrediction(const PatchPredictionConfig& config, Rng& rng)
      : config_(detail::checked(config)),
        encoder_(config.encoder, /*distillation_token=*/false, rng),
        mask_embedding_(init::truncated_normal<T>(Shape{1, config.encoder.d_model}, rng, config.encoder.init_std)),
        head_(detail::vit_head<T>(config.encoder, config.outputs(), rng)) {}

  /// The last hidden state: of each image the class token, then its patches   // [B (P + 1), D]
  /// `mask`: the patches that are replaced, by the mask embedding or by what `mask.shown()` says; an empty one: none.
  [[nodiscard]] Variable<T> hidden(const ImageBatch<T>& images, const PatchMask& mask = {}) const {
    if (mask.images() == 0) return encoder_(images);
    require<ShapeError>(mask.images() == images.images() && mask.patches() == config_.encoder.grid.patches(), kWhere,
                        "a mask of ", mask.images(), " images of ", mask.patches(), " patches for ", images.images(),
                        " of ", config_.encoder.grid.patches());
    return encoder_(images, {.mask = &mask, .mask_embedding = mask_embedding_});
  }
  /// What is predicted of patches: scores of the colours of each of their cells, or their pixels in the order (y, x, c)
  ///   // [n, outputs] from hidden states of patches [n, D]
  [[nodiscard]] Variable<T> logits(const Variable<T>& hidden) const { return head_(hidden); }
  /// The same of the masked patches   // [masked, outputs]
  [[nodiscard]] Variable<T> operator()(const ImageBatch<T>& images, const PatchMask& mask) const {
    return logits(masked_rows(images, mask));
  }

  /// The mean over the masked patches: of the cross-entropy of their colours, over all cells; or of the squared
  /// distance of their pixels, over all pixels. The targets are made of the images; `batch.visual_tokens` are not read.
  /// Throws ValueError if no patch is masked.
  [[nodiscard]] Variable<T> loss(const MaskedImages<T>& batch, const CrossEntropyOptions& options = {}) const {
    const PatchMask& mask = batch.mask;
    const PatchGrid& grid = config_.encoder.grid;
    require(!mask.masked().empty(), kWhere, "no patch is masked");
    const Variable<T> rows = masked_rows(batch.images, mask);
    if (config_.target == PatchTarget::pixels) {
      return mean_squared_error(logits(rows), kernels::patch_pixels(batch.images, grid, mask.masked()));
    }
    const PatchColours colours = config_.colours();
    const std::vector<std::int32_t> targets = kernels::patch_colours(batch.images, grid, mask.masked(), colours);
    if (colours.cells() == 1) {
      return linear_cross_entropy<T>(rows, head_.weight(), head_.bias(), targets, options);
    }
    const Shape by_cell{std::ssize(targets), colours.colours(grid.image.channels)};
    return cross_entropy<T>(reshape<T>(logits(rows), by_cell), targets, options);
  }

  [[nodiscard]] const PatchPredictionConfig& config() const { return config_; }

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& visitor) {
    VitEncoder<T>::visit(self.encoder_, visitor);
    visitor("mask_embedding", self.mask_embedding_);
    visitor("head", self.head_);
  }

 private:
  static constexpr std::string_view kWhere = "patch_prediction";

  /// The last hidden state of the masked patches   // [masked, D]
  [[nodiscard]] Variable<T> masked_rows(const ImageBatch<T>& images, const PatchMask& mask) const {
    return gather_rows<T>(hidden(images, mask), mask.token_rows(mask.masked()));
  }

  PatchPredictionConfig config_;
  VitEncoder<T> encoder_;
  Parameter<T> mask_embedding_;
  Linear<T> head_;
};
static_assert(Module<PatchPrediction<float>>);

template <class... Arguments>
PatchPrediction(const PatchPredictionConfig&, Arguments&&...) -> PatchPrediction<float>;

/// Gives a classifier (vit.hpp) the encoder that has learned from corrupted patches: every parameter but the mask
/// embedding and the head, by its name. Throws as `copy_parameters`.
template <class T, Module Classifier>
void copy_encoder(const PatchPrediction<T>& prediction, Classifier& classifier) {
  copy_parameters(prediction, classifier,
                  [](const std::string& name) { return name != "mask_embedding" && !name.starts_with("head."); });
}

}}  // namespace rapt::RAPT_ABI
