/// \file
/// Neighbouring rows side by side, the convolution that is made of them, and their gradients.
// covers: kernels/unfold_rows.hpp, nn/convolution.hpp
#include "rapt/autograd/ops/unfold_rows.hpp"

#include <gtest/gtest.h>

#include "rapt/autograd/gradcheck.hpp"
#include "rapt/nn/convolution.hpp"
#include "tests/common/gradients.hpp"

namespace {

using rapt::Index;
using rapt::RowSplits;
using rapt::RowWindow;
using rapt::Shape;
using rapt::Tensor;
using rapt_test::normal_tensor;
using rapt_test::splits_of;
using Variables = std::vector<rapt::Variable<double>>;

const std::vector<RowWindow> kWindows = {{.width = 3, .stride = 1, .padding = 1},
                                         {.width = 3, .stride = 2, .padding = 1},
                                         {.width = 1, .stride = 3, .padding = 0},
                                         {.width = 4, .stride = 2, .padding = 3},
                                         {.width = 2, .stride = 5, .padding = 0}};

TEST(UnfoldRows, ShowsEachWindow) {
  const RowSplits splits = splits_of({5, 0, 1, 8});
  const Tensor<double> x = normal_tensor<double>({14, 3}, 1);
  for (const RowWindow& window : kWindows) {
    const Tensor<double> y = unfold_rows(rapt::Variable<double>(x), splits, window).value();
    const RowSplits windows = rapt::window_splits(splits, window);
    ASSERT_EQ(y.shape(), (Shape{windows.rows(), 3 * window.width}));
    for (Index s = 0; s < splits.sequences(); ++s) {
      const Index length = splits.length(s);
      Index count = 0;
      for (Index begin = -window.padding; begin + window.width <= length + window.padding; begin += window.stride) {
        for (Index k = 0; k < window.width; ++k) {
          const bool inside = begin + k >= 0 && begin + k < length;
          for (Index c = 0; c < 3; ++c) {
            EXPECT_EQ(y(windows.begin(s) + count, c * window.width + k),
                      inside ? x(splits.begin(s) + begin + k, c) : 0.0);
          }
        }
        ++count;
      }
      EXPECT_EQ(windows.length(s), count);
    }
  }
}

TEST(UnfoldRows, Gradient) {
  const RowSplits splits = splits_of({5, 1, 8});
  const auto x = normal_tensor<double>({14, 3}, 2);
  for (const RowWindow& window : kWindows) {
    const auto result =
        rapt::gradcheck([&](const Variables& v) { return unfold_rows(v[0], splits, window); }, {x}, {.step = 1e-6});
    EXPECT_LT(result.worst_relative_error, 1e-6) << window.width << window.stride << window.padding;
  }
}

TEST(UnfoldRows, ErrorsNameTheValues) {
  const rapt::Variable<double> x(normal_tensor<double>({4, 3}, 1));
  rapt_test::expect_errors(
      {{"rows",
        [&] { std::ignore = unfold_rows(x, splits_of({5}), RowWindow()); },
        {"[unfold_rows] ", "x has shape [4, 3]", "row splits end at 5"}},
       {"stride", [&] { std::ignore = unfold_rows(x, splits_of({4}), {.stride = 0}); }, {"[unfold_rows] ", "3, 0, 1"}},
       {"padding",
        [&] { std::ignore = unfold_rows(x, splits_of({4}), {.padding = -1}); },
        {"[unfold_rows] ", "3, 1, -1"}}});
}

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

}  // namespace
