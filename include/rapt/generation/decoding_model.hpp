/// \file
/// What generation needs of a model, and what it gives back.
#pragma once

#include <concepts>
#include <span>
#include <vector>

#include "rapt/core/tensor.hpp"
#include "rapt/core/token_batch.hpp"
#include "rapt/generation/generation_options.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// A model that continues sequences token by token. Its State holds what was decoded so far for a number of rows
/// (hypotheses): `start` makes one row for each source sequence, `step` feeds one token to every row and returns the
/// logits of the next [rows, V], `select` makes row r what row parents[r] was. rapt::Transformer is one. It may have
/// `generation_defaults()`, see below.
template <class M>
concept DecodingModel = requires(const M& model, typename M::State& state, const TokenBatch& source,
                                 std::span<const TokenId> tokens, std::span<const Index> parents) {
  typename M::ScalarType;
  { model.start(source) } -> std::same_as<typename M::State>;
  { model.step(state, tokens) } -> std::same_as<Tensor<typename M::ScalarType>>;
  { state.rows() } -> std::convertible_to<Index>;
  state.select(parents);
};

/// Whether hypotheses of a model continue its source, as those of GPT do: the source is a prompt, `start` reads it up
/// to its last token, and that one is what a search feeds first.
template <class M>
inline constexpr bool kContinuesPrompts = requires {
  requires M::kDecoderOnly;
};

/// What a model says of the sequences that it generates, by a member of that name; those of `make_batch` if it has
/// none.
template <class M>
[[nodiscard]] GenerationDefaults generation_defaults(const M& model) {
  if constexpr (requires { model.generation_defaults(); }) {
    return model.generation_defaults();
  } else {
    return {};
  }
}

/// What was generated for one source sequence.
struct Hypothesis {
  std::vector<TokenId> tokens;  ///< without begin and end symbols
  double log_probability = 0;   ///< sum over tokens and the end symbol, in nats
  double score = 0;             ///< log_probability / length penalty: what hypotheses are compared by
  bool finished = true;         ///< false: cut off at the maximum length
};

}}  // namespace rapt::RAPT_ABI
