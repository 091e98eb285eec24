/// \file
/// Normal forms, and where their characters come from. tests/golden/make_tokenizer_parts.py has more texts.
// covers: text/normalized_text.hpp, text/word_characters.hpp, text/word_matching.hpp
#include "rapt/text/normal_form.hpp"

#include <gtest/gtest.h>

#include <cstddef>
#include <string>
#include <vector>

#include "rapt/text/normalized_text.hpp"
#include "rapt/text/token_table.hpp"
#include "rapt/text/word_characters.hpp"
#include "rapt/text/word_matching.hpp"

namespace {

using rapt::detail::NormalForm;
using rapt::detail::NormalizedText;

struct Form {
  std::string text;
  std::vector<std::size_t> origins;
};
Form form_of(const std::string& text, bool composed, bool compatible) {
  NormalForm::Work work;
  NormalizedText out;
  out.with_origins = true;
  if (!NormalForm({composed, compatible})(text, work, out)) return {text, {}};
  return {out.text, out.origins};
}

TEST(NormalForm, ComposesAndDecomposes) {
  const std::string decomposed = "e\xCC\xA3\xCC\x81", composed = "\xE1\xBA\xB9\xCC\x81";  // e, dot below, acute
  EXPECT_EQ(form_of("e\xCC\x81\xCC\xA3", false, false).text, decomposed) << "marks are ordered";
  EXPECT_EQ(form_of("e\xCC\x81\xCC\xA3", true, false).text, composed);
  EXPECT_EQ(form_of(composed, false, false).text, decomposed);
  EXPECT_EQ(form_of("\xEA\xB0\x81", false, false).text, "\xE1\x84\x80\xE1\x85\xA1\xE1\x86\xA8") << "Hangul";
  EXPECT_EQ(form_of("\xE1\x84\x80\xE1\x85\xA1\xE1\x86\xA8", true, false).text, "\xEA\xB0\x81");
  EXPECT_EQ(form_of("\xEF\xAC\x81\xC2\xBD\xE3\x8E\x8F", true, true).text,
            "fi1\xE2\x81\x84"
            "2kg");
  EXPECT_EQ(form_of("\xE2\x84\xAB", true, false).text, "\xC3\x85") << "the sign of the Angstrom is a letter";
  EXPECT_EQ(form_of("\xE0\xA5\x98", true, false).text, "\xE0\xA4\x95\xE0\xA4\xBC") << "excluded from composition";
  EXPECT_TRUE(form_of("plain ASCII", true, false).origins.empty());
}

TEST(NormalForm, OriginsAreThoseOfTheCharacters) {
  EXPECT_EQ(form_of("ae\xCC\x81"
                    "b",
                    true, false)
                .origins,
            (std::vector<std::size_t>{0, 1, 1, 4}));
  EXPECT_EQ(form_of("\xC3\xA9", false, false).origins, (std::vector<std::size_t>{0, 0, 0}));
  EXPECT_EQ(form_of("x\xEF\xAC\x81", true, true).origins, (std::vector<std::size_t>{0, 1, 1}));
}

TEST(WordCharacters, AreLettersMarksDigitsAndJoiners) {
  const rapt::detail::WordCharacters words;
  for (const int value : {0x61, 0x31, 0x5F, 0xE9, 0x301, 0x200D, 0x24B6, 0x105C0, 0x1D7CE, 0x203F}) {
    EXPECT_TRUE(words.contains(value)) << value;
  }
  for (const int value : {0x20, 0x2D, 0xB2, 0x2460, 0x1F600}) EXPECT_FALSE(words.contains(value)) << value;
  EXPECT_TRUE(rapt::detail::is_combining_mark(0x301));
  EXPECT_FALSE(rapt::detail::is_combining_mark(0x897)) << "newer than Unicode 9";
}

TEST(WordMatching, TakesTheLongestTokens) {
  rapt::detail::TokenTable ids;
  for (const auto& [text, id] : {std::pair{"un", 0}, {"u", 1}, {"##able", 2}, {"##a", 3}}) ids.add(text, id);
  std::vector<rapt::detail::HashedPrefix> prefixes;
  std::vector<rapt::TokenId> found;
  const auto add = [&](rapt::TokenId id, std::size_t, std::size_t) { found.push_back(id); };
  EXPECT_TRUE(rapt::detail::match_word(ids, "##", "unable", prefixes, add));
  EXPECT_EQ(found, (std::vector<rapt::TokenId>{0, 2}));
  EXPECT_FALSE(rapt::detail::match_word(ids, "##", "unabl", prefixes, add));
}

}  // namespace
