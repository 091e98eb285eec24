/// \file
/// Vision Transformer: an image's patches are the words of a sentence, which an encoder reads (Dosovitskiy et al.
/// 2020). What differs from bert.hpp: patches are projected instead of looked up, norms come before sublayers.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "rapt/autograd/ops/assemble_tokens.hpp"
#include "rapt/autograd/ops/dropout.hpp"
#include "rapt/autograd/ops/gather_rows.hpp"
#include "rapt/autograd/ops/mean_rows.hpp"
#include "rapt/autograd/ops/resize_positions.hpp"
#include "rapt/core/image_batch.hpp"
#include "rapt/core/patch_mask.hpp"
#include "rapt/models/config_fields.hpp"
#include "rapt/models/label_loss.hpp"
#include "rapt/models/model_part.hpp"
#include "rapt/models/vit_config.hpp"
#include "rapt/nn/encoder.hpp"
#include "rapt/nn/linear.hpp"
#include "rapt/nn/masked_patches.hpp"
#include "rapt/nn/patch_embedding.hpp"
#include "rapt/nn/truncated_normal.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// What a call may ask for beside the hidden states.
template <class T>
struct VitOptions {
  /// Take images of another height and width than the config's, too: the patches' positions are resized to their
  /// grid, by cubic convolution.
  bool resize_positions = false;
  /// If not null, the patches that are replaced, by `mask_embedding`, D elements, or by what `mask->shown()` says (see
  /// patch_prediction.hpp). The mask must outlive the call.
  const PatchMask* mask = nullptr;
  Variable<T> mask_embedding = {};  ///< what stands for a replaced patch, with `mask`   // [D]
  /// If not empty, `weights[i]` receives layer i's attention probabilities, [B, H, L, L]; its size must be the number
  /// of layers.
  std::span<Tensor<T>> weights = {};
};

/// What ViT and DeiT share: from images to the hidden states of the learned tokens and the patches.
template <class T = float>
class VitEncoder {
 public:
  /// Matrices and tokens normal with the config's standard deviation, truncated, as the paper's code and its
  /// followers'.
  VitEncoder(const VitConfig& config, bool distillation_token, Rng& rng)
      : VitEncoder(config, distillation_token, rng, detail::DrawLater()) {
    for_each_parameter(*this, [&](const std::string&, Parameter<T>& parameter) {
      if (parameter.shape().rank() == 1) return;
      parameter.mutable_value() = init::truncated_normal<T>(parameter.shape(), rng, config.init_std);
    });
  }

  /// The last hidden state: of each image the learned tokens, then its patches, row by row   // [B L, D]
  [[nodiscard]] Variable<T> operator()(const ImageBatch<T>& images, const VitOptions<T>& options = {}) const {
    const PatchGrid own = patch_embedding_.grid(), grid = patch_embedding_.grid_of(images.shape());
    require<ShapeError>(grid == own || options.resize_positions, "vit", "images of ", to_string(images.shape()),
                        ", the model's are ", to_string(own.image), "; with resize_positions it takes others, too");
    const std::array<Variable<T>, 2> extra{class_token_, distillation_token_};
    const auto tokens = std::span<const Variable<T>>(extra).first(static_cast<std::size_t>(extra_tokens()));
    Variable<T> patches = patch_embedding_(images);
    if (options.mask != nullptr) {
      patches = replace_masked_patches<T>(patches, options.mask_embedding, *options.mask);
    }
    Variable<T> x = grid == own
                        ? assemble_tokens<T>(patches, tokens, positions_, images.images())
                        : assemble_tokens<T>(patches, tokens,
                                             resize_positions<T>(positions_, extra_tokens(), {own.rows(), own.cols()},
                                                                 {grid.rows(), grid.cols()}),
                                             images.images());
    return encoder_(dropout(std::move(x), dropout_), splits(images), {}, options.weights);
  }

  /// Where each image's rows are: L = `extra_tokens` + patches an image.
  [[nodiscard]] RowSplits splits(const ImageBatch<T>& images) const {
    return RowSplits::equal(images.images(), extra_tokens() + patch_embedding_.grid_of(images.shape()).patches());
  }
  /// Learned tokens before the patches: 1, or with one for distillation 2.
  [[nodiscard]] Index extra_tokens() const { return distillation_token_.defined() ? 2 : 1; }

