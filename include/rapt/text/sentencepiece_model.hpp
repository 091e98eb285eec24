/// \file
/// SentencePieceModel: what a SentencePiece model's file holds.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "rapt/text/sentencepiece_normalizer.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// The pieces with their scores, and how text is cut into them (the file's ModelProto).
struct SentencePieceModel {
  /// How text is cut, numbered as the model_type of the file.
  enum class Kind : std::uint8_t { unigram = 1, bpe = 2, word = 3, character = 4 };
  /// What a piece stands for, numbered as in the file: text, what is unknown, a special token, text that is never cut,
  /// an id without a use, or a byte.
  enum class PieceType : std::uint8_t { normal = 1, unknown = 2, control = 3, user_defined = 4, unused = 5, byte = 6 };
  /// A piece of the vocabulary, its score and its type.
  struct Piece {
    std::string text;  ///< spaces are written as "▁"
    float score = 0;
    PieceType type = PieceType::normal;
  };

  std::vector<Piece> pieces = {};
  Kind kind = Kind::unigram;   ///< how text is cut
  bool byte_fallback = false;  ///< unknown characters become the pieces of their bytes, "<0x00>" to "<0xFF>"
  std::string unknown_surface = " \xE2\x81\x87 ";                  ///< the text of the unknown piece when it is decoded
  SentencePieceNormalization normalization = {};                   ///< of texts before they are cut
  std::optional<SentencePieceNormalization> denormalization = {};  ///< of decoded text
};

namespace detail {

/// The byte of a piece such as "<0x4F>", or -1 for any other piece.
[[nodiscard]] constexpr int byte_of_piece(std::string_view piece) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  if (piece.size() != 6 || !piece.starts_with("<0x") || !piece.ends_with('>')) return -1;
  const std::size_t high = kDigits.find(piece[3]), low = kDigits.find(piece[4]);
  return high == kDigits.npos || low == kDigits.npos ? -1 : static_cast<int>(16 * high + low);
}

}  // namespace detail

}}  // namespace rapt::RAPT_ABI
