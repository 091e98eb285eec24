/// \file
/// Searches as the publisher of a model recommends them: which one, and with what options.
#pragma once

#include <utility>
#include <vector>

#include "rapt/generation/beam_search.hpp"
#include "rapt/generation/greedy.hpp"
#include "rapt/generation/sampling.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// What a model's folder says about generation; pretrained/generation_defaults.hpp reads it. The `generation` of `beam`
/// and of `sampling` is the same.
struct GenerationDefaults {
  bool samples = false;  ///< tokens are drawn
  BeamSearchOptions beam = {};
  SamplingOptions sampling = {};
  Index results = 1;  ///< hypotheses for each source sequence; greedy search finds one
};

/// Greedy search, beam search or sampling, as the defaults say: the hypotheses of each source sequence, of beam search
/// the best first. Throws ValueError for several hypotheses of greedy search, or more than beam search keeps.
///
/// ```cpp
/// const auto model = rapt::from_pretrained<rapt::Marian<>>(folder);
/// auto found = rapt::generate(model, source, rapt::generation_defaults(folder));
/// ```
template <DecodingModel M>
[[nodiscard]] std::vector<std::vector<Hypothesis>> generate(const M& model, const TokenBatch& source,
                                                            const GenerationDefaults& defaults,
                                                            const SearchRequest& request = {}) {
  if (defaults.samples) {
    SamplingOptions options = defaults.sampling;
    options.samples = defaults.results;
    return sample(model, source, options, request);
  }
  if (defaults.beam.beam_size > 1) return beam_search_n_best(model, source, defaults.results, defaults.beam, request);
  require(defaults.results == 1, "generate", "greedy search finds one hypothesis of a source, not ", defaults.results);
  std::vector<std::vector<Hypothesis>> found;
  for (Hypothesis& h : greedy_search(model, source, defaults.beam.generation, request)) {
    found.emplace_back().push_back(std::move(h));
  }
  return found;
}

}}  // namespace rapt::RAPT_ABI