  /// Row `first` of each image   // [B, D] from hidden states [B L, D]
  [[nodiscard]] static Variable<T> token_rows(const Variable<T>& hidden, const RowSplits& splits, Index first) {
    return rows(hidden, splits, first, 1);
  }
  /// The rows of the patches alone   // [B P, D]
  [[nodiscard]] Variable<T> patch_rows(const Variable<T>& hidden, const RowSplits& splits) const {
    return rows(hidden, splits, extra_tokens(), splits.longest() - extra_tokens());
  }

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& visitor) {
    visitor("class_token", self.class_token_);
    visitor("distillation_token", self.distillation_token_);
    visitor("patch_embedding", self.patch_embedding_);
    visitor("positions", self.positions_);
    visitor("encoder", self.encoder_);
  }

 private:
  /// Makes the layers, whose random values the public constructor draws.
  VitEncoder(const VitConfig& config, bool distillation_token, Rng& rng, const detail::DrawLater&)
      : class_token_(init::constant<T>(Shape{1, 1, config.d_model}, T(0))),
        patch_embedding_(config.grid, config.d_model, rng),
        encoder_(config.layers, config.layer(), /*final_norm=*/true, rng),
        dropout_(config.dropout) {
    if (distillation_token) distillation_token_ = class_token_;
    positions_ =
        Parameter<T>(init::constant<T>(Shape{1, extra_tokens() + config.grid.patches(), config.d_model}, T(0)));
  }

  /// `count` rows of each image from row `first` on.
  [[nodiscard]] static Variable<T> rows(const Variable<T>& hidden, const RowSplits& splits, Index first, Index count) {
    require<ShapeError>(hidden.rows() == splits.rows(), "vit", "the hidden state has shape ", hidden.shape(),
                        ", row splits end at ", splits.rows());
    std::vector<std::int32_t> numbers;
    for (Index b = 0; b < splits.sequences(); ++b) {
      for (Index i = 0; i < count; ++i) numbers.push_back(static_cast<std::int32_t>(splits.begin(b) + first + i));
    }
    return gather_rows<T>(hidden, numbers);
  }

  Parameter<T> class_token_, distillation_token_;
  PatchEmbedding<T> patch_embedding_;
  Parameter<T> positions_;
  Encoder<T> encoder_;
  float dropout_;
};
static_assert(Module<VitEncoder<float>>);

namespace detail {

/// A linear map of hidden states, initialised as all matrices are.
template <class T>
[[nodiscard]] Linear<T> vit_head(const VitConfig& config, Index outputs, Rng& rng) {
  Linear<T> head = [&] {
    const DrawLater scope;
    return Linear<T>(config.d_model, outputs, rng);
  }();
  for_each_parameter(head, [&](const std::string&, Parameter<T>& parameter) {
    if (parameter.shape().rank() == 1) return;
    parameter.mutable_value() = init::truncated_normal<T>(parameter.shape(), rng, config.init_std);
  });
  return head;
}

}  // namespace detail

/// The encoder, and the pooler or the classification head that the config names. A const model may be used from many
/// threads.
///
/// ```cpp
/// const auto vit = rapt::from_pretrained<rapt::Vit<float>>("vit-base-patch16-224");
/// const auto scores = vit(images);   // [B, labels]
/// ```
template <class T = float>
class Vit {
 public:
  using ScalarType = T;
  using Config = VitConfig;

  /// Throws ValueError for a config that does not fit.
  Vit(const VitConfig& config, Rng& rng)
      : config_(detail::checked(config)), encoder_(config, /*distillation_token=*/false, rng) {
    if (config.pooler) pooler_ = detail::vit_head<T>(config, config.pooler_width.value_or(config.d_model), rng);
    const auto classes = static_cast<Index>(config.labels.size());
    if (classes > 0) classifier_ = detail::vit_head<T>(config, classes, rng);
  }

  /// The last hidden state: of each image the class token, then its patches, row by row   // [B (P + 1), D]
  [[nodiscard]] Variable<T> hidden(const ImageBatch<T>& images, const VitOptions<T>& options = {}) const {
    return encoder_(images, options);
  }
  /// Where each image's rows are.
  [[nodiscard]] RowSplits splits(const ImageBatch<T>& images) const { return encoder_.splits(images); }

  /// What the config's pooling makes of each image   // [B, D] from hidden states [B (P + 1), D]
  [[nodiscard]] Variable<T> pooled(const Variable<T>& hidden, const RowSplits& splits) const {
    if (config_.pooling == ImagePooling::class_token) return VitEncoder<T>::token_rows(hidden, splits, 0);
    const Index patches = splits.longest() - 1;
    return mean_rows(encoder_.patch_rows(hidden, splits), RowSplits::equal(splits.sequences(), patches));
  }
  /// What the pooler makes of the class token   // [B, pooler width]
  [[nodiscard]] Variable<T> pooler_output(const Variable<T>& hidden, const RowSplits& splits) const {
    return detail::require_part(pooler_, "vit", "pooler")(pooled(hidden, splits), config_.pooler_activation);
  }
  /// Scores of the config's labels   // [B, labels] from hidden states [B (P + 1), D]
  [[nodiscard]] Variable<T> logits(const Variable<T>& hidden, const RowSplits& splits) const {
    return detail::require_part(classifier_, "vit", "classification head")(pooled(hidden, splits));
  }
  /// Scores of the config's labels   // [B, labels]
  [[nodiscard]] Variable<T> operator()(const ImageBatch<T>& images, const VitOptions<T>& options = {}) const {
    return logits(hidden(images, options), splits(images));
  }
  /// Mean cross-entropy of the images' labels, numbers among the config's.
  [[nodiscard]] Variable<T> loss(const LabelledImages<T>& batch, const CrossEntropyOptions& options = {}) const {
    return label_loss((*this)(batch.images), batch, options);
  }

  [[nodiscard]] const VitConfig& config() const { return config_; }

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& visitor) {
    VitEncoder<T>::visit(self.encoder_, visitor);
    visitor("pooler", self.pooler_);
    visitor("classifier", self.classifier_);
  }

 private:
  VitConfig config_;
  VitEncoder<T> encoder_;
  std::optional<Linear<T>> pooler_, classifier_;
};
static_assert(Module<Vit<float>>);

template <class... Arguments>
Vit(const VitConfig&, Arguments&&...) -> Vit<float>;

}}  // namespace rapt::RAPT_ABI
