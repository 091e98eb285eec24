/// \file
/// Schedules: numbers worked out by hand, the joint at the end of warm-up, wrong use.
#include "rapt/optim/schedule.hpp"

#include <gtest/gtest.h>

#include <functional>
#include <limits>
#include <string>

#include "tests/common/expect_close.hpp"

namespace {

using rapt::CooldownSchedule;
using rapt::CosineSchedule;
using rapt::Index;
using rapt::InverseSquareRootSchedule;
using rapt::PaperSchedule;

TEST(PaperSchedule, IsThePapersEquation) {
  const PaperSchedule schedule;  // d_model 512, 4000 steps of warm-up
  for (const Index step : {1, 2, 100, 3999, 4000, 4001, 100000}) {
    const auto s = static_cast<double>(step);
    const double expected = std::pow(512, -0.5) * std::min(std::pow(s, -0.5), s * std::pow(4000, -1.5));
    EXPECT_NEAR(schedule(step), expected, 1e-12 * expected) << step;
  }
  // 1 / sqrt(512 * 4000) = 6.987712e-4, at the end of warm-up and nowhere else.
  EXPECT_NEAR(schedule(4000), 6.987712429686843e-4, 1e-15);
  EXPECT_LT(schedule(3999), schedule(4000));
  EXPECT_LT(schedule(4001), schedule(4000));
  EXPECT_NEAR(schedule(1), 6.987712429686843e-4 / 4000, 1e-18);
  EXPECT_NEAR(schedule(16000), 6.987712429686843e-4 / 2, 1e-15);
}

TEST(PaperSchedule, FieldsAreWhatTheySay) {
  EXPECT_NEAR((PaperSchedule{.d_model = 64, .warmup = 100, .factor = 2}(100)), 2.0 / 8 / 10, 1e-16);
  EXPECT_NEAR((PaperSchedule{.d_model = 64, .warmup = 100}(25)), 1.0 / 8 / 10 / 4, 1e-16);
  EXPECT_NEAR((PaperSchedule{.d_model = 64, .warmup = 1}(4)), 1.0 / 8 / 2, 1e-16);
}

TEST(InverseSquareRootSchedule, IsTheFormula) {
  const InverseSquareRootSchedule schedule{.peak = 0.5, .warmup = 16};
  EXPECT_DOUBLE_EQ(schedule(1), 0.5 / 16);
  EXPECT_DOUBLE_EQ(schedule(8), 0.25);
  EXPECT_DOUBLE_EQ(schedule(16), 0.5);
  EXPECT_DOUBLE_EQ(schedule(64), 0.25);
  EXPECT_DOUBLE_EQ(schedule(1600), 0.05);
}

TEST(InverseSquareRootSchedule, IsThePapersCurveByItsPeak) {
  const PaperSchedule paper{.d_model = 256, .warmup = 300, .factor = 1.7};
  const InverseSquareRootSchedule by_peak{.peak = paper(300), .warmup = 300};
  for (Index step = 1; step < 3000; step += 7) EXPECT_NEAR(by_peak(step), paper(step), 1e-12 * paper(step));
}

TEST(CosineSchedule, IsTheFormula) {
  const CosineSchedule schedule{.peak = 3, .warmup = 10, .steps = 110, .floor = 1};
  EXPECT_DOUBLE_EQ(schedule(1), 0.3);
  EXPECT_DOUBLE_EQ(schedule(10), 3);
  EXPECT_NEAR(schedule(35), 1 + 2 * 0.5 * (1 + std::sqrt(0.5)), 1e-14);  // an eighth of the circle
  EXPECT_NEAR(schedule(60), 2, 1e-14);
  EXPECT_NEAR(schedule(85), 1 + 2 * 0.5 * (1 - std::sqrt(0.5)), 1e-14);
  EXPECT_DOUBLE_EQ(schedule(110), 1);
  EXPECT_DOUBLE_EQ(schedule(100000), 1);
  EXPECT_NEAR((CosineSchedule{.peak = 4, .warmup = 0, .steps = 2}(1)), 2, 1e-15);
}

TEST(CooldownSchedule, IsTheOtherUntilItFallsLinearly) {
  const InverseSquareRootSchedule other{.peak = 0.5, .warmup = 16};
  const CooldownSchedule schedule{.schedule = other, .steps = 100, .cooldown = 4};
  for (Index step = 1; step <= 96; ++step) EXPECT_EQ(schedule(step), other(step)) << step;
  EXPECT_DOUBLE_EQ(schedule(97), 0.8 * other(97));
  EXPECT_DOUBLE_EQ(schedule(98), 0.6 * other(98));
  EXPECT_DOUBLE_EQ(schedule(99), 0.4 * other(99));
  EXPECT_DOUBLE_EQ(schedule(100), 0.2 * other(100));  // the last step still does something
  EXPECT_EQ(schedule(101), 0);
  EXPECT_EQ(schedule(100000), 0);
}

// Until its cooldown a shorter run is the same: a run can be prolonged from a checkpoint before.
TEST(CooldownSchedule, RunsOfAnyLengthAreTheSameBefore) {
  const PaperSchedule paper{.d_model = 64, .warmup = 50};
  const CooldownSchedule shorter{paper, 300, 100}, longer{paper, 1000, 100};
  for (Index step = 1; step <= 200; ++step) EXPECT_EQ(shorter(step), longer(step)) << step;
  EXPECT_LT(shorter(201), longer(201));
}

TEST(CooldownSchedule, AllOfTheRunOrNone) {
  const auto one = [](Index) { return 1.0; };
  const CooldownSchedule all{one, 4, 4};
  EXPECT_DOUBLE_EQ(all(1), 0.8);
  EXPECT_DOUBLE_EQ(all(4), 0.2);
  for (const auto& [steps, cooldown] : {std::pair<Index, Index>{4, 5}, {4, 0}, {4, -1}, {0, 0}}) {
    EXPECT_THROW((void)CooldownSchedule({one, steps, cooldown})(1), rapt::ValueError) << steps << " " << cooldown;
  }
  EXPECT_EQ(rapt_test::error_text<rapt::ValueError>([&] {
              (void)CooldownSchedule({one, 4, 5})(1);
            }),
            "[schedule] a cooldown of 5 steps does not fit in 4");
  EXPECT_THROW((void)CooldownSchedule({PaperSchedule{}, 10, 5})(0), rapt::ValueError);
}

/// The largest difference of neighbours within a few steps of the end of warm-up is no more than twice the slope
/// before.
TEST(Schedules, AreContinuousAtTheEndOfWarmUp) {
  const auto check = [](const std::function<double(Index)>& schedule, Index warmup) {
    const double slope = schedule(warmup) / static_cast<double>(warmup);
    for (Index step = warmup - 3; step < warmup + 3; ++step) {
      EXPECT_LE(std::abs(schedule(step + 1) - schedule(step)), 1.001 * slope) << step;
    }
    double previous = 0;
    for (Index step = 1; step <= warmup; ++step) {
      EXPECT_GT(schedule(step), previous);
      previous = schedule(step);
    }
    for (Index step = warmup + 1; step < 2 * warmup; ++step) {
      EXPECT_LT(schedule(step), previous);
      EXPECT_GT(schedule(step), 0);
      previous = schedule(step);
    }
  };
  check(PaperSchedule{.d_model = 128, .warmup = 400}, 400);
  check(InverseSquareRootSchedule{.peak = 1e-3, .warmup = 400}, 400);
  check(CosineSchedule{.peak = 1e-3, .warmup = 400, .steps = 4000}, 400);
}

TEST(Schedules, StepsCountFromOneAndSizesArePositive) {
  EXPECT_THROW((void)PaperSchedule{}(0), rapt::ValueError);
  EXPECT_THROW((void)PaperSchedule{}(-1), rapt::ValueError);
  EXPECT_THROW((void)PaperSchedule{.warmup = 0}(1), rapt::ValueError);
  EXPECT_THROW((void)PaperSchedule{.d_model = 0}(1), rapt::ValueError);
  EXPECT_THROW((void)InverseSquareRootSchedule{}(0), rapt::ValueError);
  EXPECT_THROW((void)InverseSquareRootSchedule{.warmup = 0}(1), rapt::ValueError);
  EXPECT_THROW((void)CosineSchedule{}(0), rapt::ValueError);
  EXPECT_THROW((void)CosineSchedule{.warmup = -1}(1), rapt::ValueError);
  EXPECT_NO_THROW((void)CosineSchedule{}(1));
  rapt_test::expect_message<rapt::ValueError>([] { (void)CosineSchedule{.warmup = 50, .steps = 50}(3); },
                                              std::vector<std::string>{"[schedule]", "step 3, warmup 50, steps 50"});
}

}  // namespace
