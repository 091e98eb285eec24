#include "rapt/text/bpe.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <map>
#include <random>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "tests/common/expect_close.hpp"

namespace {

using rapt::BpeOptions;
using rapt::BytePairEncoding;
using rapt::TokenId;
using rapt_test::error_text;
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

std::vector<std::string_view> words_of(std::string_view line, bool lossless) {
  if (!lossless) return rapt::split_whitespace(line);
  std::vector<std::string_view> words;
  if (line.empty()) return words;
  for (std::size_t space = line.find(' '); space != line.npos; space = line.find(' ')) {
    words.push_back(line.substr(0, space));
    line.remove_prefix(space + 1);
  }
  words.push_back(line);
  return words;
}

/// The definition: looks at all neighbours for each join.
std::vector<TokenId> encode_naively(const BytePairEncoding& bpe, std::string_view line) {
  const rapt::Vocabulary& vocabulary = bpe.vocabulary();
  const TokenId first_piece = vocabulary.id(kMark);
  std::vector<TokenId> ids;
  for (const std::string_view word : words_of(line, bpe.lossless())) {
    std::vector<TokenId> symbols = {first_piece};
    for (std::size_t i = 0; i < word.size();) {
      const std::size_t length = rapt::code_point_at(word, i).length;
      const std::string_view character = word.substr(i, length);
      const TokenId known = character == kMark ? vocabulary.unknown() : vocabulary.id(character);
      if (known == vocabulary.unknown() && bpe.byte_fallback()) {
        for (const char byte : character) symbols.push_back(3 + static_cast<unsigned char>(byte));
      } else {
        symbols.push_back(known);
      }
      i += length;
    }
    while (true) {
      TokenId best = -1;
      std::size_t place = 0;
      for (std::size_t i = 0; i + 1 < symbols.size(); ++i) {
        if (symbols[i] < first_piece || symbols[i + 1] < first_piece) continue;
        const TokenId joined = vocabulary.id(vocabulary.token(symbols[i]) + vocabulary.token(symbols[i + 1]));
        if (joined >= first_piece && (best < 0 || joined < best)) {
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

/// Valid UTF-8 of all kinds: any code points, one script, white space and controls, pieces that look like tokens.
std::string random_text(std::mt19937& random, std::size_t pieces) {
  static const Lines kPieces = {" ",
                                "  ",
                                "   ",
                                "\n",
                                "\r\n",
                                "\t",
                                "\v",
                                "\f",
                                std::string(1, '\0'),
                                "\x7F",
                                "\u2581",
                                "\u2581\u2581",
                                "<0x41>",
                                "<0xE2><0x96><0x81>",
                                "<s>",
                                "</s>",
                                "<unk>",
                                "\u2047",
                                "\uFFFD",
                                "\uFEFF",
                                "\u0085",
                                "\u00A0",
                                "\u2028",
                                "\u3000",
                                "e\u0301",
                                "men",
                                "in",
                                "männer",
                                "两个",
                                "👍🏽",
                                "<0x",
                                "x>",
                                "@@"};
  static const std::vector<std::pair<int, int>> kRanges = {
      {0x00, 0x1F},     {0x20, 0x7E},     {0x80, 0x24F},      {0x300, 0x36F},     {0x370, 0x5FF},   {0x600, 0x6FF},
      {0x900, 0xDFF},   {0xE00, 0xFFF},   {0x1000, 0x1FFF},   {0x2000, 0x2BFF},   {0x3040, 0x30FF}, {0x4E00, 0x9FFF},
      {0xAC00, 0xD7A3}, {0xE000, 0xFFFF}, {0x10000, 0x1FFFF}, {0x20000, 0x10FFFF}};
  std::string text;
  auto range = kRanges[random() % kRanges.size()];
  while (pieces-- > 0) {
    if (random() % 3 == 0) {
      text += kPieces[random() % kPieces.size()];
      continue;
    }
    if (random() % 6 == 0) range = kRanges[random() % kRanges.size()];
    const auto width = static_cast<unsigned>(range.second - range.first + 1);
    rapt::append_code_point(text, range.first + static_cast<int>(random() % width));
  }
  return text;
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

TEST(BytePairEncoding, TellsHowManyTokensAreLearned) {
  std::vector<rapt::Index> told;
  const auto bpe =
      BytePairEncoding::learn(kLines, {.vocabulary_size = 100, .report = [&](rapt::Index done, rapt::Index total) {
                                         EXPECT_LE(done, total);
                                         told.push_back(done);
                                       }});
  ASSERT_FALSE(told.empty());
  for (std::size_t i = 1; i < told.size(); ++i) EXPECT_EQ(told[i], told[i - 1] + 1);
  EXPECT_EQ(bpe.vocabulary().size(), BytePairEncoding::learn(kLines, {.vocabulary_size = 100}).vocabulary().size());
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
  for (const BpeOptions& options : {BpeOptions{.vocabulary_size = 300},
                                    BpeOptions{.vocabulary_size = 500, .max_alphabet = 30, .byte_fallback = true},
                                    BpeOptions{.vocabulary_size = 500, .max_alphabet = 40, .lossless = true}}) {
    const auto bpe = BytePairEncoding::learn(kLines, options);
    for (const std::string& line : kLines) EXPECT_EQ(bpe.encode(line), encode_naively(bpe, line));
    if (!bpe.byte_fallback()) continue;
    for (int i = 0; i < 300; ++i) {
      std::string line = random_text(random, random() % 20);
      // split_whitespace also cuts at Unicode's white space
      if (!bpe.lossless()) std::erase_if(line, [](char c) { return static_cast<unsigned char>(c) >= 0x80 || c < ' '; });
      EXPECT_EQ(bpe.encode(line), encode_naively(bpe, line)) << line;
    }
  }
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
  EXPECT_EQ(error_text<rapt::ValueError>([&] { (void)bpe.decode(outside); }),
            "[vocabulary] token id 100000 is outside the vocabulary of " + std::to_string(bpe.vocabulary().size()));
}

TEST(BytePairEncoding, RefusesBadTextAndOptions) {
  const auto bpe = BytePairEncoding::learn(kLines);
  EXPECT_EQ(error_text<rapt::ValueError>([&] { (void)bpe.encode("ab\xFF"); }),
            "[bpe.encode] text must be UTF-8: byte 3 of 3");
  EXPECT_EQ(error_text<rapt::ValueError>([] { (void)BytePairEncoding::learn(kLines, {.vocabulary_size = 4}); }),
            "[bpe.learn] vocabulary_size must be at least 5: 4");
  EXPECT_EQ(error_text<rapt::ValueError>([] { (void)BytePairEncoding::learn(kLines, {.min_pair_count = 0}); }),
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
  EXPECT_EQ(BytePairEncoding::from_text("\xEF\xBB\xBF" + text, "test").to_text(), text);
}

TEST(BytePairEncoding, NamesTheLineThatIsWrong) {
  const auto read = [](std::string_view text) {
    return error_text<rapt::IoError>([&] { (void)BytePairEncoding::from_text(text, "m.bpe"); });
  };
  const std::string header =
      "[m.bpe:1] the first line must be \"rapt bpe 1\", \"rapt bpe 2 byte_fallback\" or \"rapt bpe 2 lossless\"";
  for (const std::string first : {"", "rapt bpe 2", "rapt bpe 3", "rapt bpe 1 lossless", "rapt bpe 2 lossless ",
                                  "rapt bpe 2 byte_fallback lossless", "Rapt bpe 1"}) {
    EXPECT_EQ(read(first + "\n1\n▁\n"), header) << first;
  }
  EXPECT_EQ(read(""), header);
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
  for (const std::string kind : {"rapt bpe 2 byte_fallback", "rapt bpe 2 lossless"}) {
    EXPECT_EQ(read(kind + "\n1\n<0x00>\n"), "[m.bpe:3] the first token must be the word mark U+2581") << kind;
    EXPECT_EQ(read(kind + "\n2\n▁\n<0xAF>\n"), "[m.bpe:4] a byte must not be listed: \"<0xAF>\"") << kind;
    EXPECT_EQ(read(kind + "\n2\n▁\n<0xaf>\n"), "[m.bpe:4] a token must be two earlier tokens joined: \"<0xaf>\"");
    EXPECT_EQ(read(kind + "\n4\n▁\n<\n>\n><0x00>\n"),
              "[m.bpe:6] a token must be two earlier tokens joined: \"><0x00>\"")
        << "bytes are joined to nothing";
    EXPECT_EQ(read(kind + "\n2\n▁\n▁▁\n"), "[m.bpe:4] the word mark can only begin a token: \"▁▁\"") << kind;
    EXPECT_EQ(read(kind + "\n2\n▁\n\t\n"), "[m.bpe:4] a token must not contain white space: \"\t\"") << kind;
    EXPECT_EQ(read(kind + "\n\n▁\n"), "[m.bpe:2] the second line must be the number of tokens") << kind;
    EXPECT_EQ(read(kind + "\n18446744073709551616\n▁\n"), "[m.bpe:2] the second line must be the number of tokens");
    EXPECT_EQ(read(kind + "\n257\n▁\n"),
              "[m.bpe:3] the text ends too early or too late: tokens announced = 257, found = 1");
  }
  const auto plain = BytePairEncoding::from_text("rapt bpe 1\n6\n▁\n0\n<\n>\nx\n<0\n", "m.bpe");
  EXPECT_EQ(plain.vocabulary().size(), 9);
}

TEST(BytePairEncoding, DamagedTextIsRefusedOrReadWhole) {
  std::mt19937 random(5);
  for (const BpeOptions& options :
       {BpeOptions{.vocabulary_size = 150}, BpeOptions{.vocabulary_size = 400, .byte_fallback = true},
        BpeOptions{.vocabulary_size = 400, .lossless = true}}) {
    const std::string text = BytePairEncoding::learn(kLines, options).to_text();
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
        EXPECT_EQ(BytePairEncoding::from_text(bpe.to_text(), "again").to_text(), bpe.to_text());
        for (const std::string& line : kLines) {
          const std::string decoded = bpe.decode(bpe.encode(line));
          EXPECT_TRUE(decoded == line || !bpe.byte_fallback()) << decoded;
        }
      } catch (const rapt::IoError&) {
        ++refused;
      }
    }
    EXPECT_GT(refused, 1000);
  }
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

TEST(ByteFallback, UnknownCharactersBecomeBytes) {
  const auto bpe = BytePairEncoding::from_text("rapt bpe 2 byte_fallback\n6\n▁\na\nb\nab\n▁a\n▁ab\n", "test");
  EXPECT_TRUE(bpe.byte_fallback());
  EXPECT_FALSE(bpe.lossless());
  EXPECT_EQ(bpe.vocabulary().size(), 3 + 256 + 6);
  EXPECT_EQ(bpe.vocabulary().token(3), "<0x00>");
  EXPECT_EQ(bpe.vocabulary().token(258), "<0xFF>");
  EXPECT_EQ(texts(bpe, "ab aéb ▁"), (Lines{"▁ab", "▁a", "<0xC3>", "<0xA9>", "b", "▁", "<0xE2>", "<0x96>", "<0x81>"}));
  EXPECT_EQ(texts(bpe, "é"), (Lines{"▁", "<0xC3>", "<0xA9>"}));
  for (const std::string line :
       {"ab aéb ▁", "é", "🙂👍🏽 a", "我 b", "<0x41> <s>", "▁▁a ▁", "\u2047", "x\u3000y\u00A0z"}) {
    EXPECT_EQ(bpe.decode(bpe.encode(line)), line);
  }
  EXPECT_EQ(bpe.decode(bpe.encode(" 我\t\tb\n")), "我 b") << "words as ever";
}

TEST(ByteFallback, NothingIsUnknown) {
  std::mt19937 random(21);
  for (const BpeOptions& options : {BpeOptions{.vocabulary_size = 400, .byte_fallback = true},
                                    BpeOptions{.vocabulary_size = 261, .byte_fallback = true},
                                    BpeOptions{.vocabulary_size = 400, .lossless = true}}) {
    const auto bpe = BytePairEncoding::learn(kLines, options);
    EXPECT_LE(bpe.vocabulary().size(), options.vocabulary_size);
    for (int i = 0; i < 300; ++i) {
      const std::string text = random_text(random, random() % 40);
      for (const TokenId id : bpe.encode(text)) EXPECT_FALSE(bpe.vocabulary().is_special(id)) << text;
    }
  }
}

TEST(ByteFallback, DecodesBytesOfAnyKind) {
  const auto bpe = BytePairEncoding::from_text("rapt bpe 2 byte_fallback\n3\n▁\na\n▁a\n", "test");
  const auto decoded = [&](std::string_view bytes) {
    std::vector<TokenId> ids;
    for (const char byte : bytes) ids.push_back(3 + static_cast<unsigned char>(byte));
    return bpe.decode(ids);
  };
  EXPECT_EQ(decoded("\xE4\xBD\xA0!"), "你!");
  EXPECT_EQ(decoded("\xFF"), "\uFFFD");
  EXPECT_EQ(decoded("\xE4\xBD"), "\uFFFD\uFFFD") << "cut short";
  EXPECT_EQ(decoded("\xBD\xE4\xBD\xA0\xA0"), "\uFFFD你\uFFFD");
  EXPECT_EQ(decoded("\xC0\x80"), "\uFFFD\uFFFD") << "overlong";
  EXPECT_EQ(decoded("\xED\xA0\x80"), "\uFFFD\uFFFD\uFFFD") << "a surrogate";
  EXPECT_EQ(decoded("\xF4\x90\x80\x80"), "\uFFFD\uFFFD\uFFFD\uFFFD") << "beyond U+10FFFF";
  for (int byte = 0; byte < 0x80; ++byte) EXPECT_EQ(decoded(std::string(1, char(byte))), std::string(1, char(byte)));
  // Other tokens end a character: <0xE4>, a, <0xBD>, ▁a, </s>, <0xA0>.
  const TokenId a = bpe.vocabulary().id("a"), mark_a = bpe.vocabulary().id("▁a");
  EXPECT_EQ(bpe.decode(std::vector<TokenId>{3 + 0xE4, a, 3 + 0xBD, mark_a, 2, 3 + 0xA0}), "\uFFFDa\uFFFD a\uFFFD");
  EXPECT_EQ(bpe.decode(std::vector<TokenId>{mark_a, 3 + 0xE4}), "a\uFFFD");
  std::mt19937 random(8);
  for (int round = 0; round < 2000; ++round) {
    std::vector<TokenId> ids(random() % 12);
    for (TokenId& id : ids) id = static_cast<TokenId>(random() % static_cast<unsigned>(bpe.vocabulary().size()));
    EXPECT_FALSE(rapt::find_invalid_utf8(bpe.decode(ids)));
  }
}

TEST(ByteFallback, TextMakesNoByteToken) {
  Lines lines = kLines;
  lines.insert(lines.end(), 60, "<0x41> x<0x41>y <0xE2><0x96><0x81> <s> </s>");
  for (const bool lossless : {false, true}) {
    const auto bpe =
        BytePairEncoding::learn(lines, {.vocabulary_size = 1000, .byte_fallback = true, .lossless = lossless});
    for (const std::string line : {"<0x41>", "a<0x41>", "<0xE2><0x96><0x81>", "<0x41", "<s>"}) {
      EXPECT_EQ(bpe.decode(bpe.encode(line)), line);
      for (const TokenId id : bpe.encode(line)) {
        EXPECT_GE(id, 259) << line;
      }
    }
  }
  const auto without = BytePairEncoding::learn(lines, {.vocabulary_size = 1000});
  EXPECT_TRUE(without.vocabulary().contains("<0x41>")) << "an ordinary text where there are no bytes";
}

TEST(ByteFallback, VocabularyMustHoldTheBytes) {
  for (const bool lossless : {false, true}) {
    EXPECT_EQ(error_text<rapt::ValueError>([&] {
                (void)BytePairEncoding::learn(
                    kLines, {.vocabulary_size = 260, .byte_fallback = !lossless, .lossless = lossless});
              }),
              "[bpe.learn] vocabulary_size must be at least 261: 260");
  }
  EXPECT_EQ(BytePairEncoding::learn(kLines, {.vocabulary_size = 261, .lossless = true}).vocabulary().size(), 261);
}

TEST(ByteFallback, LearnsTheSameTokens) {
  const auto plain = BytePairEncoding::learn(kLines, {.vocabulary_size = 200});
  const auto bytes = BytePairEncoding::learn(kLines, {.vocabulary_size = 456, .byte_fallback = true});
  const auto a = plain.vocabulary().tokens().subspan(3), b = bytes.vocabulary().tokens().subspan(3 + 256);
  EXPECT_TRUE(std::equal(a.begin(), a.end(), b.begin(), b.end()));
}

TEST(Lossless, KeepsEverySpace) {
  const auto bpe = BytePairEncoding::from_text("rapt bpe 2 lossless\n5\n▁\na\nb\n▁a\n▁ab\n", "test");
  EXPECT_TRUE(bpe.lossless());
  EXPECT_TRUE(bpe.byte_fallback());
  EXPECT_EQ(texts(bpe, "ab a"), (Lines{"▁ab", "▁a"}));
  EXPECT_EQ(texts(bpe, " ab  a "), (Lines{"▁", "▁ab", "▁", "▁a", "▁"}));
  EXPECT_EQ(texts(bpe, "a\tb\n"), (Lines{"▁a", "<0x09>", "b", "<0x0A>"}));
  EXPECT_EQ(texts(bpe, " "), (Lines{"▁", "▁"}));
  EXPECT_TRUE(bpe.encode("").empty());
  EXPECT_EQ(texts(bpe, "a▁"), (Lines{"▁a", "<0xE2>", "<0x96>", "<0x81>"}));
}

TEST(Lossless, RestoresAnyText) {
  Lines odd = kLines;
  odd.insert(odd.end(), 30, "  <0x41>  ▁▁ <s>\t\tx\r\ny\n\n <unk> ▁<0xE2><0x96><0x81> " + std::string(1, '\0'));
  std::mt19937 random(17);
  for (int i = 0; i < 300; ++i) odd.push_back(random_text(random, 30));
  const std::vector<BytePairEncoding> models = {
      BytePairEncoding::learn(Lines{}, {.lossless = true}),
      BytePairEncoding::learn(kLines, {.vocabulary_size = 300, .max_alphabet = 20, .lossless = true}),
      BytePairEncoding::learn(kLines, {.vocabulary_size = 600, .lossless = true}),
      BytePairEncoding::learn(odd, {.vocabulary_size = 3000, .min_pair_count = 1, .lossless = true}),
  };
  rapt::Rng rng(3);
  for (const BytePairEncoding& bpe : models) {
    for (const std::string& line : odd) EXPECT_EQ(bpe.decode(bpe.encode(line)), line);
    for (const std::string line :
         {"", " ", "  ", "\n", "▁", " ▁", "▁ ", "▁▁", "<0x41>", "<s>", "\uFEFF", " a", "a ", " a "}) {
      EXPECT_EQ(bpe.decode(bpe.encode(line)), line);
    }
    for (int i = 0; i < 5000; ++i) {
      const std::string text = random_text(random, random() % 40);
      EXPECT_EQ(bpe.decode(bpe.encode(text)), text);
      EXPECT_EQ(bpe.decode(bpe.encode(text, 0.3, rng)), text);
    }
    std::string all;  // every code point but surrogates
    for (std::int32_t value = 0; value <= 0x10FFFF; ++value) {
      if (value < 0xD800 || value > 0xDFFF) rapt::append_code_point(all, value);
    }
    EXPECT_TRUE(bpe.decode(bpe.encode(all)) == all);
  }
}

TEST(Lossless, LearnsWordsAsTheirSpacesAre) {
  const auto bpe = BytePairEncoding::learn(Lines(20, "  two  men\t\nand "), {.vocabulary_size = 320, .lossless = true});
  EXPECT_EQ(texts(bpe, "two men"), (Lines{"▁two", "▁men"}));
  for (const std::string& token : bpe.vocabulary().tokens()) {
    EXPECT_EQ(token.find_first_of(" \t\n\v\f\r"), std::string::npos);
    EXPECT_EQ(token.find(kMark, 1), std::string::npos) << token;
  }
}

TEST(Lossless, TextHoldsTheMode) {
  for (const bool lossless : {false, true}) {
    const auto bpe =
        BytePairEncoding::learn(kLines, {.vocabulary_size = 350, .byte_fallback = true, .lossless = lossless});
    const std::string text = bpe.to_text();
    EXPECT_TRUE(text.starts_with(lossless ? "rapt bpe 2 lossless\n91\n▁\n" : "rapt bpe 2 byte_fallback\n91\n▁\n"))
        << text.substr(0, 40);
    const auto again = BytePairEncoding::from_text(text, "test");
    EXPECT_EQ(again.lossless(), lossless);
    EXPECT_TRUE(again.byte_fallback());
    EXPECT_EQ(again.to_text(), text);
    std::string windows;
    for (const char c : text) windows += c == '\n' ? "\r\n" : std::string(1, c);
    EXPECT_EQ(BytePairEncoding::from_text(windows, "test").to_text(), text);
    std::mt19937 random(2);
    for (int i = 0; i < 100; ++i) {
      const std::string line = random_text(random, 20);
      EXPECT_EQ(again.encode(line), bpe.encode(line));
    }
  }
}

TEST(MergeDropout, ZeroIsEncodeAndOneIsCharacters) {
  rapt::Rng rng(5);
  for (const BpeOptions& options : {BpeOptions{.vocabulary_size = 300},
                                    BpeOptions{.vocabulary_size = 500, .max_alphabet = 30, .byte_fallback = true},
                                    BpeOptions{.vocabulary_size = 500, .max_alphabet = 40, .lossless = true}}) {
    const auto bpe = BytePairEncoding::learn(kLines, options);
    const rapt::Index first_joined = static_cast<rapt::Index>(
        std::find_if(bpe.vocabulary().tokens().begin() + bpe.vocabulary().id(kMark) + 1,
                     bpe.vocabulary().tokens().end(),
                     [](const std::string& token) { return rapt::code_point_at(token, 0).length < token.size(); }) -
        bpe.vocabulary().tokens().begin());
    for (const std::string& line : kLines) {
      EXPECT_EQ(bpe.encode(line, 0, rng), bpe.encode(line));
      for (const TokenId id : bpe.encode(line, 1, rng)) EXPECT_LT(id, first_joined);
      EXPECT_EQ(bpe.decode(bpe.encode(line, 1, rng)), bpe.decode(bpe.encode(line)));
    }
  }
}

TEST(MergeDropout, DependsOnTheGeneratorAlone) {
  const auto bpe = BytePairEncoding::learn(kLines, {.vocabulary_size = 300});
  rapt::Rng rng(7), same(7), other(8);
  int differ = 0;
  for (const std::string& line : kLines) {
    const auto ids = bpe.encode(line, 0.5, rng);
    EXPECT_EQ(bpe.encode(line, 0.5, same), ids);
    EXPECT_EQ(bpe.decode(ids), line);
    differ += bpe.encode(line, 0.5, other) != ids;
  }
  EXPECT_GT(differ, 5);
  EXPECT_EQ(rng.state().streams_taken, kLines.size()) << "a stream a line";
}

TEST(MergeDropout, HasTheDistributionOfItsDefinition) {
  // First ab or, when that is passed over, bc; then the rest, or nothing.
  const auto bpe = BytePairEncoding::from_text("rapt bpe 1\n7\n▁\na\nb\nc\nab\nbc\nabc\n", "test");
  rapt::Rng rng(9);
  for (const double p : {0.1, 0.5, 0.8}) {
    const std::map<Lines, double> expected = {{{"▁", "abc"}, (1 - p * p) * (1 - p)},
                                              {{"▁", "ab", "c"}, (1 - p) * p},
                                              {{"▁", "a", "bc"}, p * (1 - p) * p},
                                              {{"▁", "a", "b", "c"}, p * p}};
    constexpr int kDraws = 20000;
    std::map<Lines, int> found;
    for (int i = 0; i < kDraws; ++i) {
      Lines tokens;
      for (const TokenId id : bpe.encode("abc", p, rng)) tokens.push_back(bpe.vocabulary().token(id));
      ++found[tokens];
    }
    EXPECT_EQ(found.size(), expected.size());
    for (const auto& [tokens, probability] : expected) {
      const double deviation = std::sqrt(kDraws * probability * (1 - probability));
      EXPECT_NEAR(found[tokens], kDraws * probability, 4 * deviation) << "p = " << p << ", tokens = " << tokens.size();
    }
  }
}

TEST(MergeDropout, MoreDropoutMakesMoreTokens) {
  const auto bpe = BytePairEncoding::learn(kLines, {.vocabulary_size = 400});
  rapt::Rng rng(1);
  std::size_t last = 0;
  for (const double p : {0.0, 0.1, 0.3, 0.6, 0.9, 1.0}) {
    std::size_t tokens = 0;
    for (int i = 0; i < 20; ++i) {
      for (const std::string& line : kLines) tokens += bpe.encode(line, p, rng).size();
    }
    EXPECT_GT(tokens, last) << "p = " << p;
    last = tokens;
  }
}

TEST(MergeDropout, RefusesWhatIsNoProbability) {
  const auto bpe = BytePairEncoding::learn(kLines, {.vocabulary_size = 100});
  rapt::Rng rng(1);
  EXPECT_EQ(error_text<rapt::ValueError>([&] { (void)bpe.encode("a", -0.5, rng); }),
            "[bpe.encode] dropout must be from 0 to 1: -0.5");
  EXPECT_EQ(error_text<rapt::ValueError>([&] { (void)bpe.encode("a", 1.5, rng); }),
            "[bpe.encode] dropout must be from 0 to 1: 1.5");
  EXPECT_THROW((void)bpe.encode("a", std::nan(""), rng), rapt::ValueError);
  EXPECT_THROW((void)bpe.encode("\xFF", 0.1, rng), rapt::ValueError);
}

TEST(MergeDropout, TimeIsNotQuadraticInWordLength) {
  std::string word;
  for (int i = 0; i < 200000; ++i) word += "abab aba bbab"[i % 13 == 4 || i % 13 == 8 ? 0 : i % 13];
  const auto bpe = BytePairEncoding::learn(Lines{word}, {.vocabulary_size = 60});
  rapt::Rng rng(4);
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_EQ(bpe.decode(bpe.encode(word, 0.1, rng)), word);
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
  EXPECT_LT(seconds.count(), 20.0) << "about 0.1 s with optimization";
}

}  // namespace
