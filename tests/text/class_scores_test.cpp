/// \file
/// Accuracy and F1 against scikit-learn's (tests/golden/make_class_scores.py).
#include "rapt/text/class_scores.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/common/expect_close.hpp"

namespace {

using rapt::ClassScores;
using Labels = std::vector<std::int32_t>;

TEST(ClassScores, AgreeWithScikitLearn) {
  const auto golden = nlohmann::json::parse(std::ifstream(std::string(RAPT_GOLDEN_DIR) + "/class_scores.json"));
  ASSERT_EQ(golden.at("cases").size(), 5u);
  for (const auto& c : golden.at("cases")) {
    const auto predicted = c.at("predicted").get<Labels>(), wanted = c.at("wanted").get<Labels>();
    const ClassScores scores(predicted, wanted, c.at("labels").get<rapt::Index>());
    EXPECT_DOUBLE_EQ(scores.accuracy(), c.at("accuracy").get<double>());
    EXPECT_NEAR(scores.macro_f1(), c.at("macro").get<double>(), 1e-15);
    EXPECT_NEAR(scores.weighted_f1(), c.at("weighted").get<double>(), 1e-15);
    ASSERT_EQ(scores.labels().size(), c.at("f1").size());
    for (std::size_t i = 0; i < c.at("f1").size(); ++i) {
      EXPECT_NEAR(scores.labels()[i].f1(), c.at("f1")[i].get<double>(), 1e-15) << "label " << i;
    }
  }
}

TEST(ClassScores, WhatCannotBeComparedIsRefused) {
  const Labels two = {0, 1}, three = {0, 1, 2}, none;
  const std::string where = "[class_scores]";
  rapt_test::expect_message<rapt::ShapeError>([&] { ClassScores(two, three, 3); }, "2 predicted labels for 3");
  rapt_test::expect_message<rapt::ValueError>([&] { ClassScores(none, none, 3); }, "no labels");
  rapt_test::expect_message<rapt::ValueError>([&] { ClassScores(three, three, 2); }, "label 2 is 2, there are 2");
  rapt_test::expect_message<rapt::ValueError>([&] { ClassScores(three, three, -1); }, where);
}

}  // namespace
