// covers: text/segment.hpp, text/sentencepiece_bpe.hpp, text/sentencepiece_model.hpp,
//         text/sentencepiece_normalizer.hpp
/// \file
/// SentencePiece on small models made here: random segmentations, unused pieces, vocabularies beside the model.
/// (tests/pretrained/sentencepiece_file_test.cpp compares with the sentencepiece package.)
// covers: text/sentencepiece_joiner.hpp, text/sentencepiece_options.hpp, text/sentencepiece_segmenter.hpp
#include "rapt/text/sentencepiece.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "rapt/text/segment.hpp"
#include "rapt/text/sentencepiece_bpe.hpp"
#include "rapt/text/sentencepiece_model.hpp"
#include "rapt/text/sentencepiece_normalizer.hpp"
#include "tests/common/expect_close.hpp"

namespace {

using rapt::Rng;
using rapt::SentencePiece;
using rapt::SentencePieceModel;
using rapt::SentencePieceOptions;
using rapt::TokenId;
using rapt::ValueError;
using rapt_test::error_text;
using Kind = SentencePieceModel::Kind;
using Type = SentencePieceModel::PieceType;
using Pieces = std::vector<std::string>;

SentencePieceModel abc_model(Kind kind) {
  return {.pieces = {{"<unk>", 0, Type::unknown},
                     {"<s>", 0, Type::control},
                     {"</s>", 0, Type::control},
                     {"▁", -2},
                     {"a", -3},
                     {"b", -3.5f},
                     {"ab", -4},
                     {"▁a", -4.5f},
                     {"abab", -5},
                     {"▁ab", -6}},
          .kind = kind};
}

Pieces token_texts(const SentencePiece& tokenizer, const std::vector<TokenId>& ids) {
  Pieces pieces;
  for (const TokenId id : ids) pieces.push_back(tokenizer.token(id));
  return pieces;
}

TEST(SentencePiece, CutsAsItsKindDoes) {
  const auto pieces = [](Kind kind) {
    const SentencePiece tokenizer(abc_model(kind));
    return token_texts(tokenizer, tokenizer.encode("ababab xx"));
  };
  EXPECT_EQ(pieces(Kind::unigram), (Pieces{"▁ab", "abab", "▁", "<unk>"}));
  EXPECT_EQ(pieces(Kind::bpe), (Pieces{"▁", "abab", "ab", "▁", "<unk>"}));
  EXPECT_EQ(pieces(Kind::character), (Pieces{"▁", "a", "b", "a", "b", "a", "b", "▁", "<unk>"}));
  EXPECT_EQ(pieces(Kind::word), (Pieces{"<unk>"}));
  const SentencePiece words(abc_model(Kind::word));
  EXPECT_EQ(token_texts(words, words.encode("ab  a x")), (Pieces{"▁ab", "▁a", "<unk>"}));
}

// What sentencepiece 0.2.3 does with the same models: the score of a symbol of n bytes is 0.1 (n - 1), whatever its own
// and those of other pieces are; where segmentations are listed, n counts characters.
TEST(SentencePiece, TheScoreOfASymbolIsItsLength) {
  const auto best = [](const std::string& symbol, float whole) {
    const SentencePieceModel model{.pieces = {{"<unk>", 0, Type::unknown},
                                              {"a" + symbol, whole},
                                              {"a", -1},
                                              {"other", 3},
                                              {symbol, 5, Type::user_defined}},
                                   .normalization = {.add_dummy_prefix = false}};
    const SentencePiece tokenizer(model);
    Rng rng(1);
    const auto of_many = tokenizer.sample("a" + symbol, {.alpha = 1e5, .n_best = 2}, rng);
    return std::pair{tokenizer.encode("a" + symbol).size(), of_many.size()};
  };
  using Sizes = std::pair<std::size_t, std::size_t>;
  EXPECT_EQ(best("b", -0.999f), (Sizes{1, 1}));
  EXPECT_EQ(best("b", -1.001f), (Sizes{2, 2}));
  EXPECT_EQ(best("bcde", -0.699f), (Sizes{1, 1}));
  EXPECT_EQ(best("bcde", -0.701f), (Sizes{2, 2}));
  EXPECT_EQ(best("我", -0.799f), (Sizes{1, 1}));
  EXPECT_EQ(best("我", -0.801f), (Sizes{2, 1}));
  EXPECT_EQ(best("我是", -0.899f), (Sizes{2, 1}));
  EXPECT_EQ(best("我是", -0.901f), (Sizes{2, 2}));
}

TEST(SentencePiece, AnUnusedPieceIsCutAgain) {
  SentencePieceModel model = abc_model(Kind::bpe);
  model.pieces[8].type = Type::unused;  // abab
  const SentencePiece bpe(model);
  EXPECT_EQ(token_texts(bpe, bpe.encode("ababab")), (Pieces{"▁", "ab", "ab", "ab"}));
  model.pieces[5].type = Type::unused;  // b
  EXPECT_EQ(token_texts(SentencePiece(model), SentencePiece(model).encode("bab")), (Pieces{"▁", "<unk>", "ab"}));
  model.kind = Kind::unigram;
  const SentencePiece unigram(model);
  EXPECT_EQ(token_texts(unigram, unigram.encode("ababab")), (Pieces{"▁ab", "ab", "ab"}));
}

TEST(SentencePiece, DrawsSegmentationsThatDecodeToTheText) {
  const std::string text = "abab ba";
  for (const Kind kind : {Kind::unigram, Kind::bpe}) {
    const SentencePiece tokenizer(abc_model(kind), {.single = {{"$A"}, {"</s>"}}});
    Rng rng(4);
    std::map<std::vector<TokenId>, int> drawn;
    for (int i = 0; i < 300; ++i) ++drawn[tokenizer.sample(text, {.alpha = 0.3}, rng)];
    EXPECT_GT(drawn.size(), 5u);
    for (const auto& [ids, count] : drawn) {
      EXPECT_EQ(ids.back(), tokenizer.id("</s>"));
      EXPECT_EQ(tokenizer.decode(ids), text);
    }
  }
  Rng rng(5);
  const SentencePiece bpe(abc_model(Kind::bpe)), unigram(abc_model(Kind::unigram));
  EXPECT_EQ(bpe.sample(text, {.alpha = 0}, rng), bpe.encode(text));
  EXPECT_EQ(token_texts(bpe, bpe.sample("ab", {.alpha = 1}, rng)), (Pieces{"▁", "a", "b"}));
  EXPECT_EQ(unigram.sample(text, {.alpha = 0.1, .n_best = 1}, rng), unigram.encode(text));
  const auto best = unigram.n_best(text, 2);
  std::map<std::vector<TokenId>, int> of_two;
  for (int i = 0; i < 100; ++i) ++of_two[unigram.sample(text, {.alpha = 0.1, .n_best = 2}, rng)];
  EXPECT_EQ(of_two.size(), 2u);
  for (const auto& [ids, count] : of_two) EXPECT_TRUE(ids == best[0].ids || ids == best[1].ids);
  EXPECT_EQ(error_text<ValueError>([&] { (void)unigram.sample("a", {.n_best = 0}, rng); }),
            "[sentencepiece.sample] n_best must be -1 or positive: 0");
  EXPECT_EQ(error_text<ValueError>([&] { (void)unigram.sample("a", {.n_best = 513}, rng); }),
            "[sentencepiece.sample] n_best must be at most 512: 513");
  EXPECT_EQ(error_text<ValueError>([&] { (void)unigram.n_best("a", 513); }),
            "[sentencepiece.n_best] n must be at most 512: 513");
  EXPECT_EQ(error_text<ValueError>([&] { (void)unigram.sample("a", {.alpha = INFINITY, .n_best = 2}, rng); }),
            "[sentencepiece.sample] alpha must be finite: inf");
  EXPECT_NE(error_text<ValueError>([&] { (void)unigram.sample(text, {.alpha = 1e308}, rng); }).find("not overflow"),
            std::string::npos);
  EXPECT_NE(error_text<ValueError>([&] { (void)bpe.sample("a", {.alpha = 2}, rng); }).find("from 0 to 1: 2"),
            std::string::npos);
  EXPECT_NE(error_text<ValueError>([&] { (void)bpe.n_best("a", 2); }).find("only a unigram model"), std::string::npos);
  EXPECT_NE(error_text<ValueError>([&] { (void)bpe.sample("\xFF", {}, rng); }).find("UTF-8"), std::string::npos);
}

TEST(SentencePiece, DrawsNoMoreThanMaxTokens) {
  const SentencePiece tokenizer(abc_model(Kind::unigram), {.single = {{"<s>"}, {"$A"}, {"</s>"}}, .max_tokens = 4});
  Rng rng(6);
  const std::vector<TokenId> ids = tokenizer.sample("abab ba abab", {.alpha = 0.3}, rng);
  ASSERT_EQ(ids.size(), 4u);
  EXPECT_EQ(ids.front(), tokenizer.id("<s>"));
  EXPECT_EQ(ids.back(), tokenizer.id("</s>"));
  EXPECT_EQ(tokenizer.sample("abab ba abab", {.n_best = 1}, rng), tokenizer.encode("abab ba abab"));
}

TEST(SentencePiece, TakesTheIdsOfAVocabulary) {
  const SentencePieceOptions options = {.tokens = {"</s>", "<unk>", "abab", "", "▁ab", "xy", "▁cd", ">>de<<", "<pad>"},
                                        .added_tokens = {{"</s>"}, {"<pad>"}},
                                        .single = {{"$A"}, {"</s>"}},
                                        .language_code = true,
                                        .strip_decoded = true};
  const SentencePiece tokenizer(abc_model(Kind::unigram), options);
  EXPECT_EQ(tokenizer.size(), 9);
  EXPECT_EQ(tokenizer.encode("ababab"), (std::vector<TokenId>{4, 2, 0}));
  EXPECT_EQ(tokenizer.encode("abxy"), (std::vector<TokenId>{4, 5, 0})) << "no piece, but in the vocabulary";
  EXPECT_EQ(tokenizer.encode("abxz"), (std::vector<TokenId>{4, 1, 0}));
  EXPECT_EQ(tokenizer.encode(">>de<< ab"), (std::vector<TokenId>{7, 4, 0}));
  EXPECT_EQ(tokenizer.encode(">>fr<<ab"), (std::vector<TokenId>{1, 4, 0}));
  EXPECT_EQ(tokenizer.encode("ab<pad>ab"), (std::vector<TokenId>{4, 8, 4, 0}));
  EXPECT_EQ(tokenizer.decode(std::vector<TokenId>{6, 4, 3, 2, 6, 0}), "cd ababab cd");
  EXPECT_EQ(tokenizer.decode(std::vector<TokenId>{4, 8}, false), "ab<pad>");
  EXPECT_EQ(tokenizer.token(3), "");
  const auto spans = tokenizer.encode_with_spans(">>de<< abxy").spans;
  EXPECT_EQ(spans, (std::vector<rapt::TextSpan>{{0, 6}, {7, 9}, {9, 11}, {0, 0}}));
}

TEST(SentencePiece, RefusesModelsAndOptions) {
  const auto refusal = [](SentencePieceModel model, SentencePieceOptions options = {}) {
    return error_text<ValueError>([&] { SentencePiece tokenizer(std::move(model), std::move(options)); });
  };
  SentencePieceModel model = abc_model(Kind::unigram);
  EXPECT_EQ(refusal(model, {.added_tokens = {{"<mask>"}}}),
            "[sentencepiece] an added token must be in the vocabulary: \"<mask>\"");
  EXPECT_EQ(refusal(model, {.tokens = {"a"}}),
            "[sentencepiece] the unknown token must be in the vocabulary: \"<unk>\"");
  EXPECT_EQ(refusal(model, {.single = {{"$A"}, {"[SEP]"}}}),
            "[sentencepiece] a template names an unknown token: \"[SEP]\"");
  model.byte_fallback = true;
  EXPECT_EQ(refusal(model), "[sentencepiece] byte_fallback needs 256 byte pieces: there are 0");
  EXPECT_EQ(rapt::detail::byte_of_piece("<0x4F>"), 0x4F);
  for (const std::string_view piece : {"<0x4f>", "<0x4>", "<0x4FF>", "0x4F", "<0xG0>"}) {
    EXPECT_EQ(rapt::detail::byte_of_piece(piece), -1);
  }
}

}  // namespace
