/// \file
/// Ranges and spaces: what is sampled, how values become features, and what is refused.
#include "rapt/search/space.hpp"

#include <gtest/gtest.h>

#include <map>

#include "tests/common/expect_close.hpp"

namespace {

using rapt::choice;
using rapt::Index;
using rapt::integer_range;
using rapt::linear_range;
using rapt::log_integer_range;
using rapt::log_range;
using rapt::SettingsSpace;
using rapt_test::error_text;
using Json = nlohmann::ordered_json;

struct Settings {
  double rate = 1e-3;
  float dropout = 0.25f;
  Index layers = 2;
  std::string norm = "post";
  int other = 7;  // is not searched

  template <class Visitor>
  void visit_settings(const Visitor& setting) {
    setting("rate", rate, log_range(1e-4, 1e-2));
    setting("dropout", dropout, linear_range(0, 0.5));
    setting("layers", layers, integer_range(1, 4));
    setting("norm", norm, choice({"post", "pre", "none"}));
  }
};
static_assert(rapt::SearchedSettings<Settings>);
static_assert(!rapt::SearchedSettings<int>);

TEST(SettingsSpace, ValuesAtTheEndsAndInTheMiddleOfRanges) {
  EXPECT_EQ(linear_range(-1, 3).value_at(0), -1);
  EXPECT_EQ(linear_range(-1, 3).value_at(0.5), 1);
  EXPECT_EQ(linear_range(-1, 3).value_at(1), 3);
  EXPECT_EQ(log_range(1e-4, 1e-2).value_at(0), 1e-4);
  EXPECT_EQ(log_range(1e-4, 1e-2).value_at(0.5), 1e-3);
  EXPECT_EQ(log_range(1e-4, 1e-2).value_at(1), 1e-2);
  EXPECT_EQ(log_range(1, 2).value_at(1.0 / 3), 1.25992);  // six digits
  EXPECT_EQ(integer_range(1, 4).value_at(0.24), 1);       // each integer has a quarter
  EXPECT_EQ(integer_range(1, 4).value_at(0.26), 2);
  EXPECT_EQ(integer_range(1, 4).value_at(1), 4);
  EXPECT_EQ(log_integer_range(10, 1000).value_at(0), 10);
  EXPECT_EQ(log_integer_range(10, 1000).value_at(0.5), 97);  // sqrt(9.5 * 1000.5) = 97.49
  EXPECT_EQ(log_integer_range(10, 1000).value_at(1), 1000);
  EXPECT_EQ(choice({"a", "b"}).value_at(0.49), 0);
  EXPECT_EQ(choice({"a", "b"}).value_at(1), 1);
  EXPECT_EQ(linear_range(2, 2).value_at(0.3), 2);
}

TEST(SettingsSpace, CoordinatesAreTheInverseOfValues) {
  for (const auto& range : {linear_range(-5, 10), log_range(1e-5, 10), integer_range(-3, 6), log_integer_range(1, 5000),
                            choice({"a", "b", "c"})}) {
    for (int i = 0; i <= 20; ++i) {
      const double value = range.value_at(i / 20.0);
      EXPECT_EQ(range.value_at(range.coordinate_of(value)), value) << i;
      EXPECT_TRUE(range.contains(value)) << value;
    }
  }
}

TEST(SettingsSpace, SamplesAreAFunctionOfSeedAndTrial) {
  const SettingsSpace space = rapt::settings_space<Settings>();
  const Json third = space.sample(5, 3);
  static_cast<void>(space.sample(5, 0));
  EXPECT_EQ(space.sample(5, 3), third);
  EXPECT_NE(space.sample(5, 4), third);
  EXPECT_NE(space.sample(6, 3), third);
  std::map<std::string, int> norms;
  std::map<int, int> layers;
  int below = 0;
  constexpr int kCount = 2000;
  for (int i = 0; i < kCount; ++i) {
    const Settings some = rapt::settings_from<Settings>(space.sample(5, i));
    ++norms[some.norm];
    ++layers[static_cast<int>(some.layers)];
    below += some.rate < 1e-3;
    EXPECT_TRUE(some.dropout >= 0 && some.dropout <= 0.5f);
  }
  // Within five standard deviations of the mean.
  EXPECT_NEAR(below, kCount / 2, 112);
  ASSERT_EQ(norms.size(), 3u);
  for (const auto& [norm, count] : norms) EXPECT_NEAR(count, kCount / 3, 106) << norm;
  ASSERT_EQ(layers.size(), 4u);
  for (const auto& [number, count] : layers) EXPECT_NEAR(count, kCount / 4, 97) << number;
}

TEST(SettingsSpace, AStructIsReadAndWritten) {
  const Json values = rapt::settings_values(Settings());
  EXPECT_EQ(values, (Json{{"rate", 1e-3}, {"dropout", 0.25}, {"layers", 2}, {"norm", "post"}}));
  Settings before;
  before.other = 9;
  const Settings some =
      rapt::settings_from(Json{{"rate", 2e-3}, {"dropout", 0.125}, {"layers", 3}, {"norm", "none"}}, before);
  EXPECT_EQ(some.rate, 2e-3);
  EXPECT_EQ(some.dropout, 0.125f);
  EXPECT_EQ(some.layers, 3);
  EXPECT_EQ(some.norm, "none");
  EXPECT_EQ(some.other, 9);
}

TEST(SettingsSpace, FeaturesHaveNumbersAndGroupsForChoices) {
  const SettingsSpace space = rapt::settings_space<Settings>();
  const auto features = space.features_of({{"rate", 1e-3}, {"dropout", 0.5}, {"layers", 1}, {"norm", "pre"}});
  rapt_test::expect_close(features, std::vector<double>{0.5, 1, 0.125, 0, std::sqrt(0.5), 0}, 1e-12);
  EXPECT_EQ(space.feature_settings(), (std::vector<Index>{0, 1, 2, 3, 3, 3}));
}

TEST(SettingsSpace, WhatIsRefused) {
  EXPECT_EQ(error_text<rapt::ValueError>([] { static_cast<void>(linear_range(2, 1)); }),
            "[settings_space] a range needs two finite ends in their order: 2, 1");
  EXPECT_EQ(error_text<rapt::ValueError>([] { static_cast<void>(log_range(0, 1)); }),
            "[settings_space] a logarithmic range must lie above zero: 0, 1");
  EXPECT_THROW(static_cast<void>(log_integer_range(0, 3)), rapt::ValueError);
  EXPECT_THROW(static_cast<void>(linear_range(0, std::numeric_limits<double>::infinity())), rapt::ValueError);
  EXPECT_THROW(static_cast<void>(choice({})), rapt::ValueError);
  EXPECT_EQ(error_text<rapt::ValueError>([] {
              static_cast<void>(choice({"a", "b", "a"}));
            }),
            "[settings_space] a choice is listed twice: a");
  SettingsSpace space = rapt::settings_space<Settings>();
  EXPECT_EQ(error_text<rapt::ValueError>([&] { space.add("rate", linear_range(0, 1)); }),
            "[settings_space] a setting needs a name of its own: 'rate'");
  const auto refusal = [&](const char* key, const Json& value) {
    Json values = rapt::settings_values(Settings());
    values[key] = value;
    return error_text<rapt::ValueError>([&] { static_cast<void>(space.coordinates_of(values)); });
  };
  EXPECT_EQ(refusal("rate", 1), "[settings_space] rate must be a number from 0.0001 to 0.01: 1");
  EXPECT_EQ(refusal("layers", 1.5), "[settings_space] layers must be an integer from 1 to 4: 1.5");
  EXPECT_EQ(refusal("layers", Json::array({1})), "[settings_space] layers must be an integer from 1 to 4: an array");
  EXPECT_EQ(refusal("norm", "Post"), "[settings_space] norm has no choice \"Post\"");
  EXPECT_EQ(refusal("more", 1), "[settings_space] there must be a value for each of 4 settings, not 5");
  EXPECT_THROW(static_cast<void>(space.coordinates_of(Json::array())), rapt::ValueError);
}

}  // namespace
