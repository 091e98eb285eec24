/// \file
/// Reads and writes SentencePiece's model files (tokenizer.model, spiece.model, source.spm): a protobuf message
/// ModelProto.
///
/// Whatever is wrong with a file is an IoError that names the file and the byte or the piece.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>

#include "rapt/core/atomic_file.hpp"
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

/// The ModelProto of a model.
[[nodiscard]] inline std::string sentencepiece_to_bytes(const SentencePieceModel& model) {
  ProtobufWriter all, trainer;
  // The special pieces of the trainer_spec: their field numbers, and which pieces they are.
  constexpr std::array<std::pair<std::string_view, std::uint32_t>, 3> kSpecials = {
      {{"<s>", 41}, {"</s>", 42}, {"<pad>", 43}}};
  std::array<std::int32_t, 3> special_ids = {-1, -1, -1};
  std::int32_t unknown = -1;
  for (std::size_t id = 0; id < model.pieces.size(); ++id) {
    const SentencePieceModel::Piece& piece = model.pieces[id];
    ProtobufWriter message;
    message.bytes(1, piece.text);
    message.real(2, piece.score);
    if (piece.type != SentencePieceModel::PieceType::normal) message.integer(3, static_cast<std::int32_t>(piece.type));
    all.bytes(1, message.written());
    if (piece.type == SentencePieceModel::PieceType::unknown) {
      unknown = static_cast<std::int32_t>(id);
      trainer.bytes(45, piece.text);
    }
    for (std::size_t i = 0; i < kSpecials.size(); ++i) {
      if (piece.text == kSpecials[i].first) special_ids[i] = static_cast<std::int32_t>(id);
    }
  }
  trainer.integer(3, static_cast<std::int32_t>(model.kind));
  trainer.integer(4, static_cast<std::int32_t>(model.pieces.size()));
  trainer.integer(24, model.normalization.whitespace_as_suffix ? 1 : 0);
  trainer.integer(35, model.byte_fallback ? 1 : 0);
  if (unknown >= 0) trainer.integer(40, unknown);
  for (std::size_t i = 0; i < kSpecials.size(); ++i) trainer.integer(kSpecials[i].second, special_ids[i]);
  trainer.bytes(44, model.unknown_surface);
  all.bytes(2, trainer.written());
  const auto normalizer_spec = [](const SentencePieceNormalization& normalization) {
    ProtobufWriter spec;
    spec.bytes(1, normalization.rules.empty() ? "identity" : "user_defined");
    spec.bytes(2, normalization.rules.to_bytes());
    spec.integer(3, normalization.add_dummy_prefix ? 1 : 0);
    spec.integer(4, normalization.remove_extra_whitespaces ? 1 : 0);
    spec.integer(5, normalization.escape_whitespaces ? 1 : 0);
    return spec.written();
  };
  all.bytes(3, normalizer_spec(model.normalization));
  if (model.denormalization) all.bytes(5, normalizer_spec(*model.denormalization));
  return all.written();
}

}  // namespace detail

/// Writes a model's file, which SentencePiece reads. "<s>", "</s>" and "<pad>" are its special pieces if they are
/// there.
inline void save_sentencepiece_model(const std::filesystem::path& path, const SentencePieceModel& model) {
  detail::write_text_file(path, detail::sentencepiece_to_bytes(model));
}

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
