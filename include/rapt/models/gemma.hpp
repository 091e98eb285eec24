/// \file
/// Gemma 2 (Riviere et al. 2024) and Gemma 3 (Kamath et al. 2025). What differs from llama.hpp: embeddings are
/// multiplied by sqrt(d_model); norms multiply by 1 + weight and stand before and behind each sublayer; layers with a
/// window alternate with global ones; scores and logits are soft-capped (Gemma 2), or queries and keys are normalised
/// and local layers have a rotary base of their own (Gemma 3).
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "rapt/models/causal_decoder.hpp"
#include "rapt/models/gemma_config.hpp"
#include "rapt/nn/embedding.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// Embedding, blocks, a last norm, and the output projection. A const model may be used from many threads.
template <class T = float>
class Gemma : public CausalDecoder<Gemma<T>, T> {
 public:
  /// Its blocks: rotary positions, RMS norms, gated feed-forward networks.
  using Blocks =
      Stack<T, BlockKinds{
                   .rotary = true, .query_key_norm = true, .rms_norm = true, .gated = true, .scaled_residuals = false}>;
  using Config = GemmaConfig;

  /// Matrices are normal, norms' weights and biases zero. Throws ValueError for a config that does not fit.
  Gemma(const GemmaConfig& config, Rng& rng) : Gemma(config, rng, detail::DrawLater()) {
    for_each_parameter(*this, [&](const std::string&, Parameter<T>& parameter) {
      if (parameter.shape().rank() != 2) return;
      parameter.mutable_value() = init::normal<T>(parameter.shape(), rng, config.init_std);
    });
  }

  /// The config's tokens.
  [[nodiscard]] SequenceMarks sequence_marks() const {
    return {.begin = config_.begin_token, .ends = config_.end_tokens, .suppressed = config_.suppressed_tokens};
  }
  [[nodiscard]] const GemmaConfig& config() const { return config_; }
  static constexpr bool kCapsLogits = true;  ///< tells CausalDecoder that there is a `logit_cap`
  /// The soft cap of the logits; 0: none.
  [[nodiscard]] double logit_cap() const { return config_.logit_cap; }

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& visitor) {
    visitor("embed_tokens", self.embed_tokens_);
    Blocks::visit(self.layers_, visitor);
    visitor("lm_head", self.lm_head_);
  }

 private:
  friend class CausalDecoder<Gemma, T>;
  static constexpr std::string_view kWhere = "gemma";

  /// Makes the layers, whose random values the public constructor draws.
  Gemma(const GemmaConfig& config, Rng& rng, const detail::DrawLater&)
      : config_(detail::checked(config)),
        embed_tokens_(config.vocabulary, config.d_model, rng, {.scale_by_sqrt_d_model = true}),
        layers_(
            config.layers, [&](Index i) { return config.block(i); }, /*final_norm=*/true, rng) {
    if (!config.tie_embeddings) lm_head_.emplace(config.d_model, config.vocabulary, rng, LinearOptions{.bias = false});
  }

  [[nodiscard]] const Parameter<T>& output_weight() const {
    return lm_head_ ? lm_head_->weight() : embed_tokens_.weight();
  }
  /// The tokens' rows times sqrt(d_model), as positions are in the attention   // [N, D]
  [[nodiscard]] Variable<T> embed(const TokenBatch& batch, const PrefixState<T>&) const {
    return embed_tokens_(batch.tokens);
  }

  GemmaConfig config_;
  Embedding<T> embed_tokens_;
  Blocks layers_;
  std::optional<Linear<T>> lm_head_;  // without tied embeddings
};
static_assert(Module<Gemma<float>>);

template <class... Arguments>
Gemma(const GemmaConfig&, Arguments&&...) -> Gemma<float>;

}}  // namespace rapt::RAPT_ABI
