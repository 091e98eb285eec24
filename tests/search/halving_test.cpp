/// \file
/// The history of a search, and the promotions of asynchronous successive halving, against cases worked by hand.
// covers: search/history.hpp
#include "rapt/search/halving.hpp"

#include <gtest/gtest.h>

#include "tests/common/expect_close.hpp"

namespace {

using rapt::Halving;
using rapt::next_promotion;
using rapt::TrialHistory;
using rapt::TrialRung;
using Promotion = std::optional<TrialRung>;

/// A history in which trials have ended rungs; NaN: the trial has failed.
class Played {
 public:
  void play(TrialRung place, double score) {
    history.start(place);
    history.finish(place, std::isnan(score) ? rapt::RungResult{.failure = "it has"} : rapt::RungResult{.score = score});
  }
  /// New trials, at rung 0.
  void play(const std::vector<double>& scores) {
    for (const double score : scores) play({history.size(), 0}, score);
  }
  TrialHistory history;
};

constexpr double kFailed = std::numeric_limits<double>::quiet_NaN();

TEST(Halving, ResourcesGrowByTheFactor) {
  const Halving halving{.rungs = 3, .factor = 3, .resource = 900};
  EXPECT_DOUBLE_EQ(halving.resource_at(-1), 0);
  EXPECT_DOUBLE_EQ(halving.resource_at(0), 100);
  EXPECT_DOUBLE_EQ(halving.resource_at(1), 300);
  EXPECT_DOUBLE_EQ(halving.resource_at(2), 900);
  EXPECT_THROW((Halving{.rungs = 0}.validate()), rapt::ValueError);
  EXPECT_THROW((Halving{.factor = 1}.validate()), rapt::ValueError);
  EXPECT_THROW((Halving{.resource = 0}.validate()), rapt::ValueError);
}

// Algorithm 2 of the paper with eta = 3 and three rungs, step by step.
TEST(Halving, PromotionsOfACaseWorkedByHand) {
  const Halving halving{.rungs = 3, .factor = 3, .resource = 9};
  Played search;
  search.play({5, 4});
  EXPECT_EQ(next_promotion(search.history, halving), Promotion());  // floor(2 / 3) = 0
  search.play({6});
  EXPECT_EQ(next_promotion(search.history, halving), (Promotion{{1, 1}}));  // the best of three
  search.history.start({1, 1});
  EXPECT_EQ(next_promotion(search.history, halving), Promotion());  // runs already
  search.play({3, 7});
  EXPECT_EQ(next_promotion(search.history, halving), (Promotion{{3, 1}}));  // a better one has come: the best of five
  search.play({3, 1}, 2.5);
  search.play({1});
  EXPECT_EQ(next_promotion(search.history, halving), (Promotion{{5, 1}}));  // the best two of six are 5 and 3
  search.play({5, 1}, 0.9);
  EXPECT_EQ(next_promotion(search.history, halving), Promotion());  // rung 1 has two, and one that runs
  search.history.finish({1, 1}, {.score = 3.5});
  EXPECT_EQ(next_promotion(search.history, halving), (Promotion{{5, 2}}));  // higher rungs first
  search.play({5, 2}, 0.8);
  EXPECT_EQ(next_promotion(search.history, halving), Promotion());  // the last rung ends it
  search.play({8, 9, 10});
  EXPECT_EQ(next_promotion(search.history, halving), Promotion());  // the best three of nine, 5, 3 and 1, are promoted
  EXPECT_EQ(search.history.best(), (Promotion{{5, 2}}));
}

TEST(Halving, FailuresCountAndAreNotPromoted) {
  const Halving halving{.rungs = 2, .factor = 2, .resource = 2};
  Played search;
  search.play({kFailed, kFailed, 5, kFailed});
  EXPECT_EQ(next_promotion(search.history, halving), (Promotion{{2, 1}}));
  search.play({2, 1}, kFailed);
  EXPECT_EQ(next_promotion(search.history, halving), Promotion());
  EXPECT_TRUE(search.history[2].has_failed());
  EXPECT_EQ(search.history.best(), (Promotion{{2, 0}}));  // what it had reached counts
}

TEST(Halving, OfEqualScoresTheEarlierTrialIsPromoted) {
  Played search;
  search.play({4, 4, 4});
  EXPECT_EQ(next_promotion(search.history, {.rungs = 2, .factor = 3, .resource = 3}), (Promotion{{0, 1}}));
  EXPECT_EQ(next_promotion(search.history, {.rungs = 1}), Promotion());
}

TEST(TrialHistory, RefusesWhatCannotBe) {
  TrialHistory history;
  EXPECT_THROW(history.start({1, 0}), rapt::ValueError);
  EXPECT_THROW(history.start({0, 1}), rapt::ValueError);
  EXPECT_THROW(history.start({-1, 0}), rapt::ValueError);
  history.start({0, 0}, {{"x", 1}});
  EXPECT_THROW(history.start({0, 0}), rapt::ValueError);
  EXPECT_THROW(history.finish({0, 1}, {.score = 1}), rapt::ValueError);
  EXPECT_EQ(rapt_test::error_text<rapt::ValueError>([&] {
              history.finish({0, 0}, {.score = std::numeric_limits<double>::infinity()});
            }),
            "[trial_history] the score of trial 0 is not finite: inf");
  EXPECT_EQ(history.running(), (std::vector<TrialRung>{{0, 0}}));
  EXPECT_EQ(history.best(), Promotion());
  history.finish({0, 0}, {.failure = "why not"});
  EXPECT_THROW(history.finish({0, 0}, {.score = 1}), rapt::ValueError);
  EXPECT_THROW(history.start({0, 1}), rapt::ValueError);  // it has failed
  EXPECT_EQ(history.best(), Promotion());
  EXPECT_TRUE(history.running().empty());
}

}  // namespace
