/// \file
/// Many sequences, searched in batches of like length. What is found for a sequence does not depend on its batch.
#pragma once

#include <algorithm>
#include <numeric>
#include <span>
#include <vector>

#include "rapt/core/thread_pool.hpp"
#include "rapt/generation/decoding_model.hpp"
#include "rapt/nn/module.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// How many source tokens to search at a time. A step reads all weights and writes logits for each hypothesis: of many
/// tokens the logits leave the cache, of few the weights are read too often.
template <Module M>
[[nodiscard]] Index batch_tokens_for(const M& model) {
  return std::clamp<Index>(count_parameters(model) / 25000, 100, 1500);
}

/// What `search(batch, options of the batch, numbers of its sources)` finds, one list of hypotheses for each source.
/// Prefixes in the options are one for each source. `search` is called from several threads: each takes a batch of its
/// own, the longest first; a single batch is shared by all.
template <class Search>
[[nodiscard]] std::vector<std::vector<Hypothesis>> search_in_batches(const TokenBatch& sources,
                                                                     const GenerationOptions& options,
                                                                     Index batch_tokens, const Search& search) {
  struct Part {
    TokenBatch batch;
    GenerationOptions options;
    std::vector<Index> sources;
  };
  std::vector<Index> order(static_cast<std::size_t>(sources.sequences()));
  std::iota(order.begin(), order.end(), Index{0});
  const auto length = [&](Index i) { return sources.row_splits.length(i); };
  std::stable_sort(order.begin(), order.end(), [&](Index a, Index b) { return length(a) < length(b); });
  std::vector<Part> parts;
  for (const Index i : order) {
    if (parts.empty() || parts.back().batch.size() + length(i) > batch_tokens) {
      parts.push_back({{}, options, {}});
      parts.back().options.prefix.clear();
    }
    Part& part = parts.back();
    part.batch.push_back(sources.sequence(i));
    if (options.prefix.sequences() > 0) part.options.prefix.push_back(options.prefix.sequence(i));
    part.sources.push_back(i);
  }
  std::vector<std::vector<Hypothesis>> found(order.size());
  parallel_parts(static_cast<Index>(parts.size()), [&](Index p) {
    const Part& part = parts[parts.size() - 1 - static_cast<std::size_t>(p)];
    std::vector<std::vector<Hypothesis>> lists = search(part.batch, part.options, std::span<const Index>(part.sources));
    for (std::size_t i = 0; i < lists.size(); ++i)
      found[static_cast<std::size_t>(part.sources[i])] = std::move(lists[i]);
  });
  return found;
}

}}  // namespace rapt::RAPT_ABI
