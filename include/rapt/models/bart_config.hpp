/// \file
/// The settings of BART and of the models that are made like it.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "rapt/core/error.hpp"
#include "rapt/core/named_value.hpp"
#include "rapt/core/token_batch.hpp"
#include "rapt/models/config_checks.hpp"
#include "rapt/models/config_fields.hpp"
#include "rapt/models/encoder_decoder_config.hpp"
#include "rapt/models/encoder_heads.hpp"
#include "rapt/models/transformer_config.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// The models, by Hugging Face's name of their type.
enum class BartFamily {
  bart,     ///< learned positions, a norm of the embeddings, norms behind the sublayers
  mbart,    ///< learned positions, a norm of the embeddings, norms before the sublayers and behind the stacks
  pegasus,  ///< sinusoids in halves, norms before the sublayers and behind the stacks
  m2m_100,  ///< tensor2tensor's sinusoids, norms before the sublayers and behind the stacks; NLLB is one
};
[[nodiscard]] constexpr auto named_values(BartFamily) {
  using enum BartFamily;
  return std::to_array<NamedValue<BartFamily>>(
      {{"bart", bart}, {"mbart", mbart}, {"pegasus", pegasus}, {"m2m_100", m2m_100}});
}

/// Everything that makes a Bart. Defaults are those of Hugging Face's BartConfig, the shape of facebook/bart-large.
struct BartConfig {
  BartFamily family = BartFamily::bart;  ///< which positions and norms it has
  Index vocabulary = 50265;
  Index d_model = 1024;
  Index encoder_layers = 12;
  Index decoder_layers = 12;
  Index encoder_heads = 16;
  Index decoder_heads = 16;
  Index encoder_d_ff = 4096;
  Index decoder_d_ff = 4096;
  Activation activation = Activation::gelu;
  float dropout = 0.1f;            ///< of embeddings and of each sublayer's output
  float attention_dropout = 0.f;   ///< of the attention weights
  float activation_dropout = 0.f;  ///< inside of the feed-forward networks
  float classifier_dropout = 0.f;  ///< of what the two maps of the classification head read
  bool scale_embeddings = false;   ///< embeddings are multiplied by sqrt(d_model)
  Index positions = 1024;          ///< the longest target; where positions are learned, the longest source, too
  /// A bias of the output projection. Hugging Face keeps it fixed in training; here it is learned with the rest. A
  /// model with labels has none, whatever stands here.
  bool output_bias = true;
  /// The classes of a classification head of bart and mbart; empty: there is no such head.
  std::vector<std::string> labels = {};
  std::optional<LabelProblem> problem = {};  ///< what the labels' scores mean; unset: see `label_loss`
  TokenId begin_token = 2;                   ///< what the decoder reads first
  std::vector<TokenId> end_tokens = {2};     ///< what ends a target, and the source
  /// The padding token of other programs, which is a token like others here. The positions of m2m_100 begin behind its
  /// id; transformers gives a padding token inside of a text of m2m_100 no position and does not count it, here it has
  /// one and is counted.
  std::optional<TokenId> pad_token = 1;
  /// Hugging Face's generate ends with one of them what reaches the maximum length. Searches do so if they are asked to
  /// (GenerationOptions::forced_ends); else they cut it off.
  std::vector<TokenId> forced_end_tokens = {2};
  std::optional<TokenId> forced_begin_token = {};  ///< what every target begins with
  std::vector<TokenId> suppressed_tokens = {};     ///< are never generated

  /// True for the families whose positions are learned, bart and mbart, which normalise the embeddings, too; the others
  /// have sinusoids.
  [[nodiscard]] bool has_learned_positions() const { return family == BartFamily::bart || family == BartFamily::mbart; }

  /// The same as a Transformer.
  [[nodiscard]] TransformerConfig transformer() const {
    TransformerConfig config = detail::transformer_with_stacks(*this);
    config.norm = family == BartFamily::bart ? NormPlacement::post : NormPlacement::pre;
    config.scale_embeddings = scale_embeddings;
    config.output_bias = output_bias && labels.empty();
    config.embedding_norm = has_learned_positions();
    if (has_learned_positions()) {
      config.learned_positions = positions;
      config.unused_positions = 2;
    } else if (family == BartFamily::pegasus) {
      config.positions = {.layout = SinusoidLayout::halves};
    } else {
      config.positions = {.layout = SinusoidLayout::concatenated, .first_position = pad_token.value_or(0) + Index{1}};
    }
    return config;
  }

  /// Throws ValueError that names the values which do not fit.
  void validate() const {
    constexpr std::string_view kWhere = "bart";
    detail::require_decoder_sizes(*this, kWhere);
    require(family != BartFamily::m2m_100 || pad_token.value_or(-1) >= 0, kWhere,
            "m2m_100 needs a pad_token, behind whose id its positions begin: ", pad_token.value_or(-1));
    require(family != BartFamily::m2m_100 || !output_bias, kWhere,
            "m2m_100 has no bias of the output projection: output_bias is true");
    require(labels.empty() || has_learned_positions(), kWhere,
            "bart and mbart alone have a classification head: labels has ", labels.size(), " names");
    detail::require_dropout({classifier_dropout}, kWhere);
    transformer().validate();
    require(begin_token >= 0 && begin_token < vocabulary, kWhere, "begin_token ", begin_token,
            " is outside the vocabulary of ", vocabulary);
  }

  /// Columns of the sinusoids, which are computed when a model is made, and are in no file.
  [[nodiscard]] Index table_columns() const { return has_learned_positions() ? 0 : d_model; }

  /// The model's name in files, and every setting with its name there.
  static constexpr std::string_view kName = "bart";
  template <class Self, class Visitor>
  static void visit_fields(Self& self, const Visitor& field) {
    field("family", self.family);
    field("vocabulary", self.vocabulary);
    detail::visit_stack_fields(self, field);
    field("classifier_dropout", self.classifier_dropout);
    field("scale_embeddings", self.scale_embeddings);
    field("positions", self.positions);
    field("output_bias", self.output_bias);
    field("labels", self.labels);
    field("problem", self.problem);
    detail::visit_target_token_fields(self, field);
  }
};

}}  // namespace rapt::RAPT_ABI
