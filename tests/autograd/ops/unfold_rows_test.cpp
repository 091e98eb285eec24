/// \file
/// Neighbouring rows side by side, the convolution that is made of them, and their gradients.
// covers: kernels/unfold_rows.hpp
#include "rapt/autograd/ops/unfold_rows.hpp"

#include <gtest/gtest.h>

#include "rapt/autograd/gradcheck.hpp"
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
                                         {.width = 2, .stride = 5, .padding = 0},
                                         {.width = 3, .stride = 2, .padding = 3, .dilation = 4},
                                         rapt::centred_window(5, 2),
                                         rapt::causal_window(3),
                                         rapt::causal_window(2, 5)};

TEST(UnfoldRows, ShowsEachWindow) {
  const RowSplits splits = splits_of({5, 0, 1, 8});
  const Tensor<double> x = normal_tensor<double>({14, 3}, 1);
  for (const RowWindow& window : kWindows) {
    const Tensor<double> y = unfold_rows(rapt::Variable<double>(x), splits, window).value();
    const RowSplits windows = rapt::window_splits(splits, window);
    ASSERT_EQ(y.shape(), (Shape{windows.rows(), 3 * window.width}));
    for (Index s = 0; s < splits.sequences(); ++s) {
      const Index length = splits.length(s);
      const Index end = length + (window.causal ? 0 : window.padding);
      Index count = 0;
      for (Index begin = -window.padding; begin + (window.width - 1) * window.dilation < end; begin += window.stride) {
        for (Index k = 0; k < window.width; ++k) {
          const Index row = begin + k * window.dilation;
          const bool inside = row >= 0 && row < length;
          for (Index c = 0; c < 3; ++c) {
            EXPECT_EQ(y(windows.begin(s) + count, c * window.width + k), inside ? x(splits.begin(s) + row, c) : 0.0);
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
       {"stride",
        [&] { std::ignore = unfold_rows(x, splits_of({4}), {.stride = 0}); },
        {"[unfold_rows] ", "width 3, stride 0, dilation 1"}},
       {"padding",
        [&] { std::ignore = unfold_rows(x, splits_of({4}), {.padding = -1}); },
        {"[unfold_rows] ", "width 3, stride 1, dilation 1, padding -1"}},
       {"dilation",
        [&] { std::ignore = unfold_rows(x, splits_of({4}), {.dilation = 0}); },
        {"[unfold_rows] ", "dilation 0, padding 1"}},
       {"the stride of where windows are",
        [&] { std::ignore = rapt::window_splits(splits_of({4}), {.stride = 0}); },
        {"[unfold_rows] ", "stride 0"}},
       {"even width", [&] { std::ignore = rapt::centred_window(4); }, {"[centred_window] the width must be odd: 4"}}});
}

}  // namespace
