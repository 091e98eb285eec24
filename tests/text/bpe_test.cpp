#include "rapt/text/bpe.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace {

using rapt::BpeOptions;
using rapt::BytePairEncoding;
using rapt::TokenId;
using Lines = std::vector<std::string>;

constexpr std::string_view kMark = "\u2581";

const Lines kLines = {"two young men are outside near many bushes .",
                      "several men in hard hats are operating a giant pulley system .",
                      "a little girl climbing into a wooden playhouse .",
                      "a man in a blue shirt is standing on a ladder .",
                      "zwei junge weiße männer sind im freien in der nähe vieler büsche .",
                      "mehrere männer mit schutzhelmen bedienen ein antriebsradsystem .",
                      "ein kleines mädchen klettert in ein spielhaus aus holz .",
                      "两个年轻的白人男性在户外许多灌木附近。",
                      "几个戴着安全帽的男人在操作一个巨大的滑轮系统。"};

std::vector<std::string> texts(const BytePairEncoding& bpe, std::string_view line) {
  std::vector<std::string> tokens;
  for (const TokenId id : bpe.encode(line)) tokens.push_back(bpe.vocabulary().token(id));
  return tokens;
}

/// The definition: looks at all neighbours for each join.
std::vector<TokenId> encode_naively(const BytePairEncoding& bpe, std::string_view line) {
  const rapt::Vocabulary& vocabulary = bpe.vocabulary();
  std::vector<TokenId> ids;
  for (const std::string_view word : rapt::split_whitespace(line)) {
    std::vector<TokenId> symbols = {vocabulary.id(kMark)};
    for (std::size_t i = 0; i < word.size();) {
      const std::size_t length = rapt::code_point_at(word, i).length;
      const std::string_view character = word.substr(i, length);
      symbols.push_back(character == kMark ? vocabulary.unknown() : vocabulary.id(character));
      i += length;
    }
    while (true) {
      TokenId best = -1;
      std::size_t place = 0;
      for (std::size_t i = 0; i + 1 < symbols.size(); ++i) {
        if (vocabulary.is_special(symbols[i]) || vocabulary.is_special(symbols[i + 1])) continue;
        const TokenId joined = vocabulary.id(vocabulary.token(symbols[i]) + vocabulary.token(symbols[i + 1]));
        if (joined != vocabulary.unknown() && (best < 0 || joined < best)) {
          best = joined;
          place = i;
        }
      }
      if (best < 0) break;
      symbols[place] = best;
      symbols.erase(symbols.begin() + static_cast<std::ptrdiff_t>(place) + 1);
    }
    ids.insert(ids.end(), symbols.begin(), symbols.end());
  }
  return ids;
}

template <class E = rapt::IoError, class Call>
std::string message_of(Call&& call) {
  try {
    call();
  } catch (const E& error) {
    return error.what();
  }
  return "no error of this kind";
}

TEST(BytePairEncoding, JoinsByRank) {
  const auto bpe = BytePairEncoding::from_text("rapt bpe 1\n8\n▁\na\nb\nc\nab\nbc\nabc\n▁abc\n", "test");
  EXPECT_EQ(texts(bpe, "abc"), (Lines{"▁abc"})) << "by ab and c";
  EXPECT_EQ(texts(bpe, "bcab"), (Lines{"▁", "bc", "ab"}));
  EXPECT_EQ(texts(bpe, "abcabc x"), (Lines{"▁abc", "abc", "▁", "<unk>"}));
  const auto runs = BytePairEncoding::from_text("rapt bpe 1\n4\n▁\na\naa\naaaa\n", "test");
  EXPECT_EQ(texts(runs, "aaaaaaa"), (Lines{"▁", "aaaa", "aa", "a"})) << "from the left";
}

TEST(BytePairEncoding, JoinsOnlyWhatRanksLeadTo) {
  // "ab" goes first and takes the b away from "bc", so "▁abc" is not reached through ▁a and bc.
  const auto bpe = BytePairEncoding::from_text("rapt bpe 1\n8\n▁\na\nb\nc\nab\nbc\n▁a\n▁abc\n", "test");
  EXPECT_EQ(texts(bpe, "abc"), (Lines{"▁", "ab", "c"}));
}

TEST(BytePairEncoding, RoundTripIsExact) {
  for (const rapt::Index size : {80, 120, 200, 1000}) {
    const auto bpe = BytePairEncoding::learn(kLines, {.vocabulary_size = size, .max_alphabet = 60 + size});
    for (const std::string& line : kLines) {
      const auto ids = bpe.encode(line);
      if (std::find(ids.begin(), ids.end(), bpe.vocabulary().unknown()) == ids.end()) {
        EXPECT_EQ(bpe.decode(ids), line);
      } else {
        EXPECT_LT(size, 120) << "the alphabet should fit";
      }
    }
  }
}

