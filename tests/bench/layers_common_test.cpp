#include "bench/layers/common.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <limits>
#include <rapt/core/build_info.hpp>
#include <rapt/core/thread_pool.hpp>
#include <string>
#include <tuple>
#include <vector>

#include "tests/common/temporary_folder.hpp"

namespace {

using layers_bench::Arguments, layers_bench::Finished, layers_bench::spread_of;

TEST(LayersSpread, TheMedianOfAnEvenNumberIsTheMeanOfTheTwoInTheMiddle) {
  EXPECT_EQ(spread_of({3}).median, 3);
  EXPECT_EQ(spread_of({5, 1, 2}).median, 2);
  EXPECT_EQ(spread_of({4, 1}).median, 2.5);
  const layers_bench::Spread spread = spread_of({8, 1, 2, 6});
  EXPECT_EQ(spread.median, 4);
  EXPECT_EQ(spread.least, 1);
  EXPECT_EQ(spread.most, 8);
}

class LayersFinished : public rapt_test::FolderTest {
 protected:
  [[nodiscard]] Arguments arguments(const std::string& settings = "--quick") const {
    Arguments result;
    result.folder = folder_;
    result.settings = settings;
    return result;
  }
  [[nodiscard]] std::vector<std::string> lines() const {
    std::ifstream file(folder_ / "finished.tsv");
    std::vector<std::string> result;
    for (std::string line; std::getline(file, line);) result.push_back(line);
    return result;
  }

  const std::vector<double> numbers_{1.0 / 3, -2, std::numeric_limits<double>::infinity()};
  const rapt::Index threads_before_ = rapt::threads();

  ~LayersFinished() override { rapt::set_threads(threads_before_); }
};

TEST_F(LayersFinished, WhatIsThereIsNotMeasuredAgain) {
  {
    Finished finished(arguments(), "finished.tsv");
    EXPECT_EQ(finished.conditions(), "");
    EXPECT_EQ(finished.of("copy, n = 16", [&] { return numbers_; }), numbers_);
    EXPECT_EQ(finished.of("copy, n = 32", [] { return std::vector<double>{7}; }), std::vector<double>{7});
  }
  Finished finished(arguments(), "finished.tsv");
  const auto never = []() -> std::vector<double> {
    ADD_FAILURE() << "it is there";
    return {};
  };
  EXPECT_EQ(finished.of("copy, n = 16", never), numbers_);
  EXPECT_EQ(finished.of("copy, n = 32", never), std::vector<double>{7});
}

TEST_F(LayersFinished, EachMeasurementKeepsItsTimeAndLoad) {
  {
    Finished finished(arguments(), "finished.tsv");
    std::ignore = finished.of("a", [&] { return numbers_; });
  }
  std::vector<std::string> file = lines();
  ASSERT_EQ(file.size(), 2u);
  EXPECT_NE(file[0].find("arguments: --quick; rapt "), std::string::npos) << file[0];
  EXPECT_NE(file[0].find(rapt::build_info().compiler), std::string::npos) << file[0];
  EXPECT_EQ(file[1].substr(0, 2), "a\t");
  {
    std::ofstream changed(folder_ / "finished.tsv");
    changed << file[0] << "\na\t1 2\t2026-01-03T00:00:00Z\t0.25\nb\t3\t2026-01-01T00:00:00Z\t1.75\n";
  }
  Finished finished(arguments(), "finished.tsv");
  EXPECT_EQ(finished.of("a", [] { return std::vector<double>(); }), (std::vector<double>{1, 2}));
  EXPECT_EQ(finished.conditions(),
            "load average of the last minute behind each measurement, 2026-01-01T00:00:00Z to 2026-01-03T00:00:00Z: "
            "1.00 (0.25 .. 1.75)");
  std::ignore = finished.of("c", [] { return std::vector<double>{9}; });
  file = lines();
  ASSERT_EQ(file.size(), 4u);
  EXPECT_EQ(file[1], "a\t1 2\t2026-01-03T00:00:00Z\t0.25");
  EXPECT_EQ(file[2], "b\t3\t2026-01-01T00:00:00Z\t1.75");
}

TEST_F(LayersFinished, MeasurementsOfOtherArgumentsOrOnOtherThreadsAreRefused) {
  testing::FLAGS_gtest_death_test_style = "threadsafe";
  rapt::set_threads(1);
  {
    Finished finished(arguments(), "finished.tsv");
    std::ignore = finished.of("a", [&] { return numbers_; });
  }
  EXPECT_EXIT(Finished(arguments("--seconds 3"), "finished.tsv"), testing::ExitedWithCode(2),
              "holds measurements of another run .arguments: --quick; .*now arguments: --seconds 3; ");
  rapt::set_threads(2);
  EXPECT_EXIT(Finished(arguments(), "finished.tsv"), testing::ExitedWithCode(2), "1 thread.*; now .*2 threads");
  rapt::set_threads(1);
  Finished same(arguments(), "finished.tsv");
  EXPECT_EQ(same.of("a", [] { return std::vector<double>(); }), numbers_);
}

}  // namespace
