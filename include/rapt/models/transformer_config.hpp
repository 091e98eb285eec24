/// \file
/// The settings of the Transformer.
#pragma once

#include <array>
#include <limits>
#include <optional>
#include <string_view>
#include <type_traits>

#include "rapt/core/error.hpp"
#include "rapt/core/named_value.hpp"
#include "rapt/core/shape.hpp"
#include "rapt/models/config_checks.hpp"
#include "rapt/models/config_fields.hpp"
#include "rapt/nn/block.hpp"
#include "rapt/nn/positional_encoding.hpp"

namespace rapt { inline namespace RAPT_ABI {

[[nodiscard]] constexpr auto named_values(NormPlacement) {
  return std::to_array<NamedValue<NormPlacement>>(
      {{"post", NormPlacement::post}, {"pre", NormPlacement::pre}, {"sandwich", NormPlacement::sandwich}});
}
[[nodiscard]] constexpr auto named_values(SinusoidLayout) {
  return std::to_array<NamedValue<SinusoidLayout>>({{"interleaved", SinusoidLayout::interleaved},
                                                    {"concatenated", SinusoidLayout::concatenated},
                                                    {"halves", SinusoidLayout::halves}});
}

/// Everything that makes a Transformer. Defaults are the paper's base model (table 3).
struct TransformerConfig {
  Index source_vocabulary = 37000;
  Index target_vocabulary = 37000;
  Index d_model = 512;
  Index heads = 8;
  Index d_ff = 2048;
  Index encoder_layers = 6;
  Index decoder_layers = 6;
  Index decoder_heads = 0;         ///< 0: as many as the encoder's
  Index decoder_d_ff = 0;          ///< 0: as the encoder's
  float dropout = 0.1f;            ///< rate of embeddings and of each sublayer's output (the paper's 5.4)
  float attention_dropout = 0.f;   ///< rate of the attention probabilities
  float activation_dropout = 0.f;  ///< rate inside of the feed-forward networks
  Activation activation = Activation::relu;
  NormPlacement norm = NormPlacement::post;  ///< where the norms stand; the paper's are behind each residual sum (3.1)
  /// A layer norm behind each stack. Unset: with pre-norm only. torch.nn.Transformer always has them.
  std::optional<bool> final_norm = {};
  double norm_epsilon = 1e-5;
  /// One matrix for both embeddings and the output projection (the paper's 3.4). Needs one vocabulary for both.
  bool tie_embeddings = true;
  /// Without tie_embeddings: one matrix for the target embedding and the output projection.
  bool tie_output = false;
  bool scale_embeddings = true;  ///< embeddings are multiplied by sqrt(d_model) (the paper's 3.4)
  /// A bias of the output projection.
  bool output_bias = false;
  /// A layer norm of the embeddings with their positions, before their dropout (BART).
  bool embedding_norm = false;
  /// Of the sinusoids (the paper's 3.5): their order in the columns, the first position.
  SinusoidalOptions positions = {};
  /// If > 0: positions are learned, up to this many, and `positions` is not used.
  Index learned_positions = 0;
  /// With learned_positions: rows of their tables that stand before the first position's and are never used (BART: 2).
  Index unused_positions = 0;

  /// The paper's base model: 63.08 million parameters with a shared vocabulary of 37,000.
  [[nodiscard]] static TransformerConfig base(Index vocabulary = 37000) {
    return {.source_vocabulary = vocabulary, .target_vocabulary = vocabulary};
  }
  /// The paper's big model.
  [[nodiscard]] static TransformerConfig big(Index vocabulary = 37000) {
    TransformerConfig config = base(vocabulary);
    config.d_model = 1024;
    config.heads = 16;
    config.d_ff = 4096;
    config.dropout = 0.3f;
    return config;
  }
  /// For corpora of some ten thousand sentences.
  [[nodiscard]] static TransformerConfig tiny(Index vocabulary) {
    TransformerConfig config = base(vocabulary);
    config.d_model = 128;
    config.heads = 4;
    config.d_ff = 256;
    config.encoder_layers = config.decoder_layers = 4;
    config.dropout = 0.3f;
    return config;
  }
  /// For corpora of some hundred thousand sentences.
  [[nodiscard]] static TransformerConfig small(Index vocabulary) {
    TransformerConfig config = base(vocabulary);
    config.d_model = 256;
    config.heads = 8;
    config.d_ff = 1024;
    config.encoder_layers = config.decoder_layers = 3;
    return config;
  }
  /// The preset of that name: tiny, small, base or big. Throws ValueError for another.
  [[nodiscard]] static TransformerConfig preset(std::string_view name, Index vocabulary) {
    if (name == "tiny") return tiny(vocabulary);
    if (name == "small") return small(vocabulary);
    if (name == "base") return base(vocabulary);
    if (name == "big") return big(vocabulary);
    fail("transformer", "no preset is called '", name, "': tiny, small, base and big are");
  }

