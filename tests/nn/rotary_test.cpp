/// \file
/// Angles of rotary positions: near and far, and how each scaling changes them. Numbers of transformers are compared
/// with in models/llama_golden_test.cpp.
#include "rapt/nn/rotary.hpp"

#include <gtest/gtest.h>

#include "rapt/autograd/ops/linear.hpp"
#include "tests/common/golden.hpp"
#include "tests/common/gradients.hpp"
#include "tests/common/settings.hpp"

namespace {

using rapt::Index;
using rapt::RotaryOptions;
using rapt::RotaryScaling;
using rapt::Tensor;
using rapt_test::splits_of;
using Variable = rapt::Variable<double>;

/// cosine and sine of pair i at each row, by the definition.
void expect_angles(const rapt::RotaryAngles<double>& angles, const std::vector<Index>& positions,
                   const std::vector<double>& frequencies) {
  ASSERT_EQ(angles.positions.size(), positions.size());
  const auto pairs = static_cast<Index>(frequencies.size());
  ASSERT_EQ(angles.table->cols(), 2 * pairs);
  for (std::size_t row = 0; row < positions.size(); ++row) {
    for (Index i = 0; i < pairs; ++i) {
      const double angle = static_cast<double>(positions[row]) * frequencies[static_cast<std::size_t>(i)];
      EXPECT_NEAR((*angles.table)(angles.positions[row], i), std::cos(angle), 1e-12);
      EXPECT_NEAR((*angles.table)(angles.positions[row], pairs + i), std::sin(angle), 1e-12);
    }
  }
}

std::vector<double> geometric(double theta, Index rotated) {
  std::vector<double> frequencies;
  for (Index i = 0; i < rotated / 2; ++i) {
    frequencies.push_back(1 / std::pow(theta, 2.0 * static_cast<double>(i) / static_cast<double>(rotated)));
  }
  return frequencies;
}

TEST(Rotary, AnglesGrowGeometricallyWithinTheTableAndBeyond) {
  for (const Index kept : {2, 16, 4096}) {
    const rapt::Rotary<double> rotary(6, {.theta = 50, .max_positions = 20}, kept);
    const auto splits = splits_of({2, 0, 3, 1});
    expect_angles(rotary.angles(splits), {0, 1, 0, 1, 2, 0}, geometric(50, 6));
    const std::vector<Index> starts{1, 9, 3, 0}, far{0, 0, 50, 4};
    expect_angles(rotary.angles(splits, starts), {1, 2, 3, 4, 5, 0}, geometric(50, 6));
    expect_angles(rotary.angles(splits, far), {0, 1, 50, 51, 52, 4}, geometric(50, 6));
  }
}

TEST(Rotary, OnlyAShareOfTheColumnsIsRotated) {
  const rapt::Rotary<double> rotary(8, {.rotated_ratio = 0.75});
  expect_angles(rotary.angles(splits_of({3})), {0, 1, 2}, geometric(10000, 6));
  const auto x = rapt_test::normal_tensor<double>({3, 24}, 1);
  const auto y = rotary(Variable(x), splits_of({3}), /*heads=*/2).value();
  for (Index i = 0; i < 3; ++i) {
    for (const Index j : {6, 7, 14, 15, 16, 20, 23}) EXPECT_EQ(y(i, j), x(i, j));
    for (const Index j : {0, 5, 8, 13}) EXPECT_EQ(y(i, j) == x(i, j), i == 0) << j;
  }
}

TEST(Rotary, PositionsGoOnWhereASequenceIsContinued) {
  const rapt::Rotary<double> rotary(4, {.theta = 10, .layout = rapt::RotaryLayout::interleaved});
  const auto x = rapt_test::normal_tensor<double>({5, 4}, 1);
  const auto whole = rotary(Variable(x), splits_of({5}), 1).value();
  const Variable end(Tensor<double>(x.view().middle_rows(3, 2)));
  const auto part = rotary(end, splits_of({2}), 1, std::vector<Index>{3}).value();
  EXPECT_TRUE(rapt_test::same_bits(part, Tensor<double>(whole.view().middle_rows(3, 2))));
}

TEST(Rotary, LinearScalingInterpolates) {
  const RotaryOptions options{.scaling = RotaryScaling::linear, .factor = 4};
  const rapt::Rotary<double> plain(8), scaled(8, options);
  const auto splits = splits_of({1});
  const auto at = [&](const auto& rotary, Index position) {
    const auto angles = rotary.angles(splits, std::vector<Index>{position});
    return (*angles.table)(angles.positions[0], 1);
  };
  EXPECT_NEAR(at(scaled, 40), at(plain, 10), 1e-14);
}

/// Each sequence has the frequencies of its own length: not those of the longest in the batch.
TEST(Rotary, DynamicScalingLooksAtEachSequence) {
  const RotaryOptions options{.theta = 100, .max_positions = 8, .scaling = RotaryScaling::dynamic, .factor = 2};
  const rapt::Rotary<double> rotary(6, options);
  for (const Index length : {3, 8}) {
    const auto unchanged = rotary_frequencies(options, 6, length);
    for (std::size_t i = 0; i < 3; ++i) EXPECT_NEAR(unchanged[i], geometric(100, 6)[i], 1e-15);
  }
  const auto longer = rotary_frequencies(options, 6, 12);
  EXPECT_EQ(longer[0], 1);
  EXPECT_LT(longer[2], geometric(100, 6)[2]);
  const auto angles = rotary.angles(splits_of({3, 12, 1}), std::vector<Index>{0, 0, 11});
  std::vector<Index> first{0, 1, 2}, second, third{11};
  for (Index i = 0; i < 12; ++i) second.push_back(i);
  const auto some = [&](std::size_t begin, std::size_t count) {
    return rapt::RotaryAngles<double>{angles.table,
                                      {angles.positions.begin() + static_cast<std::ptrdiff_t>(begin),
                                       angles.positions.begin() + static_cast<std::ptrdiff_t>(begin + count)}};
  };
  expect_angles(some(0, 3), first, geometric(100, 6));
  expect_angles(some(3, 12), second, longer);
  expect_angles(some(15, 1), third, longer);
}

/// High frequencies stay, low ones are divided by the factor, and between them nothing jumps.
TEST(Rotary, RampsGoFromAllToNothing) {
  for (const RotaryScaling scaling : {RotaryScaling::llama3, RotaryScaling::yarn}) {
    const RotaryOptions options{.max_positions = 8192, .scaling = scaling, .factor = 8, .original_positions = 1024};
    const auto scaled = rotary_frequencies(options, 128, 1), plain = geometric(10000, 128);
    std::vector<double> ratio;
    for (std::size_t i = 0; i < plain.size(); ++i) ratio.push_back(scaled[i] / plain[i]);
    EXPECT_NEAR(ratio.front(), 1, 1e-12);
    EXPECT_NEAR(ratio.back(), 1 / 8.0, 1e-12);
    for (std::size_t i = 1; i < ratio.size(); ++i) EXPECT_LE(ratio[i], ratio[i - 1] + 1e-12);
    EXPECT_GT(std::count_if(ratio.begin(), ratio.end(), [](double r) { return r > 0.13 && r < 0.99; }), 5);
  }
}

TEST(Rotary, YarnStretchesCosinesAndSines) {
  RotaryOptions options{.scaling = RotaryScaling::yarn, .factor = 4};
  const auto length_of = [&] {
    const auto angles = rapt::Rotary<double>(4, options).angles(splits_of({2}));
    return std::hypot((*angles.table)(1, 0), (*angles.table)(1, 2));
  };
  EXPECT_NEAR(length_of(), 1 + 0.1 * std::log(4), 1e-14);
  options.mscale = 2, options.mscale_all = 1;
  EXPECT_NEAR(length_of(), (1 + 0.2 * std::log(4)) / (1 + 0.1 * std::log(4)), 1e-14);
  options.attention_factor = 0.7;
  EXPECT_NEAR(length_of(), 0.7, 1e-14);
}

TEST(Rotary, CopiesShareTheTable) {
  const rapt::Rotary<double> rotary(4);
  const rapt::Rotary<double> copy = rotary;
  EXPECT_EQ(copy.angles(splits_of({2})).table, rotary.angles(splits_of({3})).table);
}

/// A product's result that nobody else needs is turned where it lies.
TEST(Rotary, TurnsInPlaceWhatIsMovedIn) {
  const rapt::Rotary<double> rotary(4);
  const auto splits = splits_of({3});
  const Variable weight(rapt_test::normal_tensor<double>({4, 2}, 1), true);
  const Variable x(rapt_test::normal_tensor<double>({3, 2}, 2));
  const auto product = [&] { return rapt::linear(x, weight, Variable()); };
  const auto expected = rotary(Variable(product().value()), splits, 1).value();
  for (const bool recording : {false, true}) {
    std::optional<rapt::Recording> scope;
    if (recording) scope.emplace();
    Variable y = product();
    const double* elements = y.value().data();
    const Variable kept = y;
    const Variable apart = rotary(std::move(y), splits, 1);
    EXPECT_NE(apart.value().data(), elements) << "somebody else still reads it";
    EXPECT_TRUE(rapt_test::same_bits(apart.value(), expected));
    Variable z = product();
    elements = z.value().data();
    const Variable turned = rotary(std::move(z), splits, 1);
    EXPECT_EQ(turned.value().data(), elements);
    EXPECT_TRUE(rapt_test::same_bits(turned.value(), expected));
  }
}

TEST(Rotary, NamesOptionsThatDoNotFit) {
  std::vector<rapt_test::WrongUse> t;
  const auto wrong = [&](std::string name, Index head_dim, RotaryOptions options, std::vector<std::string> parts) {
    parts.push_back("[rotary] ");
    t.push_back({std::move(name), [=] { rapt::Rotary<float>(head_dim, options); }, std::move(parts)});
  };
  wrong("odd", 5, {}, {"even", "head_dim = 5"});
  wrong("odd share", 10, {.rotated_ratio = 0.5}, {"even", "0.5 of head_dim = 10"});
  wrong("share", 8, {.rotated_ratio = 1.5}, {"rotated_ratio", "1.5"});
  wrong("theta", 8, {.theta = 0}, {"theta 0"});
  wrong("positions", 8, {.max_positions = 0}, {"max_positions 0"});
  wrong("factor", 8, {.scaling = RotaryScaling::linear, .factor = 0.5}, {"factor", "0.5"});
  wrong("dynamic", 2, {.scaling = RotaryScaling::dynamic, .factor = 2}, {"dynamic", "head_dim = 2"});
  wrong("llama3", 8, {.low_factor = 4, .high_factor = 4}, {"low_factor 4", "high_factor 4"});
  wrong("yarn", 8, {.beta_slow = 3, .beta_fast = 2}, {"beta_slow 3", "beta_fast 2"});
  rapt_test::expect_errors(t);
}

}  // namespace
