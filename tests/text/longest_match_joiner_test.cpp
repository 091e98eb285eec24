/// \file
/// The search for the longest matching tokens makes the same tokens as joining pair by pair.
#include "rapt/text/longest_match_joiner.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "rapt/text/pair_joiner.hpp"
#include "tests/common/expect_close.hpp"

namespace {

using rapt::TokenId;
using rapt::detail::LongestMatchJoiner;
using rapt::detail::PairJoiner;
using rapt_test::error_text;

/// Tokens by id, the first ones letters, and the pairs that are joined.
struct MatchedVocabulary {
  std::vector<std::string> texts;
  PairJoiner joiner{PairJoiner::Order::one_by_one};

  [[nodiscard]] TokenId find(std::string_view text) const {
    const auto found = std::find(texts.begin(), texts.end(), text);
    return found == texts.end() ? -1 : static_cast<TokenId>(found - texts.begin());
  }
  void join(std::string_view text, PairJoiner::Work& work) const {
    work.symbols.clear();
    for (const char letter : text) work.symbols.push_back(letter - 'a');
    joiner.join(work);
  }
  [[nodiscard]] std::vector<LongestMatchJoiner::Token> tokens() const {
    std::vector<LongestMatchJoiner::Token> made(texts.size());
    PairJoiner::Work work;
    for (std::size_t i = 0; i < texts.size(); ++i) {
      join(texts[i], work);
      if (work.symbols != std::vector<std::int32_t>{static_cast<std::int32_t>(i)}) continue;
      made[i].bytes = texts[i];
      if (work.last.joined < 0) continue;
      made[i].rank = work.last.rank;
      made[i].left = work.last.left;
      made[i].right = work.last.right;
    }
    return made;
  }
};

enum class Ranks { of_tokens, in_order, shuffled, several };

/// Random tokens, each two earlier ones together. Ranks::of_tokens joins all neighbours that are a token, as tiktoken
/// does; the others join the pairs that the tokens were made of, in the order of the tokens or in a random one;
/// Ranks::several joins all neighbours that are a token, each pair with a rank of its own, so that a token has several
/// ranks, between which are some of other tokens.
MatchedVocabulary random_vocabulary(Ranks ranks, std::size_t letters, std::size_t size, std::mt19937& random) {
  MatchedVocabulary made;
  for (std::size_t i = 0; i < letters; ++i) made.texts.emplace_back(1, static_cast<char>('a' + i));
  std::vector<std::pair<TokenId, TokenId>> pairs;
  for (std::size_t tries = 0; made.texts.size() < size && tries < 10 * size; ++tries) {
    const auto draw = [&] { return static_cast<TokenId>(random() % made.texts.size()); };
    const auto [left, right] = std::pair{draw(), draw()};
    std::string text = rapt::at(made.texts, left) + rapt::at(made.texts, right);
    if (text.size() > 12 || made.find(text) >= 0) continue;
    made.texts.push_back(std::move(text));
    pairs.emplace_back(left, right);
  }
  if (ranks == Ranks::of_tokens || ranks == Ranks::several) {
    struct Merge {
      TokenId left, right, id;
      std::size_t place;
    };
    std::vector<Merge> merges;
    for (std::size_t i = letters; i < made.texts.size(); ++i) {
      for (std::size_t cut = 1; cut < made.texts[i].size(); ++cut) {
        const TokenId left = made.find(std::string_view(made.texts[i]).substr(0, cut));
        const TokenId right = made.find(std::string_view(made.texts[i]).substr(cut));
        const auto id = static_cast<TokenId>(i);
        if (left >= 0 && right >= 0)
          merges.push_back({left, right, id, 2 * i + (ranks == Ranks::several ? random() % 4 : 0)});
      }
    }
    if (ranks == Ranks::several) {
      std::stable_sort(merges.begin(), merges.end(), [](const Merge& a, const Merge& b) { return a.place < b.place; });
    }
    for (std::size_t i = 0; i < merges.size(); ++i) {
      const Merge& one = merges[i];
      made.joiner.add(one.left, one.right, ranks == Ranks::several ? static_cast<std::int32_t>(i) : one.id, one.id);
    }
    return made;
  }
  std::vector<std::int32_t> order(pairs.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = static_cast<std::int32_t>(i);
  if (ranks == Ranks::shuffled) std::shuffle(order.begin(), order.end(), random);
  for (std::size_t i = 0; i < pairs.size(); ++i) {
    made.joiner.add(pairs[i].first, pairs[i].second, order[i], static_cast<TokenId>(letters + i));
  }
  return made;
}

TEST(LongestMatchJoiner, MakesTheTokensThatJoiningMakes) {
  std::mt19937 random(5);
  for (const auto ranks : {Ranks::of_tokens, Ranks::in_order, Ranks::shuffled, Ranks::several}) {
    int orderly = 0, disorderly = 0;
    for (int round = 0; round < 60; ++round) {
      const std::size_t letters = 1 + random() % 4;
      const MatchedVocabulary vocabulary = random_vocabulary(ranks, letters, letters + random() % 40, random);
      const auto tokens = vocabulary.tokens();
      if (!LongestMatchJoiner::is_orderly(tokens)) {
        ++disorderly;
        continue;
      }
      ++orderly;
      const LongestMatchJoiner matcher(tokens);
      PairJoiner::Work expected;
      LongestMatchJoiner::Work found;
      for (std::size_t length = 0; length < 150; length += 1 + length / 6) {
        std::string text;
        while (text.size() < length) {  // letters, and repeats of what is there
          if (text.empty() || random() % 8 != 0) {
            text += static_cast<char>('a' + random() % letters);
          } else {
            text += text.substr(random() % text.size());
          }
        }
        vocabulary.join(text, expected);
        matcher(text, found);
        ASSERT_EQ(found.tokens, expected.symbols) << text;
      }
    }
    EXPECT_GE(orderly, 10);
    EXPECT_EQ(disorderly > 10, ranks == Ranks::shuffled || ranks == Ranks::several) << disorderly;
  }
}

TEST(LongestMatchJoiner, ALateJoinOfEarlyPartsIsNotOrderly) {
  // "ab" is joined after "abc" could be: a b c -> ab (rank 1) c -> abc (rank 0).
  MatchedVocabulary vocabulary{.texts = {"a", "b", "c", "ab", "abc"}};
  vocabulary.joiner.add(0, 1, 1, 3);
  vocabulary.joiner.add(3, 2, 0, 4);
  EXPECT_FALSE(LongestMatchJoiner::is_orderly(vocabulary.tokens()));
}

TEST(LongestMatchJoiner, GoesBackAsOftenAsItMust) {
  // Joining goes from right to left in an odd run of a's, which the first "aa" gets wrong until the end is seen.
  MatchedVocabulary vocabulary{.texts = {"a", "b", "ab", "aa"}};
  vocabulary.joiner.add(0, 1, 0, 2);
  vocabulary.joiner.add(0, 0, 1, 3);
  const LongestMatchJoiner matcher(vocabulary.tokens());
  PairJoiner::Work expected;
  LongestMatchJoiner::Work found;
  for (const std::size_t count : {1u, 2u, 5u, 1000u, 100001u}) {
    const std::string text = std::string(count, 'a') + "b";
    vocabulary.join(text, expected);
    matcher(text, found);
    EXPECT_EQ(found.tokens, expected.symbols) << count;
  }
}

TEST(LongestMatchJoiner, EveryByteMustBeAToken) {
  const MatchedVocabulary vocabulary{.texts = {"a", "b"}};
  const LongestMatchJoiner matcher(vocabulary.tokens());
  LongestMatchJoiner::Work work;
  EXPECT_EQ(error_text<rapt::ValueError>([&] { matcher("abc", work); }),
            "[longest_match_joiner] a byte of the text is no token: text of 3 bytes");
}

}  // namespace
