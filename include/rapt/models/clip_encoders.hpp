/// \file
/// The two encoders of CLIP (Radford et al. 2021), stacks of pre-norm blocks: images as in vit.hpp, but with a norm
/// before the blocks; texts as in gpt.hpp, read at their end token.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "rapt/autograd/ops/assemble_tokens.hpp"
#include "rapt/autograd/ops/gather_rows.hpp"
#include "rapt/core/image_batch.hpp"
#include "rapt/core/token_batch.hpp"
#include "rapt/models/clip_config.hpp"
#include "rapt/models/vit.hpp"
#include "rapt/nn/embedding.hpp"
#include "rapt/nn/encoder.hpp"
#include "rapt/nn/init.hpp"
#include "rapt/nn/layer_norm.hpp"
#include "rapt/nn/patch_embedding.hpp"
#include "rapt/nn/positional_encoding.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// From tokens to hidden states: causal, with learned positions and a norm behind the last block.
template <class T = float>
class ClipText {
 public:
  ClipText(const ClipTextConfig& config, Rng& rng)
      : end_token_(config.end_token),
        embedding_(config.vocabulary, config.d_model, rng, {.scale_by_sqrt_d_model = false}),
        positions_(config.positions, config.d_model, rng),
        encoder_(config.layers, ClipConfig::layer(config), /*final_norm=*/true, rng) {}

  /// [N, D]
  [[nodiscard]] Variable<T> operator()(const TokenBatch& texts) const {
    require_row_splits(texts, "clip");
    return encoder_(positions_(embedding_(texts.tokens), texts.row_splits), texts.row_splits, {.causal = true});
  }
  /// The hidden state of each text's end token   // [B, D] from [N, D]
  /// Throws ValueError for a text without one.
  [[nodiscard]] Variable<T> pooled(const Variable<T>& hidden, const TokenBatch& texts) const {
    std::vector<std::int32_t> rows;
    for (Index i = 0; i < texts.sequences(); ++i) {
      const std::span<const TokenId> text = texts.sequence(i);
      const auto end =
          end_token_ ? std::find(text.begin(), text.end(), *end_token_) : std::max_element(text.begin(), text.end());
      require(end != text.end(), "clip", "text ", i, " of ", text.size(), " tokens has no end token",
              end_token_ ? ": " + std::to_string(*end_token_) : std::string());
      rows.push_back(static_cast<std::int32_t>(texts.row_splits.begin(i) + (end - text.begin())));
    }
    return gather_rows<T>(hidden, rows);
  }

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& visitor) {
    visitor("embedding", self.embedding_);
    visitor("positions", self.positions_);
    visitor("encoder", self.encoder_);
  }

 private:
  std::optional<TokenId> end_token_;
  Embedding<T> embedding_;
  LearnedPositionalEncoding<T> positions_;
  Encoder<T> encoder_;
};
static_assert(Module<ClipText<float>>);

/// From images to hidden states: a norm stands before the blocks, and one behind them for the class token alone.
template <class T = float>
class ClipVision {
 public:
  ClipVision(const ClipVisionConfig& config, Rng& rng)
      : class_token_(init::constant<T>(Shape{config.d_model}, T(0))),
        patch_embedding_(config.grid, config.d_model, rng, {.bias = false}),
        positions_(1 + config.grid.patches(), config.d_model, rng),
        pre_norm_(config.d_model, config.norm_epsilon),
        encoder_(config.layers, ClipConfig::layer(config), /*final_norm=*/false, rng),
        post_norm_(config.d_model, config.norm_epsilon) {}

  /// Of each image the class token, then its patches, row by row; before the last norm   // [B (P + 1), D]
  [[nodiscard]] Variable<T> operator()(const ImageBatch<T>& images) const {
    const PatchGrid& grid = patch_embedding_.grid();
    require<ShapeError>(images.shape() == grid.image, "clip", "images of ", to_string(images.shape()),
                        ", the model's are ", to_string(grid.image));
    const Variable<T> token[] = {class_token_};
    const RowSplits rows = splits(images.images());
    Variable<T> x = assemble_tokens<T>(patch_embedding_(images), token, Variable<T>(), images.images());
    return encoder_(pre_norm_(positions_(std::move(x), rows)), rows);
  }
  /// The norm of each image's class token   // [B, D] from [B (P + 1), D]
  [[nodiscard]] Variable<T> pooled(const Variable<T>& hidden, Index images) const {
    return post_norm_(VitEncoder<T>::token_rows(hidden, splits(images), 0));
  }

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& visitor) {
    visitor("class_token", self.class_token_);
    visitor("patch_embedding", self.patch_embedding_);
    visitor("positions", self.positions_);
    visitor("pre_norm", self.pre_norm_);
    visitor("encoder", self.encoder_);
    visitor("post_norm", self.post_norm_);
  }

 private:
  [[nodiscard]] RowSplits splits(Index images) const {
    return RowSplits::equal(images, 1 + patch_embedding_.grid().patches());
  }

  Parameter<T> class_token_;
  PatchEmbedding<T> patch_embedding_;
  LearnedPositionalEncoding<T> positions_;
  LayerNorm<T> pre_norm_;
  Encoder<T> encoder_;
  LayerNorm<T> post_norm_;
};
static_assert(Module<ClipVision<float>>);

}}  // namespace rapt::RAPT_ABI
