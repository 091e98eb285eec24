/// \file
/// The settings of Whisper.
#pragma once

#include <cmath>
#include <optional>
#include <string_view>
#include <vector>

#include "rapt/core/error.hpp"
#include "rapt/core/token_batch.hpp"
#include "rapt/models/config_checks.hpp"
#include "rapt/models/config_fields.hpp"
#include "rapt/models/encoder_decoder_config.hpp"
#include "rapt/nn/block.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// Everything that makes a Whisper. Defaults are those of the smallest multilingual one, tiny.
struct WhisperConfig {
  Index vocabulary = 51865;
  Index bins = 80;  ///< columns of the spectrograms
  Index d_model = 384;
  Index encoder_layers = 4;
  Index decoder_layers = 4;
  Index encoder_heads = 6;
  Index decoder_heads = 6;
  Index encoder_d_ff = 1536;
  Index decoder_d_ff = 1536;
  Activation activation = Activation::gelu;           ///< of the blocks; the convolutions always have GELU
  float dropout = 0.f;                                ///< rate of the embeddings and of each sublayer's output
  float attention_dropout = 0.f;                      ///< rate of the attention probabilities
  float activation_dropout = 0.f;                     ///< rate inside of the feed-forward networks
  Index encoder_positions = 1500;                     ///< the longest encoder output, of twice as many frames
  Index decoder_positions = 448;                      ///< the longest text
  double init_std = 0.02;                             ///< of all matrices
  TokenId begin_token = 50258;                        ///< what a text begins with
  std::vector<TokenId> end_tokens = {50257};          ///< each of them ends a text
  std::optional<TokenId> pad_token = 50257;           ///< what other programs fill up with; there is no padding here
  std::vector<TokenId> suppressed_tokens = {};        ///< are never generated
  std::vector<TokenId> begin_suppressed_tokens = {};  ///< are not the first token behind the forced ones
  bool multilingual = true;                           ///< texts begin with tokens of a language and a task

  /// The paper's sizes, and its third version of the largest.
  [[nodiscard]] static WhisperConfig tiny() { return {}; }
  [[nodiscard]] static WhisperConfig base() { return of_size(512, 6, 8); }
  [[nodiscard]] static WhisperConfig small() { return of_size(768, 12, 12); }
  [[nodiscard]] static WhisperConfig medium() { return of_size(1024, 24, 16); }
  [[nodiscard]] static WhisperConfig large() { return of_size(1280, 32, 20); }
  /// The largest size's third version, which hears 128 mel bins.
  [[nodiscard]] static WhisperConfig large_v3() {
    WhisperConfig config = large();
    config.vocabulary = 51866, config.bins = 128;
    return config;
  }

  /// The options of the encoder's blocks, or of the decoder's. Keys have no bias.
  [[nodiscard]] BlockOptions block(bool decoder) const {
    TransformerConfig stacks = detail::transformer_with_stacks(*this);
    stacks.norm = NormPlacement::pre;
    BlockOptions options = decoder ? stacks.decoder_layer() : stacks.layer();
    options.attention.key_bias = false;
    return options;
  }

  /// Throws ValueError that names the values which do not fit.
  void validate() const {
    constexpr std::string_view kWhere = "whisper";
    require(vocabulary > 0 && bins > 0 && encoder_layers > 0 && decoder_layers > 0 && encoder_d_ff > 0 &&
                decoder_d_ff > 0 && encoder_positions > 0 && decoder_positions > 1,
            kWhere, "sizes must be positive: vocabulary ", vocabulary, ", bins ", bins, ", encoder_layers ",
            encoder_layers, ", decoder_layers ", decoder_layers, ", encoder_d_ff ", encoder_d_ff, ", decoder_d_ff ",
            decoder_d_ff, ", encoder_positions ", encoder_positions, ", decoder_positions (at least 2) ",
            decoder_positions);
    detail::require_heads(d_model, encoder_heads, kWhere);
    detail::require_heads(d_model, decoder_heads, kWhere);
    require(d_model % 2 == 0, kWhere, "d_model must be even: ", d_model);
    detail::require_dropout({dropout, attention_dropout, activation_dropout}, kWhere);
    require(std::isfinite(init_std) && init_std >= 0, kWhere, "init_std must not be negative: ", init_std);
    require(begin_token >= 0 && begin_token < vocabulary, kWhere, "begin_token ", begin_token,
            " is outside the vocabulary of ", vocabulary);
  }

  /// The model's name in files, and every setting with its name there.
  static constexpr std::string_view kName = "whisper";
  template <class Self, class Visitor>
  static void visit_fields(Self& self, const Visitor& field) {
    field("vocabulary", self.vocabulary);
    field("bins", self.bins);
    detail::visit_stack_fields(self, field);
    field("encoder_positions", self.encoder_positions);
    field("decoder_positions", self.decoder_positions);
    field("init_std", self.init_std);
    field("begin_token", self.begin_token);
    field("end_tokens", self.end_tokens);
    field("pad_token", self.pad_token);
    field("suppressed_tokens", self.suppressed_tokens);
    field("begin_suppressed_tokens", self.begin_suppressed_tokens);
    field("multilingual", self.multilingual);
  }

 private:
  [[nodiscard]] static WhisperConfig of_size(Index d_model, Index layers, Index heads) {
    WhisperConfig config;
    config.d_model = d_model, config.encoder_d_ff = config.decoder_d_ff = 4 * d_model;
    config.encoder_layers = config.decoder_layers = layers, config.encoder_heads = config.decoder_heads = heads;
    return config;
  }
};

}}  // namespace rapt::RAPT_ABI
