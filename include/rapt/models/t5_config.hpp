/// \file
/// The settings of a T5.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "rapt/models/config_checks.hpp"
#include "rapt/models/config_fields.hpp"
#include "rapt/nn/block.hpp"
#include "rapt/nn/relative_position_bias.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// Everything that makes a T5. Defaults are T5 small's.
struct T5Config {
  Index vocabulary = 32128;
  Index d_model = 512;
  Index encoder_layers = 6;
  Index decoder_layers = 6;
  Index heads = 8;
  Index head_dim = 64;  ///< d_k, which need not be d_model / heads
  Index d_ff = 2048;
  bool gated = false;  ///< the feed-forward network is gated
  Activation activation = Activation::relu;
  Index position_buckets = 32;        ///< see RelativeBuckets
  Index max_position_distance = 128;  ///< see RelativeBuckets
  float dropout = 0.1f;               ///< rate of every dropout: embeddings, attention, sublayers and last norms
  double norm_epsilon = 1e-6;
  double init_factor = 1;                  ///< multiplies the standard deviation of all initial weights
  bool tie_embeddings = true;              ///< the output projection is the embedding
  bool scale_output = true;                ///< the decoder's last hidden states are multiplied by d_model^-0.5
  std::optional<TokenId> begin_token = 0;  ///< what the decoder reads first, which is the padding token
  std::vector<TokenId> end_tokens = {1};   ///< what ends a text
  std::optional<TokenId> pad_token = 0;    ///< id of padding in other programs; there is none here

  /// The paper's small model, of 60 million parameters.
  [[nodiscard]] static T5Config small() { return {}; }
  /// The paper's base model, of 220 million parameters.
  [[nodiscard]] static T5Config base() {
    return {.d_model = 768, .encoder_layers = 12, .decoder_layers = 12, .heads = 12, .d_ff = 3072};
  }
  /// T5 1.1 of the same size, whose weights Flan-T5 has, too.
  [[nodiscard]] static T5Config base_v1_1() {
    T5Config config = base();
    config.d_ff = 2048;
    config.gated = true;
    config.activation = Activation::gelu_tanh;
    config.tie_embeddings = config.scale_output = false;
    return config;
  }

  /// The buckets of offsets: `bidirectional` in the encoder, of one direction in the decoder.
  [[nodiscard]] RelativeBuckets buckets(bool bidirectional) const {
    return {.buckets = position_buckets, .max_distance = max_position_distance, .bidirectional = bidirectional};
  }
  /// The options of the encoder's blocks, or, with `cross_attention`, of the decoder's.
  [[nodiscard]] BlockOptions block(bool cross_attention) const {
    return {.attention = {.d_model = d_model,
                          .heads = heads,
                          .head_dim = head_dim,
                          .scale = 1,
                          .dropout = dropout,
                          .query_bias = false,
                          .key_bias = false,
                          .value_bias = false,
                          .output_bias = false,
                          .positions = RelativePositionBias{}},
            .cross_attention = cross_attention,
            .feed_forward = gated ? FeedForwardKind::gated : FeedForwardKind::plain,
            .d_ff = d_ff,
            .activation = activation,
            .activation_dropout = dropout,
            .feed_forward_bias = false,
            .norm_kind = NormKind::rms,
            .norm = NormPlacement::pre,
            .norm_epsilon = norm_epsilon,
            .dropout = dropout};
  }

  /// Throws ValueError that names the values which do not fit.
  void validate() const {
    constexpr std::string_view kWhere = "t5";
    require(vocabulary > 0 && d_model > 0 && heads > 0 && head_dim > 0 && d_ff > 0, kWhere,
            "sizes must be positive: vocabulary ", vocabulary, ", d_model ", d_model, ", heads ", heads, ", head_dim ",
            head_dim, ", d_ff ", d_ff);
    require(encoder_layers > 0 && decoder_layers > 0, kWhere, "layers must be positive: encoder_layers ",
            encoder_layers, ", decoder_layers ", decoder_layers);
    for (const bool bidirectional : {true, false}) buckets(bidirectional).validate(kWhere);
    detail::require_dropout({dropout}, kWhere);
    require(norm_epsilon > 0 && init_factor >= 0, kWhere, "norm_epsilon must be positive: ", norm_epsilon,
            ", init_factor not negative: ", init_factor);
  }

  static constexpr std::string_view kName = "t5";
  template <class Self, class Visitor>
  static void visit_fields(Self& self, const Visitor& field) {
    field("vocabulary", self.vocabulary);
    field("d_model", self.d_model);
    field("encoder_layers", self.encoder_layers);
    field("decoder_layers", self.decoder_layers);
    field("heads", self.heads);
    field("head_dim", self.head_dim);
    field("d_ff", self.d_ff);
    field("gated", self.gated);
    field("activation", self.activation);
    field("position_buckets", self.position_buckets);
    field("max_position_distance", self.max_position_distance);
    field("dropout", self.dropout);
    field("norm_epsilon", self.norm_epsilon);
    field("init_factor", self.init_factor);
    field("tie_embeddings", self.tie_embeddings);
    field("scale_output", self.scale_output);
    field("begin_token", self.begin_token);
    field("end_tokens", self.end_tokens);
    field("pad_token", self.pad_token);
  }
};

}}  // namespace rapt::RAPT_ABI
