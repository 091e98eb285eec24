#include "examples/common/phrases.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace {

using phrases::Pair;

const std::vector<Pair>& corpus() {
  static const std::vector<Pair> pairs = phrases::generate();
  return pairs;
}

// The translation of a sentence of the corpus, or "".
std::string english_of(const std::string& chinese) {
  for (const Pair& pair : corpus()) {
    if (pair.chinese == chinese) return pair.english;
  }
  return "";
}

bool starts(const std::string& text, std::string_view begin) { return text.starts_with(begin); }

TEST(Phrases, HasThousandsOfPairsAndIsTheSameEachTime) {
  EXPECT_GE(corpus().size(), 10000u);
  EXPECT_LE(corpus().size(), 12000u);
  EXPECT_EQ(corpus(), phrases::generate());
}

// The draws must not depend on the compiler: FNV-1a of all texts in their order.
TEST(Phrases, IsTheSameWithEveryCompiler) {
  std::uint64_t hash = 0xcbf29ce484222325;
  for (const Pair& pair : corpus()) {
    for (const char c : pair.chinese + "\t" + pair.english + "\n") {
      hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
    }
  }
  EXPECT_EQ(hash, 0x71a4d30593c80719u) << std::hex << hash;
}

TEST(Phrases, NoTextOccursTwice) {
  std::set<std::string> chinese, english;
  for (const Pair& pair : corpus()) {
    EXPECT_TRUE(chinese.insert(pair.chinese).second) << pair.chinese;
    EXPECT_TRUE(english.insert(pair.english).second) << pair.english;
  }
}

TEST(Phrases, EveryPatternReachesItsCount) {
  std::size_t expected = std::size(phrases::detail::kFixed);
  for (const auto& pattern : phrases::detail::kPatterns) expected += pattern.count;
  EXPECT_EQ(corpus().size(), expected);
}

TEST(Phrases, TextsAreClean) {
  for (const auto& [chinese, english] : corpus()) {
    EXPECT_EQ(chinese.ends_with("？"), english.ends_with("?")) << chinese << " / " << english;
    EXPECT_EQ(chinese.find_first_of(" ?.{}|abcdefghijklmnopqrstuvwxyz"), std::string::npos) << chinese;
    EXPECT_EQ(english.find_first_of("{}|.,"), std::string::npos) << english;
    EXPECT_EQ(english.find("  "), std::string::npos) << english;
    EXPECT_FALSE(starts(english, " ") || english.ends_with(" ")) << english;
    for (const char c : english) EXPECT_LT(static_cast<unsigned char>(c), 0x80) << english;
  }
}

TEST(Phrases, OnlyNamesAndIAreCapitalised) {
  const std::set<std::string> capitalised = {
      "I",    "TV",    "Chinese", "English", "Beijing", "Shanghai", "Nanjing", "Tokyo",  "Guangzhou", "Tom",
      "Anna", "David", "Mary",    "Tom's",   "Anna's",  "David's",  "Mary's",  "London", "Paris"};
  for (const Pair& pair : corpus()) {
    for (const std::string& token : phrases::english_tokens(pair.english)) {
      if (token[0] >= 'A' && token[0] <= 'Z') {
        EXPECT_TRUE(capitalised.contains(token)) << pair.english;
      }
    }
  }
}

TEST(Phrases, EnglishAgrees) {
  const std::set<std::string> third = {"he", "she", "it", "Tom", "Anna", "David", "Mary"};
  const std::set<std::string> other = {"I", "you", "we", "they"};
  const std::set<std::string> not_for_third = {"am",   "are",  "do",   "have", "want",
                                               "like", "love", "were", "live", "know"};
  const std::set<std::string> not_for_other = {"is", "does", "has", "wants", "likes", "loves", "lives", "knows"};
  std::size_t checked = 0;
  for (const Pair& pair : corpus()) {
    const std::vector<std::string> words = phrases::english_tokens(pair.english);
    for (std::size_t i = 0; i + 1 < words.size(); ++i) {
      const std::string &word = words[i], &next = words[i + 1];
      if (i == 0 && third.contains(word)) {
        ++checked;
        EXPECT_FALSE(not_for_third.contains(next)) << pair.english;
      } else if (i == 0 && other.contains(word)) {
        ++checked;
        EXPECT_FALSE(not_for_other.contains(next)) << pair.english;
        if (word != "I") {
          EXPECT_NE(next, "am") << pair.english;
          EXPECT_NE(next, "was") << pair.english;
        } else {
          EXPECT_NE(next, "are") << pair.english;
          EXPECT_NE(next, "were") << pair.english;
        }
      }
      const bool vowel = std::string_view("aeiou").find(next[0]) != std::string_view::npos;
      EXPECT_FALSE(word == "a" && vowel) << pair.english;
      EXPECT_FALSE(word == "an" && !vowel) << pair.english;
    }
  }
  EXPECT_GT(checked, 4000u);
}

