/// \file
/// What generation needs of a model, and what it gives back.
#pragma once

#include <concepts>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "rapt/core/tensor.hpp"
#include "rapt/core/token_batch.hpp"
#include "rapt/generation/generation_rules.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// A model that continues sequences token by token. Its State holds what was decoded so far for a number of rows
/// (hypotheses): `start` makes one row for each source sequence, `step` feeds one token to every row and returns the
/// logits of the next [rows, V], `select` makes row r what row parents[r] was. `sequence_marks` says where the
/// sequences begin and what ends them. rapt::Transformer is one.
template <class M>
concept DecodingModel = requires(const M& model, typename M::State& state, const TokenBatch& source,
                                 std::span<const TokenId> tokens, std::span<const Index> parents) {
  typename M::ScalarType;
  { model.start(source) } -> std::same_as<typename M::State>;
  { model.step(state, tokens) } -> std::same_as<Tensor<typename M::ScalarType>>;
  { model.sequence_marks() } -> std::same_as<SequenceMarks>;
  { state.rows() } -> std::convertible_to<Index>;
  state.select(parents);
};

/// True for a model whose hypotheses continue its source, as those of GPT do: the source is a prompt, `start` reads all
/// of it but the last token, which a search feeds first.
template <class M>
inline constexpr bool kContinuesPrompts = requires {
  requires M::kDecoderOnly;
};

/// What was generated for one source sequence.
struct Hypothesis {
  std::vector<TokenId> tokens;  ///< without begin and end symbols
  double log_probability = 0;   ///< sum over tokens and the end symbol, in nats
  double score = 0;             ///< log_probability / length penalty: what hypotheses are compared by
  bool finished = true;         ///< false: cut off at the maximum length
  /// Of each token and of the end symbol, if it has one: their sum is log_probability.
  std::vector<double> token_log_probabilities = {};
};

namespace detail {

/// How many tokens a model has logits of, if it tells before its first step.
template <class M>
[[nodiscard]] std::optional<Index> known_vocabulary(const M& model) {
  if constexpr (requires { Index{model.target_vocabulary()}; }) {
    return Index{model.target_vocabulary()};
  } else if constexpr (requires { Index{model.config().vocabulary}; }) {
    return Index{model.config().vocabulary};
  } else {
    return std::nullopt;
  }
}

/// The rules of one search over a batch; options, request and source must outlive them. In beam search they change
/// log-probabilities. Throws ValueError for options with tokens that the model is known not to have.
template <class M>
[[nodiscard]] GenerationRules rules_of(const M& model, const TokenBatch& source, const GenerationOptions& options,
                                       const SearchRequest& request, std::string_view where,
                                       bool is_beam_search = false) {
  if (const auto vocabulary = known_vocabulary(model)) options.require_vocabulary(*vocabulary, where);
  return GenerationRules({.options = options,
                          .request = request,
                          .marks = request.marks ? *request.marks : model.sequence_marks(),
                          .source = source,
                          .continues = kContinuesPrompts<M>,
                          .changes_log_probabilities = is_beam_search},
                         where);
}

}  // namespace detail

}}  // namespace rapt::RAPT_ABI
