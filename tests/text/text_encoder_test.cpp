/// \file
/// The calls that all tokenizers have in common, on a tokenizer whose tokens are the bytes of a text.
// covers: text/text_template.hpp, text/token_sink.hpp
#include "rapt/text/text_encoder.hpp"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

#include "rapt/core/thread_pool.hpp"
#include "tests/common/expect_close.hpp"
#include "tests/common/settings.hpp"

namespace {

using rapt::TextSpan;
using rapt::TokenId;
using Ids = std::vector<TokenId>;

/// A byte is the token of its value; "[" and "]" are 256 and 257. A word begins at each space.
class ByteEncoder : public rapt::TextEncoder<ByteEncoder> {
 public:
  explicit ByteEncoder(rapt::Index max_tokens = 0) {
    const std::vector<rapt::TemplatePiece> single = {{"["}, {"$A"}, {"]"}}, pair = {{"$A"}, {"]"}, {"$B", 1}};
    set_templates(single, pair, max_tokens, [](std::string_view name) {
      return name == "[" ? 256 : name == "]" ? 257 : -1;
    });
  }

 private:
  friend class rapt::TextEncoder<ByteEncoder>;
  static constexpr const char* kName = "byte_encoder";
  struct Work {};
  void append(std::string_view text, bool, Work&, rapt::detail::TokenSink& sink) const {
    for (std::size_t i = 0; i < text.size(); ++i) {
      if (i == 0 || text[i] == ' ') sink.begin_word();
      sink.add(static_cast<unsigned char>(text[i]), i, i + 1);
    }
  }
};

TEST(TextEncoder, PutsTheTemplatesTokensAroundTheTexts) {
  const ByteEncoder encoder;
  EXPECT_EQ(encoder.encode("ab"), (Ids{256, 'a', 'b', 257}));
  EXPECT_EQ(encoder.encode("ab", {.add_special = false}), (Ids{'a', 'b'}));
  const rapt::Encoding one = encoder.encode_with_spans("ab");
  EXPECT_EQ(one.ids, (Ids{256, 'a', 'b', 257}));
  EXPECT_EQ(one.spans, (std::vector<TextSpan>{{0, 0}, {0, 1}, {1, 2}, {0, 0}}));
  EXPECT_EQ(one.texts, (std::vector<int>{-1, 0, 0, -1}));
  const rapt::Encoding two = encoder.encode_pair("ab", "c");
  EXPECT_EQ(two.ids, (Ids{'a', 'b', 257, 'c'}));
  EXPECT_EQ(two.types, (Ids{0, 0, 0, 1}));
  EXPECT_EQ(two.texts, (std::vector<int>{0, 0, -1, 1}));
}

TEST(TextEncoder, CutsTheLongerTextFirst) {
  const ByteEncoder encoder(5);
  EXPECT_EQ(encoder.encode("abcdef"), (Ids{256, 'a', 'b', 'c', 257}));
  EXPECT_EQ(encoder.encode_pair("abcdef", "x").ids, (Ids{'a', 'b', 'c', 257, 'x'}));
  EXPECT_EQ(encoder.encode_pair("abcdef", "uvwxyz").ids, (Ids{'a', 'b', 257, 'u', 'v'}));
}

TEST(TextEncoder, TokensOfAWordHaveOneNumber) {
  EXPECT_EQ(ByteEncoder().encode_with_spans("ab c").words, (std::vector<int>{-1, 0, 0, 1, 1, -1}));
  EXPECT_EQ(ByteEncoder(5).encode_pair("ab c", "d e").words, (std::vector<int>{0, 0, -1, 0, 1}));
  const rapt::Truncation left{.max_tokens = 4, .left = true};
  EXPECT_EQ(ByteEncoder().encode_with_spans("ab c", {.truncation = left}).words, (std::vector<int>{-1, 1, 1, -1}));
}

TEST(TextEncoder, ACallMayCutOffOtherwise) {
  using rapt::Truncation;
  const ByteEncoder encoder(5);
  EXPECT_EQ(encoder.encode("abcdef", {.truncation = Truncation{}}).size(), 8u);
  EXPECT_EQ(encoder.encode("abcdef", {.truncation = Truncation{.max_tokens = 4}}), (Ids{256, 'a', 'b', 257}));
  const std::vector<std::string> first = {"abcdef"}, second = {"x"};
  const Truncation shorter{.max_tokens = 4, .strategy = Truncation::Strategy::only_first};
  EXPECT_EQ(encoder.encode_pairs(first, second, {.truncation = shorter}).tokens.tokens, (Ids{'a', 'b', 257, 'x'}));
  const auto text = rapt_test::error_text<rapt::ValueError>(
      [&] { (void)encoder.encode("a", {.truncation = Truncation{.max_tokens = 1}}); });
  EXPECT_EQ(text, "[byte_encoder] max_tokens must be 0 or more than the special tokens: 1");
}

TEST(TextEncoder, ManyTextsAreEncodedAsOneByOneOnAnyThreads) {
  const ByteEncoder encoder;
  std::vector<std::string> first, second;
  for (std::size_t i = 0; i < 3000; ++i) {
    first.emplace_back(i % 97, static_cast<char>('a' + i % 26));
    second.emplace_back(i % 13, 'z');
  }
  rapt_test::for_every_thread_count([&] {
    const rapt::TokenBatch batch = encoder.encode_batch(first);
    const rapt::PairBatch pairs = encoder.encode_pairs(first, second);
    ASSERT_EQ(batch.sequences(), 3000);
    ASSERT_EQ(pairs.tokens.sequences(), 3000);
    for (const rapt::Index i : {0, 1, 1500, 2999}) {
      const auto one = batch.sequence(i), pair = pairs.tokens.sequence(i);
      EXPECT_EQ(Ids(one.begin(), one.end()), encoder.encode(rapt::at(first, i)));
      EXPECT_EQ(Ids(pair.begin(), pair.end()), encoder.encode_pair(rapt::at(first, i), rapt::at(second, i)).ids);
    }
    EXPECT_EQ(pairs.types.size(), pairs.tokens.tokens.size());
  });
}

TEST(TextEncoder, AProductHasThePairsOfAllTexts) {
  const ByteEncoder encoder(6);
  const std::vector<std::string> first = {"abcdefgh", "", "xy"}, second = {"1", "123456"};
  using Strategy = rapt::Truncation::Strategy;
  for (const rapt::EncodeOptions& options :
       {rapt::EncodeOptions(), rapt::EncodeOptions{.add_special = false},
        rapt::EncodeOptions{.truncation = rapt::Truncation{}},
        rapt::EncodeOptions{.truncation =
                                rapt::Truncation{.max_tokens = 9, .strategy = Strategy::only_first, .left = true}}}) {
    const rapt::PairBatch product = encoder.encode_product(first, second, options);
    std::vector<std::string> firsts, seconds;
    for (const std::string& a : first) {
      for (const std::string& b : second) firsts.push_back(a), seconds.push_back(b);
    }
    const rapt::PairBatch pairs = encoder.encode_pairs(firsts, seconds, options);
    EXPECT_EQ(product.tokens.tokens, pairs.tokens.tokens);
    EXPECT_EQ(product.tokens.row_splits, pairs.tokens.row_splits);
    EXPECT_EQ(product.types, pairs.types);
  }
  std::vector<std::string> many;
  for (std::size_t i = 0; i < 300; ++i) many.emplace_back(i % 11, static_cast<char>('a' + i % 26));
  std::vector<std::string> firsts, seconds;
  for (const std::string& a : first) firsts.insert(firsts.end(), many.size(), a);
  for (std::size_t i = 0; i < first.size(); ++i) seconds.insert(seconds.end(), many.begin(), many.end());
  const rapt::PairBatch pairs = encoder.encode_pairs(firsts, seconds);
  rapt_test::for_every_thread_count([&] {
    const rapt::PairBatch product = encoder.encode_product(first, many);
    EXPECT_EQ(product.tokens.tokens, pairs.tokens.tokens);
    EXPECT_EQ(product.tokens.row_splits, pairs.tokens.row_splits);
    EXPECT_EQ(product.types, pairs.types);
  });
  EXPECT_EQ(encoder.encode_product(first, {}).tokens.sequences(), 0);
  EXPECT_EQ(encoder.encode_product({}, second).tokens.sequences(), 0);
}

TEST(TextEncoder, ErrorsNameTheTextAndTheByte) {
  const ByteEncoder encoder;
  const std::vector<std::string> good = {"a", "b"}, bad = {"a", "b\xFF"};
  const auto text = [](const auto& call) { return rapt_test::error_text<rapt::ValueError>(call); };
  EXPECT_EQ(text([&] { (void)encoder.encode("a\xFF"); }), "[byte_encoder.encode] text must be UTF-8: byte 2 of 2");
  EXPECT_EQ(text([&] { (void)encoder.encode_batch(bad); }),
            "[byte_encoder.encode_batch] text must be UTF-8: text 1, byte 2 of 2");
  EXPECT_EQ(text([&] { (void)encoder.encode_pairs(good, bad); }),
            "[byte_encoder.encode_pairs] text must be UTF-8: text 1 of the second, byte 2 of 2");
  EXPECT_EQ(text([&] { (void)encoder.encode_pairs(good, std::vector<std::string>{"a"}); }),
            "[byte_encoder.encode_pairs] there must be as many first as second texts: 2 and 1");
  EXPECT_EQ(text([&] { (void)encoder.encode_product(good, bad); }),
            "[byte_encoder.encode_product, second texts] text must be UTF-8: text 1, byte 2 of 2");
  const rapt::Truncation first_alone{.max_tokens = 4, .strategy = rapt::Truncation::Strategy::only_first};
  const std::vector<std::string> longer = {"a", "abcdefgh"};
  EXPECT_EQ(
      text([&] { (void)encoder.encode_product(good, longer, {.truncation = first_alone}); }),
      "[byte_encoder.encode_product] text 0 of the first and text 1 of the second: [byte_encoder] truncation of the "
      "first text alone cannot make 1 and 8 tokens 3");
  EXPECT_EQ(text([] { ByteEncoder(2); }), "[byte_encoder] max_tokens must be 0 or more than the special tokens: 2");
}

TEST(FindInvalidBytes, AgreesWithTheSlowWay) {
  std::mt19937 random(3);
  const std::vector<std::string> parts = {"a", "abcdefgh", "é", "中", "😀", "\x80", "\xC3", "\xED\xA0\x80", "\xF8"};
  int invalid = 0;
  for (int n = 0; n < 2000; ++n) {
    std::string text;
    for (std::size_t i = random() % 6; i > 0; --i) text += parts[random() % parts.size()];
    ASSERT_EQ(rapt::detail::find_invalid_bytes(text), rapt::find_invalid_utf8(text));
    invalid += rapt::find_invalid_utf8(text).has_value() ? 1 : 0;
  }
  EXPECT_GT(invalid, 100);
}

}  // namespace
