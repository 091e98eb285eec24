/// \file
/// Texts that are longer than a model takes, in windows that overlap.
#pragma once

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "rapt/core/error.hpp"
#include "rapt/core/index.hpp"
#include "rapt/core/shape.hpp"
#include "rapt/pretrained/tokenizer_json.hpp"
#include "rapt/text/composed_tokenizer.hpp"
#include "rapt/text/encoding.hpp"
#include "rapt/text/wordpiece.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace detail {

struct WindowSize {
  Index longest = 0;      ///< tokens of a window, with special tokens and the other text
  Index overlap = 0;      ///< tokens that a window has in common with the next
  bool from_end = false;  ///< the window that has fewer tokens, if one has, is the first instead of the last
};

/// A part of the tokens of a text, with what stands around the text.
struct Window {
  Encoding tokens;
  Index skipped = 0;       ///< tokens of the text before the window's
  std::size_t source = 0;  ///< the number of the text that it is of, for those who make windows of many
};

/// The windows of text 0 or 1 of an encoding that is not cut off: each has everything else and a part of the text, the
/// last one (the first with `from_end`) what is left. Throws ValueError if there is no room for more of the text than
/// windows have in common.
[[nodiscard]] inline std::vector<Window> windows_of(const Encoding& whole, int text, const WindowSize& size,
                                                    std::string_view where) {
  const auto first = std::find(whole.texts.begin(), whole.texts.end(), text);
  const Index begin = first - whole.texts.begin(), count = std::count(first, whole.texts.end(), text);
  const Index all = std::ssize(whole.ids), room = size.longest - (all - count);
  if (count <= room) return {{whole}};
  require(room > size.overlap && size.overlap >= 0, where, "a window of ", size.longest, " tokens has room for ", room,
          " tokens of a text of ", count, ", which must be more than the ", size.overlap,
          " that windows have in common");
  const auto take = [&](const auto& from, auto& to, Index part_begin, Index part_end) {
    to.insert(to.end(), from.begin(), from.begin() + begin);
    to.insert(to.end(), from.begin() + part_begin, from.begin() + part_end);
    to.insert(to.end(), from.begin() + begin + count, from.end());
  };
  std::vector<Window> windows;
  const Index step = room - size.overlap, last = (count - room + step - 1) / step;  // `last`: the last window's number
  for (Index w = 0; w <= last; ++w) {
    const Index skipped = size.from_end ? std::max<Index>(count - room - (last - w) * step, 0) : w * step;
    const Index end = size.from_end ? count - (last - w) * step : std::min(skipped + room, count);
    Encoding& part = windows.emplace_back(Window{.tokens = {}, .skipped = skipped}).tokens;
    take(whole.ids, part.ids, begin + skipped, begin + end);
    take(whole.spans, part.spans, begin + skipped, begin + end);
    take(whole.types, part.types, begin + skipped, begin + end);
    take(whole.texts, part.texts, begin + skipped, begin + end);
    take(whole.words, part.words, begin + skipped, begin + end);
  }
  return windows;
}

/// What tokens that continue a word begin with, "##" in WordPiece; empty for tokenizers without such a mark.
[[nodiscard]] inline std::string continuing_prefix(const PretrainedTokenizer& tokenizer) {
  if (const auto* pieces = std::get_if<WordPiece>(&tokenizer)) return pieces->options().prefix;
  if (const auto* composed = std::get_if<ComposedTokenizer>(&tokenizer)) {
    if (const auto* pieces = std::get_if<WordPieceModel>(&composed->model())) return pieces->prefix;
    if (const auto* pairs = std::get_if<CharacterBpeModel>(&composed->model())) return pairs->prefix;
  }
  return {};
}

}}}  // namespace rapt::RAPT_ABI::detail
