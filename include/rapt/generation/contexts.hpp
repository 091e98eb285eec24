/// \file
/// What the hypotheses of a search hold so far, a tree of tokens, the n-grams in it and the states of a constraint; and
/// the prompts that they continue.
#pragma once

#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "rapt/core/error.hpp"
#include "rapt/core/sequence_marks.hpp"
#include "rapt/core/shape.hpp"
#include "rapt/core/token_batch.hpp"
#include "rapt/generation/decoding_constraint.hpp"
#include "rapt/generation/ngram_index.hpp"
#include "rapt/generation/token_tree.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace detail {

/// The contexts of all hypotheses of a search.
struct Contexts {
  TokenTree tree;
  NgramIndex ngrams;
  std::vector<Index> roots = {};  ///< of each source sequence: the last token of its prompt, or the begin token
  /// Of the request, if it is set and has states; null until the hypotheses begin.
  const DecodingConstraint* constraint = nullptr;
  std::vector<DecodingConstraint::AnyState> states = {};  ///< of each node from its root on, null before

  /// A hypothesis of a source sequence, one token longer.
  [[nodiscard]] Index add(Index node, TokenId token, Index sequence, double log_probability = 0) {
    const Index added = tree.add(node, token, log_probability);
    ngrams.add(tree, added, sequence);
    if (constraint != nullptr) states.push_back(constraint->next(at(states, node), token));
    return added;
  }
  /// To be called when all roots are there: from now on hypotheses have states of the constraint.
  void begin_states(const DecodingConstraint& of) {
    constraint = &of;
    states.resize(to_size(tree.size()));
    for (std::size_t i = 0; i < roots.size(); ++i) at(states, roots[i]) = of.start(static_cast<Index>(i));
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
