/// \file
/// The steps that a tokenizer.json may split a normalised text by (pre_tokenizer.hpp applies them). Needs PCRE2.
#pragma once

#include <cstdint>
#include <optional>
#include <variant>

#include "rapt/core/shape.hpp"
#include "rapt/text/byte_level_split.hpp"
#include "rapt/text/pattern.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// What becomes of the matches at which a text is split. The examples split "a-b--c" at "-".
enum class SplitBehavior {
  removed,               ///< a b c
  isolated,              ///< a - b - - c
  merged_with_previous,  ///< a- b- - c
  merged_with_next,      ///< a -b - -c
  contiguous,            ///< a - b -- c
};

/// Splits at white space, which is left out.
struct WhiteSpaceSplit {};
/// Keeps runs of word characters, and runs of others that are no white space.
struct WordSplit {};
/// Splits at white space, which is left out, and on both sides of BERT's punctuation.
struct BertSplit {};
/// Splits at BERT's punctuation.
struct PunctuationSplit {
  SplitBehavior behavior = SplitBehavior::isolated;  ///< what becomes of the punctuation
};
/// Splits off runs of numeric characters, or each one.
struct DigitSplit {
  bool individual = false;  ///< each character is a piece
};
/// Splits at a character, which is left out.
struct DelimiterSplit {
  std::int32_t delimiter = ' ';  ///< a code point
};
/// Splits into pieces of so many characters.
struct FixedLengthSplit {
  Index length = 5;  ///< in code points; the last piece may be shorter
};
/// Splits at a pattern, or if inverted, at what lies between its matches.
struct PatternSplit {
  Pattern pattern;                                   ///< a string or a regular expression
  SplitBehavior behavior = SplitBehavior::isolated;  ///< what becomes of the matches
  bool invert = false;                               ///< splits at what lies between the matches
};
/// Writes spaces as `replacement` and, if `split` is set, splits before each one, as SentencePiece does.
struct MetaspaceSplit {
  /// Which pieces get a replacement in front, if they do not begin with one or with a space: all, that at the text's
  /// beginning, or none.
  enum class Prepend { always, first, never };
  std::int32_t replacement = 0x2581;
  Prepend prepend = Prepend::always;  ///< which pieces get a replacement at their beginning; first: that of the text
  bool split = true;
};
/// Splits as GPT-2 does, if `use_pattern` is set, and writes each byte as the character that stands for it.
struct ByteLevelSplit {
  bool add_prefix_space = true;  ///< puts a space before pieces that begin with none
  bool use_pattern = true;
  bool trim_offsets = true;  ///< has no effect here, but is part of the file
};

/// Splits between characters of different scripts (scripts.hpp). Characters of no script, such as spaces, belong to the
/// piece before them, and are left out at the beginning.
struct ScriptSplit {};

/// One step of a pre-tokenizer, which splits a text into pieces.
using PreTokenizerStep =
    std::variant<WhiteSpaceSplit, WordSplit, BertSplit, PunctuationSplit, DigitSplit, DelimiterSplit, FixedLengthSplit,
                 PatternSplit, MetaspaceSplit, ByteLevelSplit, ScriptSplit>;

namespace detail {

/// The splitter that is written as code and does the same as a pattern, if there is one.
[[nodiscard]] inline std::optional<ByteLevelPattern> known_pattern(const PatternSplit& split) {
  if (split.pattern.is_string() || split.behavior != SplitBehavior::isolated || split.invert) return std::nullopt;
  return pattern_of_expression(split.pattern.source());
}

}  // namespace detail

}}  // namespace rapt::RAPT_ABI
