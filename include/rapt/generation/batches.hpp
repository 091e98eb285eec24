/// \file
/// Many sequences, searched in batches of like length. What is found for a sequence does not depend on its batch.
#pragma once

#include <algorithm>
#include <numeric>
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

/// What `search(batch, request)` finds for batches of the sources, one list of hypotheses for each source. The request
/// of a batch holds the prefixes and streams of its sources; a source without a stream gets that of its number, so that
/// samples do not depend on batches. `search` is called from several threads: each takes a batch of its own, the
/// longest first; a single batch is shared by all.
template <class Search>
[[nodiscard]] std::vector<std::vector<Hypothesis>> search_in_batches(const TokenBatch& sources,
                                                                     const SearchRequest& request, Index batch_tokens,
                                                                     const Search& search) {
  require(request.on_token == nullptr, "search_in_batches",
          "on_token is for one search, and batches are searched by several threads");
  struct Part {
    TokenBatch batch;
    SearchRequest request;
    std::vector<std::size_t> sources;  // their numbers
  };
  std::vector<Index> order(static_cast<std::size_t>(sources.sequences()));
  std::iota(order.begin(), order.end(), Index{0});
  const auto length = [&](Index i) { return sources.row_splits.length(i); };
  std::stable_sort(order.begin(), order.end(), [&](Index a, Index b) { return length(a) < length(b); });
  std::vector<Part> parts;
  for (const Index i : order) {
    if (parts.empty() || parts.back().batch.size() + length(i) > batch_tokens) {
      parts.push_back({.batch = {}, .request = request, .sources = {}});
      parts.back().request.prefix.clear();
      parts.back().request.streams.clear();
    }
    Part& part = parts.back();
    part.batch.push_back(sources.sequence(i));
    if (request.prefix.sequences() > 0) part.request.prefix.push_back(request.prefix.sequence(i));
    const auto number = static_cast<std::size_t>(i);
    part.request.streams.push_back(request.streams.empty() ? number : request.streams[number]);
    part.sources.push_back(number);
  }
  for (Part& part : parts) part.request.allowed = detail::allowed_of(request, part.sources);
  std::vector<std::vector<Hypothesis>> found(order.size());
  parallel_parts(static_cast<Index>(parts.size()), [&](Index p) {
    const Part& part = parts[parts.size() - 1 - static_cast<std::size_t>(p)];
    std::vector<std::vector<Hypothesis>> lists = search(part.batch, part.request);
    for (std::size_t i = 0; i < lists.size(); ++i) found[part.sources[i]] = std::move(lists[i]);
  });
  return found;
}

}}  // namespace rapt::RAPT_ABI
