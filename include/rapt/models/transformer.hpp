/// \file
/// The Transformer of "Attention Is All You Need" (Vaswani et al. 2017), figure 1.
#pragma once

#include <optional>
#include <span>

#include "rapt/autograd/ops/dropout.hpp"
#include "rapt/core/sequence_marks.hpp"
#include "rapt/models/encoder_decoder.hpp"
#include "rapt/models/transformer_config.hpp"
#include "rapt/nn/decoder.hpp"
#include "rapt/nn/embedding.hpp"
#include "rapt/nn/encoder.hpp"
#include "rapt/nn/layer_norm.hpp"
#include "rapt/nn/linear.hpp"
#include "rapt/nn/positional_encoding.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// Encoder, decoder, embeddings and output projection. Parameters are named and laid out as torch.nn.Transformer's
/// state_dict, with `embedding.weight` (shared) or `source_embedding.weight`, `target_embedding.weight` and
/// `output.weight`, where they exist, beside it. A const model may be used from many threads.
template <class T = float>
class Transformer : public EncoderDecoder<Transformer<T>, T> {
 public:
  using Config = TransformerConfig;

  /// Xavier-uniform weights; throws ValueError for a config that does not fit.
  Transformer(const TransformerConfig& config, Rng& rng)
      : config_(detail::checked(config)),
        encoder_(config.encoder_layers, config.layer(), config.has_final_norm(), rng),
        decoder_(config.decoder_layers, config.decoder_layer(), config.has_final_norm(), rng),
        sinusoids_(config.learned_positions > 0 ? 2 : config.d_model, config.positions) {
    const EmbeddingOptions scaled{.scale_by_sqrt_d_model = config.scale_embeddings};
    if (config.tie_embeddings) {
      embedding_.emplace(config.source_vocabulary, config.d_model, rng, scaled);
    } else {
      source_embedding_.emplace(config.source_vocabulary, config.d_model, rng, scaled);
      target_embedding_.emplace(config.target_vocabulary, config.d_model, rng, scaled);
    }
    if (config.has_output_matrix()) {
      output_.emplace(config.d_model, config.target_vocabulary, rng, LinearOptions{.bias = config.output_bias});
    } else if (config.output_bias) {
      output_bias_ = Parameter<T>(init::constant<T>(Shape{config.target_vocabulary}, T(0)));
    }
    if (config.learned_positions > 0) {
      const Index unused = config.unused_positions;
      source_positions_.emplace(config.learned_positions, config.d_model, rng, unused);
      target_positions_.emplace(config.learned_positions, config.d_model, rng, unused);
    }
    if (config.embedding_norm) {
      source_embedding_norm_.emplace(config.d_model, config.norm_epsilon);
      target_embedding_norm_.emplace(config.d_model, config.norm_epsilon);
    }
  }

  /// The encoder output   // [M, D]
  /// If not empty, `weights[i]` receives layer i's attention probabilities; its size must be the number of layers.
  [[nodiscard]] Variable<T> encode(const TokenBatch& source, const AttentionMask<T>& mask = {},
                                   std::span<Tensor<T>> weights = {}) const {
    return encoder_(embed_source(source), source.row_splits, mask, weights);
  }

  /// The decoder's last hidden state   // [N, D]
  /// Self-attention is causal unless `inputs.mask.causal` is set to false.
  [[nodiscard]] Variable<T> decode(const TokenBatch& target_input, const Variable<T>& encoder_output,
                                   const RowSplits& encoder_splits, const StackInputs<T>& inputs = {}) const {
    return decoder_(embed_target(target_input, {}), target_input.row_splits, encoder_output, encoder_splits, inputs);
  }

  /// The tokens of `make_batch`.
  [[nodiscard]] SequenceMarks sequence_marks() const { return {.begin = kBeginToken, .ends = {kEndToken}}; }

  [[nodiscard]] const TransformerConfig& config() const { return config_; }
  /// V of the logits.
  [[nodiscard]] Index target_vocabulary() const { return config_.target_vocabulary; }

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& visitor) {
    visitor("embedding", self.embedding_);
    visitor("source_embedding", self.source_embedding_);
    visitor("target_embedding", self.target_embedding_);
    visitor("source_positions", self.source_positions_);
    visitor("target_positions", self.target_positions_);
    visitor("source_embedding_norm", self.source_embedding_norm_);
    visitor("target_embedding_norm", self.target_embedding_norm_);
    visitor("encoder", self.encoder_);
    visitor("decoder", self.decoder_);
    visitor("output", self.output_);
    visitor("output.bias", self.output_bias_);
  }

 private:
  friend class EncoderDecoder<Transformer, T>;
  static constexpr std::string_view kWhere = "transformer";

  [[nodiscard]] const Embedding<T>& target_table() const { return embedding_ ? *embedding_ : *target_embedding_; }
  [[nodiscard]] const Parameter<T>& output_weight() const {
    return output_ ? output_->weight() : target_table().weight();
  }
  [[nodiscard]] const Parameter<T>& output_bias() const { return output_ ? output_->bias() : output_bias_; }

  /// Feeds the next tokens of every row to the state   // their last hidden states, [N, D]
  [[nodiscard]] Variable<T> feed(DecoderState<T>& state, const TokenBatch& next) const {
    return decoder_.step(state, embed_target(next, state.lengths()), next.row_splits);
  }

  [[nodiscard]] Variable<T> embed_source(const TokenBatch& batch) const {
    return embed({embedding_ ? *embedding_ : *source_embedding_, source_positions_, source_embedding_norm_}, batch, {});
  }
  /// `starts`: position of each sequence's first token (empty: 0)
  [[nodiscard]] Variable<T> embed_target(const TokenBatch& batch, std::span<const Index> starts) const {
    return embed({target_table(), target_positions_, target_embedding_norm_}, batch, starts);
  }

  /// What embeds the tokens of one side.
  struct EmbeddingParts {
    const Embedding<T>& table;
    const std::optional<LearnedPositionalEncoding<T>>& positions;
    const std::optional<LayerNorm<T>>& norm;
  };
  /// Dropout(scale * embedding + positional encoding), scale = sqrt(D) or 1, with `embedding_norm` the layer norm of
  /// the sum   // [N, D]
  [[nodiscard]] Variable<T> embed(const EmbeddingParts& parts, const TokenBatch& batch,
                                  std::span<const Index> starts) const {
    require_row_splits(batch, kWhere);
    Variable<T> x = parts.table(batch.tokens);
    x = parts.positions ? (*parts.positions)(std::move(x), batch.row_splits, starts)
                        : sinusoids_(std::move(x), batch.row_splits, starts);
    if (parts.norm) x = (*parts.norm)(x);
    return dropout(std::move(x), config_.dropout);
  }

  TransformerConfig config_;
  std::optional<Embedding<T>> embedding_, source_embedding_, target_embedding_;
  Encoder<T> encoder_;
  Decoder<T> decoder_;
  std::optional<Linear<T>> output_;
  Parameter<T> output_bias_;
  SinusoidalPositionalEncoding<T> sinusoids_;
  std::optional<LearnedPositionalEncoding<T>> source_positions_, target_positions_;
  std::optional<LayerNorm<T>> source_embedding_norm_, target_embedding_norm_;
};
static_assert(Module<Transformer<float>>);

template <class... Arguments>
Transformer(const TransformerConfig&, Arguments&&...) -> Transformer<float>;

}}  // namespace rapt::RAPT_ABI
