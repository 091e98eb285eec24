/// \file
/// What Marian and Bart share: the paper's Transformer with a config that names the tokens of its sequences, as the
/// encoder-decoders are that Hugging Face publishes.
#pragma once

#include <span>

#include "rapt/models/transformer.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// The base of a model whose mathematics is a Transformer's. Its `ModelConfiguration` makes a TransformerConfig
/// (`transformer()`) and names the tokens of generation: `begin_token`, `end_tokens`, `forced_begin_token`,
/// `suppressed_tokens`, and `positions`, the longest target. A const model may be used from many threads.
template <class ModelConfiguration, class T>
class MarkedTransformer {
 public:
  using ScalarType = T;
  using Config = ModelConfiguration;
  using State = typename Transformer<T>::State;  ///< what a search carries: the encoder output, and what was decoded

  /// Weights as the Transformer's; throws ValueError for a config that does not fit.
  MarkedTransformer(const Config& config, Rng& rng)
      : config_(detail::checked(config)), transformer_(config.transformer(), rng) {}

  /// The encoder output   // [M, D]
  [[nodiscard]] Variable<T> encode(const TokenBatch& source) const { return transformer_.encode(source); }
  /// The decoder's last hidden state   // [N, D]
  [[nodiscard]] Variable<T> decode(const TokenBatch& target_input, const Variable<T>& encoder_output,
                                   const RowSplits& encoder_splits) const {
    return transformer_.decode(target_input, encoder_output, encoder_splits);
  }
  /// The decoder's last hidden state for target_input given source   // [N, D]
  [[nodiscard]] Variable<T> hidden(const TokenBatch& source, const TokenBatch& target_input) const {
    return transformer_.hidden(source, target_input);
  }
  /// Scores of every token at every target position, before softmax   // [N, V] from [N, D]
  [[nodiscard]] Variable<T> logits(const Variable<T>& hidden) const { return transformer_.logits(hidden); }
  /// Logits for target_input given source   // [N, V]
  [[nodiscard]] Variable<T> operator()(const TokenBatch& source, const TokenBatch& target_input) const {
    return transformer_(source, target_input);
  }
  /// Mean label-smoothed cross-entropy of a batch per target token; [N, V] is never stored.
  [[nodiscard]] Variable<T> loss(const TranslationBatch& batch, const CrossEntropyOptions& options = {}) const {
    return transformer_.loss(batch, options);
  }
  /// The attention probabilities of every layer.
  [[nodiscard]] AttentionMaps<T> attention_maps(const TokenBatch& source, const TokenBatch& target_input) const {
    return transformer_.attention_maps(source, target_input);
  }

  /// Decoding: a state with one row for each source sequence.
  [[nodiscard]] State start(const TokenBatch& source) const { return transformer_.start(source); }
  /// Feeds one token to every row; returns the logits of the next   // [rows, V]
  [[nodiscard]] Tensor<T> step(State& state, std::span<const TokenId> tokens) const {
    return transformer_.step(state, tokens);
  }

  /// Feeds one token to every row; returns the hidden states of which `logits` makes scores   // [rows, D]
  [[nodiscard]] Variable<T> step_hidden(State& state, std::span<const TokenId> tokens) const {
    return transformer_.step_hidden(state, tokens);
  }
  /// The rows of the output projection that give the logits of these tokens, for searches that need no others.
  [[nodiscard]] OutputRows<T> output_rows(std::span<const TokenId> tokens) const {
    return transformer_.output_rows(tokens);
  }

  /// The config's tokens, and the longest target.
  [[nodiscard]] SequenceMarks sequence_marks() const {
    return {.begin = config_.begin_token,
            .ends = config_.end_tokens,
            .forced_begin = config_.forced_begin_token,
            .suppressed = config_.suppressed_tokens,
            .max_length = config_.positions};
  }

  [[nodiscard]] const Config& config() const { return config_; }
  [[nodiscard]] const Transformer<T>& transformer() const { return transformer_; }
  /// V of the logits.
  [[nodiscard]] Index target_vocabulary() const { return transformer_.target_vocabulary(); }

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& visitor) {
    Transformer<T>::visit(self.transformer_, visitor);
  }

 private:
  Config config_;
  Transformer<T> transformer_;
};

}}  // namespace rapt::RAPT_ABI
