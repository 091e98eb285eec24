#include "rapt/text/vocabulary.hpp"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "tests/common/expect_close.hpp"

namespace {

using rapt::SpecialTokens;
using rapt::TokenId;
using rapt::Vocabulary;
using rapt_test::error_text;

TEST(Vocabulary, PutsTheSpecialTokensFirst) {
  const std::vector<std::string> words = {"cat", "dog"};
  const Vocabulary vocabulary(words);
  EXPECT_EQ(vocabulary.size(), 5);
  EXPECT_EQ(vocabulary.unknown(), 0);
  EXPECT_EQ(vocabulary.begin_of_sentence(), 1);
  EXPECT_EQ(vocabulary.end_of_sentence(), 2);
  EXPECT_EQ(vocabulary.token(0), "<unk>");
  EXPECT_EQ(vocabulary.token(1), "<s>");
  EXPECT_EQ(vocabulary.token(2), "</s>");
  EXPECT_EQ(vocabulary.id("cat"), 3);
  EXPECT_EQ(vocabulary.id("dog"), 4);
  EXPECT_EQ(vocabulary.id("bird"), vocabulary.unknown());
  EXPECT_TRUE(vocabulary.contains("dog"));
  EXPECT_FALSE(vocabulary.contains("do"));
  for (TokenId id = 0; id < 5; ++id) {
    EXPECT_EQ(vocabulary.id(vocabulary.token(id)), id);
    EXPECT_EQ(vocabulary.is_special(id), id < 3);
  }
  EXPECT_EQ(Vocabulary().size(), 3);
}

TEST(Vocabulary, StaysWholeWhenCopiedAndMoved) {
  Vocabulary original(std::vector<std::string>{"a", "a much longer token than fits in place"});
  const Vocabulary copy = original;
  const Vocabulary moved = std::move(original);
  original = Vocabulary();
  EXPECT_EQ(copy.id("a much longer token than fits in place"), 4);
  EXPECT_EQ(moved.id("a"), 3);
}

TEST(Vocabulary, RefusesIdsOutside) {
  const Vocabulary vocabulary;
  EXPECT_EQ(error_text<rapt::ValueError>([&] { (void)vocabulary.token(3); }),
            "[vocabulary] token id 3 is outside the vocabulary of 3");
  EXPECT_EQ(error_text<rapt::ValueError>([&] { (void)vocabulary.token(-1); }),
            "[vocabulary] token id -1 is outside the vocabulary of 3");
}

TEST(Vocabulary, NamesDuplicatesAndClashes) {
  const auto make = [](std::vector<std::string> words) {
    return error_text<rapt::ValueError>([&] { (void)Vocabulary(words); });
  };
  EXPECT_EQ(make({"a", "b", "a"}), "[vocabulary] a token must occur once: \"a\" at positions 0 and 2");
  EXPECT_EQ(make({"a", "</s>"}),
            "[vocabulary] an ordinary token must not be called as a special one: \"</s>\" at position 1");
  EXPECT_EQ(make({"", "a", ""}), "[vocabulary] a token must occur once: \"\" at positions 0 and 2");
}

TEST(Vocabulary, OneTokenMayBeEmpty) {
  EXPECT_EQ(Vocabulary().id(""), 0) << "unknown, like any text that is no token";
  const Vocabulary vocabulary(std::vector<std::string>{"a", ""});
  EXPECT_EQ(vocabulary.size(), 5);
  EXPECT_TRUE(vocabulary.contains(""));
  EXPECT_EQ(vocabulary.id(""), 4);
  EXPECT_EQ(vocabulary.token(4), "");
  EXPECT_EQ(Vocabulary::from_tokens({"", "<s>", "</s>", "<unk>"}).id(""), 0);
}

TEST(Vocabulary, TakesForeignListsAsTheyAre) {
  const SpecialTokens special{
      .unknown = "[UNK]", .begin_of_sentence = "[CLS]", .end_of_sentence = "[SEP]", .others = {"[PAD]", "[MASK]"}};
  const auto vocabulary = Vocabulary::from_tokens({"[PAD]", "x", "[UNK]", "[CLS]", "y", "[SEP]", "[MASK]"}, special);
  EXPECT_EQ(vocabulary.size(), 7);
  EXPECT_EQ(vocabulary.unknown(), 2);
  EXPECT_EQ(vocabulary.begin_of_sentence(), 3);
  EXPECT_EQ(vocabulary.end_of_sentence(), 5);
  EXPECT_EQ(vocabulary.id("y"), 4);
  EXPECT_EQ(vocabulary.id("z"), 2);
  EXPECT_TRUE(vocabulary.is_special(0));
  EXPECT_TRUE(vocabulary.is_special(6));
  EXPECT_FALSE(vocabulary.is_special(1));

  const SpecialTokens one{.unknown = "<e>", .begin_of_sentence = "<e>", .end_of_sentence = "<e>"};
  EXPECT_EQ(Vocabulary::from_tokens({"a", "<e>"}, one).begin_of_sentence(), 1) << "one token may serve for all";

  EXPECT_EQ(error_text<rapt::ValueError>([&] {
              (void)Vocabulary::from_tokens({"<unk>", "<s>", "a"});
            }),
            "[vocabulary] the end-of-sentence token is missing: \"</s>\" is none of 3 tokens");
  EXPECT_EQ(error_text<rapt::ValueError>([&] {
              (void)Vocabulary::from_tokens({"<unk>", "<s>", "</s>", "<s>"});
            }),
            "[vocabulary] a token must occur once: \"<s>\" at positions 1 and 3");
}

}  // namespace
