/// \file
/// Where tokenizers put the tokens of one text.
#pragma once

#include <algorithm>
#include <cstddef>
#include <string_view>
#include <vector>

#include "rapt/core/token_batch.hpp"
#include "rapt/text/character_classes.hpp"
#include "rapt/text/encoding.hpp"
#include "rapt/text/unicode.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace detail {

/// Collects the tokens of one text, and their spans and words if with_spans is set.
struct TokenSink {
  std::vector<TokenId> ids;
  std::vector<TextSpan> spans;
  std::vector<int> words;
  int word = -1;  // of the token that is added next
  bool with_spans = false;

  /// The tokens that follow are of a further word.
  void begin_word() { ++word; }
  void add(TokenId id, std::size_t begin, std::size_t end) {
    ids.push_back(id);
    if (!with_spans) return;
    spans.push_back({begin, end});
    words.push_back(word);
  }
  /// Adds a token that is a word of its own.
  void add_word(TokenId id, std::size_t begin, std::size_t end) {
    begin_word();
    add(id, begin, end);
  }
  void truncate(std::size_t size) {
    ids.resize(std::min(ids.size(), size));
    spans.resize(std::min(spans.size(), size));
    words.resize(std::min(words.size(), size));
  }
  /// Keeps the last tokens.
  void truncate_left(std::size_t size) {
    if (ids.size() <= size) return;
    const auto drop = static_cast<std::ptrdiff_t>(ids.size() - size);
    ids.erase(ids.begin(), ids.begin() + drop);
    if (spans.empty()) return;
    spans.erase(spans.begin(), spans.begin() + drop);
    words.erase(words.begin(), words.begin() + drop);
  }
};

/// Removes so many characters at the ends of a span. If there are fewer before its end, the end stays.
inline void trim_span(std::string_view text, std::size_t leading, std::size_t trailing, TextSpan& span) {
  for (; leading > 0 && span.begin < span.end; --leading) {
    span.begin += known_code_point_at(text, span.begin).length;
  }
  std::size_t end = span.end;
  for (; trailing > 0; --trailing) {
    if (end == 0) return;
    end = previous_code_point(text, end);
  }
  span.end = std::max(end, span.begin);
}

}}}  // namespace rapt::RAPT_ABI::detail
