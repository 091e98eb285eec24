/// \file
/// Many sequences, searched in batches of like length. What is found for a sequence does not depend on its batch,
/// unless weights are stored in 16 bits or in quantised blocks, as files have them (see
/// kernels/gemm/stored_columns.hpp): products with them add in another order for up to eight rows than for more, so
/// that scores may differ in their last bits, and rarely the tokens.
#pragma once

#include <algorithm>
#include <cstddef>
#include <span>
#include <utility>
#include <vector>

#include "rapt/core/error.hpp"
#include "rapt/core/index.hpp"
#include "rapt/core/length_batches.hpp"
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
  std::vector<std::vector<Hypothesis>> found(to_size(sources.sequences()));
  for_batches_of_like_length(
      sources.row_splits, batch_tokens,
      [&](std::span<const Index> numbers) {
        TokenBatch batch;
        SearchRequest of_batch{.marks = request.marks, .seed = request.seed};
        std::vector<std::size_t> chosen;  // the same numbers
        for (const Index i : numbers) {
          const std::size_t number = to_size(i);
          batch.push_back(sources.sequence(i));
          if (request.prefix.sequences() > 0) of_batch.prefix.push_back(request.prefix.sequence(i));
          of_batch.streams.push_back(request.streams.empty() ? number : request.streams[number]);
          chosen.push_back(number);
        }
        of_batch.allowed = request.allowed.of_sources(chosen);
        std::vector<std::vector<Hypothesis>> lists = search(std::as_const(batch), std::as_const(of_batch));
        for (std::size_t i = 0; i < lists.size(); ++i) found[chosen[i]] = std::move(lists[i]);
      },
      request.report);
  return found;
}

}}  // namespace rapt::RAPT_ABI
