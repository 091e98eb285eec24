/// \file
/// The results of tokenizers of pretrained models, and the options of their calls.
///
/// The place of a token in a text is a span of bytes. It never begins or ends inside a character: a token that holds
/// only some bytes of a character has the span of the whole character. `character_spans` converts spans to characters,
/// as Python counts.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "rapt/core/error.hpp"
#include "rapt/core/shape.hpp"
#include "rapt/core/token_batch.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// The part [begin, end) of a text.
struct TextSpan {
  std::size_t begin = 0, end = 0;
  [[nodiscard]] friend bool operator==(const TextSpan&, const TextSpan&) = default;
};

/// Tokens and the places in the texts that they come from.
struct Encoding {
  std::vector<TokenId> ids;     ///< the tokens
  std::vector<TextSpan> spans;  ///< bytes of the token's own text; [0, 0) for special tokens around the texts
  std::vector<TokenId> types;   ///< the model's token types (segments)
  std::vector<int> texts;       ///< 0 or 1, the token's text; -1 for special tokens around the texts
  /// A number that the tokens of one word of a text have in common; it grows from word to word. Words are what the
  /// tokenizer splits a text into before it looks for tokens; of SentencePiece, which does not split, a word begins at
  /// a token with a space. -1 for special tokens around the texts.
  std::vector<int> words;
};

/// Tokens of pairs of texts, a sequence for each pair.
struct PairBatch {
  TokenBatch tokens;           ///< of all pairs, a sequence for each
  std::vector<TokenId> types;  ///< [N]
};

/// Which tokens are left out if there are too many.
struct Truncation {
  /// Of two texts: the longer one loses tokens first, until they are of the same length and both lose some; or the
  /// first one alone; or the second one alone.
  enum class Strategy { longest_first, only_first, only_second };
  Index max_tokens = 0;                         ///< with the model's special tokens; 0 means no limit
  Strategy strategy = Strategy::longest_first;  ///< which of two texts is cut off
  bool left = false;                            ///< texts are cut off at their beginnings
  [[nodiscard]] friend bool operator==(const Truncation&, const Truncation&) = default;
};

/// Which special tokens an encoding has, and where it is cut off.
struct EncodeOptions {
  bool add_special = true;   ///< puts the model's special tokens around the text, such as [CLS] and [SEP]
  bool find_special = true;  ///< special tokens in the text become tokens; set it to false for untrusted text
  std::optional<Truncation> truncation = {};  ///< takes the place of the tokenizer's own
};

/// A piece of a template, which says where special tokens are put: "$A" and "$B" are the first and the second text, any
/// other text is a token, and `type` is the token type of the piece. As in Hugging Face's files, a template is a list
/// such as
/// `{{"[CLS]"}, {"$A"}, {"[SEP]"}, {"$B", 1}, {"[SEP]", 1}}`.
struct TemplatePiece {
  std::string text;
  TokenId type = 0;
  [[nodiscard]] friend bool operator==(const TemplatePiece&, const TemplatePiece&) = default;
};

/// The same spans counted in characters (code points) instead of bytes. Throws ValueError for a span outside the text.
[[nodiscard]] inline std::vector<TextSpan> character_spans(std::string_view text, std::span<const TextSpan> spans) {
  std::vector<std::size_t> characters(text.size() + 1);  // before each byte
  for (std::size_t i = 0; i < text.size(); ++i) {
    characters[i + 1] = characters[i] + ((static_cast<unsigned char>(text[i]) & 0xC0u) != 0x80u ? 1 : 0);
  }
  std::vector<TextSpan> counted;
  counted.reserve(spans.size());
  for (const TextSpan& span : spans) {
    require(span.begin <= span.end && span.end <= text.size(), "character_spans", "the span [", span.begin, ", ",
            span.end, ") does not lie within the text's ", text.size(), " bytes");
    counted.push_back({characters[span.begin], characters[span.end]});
  }
  return counted;
}

}}  // namespace rapt::RAPT_ABI
