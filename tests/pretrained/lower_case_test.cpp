/// \file
/// Tokenizers of lower-case text: each character by itself, in all kinds of tokenizers, around added tokens.
#include "rapt/pretrained/lower_case.hpp"

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <tuple>
#include <variant>
#include <vector>

#include "rapt/core/error.hpp"
#include "rapt/core/token_batch.hpp"
#include "rapt/pretrained/tokenizer_json.hpp"
#include "rapt/text/byte_level_bpe.hpp"
#include "rapt/text/byte_level_names.hpp"
#include "rapt/text/byte_level_split.hpp"
#include "rapt/text/composed_tokenizer.hpp"
#include "rapt/text/normalizer.hpp"
#include "rapt/text/pattern.hpp"
#include "rapt/text/piece_model.hpp"
#include "rapt/text/pre_tokenizer_steps.hpp"
#include "rapt/text/wordpiece.hpp"

namespace {

using rapt::PretrainedTokenizer;
using rapt::TokenId;

std::vector<TokenId> lower_case_ids(const PretrainedTokenizer& tokenizer, std::string_view text) {
  return std::visit([&](const auto& one) { return one.encode(text, {.add_special = false}); },
                    rapt::with_lower_case(tokenizer));
}

TEST(LowerCase, OfWordPieces) {
  const std::vector<std::string> tokens = {
      "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "\u03bf\u03b4\u03bf\u03c3", "\u03bf\u03b4\u03bf\u03c2",
      "e",     "\u00e9"};
  const rapt::WordPiece cased(tokens, {.lowercase = false});
  // A sigma at the end of a word becomes the same letter as elsewhere, and accents stay.
  EXPECT_EQ(lower_case_ids(cased, "\u039f\u0394\u039f\u03a3 [MASK] \u00c9 \u03bf\u03b4\u03bf\u03c2 [mask]"),
            (std::vector<TokenId>{5, 4, 8, 6, 1, 1, 1}));
  const rapt::WordPiece stripped(tokens, {.lowercase = false, .strip_accents = true});
  EXPECT_EQ(lower_case_ids(stripped, "\u00c9"), (std::vector<TokenId>{7}));
  EXPECT_EQ(lower_case_ids(rapt::WordPiece(tokens), "\u00c9 [MASK]"), (std::vector<TokenId>{7, 4}));
}

TEST(LowerCase, OfByteLevelPieces) {
  std::vector<std::string> tokens;
  for (int byte = 0; byte < 256; ++byte) {
    tokens.push_back(rapt::detail::name_of_bytes(std::string(1, static_cast<char>(byte))));
  }
  for (const char* more : {"ab", "AB", "<MASK>"}) tokens.emplace_back(more);
  const std::vector<rapt::ByteLevelBpe::Merge> merges = {{"a", "b"}, {"A", "B"}};
  for (const auto pattern : {rapt::ByteLevelPattern::gpt2, rapt::ByteLevelPattern::llama3}) {
    const rapt::ByteLevelBpe cased(tokens, merges, {.pattern = pattern, .added_tokens = {{"<MASK>"}}});
    EXPECT_EQ(cased.encode("AB<MASK>aB"), (std::vector<TokenId>{257, 258, 'a', 'B'}));
    EXPECT_EQ(lower_case_ids(cased, "AB<MASK>aB"), (std::vector<TokenId>{256, 258, 256}));
    EXPECT_EQ(lower_case_ids(cased, "\u03a3"), cased.encode("\u03c3"));
  }
  const rapt::ByteLevelBpe gpt4(tokens, merges, {.pattern = rapt::ByteLevelPattern::cl100k});
  EXPECT_THROW(std::ignore = rapt::with_lower_case(gpt4), rapt::ValueError);
}

TEST(LowerCase, OfPartsComesFirstAndOnce) {
  const rapt::ComposedTokenizer cased({"x", "ab", "y"}, rapt::WordLevelModel{.unknown = "x"},
                                      {.normalizer = {rapt::ReplaceStep{rapt::Pattern::of_string("a "), "a"}},
                                       .pre_tokenizer = {rapt::WhiteSpaceSplit{}}});
  EXPECT_EQ(cased.encode("A B Y"), (std::vector<TokenId>{0, 0, 0}));
  EXPECT_EQ(lower_case_ids(cased, "A B Y"), (std::vector<TokenId>{1, 2}));
  const PretrainedTokenizer lower = rapt::with_lower_case(cased), again = rapt::with_lower_case(lower);
  EXPECT_EQ(std::get<rapt::ComposedTokenizer>(lower).options().normalizer.size(), 2u);
  EXPECT_EQ(std::get<rapt::ComposedTokenizer>(again).options().normalizer.size(), 2u);
}

}  // namespace
