/// \file
/// SentencePiece's normalisation of text: characters are replaced by the rules of a CharacterMap, white space is
/// reduced to single spaces and none at the ends, a space is put before the text, and spaces become "▁" (U+2581).
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "rapt/text/byte_trie.hpp"
#include "rapt/text/character_map.hpp"
#include "rapt/text/unicode.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// What a model's file says of normalisation (NormalizerSpec).
struct SentencePieceNormalization {
  CharacterMap rules = {};               ///< which sequences of characters become which others; without any, texts stay
  bool add_dummy_prefix = true;          ///< puts a space before the text, so that all words begin alike
  bool remove_extra_whitespaces = true;  ///< removes spaces at both ends, and all but one of several
  bool escape_whitespaces = true;        ///< writes a space as "▁"
  bool whitespace_as_suffix = false;     ///< the space of add_dummy_prefix comes behind the text
};

namespace detail {

inline constexpr std::string_view kSpaceSymbol = "\xE2\x96\x81";

/// A normaliser for texts in UTF-8. Immutable; many threads may use one object.
class SentencePieceNormalizer {
 public:
  struct Work {
    std::string text;                  ///< the normalised text
    std::vector<std::size_t> origins;  ///< of each byte, and of the end, the place in the original text
  };

  /// The symbols, keys of the trie, are kept as they are.
  SentencePieceNormalizer(SentencePieceNormalization options, ByteTrie symbols)
      : options_(std::move(options)), symbols_(std::move(symbols)) {
    for (unsigned char c = 0; c < 128; ++c) is_plain_[c] = options_.rules.is_unchanged(c) && !symbols_.has_first(c);
  }

  /// What is wanted of a call.
  struct Request {
    bool origins = false;  ///< sets `Work::origins`
    bool prefix = true;    ///< false: puts no space before the text, whatever add_dummy_prefix is
  };
  void operator()(std::string_view text, const Request& request, Work& work) const {
    const bool has_prefix = request.prefix && options_.add_dummy_prefix && !options_.whitespace_as_suffix;
    if (request.origins) {
      normalize<true>(text, has_prefix, work);
    } else {
      normalize<false>(text, has_prefix, work);
    }
  }

 private:
  template <bool kWithOrigins>
  void normalize(std::string_view text, bool has_prefix, Work& work) const {
    work.text.clear();
    work.origins.clear();
    std::size_t at = 0;
    if (options_.remove_extra_whitespaces) {
      for (; at < text.size();) {
        const CharacterMap::Match one = next(text, at);
        if (one.replacement != " ") break;
        at += one.length;
      }
    }
    if (at == text.size()) return;
    const auto add = [&](std::string_view part) {
      work.text += part;
      if constexpr (kWithOrigins) work.origins.resize(work.text.size(), at);
    };
    const std::string_view space = options_.escape_whitespaces ? kSpaceSymbol : std::string_view(" ");
    if (has_prefix) add(space);
    bool is_behind_space = options_.remove_extra_whitespaces;
    while (at < text.size()) {
      if (const std::size_t run = plain_run(text, at); run > 0) {
        work.text += text.substr(at, run);
        if constexpr (kWithOrigins) {
          for (std::size_t i = 0; i < run; ++i) work.origins.push_back(at + i);
        }
        at += run;
        is_behind_space = false;
        continue;
      }
      const CharacterMap::Match one = next(text, at);
      std::string_view part = one.replacement;
      while (is_behind_space && part.starts_with(' ')) part.remove_prefix(1);
      if (!part.empty()) {
        is_behind_space = options_.remove_extra_whitespaces && part.ends_with(' ');
        for (std::size_t begin = 0; begin < part.size();) {
          const std::size_t end = std::min(part.find(' ', begin), part.size());
          add(part.substr(begin, end - begin));
          if (end < part.size()) add(space);
          begin = end + 1;
        }
      }
      at += one.length;
    }
    if (options_.remove_extra_whitespaces) {
      while (work.text.ends_with(space)) {
        work.text.erase(work.text.size() - space.size());
        if constexpr (kWithOrigins) {
          at = work.origins[work.text.size()];
          work.origins.resize(work.text.size());
        }
      }
    }
    if (options_.add_dummy_prefix && options_.whitespace_as_suffix) add(space);
    if constexpr (kWithOrigins) work.origins.push_back(at);
  }

  /// What the text's next characters become, and how many bytes they are.
  [[nodiscard]] CharacterMap::Match next(std::string_view text, std::size_t at) const {
    const std::string_view rest = text.substr(at);
    if (is_plain(text, at)) return {rest.substr(0, 1), 1};
    if (const std::size_t length = symbols_.longest(rest).length; length > 0) return {rest.substr(0, length), length};
    if (const auto rule = options_.rules.longest(rest)) return *rule;
    const std::size_t length = code_point_at(text, at).length;
    return {rest.substr(0, length), length};
  }

  /// True for an ASCII character that stays as it is, whatever is behind it.
  [[nodiscard]] bool is_plain(std::string_view text, std::size_t at) const {
    const auto byte = static_cast<unsigned char>(text[at]);
    return byte < 128 && is_plain_[byte] && (at + 1 == text.size() || static_cast<unsigned char>(text[at + 1]) < 128);
  }
  /// The number of plain characters from `at` on that are not spaces.
  [[nodiscard]] std::size_t plain_run(std::string_view text, std::size_t at) const {
    std::size_t end = at;
    while (end < text.size() && text[end] != ' ' && is_plain(text, end)) ++end;
    return end - at;
  }

  SentencePieceNormalization options_;
  ByteTrie symbols_;
  std::array<bool, 128> is_plain_{};
};

}  // namespace detail

}}  // namespace rapt::RAPT_ABI
