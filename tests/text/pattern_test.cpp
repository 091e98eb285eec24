/// \file
/// Patterns: matches are those of Oniguruma, of which tests/golden/make_tokenizer_parts.py has more.
// covers: text/pattern_syntax.hpp, text/pattern_properties.hpp, text/pattern_folding.hpp
// covers: text/pattern_reader.hpp, text/pattern_sets.hpp
#include "rapt/text/pattern.hpp"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "rapt/core/error.hpp"

namespace {

using rapt::Pattern;

std::vector<std::string> matches_of(const Pattern& pattern, const std::string& text) {
  Pattern::Work work;
  std::vector<std::string> found;
  pattern.for_each_match(text, work,
                         [&](std::size_t begin, std::size_t end) { found.push_back(text.substr(begin, end - begin)); });
  return found;
}
std::vector<std::string> matches_of(const std::string& expression, const std::string& text) {
  return matches_of(Pattern::of_expression(expression), text);
}

using Strings = std::vector<std::string>;

TEST(Pattern, StringsStandForThemselves) {
  EXPECT_EQ(matches_of(Pattern::of_string("a.b"), "a.ba.b axb"), (Strings{"a.b", "a.b"}));
  EXPECT_EQ(matches_of(Pattern::of_string("aa"), "aaaaa"), (Strings{"aa", "aa"}));
  EXPECT_EQ(matches_of(Pattern::of_string(""), "äb"), (Strings{"", "", ""}));
}

TEST(Pattern, WhatOnigurumaMeansOtherwise) {
  struct Case {
    const char *expression, *text;
    Strings matches;
  };
  const std::vector<Case> cases = {
      {R"(\h+)", "aFg 12", {"aF", "12"}},                         // hexadecimal digits
      {R"(\v)", "a\x0b\nb", {"\x0b"}},                            // one character
      {R"(\s)", "\xE1\xA0\x8E\x1C \xC2\x85", {" ", "\xC2\x85"}},  // not U+180E
      {"(?m:a.b)", "a\nb", {"a\nb"}},                             // . matches line ends
      {"^b|a$", "a\nb", {"a", "b"}},                              // of lines
      {R"(\w+)", "aé_\xCC\x81\xE2\x80\x8D", {"aé_\xCC\x81"}},
      {R"(\bé\b)", "é éa", {"é"}},
      {"[a-z&&[^b-y]]+", "abz", {"a", "z"}},
      {"[a[bc]]+", "abcd", {"abc"}},
      {"[^a[^ab]]", "abc", {"b"}},
      {"a{1,2}+", "aaaaa", {"aaaaa"}},  // repeated, not possessive
      {"a++a", "aaa", {}},              // possessive
      {"a{,2}", "aaa", {"aa", "a"}},
      {"[]a]+", "a]", {"a]"}},
      {"x*", "axb", {"", "x", ""}},
      {R"(\u00e4\x{e4}\O)", "ää\n", {"ää\n"}},
      {R"(\p{^L}+|\p{Letter})", "1-a", {"1-", "a"}},
      {R"([\S]+)",
       "a\xC2\xA0"
       "b",
       {"a", "b"}},
      {R"([\P{L}\p{Lu}]+)", "aB1c", {"B1"}},
      {R"(\p{Han}+)", "a我爱b", {"我爱"}},
      {R"(\p{Lo})", "\xF0\x90\x97\x80", {"\xF0\x90\x97\x80"}},  // U+105C0 of Unicode 16
      {"(?i:s)", "sS\xC5\xBF", {"s", "S", "\xC5\xBF"}},
      {R"(\Aa|b\z|(?<n>c)\k<n>)", "acca\nb", {"a", "cc", "b"}},
      {"a(?i)b|c", "aB C ac aC c b", {"aB", "ac", "aC"}},  // a(?i:b|c)
      {"(a(?i)b|c)d", "aBd Cd cd abd aCd acD aCD", {"aBd", "abd", "aCd"}},
      {"a(?i)b|c(?-i)d|e", "aB aCd aCe aE aCD", {"aB", "aCd", "aCe"}},
      {"(?i)(?m)A.|b", "a\nB", {"a\n", "B"}},
      {"(?x)a b # c)\n|d", "ab d a b", {"ab", "d"}},
      {"(?x)a {2}+ # two", "aaaaa", {"aaaa"}},
      {R"(\p{N}{3}?x)", "12x 123x x", {"x", "123x", "x"}},  // optional, not lazy
      {"a{2}??b", "aab b ab", {"aab", "b", "b"}},
      {"a{1,2}?", "aa", {"a", "a"}},  // lazy
      {R"(\x{2581}?a)", "▁a a", {"▁a", "a"}},
      {R"([\x{2581}é]{2}+)", "▁é▁", {"▁é"}},
      {"a{2}{1,2}", "aaaaa", {"aaaa"}},
      {"a{1,2}{2}", "aaaaa", {"aaaa"}},
      {"[[ab]-z]", "abcz-", {"a", "b", "z", "-"}},  // no range
      {"[a[-z]]", "acz-", {"a", "z", "-"}},
      {"[a[b-]z]", "abcz-", {"a", "b", "z", "-"}},
      {"[a-c-z]", "abcdz-", {"a", "b", "c", "z", "-"}},
      {"[--b]", "ab-1", {"a", "b", "-", "1"}},
      {"[!--]", "+-.", {"+", "-"}},
      {"[a-&&a-z]", "ab-", {"a"}},
      {"[a&&-a]", "ab-", {"a"}},
      {"[à-é]+", "zàéf", {"àé"}},
      {"(?i:ss)", "ß ẞ SS ſs s", {"ß", "ẞ", "SS", "ſs"}},
      {"(?i)groß|first", "GROSS großs FIRST ﬁrﬅ", {"GROSS", "groß", "FIRST", "ﬁrﬅ"}},
      {"(?i:xss+)", "xß xsss xs", {"xsss"}},  // two characters, of which the second is repeated
      {"(?i:ß+)", "ßssSß", {"ßss", "ß"}},
      {"(?i:ffi)", "ﬃ ﬀi fﬁ FFI", {"ﬃ", "FFI"}},
      {"(?i:sss)", "ßs sß SSS", {"ßs", "SSS"}},
      {"(?i:ssß)", "ßß sßs SSß", {"ßß", "SSß"}},
      {"ss|(?i:a(?-i:ss))", "ß Ass Aß", {"Ass"}},
      {R"(\p{Alpha}+)", "aͣ1Ⅷ-é", {"aͣ", "Ⅷ", "é"}},
      {R"([[:alpha:]]+|[[:digit:]])", "aⓐ٣", {"aⓐ", "٣"}},
      {R"([[:upper:]]|\p{lowercase})", "ⒶAª²", {"Ⓐ", "A", "ª"}},
      {R"([[:word:]]+|\p{Word}+)", "a²ⓐ", {"a", "²ⓐ"}},
      {R"([[:word:]]+)", "a²bⓐ½", {"a", "bⓐ"}},
      {R"([\w]+)", "a²bⓐ½", {"a", "bⓐ"}},  // in brackets, superscripts and fractions are no characters of words
      {R"([^\W\d]+)", "ab½²c1d", {"ab", "c", "d"}},
      {R"([\p{Word}&&[^a]]+)", "a²bⓐ½c", {"bⓐ", "c"}},
      {R"([\W]+)", "a½ ²b", {"½ ²"}},
      {R"(\p{Emoji}+)", "a😀1#🫩", {"😀1#🫩"}},
      {R"(\p{Extended_Pictographic}|\p{Emoji_Modifier})", "😀1🏽", {"😀", "🏽"}},
      {R"(\p{Han}+|\p{Hiragana})", "\U0002EBF0\U0001B132", {"\U0002EBF0", "\U0001B132"}},
      {R"([[:cntrl:][:blank:]])", "a\u3000\tb\x01", {"\u3000", "\t", "\x01"}},
      {R"(\p{han}+|\p{Hani}{2})", "Z\U000323AF", {"\U000323AF"}},  // additions by any spelling of a name
      {R"(\p{Hani}|\p{latn})", "-\U000323AF\uA7CB", {"\U000323AF", "\uA7CB"}},
      {R"(\p{letter}+|\p{decimal-number}|\p{Close Punctuation})", "aB1)", {"aB", "1", ")"}},
      {R"([\p{Uppercase_Letter}]|\p{lowercase_letter}{2})", "aBcd", {"B", "cd"}},
      {"(?i)[[:upper:]]+", "aB1ß-ĸªſ\u0301ⓐ\U00010D70", {"aB", "ß", "ſ", "ⓐ\U00010D70"}},
      {"(?i)[[:lower:]]+", "aB1İĸªⒶ\U00010D50", {"aB", "ĸªⒶ\U00010D50"}},
      {R"((?i)[\p{Lu}]+|[^\p{Lu}\d])", "aB1ⓐ\uA7CD", {"aB", "ⓐ", "\uA7CD"}},
      {R"((?i)[\p{Lt}]+)", "ǄǅaǆᾀB", {"Ǆǅ", "ǆᾀ"}},
      {R"((?i)[\p{M}]+|[\p{L}])", "ι\u0345", {"ι\u0345"}},
      {R"((?i)[\P{Lu}]+)", "𝐀aB1ẞ", {"aB1ẞ"}},          // B is the other case of b, which is not in Lu
      {R"((?i)\p{Lu}+|x)", "aBXx\u1C8A", {"BX", "x"}},  // not in brackets, case matters
      {R"((?i)\p{ASCII}+)", "aſk", {"a", "k"}},
      {"(?#x)a(?=b)|(?<!c)d(?!e)|(?>f)", "abcdfde", {"a", "f"}},
  };
  for (const Case& one : cases) EXPECT_EQ(matches_of(one.expression, one.text), one.matches) << one.expression;
}

TEST(Pattern, WhatCannotBeIsAnError) {
  for (const char* expression : {"(",
                                 ")",
                                 "[a",
                                 "a**?+(",
                                 R"(\)",
                                 R"(\p{L)",
                                 R"(\p{})",
                                 R"(\p{Nonsense})",
                                 R"(\y)",
                                 "[[:graph:]]",
                                 "[[:nonsense:]]",
                                 R"(\p{Math})",

                                 R"(\p{sc=Greek})",
                                 "(?y)",
                                 "(*ACCEPT)",
                                 R"(\C)",
                                 "[a&&]",
                                 R"([a-\d])",
                                 "[a-[cz]]",
                                 "(?i",
                                 R"(\u00)",
                                 "\xFF"}) {
    EXPECT_THROW(static_cast<void>(Pattern::of_expression(expression)), rapt::ValueError) << expression;
  }
  std::string nested;
  for (int i = 0; i < 100000; ++i) nested += "[";
  EXPECT_THROW(static_cast<void>(Pattern::of_expression(nested)), rapt::ValueError);
}

TEST(Pattern, AHostilePatternEndsWithAnError) {
  EXPECT_THROW(matches_of("(a*)*b", std::string(100, 'a') + "cb"), rapt::ValueError);
  EXPECT_EQ(matches_of("(?:a|b)*c", std::string(200000, 'a') + "c").size(), 1u) << "a deep one need not";
}

TEST(Pattern, ALongTextMayTakeManySteps) {
  const std::string spaces(3'000'000, ' ');
  EXPECT_EQ(matches_of(R"(\s*[\r\n]+|\s+(?!\S)|\s+)", spaces), Strings{spaces});
}

TEST(Pattern, KeepsWhatItWasMadeOf) {
  EXPECT_EQ(Pattern::of_expression(R"(\h)").source(), R"(\h)");
  EXPECT_TRUE(Pattern::of_string("a").is_string());
  EXPECT_FALSE(Pattern::of_expression("a").is_string());
}

TEST(Pattern, WhatRustMeansOtherwise) {
  struct Case {
    const char *expression, *text;
    Strings matches;
  };
  const std::vector<Case> cases = {
      {"^a|b$", "a\na b\nb", {"a", "b"}},  // of the text, not of lines
      {"a$", "a\n", {}},
      {"a{1,2}+a|b", "aaab", {"aaa", "b"}},  // possessive
      {"a{2}+a", "aaa", {"aaa"}},
      {"a{2}?", "aaaa", {"aa", "aa"}},
      {R"(\w+)", "a\u200D_²b\u0301", {"a\u200D_", "b\u0301"}},
      {R"(\h\v)", "f\x0b", {"f\x0b"}},
      {R"(\u{e4}\u00e4\x{e4})", "äää", {"äää"}},
      {"a(?i)b|c", "aB C c b", {"aB", "C", "c"}},
      {"(?s:a.)|(?-s:b.)", "a\nb\nbc", {"a\n", "bc"}},
      {R"([\p{L}&&[^\p{Han}]]+)", "ab我c", {"ab", "c"}},
      {"[[:alpha:]]+|[[:punct:]]", "aé!§", {"a", "!"}},  // of ASCII
      {R"(\p{Word}+|\p{Emoji})", "a\u200D²😀", {"a\u200D", "😀"}},
      {"(?i:ss)", "ßSS", {"SS"}},
      {R"((?i:\p{Lu})+|\p{Lu})", "the ĸªAⓐ", {"the", "A"}},  // both cases
      {R"((?i:\P{Lu})+|(?i:[^\p{Ll}])+)", "aĸ1Aª", {"ĸ1", "ª"}},
      {R"((?i:[\p{Lu}1])+)", "aB1ĸ", {"aB1"}},
      {R"(\p{sc=Greek}+|\p{gc=Lu}+|\p{General_Category=decimal number})", "aαβBC1", {"αβ", "BC", "1"}},
      {"(?P<n>a)", "ba", {"a"}},
  };
  for (const Case& one : cases) {
    EXPECT_EQ(matches_of(Pattern::of_rust_expression(one.expression), one.text), one.matches) << one.expression;
  }
  for (const char* expression :
       {"(?m)a", "(?x)a", "[a--b]", "[a~~b]", R"(\Z)", R"(\R)", R"(\O)", R"(\N)", R"(\<a)", R"(\b{start}a)", R"([\b])",
        R"(\p{gc=Greek})", R"(\p{scx=Greek})", "(?P=n)", "a{,2}", "[[:nonsense:]]", R"(\p{Math})"}) {
    EXPECT_THROW(static_cast<void>(Pattern::of_rust_expression(expression)), rapt::ValueError) << expression;
  }
}

}  // namespace
