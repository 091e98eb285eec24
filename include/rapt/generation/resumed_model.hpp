/// \file
/// A search that goes on where an earlier one has ended: from keys and values that the caller keeps.
#pragma once

#include <span>
#include <tuple>

#include "rapt/autograd/grad_mode.hpp"
#include "rapt/core/error.hpp"
#include "rapt/core/tensor.hpp"
#include "rapt/core/token_batch.hpp"
#include "rapt/generation/decoding_model.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// A model without an encoder that has read the beginning of a prompt already. It is a DecodingModel for one source,
/// the whole prompt, of which it computes the rest alone, and leaves the kept state with all tokens that a search has
/// fed. It looks at the model and the state, which must stay. For models with `feed` (see nn/prompt.hpp) and searches
/// of one hypothesis: greedy search and sampling.
template <class M>
class ResumedModel {
 public:
  using ScalarType = typename M::ScalarType;
  /// The model has no encoder: sources are prompts.
  static constexpr bool kDecoderOnly = true;

  /// The kept state, as a search sees it.
  struct State {
    typename M::State* kept = nullptr;
    [[nodiscard]] Index rows() const { return kept->rows(); }
    /// Row i becomes a copy of row parents[i].
    void select(std::span<const Index> parents) { kept->select(parents); }
  };

  /// `state` has one row, which has read the beginning of the prompt.
  ResumedModel(const M& model, typename M::State& state) : model_(model), state_(state) {}

  /// Feeds what the state lacks of the prompt, all but its last token. Throws ValueError for several prompts, and for a
  /// state that has read the whole prompt or more.
  [[nodiscard]] State start(const TokenBatch& prompts) const {
    constexpr std::string_view kWhere = "resumed_model";
    require(prompts.sequences() == 1 && state_.rows() == 1, kWhere, "one prompt continues one row: there are ",
            prompts.sequences(), " prompts for ", state_.rows(), " rows");
    const Index read = state_.lengths().front(), size = prompts.row_splits.length(0);
    require(read < size, kWhere, "the state has read ", read, " tokens of a prompt of ", size);
    TokenBatch rest;
    rest.push_back(
        prompts.sequence(0).subspan(static_cast<std::size_t>(read), static_cast<std::size_t>(size - 1 - read)));
    const Inference scope;
    if (rest.size() > 0) std::ignore = model_.feed(state_, rest);
    return {&state_};
  }
  /// The model's step on the kept state.
  [[nodiscard]] Tensor<ScalarType> step(State& state, std::span<const TokenId> tokens) const {
    return model_.step(*state.kept, tokens);
  }
  [[nodiscard]] SequenceMarks sequence_marks() const { return model_.sequence_marks(); }
  [[nodiscard]] const auto& config() const { return model_.config(); }

 private:
  const M& model_;
  typename M::State& state_;
};

}}  // namespace rapt::RAPT_ABI