TEST(Phrases, TenseIsMarkedOnBothSides) {
  const auto has = [](const std::string& text, std::string_view part) { return text.find(part) != text.npos; };
  for (const auto& [chinese, english] : corpus()) {
    EXPECT_EQ(has(chinese, "昨天") && !has(chinese, "昨天晚上"), has(english, "yesterday"))
        << chinese << " / " << english;
    EXPECT_EQ(has(chinese, "昨天晚上"), has(english, "last night")) << chinese << " / " << english;
    EXPECT_TRUE(!has(chinese, "正在") || has(english, "ing")) << chinese << " / " << english;
    if (has(english, "will ")) {
      EXPECT_TRUE(has(chinese, "明天") || has(chinese, "今天晚上") || has(chinese, "这个周末")) << chinese;
    }
    if (!has(chinese, "？")) {
      EXPECT_EQ(has(chinese, "不") || has(chinese, "没"), has(english, " not") || has(english, "cannot") ||
                                                              has(english, " no ") || has(english, "never") ||
                                                              english == "you are welcome" || english == "I am sorry")
          << chinese << " / " << english;
    }
  }
}

TEST(Phrases, NobodyAsksAboutHimself) {
  for (const auto& [chinese, english] : corpus()) {
    EXPECT_FALSE(starts(chinese, "我") && chinese.ends_with("吗？")) << chinese;
    EXPECT_FALSE(starts(english, "do I ") || starts(english, "am I ")) << english;
    EXPECT_EQ(english.find("I love me"), std::string::npos);
  }
}

TEST(Phrases, KnowsTheEverydayPhrases) {
  EXPECT_EQ(english_of("我爱你"), "I love you");
  EXPECT_EQ(english_of("你好"), "hello");
  EXPECT_EQ(english_of("谢谢"), "thank you");
  EXPECT_EQ(english_of("再见"), "goodbye");
  EXPECT_EQ(english_of("早上好"), "good morning");
}

TEST(PhrasesGrammar, AgreementHasThreeForms) {
  using namespace phrases::detail;
  EXPECT_EQ(agree("am|are|is", kFirst), "am");
  EXPECT_EQ(agree("am|are|is", kOther), "are");
  EXPECT_EQ(agree("am|are|is", kThird), "is");
  EXPECT_EQ(with_article("old apple"), "an old apple");
  EXPECT_EQ(with_article("cup"), "a cup");
}

TEST(PhrasesGrammar, TensesAndMoods) {
  using namespace phrases::detail;
  Draw draw(1);
  const Person she{"她", "she", "her", "her", kThird}, they{"他们", "they", "them", "their", kOther};
  const Phrase run{"跑步", "", "run", ""}, have{"有", "猫", "have", " a cat"};
  EXPECT_EQ(clause(draw, she, run, kRightNow, kNegation), (Pair{"她没在跑步", "she is not running"}));
  EXPECT_EQ(clause(draw, they, run, kRightNow, kQuestion), (Pair{"他们正在跑步吗？", "are they running?"}));
  EXPECT_EQ(clause(draw, she, run, kOften, kStatement), (Pair{"她经常跑步", "she often runs"}));
  EXPECT_EQ(clause(draw, they, run, kOften, kStatement), (Pair{"他们经常跑步", "they often run"}));
  EXPECT_EQ(clause(draw, she, run, kUsually, kNegation), (Pair{"她不跑步", "she does not run"}));
  EXPECT_EQ(clause(draw, she, run, kSkilled, kNegation), (Pair{"她不会跑步", "she cannot run"}));
  EXPECT_EQ(clause(draw, she, have, kAlways, kNegation), (Pair{"她没有猫", "she does not have a cat"}));
  const Phrase buy{"买", "两本书", "buy", " two books", true};
  const Pair past = clause(draw, she, buy, kYesterday, kQuestion);
  EXPECT_TRUE(past.chinese.ends_with("买了两本书吗？")) << past.chinese;
  EXPECT_TRUE(starts(past.english, "did she buy two books ")) << past.english;
}

TEST(PhrasesLexicon, TablesNameWhatExists) {
  using namespace phrases::detail;
  const auto known = [](std::string_view verb) {
    return std::any_of(std::begin(kVerbs), std::end(kVerbs), [&](const Verb& v) { return v.base == verb; });
  };
  for (const Action& a : kActions) {
    EXPECT_TRUE(known(a.verb)) << a.verb;
    for (const char letter : a.places) {
      EXPECT_TRUE(letter == '+' || std::any_of(std::begin(kPlaces), std::end(kPlaces),
                                               [&](const Place& p) { return p.letter == letter; }))
          << a.chinese << letter;
    }
  }
  for (const Errand& e : kErrands) EXPECT_TRUE(known(e.verb)) << e.verb;
  for (const Serving& food : kServings) EXPECT_TRUE(known(food.verb)) << food.verb;
  for (const Noun& noun : kNouns) {
    EXPECT_GE(noun.most, 2u) << noun.singular;
    EXPECT_LT(noun.most, std::size(kNumbers)) << noun.singular;
  }
}

