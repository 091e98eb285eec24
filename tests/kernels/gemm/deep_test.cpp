/// \file
/// Products cut along their depth against plain sums in double, with what is called before each part.
#include "rapt/kernels/gemm/deep.hpp"

#include <gtest/gtest.h>

#include <vector>

#include "tests/common/expect_close.hpp"
#include "tests/common/random.hpp"
#include "tests/common/settings.hpp"

namespace {

using rapt::Index;
using rapt::Shape;
using rapt::Tensor;
namespace kernels = rapt::kernels;

TEST(DepthParts, OnlyDeepProductsAreCut) {
  EXPECT_EQ(kernels::depth_parts(64, 64, 64), 1);
  EXPECT_EQ(kernels::depth_parts(64, 100000, 64), 16);
  EXPECT_EQ(kernels::depth_parts(16, 100000, 64), 1) << "few rows do not repay packing";
  EXPECT_EQ(kernels::depth_parts(4096, 8192, 4096), 1) << "the sums of the parts would cost more than the operands";
}

template <class T>
void check_deep(Index rows, Index depth, Index columns, bool accumulate) {
  ASSERT_GT(kernels::depth_parts(rows, depth, columns), 1);
  const auto a = rapt_test::random_tensor<T>(Shape{depth, rows}, 1),
             b = rapt_test::random_tensor<T>({depth, columns}, 2);
  auto c = rapt_test::random_tensor<T>(Shape{rows, columns}, 3);
  Tensor<double> expected(Shape{rows, columns}, 0.0);
  for (Index i = 0; i < rows; ++i) {
    for (Index j = 0; j < columns; ++j) {
      double sum = accumulate ? static_cast<double>(c(i, j)) : 0;
      for (Index p = 0; p < depth; ++p) sum += static_cast<double>(a(p, i)) * static_cast<double>(b(p, j));
      expected(i, j) = sum;
    }
  }
  std::vector<int> seen(static_cast<std::size_t>(depth));
  kernels::multiply_deep(kernels::transposed(a), kernels::as_is(b), c.view(), accumulate,
                         [&](Index, Index begin, Index count) {
                           for (Index p = begin; p < begin + count; ++p) ++seen[static_cast<std::size_t>(p)];
                         });
  EXPECT_TRUE(rapt_test::close(c, expected, 64 * rapt_test::kEpsilon<T>));
  EXPECT_EQ(seen, std::vector<int>(seen.size(), 1)) << "each row of b is announced once";
}

TEST(MultiplyDeep, IsTheSumOfAllParts) {
  rapt_test::for_every_simd_level([] {
    for (const bool accumulate : {false, true}) {
      check_deep<float>(33, 9001, 17, accumulate);
      check_deep<double>(40, 8192, 35, accumulate);
    }
  });
}

TEST(MultiplyDeep, SameBitsOnAnyNumberOfThreads) {
  rapt_test::expect_same_bits_on_any_threads([] {
    const auto a = rapt_test::random_tensor<float>(Shape{9001, 40}, 1),
               b = rapt_test::random_tensor<float>({9001, 24}, 2);
    Tensor<float> c(Shape{40, 24}, 0.f);
    kernels::multiply_deep(kernels::transposed(a), kernels::as_is(b), c.view(), false, [](Index, Index, Index) {});
    return c;
  });
}

}  // namespace
