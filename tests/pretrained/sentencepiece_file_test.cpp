/// \file
/// covers: text/sentencepiece_bpe.hpp, text/sentencepiece_normalizer.hpp, text/sentencepiece_model.hpp,
/// text/segment.hpp
///
/// SentencePiece's files: the same tokens, places, texts and n best segmentations as the sentencepiece package
/// (tests/golden/make_sentencepiece.py), and files that are damaged.
#include "rapt/pretrained/sentencepiece_file.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "rapt/text/base64.hpp"
#include "tests/common/expect_close.hpp"
#include "tests/common/temporary_folder.hpp"

namespace {

using nlohmann::json;
using rapt::IoError;
using rapt::SentencePiece;
using rapt::SentencePieceModel;
using rapt::TokenId;
using rapt_test::error_text;

const json& golden_sentencepiece() {
  static const json file = json::parse(std::ifstream(RAPT_GOLDEN_DIR "/sentencepiece.json"));
  return file;
}

SentencePieceModel model_of(const std::string& bytes) {
  return rapt::detail::SentencePieceReader(bytes, "a.model").read();
}

TEST(SentencePieceFile, CutsTextsAsThePackageDoes) {
  const json& golden = golden_sentencepiece();
  ASSERT_EQ(golden["sets"].size(), 12u);
  for (const json& set : golden["sets"]) {
    SCOPED_TRACE(set["name"]);
    const SentencePiece tokenizer(model_of(rapt::detail::from_base64(set["model"].get<std::string>()).value()));
    std::vector<std::string> texts;
    for (std::size_t i = 0; i < set["texts"].size(); ++i) {
      const std::string text = golden["texts"][set["texts"][i].get<std::size_t>()];
      SCOPED_TRACE(text);
      const auto ids = set["ids"][i].get<std::vector<TokenId>>();
      const rapt::Encoding encoding = tokenizer.encode_with_spans(text);
      EXPECT_EQ(encoding.ids, ids);
      EXPECT_EQ(tokenizer.encode(text), ids);
      std::vector<std::size_t> places;
      for (const rapt::TextSpan& span : encoding.spans) places.insert(places.end(), {span.begin, span.end});
      EXPECT_EQ(places, set["spans"][i].get<std::vector<std::size_t>>());
      EXPECT_EQ(tokenizer.decode(ids), set["decoded"][i].get<std::string>());
      texts.push_back(text);
    }
    const rapt::TokenBatch batch = tokenizer.encode_batch(texts);
    for (std::size_t i = 0; i < texts.size(); ++i) {
      const auto row = batch.sequence(static_cast<rapt::Index>(i));
      EXPECT_EQ(std::vector<TokenId>(row.begin(), row.end()), set["ids"][i].get<std::vector<TokenId>>());
    }
  }
}

TEST(SentencePieceFile, FindsTheBestSegmentations) {
  const json& golden = golden_sentencepiece();
  int compared = 0;
  for (const json& set : golden["sets"]) {
    if (!set.contains("best")) continue;
    SCOPED_TRACE(set["name"]);
    const SentencePiece tokenizer(model_of(rapt::detail::from_base64(set["model"].get<std::string>()).value()));
    for (const auto& [number, lists] : set["best"].items()) {
      const std::string text = golden["texts"][std::stoul(number)];
      SCOPED_TRACE(text);
      const auto found = tokenizer.n_best(text, 5);
      ASSERT_EQ(found.size(), lists.size());
      for (std::size_t i = 0; i < found.size(); ++i, ++compared) {
        EXPECT_EQ(found[i].ids, lists[i].get<std::vector<TokenId>>()) << i;
        EXPECT_LE(found[i].score, found[0].score);
      }
    }
  }
  EXPECT_GT(compared, 150);
}

TEST(SentencePieceFile, ReadsWhatAModelSays) {
  const json& set = golden_sentencepiece()["sets"][2];
  const SentencePieceModel model = model_of(rapt::detail::from_base64(set["model"].get<std::string>()).value());
  EXPECT_EQ(model.kind, SentencePieceModel::Kind::unigram);
  EXPECT_EQ(model.unknown_surface, "?");
  EXPECT_FALSE(model.byte_fallback);
  EXPECT_FALSE(model.normalization.rules.empty());
  EXPECT_TRUE(model.normalization.add_dummy_prefix && model.normalization.remove_extra_whitespaces);
  EXPECT_EQ(model.pieces[0].text, "<unk>");
  EXPECT_EQ(model.pieces[0].type, SentencePieceModel::PieceType::unknown);
  EXPECT_EQ(model.pieces[2].type, SentencePieceModel::PieceType::control);
  EXPECT_EQ(model.pieces[4].text, "<ctl>");
  const SentencePiece tokenizer(model);
  EXPECT_EQ(tokenizer.unknown(), 0);
  EXPECT_EQ(tokenizer.id("</s>"), 2);
  EXPECT_EQ(tokenizer.token(3), "<pad>");
  EXPECT_TRUE(tokenizer.is_special(3));
  EXPECT_FALSE(tokenizer.is_special(0));
}

TEST(SentencePieceFile, WritesWhatItReads) {
  const rapt_test::TemporaryFolder folder;
  const json& golden = golden_sentencepiece();
  for (const json& set : golden["sets"]) {
    SCOPED_TRACE(set["name"]);
    const SentencePieceModel model = model_of(rapt::detail::from_base64(set["model"].get<std::string>()).value());
    rapt::save_sentencepiece_model(folder.path() / "a.model", model);
    const SentencePieceModel again = rapt::load_sentencepiece_model(folder.path() / "a.model");
    ASSERT_EQ(again.pieces.size(), model.pieces.size());
    for (std::size_t i = 0; i < model.pieces.size(); ++i) {
      EXPECT_EQ(again.pieces[i].text, model.pieces[i].text);
      EXPECT_EQ(again.pieces[i].score, model.pieces[i].score);
      EXPECT_EQ(again.pieces[i].type, model.pieces[i].type);
    }
    EXPECT_EQ(again.kind, model.kind);
    EXPECT_EQ(again.byte_fallback, model.byte_fallback);
    EXPECT_EQ(again.unknown_surface, model.unknown_surface);
    EXPECT_EQ(again.normalization.rules.to_bytes(), model.normalization.rules.to_bytes());
    EXPECT_EQ(again.normalization.whitespace_as_suffix, model.normalization.whitespace_as_suffix);
    EXPECT_EQ(again.denormalization.has_value(), model.denormalization.has_value());
    const SentencePiece tokenizer(again);
    for (std::size_t i = 0; i < set["texts"].size(); ++i) {
      const std::string text = golden["texts"][set["texts"][i].get<std::size_t>()];
      const auto ids = set["ids"][i].get<std::vector<TokenId>>();
      EXPECT_EQ(tokenizer.encode(text), ids) << text;
      EXPECT_EQ(tokenizer.decode(ids), set["decoded"][i].get<std::string>());
    }
  }
}

TEST(SentencePieceFile, RefusesDamagedFiles) {
  const rapt_test::TemporaryFolder folder;
  const auto refusal = [&](const std::string& bytes) {
    const auto path = folder.path() / "some.model";
    std::ofstream(path, std::ios::binary) << bytes;
    return error_text<IoError>([&] { (void)rapt::load_sentencepiece(path); });
  };
  const auto expect_part = [&](const std::string& bytes, std::string_view part) {
    const std::string text = refusal(bytes);
    EXPECT_NE(text.find("some.model: "), std::string::npos) << text;
    EXPECT_NE(text.find(part), std::string::npos) << text;
  };
  const std::string whole =
      rapt::detail::from_base64(golden_sentencepiece()["sets"][0]["model"].get<std::string>()).value();
  expect_part("", "a model must have an unknown piece: none of 0 is one");
  expect_part(whole.substr(0, 9), "byte 1: field 1 has 14 bytes, but only 7 are left");
  const std::string unknown = std::string("\x0A\x05\x0A\x01?\x18\x02", 7);
  const auto piece = [](const std::string& text, char type) {
    const std::string inner = "\x0A" + std::string(1, static_cast<char>(text.size())) + text + "\x18" + type;
    return "\x0A" + std::string(1, static_cast<char>(inner.size())) + inner;
  };
  EXPECT_EQ(piece("?", 2), unknown);
  expect_part(unknown + unknown, "a token must occur once: \"?\" has the ids 0 and 1");
  expect_part(unknown + piece("!", 2), "a model must have one unknown piece, not both \"?\" and \"!\"");
  expect_part(unknown + piece("a", 7), "piece 1 has the type 7, which is none from 1 to 6");
  expect_part(unknown + piece("", 1), "a piece must not be empty: id 1");
  expect_part(unknown + piece(std::string(1, '\0'), 1), "piece 1 has a zero byte");
  expect_part(unknown + piece("\xFF", 1), "a token must be UTF-8: id 1");
  expect_part(unknown + piece("<0x00>", 6), "without byte_fallback there must be no byte piece: \"<0x00>\"");
  expect_part(unknown + "\x12\x03\x98\x02\x01", "byte_fallback needs 256 byte pieces: there are 0");
  expect_part(unknown + "\x12\x02\x18\x09", "trainer_spec.model_type must be from 1 to 4: 9");
  expect_part(unknown + "\x12\x04\xE2\x02\x01\xFF", "trainer_spec.unk_surface must be UTF-8");
  expect_part(unknown + "\x1A\x03\x12\x01x", "[character_map] a map must begin with the size of its trie: it has 1");
  expect_part("\x0A\x02\x08\x01", "byte 2: field 1 has wire type 0, but must have 2");
  EXPECT_NE(error_text<IoError>([&] { (void)rapt::load_sentencepiece(folder.path() / "none"); }).find("cannot read"),
            std::string::npos);
}

}  // namespace
