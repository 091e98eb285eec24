/// \file
/// What models with an encoder and a decoder share: from source and target to logits and loss, the attention maps, and
/// decoding token by token. The Transformer and T5 differ in their embeddings, in the options of their blocks and in
/// their positions.
#pragma once

#include <span>
#include <tuple>
#include <vector>

#include "rapt/autograd/grad_mode.hpp"
#include "rapt/autograd/ops/cross_entropy.hpp"
#include "rapt/autograd/ops/linear.hpp"
#include "rapt/core/index.hpp"
#include "rapt/nn/output_rows.hpp"
#include "rapt/nn/stack.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// The attention probabilities of every layer. Ls and Lt are the lengths of the longest source and target; elements
/// outside of a shorter sequence are zero.
template <class T>
struct AttentionMaps {
  std::vector<Tensor<T>> encoder_self;   ///< of each encoder layer, [B, H, Ls, Ls]
  std::vector<Tensor<T>> decoder_self;   ///< of each decoder layer, [B, H, Lt, Lt]; causal
  std::vector<Tensor<T>> decoder_cross;  ///< of each decoder layer, [B, H, Lt, Ls]
};

/// The base of a model `Transformer : EncoderDecoder<Transformer<T>, T>`, which has the functions
///   - `encode(source, mask, weights)`, the encoder output [M, D],
///   - `decode(target_input, encoder_output, encoder_splits, inputs)`, the decoder's last hidden states [N, D],
/// and gives the base, as a friend, four more things: its name `kWhere` for errors; `decoder_`, which can `start`;
/// `feed(state, next)`, the hidden states of the next tokens of every row, which it appends to the state; and
/// `output_weight()` [V, D] with `output_bias()` [V], which may be undefined. A source need not be tokens: `Source` has
/// `sequences()`, `Batch` is what the model learns from, and `encoder_splits(source)` tells where each sequence's rows
/// of the encoder output are if these are not the source's. `DecodingState` is what `decoder_.start` returns.
template <class Model, class T, class Source = TokenBatch, class Batch = TranslationBatch,
          class DecodingState = DecoderState<T>>
class EncoderDecoder {
 public:
  using ScalarType = T;
  using State = DecodingState;  ///< what a search carries: the encoder output, and what was decoded

  /// The decoder's last hidden states for target_input given source   // [N, D]
  [[nodiscard]] Variable<T> hidden(const Source& source, const TokenBatch& target_input) const {
    require_pairs(source, target_input);
    return model().decode(target_input, model().encode(source), splits_of(source));
  }
  /// Scores of every token at every target position, before softmax   // [N, V] from [N, D]
  [[nodiscard]] Variable<T> logits(const Variable<T>& hidden) const {
    return linear<T>(hidden, model().output_weight(), model().output_bias());
  }
  /// Logits for target_input given source   // [N, V]
  [[nodiscard]] Variable<T> operator()(const Source& source, const TokenBatch& target_input) const {
    return logits(hidden(source, target_input));
  }

  /// Mean label-smoothed cross-entropy of a batch per target token; [N, V] is never stored.
  [[nodiscard]] Variable<T> loss(const Batch& batch, const CrossEntropyOptions& options = {}) const {
    return linear_cross_entropy<T>(hidden(batch.source, batch.target_input), model().output_weight(),
                                   model().output_bias(), batch.target_output, options);
  }

  /// The attention probabilities of every layer for source and target_input, as in training but without dropout.
  [[nodiscard]] AttentionMaps<T> attention_maps(const Source& source, const TokenBatch& target_input) const {
    const Inference scope;
    require_pairs(source, target_input);
    AttentionMaps<T> maps;
    maps.encoder_self.resize(to_size(model().config().encoder_layers));
    maps.decoder_self.resize(to_size(model().config().decoder_layers));
    maps.decoder_cross.resize(to_size(model().config().decoder_layers));
    const Variable<T> encoder_output = model().encode(source, {}, maps.encoder_self);
    std::ignore = model().decode(target_input, encoder_output, splits_of(source),
                                 {.weights = maps.decoder_self, .cross_weights = maps.decoder_cross});
    return maps;
  }

  /// Decoding: a state with one row for each source sequence.
  [[nodiscard]] State start(const Source& source) const {
    const Inference scope;
    return model().decoder_.start(model().encode(source), splits_of(source));
  }
  /// Feeds one token to every row; returns the logits of the next   // [rows, V]
  [[nodiscard]] Tensor<T> step(State& state, std::span<const TokenId> tokens) const {
    const Inference scope;
    return logits(step_hidden(state, tokens)).value();
  }
  /// Feeds one token to every row; returns the hidden states of which `logits` makes scores   // [rows, D]
  [[nodiscard]] Variable<T> step_hidden(State& state, std::span<const TokenId> tokens) const {
    const Inference scope;
    return model().feed(state, detail::one_token_each(tokens, state.rows(), Model::kWhere));
  }
  /// The rows of the output projection that give the logits of these tokens, for searches that need no others.
  [[nodiscard]] OutputRows<T> output_rows(std::span<const TokenId> tokens) const {
    return rapt::output_rows<T>(model().output_weight(), model().output_bias(), tokens);
  }

 private:
  static void require_pairs(const Source& source, const TokenBatch& target) {
    require<ShapeError>(source.sequences() == target.sequences(), Model::kWhere, source.sequences(),
                        " source sequences, ", target.sequences(), " target sequences");
  }
  [[nodiscard]] decltype(auto) splits_of(const Source& source) const {
    if constexpr (requires { model().encoder_splits(source); }) {
      return model().encoder_splits(source);
    } else {
      return (source.row_splits);  // the member itself
    }
  }
  [[nodiscard]] const Model& model() const { return static_cast<const Model&>(*this); }
};

}}  // namespace rapt::RAPT_ABI
