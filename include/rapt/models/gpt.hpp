/// \file
/// GPT: the Transformer's decoder alone (Radford et al. 2018, 2019; Brown et al. 2020). What differs from
/// transformer.hpp: there is no encoder, hence blocks have one attention, which is causal; norms stand before the
/// sublayers and one behind the last block; positions are learned; the activation is GELU.
#pragma once

#include <cmath>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "rapt/autograd/ops/dropout.hpp"
#include "rapt/core/sequence_marks.hpp"
#include "rapt/models/causal_decoder.hpp"
#include "rapt/models/config_checks.hpp"
#include "rapt/models/config_fields.hpp"
#include "rapt/nn/embedding.hpp"
#include "rapt/nn/positional_encoding.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// Everything that makes a GPT. Defaults are GPT-2's smallest.
struct GptConfig {
  Index vocabulary = 50257;
  Index positions = 1024;  ///< the longest sequence
  Index d_model = 768;
  Index layers = 12;
  Index heads = 12;
  std::optional<Index> d_ff = {};  ///< unset: 4 d_model
  Activation activation = Activation::gelu_tanh;
  float embedding_dropout = 0.1f;  ///< rate of the embeddings with their positions
  float dropout = 0.1f;            ///< rate of each sublayer's output
  float attention_dropout = 0.1f;  ///< rate of the attention probabilities
  double norm_epsilon = 1e-5;
  bool scale_attention = true;                  ///< scores are divided by sqrt(d_k)
  bool scale_attention_by_layer = false;        ///< and by the layer's number, from 1
  bool tie_embeddings = true;                   ///< one matrix for the embedding and the output projection
  std::optional<TokenId> begin_token = {};      ///< what a text may begin with; read in place of an empty prompt
  std::vector<TokenId> end_tokens = {};         ///< each of them ends a text; none: only the maximum length does
  std::optional<TokenId> pad_token = {};        ///< id of padding in other programs; there is none here
  std::vector<TokenId> suppressed_tokens = {};  ///< are never generated

  /// GPT-2 of 124 million parameters; medium, large and xl have 355, 774 and 1,558 (Radford et al. 2019, table 2).
  [[nodiscard]] static GptConfig gpt2() { return {}; }
  [[nodiscard]] static GptConfig gpt2_medium() { return {.d_model = 1024, .layers = 24, .heads = 16}; }
  [[nodiscard]] static GptConfig gpt2_large() { return {.d_model = 1280, .layers = 36, .heads = 20}; }
  [[nodiscard]] static GptConfig gpt2_xl() { return {.d_model = 1600, .layers = 48, .heads = 25}; }
  /// The shapes of GPT-3 (Brown et al. 2020, table 2.1), with dense attention in every layer: the paper's alternates
  /// with a banded one that it does not specify.
  [[nodiscard]] static GptConfig gpt3(Index d_model, Index layers, Index heads) {
    return {.positions = 2048, .d_model = d_model, .layers = layers, .heads = heads};
  }
  /// GPT-3's small model of 125 million parameters, XL of 1.3 billion, and the largest, of 175 billion.
  [[nodiscard]] static GptConfig gpt3_small() { return gpt3(768, 12, 12); }
  [[nodiscard]] static GptConfig gpt3_xl() { return gpt3(2048, 24, 16); }
  [[nodiscard]] static GptConfig gpt3_175b() { return gpt3(12288, 96, 96); }

  /// The options of block `number`, from 0.
  [[nodiscard]] BlockOptions layer(Index number) const {
    const double d_k = static_cast<double>(d_model / heads);
    const double scale = (scale_attention ? 1 / std::sqrt(d_k) : 1.0) /
                         (scale_attention_by_layer ? static_cast<double>(number + 1) : 1.0);
    return {.attention = {.d_model = d_model, .heads = heads, .scale = scale, .dropout = attention_dropout},
            .d_ff = d_ff.value_or(4 * d_model),
            .activation = activation,
            .norm = NormPlacement::pre,
            .norm_epsilon = norm_epsilon,
            .dropout = dropout};
  }

