/// \file
/// Pieces of texts by the patterns of GPT-2 and Llama 3, against a matcher that walks the patterns with backtracking,
/// and by all patterns against PCRE2.
// covers: text/letter_cases.hpp
#include "rapt/text/byte_level_split.hpp"

#include <gtest/gtest.h>
#include <utf8proc.h>

#include <algorithm>
#include <cctype>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "rapt/text/pattern.hpp"

namespace {

using rapt::ByteLevelPattern;

using Names = std::vector<std::string>;

std::string text_of(const std::vector<std::int32_t>& points) {
  std::string text;
  for (const std::int32_t point : points) rapt::append_code_point(text, point);
  return text;
}

Names pieces_of(std::string_view text, ByteLevelPattern pattern) {
  Names pieces;
  rapt::detail::PieceSplitter{rapt::detail::CharacterClasses{}}.split(
      text, pattern, [&](std::size_t begin, std::size_t end) { pieces.emplace_back(text.substr(begin, end - begin)); });
  return pieces;
}

TEST(PieceSplitter, CutsAsGpt2) {
  const auto gpt2 = [](std::string_view text) { return pieces_of(text, ByteLevelPattern::gpt2); };
  EXPECT_EQ(gpt2(""), Names{});
  EXPECT_EQ(gpt2("Hello world"), (Names{"Hello", " world"}));
  EXPECT_EQ(gpt2("don't we'll X'S"), (Names{"don", "'t", " we", "'ll", " X", "'", "S"}));
  EXPECT_EQ(gpt2(" 's!'s"), (Names{" '", "s", "!'", "s"}));
  EXPECT_EQ(gpt2("a  b\n\nc \n"), (Names{"a", " ", " b", "\n", "\n", "c", " \n"}));
  EXPECT_EQ(gpt2("12a½ ٣"), (Names{"12", "a", "½", " ٣"}));
  EXPECT_EQ(gpt2("\u00A0\u00A0x\u3000"), (Names{"\u00A0", "\u00A0", "x", "\u3000"}));
}

TEST(PieceSplitter, CutsAsLlama3) {
  const auto llama3 = [](std::string_view text) { return pieces_of(text, ByteLevelPattern::llama3); };
  EXPECT_EQ(llama3("DON'T we'\u017F"), (Names{"DON", "'T", " we", "'\u017F"}));
  EXPECT_EQ(llama3("1234567"), (Names{"123", "456", "7"}));
  EXPECT_EQ(llama3("(word) \tx"), (Names{"(word", ")", " ", "\tx"}));
  EXPECT_EQ(llama3("a!\n\n  \n  b"), (Names{"a", "!\n\n", "  \n", " ", " b"}));
  EXPECT_EQ(llama3("a \r\n\r\n1"), (Names{"a", " \r\n\r\n", "1"}));
  EXPECT_EQ(pieces_of("a b", ByteLevelPattern::none), Names{"a b"});
}

/// The patterns, alternative by alternative and with backtracking, as a regular expression's matcher walks them.
class NaivePattern {
 public:
  explicit NaivePattern(std::vector<std::int32_t> points) : points_(std::move(points)) {}

  [[nodiscard]] std::size_t gpt2(std::size_t at) const {
    if (const std::size_t end = contraction(at, false)) return end;
    for (const char kind : {'L', 'N', 'O'}) {
      if (const std::size_t end = spaced(at, kind)) return end;
    }
    return white_space(at);
  }
  [[nodiscard]] std::size_t llama3(std::size_t at) const {
    if (const std::size_t end = contraction(at, true)) return end;
    for (const std::size_t skip : {1u, 0u}) {
      const char first = kind(at);
      if (skip == 1 && (first == 'L' || first == 'N' || is_line_end(at))) continue;
      const std::size_t end = run(at + skip, 'L');
      if (end > at + skip) return end;
    }
    if (kind(at) == 'N') return std::min(run(at, 'N'), at + 3);
    if (std::size_t end = spaced(at, 'O')) {
      while (is_line_end(end)) ++end;
      return end;
    }
    for (std::size_t spaces = run(at, 'S'); spaces + 1 > at; --spaces) {
      std::size_t end = spaces;
      while (is_line_end(end)) ++end;
      if (end > spaces) return end;
      if (spaces == at) break;
    }
    return white_space(at);
  }
  [[nodiscard]] std::size_t size() const { return points_.size(); }
  [[nodiscard]] std::string text(std::size_t begin, std::size_t end) const {
    return text_of(
        {points_.begin() + static_cast<std::ptrdiff_t>(begin), points_.begin() + static_cast<std::ptrdiff_t>(end)});
  }

