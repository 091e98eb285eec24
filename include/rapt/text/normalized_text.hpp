/// \file
/// A normalised text that knows where in the original text each of its bytes comes from.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "rapt/text/character_classes.hpp"
#include "rapt/text/unicode.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace detail {

/// A normalised text, and with with_origins, for each of its bytes, the offset in the original text of the character
/// that the byte comes from.
struct NormalizedText {
  /// The origin of a text that was put in before the first character.
  static constexpr std::size_t kNowhere = ~std::size_t{0};

  std::string text;
  std::vector<std::size_t> origins;
  bool with_origins = false;

  void clear() {
    text.clear();
    origins.clear();
  }
  void append(std::string_view bytes, std::size_t origin) {
    text += bytes;
    if (with_origins) origins.insert(origins.end(), bytes.size(), origin);
  }
  /// Appends text[begin, end) of the original text as it is.
  void copy(std::string_view original, std::size_t begin, std::size_t end) {
    text += original.substr(begin, end - begin);
    if (!with_origins) return;
    for (std::size_t i = begin; i < end;) {
      const std::size_t length = known_code_point_at(original, i).length;
      origins.insert(origins.end(), length, i);
      i += length;
    }
  }
  /// Given the origins of the text that this one was made of, makes the origins those in that text's original.
  void compose(const std::vector<std::size_t>& outer) {
    for (std::size_t& origin : origins) {
      if (origin != kNowhere) origin = outer[origin];
    }
  }
};

/// Writes a changed text. Each change takes the next characters of the text before, or puts characters in.
class TextChange {
 public:
  TextChange(std::string_view before, NormalizedText& out) : before_(before), out_(out) {}

  /// The character takes the place of the next one; `removed` characters behind that one are left out.
  void replace(std::int32_t value, std::size_t removed = 0) {
    const std::size_t origin = at_;
    skip(1 + removed);
    append(value, origin);
  }
  /// The character is put in and belongs to the last character that was taken.
  void insert(std::int32_t value) {
    append(value, at_ == 0 ? NormalizedText::kNowhere : previous_code_point(before_, at_));
  }
  void skip(std::size_t characters) {
    for (; characters > 0 && at_ < before_.size(); --characters) at_ += known_code_point_at(before_, at_).length;
  }
  /// Takes the next bytes as they are.
  void keep(std::size_t bytes) {
    out_.copy(before_, at_, at_ + bytes);
    at_ += bytes;
  }

 private:
  void append(std::int32_t value, std::size_t origin) {
    const std::size_t size = out_.text.size();
    append_code_point(out_.text, value);
    if (out_.with_origins) out_.origins.insert(out_.origins.end(), out_.text.size() - size, origin);
  }

  std::string_view before_;
  NormalizedText& out_;
  std::size_t at_ = 0;
};

/// The offset behind the ASCII characters that begin at an offset.
[[nodiscard]] inline std::size_t ascii_end(std::string_view text, std::size_t begin) {
  while (begin < text.size() && static_cast<unsigned char>(text[begin]) < 0x80) ++begin;
  return begin;
}

}}}  // namespace rapt::RAPT_ABI::detail
