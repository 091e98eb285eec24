/// \file
/// The bookkeeping of beam search: paths in a tree, and long outputs.
#include "rapt/generation/beam.hpp"

#include <gtest/gtest.h>

#include "rapt/generation/beam_search.hpp"
#include "rapt/generation/token_tree.hpp"
#include "tests/generation/prefix_model.hpp"

namespace {

using rapt::Index;
using rapt::TokenBatch;
using rapt::TokenId;
using rapt_test::Tokens;

TEST(TokenTree, PathsAreWhatWasAdded) {
  rapt::detail::TokenTree tree;
  EXPECT_EQ(tree.path(tree.kRoot, 0), Tokens{});
  rapt::Rng rng(1);
  std::vector<std::pair<Index, Tokens>> nodes{{tree.kRoot, {}}};
  for (int i = 0; i < 500; ++i) {
    auto [parent, tokens] = nodes[static_cast<std::size_t>(rng.below(static_cast<Index>(nodes.size())))];
    tokens.push_back(static_cast<TokenId>(rng.below(9)));
    const Index node = tree.add(parent, tokens.back());
    nodes.emplace_back(node, tokens);
  }
  for (const auto& [node, tokens] : nodes) EXPECT_EQ(tree.path(node, static_cast<Index>(tokens.size())), tokens);
}

TEST(Candidates, AreOrderedByProbabilityThenRowThenToken) {
  using rapt::detail::Candidate;
  EXPECT_LT((Candidate{-1, 5, 5}), (Candidate{-2, 0, 0}));
  EXPECT_LT((Candidate{-1, 0, 5}), (Candidate{-1, 1, 0}));
  EXPECT_LT((Candidate{-1, 1, 0}), (Candidate{-1, 1, 5}));
  EXPECT_FALSE((Candidate{-1, 1, 5}) < (Candidate{-1, 1, 5}));
  EXPECT_LT((Candidate{-1e300, 9, 9}), Candidate{});
}

/// A model that remembers a number for each row and costs next to nothing: what is timed is the search. It says 3 and 4
/// in turn, each with probability 0.6, and ends after `length` tokens.
struct Metronome {
  using ScalarType = float;
  struct State {
    std::vector<Index> fed;
    [[nodiscard]] Index rows() const { return static_cast<Index>(fed.size()); }
    void select(std::span<const Index> parents) {
      std::vector<Index> next;
      for (const Index parent : parents) next.push_back(fed[static_cast<std::size_t>(parent)]);
      fed = std::move(next);
    }
  };
  Index length;

  [[nodiscard]] rapt::SequenceMarks sequence_marks() const { return {.begin = 1, .ends = {2}}; }
  [[nodiscard]] State start(const TokenBatch& source) const {
    return {std::vector<Index>(static_cast<std::size_t>(source.sequences()))};
  }
  [[nodiscard]] rapt::Tensor<float> step(State& state, std::span<const TokenId>) const {
    rapt::Tensor<float> logits({state.rows(), 5}, -std::numeric_limits<float>::infinity());
    for (Index r = 0; r < state.rows(); ++r) {
      const Index fed = state.fed[static_cast<std::size_t>(r)]++;
      if (fed == length) {
        logits(r, 2) = 0;
      } else {
        logits(r, 3 + fed % 2) = std::log(0.6f);
        logits(r, 4 - fed % 2) = std::log(0.4f);
      }
    }
    return logits;
  }
};
static_assert(rapt::DecodingModel<Metronome>);

TEST(Beam, OutputsOfManyThousandTokens) {
  constexpr Index kLength = 20000;
  const auto found = rapt::beam_search_n_best(Metronome{kLength}, TokenBatch({{3}}), 4,
                                              {.beam_size = 4, .generation = {.extra_length = 2 * kLength}})[0];
  ASSERT_EQ(found.size(), 4u);
  Tokens expected;
  for (Index t = 0; t < kLength; ++t) expected.push_back(static_cast<TokenId>(3 + t % 2));
  EXPECT_EQ(found[0].tokens, expected);
  EXPECT_TRUE(found[0].finished);
  EXPECT_NEAR(found[0].log_probability, kLength * std::log(0.6), 1e-2);
  for (std::size_t i = 1; i < 4; ++i) {  // one token differs in each
    int differ = 0;
    for (std::size_t t = 0; t < expected.size(); ++t) differ += found[i].tokens[t] != expected[t];
    EXPECT_EQ(differ, 1);
    EXPECT_NEAR(found[i].log_probability, (kLength - 1) * std::log(0.6) + std::log(0.4), 1e-2);
  }
}

}  // namespace
