/// \file
/// Every search gives well-formed trees over exactly the words of its source, whatever the model's scores are.
#include "rapt/generation/tree_constraint.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <iterator>
#include <limits>
#include <set>
#include <string>
#include <vector>

#include "rapt/generation/beam_search.hpp"
#include "rapt/generation/greedy.hpp"
#include "rapt/generation/sampling.hpp"
#include "tests/common/expect_close.hpp"
#include "tests/generation/prefix_model.hpp"

namespace {

using rapt::Hypothesis;
using rapt::Index;
using rapt::TokenBatch;
using rapt::TokenId;
using rapt::TreeConstraint;
using rapt::TreeLimits;
using rapt::TreeTokens;
using rapt_test::PrefixModel;
using rapt_test::Tokens;
static_assert(rapt::StatefulConstraint<TreeConstraint>);

// Tokens 3 to 5 open constituents, 6 to 8 close them; 9 and 10 are words. 0, 1 and 11 are nothing, 2 ends.
const TreeTokens kTokens{.opens = {3, 4, 5}, .closes = {6, 7, 8}, .words = {9, 10}, .roots = {3, 4}, .ends = {2}};
constexpr Index kVocabulary = 12;

/// What a sequence is, found out on a way of its own: by rewriting constituents until one is left.
struct Shape {
  bool is_tree = false;
  Index words = 0, constituents = 0, depth = 0, unary = 0;
  TokenId root = 0;
};
Shape shape_of(const Tokens& tokens) {
  Shape shape;
  struct Node {
    TokenId token;
    Index children, depth, chain;
  };
  std::vector<Node> open;
  bool is_over = false;
  for (const TokenId token : tokens) {
    if (is_over) return {};
    if (token == 9 || token == 10) {
      if (open.empty()) return {};
      ++shape.words;
      ++open.back().children;
      open.back().chain = 0;
    } else if (token >= 3 && token <= 5) {
      if (open.empty()) shape.root = token;
      open.push_back({token, 0, 1, 0});
    } else if (token >= 6 && token <= 8) {
      if (open.empty() || open.back().token != token - 3 || open.back().children == 0) return {};
      const Node node = open.back();
      open.pop_back();
      ++shape.constituents;
      const Index chain = node.children == 1 ? node.chain + 1 : 1;
      shape.unary = std::max(shape.unary, chain);
      shape.depth = std::max(shape.depth, node.depth);
      is_over = open.empty();
      if (is_over) continue;
      ++open.back().children;
      open.back().chain = chain;
      open.back().depth = std::max(open.back().depth, node.depth + 1);
    } else {
      return {};
    }
  }
  shape.is_tree = is_over;
  return shape;
}

void expect_trees(const std::vector<std::vector<Hypothesis>>& found, const std::vector<Index>& words,
                  const TreeLimits& limits) {
  for (std::size_t i = 0; i < found.size(); ++i) {
    for (const Hypothesis& h : found[i]) {
      const Shape shape = shape_of(h.tokens);
      ASSERT_TRUE(shape.is_tree && h.finished) << ::testing::PrintToString(h.tokens);
      EXPECT_EQ(shape.words, words[i % words.size()]);
      EXPECT_LE(shape.depth, limits.depth);
      EXPECT_LE(shape.unary, limits.unary) << ::testing::PrintToString(h.tokens);
      EXPECT_LE(shape.constituents, limits.constituents_per_word * (shape.words + 1));
      EXPECT_NE(shape.root, 5);
    }
  }
}

TEST(TreeConstraint, EverySearchGivesTreesOverTheWords) {
  const TokenBatch sources = rapt_test::some_sources();
  const std::vector<Index> words{1, 3, 2, 7, 5};
  std::set<Tokens> different;
  for (const TreeLimits limits : {TreeLimits(), TreeLimits{.depth = 1, .unary = 1, .constituents_per_word = 1},
                                  TreeLimits{.depth = 3, .unary = 1}, TreeLimits{.depth = 20, .unary = 2}}) {
    const TreeConstraint constraint(kTokens, words, limits);
    for (std::uint64_t seed = 0; seed < 12; ++seed) {
      // Models that like to go on: the limits are met.
      PrefixModel model = rapt_test::random_prefix_model(kVocabulary, seed);
      model.logits = [plain = model.logits, seed](const Tokens& source, const Tokens& prefix) {
        std::vector<double> row = plain(source, prefix);
        for (std::size_t token = 3; token < 9; ++token) {
          row[token] += seed % 3 == 0 ? 0.0 : (seed % 3 == 1) == (token < 6) ? 4.0 : -4.0;
        }
        return row;
      };
      const rapt::SearchRequest request{.allowed = constraint};
      const rapt::GenerationOptions options{.extra_length = 1000, .max_length = constraint.longest()};
      const auto sampled = rapt::sample(model, sources, {.samples = 2, .generation = options}, request);
      expect_trees(sampled, words, limits);
      expect_trees(rapt::beam_search_n_best(model, sources, 3,
                                            {.beam_size = 3, .length_penalty = 0, .generation = options}, request),
                   words, limits);
      std::vector<std::vector<Hypothesis>> greedy;
      for (auto& h : rapt::greedy_search(model, sources, options, request)) greedy.push_back({std::move(h)});
      expect_trees(greedy, words, limits);
      for (const auto& list : sampled) {
        for (const Hypothesis& h : list) different.insert(h.tokens);
      }
    }
  }
  EXPECT_GT(different.size(), 200u);
}

/// All sequences that a constraint allows, by trying each token.
void collect(const TreeConstraint& constraint, const TreeConstraint::State& state, Tokens& tokens,
             std::set<Tokens>& found) {
  bool allowed[kVocabulary];
  std::fill_n(allowed, kVocabulary, true);
  constraint.allow(state, allowed);
  ASSERT_TRUE(std::any_of(allowed, allowed + kVocabulary, [](bool b) { return b; })) << "no token may follow";
  ASSERT_LE(std::ssize(tokens), constraint.longest());
  if (allowed[2]) found.insert(tokens);
  for (TokenId token = 3; token < kVocabulary; ++token) {
    TreeConstraint::State next = state;
    if (!rapt::at(allowed, Index{token})) {
      EXPECT_THROW(constraint.advance(next, token), rapt::ValueError);
      continue;
    }
    constraint.advance(next, token);
    tokens.push_back(token);
    collect(constraint, next, tokens, found);
    tokens.pop_back();
  }
}

TEST(TreeConstraint, AllowsAllTreesWithinTheLimitsAndNoOther) {
  const TreeTokens one{.opens = {3}, .closes = {6}, .words = {9}, .ends = {2}};
  const auto count = [&](Index words, const TreeLimits& limits) {
    const TreeConstraint constraint(one, std::vector<Index>{words}, limits);
    std::set<Tokens> found;
    Tokens tokens;
    collect(constraint, constraint.start(0), tokens, found);
    for (const Tokens& sequence : found) EXPECT_TRUE(shape_of(sequence).is_tree);
    return found.size();
  };
  // One constituent has all words, and each proper part of two words or more may be one: over 3 words (a b c),
  // ((a b) c), (a (b c)). With constituents of one word, each of the n words may be one or not, but the root of one
  // word, which is one: 1, 4, and 3 * 8 trees.
  EXPECT_EQ(count(1, {.unary = 1}), 1u);
  EXPECT_EQ(count(2, {.unary = 1}), 4u);
  EXPECT_EQ(count(3, {.unary = 1}), 24u);
  EXPECT_EQ(count(3, {.depth = 1, .unary = 1}), 1u);
  EXPECT_EQ(count(1, {.unary = 3}), 3u);
  EXPECT_EQ(count(1, {.depth = 2, .unary = 3}), 2u);
  EXPECT_EQ(count(2, {.unary = 2}), 2u * 3 * 3);  // chains of 1 or 2 at the root, of 0 to 2 at each word
  EXPECT_EQ(count(2, {.unary = 5, .constituents_per_word = 1}), 10u);  // 6 with one over both words, 3 with two, 1
}

/// The tokens that stand for words.
Tokens words_of(const Tokens& tokens) {
  Tokens words;
  std::copy_if(tokens.begin(), tokens.end(), std::back_inserter(words), [](TokenId token) { return token >= 9; });
  return words;
}

TEST(TreeConstraint, GivenTagsComeInTheirOrder) {
  const std::vector<Tokens> tags{{9, 10, 9}, {10}};
  const TreeConstraint constraint(kTokens, tags);
  const TokenBatch sources({{3}, {4}});
  for (std::uint64_t seed = 0; seed < 10; ++seed) {
    const PrefixModel model = rapt_test::random_prefix_model(kVocabulary, seed);
    const auto found = rapt::greedy_search(model, sources, {.extra_length = 100}, {.allowed = constraint});
    for (std::size_t i = 0; i < found.size(); ++i) {
      const Tokens words = words_of(found[i].tokens);
      EXPECT_EQ(words, tags[i]);
      EXPECT_TRUE(shape_of(found[i].tokens).is_tree);
    }
  }
}

TEST(TreeConstraint, WordsWithoutAKnownTagAreFreeAndNoOthers) {
  constexpr TokenId kAny = TreeConstraint::kAnyWord;
  const std::vector<Tokens> tags{{9, kAny, 10}, {10, 10}};
  const TreeConstraint constraint(kTokens, tags), alone(kTokens, std::vector<Tokens>{{10, 10}});
  const TokenBatch sources({{3}, {4}}), second({{4}});
  std::set<TokenId> free;
  for (std::uint64_t seed = 0; seed < 10; ++seed) {
    const PrefixModel model = rapt_test::random_prefix_model(kVocabulary, seed);
    const auto found = rapt::greedy_search(model, sources, {.extra_length = 100}, {.allowed = constraint});
    for (std::size_t i = 0; i < found.size(); ++i) {
      const Tokens words = words_of(found[i].tokens);
      ASSERT_EQ(words.size(), tags[i].size());
      for (std::size_t w = 0; w < words.size(); ++w) {
        if (tags[i][w] == kAny) {
          free.insert(words[w]);
        } else {
          EXPECT_EQ(words[w], tags[i][w]);
        }
      }
      EXPECT_TRUE(shape_of(found[i].tokens).is_tree);
    }
    const auto same = rapt::greedy_search(model, second, {.extra_length = 100}, {.allowed = alone});
    EXPECT_EQ(found[1].tokens, same[0].tokens);  // whatever is known of other sources
  }
  EXPECT_EQ(free, (std::set<TokenId>{9, 10}));
}

TEST(TreeConstraint, WrongUseIsRefused) {
  using rapt_test::expect_message;
  const auto make = [](TreeTokens tokens, std::vector<Index> words, const TreeLimits& limits = {}) {
    return [=] { (void)TreeConstraint(tokens, words, limits); };
  };
  expect_message<rapt::ValueError>(make(kTokens, {2, 0}), "[tree_constraint] source 1 has 0 words");
  expect_message<rapt::ValueError>(make(kTokens, {2}, {.unary = 0}), "limits must be from 1 to 2147483647");
  constexpr Index kMost = std::numeric_limits<Index>::max();
  expect_message<rapt::ValueError>(make(kTokens, {2}, {.constituents_per_word = kMost}), "limits must be from 1");
  constexpr Index kLargest = std::numeric_limits<std::int32_t>::max();
  const TreeConstraint free(kTokens, std::vector<Index>{2}, {kLargest, kLargest, kLargest});
  EXPECT_EQ(free.longest(), 2 + 2 * 3 * kLargest + 1);
  TreeTokens twice = kTokens;
  twice.words.push_back(6);
  expect_message<rapt::ValueError>(make(twice, {2}), "token 6 has two meanings");
  TreeTokens no_close = kTokens;
  no_close.closes.pop_back();
  expect_message<rapt::ValueError>(make(no_close, {2}), "as many that open as that close");
  TreeTokens root = kTokens;
  root.roots = {9};
  expect_message<rapt::ValueError>(make(root, {2}), "the root 9 is none of the tokens that open");
  expect_message<rapt::ValueError>([] { (void)TreeConstraint(kTokens, std::vector<Tokens>{{9, 3}}); }, "the tag 3");
  expect_message<rapt::ValueError>([] { (void)TreeConstraint(kTokens, std::vector<Index>{1}).start(1); },
                                   "there is no source 1");
}

}  // namespace