TEST(BytePairEncoding, EncodesAsTheNaiveDefinition) {
  std::mt19937 random(11);
  for (int round = 0; round < 20; ++round) {
    const std::string letters = round % 2 == 0 ? "abc " : "ab ";
    const auto draw = [&](std::size_t length) {
      std::string line;
      for (std::size_t i = 0; i < length; ++i) line += letters[random() % (letters.size() + 3) % letters.size()];
      return line;
    };
    const auto bpe = BytePairEncoding::learn(Lines{draw(400), draw(100)}, {.vocabulary_size = 40 + round * 5});
    for (int i = 0; i < 20; ++i) {
      const std::string line = draw(random() % 120) + "x▁";
      EXPECT_EQ(bpe.encode(line), encode_naively(bpe, line)) << line;
    }
  }
  const auto bpe = BytePairEncoding::learn(kLines, {.vocabulary_size = 300});
  for (const std::string& line : kLines) EXPECT_EQ(bpe.encode(line), encode_naively(bpe, line));
}

TEST(BytePairEncoding, JoinsRunsOfSpaces) {
  const auto bpe = BytePairEncoding::learn(kLines);
  EXPECT_EQ(bpe.decode(bpe.encode("  two \t men\r\n")), "two men");
  EXPECT_TRUE(bpe.encode("").empty());
  EXPECT_TRUE(bpe.encode(" \n ").empty());
  EXPECT_EQ(bpe.decode({}), "");
}

TEST(BytePairEncoding, NoTextMakesASpecialToken) {
  Lines lines = kLines;
  lines.insert(lines.end(), 40, "<s> </s> <unk> x<s>y z<unk> q</s>");
  const auto bpe = BytePairEncoding::learn(lines, {.vocabulary_size = 1000});
  for (const std::string line : {"<s>", "</s>", "<unk>", "a<s>", "a</s><s> <unk>"}) {
    for (const TokenId id : bpe.encode(line)) EXPECT_FALSE(bpe.vocabulary().is_special(id)) << line;
    EXPECT_EQ(bpe.decode(bpe.encode(line)), line);
  }
}

TEST(BytePairEncoding, ALiteralWordMarkIsUnknown) {
  const auto bpe = BytePairEncoding::learn(Lines{"a▁a ▁a ▁ a▁ a a"}, {.vocabulary_size = 100, .min_pair_count = 1});
  EXPECT_EQ(texts(bpe, "▁"), (Lines{"▁", "<unk>"}));
  EXPECT_EQ(texts(bpe, "a▁a"), (Lines{"▁a", "<unk>", "a"})) << "and begins no word";
  EXPECT_EQ(bpe.decode(bpe.encode("a▁a ▁")), "a⁇a ⁇");
}

TEST(BytePairEncoding, DecodesSpecialTokens) {
  const auto bpe = BytePairEncoding::learn(kLines);
  std::vector<TokenId> ids = {1};
  for (const TokenId id : bpe.encode("two men")) ids.push_back(id);
  ids.insert(ids.end(), {0, 2, 2});
  EXPECT_EQ(bpe.decode(ids), "two men⁇");
  const std::vector<TokenId> unknown_first = {0, bpe.vocabulary().id("▁")};
  EXPECT_EQ(bpe.decode(unknown_first), "⁇ ");
  const std::vector<TokenId> outside = {3, 100000};
  EXPECT_EQ(message_of<rapt::ValueError>([&] { (void)bpe.decode(outside); }),
            "[vocabulary] token id 100000 is outside the vocabulary of " + std::to_string(bpe.vocabulary().size()));
}

TEST(BytePairEncoding, RefusesBadTextAndOptions) {
  const auto bpe = BytePairEncoding::learn(kLines);
  EXPECT_EQ(message_of<rapt::ValueError>([&] { (void)bpe.encode("ab\xFF"); }),
            "[bpe.encode] text must be UTF-8: byte 3 of 3");
  EXPECT_EQ(message_of<rapt::ValueError>([] { (void)BytePairEncoding::learn(kLines, {.vocabulary_size = 4}); }),
            "[bpe.learn] vocabulary_size must be at least 5: 4");
  EXPECT_EQ(message_of<rapt::ValueError>([] { (void)BytePairEncoding::learn(kLines, {.min_pair_count = 0}); }),
            "[bpe.learn] options must be positive: min_pair_count = 0, min_character_count = 1, max_alphabet = 4000");
}

TEST(BytePairEncoding, LearnsFromNothing) {
  const auto bpe = BytePairEncoding::learn(Lines{});
  EXPECT_EQ(bpe.vocabulary().size(), 4);
  EXPECT_EQ(texts(bpe, "ab"), (Lines{"▁", "<unk>", "<unk>"}));
  EXPECT_EQ(BytePairEncoding::from_text(bpe.to_text(), "test").to_text(), bpe.to_text());
}

