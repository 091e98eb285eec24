// Text into pairs of tokens.
#pragma once

#include <cstdio>
#include <rapt/data/parallel_corpus.hpp>
#include <rapt/pipelines/translator.hpp>

namespace translate {

using rapt::Index;

inline std::vector<rapt::TokenPair> encode(const rapt::ParallelCorpus& corpus, const rapt::TextEncoding& text) {
  std::vector<rapt::TokenPair> pairs;
  for (std::size_t i = 0; i < corpus.source.size(); ++i) {
    pairs.push_back({text.encode(corpus.source[i]), text.encode(corpus.target[i])});
  }
  return pairs;
}

/// Whether a pair, with its end symbols, is at most as long as a batch.
inline bool fits(const rapt::TokenPair& pair, Index longest) {
  return static_cast<Index>(std::max(pair.source.size(), pair.target.size())) + 1 <= longest;
}

/// Leaves out pairs that do not fit; says how many.
inline void drop_long(std::vector<rapt::TokenPair>& pairs, Index longest) {
  const auto dropped = std::erase_if(pairs, [&](const rapt::TokenPair& pair) { return !fits(pair, longest); });
  if (dropped > 0) std::fprintf(stderr, "left out %zu pairs of more than %td tokens\n", dropped, longest - 1);
}

}  // namespace translate
