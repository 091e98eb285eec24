/// \file
/// What the hypotheses of a search hold so far, a tree of tokens and the n-grams in it; and the prompts that they
/// continue.
#pragma once

#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "rapt/core/error.hpp"
#include "rapt/core/sequence_marks.hpp"
#include "rapt/core/shape.hpp"
#include "rapt/core/token_batch.hpp"
#include "rapt/generation/ngram_index.hpp"
#include "rapt/generation/token_tree.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace detail {

/// The contexts of all hypotheses of a search.
struct Contexts {
  TokenTree tree;
  NgramIndex ngrams;
  std::vector<Index> roots = {};  ///< of each source sequence: the last token of its prompt, or the begin token

  /// A hypothesis of a source sequence, one token longer.
  [[nodiscard]] Index add(Index node, TokenId token, Index sequence, double log_probability = 0) {
    const Index added = tree.add(node, token, log_probability);
    ngrams.add(tree, added, sequence);
    return added;
  }
};

/// A hypothesis that is to get its next token.
struct Position {
  Index sequence = 0;  ///< of the source
  Index length = 0;    ///< how many tokens it has
  Index node = 0;      ///< its end in the tree of contexts
};

/// The prompts with the begin token in place of each empty one; nothing if no prompt is empty. Throws ValueError
/// `[where] ...` for an empty prompt of a model that has no begin token.
[[nodiscard]] inline std::optional<TokenBatch> filled_prompts(const TokenBatch& prompts, const SequenceMarks& marks,
                                                              std::string_view where) {
  Index empty = prompts.sequences();
  for (Index i = prompts.sequences(); i-- > 0;) {
    if (prompts.row_splits.length(i) == 0) empty = i;
  }
  if (empty == prompts.sequences()) return std::nullopt;
  require(marks.has_begin(), where, "prompt ", empty, " is empty, and the model has no begin token");
  TokenBatch filled;
  for (Index i = 0; i < prompts.sequences(); ++i) {
    const auto prompt = prompts.sequence(i);
    filled.push_back(prompt.empty() ? std::span<const TokenId>(&*marks.begin, 1) : prompt);
  }
  return filled;
}

}}}  // namespace rapt::RAPT_ABI::detail
