/// \file
/// How a model without encoder reads prompts: whole, and what all of them begin with only once.
#pragma once

#include <algorithm>
#include <tuple>
#include <vector>

#include "rapt/autograd/grad_mode.hpp"
#include "rapt/core/token_batch.hpp"

namespace rapt { inline namespace RAPT_ABI {

namespace detail {

/// Throws ValueError that names the sequence unless every prompt has a token.
inline void require_prompts(const TokenBatch& prompts) {
  require_row_splits(prompts, "prompt");
  for (Index i = 0; i < prompts.sequences(); ++i) {
    require(prompts.row_splits.length(i) > 0, "prompt", "sequence ", i, " is empty: a prompt needs at least one token");
  }
}

/// How many tokens all prompts begin with alike, the last one of each left aside.
[[nodiscard]] inline Index common_beginning(const TokenBatch& prompts) {
  if (prompts.sequences() == 0) return 0;
  const auto first = prompts.sequence(0);
  auto common = first.size() - 1;
  for (Index i = 1; i < prompts.sequences(); ++i) {
    const auto other = prompts.sequence(i);
    common = std::min(common, other.size() - 1);
    const auto at = first.begin() + static_cast<std::ptrdiff_t>(common);
    common = static_cast<std::size_t>(std::mismatch(first.begin(), at, other.begin()).first - first.begin());
  }
  return static_cast<Index>(common);
}

}  // namespace detail

/// The state of one row for each prompt, which has read all of it but the last token: that is what `step` is to be fed
/// first. What all prompts begin with is computed once, for one row, and shared.
///
/// For models with `empty_state(rows)` and `feed(state, next tokens of every row)`. Throws ValueError for an empty
/// prompt.
template <class M>
[[nodiscard]] typename M::State feed_prompts(const M& model, const TokenBatch& prompts) {
  const Inference scope;
  detail::require_prompts(prompts);
  const Index rows = prompts.sequences(), common = rows > 1 ? detail::common_beginning(prompts) : 0;
  auto state = model.empty_state(common > 0 ? 1 : rows);
  if (common > 0) {
    TokenBatch beginning;
    beginning.push_back(prompts.sequence(0).first(static_cast<std::size_t>(common)));
    std::ignore = model.feed(state, beginning);
    state.select(std::vector<Index>(static_cast<std::size_t>(rows), 0));
  }
  TokenBatch rest;
  for (Index i = 0; i < rows; ++i) {
    const auto prompt = prompts.sequence(i);
    rest.push_back(
        prompt.subspan(static_cast<std::size_t>(common), prompt.size() - 1 - static_cast<std::size_t>(common)));
  }
  if (rest.size() > 0) std::ignore = model.feed(state, rest);
  return state;
}

}}  // namespace rapt::RAPT_ABI
