/// \file
/// Convolutions along sequences: against sums by loops and against PyTorch, and which rows they see.
#include "rapt/nn/convolution.hpp"

#include <gtest/gtest.h>

#include <map>
#include <string>

#include "tests/common/golden.hpp"
#include "tests/common/gradients.hpp"

namespace {

using rapt::Index;
using rapt::RowSplits;
using rapt::RowWindow;
using rapt::Shape;
using rapt::Tensor;
using rapt_test::normal_tensor;
using rapt_test::splits_of;

TEST(Convolution, IsASumOverTheWindow) {
  rapt::Rng rng(1);
  rapt::Convolution<double> layer(3, 4, {.width = 3, .stride = 2, .padding = 1}, rng);
  rapt_test::randomize(layer, 2);
  Tensor<double> weight, bias;
  rapt::for_each_parameter(layer, [&](const std::string& name, const rapt::Parameter<double>& parameter) {
    (name == "weight" ? weight : bias) = parameter.value();
  });
  EXPECT_EQ(weight.shape(), (Shape{4, 3, 3}));
  const RowSplits splits = splits_of({7, 2});
  const auto x = normal_tensor<double>({9, 3}, 3);
  const Tensor<double> y = layer(rapt::Variable<double>(x), splits).value();
  const RowSplits rows = layer.splits(splits);
  EXPECT_EQ(rows, splits_of({4, 1}));
  for (Index s = 0; s < 2; ++s) {
    for (Index t = 0; t < rows.length(s); ++t) {
      for (Index o = 0; o < 4; ++o) {
        double sum = bias.data()[o];
        for (Index k = 0; k < 3; ++k) {
          const Index i = 2 * t + k - 1;
          if (i < 0 || i >= splits.length(s)) continue;
          for (Index c = 0; c < 3; ++c) sum += weight.data()[(o * 3 + c) * 3 + k] * x(splits.begin(s) + i, c);
        }
        EXPECT_NEAR(y(rows.begin(s) + t, o), sum, 1e-12);
      }
    }
  }
  rapt_test::expect_message(
      [&] {
        std::ignore = layer(rapt::Variable<double>(normal_tensor<double>({2, 4}, 1)), splits_of({2}));
      },
      "x has shape [2, 4], the weight is [4, 3, 3]");
}

template <class T>
void expect_golden(const std::string& name, const RowWindow& window) {
  const rapt_test::Golden golden("layers", "conv_" + name);
  rapt::Rng rng(1);
  rapt::Convolution<T> layer(4, 6, window, rng);
  golden.load(layer);
  const auto x = golden.leaf<T>("x");
  const rapt::Recording scope;
  const auto y = layer(x, golden.splits("row_splits"));
  golden.expect_output("output", y.value());
  golden.backward(y);
  golden.expect_gradient("x", x);
  golden.expect_gradients(layer);
}

TEST(Convolution, IsTorchs) {
  const std::map<std::string, RowWindow> windows{{"centred", rapt::centred_window(3)},
                                                 {"strided", {.width = 4, .stride = 2, .padding = 2}},
                                                 {"dilated", rapt::centred_window(3, 2)},
                                                 {"causal", rapt::causal_window(3)},
                                                 {"causal_dilated", rapt::causal_window(2, 3)}};
  for (const auto& [name, window] : windows) {
    SCOPED_TRACE(name);
    expect_golden<float>(name, window);
    expect_golden<double>(name, window);
  }
}

TEST(Convolution, ErrorsNameTheWindow) {
  rapt::Rng rng(1);
  const auto with = [&](const RowWindow& window) {
    return [&rng, window] { const rapt::Convolution<double> layer(3, 4, window, rng); };
  };
  const std::string rule = "[convolution] width, stride and dilation must be positive, padding not negative: ";
  rapt_test::expect_message([&] { const rapt::Convolution<double> layer(0, 4, {}, rng); },
                            "[convolution] sizes must be positive: 0 inputs, 4 outputs");
  rapt_test::expect_message(with({.width = 0}), rule + "width 0, stride 1, dilation 1, padding 1");
  rapt_test::expect_message(with({.stride = 0}), rule + "width 3, stride 0, dilation 1, padding 1");
  rapt_test::expect_message(with({.dilation = 0}), rule + "width 3, stride 1, dilation 0, padding 1");
  rapt_test::expect_message(with({.padding = -1}), rule + "width 3, stride 1, dilation 1, padding -1");
}

TEST(Convolution, CausalResultsDoNotDependOnLaterRows) {
  rapt::Rng rng(1);
  const rapt::Convolution<double> layer(3, 4, rapt::causal_window(3, 2), rng);
  const RowSplits splits = splits_of({6, 5});
  Tensor<double> x = normal_tensor<double>({11, 3}, 3);
  EXPECT_EQ(layer.splits(splits), splits);
  const Tensor<double> before = layer(rapt::Variable<double>(x), splits).value();
  for (Index c = 0; c < 3; ++c) x(3, c) += 1;  // seen by rows 3 and 5; row 7 belongs to the next sequence
  const Tensor<double> after = layer(rapt::Variable<double>(x), splits).value();
  for (Index i = 0; i < 11; ++i) {
    EXPECT_EQ(std::equal(before.row(i), before.row(i) + 4, after.row(i)), i != 3 && i != 5) << i;
  }
}

}  // namespace
