/// \file
/// CLIP: an encoder of images and one of texts, whose vectors are near each other where image and text belong together
/// (Radford et al. 2021). Both are stacks of pre-norm blocks: images as in vit.hpp, but with a norm before the blocks;
/// texts as in gpt.hpp, read at their end token.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "rapt/autograd/ops/add.hpp"
#include "rapt/autograd/ops/exp_scale.hpp"
#include "rapt/autograd/ops/multiply.hpp"
#include "rapt/autograd/ops/normalize.hpp"
#include "rapt/autograd/ops/softmax.hpp"
#include "rapt/models/config_checks.hpp"
#include "rapt/models/config_fields.hpp"
#include "rapt/models/vit.hpp"
#include "rapt/nn/embedding.hpp"
#include "rapt/nn/positional_encoding.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// The encoder of texts. Defaults are those of the paper's ViT-B/32.
struct ClipTextConfig {
  Index vocabulary = 49408;
  Index positions = 77;  ///< the longest text
  Index d_model = 512;
  Index layers = 12;
  Index heads = 8;
  Index d_ff = 2048;
  Activation activation = Activation::quick_gelu;
  float attention_dropout = 0.f;  ///< rate of the attention probabilities
  double norm_epsilon = 1e-5;
  std::optional<TokenId> begin_token = 49406;  ///< what texts begin with; kept for other programs
  /// A text is represented by the hidden state of its first such token; unset: of the token with the largest id.
  std::optional<TokenId> end_token = 49407;
  std::optional<TokenId> pad_token = 1;  ///< what other programs fill up with; there is no padding here
};

/// The encoder of images. Defaults are those of the paper's ViT-B/32.
struct ClipVisionConfig {
  PatchGrid grid = {.image = {.channels = 3, .height = 224, .width = 224}, .patch_height = 32, .patch_width = 32};
  Index d_model = 768;
  Index layers = 12;
  Index heads = 12;
  Index d_ff = 3072;
  Activation activation = Activation::quick_gelu;
  float attention_dropout = 0.f;  ///< rate of the attention probabilities
  double norm_epsilon = 1e-5;
};

/// Everything that makes a CLIP.
struct ClipConfig {
  ClipTextConfig text = {};
  ClipVisionConfig vision = {};
  Index embedding = 512;                    ///< E, the width of the vectors of images and texts
  double logit_scale = 2.6592600369327783;  ///< what the logarithm of the logits' factor begins with: ln(1 / 0.07)

  /// The paper's ViT-B/32, ViT-B/16 and ViT-L/14.
  [[nodiscard]] static ClipConfig base32() { return {}; }
  [[nodiscard]] static ClipConfig base16() {
    ClipConfig config;
    config.vision.grid.patch_height = config.vision.grid.patch_width = 16;
    return config;
  }
  [[nodiscard]] static ClipConfig large14() {
    ClipConfig config{.text = {.d_model = 768, .heads = 12, .d_ff = 3072},
                      .vision = {.d_model = 1024, .layers = 24, .heads = 16, .d_ff = 4096},
                      .embedding = 768};
    config.vision.grid.patch_height = config.vision.grid.patch_width = 14;
    return config;
  }

  /// The options of the blocks of one of the encoders.
  template <class Encoder>
  [[nodiscard]] static BlockOptions layer(const Encoder& encoder) {
    return {.attention = {.d_model = encoder.d_model, .heads = encoder.heads, .dropout = encoder.attention_dropout},
            .d_ff = encoder.d_ff,
            .activation = encoder.activation,
            .norm = NormPlacement::pre,
            .norm_epsilon = encoder.norm_epsilon,
            .dropout = 0.f};
  }

  /// Throws ValueError that names the values which do not fit.
  void validate() const {
    constexpr std::string_view kWhere = "clip";
    require(text.vocabulary > 0 && text.positions > 0 && embedding > 0 && std::isfinite(logit_scale), kWhere,
            "sizes must be positive: vocabulary ", text.vocabulary, ", positions ", text.positions, ", embedding ",
            embedding, "; logit_scale finite: ", logit_scale);
    vision.grid.validate(kWhere);
    const auto validate = [&](const auto& encoder, std::string_view of) {
      require(encoder.layers > 0 && encoder.d_ff > 0 && encoder.norm_epsilon > 0, kWhere, "the ", of,
              " encoder's sizes must be positive: layers ", encoder.layers, ", d_ff ", encoder.d_ff, ", norm_epsilon ",
              encoder.norm_epsilon);
      detail::require_heads(encoder.d_model, encoder.heads, kWhere);
      detail::require_dropout({encoder.attention_dropout}, kWhere);
    };
    validate(text, "text");
    validate(vision, "image");
  }

  /// The model's name in files, and every setting with its name there.
  static constexpr std::string_view kName = "clip";
  template <class Self, class Visitor>
  static void visit_fields(Self& self, const Visitor& field) {
    field("vocabulary", self.text.vocabulary);
    field("positions", self.text.positions);
    field("text_d_model", self.text.d_model);
    field("text_layers", self.text.layers);
    field("text_heads", self.text.heads);
    field("text_d_ff", self.text.d_ff);
    field("text_activation", self.text.activation);
    field("text_attention_dropout", self.text.attention_dropout);
    field("text_norm_epsilon", self.text.norm_epsilon);
    field("begin_token", self.text.begin_token);
    field("end_token", self.text.end_token);
    field("pad_token", self.text.pad_token);
    detail::visit_grid_fields(self.vision.grid, field);
    field("image_d_model", self.vision.d_model);
    field("image_layers", self.vision.layers);
    field("image_heads", self.vision.heads);
    field("image_d_ff", self.vision.d_ff);
    field("image_activation", self.vision.activation);
    field("image_attention_dropout", self.vision.attention_dropout);
    field("image_norm_epsilon", self.vision.norm_epsilon);
    field("embedding", self.embedding);
    field("logit_scale", self.logit_scale);
  }
};

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

