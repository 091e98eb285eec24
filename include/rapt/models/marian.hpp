/// \file
/// Marian (Junczys-Dowmunt et al. 2018): the paper's Transformer as it is used for translation, with the conventions of
/// Hugging Face's MarianMT, in which the OPUS-MT models are published. What differs from the paper: sines and cosines
/// stand in the two halves of the code, the output projection has a bias, and the vocabulary has a padding token.
#pragma once

#include <algorithm>
#include <limits>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "rapt/models/encoder_decoder_config.hpp"
#include "rapt/models/marked_transformer.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// Everything that makes a Marian. Defaults are those of Hugging Face's MarianConfig: a config.json leaves them out,
/// but for tokens, of which an absent key means none.
struct MarianConfig {
  Index vocabulary = 58101;                     ///< of the source, and of both where embeddings are shared
  std::optional<Index> target_vocabulary = {};  ///< unset: the same
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
  bool scale_embeddings = false;   ///< embeddings are multiplied by sqrt(d_model)
  Index positions = 1024;          ///< the longest translation; the sinusoids have no end
  bool tie_embeddings = true;      ///< one matrix for both embeddings; needs tie_output
  bool tie_output = true;          ///< the target embedding is the output projection, too
  /// A bias of the output projection. Hugging Face keeps it fixed in training; here it is learned with the rest.
  bool output_bias = true;
  TokenId begin_token = 58100;               ///< what the decoder reads first: in OPUS-MT the padding token
  std::vector<TokenId> end_tokens = {0};     ///< what ends a translation, and the source
  std::optional<TokenId> pad_token = 58100;  ///< is never generated
  /// Hugging Face's generate ends with one of them what reaches the maximum length. Searches do so if they are asked to
  /// (GenerationOptions::forced_ends); else they cut it off.
  std::vector<TokenId> forced_end_tokens = {0};
  std::optional<TokenId> forced_begin_token = {};  ///< what every translation begins with
  std::vector<TokenId> suppressed_tokens = {};     ///< are never generated

  /// The OPUS-MT models (Tiedemann and Thottingal 2020): the paper's base model with SiLU. The last token pads.
  [[nodiscard]] static MarianConfig opus_mt(Index vocabulary = 58101) {
    const auto pad = static_cast<TokenId>(vocabulary - 1);
    return {.vocabulary = vocabulary,
            .d_model = 512,
            .encoder_layers = 6,
            .decoder_layers = 6,
            .encoder_heads = 8,
            .decoder_heads = 8,
            .encoder_d_ff = 2048,
            .decoder_d_ff = 2048,
            .activation = Activation::silu,
            .scale_embeddings = true,
            .positions = 512,
            .begin_token = pad,
            .pad_token = pad};
  }

  /// The same as a Transformer.
  [[nodiscard]] TransformerConfig transformer() const {
    TransformerConfig config = detail::transformer_with_stacks(*this);
    config.target_vocabulary = target_vocabulary.value_or(vocabulary);
    config.tie_embeddings = tie_embeddings;
    config.tie_output = tie_output;
    config.scale_embeddings = scale_embeddings;
    config.output_bias = output_bias;
    config.positions.layout = SinusoidLayout::halves;
    return config;
  }

  /// Throws ValueError that names the values which do not fit.
  void validate() const {
    constexpr std::string_view kWhere = "marian";
    detail::require_decoder_sizes(*this, kWhere);
    require(tie_output || !tie_embeddings, kWhere,
            "shared embeddings with an output matrix of its own are not possible: tie_embeddings is true, tie_output "
            "false");
    transformer().validate();
    const Index tokens = target_vocabulary.value_or(vocabulary);
    require(begin_token >= 0 && begin_token < tokens, kWhere, "begin_token ", begin_token,
            " is outside the target vocabulary of ", tokens);
  }

  /// Whether the padding token is never generated: not where it is an end token, too.
  [[nodiscard]] bool suppresses_padding() const {
    return pad_token && std::find(end_tokens.begin(), end_tokens.end(), *pad_token) == end_tokens.end();
  }

  /// Columns of the sinusoids, which are computed when a model is made, and are in no file.
  [[nodiscard]] Index table_columns() const { return d_model; }

  /// The model's name in files, and every setting with its name there.
  static constexpr std::string_view kName = "marian";
  template <class Self, class Visitor>
  static void visit_fields(Self& self, const Visitor& field) {
    field("vocabulary", self.vocabulary);
    field("target_vocabulary", self.target_vocabulary);
    detail::visit_stack_fields(self, field);
    field("scale_embeddings", self.scale_embeddings);
    field("positions", self.positions);
    field("tie_embeddings", self.tie_embeddings);
    field("tie_output", self.tie_output);
    field("output_bias", self.output_bias);
    detail::visit_target_token_fields(self, field);
  }
};

/// A Transformer under Marian's conventions. Sources end with an end token, as Marian's tokenizer writes them. A const
/// model may be used from many threads.
///
/// ```cpp
/// const auto marian = rapt::from_pretrained<rapt::Marian<float>>("opus-mt-en-de");
/// auto found = rapt::beam_search(marian, source);
/// ```
template <class T = float>
class Marian : public MarkedTransformer<MarianConfig, T> {
 public:
  using Base = MarkedTransformer<MarianConfig, T>;  ///< the Transformer beneath, with Marian's settings and marks
  using State = typename Base::State;               ///< what a search carries: the encoder output, and what was decoded
  using Base::Base;

  /// Feeds one token to every row; returns the logits of the next   // [rows, V]
  /// The padding token has none: Marian itself has no such token, Hugging Face adds one with a row of zeros, whose
  /// logit of zero may well be the largest.
  [[nodiscard]] Tensor<T> step(State& state, std::span<const TokenId> tokens) const {
    Tensor<T> logits = Base::step(state, tokens);
    const MarianConfig& config = this->config();
    const Index pad = config.suppresses_padding() ? *config.pad_token : -1;
    if (pad < 0 || pad >= logits.cols()) return logits;
    for (Index row = 0; row < logits.rows(); ++row) logits(row, pad) = -std::numeric_limits<T>::infinity();
    return logits;
  }
};
static_assert(Module<Marian<float>>);

template <class... Arguments>
Marian(const MarianConfig&, Arguments&&...) -> Marian<float>;

}}  // namespace rapt::RAPT_ABI
