/// \file
/// Columns rescaled around their bias.
#include "rapt/autograd/ops/rescale_columns.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "rapt/autograd/grad_mode.hpp"
#include "rapt/autograd/gradcheck.hpp"
#include "rapt/autograd/record.hpp"
#include "tests/common/gradients.hpp"

namespace {

using rapt::Index;
using rapt::Tensor;
using rapt::Variable;
using Variables = std::vector<Variable<double>>;
using rapt_test::normal_tensor;

TEST(RescaleColumns, IsItsDefinition) {
  const auto z = normal_tensor<float>({40, 9}, 1), m = normal_tensor<float>({6}, 2), b = normal_tensor<float>({11}, 3);
  const Tensor<float> lengths({4}, std::vector<float>{0.5f, 1.f, 2.f, 4.f});
  for (const bool has_bias : {false, true}) {
    const auto y =
        rapt::rescale_columns(Variable<float>(z), Variable<float>(m), has_bias ? Variable<float>(b) : Variable<float>(),
                              lengths, {.column = 3, .row = 1, .bias = 7});
    for (Index i = 0; i < 40; ++i) {
      for (Index j = 0; j < 9; ++j) {
        const Index k = j - 3;
        if (k < 0 || k >= 4) {
          EXPECT_EQ(y.value()(i, j), z(i, j));
          continue;
        }
        const float bias = has_bias ? b.data()[7 + k] : 0.f;
        EXPECT_NEAR(y.value()(i, j), m.data()[1 + k] / lengths.data()[k] * (z(i, j) - bias) + bias, 1e-5);
      }
    }
  }
}

TEST(RescaleColumns, WritesOverWhatNobodyReads) {
  const auto numbers = normal_tensor<float>({3, 4}, 1);
  const Tensor<float> lengths({4}, std::vector<float>{0.5f, 1.f, 2.f, 4.f});
  const Variable<float> frozen(normal_tensor<float>({4}, 2)), learned(normal_tensor<float>({4}, 2), true);
  const rapt::Recording scope;
  for (const auto& magnitudes : {frozen, learned}) {
    auto z = rapt::overwritable(Variable<float>(numbers));
    const Variable<float> copy(numbers);
    const float* const elements = z.value().data();
    const auto y = rapt::rescale_columns(std::move(z), magnitudes, {}, lengths, {});
    EXPECT_EQ(y.value().data() == elements, !magnitudes.requires_grad()) << "backward reads z";
    const auto other = rapt::rescale_columns(copy, magnitudes, {}, lengths, {});
    EXPECT_TRUE(std::ranges::equal(y.value().values(), other.value().values()));
    EXPECT_TRUE(std::ranges::equal(copy.value().values(), numbers.values()));
  }
}

TEST(RescaleColumns, Gradients) {
  const auto z = normal_tensor<double>({4, 9}, 1), m = normal_tensor<double>({6}, 2),
             b = normal_tensor<double>({11}, 3);
  const Tensor<double> lengths({4}, std::vector<double>{0.5, 1, 2, 4});
  const auto with_bias = [&](const Variables& in) {
    return rapt::rescale_columns(in[0], in[1], in[2], lengths, {.column = 3, .row = 1, .bias = 7});
  };
  const auto without = [&](const Variables& in) { return rapt::rescale_columns(in[0], in[1], {}, lengths, {}); };
  EXPECT_LT(rapt::gradcheck(with_bias, {z, m, b}).worst_relative_error, 1e-8);
  EXPECT_LT(rapt::gradcheck(without, {z, m}).worst_relative_error, 1e-8);
  rapt_test::expect_same_gradients_of_subsets(with_bias, {z, m, b});
}

}  // namespace
