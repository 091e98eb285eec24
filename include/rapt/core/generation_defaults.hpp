/// \file
/// What a model says of the sequences that it generates: where they begin, and what they end with.
#pragma once

#include <limits>
#include <optional>
#include <vector>

#include "rapt/core/token_batch.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// The tokens of a model that searches need. They hold wherever the options of a search do not name others. The values
/// here are those of `make_batch`, and so of a rapt::Transformer that was trained with it.
struct GenerationDefaults {
  TokenId begin = 1;                         ///< fed first; -1: none
  std::vector<TokenId> ends = {2};           ///< each of them ends a sequence; none: only the maximum length does
  std::optional<TokenId> forced_begin = {};  ///< what every sequence begins with, unless a prefix says it
  std::vector<TokenId> suppressed = {};      ///< are never generated
  /// The most tokens of a sequence, without begin and end symbols; behind a prompt, without the prompt.
  Index max_length = std::numeric_limits<Index>::max();

  friend bool operator==(const GenerationDefaults&, const GenerationDefaults&) = default;
};

}}  // namespace rapt::RAPT_ABI
