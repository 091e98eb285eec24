/// \file
/// The settings of the recurrent translator.
#pragma once

#include <string_view>

#include "rapt/core/error.hpp"
#include "rapt/core/index.hpp"
#include "rapt/models/config_checks.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// Everything that makes a RecurrentTranslator. Names are those of TransformerConfig where both have a setting.
struct RecurrentTranslatorConfig {
  Index source_vocabulary = 32000;
  Index target_vocabulary = 32000;
  Index d_model = 512;       ///< columns of embeddings and states; the encoder has half of them in each direction
  Index encoder_layers = 1;  ///< each in both directions
  Index decoder_layers = 1;
  bool attention = true;  ///< false: of the source the decoder knows its first state alone (Sutskever et al. 2014)
  Index attention_columns = 0;  ///< A of the additive scores; 0: d_model
  float dropout = 0.1f;         ///< rate of embeddings, between layers and of what the logits are made of
  /// One matrix for both embeddings and the output projection. Needs one vocabulary for both.
  bool tie_embeddings = true;

  /// A, the columns of keys and queries in the additive scores: `attention_columns`, or d_model for 0.
  [[nodiscard]] Index score_columns() const { return attention_columns > 0 ? attention_columns : d_model; }

  /// Throws ValueError that names the values which do not fit.
  void validate() const {
    constexpr std::string_view kWhere = "recurrent_translator";
    require(source_vocabulary > 0 && target_vocabulary > 0, kWhere, "vocabularies must not be empty: source ",
            source_vocabulary, ", target ", target_vocabulary);
    require(d_model > 0 && d_model % 2 == 0, kWhere, "d_model must be even and positive: ", d_model);
    require(encoder_layers > 0 && decoder_layers > 0 && attention_columns >= 0, kWhere,
            "sizes must be positive: encoder_layers ", encoder_layers, ", decoder_layers ", decoder_layers,
            ", attention_columns ", attention_columns);
    detail::require_dropout({dropout}, kWhere);
    require(!tie_embeddings || source_vocabulary == target_vocabulary, kWhere,
            "shared embeddings need one vocabulary: source ", source_vocabulary, ", target ", target_vocabulary);
  }

  /// The model's name in files, and every setting with its name there.
  static constexpr std::string_view kName = "recurrent_translator";
  template <class Self, class Visitor>
  static void visit_fields(Self& self, const Visitor& field) {
    field("source_vocabulary", self.source_vocabulary);
    field("target_vocabulary", self.target_vocabulary);
    field("d_model", self.d_model);
    field("encoder_layers", self.encoder_layers);
    field("decoder_layers", self.decoder_layers);
    field("attention", self.attention);
    field("attention_columns", self.attention_columns);
    field("dropout", self.dropout);
    field("share_embeddings", self.tie_embeddings);
  }
};

}}  // namespace rapt::RAPT_ABI
