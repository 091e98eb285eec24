/// \file
/// Reads SentencePiece's model files (tokenizer.model, spiece.model, source.spm): a protobuf message ModelProto.
///
/// Whatever is wrong with a file is an IoError that names the file and the byte or the piece.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>

#include "rapt/core/error.hpp"
#include "rapt/core/input_file.hpp"
#include "rapt/io/protobuf.hpp"
#include "rapt/pretrained/tokenizer_json_file.hpp"
#include "rapt/text/character_map.hpp"
#include "rapt/text/lines.hpp"
#include "rapt/text/sentencepiece.hpp"
#include "rapt/text/sentencepiece_model.hpp"
#include "rapt/text/unicode.hpp"

namespace rapt { inline namespace RAPT_ABI {

namespace detail {

/// Fills a SentencePieceModel from the fields of a ModelProto. The numbers of fields are those of SentencePiece's
/// sentencepiece_model.proto; fields that say how the model was trained are passed over.
class SentencePieceReader {
 public:
  SentencePieceReader(std::string_view bytes, std::string_view file) : file_(file), message_(bytes, file) {}

  [[nodiscard]] SentencePieceModel read() {
    while (const auto field = message_.next()) {
      if (field->number() == 1) read_piece(field->message());
      if (field->number() == 2) read_trainer_spec(field->message());
      if (field->number() == 3) read_normalizer_spec(field->message(), model_.normalization);
      if (field->number() == 5) {
        read_normalizer_spec(field->message(),
                             model_.denormalization ? *model_.denormalization : model_.denormalization.emplace());
      }
    }
    if (model_.denormalization && model_.denormalization->rules.empty()) model_.denormalization.reset();
    return std::move(model_);
  }

 private:
  static constexpr std::size_t kLongestPiece = 8000;  // as in SentencePiece

  template <class... Pieces>
  void check(bool condition, const Pieces&... pieces) const {
    if (!condition) fail<IoError>("tokenizer", file_, ": ", pieces...);
  }

  void read_piece(ProtobufReader message) {
    SentencePieceModel::Piece piece;
    std::int32_t type = static_cast<std::int32_t>(piece.type);
    while (const auto field = message.next()) {
      if (field->number() == 1) piece.text = field->bytes();
      if (field->number() == 2) piece.score = field->real();
      if (field->number() == 3) type = field->integer();
    }
    const std::size_t number = model_.pieces.size();
    check(type >= 1 && type <= 6, "piece ", number, " has the type ", type, ", which is none from 1 to 6");
    check(piece.text.size() < kLongestPiece, "piece ", number, " must have less than ", kLongestPiece,
          " bytes: ", piece.text.size());
    check(piece.text.find('\0') == piece.text.npos, "piece ", number, " has a zero byte");
    piece.type = static_cast<SentencePieceModel::PieceType>(type);
    model_.pieces.push_back(std::move(piece));
  }

  void read_trainer_spec(ProtobufReader message) {
    while (const auto field = message.next()) {
      if (field->number() == 3) {
        const std::int32_t kind = field->integer();
        check(kind >= 1 && kind <= 4, "trainer_spec.model_type must be from 1 to 4: ", kind);
        model_.kind = static_cast<SentencePieceModel::Kind>(kind);
      }
      if (field->number() == 24) model_.normalization.whitespace_as_suffix = field->flag();
      if (field->number() == 35) model_.byte_fallback = field->flag();
      if (field->number() == 44) {
        model_.unknown_surface = field->bytes();
        check(!find_invalid_utf8(model_.unknown_surface), "trainer_spec.unk_surface must be UTF-8");
      }
    }
  }

  void read_normalizer_spec(ProtobufReader message, SentencePieceNormalization& normalization) {
    while (const auto field = message.next()) {
      if (field->number() == 2) {
        const std::string_view map = field->bytes();
        normalization.rules = map.empty() ? CharacterMap() : CharacterMap(map);
      }
      if (field->number() == 3) normalization.add_dummy_prefix = field->flag();
      if (field->number() == 4) normalization.remove_extra_whitespaces = field->flag();
      if (field->number() == 5) normalization.escape_whitespaces = field->flag();
    }
  }

  std::string_view file_;
  ProtobufReader message_;
  SentencePieceModel model_;
};

}  // namespace detail

/// Reads a model's file.
[[nodiscard]] inline SentencePieceModel load_sentencepiece_model(const std::filesystem::path& path) {
  detail::InputFile file(path);
  require<IoError>(file.is_open() && !std::filesystem::is_directory(path), "tokenizer", path.string(),
                   ": cannot read the file");
  const std::string bytes = detail::read_all(file);
  require<IoError>(!file.bad(), "tokenizer", path.string(), ": cannot read the file");
  const std::string name = path.string();
  return detail::from_file(name, [&] { return detail::SentencePieceReader(bytes, name).read(); });
}

/// Reads a model's file and makes a tokenizer of it.
[[nodiscard]] inline SentencePiece load_sentencepiece(const std::filesystem::path& path,
                                                      SentencePieceOptions options = {}) {
  SentencePieceModel model = load_sentencepiece_model(path);
  return detail::from_file(path.string(), [&] { return SentencePiece(std::move(model), std::move(options)); });
}

}}  // namespace rapt::RAPT_ABI
