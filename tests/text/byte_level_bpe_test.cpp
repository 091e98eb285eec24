/// \file
/// Byte-level byte pair encoding on small vocabularies made here. (tests/pretrained/tokenizer_files_test.cpp compares
/// with what Hugging Face's tokenizers make of many texts.)
#include "rapt/text/byte_level_bpe.hpp"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

#include "tests/common/expect_close.hpp"

namespace {

using rapt::ByteLevelBpe;
using rapt::ByteLevelBpeOptions;
using rapt::Encoding;
using rapt::TextSpan;
using rapt::TokenId;
using rapt_test::error_text;

/// GPT-2's names of the 256 bytes, in the order of the bytes, from its published rule.
std::vector<std::string> byte_names() {
  std::vector<std::string> names;
  std::int32_t next = 256;
  for (std::int32_t byte = 0; byte < 256; ++byte) {
    const bool is_itself = (byte >= '!' && byte <= '~') || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
    rapt::append_code_point(names.emplace_back(), is_itself ? byte : next++);
  }
  return names;
}

struct Model {
  std::vector<std::string> tokens = byte_names();
  std::vector<ByteLevelBpe::Merge> merges;

  Model& merge(const std::string& left, const std::string& right) {
    merges.emplace_back(left, right);
    tokens.push_back(left + right);
    return *this;
  }
  Model& token(const std::string& name) {
    tokens.push_back(name);
    return *this;
  }
  [[nodiscard]] ByteLevelBpe make(ByteLevelBpeOptions options = {}) const {
    return ByteLevelBpe(tokens, merges, std::move(options));
  }
};

Model english() {
  Model model;
  model.merge("t", "h").merge("th", "e").merge("Ġ", "the").merge("a", "t").merge("c", "at").merge("Ġ", "cat");
  return model.token("<|endoftext|>");
}

std::vector<std::string> names_of(const ByteLevelBpe& tokenizer, std::string_view text,
                                  const rapt::EncodeOptions& options = {}) {
  std::vector<std::string> names;
  for (const TokenId id : tokenizer.encode(text, options)) names.push_back(tokenizer.token(id));
  return names;
}
using Names = std::vector<std::string>;

TEST(ByteLevelBpe, JoinsByRankAndNamesBytes) {
  const ByteLevelBpe tokenizer = english().make();
  EXPECT_EQ(tokenizer.size(), 263);
  EXPECT_EQ(names_of(tokenizer, "the cat that"), (Names{"the", "Ġcat", "Ġ", "th", "at"}));
  EXPECT_EQ(names_of(tokenizer, "\n"), Names{"Ċ"});
  EXPECT_EQ(names_of(tokenizer, "é"), (Names{"Ã", "©"}));
  EXPECT_EQ(tokenizer.encode("A"), std::vector<TokenId>{'A'});
  EXPECT_EQ(tokenizer.encode(""), std::vector<TokenId>{});
  EXPECT_EQ(tokenizer.id("Ġcat"), 261);
  EXPECT_EQ(tokenizer.id("dog"), -1);
}

TEST(ByteLevelBpe, AWholePieceIsOneTokenOnlyIfTheMergesLeadToIt) {
  Model model = english();
  model.token("hat");  // no merge makes it
  EXPECT_EQ(names_of(model.make(), "hat"), (Names{"h", "at"}));
  EXPECT_EQ(names_of(model.make({.ignore_merges = true}), "hat hats"), (Names{"hat", "Ġ", "h", "at", "s"}));
  // "abc" is a token that joining passes by: "bc" is joined first and leaves "a".
  Model other;
  other.merge("b", "c").merge("a", "b").merge("ab", "c");
  EXPECT_EQ(names_of(other.make(), "abc"), (Names{"a", "bc"}));
}

TEST(ByteLevelBpe, DecodesToTheSameBytes) {
  const ByteLevelBpe tokenizer = english().make({.added_tokens = {{"<|endoftext|>"}}});
  std::mt19937 random(5);
  for (int n = 0; n < 500; ++n) {
    std::string text;
    for (std::size_t i = random() % 20; i > 0; --i) {
      auto point = static_cast<std::int32_t>(random() % (n % 2 == 0 ? 0x110000 : 0x180));
      if (point >= 0xD800 && point < 0xE000) point = '<';
      rapt::append_code_point(text, point);
    }
    if (n % 5 == 0) text += "<|endoftext|> the cat";
    ASSERT_EQ(tokenizer.decode(tokenizer.encode(text), /*skip_special=*/false), text);
  }
  const auto ids = tokenizer.encode("the<|endoftext|>cat");
  EXPECT_EQ(tokenizer.decode(ids), "thecat");
  EXPECT_EQ(tokenizer.decode(std::vector<TokenId>{0xC3}), "\xC3");  // half a character
  EXPECT_EQ(error_text<rapt::ValueError>([&] {
              static_cast<void>(tokenizer.decode(std::vector<TokenId>{1, 263}));
            }),
            "[byte_level_bpe.decode] token id 263 at position 1 is outside the vocabulary of 263");
}

TEST(ByteLevelBpe, PlacesAreWholeCharacters) {
  const ByteLevelBpe tokenizer = english().make();
  const Encoding encoding = tokenizer.encode_with_spans("the é cat");
  EXPECT_EQ(encoding.spans, (std::vector<TextSpan>{{0, 3}, {3, 4}, {4, 6}, {4, 6}, {6, 10}}));
  EXPECT_EQ(encoding.ids, tokenizer.encode("the é cat"));
  EXPECT_EQ(encoding.types, std::vector<TokenId>(5, 0));
  EXPECT_EQ(encoding.texts, std::vector<int>(5, 0));
}

TEST(ByteLevelBpe, PrefixSpace) {
  const ByteLevelBpe tokenizer = english().make({.add_prefix_space = true, .added_tokens = {{"<|endoftext|>"}}});
  EXPECT_EQ(names_of(tokenizer, "cat"), Names{"Ġcat"});
  EXPECT_EQ(names_of(tokenizer, " cat"), Names{"Ġcat"});
  EXPECT_EQ(names_of(tokenizer, ""), Names{});
  EXPECT_EQ(names_of(tokenizer, "cat<|endoftext|>cat"), (Names{"Ġcat", "<|endoftext|>", "Ġcat"}));
  const Encoding encoding = tokenizer.encode_with_spans("é<|endoftext|>cat");
  // The prefix space has the place of the first character, as it has no other.
  EXPECT_EQ(encoding.spans, (std::vector<TextSpan>{{0, 2}, {0, 2}, {0, 2}, {2, 15}, {15, 18}}));
}

TEST(ByteLevelBpe, TrimmedPlaces) {
  const std::string text = " the  cat";
  EXPECT_EQ(english().make({.trim_spans = true}).encode_with_spans(text).spans,
            (std::vector<TextSpan>{{1, 4}, {5, 5}, {6, 9}}));
  EXPECT_EQ(english().make({.trim_spans = true, .trim_keeps_first = true}).encode_with_spans(text).spans,
            (std::vector<TextSpan>{{0, 4}, {5, 5}, {6, 9}}));
}

TEST(ByteLevelBpe, AddedTokensInTheText) {
  const ByteLevelBpe tokenizer = english().make({.added_tokens = {{"<|endoftext|>"}}});
  EXPECT_EQ(names_of(tokenizer, "cat<|endoftext|>"), (Names{"cat", "<|endoftext|>"}));
  EXPECT_TRUE(tokenizer.is_special(262));
  EXPECT_FALSE(tokenizer.is_special(0));
  const Names plain = names_of(tokenizer, "cat<|endoftext|>", {.find_special = false});
  EXPECT_EQ(plain.size(), 14u) << "untrusted text makes no special token";
  EXPECT_EQ(plain.front(), "cat");
  // Tokens to be found in the normalised text come second; here it is the text itself.
  const ByteLevelBpe two = english().token("endo").make(
      {.added_tokens = {{"<|endoftext|>"}, {.text = "endo", .special = false, .normalized = true}}});
  EXPECT_EQ(names_of(two, "endo<|endoftext|>"), (Names{"endo", "<|endoftext|>"}));
}

TEST(ByteLevelBpe, TemplatesAndPairs) {
  const ByteLevelBpe tokenizer = english().make({.added_tokens = {{"<|endoftext|>"}},
                                                 .single = {{"<|endoftext|>"}, {"$A"}},
                                                 .pair = {{"$A"}, {"<|endoftext|>"}, {"$B", 1}}});
  EXPECT_EQ(names_of(tokenizer, "cat"), (Names{"<|endoftext|>", "cat"}));
  EXPECT_EQ(names_of(tokenizer, "cat", {.add_special = false}), Names{"cat"});
  const Encoding pair = tokenizer.encode_pair("cat", "the cat");
  EXPECT_EQ(pair.ids, (std::vector<TokenId>{260, 262, 257, 261}));
  EXPECT_EQ(pair.types, (std::vector<TokenId>{0, 0, 1, 1}));
  EXPECT_EQ(pair.texts, (std::vector<int>{0, -1, 1, 1}));
  EXPECT_EQ(pair.spans, (std::vector<TextSpan>{{0, 3}, {0, 0}, {0, 3}, {3, 7}}));
  const Encoding bare = tokenizer.encode_pair("cat", "the cat", {.add_special = false});
  EXPECT_EQ(bare.ids, (std::vector<TokenId>{260, 257, 261}));
  EXPECT_EQ(bare.types, (std::vector<TokenId>{0, 1, 1}));
}

TEST(ByteLevelBpe, CutsOffLongTexts) {
  const ByteLevelBpe tokenizer = english().make({.added_tokens = {{"<|endoftext|>"}},
                                                 .single = {{"<|endoftext|>"}, {"$A"}},
                                                 .pair = {{"$A"}, {"<|endoftext|>"}, {"$B", 1}},
                                                 .max_tokens = 6});
  EXPECT_EQ(tokenizer.encode("abcdefgh").size(), 6u);
  EXPECT_EQ(tokenizer.encode("abcdefgh", {.add_special = false}).size(), 6u);
  const auto lengths = [&](std::string_view a, std::string_view b) {
    const Encoding pair = tokenizer.encode_pair(a, b);
    EXPECT_EQ(pair.spans.size(), pair.ids.size());
    return std::pair(std::count(pair.texts.begin(), pair.texts.end(), 0),
                     std::count(pair.texts.begin(), pair.texts.end(), 1));
  };
  using Lengths = std::pair<std::ptrdiff_t, std::ptrdiff_t>;
  EXPECT_EQ(lengths("ab", "xyz"), Lengths(2, 3));
  EXPECT_EQ(lengths("abcdefgh", "x"), Lengths(4, 1));
  EXPECT_EQ(lengths("a", "xyzuvwr"), Lengths(1, 4));
  EXPECT_EQ(lengths("abcdef", "xyzuvwr"), Lengths(2, 3));
  EXPECT_EQ(lengths("abcdefgh", "xyzuvw"), Lengths(3, 2));
}

TEST(ByteLevelBpe, BatchesAreTheSameOnAnyNumberOfThreads) {
  const ByteLevelBpe tokenizer = english().make(
      {.added_tokens = {{"<|endoftext|>"}}, .single = {{"<|endoftext|>"}, {"$A"}}, .pair = {{"$A"}, {"$B", 1}}});
  std::mt19937 random(2);
  std::vector<std::string> texts(5000), others(5000);
  for (auto* list : {&texts, &others}) {
    for (std::string& text : *list) {
      for (std::size_t i = random() % 12; i > 0; --i)
        text += std::vector<std::string>{"the", " cat", "é", "x", " "}[random() % 5];
    }
  }
  const rapt::Index before = rapt::threads();
  for (const rapt::Index threads : {1, 4}) {
    rapt::set_threads(threads);
    const rapt::TokenBatch batch = tokenizer.encode_batch(texts);
    const rapt::PairBatch pairs = tokenizer.encode_pairs(texts, others);
    ASSERT_EQ(batch.sequences(), 5000);
    ASSERT_EQ(pairs.tokens.sequences(), 5000);
    ASSERT_EQ(pairs.types.size(), pairs.tokens.tokens.size());
    for (rapt::Index i = 0; i < batch.sequences(); ++i) {
      const auto index = static_cast<std::size_t>(i);
      const auto ids = batch.sequence(i);
      ASSERT_EQ(std::vector<TokenId>(ids.begin(), ids.end()), tokenizer.encode(texts[index]));
      const Encoding pair = tokenizer.encode_pair(texts[index], others[index]);
      const auto pair_ids = pairs.tokens.sequence(i);
      ASSERT_EQ(std::vector<TokenId>(pair_ids.begin(), pair_ids.end()), pair.ids);
      const auto types = pairs.types.begin() + pairs.tokens.row_splits.begin(i);
      ASSERT_TRUE(std::equal(pair.types.begin(), pair.types.end(), types));
    }
  }
  rapt::set_threads(before);
  EXPECT_EQ(tokenizer.encode_batch({}).sequences(), 0);
  EXPECT_EQ(tokenizer.encode_pairs({}, {}).tokens.sequences(), 0);
  EXPECT_EQ(error_text<rapt::ValueError>([&] { static_cast<void>(tokenizer.encode_pairs(texts, {})); }),
            "[byte_level_bpe.encode_pairs] there must be as many first as second texts: 5000 and 0");
}

// Errors --------------------------------------------------------------------------------------------------------------

TEST(ByteLevelBpe, TextMustBeUtf8) {
  const ByteLevelBpe tokenizer = english().make();
  const auto text = [](const auto& call) { return error_text<rapt::ValueError>([&] { static_cast<void>(call()); }); };
  EXPECT_EQ(text([&] { return tokenizer.encode("ab\xFFz"); }),
            "[byte_level_bpe.encode] text must be UTF-8: byte 3 of 4");
  EXPECT_EQ(text([&] { return tokenizer.encode_with_spans("\xC3"); }),
            "[byte_level_bpe.encode] text must be UTF-8: byte 1 of 1");
  EXPECT_EQ(text([&] { return tokenizer.encode_pair("a", "b\x80"); }),
            "[byte_level_bpe.encode_pair] text must be UTF-8: second text, byte 2 of 2");
  const std::vector<std::string> good = {"a", "b"}, bad = {"a", "b\xED\xA0\x80"};
  EXPECT_EQ(text([&] { return tokenizer.encode_batch(bad); }),
            "[byte_level_bpe.encode_batch] text must be UTF-8: text 1, byte 2 of 4");
  EXPECT_EQ(text([&] { return tokenizer.encode_pairs(good, bad); }),
            "[byte_level_bpe.encode_pairs] text must be UTF-8: text 1 of the second, byte 2 of 4");
}

TEST(ByteLevelBpe, TheEmptyTokenAndUnusedIdsAreNeverFoundAndAreNothing) {
  Model model = english();
  model.token("").token("").merges.insert(model.merges.begin(), {{"a", ""}, {"", "a"}, {"", ""}});
  const std::vector<std::string> texts = {"", " ", "the cat", "a  the\n"};
  for (const bool ignore_merges : {false, true}) {
    const ByteLevelBpe plain = english().make({.ignore_merges = ignore_merges});
    const ByteLevelBpe tokenizer = model.make({.ignore_merges = ignore_merges, .unused = {263}});
    EXPECT_EQ(tokenizer.size(), 265);
    EXPECT_EQ(tokenizer.id(""), 264);
    for (const std::string& text : texts) EXPECT_EQ(tokenizer.encode(text), plain.encode(text)) << text;
    EXPECT_EQ(tokenizer.decode(std::vector<TokenId>{264, 258, 263, 264, 258}), " the the");
    EXPECT_EQ(tokenizer.decode(std::vector<TokenId>{263, 264}), "");
  }
  EXPECT_EQ(english().make().id(""), -1);
}

TEST(ByteLevelBpe, OfAMergeThatIsThereTwiceTheLastPlaceCounts) {
  Model model;
  model.merge("a", "b").merge("b", "c");
  EXPECT_EQ(names_of(model.make(), "abc"), (Names{"ab", "c"}));
  model.merges.emplace_back("a", "b");
  EXPECT_EQ(names_of(model.make(), "abc"), (Names{"a", "bc"}));
  EXPECT_EQ(model.make().merges().size(), 3u) << "to be written as it was";
}

TEST(ByteLevelBpe, CleansUpSpacesOfTheWholeText) {
  const std::string text = "you should ' ve won , it ' s true .";
  const ByteLevelBpe plain = english().make(), cleaning = english().make({.clean_up_spaces = true});
  EXPECT_EQ(plain.decode(plain.encode(text)), text);
  EXPECT_EQ(cleaning.decode(cleaning.encode(text)), "you should've won, it's true.");
}

TEST(ByteLevelBpe, ModelsMustBeWhole) {
  const auto text = [](const Model& model, const ByteLevelBpeOptions& options = {}) {
    return error_text<rapt::ValueError>([&] { static_cast<void>(model.make(options)); });
  };
  Model model;
  model.tokens[65] = "\xFF";
  EXPECT_EQ(text(model), "[byte_level_bpe] a token must be UTF-8: id 65");
  model.tokens[65] = "B";
  EXPECT_EQ(text(model), "[byte_level_bpe] a token must occur once: \"B\" has the ids 65 and 66");
  model.tokens[65] = "AA";
  EXPECT_EQ(text(model), "[byte_level_bpe] the token of a byte is missing: \"A\" for byte 65");
  Model merges;
  merges.merges = {{"a", "xyz"}};
  EXPECT_EQ(text(merges), "[byte_level_bpe] a merge must join two tokens: merge 0, \"a\" and \"xyz\"");
  merges.merges = {{"a", "b"}};
  EXPECT_EQ(text(merges), "[byte_level_bpe] what a merge joins to must be a token: merge 0, \"a\" and \"b\"");
  Model empty = english();
  empty.token("").token("");
  EXPECT_EQ(text(empty), "[byte_level_bpe] a token must occur once: \"\" has the ids 263 and 264");
  EXPECT_NO_THROW((void)empty.make({.unused = {264}}));
  EXPECT_EQ(text(empty, {.unused = {264, 264}}), "[byte_level_bpe] an unused id must occur once: 264");
  EXPECT_EQ(text(empty, {.unused = {265}}), "[byte_level_bpe] an unused id must be from 0 to 264: 265");
  EXPECT_EQ(text(empty, {.unused = {-1}}), "[byte_level_bpe] an unused id must be from 0 to 264: -1");
  EXPECT_EQ(text(empty, {.unused = {65}}), "[byte_level_bpe] an unused id must have no token: 65 has \"A\"");
  EXPECT_EQ(text(english(), {.added_tokens = {{"<s>"}}}),
            "[byte_level_bpe] an added token must be in the vocabulary: \"<s>\"");
  EXPECT_EQ(text(english(), {.single = {{"<s>"}, {"$A"}}}),
            "[byte_level_bpe] a template names an unknown token: \"<s>\"");
  EXPECT_EQ(text(english(), {.single = {{"a"}}}),
            "[byte_level_bpe] a template for one text must have $A once: it has $A 0 times and $B 0 times");
  EXPECT_EQ(text(english(), {.pair = {{"$A"}, {"$A"}, {"$B"}}}),
            "[byte_level_bpe] a template for two texts must have $A and $B once: it has $A 2 times and $B 1 times");
  EXPECT_EQ(text(english(), {.single = {{"a"}, {"$A"}}, .max_tokens = 1}),
            "[byte_level_bpe] max_tokens must be 0 or more than the special tokens: 1");
  const ByteLevelBpe tokenizer = english().make();
  EXPECT_EQ(error_text<rapt::ValueError>([&] { static_cast<void>(tokenizer.token(-1)); }),
            "[byte_level_bpe] token id -1 at position 0 is outside the vocabulary of 263");
}

}  // namespace
