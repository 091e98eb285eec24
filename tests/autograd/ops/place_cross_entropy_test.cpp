/// \file
/// The cross-entropy of places in sequences, and its gradient.
#include "rapt/autograd/ops/place_cross_entropy.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "rapt/autograd/gradcheck.hpp"
#include "rapt/autograd/ops/cross_entropy.hpp"
#include "tests/common/gradients.hpp"

namespace {

using rapt::RowSplits;
using rapt::Tensor;
using rapt::Variable;
using rapt_test::normal_tensor;
using rapt_test::splits_of;

TEST(PlaceCrossEntropy, IsTheMeanOfTheSequencesCrossEntropies) {
  const auto x = normal_tensor<double>({7, 2}, 1);
  const std::vector<std::int32_t> targets{1, 2, 0, 0, 3, 4};  // the third sequence's are behind its end
  const double loss = rapt::place_cross_entropy(Variable<double>(x), splits_of({3, 1, 3}), targets).item();
  const auto of_rows = [&](rapt::Index begin, rapt::Index length, rapt::Index column, std::int32_t target) {
    Tensor<double> scores(rapt::Shape{1, length});
    for (rapt::Index i = 0; i < length; ++i) scores(0, i) = x(begin + i, column);
    return rapt::cross_entropy(Variable<double>(scores), std::vector{target}).item();
  };
  const double first = (of_rows(0, 3, 0, 1) + of_rows(3, 1, 0, 0)) / 2;
  const double second = (of_rows(0, 3, 1, 2) + of_rows(3, 1, 1, 0)) / 2;
  EXPECT_NEAR(loss, (first + second) / 2, 1e-14);
}

TEST(PlaceCrossEntropy, AColumnWithoutTargetsIsNotPartOfTheMean) {
  const auto both = normal_tensor<double>({5, 2}, 1);
  Tensor<double> first({5, 1});
  for (rapt::Index i = 0; i < 5; ++i) first(i, 0) = both(i, 0);
  const RowSplits splits = splits_of({2, 3});
  EXPECT_EQ(rapt::place_cross_entropy(Variable<double>(both), splits, std::vector{0, 2, 1, 3}).item(),
            rapt::place_cross_entropy(Variable<double>(first), splits, std::vector{0, 1}).item());
}

TEST(PlaceCrossEntropy, LargeScoresLoseNoDigits) {
  const Variable<float> x(Tensor<float>({3, 1}, {1000.f, -1000.f, 999.f}));
  const auto loss = [&](std::int32_t target) {
    return rapt::place_cross_entropy(x, RowSplits::equal(1, 3), std::vector{target}).item();
  };
  EXPECT_NEAR(loss(0), std::log1p(std::exp(-1.f)), 1e-6f);
  EXPECT_NEAR(loss(1), 2000.f, 1.f);
}

TEST(PlaceCrossEntropy, Gradient) {
  const auto x = normal_tensor<double>({8, 2}, 1);
  const RowSplits splits = splits_of({3, 0, 5});
  const auto once = [&](const std::vector<Variable<double>>& in) {
    return rapt::place_cross_entropy(in[0], splits, std::vector<std::int32_t>{2, 0, 7, 0, 1, 5});
  };
  const auto twice = [&](const std::vector<Variable<double>>& in) { return rapt::multiply(once(in), once(in)); };
  EXPECT_LT(rapt::gradcheck(once, {x}).worst_relative_error, 1e-7);
  EXPECT_LT(rapt::gradcheck(twice, {x}).worst_relative_error, 1e-7);
  rapt_test::expect_same_gradients_of_subsets(once, {x});
}

TEST(PlaceCrossEntropy, WrongUse) {
  const Variable<double> x(normal_tensor<double>({5, 2}, 1));
  const auto with = [&](const RowSplits& splits, const std::vector<std::int32_t>& targets) {
    return [=] { std::ignore = rapt::place_cross_entropy(x, splits, targets); };
  };
  rapt_test::expect_errors(
      {{"rows", with(splits_of({2, 2}), {0, 0, 0, 0}), {"place_cross_entropy", "[5, 2]", "end at 4"}},
       {"targets", with(splits_of({2, 3}), {0, 0, 0}), {"3 targets", "2 sequences", "2 columns"}},
       {"negative", with(splits_of({2, 3}), {0, 0, -1, 0}), {"target -1", "sequence 1"}},
       {"all behind", with(splits_of({2, 3}), {2, 2, 3, 3}), {"all 4 targets lie behind their sequences"}}});
}

}  // namespace