 private:
  [[nodiscard]] char kind(std::size_t at) const {
    if (at >= points_.size()) return 'E';
    const char* const category = utf8proc_category_string(points_[at]);
    if (category[0] == 'L' || category[0] == 'N') return category[0];
    return category[0] == 'Z' || (points_[at] >= 9 && points_[at] <= 13) || points_[at] == 0x85 ? 'S' : 'O';
  }
  [[nodiscard]] bool is_line_end(std::size_t at) const {
    return at < points_.size() && (points_[at] == '\n' || points_[at] == '\r');
  }
  [[nodiscard]] std::size_t run(std::size_t at, char wanted) const {
    while (kind(at) == wanted) ++at;
    return at;
  }
  /// ` ?x+`; 0 for none.
  [[nodiscard]] std::size_t spaced(std::size_t at, char wanted) const {
    const std::size_t begin = points_[at] == ' ' ? at + 1 : at;
    const std::size_t end = run(begin, wanted);
    return end > begin ? end : 0;
  }
  [[nodiscard]] std::size_t contraction(std::size_t at, bool any_case) const {
    for (const std::string letters : {"s", "t", "re", "ve", "m", "ll", "d"}) {
      bool fits = points_[at] == '\'' && at + letters.size() < points_.size();
      for (std::size_t i = 0; fits && i < letters.size(); ++i) {
        std::int32_t point = points_[at + 1 + i];
        if (any_case && point < 0x80) point = std::tolower(static_cast<int>(point));
        if (any_case && point == 0x17F) point = 's';
        fits = point == letters[i];
      }
      if (fits) return at + 1 + letters.size();
    }
    return 0;
  }
  [[nodiscard]] std::size_t white_space(std::size_t at) const {
    const std::size_t end = run(at, 'S');
    for (std::size_t stop = end; stop > at; --stop) {
      if (kind(stop) == 'S' || kind(stop) == 'E') return stop;
    }
    return end;
  }

