/// \file
/// Llama (Touvron et al. 2023) and the models of its shape: Mistral, Qwen2, Qwen3, Phi-3, TinyLlama and many others.
/// What differs from gpt.hpp: rotary positions in place of learned ones, root mean square norms, gated feed-forward
/// networks, fewer heads of keys and values than of queries, no biases.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "rapt/models/causal_decoder.hpp"
#include "rapt/models/llama_config.hpp"
#include "rapt/nn/embedding.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// Embedding, blocks, a last norm, and the output projection. A const model may be used from many threads.
template <class T = float>
class Llama : public CausalDecoder<Llama<T>, T> {
 public:
  /// Its blocks: rotary positions, RMS norms, gated feed-forward networks.
  using Blocks =
      Stack<T, BlockKinds{
                   .rotary = true, .query_key_norm = true, .rms_norm = true, .gated = true, .scaled_residuals = false}>;
  using Config = LlamaConfig;

  /// Matrices are normal, norms one, biases zero. Throws ValueError for a config that does not fit.
  Llama(const LlamaConfig& config, Rng& rng) : Llama(config, rng, detail::DrawLater()) {
    for_each_parameter(*this, [&](const std::string&, Parameter<T>& parameter) {
      if (parameter.shape().rank() != 2) return;
      parameter.mutable_value() = init::normal<T>(parameter.shape(), rng, config.init_std);
    });
  }

  /// The config's tokens.
  [[nodiscard]] SequenceMarks sequence_marks() const {
    return {.begin = config_.begin_token, .ends = config_.end_tokens, .suppressed = config_.suppressed_tokens};
  }
  [[nodiscard]] const LlamaConfig& config() const { return config_; }

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& visitor) {
    visitor("embed_tokens", self.embed_tokens_);
    Blocks::visit(self.layers_, visitor);
    visitor("lm_head", self.lm_head_);
  }

 private:
  friend class CausalDecoder<Llama, T>;
  static constexpr std::string_view kWhere = "llama";

  /// Makes the layers, whose random values the public constructor draws.
  Llama(const LlamaConfig& config, Rng& rng, const detail::DrawLater&)
      : config_(detail::checked(config)),
        embed_tokens_(config.vocabulary, config.d_model, rng, {.scale_by_sqrt_d_model = false}),
        layers_(config.layers, config.layer(), /*final_norm=*/true, rng) {
    if (!config.tie_embeddings) lm_head_.emplace(config.d_model, config.vocabulary, rng, LinearOptions{.bias = false});
  }

  [[nodiscard]] const Parameter<T>& output_weight() const {
    return lm_head_ ? lm_head_->weight() : embed_tokens_.weight();
  }
  /// The tokens' rows alone, as positions are in the attention   // [N, D]
  [[nodiscard]] Variable<T> embed(const TokenBatch& batch, const PrefixState<T>&) const {
    return embed_tokens_(batch.tokens);
  }

  LlamaConfig config_;
  Embedding<T> embed_tokens_;
  Blocks layers_;
  std::optional<Linear<T>> lm_head_;  // without tied embeddings
};
static_assert(Module<Llama<float>>);

template <class... Arguments>
Llama(const LlamaConfig&, Arguments&&...) -> Llama<float>;

}}  // namespace rapt::RAPT_ABI
