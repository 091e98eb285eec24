/// \file
/// The decoders of tokenizer.json: the steps that make a text of the names of tokens. Needs utf8proc and PCRE2.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "rapt/core/shape.hpp"
#include "rapt/text/byte_level_names.hpp"
#include "rapt/text/clean_up.hpp"
#include "rapt/text/normalizer.hpp"
#include "rapt/text/pattern.hpp"
#include "rapt/text/pre_tokenizer.hpp"
#include "rapt/text/replace_all.hpp"
#include "rapt/text/unicode.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// The bytes that the names stand for (byte_level_names.hpp) become one text. What is not UTF-8 becomes U+FFFD.
struct ByteLevelDecoding {};
/// Words get a space before them, and what continues a word loses its prefix.
struct WordPieceDecoding {
  std::string prefix = "##";
  bool cleanup = true;  ///< cleans up the spaces of each token (clean_up.hpp)
};
/// The replacement becomes a space; in the first token it is left out, unless `prepend` is never.
struct MetaspaceDecoding {
  std::int32_t replacement = 0x2581;
  MetaspaceSplit::Prepend prepend = MetaspaceSplit::Prepend::always;
  bool split = true;  ///< has no effect here, but is part of the file
};
/// The suffix becomes a space, and is left out at the end.
struct SuffixDecoding {
  std::string suffix = "</w>";
};
/// The output of connectionist temporal classification: repeated tokens count once, and padding is left out.
struct CtcDecoding {
  std::string padding = "<pad>";
  std::string word_delimiter = "|";  ///< with cleanup it becomes a space
  bool cleanup = true;               ///< cleans up spaces, and makes the word delimiter a space
};
/// Tokens such as "<0x0A>" become bytes. Bytes that are not UTF-8 become U+FFFD each.
struct ByteFallbackDecoding {};
/// All become one.
struct FuseDecoding {};
/// Removes a character from the ends of each token, at most so often.
struct StripDecoding {
  std::int32_t character = ' ';
  Index left = 0, right = 0;  ///< how often at the beginning, and at the end
};

/// One step of a decoder, which joins tokens to a text.
using DecoderStep = std::variant<ByteLevelDecoding, WordPieceDecoding, MetaspaceDecoding, SuffixDecoding, CtcDecoding,
                                 ByteFallbackDecoding, FuseDecoding, StripDecoding, ReplaceStep>;

