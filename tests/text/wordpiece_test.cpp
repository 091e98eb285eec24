/// \file
/// WordPiece on small vocabularies made here. (tests/pretrained/tokenizer_files_test.cpp compares with what Hugging
/// Face's tokenizers make of many texts.)
#include "rapt/text/wordpiece.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "tests/common/expect_close.hpp"

namespace {

using rapt::Encoding;
using rapt::TextSpan;
using rapt::TokenId;
using rapt::WordPiece;
using rapt::WordPieceOptions;
using rapt_test::error_text;
using Names = std::vector<std::string>;

Names vocabulary(const Names& more) {
  Names tokens = {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"};
  tokens.insert(tokens.end(), more.begin(), more.end());
  return tokens;
}

const Names kEnglish = {"un", "##aff", "##able", "the", "cat", "##s", ",",  ".",
                        "'",  "!",     "中",     "国",  "c",   "##a", "##t"};

Names names_of(const WordPiece& tokenizer, std::string_view text, const rapt::EncodeOptions& options = {}) {
  Names names;
  for (const TokenId id : tokenizer.encode(text, options)) names.push_back(tokenizer.token(id));
  return names;
}

TEST(WordPiece, TakesTheLongestPieces) {
  const WordPiece tokenizer(vocabulary(kEnglish));
  EXPECT_EQ(names_of(tokenizer, "The unaffable cats."),
            (Names{"[CLS]", "the", "un", "##aff", "##able", "cat", "##s", ".", "[SEP]"}));
  EXPECT_EQ(names_of(tokenizer, "cats", {.add_special = false}), (Names{"cat", "##s"}));
  EXPECT_EQ(names_of(tokenizer, "cat,the!'", {.add_special = false}), (Names{"cat", ",", "the", "!", "'"}));
  EXPECT_EQ(names_of(tokenizer, "cats dog unx un", {.add_special = false}),
            (Names{"cat", "##s", "[UNK]", "[UNK]", "un"}));
  EXPECT_EQ(names_of(tokenizer, "中国中x", {.add_special = false}), (Names{"中", "国", "中", "[UNK]"}));
  EXPECT_EQ(names_of(tokenizer, ""), (Names{"[CLS]", "[SEP]"}));
  EXPECT_EQ(names_of(tokenizer, " \u200B"), (Names{"[CLS]", "[SEP]"}));
  EXPECT_EQ(tokenizer.unknown(), 1);
  EXPECT_EQ(tokenizer.id("##s"), 10);
  EXPECT_EQ(tokenizer.size(), 20);
}

TEST(WordPiece, LongWordsAreUnknown) {
  const WordPiece tokenizer(vocabulary({"c", "##c", "é", "##é"}), {.strip_accents = false});
  EXPECT_EQ(tokenizer.encode(std::string(100, 'c')).size(), 102u);
  EXPECT_EQ(names_of(tokenizer, std::string(101, 'c')), (Names{"[CLS]", "[UNK]", "[SEP]"}));
  std::string accents;
  for (int i = 0; i < 100; ++i) accents += "é";
  EXPECT_EQ(tokenizer.encode(accents).size(), 102u) << "characters, not bytes";
  EXPECT_EQ(names_of(tokenizer, accents + "é"), (Names{"[CLS]", "[UNK]", "[SEP]"}));
  EXPECT_EQ(names_of(WordPiece(vocabulary({"c", "##c"}), {.max_word_characters = 2}), "cc ccc"),
            (Names{"[CLS]", "c", "##c", "[UNK]", "[SEP]"}));
}

TEST(WordPiece, AgreesWithTryingAllPieces) {
  std::mt19937 random(9);
  int unknown = 0, cut = 0;
  for (int n = 0; n < 200; ++n) {
    std::set<std::string> pieces;
    for (int i = 0; i < 12; ++i) {
      std::string piece(1 + random() % 3, 'a');
      for (char& c : piece) c = static_cast<char>('a' + random() % 3);
      pieces.insert(random() % 2 == 0 ? piece : "##" + piece);
    }
    const WordPiece tokenizer(vocabulary({pieces.begin(), pieces.end()}));
    for (int m = 0; m < 20; ++m) {
      std::string word(1 + random() % 9, 'a');
      for (char& c : word) c = static_cast<char>('a' + random() % 3);
      Names expected;
      for (std::size_t begin = 0; begin < word.size();) {
        std::size_t length = word.size() - begin;
        const std::string head = begin > 0 ? "##" : "";
        while (length > 0 && !pieces.contains(head + word.substr(begin, length))) --length;
        if (length == 0) {
          expected = {"[UNK]"};
          break;
        }
        expected.push_back(head + word.substr(begin, length));
        begin += length;
      }
      ++(expected == Names{"[UNK]"} ? unknown : cut);
      ASSERT_EQ(names_of(tokenizer, word, {.add_special = false}), expected) << word;
    }
  }
  EXPECT_GT(unknown, 100);
  EXPECT_GT(cut, 100);
}

TEST(WordPiece, Places) {
  const WordPiece tokenizer(vocabulary(kEnglish));
  const Encoding encoding = tokenizer.encode_with_spans("Thé  cats中x.");
  EXPECT_EQ(encoding.spans,
            (std::vector<TextSpan>{{0, 0}, {0, 4}, {6, 9}, {9, 10}, {10, 13}, {13, 14}, {14, 15}, {0, 0}}));
  EXPECT_EQ(encoding.ids, tokenizer.encode("Thé  cats中x."));
  EXPECT_EQ(encoding.texts, (std::vector<int>{-1, 0, 0, 0, 0, 0, 0, -1}));
}

TEST(WordPiece, PairsAndBatches) {
  const WordPiece tokenizer(vocabulary(kEnglish));
  const Encoding pair = tokenizer.encode_pair("the cat", "cats");
  EXPECT_EQ(pair.ids, (std::vector<TokenId>{2, 8, 9, 3, 9, 10, 3}));
  EXPECT_EQ(pair.types, (std::vector<TokenId>{0, 0, 0, 0, 1, 1, 1}));
  EXPECT_EQ(pair.texts, (std::vector<int>{-1, 0, 0, -1, 1, 1, -1}));
  EXPECT_EQ(pair.spans, (std::vector<TextSpan>{{0, 0}, {0, 3}, {4, 7}, {0, 0}, {0, 3}, {3, 4}, {0, 0}}));
  const std::vector<std::string> texts = {"the cat", "", "unaffable 国"}, others = {"cats", "cat", ""};
  const rapt::TokenBatch batch = tokenizer.encode_batch(texts);
  const rapt::PairBatch pairs = tokenizer.encode_pairs(texts, others);
  ASSERT_EQ(batch.sequences(), 3);
  EXPECT_EQ(batch.tokens, (std::vector<TokenId>{2, 8, 9, 3, 2, 3, 2, 5, 6, 7, 16, 3}));
  EXPECT_EQ(pairs.tokens.tokens, (std::vector<TokenId>{2, 8, 9, 3, 9, 10, 3, 2, 3, 9, 3, 2, 5, 6, 7, 16, 3, 3}));
  EXPECT_EQ(pairs.types, (std::vector<TokenId>{0, 0, 0, 0, 1, 1, 1, 0, 0, 1, 1, 0, 0, 0, 0, 0, 0, 1}));
}

TEST(WordPiece, AddedTokensInTheText) {
  const WordPiece tokenizer(vocabulary(kEnglish));
  EXPECT_EQ(names_of(tokenizer, "the[MASK]cat", {.add_special = false}), (Names{"the", "[MASK]", "cat"}));
  EXPECT_EQ(names_of(tokenizer, "[mask]", {.add_special = false}), (Names{"[UNK]", "[UNK]", "[UNK]"}));
  EXPECT_EQ(names_of(tokenizer, "[MASK]", {.add_special = false, .find_special = false}),
            (Names{"[UNK]", "[UNK]", "[UNK]"}));
  EXPECT_EQ(tokenizer.encode_with_spans("é[MASK]", {.add_special = false}).spans,
            (std::vector<TextSpan>{{0, 2}, {2, 8}}));

  WordPieceOptions options;
  options.added_tokens.push_back({.text = "Zürich", .special = false, .normalized = true});
  const WordPiece added(vocabulary({"Zürich", "cat", "##s"}), options);
  EXPECT_EQ(names_of(added, "ZURICHs Zu\u0308rich cat", {.add_special = false}),
            (Names{"Zürich", "[UNK]", "Zürich", "cat"}));
  EXPECT_EQ(added.encode_with_spans("xZu\u0308rich", {.add_special = false}).spans,
            (std::vector<TextSpan>{{0, 1}, {1, 9}}));
  EXPECT_EQ(added.decode(std::vector<TokenId>{5, 6}), "zurich cat");
}

TEST(WordPiece, Decodes) {
  const WordPiece tokenizer(vocabulary(kEnglish));
  const auto ids = tokenizer.encode("The cats, unaffable!");
  EXPECT_EQ(tokenizer.decode(ids), "the cats, unaffable!");
  EXPECT_EQ(tokenizer.decode(ids, /*skip_special=*/false), "[CLS] the cats, unaffable! [SEP]");
  EXPECT_EQ(tokenizer.decode(std::vector<TokenId>{10, 9, 10}), "##s cats");  // the first piece is left as it is
  EXPECT_EQ(tokenizer.decode(std::vector<TokenId>{}), "");
  WordPieceOptions options;
  options.cleanup = false;
  EXPECT_EQ(WordPiece(vocabulary(kEnglish), options).decode(ids), "the cats , unaffable !");
  EXPECT_EQ(error_text<rapt::ValueError>([&] { static_cast<void>(tokenizer.decode(std::vector<TokenId>{20})); }),
            "[wordpiece.decode] token id 20 at position 0 is outside the vocabulary of 20");
}

TEST(WordPiece, TheEmptyTokenIsAWordWithoutLettersAndUnusedIdsAreNothing) {
  Names tokens = vocabulary(kEnglish);
  tokens.insert(tokens.end(), {"", "", "##"});
  const WordPiece tokenizer(tokens, {.unused = {21}}), plain(vocabulary(kEnglish));
  EXPECT_EQ(tokenizer.id(""), 20);
  for (const std::string text : {"", " ", "The cats, unaffable!", "##", "x"}) {
    EXPECT_EQ(tokenizer.encode(text), plain.encode(text)) << text;
  }
  const auto decode = [&](const std::vector<TokenId>& ids) { return tokenizer.decode(ids); };
  EXPECT_EQ(decode({9, 20, 9}), "cat  cat");
  EXPECT_EQ(decode({20, 9}), " cat");
  EXPECT_EQ(decode({9, 20, 10}), "cat s");
  EXPECT_EQ(decode({20}), "");
  EXPECT_EQ(decode({9, 21, 10}), "cats");
  EXPECT_EQ(decode({21, 10, 21}), "##s");
  EXPECT_EQ(decode({9, 22, 9}), "cat cat");
}

TEST(WordPiece, CleansUpSpacesOfTheWholeText) {
  const Names words = vocabulary({"you", "should", "'", "ve", "do", "not", ".", "s"});
  const auto decode = [&](const WordPieceOptions& options) {
    const WordPiece tokenizer(words, options);
    return tokenizer.decode(tokenizer.encode("you should've. do not you's."));
  };
  EXPECT_EQ(decode({}), "you should ' ve. do not you ' s.") << "token by token";
  EXPECT_EQ(decode({.cleanup = false}), "you should ' ve . do not you ' s .");
  EXPECT_EQ(decode({.clean_up_spaces = true}), "you should've. do not you's.");
  EXPECT_EQ(decode({.cleanup = false, .clean_up_spaces = true}), "you should've. do not you's.");
}

TEST(WordPiece, Errors) {
  const auto text = [](const Names& tokens, const WordPieceOptions& options = {}) {
    return error_text<rapt::ValueError>([&] { static_cast<void>(WordPiece(tokens, options)); });
  };
  EXPECT_EQ(text(vocabulary({"", ""})), "[wordpiece] a token must occur once: \"\" has the ids 5 and 6");
  EXPECT_EQ(text(vocabulary({"", "a"}), {.unused = {6}}), "[wordpiece] an unused id must have no token: 6 has \"a\"");
  EXPECT_EQ(text(vocabulary({"a\xFF"})), "[wordpiece] a token must be UTF-8: id 5");
  EXPECT_EQ(text(vocabulary({"a", "b", "a"})), "[wordpiece] a token must occur once: \"a\" has the ids 5 and 7");
  EXPECT_EQ(text({"[CLS]", "[SEP]"}), "[wordpiece] the unknown token must be in the vocabulary: \"[UNK]\"");
  EXPECT_EQ(text({"[UNK]", "[CLS]", "[SEP]"}), "[wordpiece] an added token must be in the vocabulary: \"[PAD]\"");
  EXPECT_EQ(text({"[UNK]", "[SEP]"}, {.added_tokens = {}}), "[wordpiece] a template names an unknown token: \"[CLS]\"");
  EXPECT_EQ(text(vocabulary({}), {.max_word_characters = 0}), "[wordpiece] max_word_characters must be positive: 0");
  const WordPiece tokenizer(vocabulary(kEnglish));
  EXPECT_EQ(error_text<rapt::ValueError>([&] { static_cast<void>(tokenizer.encode("a\xC3(")); }),
            "[wordpiece.encode] text must be UTF-8: byte 2 of 3");
  EXPECT_EQ(error_text<rapt::ValueError>([&] { static_cast<void>(tokenizer.token(20)); }),
            "[wordpiece] token id 20 at position 0 is outside the vocabulary of 20");
}

}  // namespace