  /// Throws ValueError that names the values which do not fit.
  void validate() const {
    constexpr std::string_view kWhere = "gpt";
    require(vocabulary > 0 && positions > 0 && layers > 0 && d_ff.value_or(1) > 0, kWhere,
            "sizes must be positive: vocabulary ", vocabulary, ", positions ", positions, ", layers ", layers,
            ", d_ff ", d_ff.value_or(4 * d_model));
    detail::require_heads(d_model, heads, kWhere);
    detail::require_dropout({embedding_dropout, dropout, attention_dropout}, kWhere);
    require(norm_epsilon > 0, kWhere, "norm_epsilon must be positive: ", norm_epsilon);
  }

  /// The model's name in files, and every setting with its name there.
  static constexpr std::string_view kName = "gpt";
  template <class Self, class Visitor>
  static void visit_fields(Self& self, const Visitor& field) {
    field("vocabulary", self.vocabulary);
    field("positions", self.positions);
    detail::visit_block_sizes(self, field);
    field("embedding_dropout", self.embedding_dropout);
    field("dropout", self.dropout);
    field("attention_dropout", self.attention_dropout);
    field("norm_epsilon", self.norm_epsilon);
    field("scale_attention", self.scale_attention);
    field("scale_attention_by_layer", self.scale_attention_by_layer);
    field("tie_embeddings", self.tie_embeddings);
    detail::visit_text_token_fields(self, field);
  }
};

/// Learned embeddings of tokens and positions, masked self-attention layers, a last norm, and the output projection.
/// A const model may be used from many threads.
template <class T = float>
class Gpt : public CausalDecoder<Gpt<T>, T> {
 public:
  using Config = GptConfig;

  /// Weights as GPT-2's: normal with standard deviation 0.02, those of the projections into the residual sum divided by
  /// sqrt(2 layers). Throws ValueError for a config that does not fit.
  Gpt(const GptConfig& config, Rng& rng) : Gpt(config, rng, detail::DrawLater()) {
    for_each_parameter(*this, [&](const std::string& name, Parameter<T>& parameter) {
      if (parameter.shape().rank() != 2) return;
      const bool into_sum = name.ends_with("out_proj.weight") || name.ends_with("linear2.weight");
      const double std = into_sum ? 0.02 / std::sqrt(2.0 * static_cast<double>(config.layers)) : 0.02;
      parameter.mutable_value() = init::normal<T>(parameter.shape(), rng, std);
    });
  }

  /// The config's tokens.
  [[nodiscard]] SequenceMarks sequence_marks() const {
    return {.begin = config_.begin_token, .ends = config_.end_tokens, .suppressed = config_.suppressed_tokens};
  }
  [[nodiscard]] const GptConfig& config() const { return config_; }

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& visitor) {
    visitor("embedding", self.embedding_);
    visitor("positions", self.positions_);
    Stack<T, kPaperKinds>::visit(self.layers_, visitor);
    visitor("output", self.output_);
  }

 private:
  friend class CausalDecoder<Gpt, T>;
  static constexpr std::string_view kWhere = "gpt";

  /// Makes the layers, whose random values the public constructor draws.
  Gpt(const GptConfig& config, Rng& rng, const detail::DrawLater&)
      : config_(detail::checked(config)),
        embedding_(config.vocabulary, config.d_model, rng, {.scale_by_sqrt_d_model = false}),
        positions_(config.positions, config.d_model, rng),
        layers_(
            config.layers, [&](Index i) { return config.layer(i); }, /*final_norm=*/true, rng) {
    if (!config.tie_embeddings) output_.emplace(config.d_model, config.vocabulary, rng, LinearOptions{.bias = false});
  }

  [[nodiscard]] const Parameter<T>& output_weight() const { return output_ ? output_->weight() : embedding_.weight(); }

  /// Dropout(embedding + position)   // [N, D]
  [[nodiscard]] Variable<T> embed(const TokenBatch& batch, const PrefixState<T>& behind) const {
    return dropout(positions_(embedding_(batch.tokens), batch.row_splits, behind.lengths()), config_.embedding_dropout);
  }

  GptConfig config_;
  Embedding<T> embedding_;
  LearnedPositionalEncoding<T> positions_;
  Stack<T, kPaperKinds> layers_;
  std::optional<Linear<T>> output_;  // without tied embeddings
};
static_assert(Module<Gpt<float>>);

template <class... Arguments>
Gpt(const GptConfig&, Arguments&&...) -> Gpt<float>;

}}  // namespace rapt::RAPT_ABI
