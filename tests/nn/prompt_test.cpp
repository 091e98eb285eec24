/// \file
/// How prompts are fed: all of each but the last token, and a common beginning once.
#include "rapt/nn/prompt.hpp"

#include <gtest/gtest.h>

#include "rapt/autograd/variable.hpp"
#include "tests/common/expect_close.hpp"

namespace {

using rapt::Index;
using rapt::TokenBatch;
using rapt::TokenId;
using Rows = std::vector<std::vector<TokenId>>;

/// Remembers what it was fed.
struct Recorder {
  struct State {
    Rows rows;
    void select(std::span<const Index> parents) {
      Rows selected;
      for (const Index parent : parents) selected.push_back(rows.at(static_cast<std::size_t>(parent)));
      rows = selected;
    }
  };
  [[nodiscard]] State empty_state(Index rows) const { return {Rows(static_cast<std::size_t>(rows))}; }
  rapt::Variable<float> feed(State& state, const TokenBatch& next) const {
    EXPECT_EQ(next.sequences(), static_cast<Index>(state.rows.size()));
    EXPECT_FALSE(rapt::is_recording());
    for (Index r = 0; r < next.sequences(); ++r) {
      const auto tokens = next.sequence(r);
      auto& row = state.rows[static_cast<std::size_t>(r)];
      row.insert(row.end(), tokens.begin(), tokens.end());
    }
    fed.push_back(next.size());
    return {};
  }
  mutable std::vector<Index> fed;  ///< tokens of each call
};

/// What each row has read, and how many tokens each call fed.
void expect_fed(const Rows& prompts, const std::vector<Index>& fed) {
  const Recorder model;
  const rapt::Recording scope;
  const auto state = rapt::feed_prompts(model, TokenBatch(prompts));
  Rows all_but_last = prompts;
  for (auto& row : all_but_last) row.pop_back();
  EXPECT_EQ(state.rows, all_but_last);
  EXPECT_EQ(model.fed, fed);
}

TEST(Prompt, IsFedWholeButForItsLastToken) {
  expect_fed({{5, 6, 7, 8}}, {3});
  expect_fed({{5}}, {});
  expect_fed({}, {});
}

TEST(Prompt, ACommonBeginningIsFedOnce) {
  expect_fed({{5, 6, 7, 8}, {5, 6, 9}, {5, 6, 7, 7, 7}}, {2, 1 + 0 + 2});
  expect_fed({{5, 6, 7}, {5, 6, 7}}, {2});                     // nothing remains
  expect_fed({{5, 6, 7}, {5, 6, 8}, {5, 6}}, {1, 1 + 1 + 0});  // the last token of the shortest is left aside
  expect_fed({{5, 6, 7}, {5}}, {2});                           // which may leave nothing in common
  expect_fed({{5, 6, 7}, {6, 6, 7, 8}}, {2 + 3});
}

TEST(Prompt, AnEmptyOneIsAnErrorThatNamesIt) {
  const auto text = rapt_test::error_text<rapt::ValueError>([] {
    std::ignore = rapt::feed_prompts(Recorder(), TokenBatch({{5, 6}, {7}, {}}));
  });
  EXPECT_NE(text.find("sequence 2"), std::string::npos) << text;
}

}  // namespace
