/// \file
/// Rows of a table by number, and the gradient back into them.
#include "rapt/kernels/gather_rows.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <vector>

#include "tests/common/random.hpp"
#include "tests/common/settings.hpp"

namespace {

using namespace rapt_test;
using rapt::Index;
using rapt::Shape;
using rapt::Tensor;
namespace kernels = rapt::kernels;

constexpr Index kRows = 11;

/// Ids with repeats: 200 of 11, and the last id never.
std::vector<std::int32_t> some_ids() {
  std::vector<std::int32_t> ids;
  for (int i = 0; i < 200; ++i) ids.push_back(static_cast<std::int32_t>(i * i % (kRows - 1)));
  return ids;
}

template <class T>
class GatherRowsKernel : public testing::Test {};
using Scalars = testing::Types<float, double>;
TYPED_TEST_SUITE(GatherRowsKernel, Scalars);

TYPED_TEST(GatherRowsKernel, GathersScaledRows) {
  using T = TypeParam;
  const auto ids = some_ids();
  for (const Index cols : {1, 3, 64, 130}) {
    const auto wide = random_tensor<T>(Shape{kRows, cols + 5}, 1);
    const auto table = wide.view().columns(2, cols);
    Tensor<T> y(Shape{200, cols});
    kernels::gather_rows<T>(table, ids, T(3), y.data());
    for (Index i = 0; i < 200; ++i) {
      for (Index j = 0; j < cols; ++j) ASSERT_EQ(y(i, j), T(3) * table.row(ids[static_cast<std::size_t>(i)])[j]);
    }
  }
}

TYPED_TEST(GatherRowsKernel, ScatterAddsUpRepeatedIds) {
  using T = TypeParam;
  const auto ids = some_ids();
  for (const Index cols : {1, 3, 64, 130}) {
    const auto dy = random_tensor<T>(Shape{200, cols}, 2);
    const auto before = random_tensor<T>(Shape{kRows, cols}, 3);
    auto expected = to_double(before);
    for (Index i = 0; i < 200; ++i) {
      for (Index j = 0; j < cols; ++j) {
        expected(ids[static_cast<std::size_t>(i)], j) += 3 * static_cast<double>(dy(i, j));
      }
    }
    const auto compute = [&] {
      auto dtable = before;
      kernels::scatter_rows<T>(dtable, ids, T(3), dy.data());
      return dtable;
    };
    expect_close(compute(), expected, 16 * kEpsilon<T>);
    EXPECT_EQ(compute()(kRows - 1, 0), before(kRows - 1, 0));  // an id that never came
    expect_same_bits_on_any_threads(compute);
  }
}

TYPED_TEST(GatherRowsKernel, NoIdsDoNothing) {
  using T = TypeParam;
  auto table = random_tensor<T>(Shape{kRows, 4}, 1);
  const auto before = table;
  kernels::gather_rows<T>(table, {}, T(1), nullptr);
  kernels::scatter_rows<T>(table, {}, T(1), nullptr);
  EXPECT_TRUE(same_bits(table, before));
}

}  // namespace
