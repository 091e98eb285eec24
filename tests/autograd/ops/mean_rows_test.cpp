/// \file
/// The mean of each sequence's rows against the definition, and its gradient.
#include "rapt/autograd/ops/mean_rows.hpp"

#include <gtest/gtest.h>

#include "rapt/autograd/gradcheck.hpp"
#include "rapt/autograd/ops/multiply.hpp"
#include "tests/common/gradients.hpp"

namespace {

using rapt::Index;
using rapt::Shape;
using rapt::Tensor;
using Variables = std::vector<rapt::Variable<double>>;
using rapt_test::splits_of;

const std::vector<std::vector<Index>> kLengths = {{1}, {3, 5}, {2, 0, 4, 0}, {0}, {70, 1, 33}};

TEST(MeanRows, IsTheMeanOfEachSequence) {
  for (const auto& lengths : kLengths) {
    const rapt::RowSplits splits = splits_of(lengths);
    const auto x = rapt_test::normal_tensor<double>({splits.rows(), 19}, 3);
    const Tensor<double> y = mean_rows(rapt::Variable<double>(x), splits).value();
    ASSERT_EQ(y.shape(), (Shape{splits.sequences(), 19}));
    for (Index s = 0; s < splits.sequences(); ++s) {
      for (Index j = 0; j < 19; ++j) {
        double sum = 0;
        for (Index i = splits.begin(s); i < splits.end(s); ++i) sum += x(i, j);
        EXPECT_NEAR(y(s, j), splits.length(s) > 0 ? sum / static_cast<double>(splits.length(s)) : 0, 1e-14);
      }
    }
  }
}

TEST(MeanRows, Gradient) {
  for (const auto& lengths : kLengths) {
    const rapt::RowSplits splits = splits_of(lengths);
    const auto x = rapt_test::normal_tensor<double>({splits.rows(), 3}, 4);
    const auto once = rapt::gradcheck([&](const Variables& v) { return mean_rows(v[0], splits); }, {x});
    EXPECT_LT(once.worst_relative_error, 1e-6);
    rapt_test::expect_same_gradients_of_subsets([&](const Variables& v) { return mean_rows(v[0], splits); }, {x});
    const auto twice = rapt::gradcheck(  // two gradients flow into x
        [&](const Variables& v) { return multiply(mean_rows(v[0], splits), mean_rows(multiply(v[0], v[0]), splits)); },
        {x});
    EXPECT_LT(twice.worst_relative_error, 1e-6);
  }
}

TEST(MeanRows, TheSplitsNeedNotOutliveTheCall) {
  const auto x = rapt_test::random_leaf<double>({4, 2}, 5);
  const rapt::Recording scope;
  const auto y = [&] { return mean_rows(x, splits_of({1, 3})); }();
  rapt::backward(rapt::sum(y));
  EXPECT_DOUBLE_EQ(x.grad()(0, 0), 1.0);
  EXPECT_DOUBLE_EQ(x.grad()(3, 1), 1.0 / 3);
}

TEST(MeanRows, SameBitsOnAnyNumberOfThreads) {
  const rapt::RowSplits splits = splits_of({9, 1, 400, 23, 77, 5});
  const Index before = rapt::threads();
  std::vector<Tensor<float>> values;
  for (const Index threads : {1, 3}) {
    rapt::set_threads(threads);
    const auto x = rapt_test::random_leaf<float>({splits.rows(), 65}, 6);
    const rapt::Recording scope;
    const auto y = mean_rows(x, splits);
    rapt::backward(rapt::sum(multiply(y, y)));
    values.push_back(y.value());
    values.push_back(x.grad());
  }
  rapt::set_threads(before);
  EXPECT_TRUE(rapt_test::same_bits(values[0], values[2]));
  EXPECT_TRUE(rapt_test::same_bits(values[1], values[3]));
}

TEST(MeanRows, ErrorsNameTheShapes) {
  const rapt::Variable<double> x(Tensor<double>(Shape{4, 2}, 0.0));
  rapt_test::expect_errors({{"rows", [&] { std::ignore = mean_rows(x, splits_of({1, 2})); }, {"[4, 2]", "end at 3"}}});
}

}  // namespace
