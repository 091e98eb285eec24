/// \file
/// CLIP: an encoder of images and one of texts, whose vectors are near each other where image and text belong together
/// (Radford et al. 2021). The encoders are in clip_encoders.hpp.
#pragma once

#include <cmath>
#include <cstdint>
#include <numeric>
#include <string>
#include <vector>

#include "rapt/autograd/ops/add.hpp"
#include "rapt/autograd/ops/cross_entropy.hpp"
#include "rapt/autograd/ops/exp_scale.hpp"
#include "rapt/autograd/ops/linear.hpp"
#include "rapt/autograd/ops/multiply.hpp"
#include "rapt/autograd/ops/normalize.hpp"
#include "rapt/autograd/ops/softmax.hpp"
#include "rapt/models/clip_config.hpp"
#include "rapt/models/clip_encoders.hpp"
#include "rapt/models/config_fields.hpp"
#include "rapt/nn/init.hpp"
#include "rapt/nn/linear.hpp"

namespace rapt { inline namespace RAPT_ABI {

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