TEST(PhrasesSplit, HoldsOutUnseenSentences) {
  for (const std::uint64_t seed : {0u, 1u, 7u}) {
    const phrases::Split parts = phrases::split(corpus(), seed);
    EXPECT_NEAR(static_cast<double>(parts.test.size()), 500, 10);
    EXPECT_NEAR(static_cast<double>(parts.validation.size()), 300, 10);
    std::set<std::string> train;
    std::map<std::string, int> uses;
    for (const Pair& pair : parts.train) {
      train.insert({pair.chinese, pair.english});
      for (const std::string& token : phrases::chinese_tokens(pair.chinese)) ++uses[token];
      for (const std::string& token : phrases::english_tokens(pair.english)) ++uses[token];
    }
    std::set<std::string> test;
    for (const Pair& pair : parts.test) {
      test.insert({pair.chinese, pair.english});
      EXPECT_FALSE(train.contains(pair.chinese)) << pair.chinese;
      EXPECT_FALSE(train.contains(pair.english)) << pair.english;
      for (const std::string& token : phrases::chinese_tokens(pair.chinese)) EXPECT_GE(uses[token], 20) << token;
      for (const std::string& token : phrases::english_tokens(pair.english)) EXPECT_GE(uses[token], 20) << token;
    }
    for (const Pair& pair : parts.validation) {
      EXPECT_FALSE(train.contains(pair.chinese) || train.contains(pair.english)) << pair.chinese;
      EXPECT_FALSE(test.contains(pair.chinese) || test.contains(pair.english)) << pair.chinese;
    }
    EXPECT_EQ((train.size() + test.size()) / 2 + parts.validation.size(), corpus().size());  // nothing is lost
    for (const auto& [chinese, english] : phrases::detail::kFixed) {
      const Pair fixed{std::string(chinese), std::string(english)};
      EXPECT_EQ(std::count(parts.train.begin(), parts.train.end(), fixed), 20) << chinese;
    }
  }
}

TEST(PhrasesSplit, IsAFunctionOfTheSeed) {
  const phrases::Split a = phrases::split(corpus(), 3), b = phrases::split(corpus(), 3),
                       c = phrases::split(corpus(), 4);
  EXPECT_EQ(a.train, b.train);
  EXPECT_EQ(a.validation, b.validation);
  EXPECT_EQ(a.test, b.test);
  EXPECT_NE(a.test, c.test);
}

// One's own corpus may say the same thing twice; no copy of a held-out text may be left in training.
TEST(PhrasesSplit, DropsWhatSharesATextWithAHeldOutPair) {
  std::vector<Pair> pairs;
  for (int i = 0; i < 40; ++i) {
    const std::string n = std::to_string(i);
    pairs.insert(pairs.end(), {{"甲" + n, "x" + n}, {"甲" + n, "y" + n}, {"乙" + n, "y" + n}});
  }
  const phrases::Split parts = phrases::split(pairs, 5);
  EXPECT_EQ(parts.test.size(), 12u);
  EXPECT_EQ(parts.validation.size(), 12u);
  for (const Pair& train : parts.train) {
    for (const auto* held : {&parts.test, &parts.validation}) {
      for (const Pair& pair : *held) {
        EXPECT_NE(train.chinese, pair.chinese);
        EXPECT_NE(train.english, pair.english);
      }
    }
  }
  EXPECT_TRUE(phrases::split({}, 1).train.empty());
}

TEST(PhrasesTokens, ChineseIsCharacters) {
  using Tokens = std::vector<std::string>;
  EXPECT_EQ(phrases::chinese_tokens("我爱你"), (Tokens{"我", "爱", "你"}));
  EXPECT_EQ(phrases::chinese_tokens("你好吗？"), (Tokens{"你", "好", "吗", "？"}));
  EXPECT_EQ(phrases::chinese_tokens(" 我看 TV2吗? 好。"), (Tokens{"我", "看", "TV2", "吗", "？", "好"}));
  EXPECT_EQ(phrases::chinese_tokens(""), Tokens{});
  EXPECT_EQ(phrases::chinese_tokens("\xE6\x88").size(), 1u);  // a cut character is one unknown token
  EXPECT_EQ(phrases::chinese_tokens("\x80\x80").size(), 1u);
}

TEST(PhrasesTokens, EnglishIsWordsAndReadsBackExactly) {
  using Tokens = std::vector<std::string>;
  EXPECT_EQ(phrases::english_tokens("is this Tom's book?"), (Tokens{"is", "this", "Tom's", "book", "?"}));
  EXPECT_EQ(phrases::english_tokens("  hello  you ??"), (Tokens{"hello", "you", "?", "?"}));
  EXPECT_EQ(phrases::english_tokens(""), Tokens{});
  for (const Pair& pair : corpus()) {
    EXPECT_EQ(phrases::join_english(phrases::english_tokens(pair.english)), pair.english);
    std::string chinese;
    for (const std::string& token : phrases::chinese_tokens(pair.chinese)) chinese += token;
    EXPECT_EQ(chinese, pair.chinese);
  }
}

}  // namespace
