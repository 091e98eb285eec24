/// \file
/// Sequence marks: the tokens with which the sequences of a model begin and end.
#pragma once

#include <limits>
#include <optional>
#include <vector>

#include "rapt/core/token_batch.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// Where the sequences that a model generates begin and what they end with. A model or its configuration says them;
/// nothing is assumed where neither does.
struct SequenceMarks {
  std::optional<TokenId> begin = {};         ///< is fed first; unset: the sequences have no begin token
  std::vector<TokenId> ends = {};            ///< each of them ends a sequence; empty: only the length does
  std::optional<TokenId> forced_begin = {};  ///< is the first token of every sequence that has no prefix
  std::vector<TokenId> suppressed = {};      ///< are never generated
  /// The most tokens of a sequence, without begin and end tokens; behind a prompt, without the prompt.
  Index max_length = std::numeric_limits<Index>::max();

  /// False for a negative begin token, too, as some configurations write "none".
  [[nodiscard]] bool has_begin() const { return begin.has_value() && *begin >= 0; }
  friend bool operator==(const SequenceMarks&, const SequenceMarks&) = default;
};

/// "<s>" and "</s>" in the vocabularies that rapt makes (see text/vocabulary.hpp), with which `make_batch` encloses
/// sentences and between which a rapt::Transformer translates.
inline constexpr TokenId kBeginToken = 1, kEndToken = 2;

}}  // namespace rapt::RAPT_ABI
