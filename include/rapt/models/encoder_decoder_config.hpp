/// \file
/// What the configs of BART, Marian and Whisper compute and list alike: the sizes of two stacks, each with its own
/// heads and feed-forward network, and the tokens of targets. The configs have these fields themselves, so that
/// designated initialisers can name them.
#pragma once

#include <string_view>

#include "rapt/core/error.hpp"
#include "rapt/models/transformer_config.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace detail {

/// The settings of the two stacks, for `visit_fields`.
template <class Config, class Visitor>
void visit_stack_fields(Config& config, const Visitor& field) {
  field("d_model", config.d_model);
  field("encoder_layers", config.encoder_layers);
  field("decoder_layers", config.decoder_layers);
  field("encoder_heads", config.encoder_heads);
  field("decoder_heads", config.decoder_heads);
  field("encoder_d_ff", config.encoder_d_ff);
  field("decoder_d_ff", config.decoder_d_ff);
  field("activation", config.activation);
  field("dropout", config.dropout);
  field("attention_dropout", config.attention_dropout);
  field("activation_dropout", config.activation_dropout);
}

/// The tokens of the targets that a translator or summariser writes, for `visit_fields`.
template <class Config, class Visitor>
void visit_target_token_fields(Config& config, const Visitor& field) {
  field("begin_token", config.begin_token);
  field("end_tokens", config.end_tokens);
  field("pad_token", config.pad_token);
  field("forced_end_tokens", config.forced_end_tokens);
  field("forced_begin_token", config.forced_begin_token);
  field("suppressed_tokens", config.suppressed_tokens);
}

/// A Transformer with stacks of the config's sizes; what else it has are the paper's settings.
template <class Config>
[[nodiscard]] TransformerConfig transformer_with_stacks(const Config& config) {
  return {.source_vocabulary = config.vocabulary,
          .target_vocabulary = config.vocabulary,
          .d_model = config.d_model,
          .heads = config.encoder_heads,
          .d_ff = config.encoder_d_ff,
          .encoder_layers = config.encoder_layers,
          .decoder_layers = config.decoder_layers,
          .decoder_heads = config.decoder_heads,
          .decoder_d_ff = config.decoder_d_ff,
          .dropout = config.dropout,
          .attention_dropout = config.attention_dropout,
          .activation_dropout = config.activation_dropout,
          .activation = config.activation};
}

/// Throws ValueError unless the decoder's sizes, of which 0 would mean the encoder's to a Transformer, and the number
/// of positions are positive.
template <class Config>
void require_decoder_sizes(const Config& config, std::string_view where) {
  require(config.decoder_heads > 0 && config.decoder_d_ff > 0 && config.positions > 0, where,
          "sizes must be positive: decoder_heads ", config.decoder_heads, ", decoder_d_ff ", config.decoder_d_ff,
          ", positions ", config.positions);
}

}}}  // namespace rapt::RAPT_ABI::detail
