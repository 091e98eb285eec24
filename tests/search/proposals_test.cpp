/// \file
/// What searches propose: on functions that are known, the Gaussian process needs fewer trials than random search.
// covers: search/importance.hpp
#include "rapt/search/proposals.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <set>
#include <string>
#include <vector>

#include "rapt/search/importance.hpp"
#include "tests/common/expect_close.hpp"

namespace {

using rapt::Index;
using rapt::ProposalMethod;
using rapt::SettingsSpace;
using rapt::TrialHistory;
using Json = nlohmann::ordered_json;

/// Plays so many trials of one rung and returns them; f(values) is the score, NaN a failure.
template <class F>
TrialHistory play(ProposalMethod method, const SettingsSpace& space, Index trials, std::uint64_t seed, const F& f) {
  TrialHistory history;
  for (Index i = 0; i < trials; ++i) {
    Json values = rapt::propose(method, space, history, seed);
    const double score = f(values);
    history.start({i, 0}, std::move(values));
    history.finish({i, 0},
                   std::isnan(score) ? rapt::RungResult{.failure = "failed"} : rapt::RungResult{.score = score});
  }
  return history;
}
double best_of(const TrialHistory& history) { return *history.result(*history.best()).score; }

/// Branin's function, whose three minima have the value 0.397887.
double branin(const Json& values) {
  constexpr double kPi = 3.14159265358979323846;
  const double x = values["x"].get<double>(), y = values["y"].get<double>();
  const double a = y - 5.1 / (4 * kPi * kPi) * x * x + 5 / kPi * x - 6;
  return a * a + 10 * (1 - 1 / (8 * kPi)) * std::cos(x) + 10;
}
SettingsSpace branin_space() {
  SettingsSpace space;
  space.add("x", rapt::linear_range(-5, 10));
  space.add("y", rapt::linear_range(0, 15));
  return space;
}

TEST(Proposals, TheProcessBeatsRandomSearchOnBranin) {
  const SettingsSpace space = branin_space();
  double random = 0, process = 0;
  for (std::uint64_t seed = 1; seed <= 3; ++seed) {
    const double one = best_of(play(ProposalMethod::random, space, 25, seed, branin)) - 0.397887;
    const double other = best_of(play(ProposalMethod::gaussian_process, space, 25, seed, branin)) - 0.397887;
    EXPECT_LT(other, 0.2) << seed;
    EXPECT_LT(other, one) << seed;
    random += one, process += other;
  }
  EXPECT_LT(process, 0.2 * random);
}

TEST(Proposals, RandomSearchComesNearToAKnownMinimum) {
  const auto history = play(ProposalMethod::random, branin_space(), 300, 1, branin);
  EXPECT_LT(best_of(history), 1.5);
  for (Index i : {0, 7, 299}) EXPECT_EQ(history[i].settings, branin_space().sample(1, i));
}

/// Integers, choices and logarithms together; a tenth of the space fails.
TEST(Proposals, MixedSettingsAndFailures) {
  SettingsSpace space;
  space.add("rate", rapt::log_range(1e-4, 1));
  space.add("layers", rapt::integer_range(1, 8));
  space.add("norm", rapt::choice({"post", "pre", "none"}));
  const auto f = [](const Json& values) {
    const double rate = std::log10(values["rate"].get<double>()), layers = values["layers"].get<double>();
    if (rate > -0.4) return std::numeric_limits<double>::quiet_NaN();
    return (rate + 2) * (rate + 2) + 0.1 * std::abs(layers - 5) + (values["norm"] == "pre" ? 0 : 1);
  };
  const auto history = play(ProposalMethod::gaussian_process, space, 30, 2, f);
  const Json& best = history[history.best()->trial].settings;
  EXPECT_EQ(best["norm"], "pre");
  EXPECT_LT(best_of(history), 0.25);
  const auto again = play(ProposalMethod::gaussian_process, space, 30, 2, f);  // the same seed, the same trials
  for (Index i = 0; i < 30; ++i) EXPECT_EQ(again[i].settings, history[i].settings);

  const auto importance = rapt::setting_importance(space, history);
  ASSERT_TRUE(importance.has_value());
  EXPECT_EQ(importance->observations, 30);
  for (const double index : importance->sobol_indices) EXPECT_TRUE(index >= 0 && index <= 1) << index;
  EXPECT_GT(importance->sobol_indices[0], importance->sobol_indices[1]);
}

TEST(Proposals, ImportanceOfAnAdditiveFunctionInClosedForm) {
  SettingsSpace space;
  for (const char* name : {"a", "b", "c"}) space.add(name, rapt::linear_range(0, 1));
  // The variances of 3 a and b are 9/12 and 1/12: Sobol indices of 0.9, 0.1 and 0.
  const auto history = play(ProposalMethod::random, space, 40, 1, [](const Json& values) {
    return 3 * values["a"].get<double>() + values["b"].get<double>();
  });
  const auto importance = rapt::setting_importance(space, history);
  ASSERT_TRUE(importance.has_value());
  EXPECT_NEAR(importance->sobol_indices[0], 0.9, 0.08);
  EXPECT_NEAR(importance->sobol_indices[1], 0.1, 0.05);
  EXPECT_NEAR(importance->sobol_indices[2], 0, 0.02);
  EXPECT_FALSE(rapt::setting_importance(space, TrialHistory()).has_value());
}

TEST(Proposals, NothingIsTriedTwiceUntilAllIsTried) {
  SettingsSpace space;
  space.add("a", rapt::choice({"x", "y", "z"}));
  space.add("b", rapt::integer_range(1, 3));
  TrialHistory history = play(ProposalMethod::random, space, 4, 1, [](const Json&) { return 1.0; });
  std::set<std::string> tried;
  for (const auto& trial : history.trials()) tried.insert(trial.settings.dump());
  const std::size_t begun = tried.size();
  for (std::size_t i = begun; i < 9; ++i) {
    const rapt::TrialRung place{history.size(), 0};
    history.start(place, rapt::propose(ProposalMethod::gaussian_process, space, history, 1));
    history.finish(place, {.score = 2});
    tried.insert(history[place.trial].settings.dump());
    EXPECT_EQ(tried.size(), i + 1);
  }
  static_cast<void>(rapt::propose(ProposalMethod::gaussian_process, space, history, 1));  // all nine are tried
}

/// A trial that runs is not proposed again, nor something near to it.
TEST(Proposals, TrialsThatRunAreTakenIntoAccount) {
  const SettingsSpace space = branin_space();
  TrialHistory history = play(ProposalMethod::random, space, 12, 1, branin);
  const Json first = rapt::propose(ProposalMethod::gaussian_process, space, history, 1);
  history.start({12, 0}, first);
  const Json second = rapt::propose(ProposalMethod::gaussian_process, space, history, 1);
  const auto a = space.coordinates_of(first), b = space.coordinates_of(second);
  EXPECT_GT(std::hypot(a[0] - b[0], a[1] - b[1]), 0.03);
}

TEST(Proposals, TheHighestRungThatIsKnownWellEnoughIsObserved) {
  SettingsSpace space;
  space.add("x", rapt::linear_range(0, 1));
  TrialHistory history;
  EXPECT_FALSE(rapt::observe_rung(space, history).has_value());
  for (Index i = 0; i < 6; ++i) {
    history.start({i, 0}, space.sample(1, i));
    history.finish({i, 0}, {.score = i == 5 ? 1000.0 : static_cast<double>(i)});
  }
  auto seen = rapt::observe_rung(space, history);
  ASSERT_TRUE(seen.has_value());
  EXPECT_EQ(seen->rung, 0);
  EXPECT_EQ(seen->scores[5], 10);  // median 2.5 of 0, 1, 2, 3, 4, 1000: 2.5 + 3 (2.5 - 0)
  for (Index i = 0; i < 3; ++i) {
    history.start({i, 1});
    history.finish({i, 1}, i == 1 ? rapt::RungResult{.failure = "why not"}
                                  : rapt::RungResult{.score = static_cast<double>(10 * i)});
  }
  seen = rapt::observe_rung(space, history);
  ASSERT_TRUE(seen.has_value());
  EXPECT_EQ(seen->rung, 1);
  EXPECT_EQ(seen->scores.size(), 3);
  EXPECT_EQ(seen->scores, Eigen::Vector3d(0, 20, 20));  // a failure is as bad as the worst
}

TEST(Proposals, FailuresAreWorseThanTheBest) {
  SettingsSpace space;
  space.add("x", rapt::linear_range(0, 1));
  const auto observed = [&](const std::vector<double>& scores) {  // NaN: a failure
    std::size_t next = 0;
    const TrialHistory history =
        play(ProposalMethod::random, space, std::ssize(scores), 1, [&](const Json&) { return scores.at(next++); });
    const Eigen::VectorXd seen = rapt::observe_rung(space, history).value().scores;
    return std::vector<double>(seen.begin(), seen.end());
  };
  constexpr double kFailed = std::numeric_limits<double>::quiet_NaN();
  using Scores = std::vector<double>;
  EXPECT_EQ(observed({1, 2, kFailed, kFailed, kFailed}), (Scores{1, 2, 2, 2, 2}));
  EXPECT_EQ(observed({1, 1, kFailed, 1, 5}), (Scores{1, 1, 5, 1, 5}));  // the median is the least score
  EXPECT_EQ(observed({0.25, kFailed, 0.25}), (Scores{0.25, 1.25, 0.25}));
  EXPECT_EQ(observed({-4000, kFailed, -4000}), (Scores{-4000, -3996, -4000}));
  EXPECT_EQ(observed({-3, kFailed, -1, -2, 50}), (Scores{-3, 3, -1, -2, 3}));  // median -1.5: -1.5 + 3 (-1.5 + 3)
}

}  // namespace
