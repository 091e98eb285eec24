/// \file
/// A masked autoencoder: an encoder sees a quarter of an image's patches, and a light decoder says what the pixels of
/// the others are (He et al. 2021). What the encoder has learned so is then put to use in a classifier (vit.hpp).
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "rapt/autograd/ops/add_rows.hpp"
#include "rapt/autograd/ops/gather_rows.hpp"
#include "rapt/autograd/ops/mean_squared_error.hpp"
#include "rapt/autograd/ops/place_rows.hpp"
#include "rapt/core/image_batch.hpp"
#include "rapt/core/patch_mask.hpp"
#include "rapt/kernels/patch_pixels.hpp"
#include "rapt/models/config_fields.hpp"
#include "rapt/models/mae_config.hpp"
#include "rapt/models/model_part.hpp"
#include "rapt/nn/encoder.hpp"
#include "rapt/nn/grid_positions.hpp"
#include "rapt/nn/linear.hpp"
#include "rapt/nn/patch_embedding.hpp"
#include "rapt/nn/transfer.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// From the encoder's rows of the visible patches to pixels of all.
template <class T = float>
class MaeDecoder {
 public:
  MaeDecoder(const MaeConfig& config, Rng& rng)
      : embedding_(config.d_model, config.decoder_width, rng),
        mask_token_(init::normal<T>(Shape{1, 1, config.decoder_width}, rng, 0.02)),
        positions_(grid_positions<T>(config.grid.rows(), config.grid.cols(), config.decoder_width)),
        encoder_(config.decoder_layers, config.decoder_layer(), /*final_norm=*/true, rng),
        prediction_(config.decoder_width, config.grid.patch_size(), rng) {}

  /// Normalised rows of all tokens, to predict from   // [B (P + 1), decoder width] from [B (K + 1), D]
  [[nodiscard]] Variable<T> operator()(const Variable<T>& encoded, const PatchMask& mask) const {
    const Index images = mask.images(), length = mask.patches() + 1;
    std::vector<Index> places;  // of the class token and the visible patches of each image
    const std::vector<std::int32_t> rows = mask.token_rows(mask.visible());
    for (Index b = 0; b < images; ++b) {
      places.push_back(b * length);
      places.insert(places.end(), rows.begin() + mask.visible_splits().begin(b),
                    rows.begin() + mask.visible_splits().end(b));
    }
    require<ShapeError>(encoded.rows() == static_cast<Index>(places.size()), "mae", "the encoder's rows have shape ",
                        encoded.shape(), ", the mask shows ", rows.size(), " patches of ", images, " images");
    const std::vector<std::int32_t> hidden = mask.token_rows(mask.masked());
    const Variable<T> tokens = gather_rows<T>(mask_token_, std::vector<std::int32_t>(hidden.size(), std::int32_t{0}));
    Variable<T> x = place_rows<T>({{embedding_(encoded), places}, {tokens, {hidden.begin(), hidden.end()}}});
    std::vector<std::int32_t> positions;
    for (Index i = 0; i < images * length; ++i) positions.push_back(static_cast<std::int32_t>(i % length));
    return encoder_(add_rows<T>(std::move(x), detail::constant(positions_), positions),
                    RowSplits::equal(images, length));
  }
  /// Pixels in the order (y, x, c)   // [n, p_h p_w C] from [n, decoder width]
  [[nodiscard]] Variable<T> predict(const Variable<T>& rows) const { return prediction_(rows); }

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& visitor) {
    visitor("embedding", self.embedding_);
    visitor("mask_token", self.mask_token_);
    visitor("positions", self.positions_);
    visitor("encoder", self.encoder_);
    visitor("prediction", self.prediction_);
  }

 private:
  Linear<T> embedding_;
  Parameter<T> mask_token_, positions_;
  Encoder<T> encoder_;
  Linear<T> prediction_;
};
static_assert(Module<MaeDecoder<float>>);

/// Encoder and decoder. A const model may be used from many threads.
///
/// ```cpp
/// const rapt::PatchMask mask = rapt::random_patch_mask(images.images(), mae.config().grid.patches(), 0.75, rng);
/// const auto loss = mae.loss({.images = images, .mask = mask});
/// ```
template <class T = float>
class Mae {
 public:
  using ScalarType = T;
  using Config = MaeConfig;

  /// Weights Xavier-uniform, tokens normal with standard deviation 0.02, as the paper's code. Throws ValueError for a
  /// config that does not fit.
  Mae(const MaeConfig& config, Rng& rng)
      : config_(detail::checked(config)),
        class_token_(init::normal<T>(Shape{1, 1, config.d_model}, rng, 0.02)),
        patch_embedding_(config.grid, config.d_model, rng),
        positions_(grid_positions<T>(config.grid.rows(), config.grid.cols(), config.d_model)),
        encoder_(config.layers, config.layer(), /*final_norm=*/true, rng) {
    if (config.decoder) decoder_.emplace(config, rng);
    for_each_parameter(patch_embedding_, [&](const std::string& name, Parameter<T>& parameter) {
      if (name != "weight") return;
      const Shape shape = parameter.shape();
      Tensor<T> weight = init::xavier_uniform<T>(Shape{config.d_model, config.grid.patch_size()}, rng);
      weight.reshape(shape);
      parameter.mutable_value() = std::move(weight);
    });
  }