/// Both encoders and the projections of what they give. A const model may be used from many threads.
///
/// ```cpp
/// const auto clip = rapt::from_pretrained<rapt::Clip<float>>("clip-vit-base-patch32");
/// const auto scores = clip(images, texts);   // [images, texts]: which text describes the image?
/// ```
template <class T = float>
class Clip {
 public:
  using ScalarType = T;
  using Config = ClipConfig;

  /// Weights as in the paper's code: normal, with standard deviations that fall with width and depth. Throws ValueError
  /// for a config that does not fit.
  Clip(const ClipConfig& config, Rng& rng) : Clip(config, rng, detail::DrawLater()) {
    for_each_parameter(*this, [&](const std::string& name, Parameter<T>& parameter) {
      const bool is_text = name.starts_with("text"), is_class_token = name == "vision.class_token";
      if (parameter.shape().rank() == 1 && !is_class_token) return;
      const double width = static_cast<double>(is_text ? config.text.d_model : config.vision.d_model);
      const double depth = static_cast<double>(is_text ? config.text.layers : config.vision.layers);
      double std = 1 / std::sqrt(width);  // of projections, class token and the image's positions
      if (name.ends_with("out_proj.weight") || name.ends_with("linear2.weight")) std /= std::sqrt(2 * depth);
      if (name.ends_with("linear1.weight")) std /= std::sqrt(2.0);
      if (name == "text.embedding.weight" || name == "vision.patch_embedding.weight") std = 0.02;
      if (name == "text.positions.weight") std = 0.01;
      parameter.mutable_value() = init::normal<T>(parameter.shape(), rng, std);
    });
  }

  /// The texts' last hidden states   // [N, D]
  [[nodiscard]] Variable<T> text_hidden(const TokenBatch& texts) const { return text_(texts); }
  /// The images' last hidden states: the class token, then the patches, row by row   // [B (P + 1), D]
  [[nodiscard]] Variable<T> image_hidden(const ImageBatch<T>& images) const { return vision_(images); }

  /// A vector of length 1 for each text, which must have an end token   // [B, E]
  [[nodiscard]] Variable<T> text_embedding(const TokenBatch& texts) const {
    return normalize(text_projection_(text_.pooled(text_(texts), texts)));
  }
  /// A vector of length 1 for each image   // [B, E]
  [[nodiscard]] Variable<T> image_embedding(const ImageBatch<T>& images) const {
    return normalize(image_projection_(vision_.pooled(vision_(images), images.images())));
  }

  /// Scores exp(logit_scale) a b^T of each row of `a` with each of `b`: their cosines, scaled
  ///   // [A, B] from vectors [A, E] and [B, E]
  [[nodiscard]] Variable<T> logits(const Variable<T>& a, const Variable<T>& b) const {
    return exp_scale<T>(linear<T>(a, b, Variable<T>()), logit_scale_);
  }
  /// The softmax of a row's logits: how probable each row of `b` is for that of `a`   // [A, B] from [A, E] and [B, E]
  [[nodiscard]] Variable<T> probabilities(const Variable<T>& a, const Variable<T>& b) const {
    return softmax(logits(a, b));
  }
  /// Scores of each image with each text   // [images, texts]
  [[nodiscard]] Variable<T> operator()(const ImageBatch<T>& images, const TokenBatch& texts) const {
    return logits(image_embedding(images), text_embedding(texts));
  }

  /// The mean of two cross-entropies: of choosing each image's text among the batch's, and each text's image. Batches
  /// that are accumulated contrast within each of them only. The paper's code keeps exp(logit_scale) at or below 100;
  /// here nothing limits it.
  [[nodiscard]] Variable<T> loss(const CaptionedImages<T>& batch, const CrossEntropyOptions& options = {}) const {
    require<ShapeError>(batch.images.images() == batch.texts.sequences(), "clip", batch.images.images(),
                        " images have as many texts, got ", batch.texts.sequences());
    std::vector<std::int32_t> own(to_size(batch.images.images()));
    std::iota(own.begin(), own.end(), 0);
    const Variable<T> images = image_embedding(batch.images), texts = text_embedding(batch.texts);
    return scale(
        add(cross_entropy(logits(images, texts), own, options), cross_entropy(logits(texts, images), own, options)),
        T(0.5));
  }

  [[nodiscard]] const ClipConfig& config() const { return config_; }

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& visitor) {
    visitor("text", self.text_);
    visitor("vision", self.vision_);
    visitor("text_projection", self.text_projection_);
    visitor("image_projection", self.image_projection_);
    visitor("logit_scale", self.logit_scale_);
  }

 private:
  /// Makes the layers, whose random values the public constructor draws.
  Clip(const ClipConfig& config, Rng& rng, const detail::DrawLater&)
      : config_(detail::checked(config)),
        text_(config.text, rng),
        vision_(config.vision, rng),
        text_projection_(config.text.d_model, config.embedding, rng, {.bias = false}),
        image_projection_(config.vision.d_model, config.embedding, rng, {.bias = false}),
        logit_scale_(init::constant<T>(Shape{1}, static_cast<T>(config.logit_scale))) {}

  ClipConfig config_;
  ClipText<T> text_;
  ClipVision<T> vision_;
  Linear<T> text_projection_, image_projection_;
  Parameter<T> logit_scale_;
};
static_assert(Module<Clip<float>>);

template <class... Arguments>
Clip(const ClipConfig&, Arguments&&...) -> Clip<float>;

}}  // namespace rapt::RAPT_ABI
