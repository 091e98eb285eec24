#include "rapt/text/bpe_learner.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <map>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "tests/common/expect_close.hpp"

namespace {

using rapt::BpeOptions;
using rapt_test::error_text;
using Lines = std::vector<std::string>;

std::vector<std::string> learn(const Lines& lines, const BpeOptions& options = {}) {
  return rapt::detail::BpeLearner(lines, options).run();
}

/// The definition, without any index: counts all pairs anew for each token. ASCII only, every character known.
std::vector<std::string> learn_naively(const Lines& lines, const BpeOptions& options) {
  std::map<std::string, std::int64_t> counts;
  std::set<std::string> alphabet;
  for (const std::string& line : lines) {
    std::string word;
    for (const char c : line + " ") {
      if (c != ' ') {
        word += c;
        alphabet.insert(std::string(1, c));
      } else if (!word.empty()) {
        ++counts[word];
        word.clear();
      }
    }
  }
  std::vector<std::string> tokens = {"\u2581"};
  tokens.insert(tokens.end(), alphabet.begin(), alphabet.end());
  std::vector<std::pair<std::vector<std::string>, std::int64_t>> words;
  for (const auto& [word, count] : counts) {
    words.push_back({{"\u2581"}, count});
    for (const char c : word) words.back().first.emplace_back(1, c);
  }
  const std::set<std::string> reserved = {"<unk>", "<s>", "</s>"};
  while (static_cast<rapt::Index>(tokens.size()) + 3 < options.vocabulary_size) {
    std::map<std::pair<std::string, std::string>, std::int64_t> pairs;
    for (const auto& [symbols, count] : words) {
      for (std::size_t i = 0; i + 1 < symbols.size(); ++i) pairs[{symbols[i], symbols[i + 1]}] += count;
    }
    std::pair<std::string, std::string> best;
    std::int64_t most = 0;
    for (const auto& [pair, count] : pairs) {  // in order of text, so that the first of equal ones wins
      if (count > most && reserved.count(pair.first + pair.second) == 0) {
        best = pair;
        most = count;
      }
    }
    if (most < options.min_pair_count) break;
    const std::string joined = best.first + best.second;
    if (std::find(tokens.begin(), tokens.end(), joined) == tokens.end()) tokens.push_back(joined);
    for (auto& [symbols, count] : words) {
      for (std::size_t i = 0; i + 1 < symbols.size(); ++i) {
        if (symbols[i] != best.first || symbols[i + 1] != best.second) continue;
        symbols[i] = joined;
        symbols.erase(symbols.begin() + static_cast<std::ptrdiff_t>(i) + 1);
      }
    }
  }
  return tokens;
}

TEST(BpeLearner, IsWorkedOutByHand) {
  // hug 10, pug 5, pun 12, bun 4, hugs 5: (u, g) 20 times, (mark, p) 17, (u, n) 16, and of (h, ug) and
  // (mark, h), both 15, the one with the smaller bytes.
  Lines lines;
  const auto add = [&](int times, const char* word) {
    lines.insert(lines.end(), static_cast<std::size_t>(times), word);
  };
  add(10, "hug");
  add(5, "pug");
  add(12, "pun");
  add(4, "bun");
  add(5, "hugs");
  EXPECT_EQ(learn(lines, {.vocabulary_size = 3 + 8 + 4}),
            (Lines{"\u2581", "b", "g", "h", "n", "p", "s", "u", "ug", "\u2581p", "un", "hug"}));
}

TEST(BpeLearner, EqualsTheNaiveDefinition) {
  const std::vector<std::string> alphabets = {"ab", "abc", "a", "<s>/unk", "abcdefghij"};
  std::mt19937 random(7);
  for (int round = 0; round < 60; ++round) {
    const std::string& letters = alphabets[static_cast<std::size_t>(round) % alphabets.size()];
    Lines lines(1 + random() % 12);
    for (std::string& line : lines) {
      const std::size_t words = random() % 8;
      for (std::size_t w = 0; w < words; ++w) {
        const std::size_t length = 1 + random() % (round % 3 == 0 ? 40 : 7);
        for (std::size_t i = 0; i < length; ++i) line += letters[random() % letters.size()];
        line += ' ';
      }
    }
    const BpeOptions options{.vocabulary_size = static_cast<rapt::Index>(16 + random() % 100),
                             .min_pair_count = static_cast<rapt::Index>(1 + random() % 3)};
    EXPECT_EQ(learn(lines, options), learn_naively(lines, options)) << "round " << round;
  }
}

TEST(BpeLearner, DoesNotDependOnTheOrderOfLines) {
  Lines lines = {"the cat sat", "on the mat", "the bat", "a hat that sat"};
  const auto tokens = learn(lines);
  std::reverse(lines.begin(), lines.end());
  EXPECT_EQ(learn(lines), tokens);
}

TEST(BpeLearner, KeepsTheMostFrequentCharacters) {
  const Lines lines = {"aaa bbbb cc d", "你你 é"};
  EXPECT_EQ(learn(lines, {.vocabulary_size = 100, .min_pair_count = 100}),
            (Lines{"\u2581", "a", "b", "c", "d", "é", "你"}));
  EXPECT_EQ(learn(lines, {.vocabulary_size = 100, .min_pair_count = 100, .max_alphabet = 3}),
            (Lines{"\u2581", "a", "b", "c"}))
      << "of the equally frequent ones, the smaller code point stays";
  EXPECT_EQ(learn(lines, {.vocabulary_size = 100, .min_pair_count = 100, .min_character_count = 2}),
            (Lines{"\u2581", "a", "b", "c", "你"}));
  EXPECT_EQ(learn(lines, {.vocabulary_size = 6}), (Lines{"\u2581", "a", "b"})) << "as many as fit";
}

TEST(BpeLearner, JoinsNothingAcrossAnUnknownCharacter) {
  const auto tokens = learn({"axb axb axb axb"}, {.vocabulary_size = 100, .max_alphabet = 2});
  EXPECT_EQ(tokens, (Lines{"\u2581", "a", "b",
                           "\u2581"
                           "a"}));
}

TEST(BpeLearner, MakesNoSpecialToken) {
  const Lines lines(50, "x<s>y </s> <unk><unk> a<s> b<s> <s> <s>");
  const auto tokens = learn(lines, {.vocabulary_size = 200});
  EXPECT_GT(tokens.size(), 20u);
  for (const std::string& token : tokens) {
    EXPECT_NE(token, "<s>");
    EXPECT_NE(token, "</s>");
    EXPECT_NE(token, "<unk>");
  }
}

TEST(BpeLearner, MakesNoByteTokenWhereThereAreBytes) {
  const Lines lines(50, "x<0x41> y<0x41> z<0x41> <0x41>a x<0xff> y<0xff> z<0xff> <0xff>b");
  const auto with = learn(lines, {.vocabulary_size = 500, .byte_fallback = true});
  for (const std::string& token : with) EXPECT_FALSE(rapt::detail::is_byte_token(token)) << token;
  EXPECT_EQ(std::count(with.begin(), with.end(), "<0xff>"), 1) << "digits are capital letters";
  const auto without = learn(lines, {.vocabulary_size = 500});
  EXPECT_EQ(std::count(without.begin(), without.end(), "<0x41>"), 1);
}

TEST(BpeLearner, WhiteSpaceIsInNoToken) {
  const auto tokens = learn(Lines(9, "\ta b\n  c\r\nd\v\f "), {.vocabulary_size = 400, .lossless = true});
  EXPECT_EQ(Lines(tokens.begin(), tokens.begin() + 5), (Lines{"\u2581", "a", "b", "c", "d"}));
  for (const std::string& token : tokens) EXPECT_EQ(token.find_first_of(" \t\n\v\f\r"), std::string::npos);
}

TEST(BpeLearner, PartsOfATextAreCountedTogether) {
  // Five megabytes are several parts; the lines of one part alone would leave other pairs.
  std::mt19937 random(13);
  Lines lines(2000);
  for (std::string& line : lines) {
    for (int w = 0; w < 10; ++w) {
      for (std::size_t i = 1 + random() % 6; i > 0; --i) line += static_cast<char>('a' + random() % 5 * (random() % 5));
      line += ' ';
    }
  }
  constexpr int kTimes = 56;
  Lines many;
  std::size_t bytes = 0;
  for (int i = 0; i < kTimes; ++i) {
    for (const std::string& line : lines) bytes += many.emplace_back(line).size();
  }
  EXPECT_GT(bytes, 5000000u);
  const auto expected = learn(lines, {.vocabulary_size = 2000, .min_pair_count = 3, .min_character_count = 4});
  EXPECT_GT(expected.size(), 1000u);
  const rapt::Index threads_before = rapt::threads();
  for (const rapt::Index threads : {1, 2, 3}) {
    rapt::set_threads(threads);
    EXPECT_EQ(learn(many, {.vocabulary_size = 2000, .min_pair_count = 3 * kTimes, .min_character_count = 4 * kTimes}),
              expected)
        << threads << " threads";
    EXPECT_EQ(learn(many, {.vocabulary_size = 2000, .byte_fallback = true}),
              learn(many, {.vocabulary_size = 2000, .lossless = true}))
        << "spaces as in this text are the same words in both";
  }
  rapt::set_threads(threads_before);
}

TEST(BpeLearner, BoundsTheLengthOfTokens) {
  for (const std::string& token : learn({std::string(5000, 'a')})) {
    EXPECT_LE(token.size(), rapt::detail::kMaxTokenBytes);
  }
}

TEST(BpeLearner, TimeIsNotQuadraticInWordLength) {
  // 200 000 characters without a space: one step per character and token would be 2 * 10^9 steps, squared far more.
  std::mt19937 random(3);
  std::string line;
  for (int i = 0; i < 200000; ++i) rapt::append_code_point(line, 0x4E00 + static_cast<std::int32_t>(random() % 500));
  const auto begin = std::chrono::steady_clock::now();
  const auto tokens = learn({line}, {.vocabulary_size = 10000});
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
  EXPECT_EQ(tokens.size(), 9997u);
  EXPECT_LT(seconds.count(), 30.0) << "about 0.2 s with optimization";
}

TEST(BpeLearner, NamesTheLineThatIsNotUtf8) {
  EXPECT_EQ(error_text<rapt::ValueError>([] {
              learn({"fine", "not \xC3("});
            }),
            "[bpe.learn] text must be UTF-8: line 2, byte 5");
}

}  // namespace
