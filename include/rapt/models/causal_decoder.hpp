/// \file
/// What language models without an encoder share: from tokens to hidden states, logits and loss, and decoding token by
/// token. GPT, Llama and ImageGPT differ in their embedding and in the options of their blocks.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "rapt/autograd/ops/cross_entropy.hpp"
#include "rapt/autograd/ops/gather_rows.hpp"
#include "rapt/autograd/ops/linear.hpp"
#include "rapt/autograd/ops/soft_cap.hpp"
#include "rapt/nn/prompt.hpp"
#include "rapt/nn/stack.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// The base of a model `Gpt : CausalDecoder<Gpt<T>, T>`, which gives it, as a friend, four things: its name `kWhere`
/// for errors, its blocks and last norm `layers_`, a Stack; `embed(batch, behind)`, the embedded tokens [N, D] where
/// `behind` is the state of the tokens before them, without layers if there are none; and `output_weight()` [V, D]. A
/// model whose logits are soft-capped has a constant `kCapsLogits` and `logit_cap()`, the cap or 0.
template <class Model, class T>
class CausalDecoder {
 public:
  using ScalarType = T;
  using State = PrefixState<T>;  ///< what a search carries: keys and values of what was read
  /// A search feeds the last token of each prompt first, instead of a begin symbol.
  static constexpr bool kDecoderOnly = true;

  /// The last hidden state   // [N, D]
  /// If not empty, `weights[i]` receives layer i's attention probabilities; its size must be the number of layers.
  [[nodiscard]] Variable<T> hidden(const TokenBatch& batch, std::span<Tensor<T>> weights = {}) const {
    return model().layers_(embedded(batch, State()), batch.row_splits, {.mask = {.causal = true}, .weights = weights});
  }
  /// Scores of every token to come next, before softmax   // [N, V] from [N, D]
  [[nodiscard]] Variable<T> logits(const Variable<T>& hidden) const {
    Variable<T> scores = linear<T>(hidden, model().output_weight(), Variable<T>());
    if constexpr (requires { Model::kCapsLogits; }) {
      if (model().logit_cap() > 0) return soft_cap<T>(std::move(scores), model().logit_cap());
    }
    return scores;
  }
  /// The logits of the hidden states of a batch   // [N, V]
  [[nodiscard]] Variable<T> operator()(const TokenBatch& batch) const { return logits(hidden(batch)); }

  /// Mean cross-entropy of the batch's targets; [N, V] is never stored.
  [[nodiscard]] Variable<T> loss(const LanguageBatch& batch, const CrossEntropyOptions& options = {}) const {
    Variable<T> h = hidden(batch.input);
    if (!batch.rows.empty()) h = gather_rows<T>(h, batch.rows);  // the rows that have a target
    LogitCap<T> cap;
    if constexpr (requires { Model::kCapsLogits; }) {
      if (model().logit_cap() > 0) cap = soft_cap_of_logits<T>(model().logit_cap());
    }
    return linear_cross_entropy<T>(h, model().output_weight(), Variable<T>(), batch.targets, options, cap);
  }

  /// Decoding: a state with one row for each prompt, which has read all of it but the last token.
  [[nodiscard]] State start(const TokenBatch& prompts) const { return feed_prompts(model(), prompts); }
  /// Feeds one token to every row; returns the logits of the next   // [rows, V]
  [[nodiscard]] Tensor<T> step(State& state, std::span<const TokenId> tokens) const {
    const Inference scope;
    const TokenBatch next = detail::one_token_each(tokens, state.rows(), Model::kWhere);
    return logits(feed(state, next)).value();
  }
  /// Nothing read yet, in so many rows.
  [[nodiscard]] State empty_state(Index rows) const { return model().layers_.empty_state(rows); }
  /// Feeds the next tokens of every row to the state   // their last hidden state, [N, D]
  [[nodiscard]] Variable<T> feed(State& state, const TokenBatch& next) const {
    const Inference scope;
    return model().layers_.step(state, embedded(next, state), next.row_splits);
  }

 protected:
  [[nodiscard]] Variable<T> embedded(const TokenBatch& batch, const State& behind) const {
    require_row_splits(batch, Model::kWhere);
    return model().embed(batch, behind);
  }

 private:
  [[nodiscard]] const Model& model() const { return static_cast<const Model&>(*this); }
};

}}  // namespace rapt::RAPT_ABI
