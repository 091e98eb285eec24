/// \file
/// The loop of the optimizers: every element once, absent states as zeros.
#include "rapt/kernels/parameter_update.hpp"

#include <gtest/gtest.h>

#include "tests/common/random.hpp"
#include "tests/common/settings.hpp"

namespace {

using namespace rapt_test;
using rapt::Index;
using rapt::Shape;
namespace kernels = rapt::kernels;

/// state_0 += g + state_1,  state_1 = 5,  w -= state_0
struct SumRule {
  template <class V>
  [[gnu::always_inline]] void operator()(V& weight, const V& gradient, V* state) const {
    state[0] += gradient + state[1];
    state[1] = state[1] - state[1] + 5;
    weight -= state[0];
  }
};

TEST(ParameterUpdate, AppliesTheFormulaToEveryElement) {
  for_every_simd_level([] {
    for (const Index count : {0, 1, 7, 64, 40001}) {
      const auto start = random_tensor<float>(Shape{count}, 1), gradient = random_tensor<float>(Shape{count}, 2);
      const auto sum = random_tensor<float>(Shape{count}, 3);
      for (const bool kept : {true, false}) {
        auto weight = start, first = sum, second = gradient;
        kernels::update_parameter(
            kernels::ParameterUpdate<float, 2>{.weight = weight.data(),
                                               .gradient = gradient.data(),
                                               .gradient_factor = 2,
                                               .state = {first.data(), kept ? second.data() : nullptr},
                                               .count = count},
            SumRule{});
        for (Index i = 0; i < count; ++i) {
          const float g = gradient.data()[i], expected = sum.data()[i] + (2 * g + (kept ? g : 0));
          ASSERT_NEAR(first.data()[i], expected, 1e-6f);
          ASSERT_NEAR(weight.data()[i], start.data()[i] - expected, 1e-6f);
          ASSERT_EQ(second.data()[i], kept ? 5 : g);
        }
      }
    }
  });
}

}  // namespace