namespace detail {

/// The number of bytes from `begin` on that are the beginning of a character and no whole one, at least 1.
[[nodiscard]] inline std::size_t invalid_length(std::string_view text, std::size_t begin) {
  const auto byte = [&](std::size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u; };
  const unsigned first = byte(begin), second = byte(begin + 1);
  const auto goes_on = [&](std::size_t i) { return (byte(i) & 0xC0u) == 0x80u; };
  if (first < 0xE0 || first > 0xF4 || !goes_on(begin + 1)) return 1;
  // Overlong forms, surrogates and too high values are none from their second byte on.
  if ((first == 0xE0 && second < 0xA0) || (first == 0xED && second > 0x9F) || (first == 0xF0 && second < 0x90) ||
      (first == 0xF4 && second > 0x8F)) {
    return 1;
  }
  return first >= 0xF0 && goes_on(begin + 2) ? 3 : 2;
}
/// The text with U+FFFD for each longest part that no character begins with.
[[nodiscard]] inline std::string replace_invalid_utf8(std::string_view text) {
  std::string valid;
  for (std::size_t i = 0; i < text.size();) {
    const CodePoint point = code_point_at(text, i);
    if (point.value >= 0) {
      valid += text.substr(i, point.length);
      i += point.length;
      continue;
    }
    valid += "\xEF\xBF\xBD";
    i += invalid_length(text, i);
  }
  return valid;
}

// Each function changes the parts of a text.

inline void decode_step(const ByteLevelDecoding&, std::vector<std::string>& parts) {
  std::string bytes;
  for (const std::string& part : parts) {
    const std::string known = bytes_of_name(part);
    bytes += known.empty() ? part : known;
  }
  parts.assign(1, replace_invalid_utf8(bytes));
}
inline void decode_step(const WordPieceDecoding& step, std::vector<std::string>& parts) {
  for (std::size_t i = 0; i < parts.size(); ++i) {
    if (i > 0) {
      if (parts[i].starts_with(step.prefix)) {
        parts[i].erase(0, step.prefix.size());
      } else {
        parts[i].insert(0, 1, ' ');
      }
    }
    if (step.cleanup) clean_up_token(parts[i]);
  }
}
inline void decode_step(const MetaspaceDecoding& step, std::vector<std::string>& parts) {
  std::string replacement;
  append_code_point(replacement, step.replacement);
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const bool is_dropped = i == 0 && step.prepend != MetaspaceSplit::Prepend::never;
    replace_all(parts[i], replacement, is_dropped ? "" : " ");
  }
}
inline void decode_step(const SuffixDecoding& step, std::vector<std::string>& parts) {
  if (step.suffix.empty()) return;
  for (std::size_t i = 0; i < parts.size(); ++i) replace_all(parts[i], step.suffix, i + 1 < parts.size() ? " " : "");
}
inline void decode_step(const CtcDecoding& step, std::vector<std::string>& parts) {
  parts.erase(std::unique(parts.begin(), parts.end()), parts.end());
  for (std::string& part : parts) {
    if (!step.padding.empty()) replace_all(part, step.padding, "");
    if (!step.cleanup) continue;
    clean_up_token(part);
    if (!step.word_delimiter.empty()) replace_all(part, step.word_delimiter, " ");
  }
  std::erase(parts, "");
}
/// The value of a token such as "<0x0A>", or -1.
[[nodiscard]] inline int byte_of_token(std::string_view token) {
  if (token.size() != 6 || !token.starts_with("<0x") || token.back() != '>') return -1;
  int value = 0;
  for (const char c : token.substr(3, 2)) {
    const int digit = c >= '0' && c <= '9'   ? c - '0'
                      : c >= 'a' && c <= 'f' ? c - 'a' + 10
                      : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                             : -1;
    if (digit < 0) return -1;
    value = value * 16 + digit;
  }
  return value;
}
inline void decode_step(const ByteFallbackDecoding&, std::vector<std::string>& parts) {
  std::vector<std::string> decoded;
  std::string bytes;
  const auto flush = [&] {
    if (bytes.empty()) return;
    if (find_invalid_utf8(bytes)) {
      for (std::size_t i = 0; i < bytes.size(); ++i) decoded.emplace_back("\xEF\xBF\xBD");
    } else {
      decoded.push_back(bytes);
    }
    bytes.clear();
  };
  for (std::string& part : parts) {
    if (const int byte = byte_of_token(part); byte >= 0) {
      bytes += static_cast<char>(byte);
      continue;
    }
    flush();
    decoded.push_back(std::move(part));
  }
  flush();
  parts.swap(decoded);
}
inline void decode_step(const FuseDecoding&, std::vector<std::string>& parts) {
  std::string all;
  for (const std::string& part : parts) all += part;
  parts.assign(1, std::move(all));
}
inline void decode_step(const StripDecoding& step, std::vector<std::string>& parts) {
  std::string character;
  append_code_point(character, step.character);
  for (std::string& part : parts) {
    std::string_view rest = part;
    for (Index i = 0; i < step.left && rest.starts_with(character); ++i) rest.remove_prefix(character.size());
    for (Index i = 0; i < step.right && rest.ends_with(character); ++i) rest.remove_suffix(character.size());
    if (rest.size() < part.size()) part = std::string(rest);
  }
}
inline void decode_step(const ReplaceStep& step, std::vector<std::string>& parts) {
  Pattern::Work work;
  NormalizedText replaced;
  for (std::string& part : parts) {
    if (replace_matches(step, part, work, replaced)) part.swap(replaced.text);
  }
}

/// Makes the text of tokens with these names.
[[nodiscard]] inline std::string decode_names(std::vector<std::string> names, std::span<const DecoderStep> steps) {
  for (const DecoderStep& step : steps) {
    std::visit([&](const auto& one) { decode_step(one, names); }, step);
  }
  std::string text;
  for (const std::string& name : names) text += name;
  return text;
}

}  // namespace detail

}}  // namespace rapt::RAPT_ABI