  /// What the encoder makes of the visible patches: of each image the class token, then its patches in the order of
  /// the mask   // [B (K + 1), D]
  /// An empty mask: all patches in their order. Positions are fixed; no gradient flows into them. If not empty,
  /// `weights[i]` receives layer i's attention probabilities; its size must be the number of layers.
  [[nodiscard]] Variable<T> hidden(const ImageBatch<T>& images, const PatchMask& mask = {},
                                   std::span<Tensor<T>> weights = {}) const {
    require<ShapeError>(images.shape() == config_.grid.image, kWhere, "images of ", to_string(images.shape()),
                        ", the model's are ", to_string(config_.grid.image));
    require<ShapeError>(images.images() > 0, kWhere, "a batch without images");
    std::vector<std::int32_t> visible;
    if (mask.images() > 0) {
      require_mask(images, mask);
      visible = mask.visible_in_image();
    }
    const Variable<T> extra[] = {class_token_}, patches = patch_embedding_(images, visible);
    const Index per_image = patches.rows() / images.images();
    return encoder_(assemble_tokens<T>(patches, extra, detail::constant(positions_), images.images(), visible),
                    RowSplits::equal(images.images(), per_image + 1), {}, weights);
  }

  /// Pixels of all patches, in the order (y, x, c), visible ones included   // [B P, p_h p_w C]
  [[nodiscard]] Variable<T> predict(const Variable<T>& encoded, const PatchMask& mask) const {
    const MaeDecoder<T>& decoder = detail::require_part(decoder_, kWhere, "decoder");
    return decoder.predict(
        gather_rows<T>(decoder(encoded, mask), mask.token_rows(PatchMask(mask.images(), mask.patches()).visible())));
  }
  /// The same of images   // [B P, p_h p_w C]
  [[nodiscard]] Variable<T> operator()(const ImageBatch<T>& images, const PatchMask& mask) const {
    return predict(hidden(images, mask), mask);
  }

  /// The mean squared distance between predicted pixels of the hidden patches and their own, which are normalised if
  /// the config says so. Pixels of visible patches are not computed.
  [[nodiscard]] Variable<T> loss(const MaskedImages<T>& batch) const {
    const ImageBatch<T>& images = batch.images;
    const PatchMask& mask = batch.mask;
    require(!mask.masked().empty(), kWhere, "no patch is hidden");
    Tensor<T> target = kernels::patch_pixels(images, config_.grid, mask.masked());
    if (config_.normalise_pixels) {
      const Tensor<T> statistics = kernels::patch_statistics(target);
      for (Index i = 0; i < target.rows(); ++i) {
        for (Index j = 0; j < target.cols(); ++j) target(i, j) = (target(i, j) - statistics(i, 0)) / statistics(i, 1);
      }
    }
    return mean_squared_error(predict_hidden(images, mask), std::move(target));
  }

  /// The images with the hidden patches as the decoder has them. Normalised predictions get the mean and standard
  /// deviation of the patches that were there.
  [[nodiscard]] ImageBatch<T> reconstruct(const ImageBatch<T>& images, const PatchMask& mask) const {
    Tensor<T> pixels = predict_hidden(images, mask).value();
    if (config_.normalise_pixels) {
      const auto statistics = kernels::patch_statistics(kernels::patch_pixels(images, config_.grid, mask.masked()));
      for (Index i = 0; i < pixels.rows(); ++i) {
        for (Index j = 0; j < pixels.cols(); ++j) pixels(i, j) = pixels(i, j) * statistics(i, 1) + statistics(i, 0);
      }
    }
    return kernels::with_patches(images, config_.grid, mask.masked(), pixels);
  }

  [[nodiscard]] const MaeConfig& config() const { return config_; }

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& visitor) {
    visitor("class_token", self.class_token_);
    visitor("patch_embedding", self.patch_embedding_);
    visitor("positions", self.positions_);
    visitor("encoder", self.encoder_);
    visitor("decoder", self.decoder_);
  }

 private:
  static constexpr std::string_view kWhere = "mae";

  void require_mask(const ImageBatch<T>& images, const PatchMask& mask) const {
    require<ShapeError>(mask.images() == images.images() && mask.patches() == config_.grid.patches(), kWhere,
                        "a mask of ", mask.images(), " images of ", mask.patches(), " patches for ", images.images(),
                        " of ", config_.grid.patches());
    require(mask.shown().empty(), kWhere,
            "masked patches are not read, so that nothing is shown in their place: ", mask.shown().size(),
            " are given");
    for (Index b = 0; b < mask.images(); ++b) {
      const Index count = mask.visible_splits().length(b), first = mask.visible_splits().length(0);
      require<ShapeError>(count == first && count > 0, kWhere, "image ", b, " shows ", count,
                          " patches, image 0 shows ", first);
    }
  }
  /// Pixels of the hidden patches alone   // [hidden, p_h p_w C]
  [[nodiscard]] Variable<T> predict_hidden(const ImageBatch<T>& images, const PatchMask& mask) const {
    const MaeDecoder<T>& decoder = detail::require_part(decoder_, kWhere, "decoder");
    require_mask(images, mask);
    const Variable<T> decoded = decoder(hidden(images, mask), mask);
    return decoder.predict(gather_rows<T>(decoded, mask.token_rows(mask.masked())));
  }

  MaeConfig config_;
  Parameter<T> class_token_;
  PatchEmbedding<T> patch_embedding_;
  Parameter<T> positions_;
  Encoder<T> encoder_;
  std::optional<MaeDecoder<T>> decoder_;
};
static_assert(Module<Mae<float>>);

template <class... Arguments>
Mae(const MaeConfig&, Arguments&&...) -> Mae<float>;

/// Gives a classifier (vit.hpp) the encoder of an autoencoder: every parameter but the decoder's, by its name. Throws
/// as `copy_parameters`.
template <class T, Module Classifier>
void copy_encoder(const Mae<T>& mae, Classifier& classifier) {
  copy_parameters(mae, classifier, [](const std::string& name) { return !name.starts_with("decoder."); });
}

}}  // namespace rapt::RAPT_ABI
