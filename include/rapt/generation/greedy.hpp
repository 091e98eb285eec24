/// \file
/// Greedy search: the most probable token at every step.
#pragma once

#include "rapt/generation/single_path.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// One hypothesis for each source sequence; ties go to the smaller token. Sequences leave the batch when they end.
template <DecodingModel M>
[[nodiscard]] std::vector<Hypothesis> greedy_search(const M& model, const TokenBatch& source,
                                                    const GenerationOptions& options = {},
                                                    const SearchRequest& request = {}) {
  using T = typename M::ScalarType;
  const detail::GenerationRules rules = detail::rules_of(model, source, options, request, "greedy_search");
  return detail::follow_paths(model, source, 1, rules, request, [](std::span<const T> logits, Index, Index) {
    const auto best = std::max_element(logits.begin(), logits.end());
    return static_cast<TokenId>(best - logits.begin());
  });
}

}}  // namespace rapt::RAPT_ABI
