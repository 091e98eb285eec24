/// \file
/// From the pieces of a SentencePiece model back to text.
#pragma once

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

#include "rapt/text/sentencepiece_model.hpp"
#include "rapt/text/sentencepiece_normalizer.hpp"
#include "rapt/text/unicode.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace detail {

/// Puts the texts of pieces together.
class SentencePieceJoiner {
 public:
  /// The model must outlive this.
  explicit SentencePieceJoiner(const SentencePieceModel& model) : model_(model) {}

  /// Adds a piece of the model. Control pieces have no text; bytes that are not UTF-8 become U+FFFD.
  void add_piece(std::string_view text, SentencePieceModel::PieceType type) {
    using Type = SentencePieceModel::PieceType;
    if (type == Type::byte) {
      bytes_ += static_cast<char>(detail::byte_of_piece(text));
      return;
    }
    add_bytes();
    if (has_begun_ || !text_.empty()) is_at_begin_ = false;
    has_begun_ = false;
    if (type == Type::control) return;
    if (type == Type::unknown) {
      text_ += model_.unknown_surface;
      return;
    }
    const SentencePieceNormalization& normalization = model_.normalization;
    // The space that encoding has put before the text is removed, or all spaces if encoding would remove them.
    if (is_at_begin_ && (normalization.add_dummy_prefix || normalization.remove_extra_whitespaces) &&
        text.starts_with(detail::kSpaceSymbol)) {
      text.remove_prefix(detail::kSpaceSymbol.size());
      has_begun_ = !normalization.remove_extra_whitespaces;
    }
    for (std::size_t begin = 0; begin < text.size();) {
      const std::size_t space = std::min(text.find(detail::kSpaceSymbol, begin), text.size());
      text_ += text.substr(begin, space - begin);
      if (space < text.size()) text_ += ' ';
      begin = space + detail::kSpaceSymbol.size();
    }
  }
  /// Adds a token that stands for its own text.
  void add_token(std::string_view text) {
    add_bytes();
    text_ += text;
  }
  [[nodiscard]] std::string finish() {
    add_bytes();
    return std::move(text_);
  }

 private:
  void add_bytes() {
    for (std::size_t i = 0; i < bytes_.size();) {
      const CodePoint point = code_point_at(bytes_, i);
      text_ += point.value < 0 ? "\xEF\xBF\xBD" : std::string_view(bytes_).substr(i, point.length);
      i += point.length;
    }
    bytes_.clear();
  }

  const SentencePieceModel& model_;
  std::string text_, bytes_;  // bytes: of byte pieces that are not in `text_` yet
  bool is_at_begin_ = true, has_begun_ = false;
};

}}}  // namespace rapt::RAPT_ABI::detail
