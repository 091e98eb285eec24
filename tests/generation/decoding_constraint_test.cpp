/// \file
/// Constraints with states and without: the same hypotheses in every search, for whole batches and for parts of them.
// covers: generation/search_request.hpp
#include "rapt/generation/decoding_constraint.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "rapt/generation/alternatives.hpp"
#include "rapt/generation/batches.hpp"
#include "rapt/generation/beam_search.hpp"
#include "rapt/generation/greedy.hpp"
#include "rapt/generation/sampling.hpp"
#include "tests/generation/prefix_model.hpp"

namespace {

using rapt::DecodingConstraint;
using rapt::GenerationOptions;
using rapt::Hypothesis;
using rapt::Index;
using rapt::SearchRequest;
using rapt::TokenBatch;
using rapt::TokenId;
using rapt_test::PrefixModel;
using rapt_test::Tokens;

/// Allows sequences in which the tokens 3 and 4 take turns, among others, and each source i has at least i + 1 tokens
/// before it ends. What may follow depends on all tokens before.
struct Turns {
  struct State {
    Index source = 0, length = 0;
    TokenId last = 4;  // of 3 and 4
  };
  [[nodiscard]] State start(Index source) const { return {.source = source}; }
  void advance(State& state, TokenId token) const {
    ++state.length;
    if (token == 3 || token == 4) state.last = token;
  }
  void allow(const State& state, std::span<bool> allowed) const {
    rapt::at(allowed, state.last) = false;
    if (state.length <= state.source) allowed[2] = false;
  }
};
static_assert(rapt::StatefulConstraint<Turns> && !rapt::TokensConstraint<Turns>);

/// The same without a state.
struct TurnsOfTokens {
  void operator()(Index source, std::span<const TokenId> tokens, std::span<bool> allowed) const {
    Turns::State state{.source = source};
    for (const TokenId token : tokens) Turns().advance(state, token);
    Turns().allow(state, allowed);
  }
};
static_assert(!rapt::StatefulConstraint<TurnsOfTokens> && rapt::TokensConstraint<TurnsOfTokens>);

bool takes_turns(const Tokens& tokens) {
  TokenId last = 4;
  for (const TokenId token : tokens) {
    if (token == last) return false;
    if (token == 3 || token == 4) last = token;
  }
  return true;
}

std::vector<std::vector<Hypothesis>> found_by_each(const PrefixModel& model, const TokenBatch& sources,
                                                   const SearchRequest& request) {
  const GenerationOptions options{.extra_length = 8};
  auto found = rapt::sample(model, sources, {.samples = 2, .generation = options}, request);
  for (auto& list : rapt::beam_search_n_best(model, sources, 3, {.beam_size = 3, .generation = options}, request)) {
    found.push_back(std::move(list));
  }
  found.push_back(rapt::greedy_search(model, sources, options, request));
  for (auto& list : rapt::search_alternatives(model, sources, 2, {.beam_size = 2, .generation = options}, request)) {
    found.push_back(std::move(list));
  }
  return found;
}

TEST(DecodingConstraint, StatesAndTokensGiveTheSameInEverySearch) {
  const TokenBatch sources = rapt_test::some_sources();
  TokenBatch prefix;  // of some sources: states go through it
  for (Index i = 0; i < sources.sequences(); ++i) prefix.push_back(i % 2 == 0 ? Tokens{3, 5, 4} : Tokens{});
  for (std::uint64_t seed = 0; seed < 8; ++seed) {
    const PrefixModel model = rapt_test::random_prefix_model(7, seed);
    SearchRequest with_states{.allowed = Turns()}, with_tokens{.allowed = TurnsOfTokens()};
    if (seed % 2 == 1) with_states.prefix = with_tokens.prefix = prefix;
    const auto ours = found_by_each(model, sources, with_states), theirs = found_by_each(model, sources, with_tokens);
    ASSERT_EQ(ours.size(), theirs.size());
    for (std::size_t i = 0; i < ours.size(); ++i) {
      rapt_test::expect_same(ours[i], theirs[i], 0);
      for (const Hypothesis& h : ours[i]) EXPECT_TRUE(takes_turns(h.tokens)) << ::testing::PrintToString(h.tokens);
    }
    const auto free = found_by_each(model, sources, {});
    EXPECT_TRUE(std::any_of(free.begin(), free.end(), [](const auto& list) {
      return std::any_of(list.begin(), list.end(), [](const Hypothesis& h) { return !takes_turns(h.tokens); });
    }));
  }
}

TEST(DecodingConstraint, SourcesKeepTheirNumbersInBatches) {
  const TokenBatch sources = rapt_test::some_sources();
  const PrefixModel model = rapt_test::random_prefix_model(7, 3, /*end_bias=*/9);
  const auto found = rapt::search_in_batches(
      sources, {.allowed = Turns()}, 4, [&](const TokenBatch& batch, const SearchRequest& request) {
        return rapt::beam_search_n_best(model, batch, 1, {.generation = {.extra_length = 8}}, request);
      });
  for (std::size_t i = 0; i < found.size(); ++i) EXPECT_EQ(found[i][0].tokens.size(), i + 1);
}

TEST(DecodingConstraint, NoneAllowsEverythingAndCopiesShareOne) {
  const std::function<void(Index, std::span<const TokenId>, std::span<bool>)> empty;
  EXPECT_FALSE(DecodingConstraint(empty));
  EXPECT_FALSE(DecodingConstraint());
  EXPECT_FALSE(DecodingConstraint().has_states());
  EXPECT_FALSE(DecodingConstraint().of_sources(std::vector<Index>{2, 0}));
  const DecodingConstraint turns = Turns(), copy = turns;
  EXPECT_TRUE(copy && copy.has_states());
  EXPECT_FALSE(DecodingConstraint(TurnsOfTokens()).has_states());
  const auto begun = copy.of_sources(std::vector<Index>{7, 1}).start(1);  // a hypothesis of source 1
  const auto expect_allowed = [&](const DecodingConstraint::AnyState& state, const std::vector<int>& expected) {
    bool allowed[6] = {true, true, true, true, true, true};
    turns.allow(0, state, {}, allowed);
    EXPECT_EQ(std::vector<int>(allowed, allowed + 6), expected);
  };
  expect_allowed(begun, {1, 1, 0, 1, 0, 1});
  expect_allowed(copy.next(begun, 3), {1, 1, 0, 0, 1, 1});
  expect_allowed(copy.next(copy.next(begun, 3), 5), {1, 1, 1, 0, 1, 1});
  expect_allowed(begun, {1, 1, 0, 1, 0, 1});  // states do not change
}

}  // namespace
