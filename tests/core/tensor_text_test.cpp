/// \file
/// Tensors as text: aligned columns, short middles, numbers that are none.
#include "rapt/core/tensor_text.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <numeric>
#include <sstream>

#include "tests/common/expect_close.hpp"

namespace {

using rapt::Index;
using rapt::Shape;
using rapt::Tensor;

Tensor<float> counted(const Shape& shape) {
  Tensor<float> x(shape);
  std::iota(x.values().begin(), x.values().end(), 0.f);
  return x;
}

TEST(TensorText, RowsAndColumns) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity(), kNan = std::numeric_limits<float>::quiet_NaN();
  EXPECT_EQ(to_string(Tensor<float>({2, 3}, {0.5f, 2.f, -kNan, 1.f, -kInfinity, 3.f})),
            "float [2, 3]\n"
            "[[ 0.5,    2,  nan],\n"
            " [   1, -inf,    3]]");
  EXPECT_EQ(to_string(Tensor<double>({3}, {0.1, 123456.789, 1e-9})), "double [3]\n[   0.1, 123457,  1e-09]");
  EXPECT_EQ(to_string(Tensor<double>({1}, {0.1 + 0.2}), {.digits = 17}), "double [1]\n[0.30000000000000004]");
  EXPECT_EQ(to_string(Tensor<std::uint8_t>({2}, {7, 200})), "uint8 [2]\n[  7, 200]");
  EXPECT_EQ(to_string(Tensor<std::int32_t>({2, 1}, {-1, 5})), "int32 [2, 1]\n[[-1],\n [ 5]]");
}

TEST(TensorText, MatricesBehindOneAnother) {
  EXPECT_EQ(to_string(counted({2, 2, 2})),
            "float [2, 2, 2]\n"
            "[[[0, 1],\n"
            "  [2, 3]],\n"
            "\n"
            " [[4, 5],\n"
            "  [6, 7]]]");
}

TEST(TensorText, TheMiddleOfLongOnesIsLeftOut) {
  EXPECT_EQ(to_string(counted({8, 200})),
            "float [8, 200]\n"
            "[[   0,    1,    2, ...,  197,  198,  199],\n"
            " [ 200,  201,  202, ...,  397,  398,  399],\n"
            " [ 400,  401,  402, ...,  597,  598,  599],\n"
            " ...,\n"
            " [1000, 1001, 1002, ..., 1197, 1198, 1199],\n"
            " [1200, 1201, 1202, ..., 1397, 1398, 1399],\n"
            " [1400, 1401, 1402, ..., 1597, 1598, 1599]]");
  EXPECT_EQ(to_string(counted({6}), {.threshold = 5, .edge = 1}), "float [6]\n[0, ..., 5]");
  EXPECT_EQ(to_string(counted({6}), {.threshold = 6, .edge = 1}), "float [6]\n[0, 1, 2, 3, 4, 5]");
  EXPECT_EQ(to_string(counted({2, 3}), {.threshold = 5, .edge = 1}),
            "float [2, 3]\n[[0, ..., 2],\n [3, ..., 5]]");  // two rows are both ends
  EXPECT_EQ(rapt_test::error_text<rapt::ValueError>([] { (void)to_string(counted({6}), {.edge = 0}); }),
            "[to_string] edge must be at least 1: 0");
}

TEST(TensorText, LongRowsGoOnInTheNextLine) {
  EXPECT_EQ(to_string(counted({2, 5}), {.line = 10}),
            "float [2, 5]\n"
            "[[0, 1, 2,\n"
            "  3, 4],\n"
            " [5, 6, 7,\n"
            "  8, 9]]");
}

TEST(TensorText, NothingToShow) {
  EXPECT_EQ(to_string(Tensor<float>()), "float []\n[]");
  EXPECT_EQ(to_string(Tensor<float>(Shape{0, 3})), "float [0, 3]\n[]");
  EXPECT_EQ(to_string(Tensor<float>::without_elements({2, 3})), "float [2, 3] without elements");
}

// Columns of a matrix: rows lie apart.
TEST(TensorText, ViewsAndStreams) {
  const Tensor<float> x = counted({2, 4});
  EXPECT_EQ(to_string(x.view().columns(1, 2)), "float [2, 2]\n[[1, 2],\n [5, 6]]");
  std::ostringstream stream;
  stream << x.view().columns(1, 2) << ' ' << counted({2}) << ' ' << x.shape();
  EXPECT_EQ(stream.str(), "float [2, 2]\n[[1, 2],\n [5, 6]] float [2]\n[0, 1] [2, 4]");
}

}  // namespace