TEST(BytePairEncoding, TextHoldsTheWholeModel) {
  const auto bpe = BytePairEncoding::learn(kLines, {.vocabulary_size = 200});
  const std::string text = bpe.to_text();
  EXPECT_EQ(text.rfind("rapt bpe 1\n" + std::to_string(bpe.vocabulary().size() - 3) + "\n▁\n", 0), 0u);
  const auto again = BytePairEncoding::from_text(text, "test");
  EXPECT_EQ(again.to_text(), text);
  for (const std::string& line : kLines) EXPECT_EQ(again.encode(line), bpe.encode(line));

  std::string windows;
  for (const char c : text) windows += c == '\n' ? "\r\n" : std::string(1, c);
  EXPECT_EQ(BytePairEncoding::from_text(windows, "test").to_text(), text) << "line ends may change on the way";
}

TEST(BytePairEncoding, NamesTheLineThatIsWrong) {
  const auto read = [](std::string_view text) {
    return message_of([&] { (void)BytePairEncoding::from_text(text, "m.bpe"); });
  };
  EXPECT_EQ(read(""), "[m.bpe:1] the first line must be \"rapt bpe 1\"");
  EXPECT_EQ(read("rapt bpe 2\n1\n▁\n"), "[m.bpe:1] the first line must be \"rapt bpe 1\"");
  EXPECT_EQ(read("rapt bpe 1\n"), "[m.bpe:2] the second line must be the number of tokens");
  EXPECT_EQ(read("rapt bpe 1\nx\n▁\n"), "[m.bpe:2] the second line must be the number of tokens");
  EXPECT_EQ(read("rapt bpe 1\n3\n▁\na\n"),
            "[m.bpe:4] the text ends too early or too late: tokens announced = 3, found = 2");
  EXPECT_EQ(read("rapt bpe 1\n1\n▁\na\n"),
            "[m.bpe:4] the text ends too early or too late: tokens announced = 1, found = 2");
  EXPECT_EQ(read("rapt bpe 1\n1\na\n"), "[m.bpe:3] the first token must be the word mark U+2581");
  EXPECT_EQ(read("rapt bpe 1\n3\n▁\na\na\n"), "[m.bpe:5] a token must occur once: \"a\" stands on line 4 too");
  EXPECT_EQ(read("rapt bpe 1\n3\n▁\n\na\n"), "[m.bpe:4] a token must not be empty: \"\"");
  EXPECT_EQ(read("rapt bpe 1\n2\n▁\na b\n"), "[m.bpe:4] a token must not contain white space: \"a b\"");
  EXPECT_EQ(read("rapt bpe 1\n2\n▁\n<s>\n"), "[m.bpe:4] a special token must not be listed: \"<s>\"");
  EXPECT_EQ(read("rapt bpe 1\n3\n▁\na\na▁\n"), "[m.bpe:5] the word mark can only begin a token: \"a▁\"");
  EXPECT_EQ(read("rapt bpe 1\n3\n▁\na\nab\n"), "[m.bpe:5] a token must be two earlier tokens joined: \"ab\"");
  EXPECT_EQ(read("rapt bpe 1\n4\n▁\na\nab\nb\n"), "[m.bpe:5] a token must be two earlier tokens joined: \"ab\"");
  EXPECT_EQ(read("rapt bpe 1\n2\n▁\na\xFF\n"), "[m.bpe:4] not UTF-8: byte 2 of the line");
  EXPECT_EQ(read("rapt bpe 1\n2\n▁\n" + std::string(300, 'a')), "[m.bpe:4] a token has at most 256 bytes: 300");
}

TEST(BytePairEncoding, DamagedTextIsRefusedOrReadWhole) {
  const std::string text = BytePairEncoding::learn(kLines, {.vocabulary_size = 150}).to_text();
  std::mt19937 random(5);
  int refused = 0;
  for (int round = 0; round < 1500; ++round) {
    std::string damaged = text;
    for (std::size_t edits = 1 + random() % 3; edits > 0; --edits) {
      const std::size_t at = random() % damaged.size();
      switch (random() % 3) {
        case 0:
          damaged[at] = static_cast<char>(random());
          break;
        case 1:
          damaged.erase(at, random() % 20);
          break;
        default:
          damaged.insert(at, 1 + random() % 3, static_cast<char>(random()));
      }
    }
    try {
      const auto bpe = BytePairEncoding::from_text(damaged, "damaged");
      for (const std::string& line : kLines) (void)bpe.decode(bpe.encode(line));
    } catch (const rapt::IoError&) {
      ++refused;
    }
  }
  EXPECT_GT(refused, 1000);
}

TEST(BytePairEncoding, ManyThreadsUseOneObject) {
  const auto bpe = BytePairEncoding::learn(kLines, {.vocabulary_size = 300});
  std::vector<int> wrong(4, 0);
  std::vector<std::thread> threads;
  for (std::size_t t = 0; t < wrong.size(); ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 200; ++i) {
        for (const std::string& line : kLines) wrong[t] += bpe.decode(bpe.encode(line)) != line;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, std::vector<int>(4, 0));
}

}  // namespace