  /// True if a layer norm stands behind each stack.
  [[nodiscard]] bool has_final_norm() const { return final_norm.value_or(norm == NormPlacement::pre); }
  /// True if the output projection has a matrix of its own.
  [[nodiscard]] bool has_output_matrix() const { return !tie_embeddings && !tie_output; }
  /// The options of the encoder's blocks.
  [[nodiscard]] BlockOptions layer() const {
    return {.attention = {.d_model = d_model, .heads = heads, .dropout = attention_dropout},
            .d_ff = d_ff,
            .activation = activation,
            .activation_dropout = activation_dropout,
            .norm = norm,
            .norm_epsilon = norm_epsilon,
            .dropout = dropout};
  }
  /// The options of the decoder's blocks.
  [[nodiscard]] BlockOptions decoder_layer() const {
    BlockOptions options = layer();
    if (decoder_heads > 0) options.attention.heads = decoder_heads;
    if (decoder_d_ff > 0) options.d_ff = decoder_d_ff;
    return options;
  }

  /// Throws ValueError that names the values which do not fit.
  void validate() const {
    constexpr std::string_view kWhere = "transformer";
    require(source_vocabulary > 0 && target_vocabulary > 0, kWhere, "vocabularies must not be empty: source ",
            source_vocabulary, ", target ", target_vocabulary);
    detail::require_heads(d_model, heads, kWhere);
    require(decoder_heads >= 0 && (decoder_heads == 0 || d_model % decoder_heads == 0), kWhere,
            "d_model must be a multiple of decoder_heads: d_model = ", d_model, ", decoder_heads = ", decoder_heads);
    require(decoder_d_ff >= 0, kWhere, "decoder_d_ff must not be negative: ", decoder_d_ff);
    require(learned_positions >= 0, kWhere, "learned_positions must not be negative: ", learned_positions);
    require(unused_positions >= 0 && learned_positions <= std::numeric_limits<Index>::max() - unused_positions, kWhere,
            "unused_positions must not be negative, nor the tables of positions too long: unused_positions ",
            unused_positions, ", learned_positions ", learned_positions);
    require(learned_positions > 0 || d_model % 2 == 0, kWhere, "sinusoidal positions need an even d_model: ", d_model);
    require(d_ff > 0 && encoder_layers > 0 && decoder_layers > 0, kWhere, "sizes must be positive: d_ff ", d_ff,
            ", encoder_layers ", encoder_layers, ", decoder_layers ", decoder_layers);
    detail::require_dropout({dropout, attention_dropout, activation_dropout}, kWhere);
    require(norm_epsilon > 0, kWhere, "norm_epsilon must be positive: ", norm_epsilon);
    require(!tie_embeddings || source_vocabulary == target_vocabulary, kWhere,
            "shared embeddings need one vocabulary: source ", source_vocabulary, ", target ", target_vocabulary);
  }

  /// Columns of the sinusoids, which are computed when a model is made, and are in no file.
  [[nodiscard]] Index table_columns() const { return learned_positions > 0 ? 0 : d_model; }

  /// The model's name in files, and every setting with its name there.
  static constexpr std::string_view kName = "transformer";
  template <class Self, class Visitor>
  static void visit_fields(Self& self, const Visitor& field) {
    field("source_vocabulary", self.source_vocabulary);
    field("target_vocabulary", self.target_vocabulary);
    field("d_model", self.d_model);
    field("heads", self.heads);
    field("d_ff", self.d_ff);
    field("encoder_layers", self.encoder_layers);
    field("decoder_layers", self.decoder_layers);
    field("decoder_heads", self.decoder_heads);
    field("decoder_d_ff", self.decoder_d_ff);
    field("dropout", self.dropout);
    field("attention_dropout", self.attention_dropout);
    field("activation_dropout", self.activation_dropout);
    field("activation", self.activation);
    require(self.activation != Activation::none, "transformer",
            "files hold no Transformer whose activation is \"none\"");
    field("norm", self.norm);
    bool has_norm = self.has_final_norm();  // files say what the default comes to
    field("final_norm", has_norm);
    if constexpr (!std::is_const_v<Self>) self.final_norm = has_norm;
    field("layer_norm_epsilon", self.norm_epsilon);
    field("share_embeddings", self.tie_embeddings);
    field("share_output", self.tie_output);
    field("scale_embeddings", self.scale_embeddings);
    field("output_bias", self.output_bias);
    field("sinusoid_layout", self.positions.layout);
    field("first_position", self.positions.first_position);
    field("learned_positions", self.learned_positions);
    constexpr bool kReads = !std::is_const_v<Self>;  // what is not used is not written
    if (kReads || self.unused_positions > 0) field("unused_positions", self.unused_positions);
    if (kReads || self.embedding_norm) field("embedding_norm", self.embedding_norm);
  }
};

}}  // namespace rapt::RAPT_ABI