  std::vector<std::int32_t> points_;
};

TEST(PieceSplitter, AgreesWithTheNaiveMatcher) {
  const std::vector<std::int32_t> alphabet = {' ',  ' ',  ' ',  '\n',  '\n',   '\r',   '\t',   0xA0,    0x3000,
                                              '\'', '\'', 's',  'S',   'l',    'L',    'r',    'e',     'V',
                                              0xE9, '1',  '2',  0x663, '!',    '_',    0x17F,  0x4E2D,  0x1F600,
                                              'x',  't',  0x85, 0x1C,  0x2028, 0x200B, 0x0301, 0x1D7CE, 'd'};
  std::mt19937 random(11);
  for (int n = 0; n < 20000; ++n) {
    std::vector<std::int32_t> points(random() % 14);
    for (std::int32_t& point : points) point = alphabet[random() % alphabet.size()];
    const NaivePattern naive(points);
    for (const auto pattern : {ByteLevelPattern::gpt2, ByteLevelPattern::llama3}) {
      Names expected;
      for (std::size_t at = 0; at < naive.size();) {
        const std::size_t end = pattern == ByteLevelPattern::gpt2 ? naive.gpt2(at) : naive.llama3(at);
        ASSERT_GT(end, at);
        expected.push_back(naive.text(at, end));
        at = end;
      }
      ASSERT_EQ(pieces_of(text_of(points), pattern), expected) << text_of(points);
    }
  }
}

TEST(PieceSplitter, CutsAsGpt4AndQwenAndGpt4o) {
  EXPECT_EQ(pieces_of("a 1234 \n ", ByteLevelPattern::cl100k), (Names{"a", " ", "123", "4", " \n "}));
  EXPECT_EQ(pieces_of("a 12 \n ", ByteLevelPattern::qwen2), (Names{"a", " ", "1", "2", " \n", " "}));
  const auto o200k = [](std::string_view text) { return pieces_of(text, ByteLevelPattern::o200k); };
  EXPECT_EQ(o200k("HELLOworld HelloWORLD"), (Names{"HELLOworld", " Hello", "WORLD"}));
  EXPECT_EQ(o200k("camelCase IT'Ll it's'"), (Names{"camel", "Case", " IT'Ll", " it's", "'"}));
  EXPECT_EQ(o200k("A我B 我Ab"), (Names{"A我", "B", " 我Ab"})) << "A* gives back what B+ needs";
  EXPECT_EQ(o200k("\u0301AB!\u0301"), (Names{"\u0301", "AB", "!\u0301"})) << "a mark is no prefix of capitals";
  EXPECT_EQ(o200k("a//\n/b !/"), (Names{"a", "//\n/", "b", " !/"}));
}

/// All patterns with the expression, in the syntax of Rust, that each one stands for.
const std::vector<std::pair<ByteLevelPattern, std::string_view>> kAllPatterns = {
    {ByteLevelPattern::gpt2, rapt::detail::kGpt2Pattern},
    {ByteLevelPattern::gpt2, rapt::detail::kTiktokenGpt2Pattern},
    {ByteLevelPattern::llama3, rapt::detail::kLlama3Pattern},
    {ByteLevelPattern::cl100k, rapt::detail::kCl100kPattern},
    {ByteLevelPattern::qwen2, rapt::detail::kQwen2Pattern},
    {ByteLevelPattern::o200k, rapt::detail::kO200kPattern}};

void expect_pieces_of_pcre2(const std::vector<std::string>& texts) {
  rapt::Pattern::Work work;
  for (const auto& [pattern, expression] : kAllPatterns) {
    EXPECT_EQ(rapt::detail::pattern_of_rust_expression(expression), pattern);
    const auto reference = rapt::Pattern::of_rust_expression(std::string(expression));
    for (const std::string& text : texts) {
      Names expected;
      reference.for_each_match(
          text, work, [&](std::size_t begin, std::size_t end) { expected.push_back(text.substr(begin, end - begin)); });
      ASSERT_EQ(pieces_of(text, pattern), expected) << expression << ": " << text;
    }
  }
}

TEST(PieceSplitter, AgreesWithPcre2OnRandomTexts) {
  const std::vector<std::int32_t> alphabet = {
      ' ',    ' ',    '\n',  '\r',    '\t',  0xA0,  '\'',  's',    'S',   'l',    'L',     'e',     'V',
      0xE9,   0xC9,   '1',   '2',     0x663, '!',   '/',   '_',    0x17F, 0x4E2D, 0x1F600, 0x85,    0x1C,
      0x2028, 0x200B, 0x301, 0x1D7CE, 'd',   0x1C5, 0x2B0, 0x20DD, 0x93F, 'A',    'B',     0x10400, 0x10428};
  std::mt19937 random(13);
  std::vector<std::string> texts(4000);
  for (std::string& text : texts) {
    for (std::size_t i = random() % 16; i > 0; --i) rapt::append_code_point(text, alphabet[random() % alphabet.size()]);
  }
  expect_pieces_of_pcre2(texts);
}

TEST(PieceSplitter, AgreesWithPcre2OnCodePointsOfAllBlocks) {
  std::vector<std::string> texts;
  for (std::int32_t point = 0; point < 0x110000; point += point < 0x800 ? 1 : point < 0x20000 ? 13 : 997) {
    if (point >= 0xD800 && point < 0xE000) continue;
    std::string one, text;
    rapt::append_code_point(one, point);
    for (const char* before : {"", "a", "A", " ", "1", "!", "\u0301", "\n"}) (text += before) += one;
    texts.push_back(text + one + "\n");
  }
  expect_pieces_of_pcre2(texts);
}

}  // namespace
