/// \file
/// Greedy search: the most probable token at every step.
#pragma once

#include <algorithm>

#include "rapt/core/thread_pool.hpp"
#include "rapt/generation/decoding_model.hpp"
#include "rapt/kernels/softmax.hpp"

namespace rapt::inline RAPT_ABI {

/// One hypothesis for each source sequence. Sequences leave the batch when they end.
template <DecodingModel M>
[[nodiscard]] std::vector<Hypothesis> greedy_search(const M& model, const TokenBatch& source,
                                                    const GenerationOptions& options = {}) {
  using T = typename M::ScalarType;
  std::vector<Hypothesis> results(static_cast<std::size_t>(source.sequences()));
  if (results.empty()) return results;
  auto state = model.start(source);
  std::vector<Index> live;  // the sequence of each row
  for (Index i = 0; i < source.sequences(); ++i) live.push_back(i);
  std::vector<TokenId> tokens(live.size(), options.begin);

  while (!live.empty()) {
    const Tensor<T> logits = model.step(state, tokens);  // [rows, V]
    std::vector<TokenId> best(live.size());
    std::vector<double> log_probability(live.size());
    parallel_parts(logits.rows(), [&](Index r) {
      const std::span<const T> row(logits.row(r), static_cast<std::size_t>(logits.cols()));
      const auto at = std::max_element(row.begin(), row.end());
      best[static_cast<std::size_t>(r)] = static_cast<TokenId>(at - row.begin());
      log_probability[static_cast<std::size_t>(r)] =
          static_cast<double>(*at) - kernels::log_sum_exp(row.data(), logits.cols());
    });
    std::vector<Index> parents, still_live;
    tokens.clear();
    for (std::size_t r = 0; r < live.size(); ++r) {
      Hypothesis& result = results[static_cast<std::size_t>(live[r])];
      require(std::isfinite(log_probability[r]), "greedy_search",
              "the model's logits are not finite for source sequence ", live[r], " after ", result.tokens.size(),
              " tokens");
      result.log_probability += log_probability[r];
      result.score = result.log_probability;
      if (best[r] == options.end) continue;
      result.tokens.push_back(best[r]);
      if (static_cast<Index>(result.tokens.size()) >= source.row_splits.length(live[r]) + options.extra_length) {
        result.finished = false;
        continue;
      }
      parents.push_back(static_cast<Index>(r));
      still_live.push_back(live[r]);
      tokens.push_back(best[r]);
    }
    if (still_live.size() != live.size()) state.select(parents);
    live = std::move(still_live);
  }
  return results;
}

}  // namespace rapt::inline RAPT_ABI
