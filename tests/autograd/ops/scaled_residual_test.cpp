/// \file
/// Residual sums with layer scale and stochastic depth.
// covers: kernels/scaled_residual.hpp
#include "rapt/autograd/ops/scaled_residual.hpp"

#include <gtest/gtest.h>

#include "rapt/autograd/gradcheck.hpp"
#include "tests/common/gradients.hpp"
#include "tests/common/settings.hpp"

namespace {

using rapt::Index;
using rapt::Shape;
using rapt::Tensor;
using rapt::Variable;
using Variables = std::vector<Variable<double>>;
using rapt_test::normal_tensor;

TEST(ScaledResidual, IsItsDefinition) {
  const Tensor<float> x = normal_tensor<float>({6, 21}, 1), s = normal_tensor<float>({6, 21}, 2);
  const Tensor<float> scale = normal_tensor<float>({21}, 3);
  const std::vector<float> factors{0.f, 2.f, 0.5f};
  rapt_test::for_every_simd_level([&] {
    const auto y = rapt::scaled_residual(Variable<float>(x), Variable<float>(s), Variable<float>(scale), factors);
    const auto plain = rapt::scaled_residual(Variable<float>(x), Variable<float>(s), Variable<float>());
    for (Index i = 0; i < 6; ++i) {
      for (Index j = 0; j < 21; ++j) {
        EXPECT_NEAR(y.value()(i, j), x(i, j) + scale.data()[j] * factors[static_cast<std::size_t>(i / 2)] * s(i, j),
                    1e-6);
        EXPECT_EQ(plain.value()(i, j), x(i, j) + s(i, j));
      }
    }
  });
}

TEST(ScaledResidual, Gradients) {
  const auto x = normal_tensor<double>({6, 5}, 1), s = normal_tensor<double>({6, 5}, 2),
             g = normal_tensor<double>({5}, 3);
  for (const std::vector<double>& factors : {std::vector<double>{}, {0.0, 1.5, 2.0}}) {
    const auto scaled = [&](const Variables& in) { return rapt::scaled_residual(in[0], in[1], in[2], factors); };
    const auto plain = [&](const Variables& in) { return rapt::scaled_residual(in[0], in[1], {}, factors); };
    const auto same = [&](const Variables& in) { return rapt::scaled_residual(in[0], in[0], in[1], factors); };
    EXPECT_LT(rapt::gradcheck(scaled, {x, s, g}).worst_relative_error, 1e-8);
    EXPECT_LT(rapt::gradcheck(plain, {x, s}).worst_relative_error, 1e-8);
    EXPECT_LT(rapt::gradcheck(same, {x, g}).worst_relative_error, 1e-8);
    rapt_test::expect_same_gradients_of_subsets(scaled, {x, s, g});
  }
}

TEST(ScaledResidual, SameBitsOnAnyNumberOfThreads) {
  rapt_test::expect_same_bits_on_any_threads([] {
    const Variable<float> x(normal_tensor<float>({300, 130}, 1), true), s(normal_tensor<float>({300, 130}, 2), true);
    const Variable<float> g(normal_tensor<float>({130}, 3), true);
    const rapt::Recording scope;
    const auto y = rapt::scaled_residual(x, s, g, {1.f, 0.f, 3.f});
    rapt::backward(rapt::sum(rapt::multiply(y, y)));
    std::vector<float> all(y.value().values().begin(), y.value().values().end());
    for (const auto& leaf : {x, s, g}) all.insert(all.end(), leaf.grad().values().begin(), leaf.grad().values().end());
    return all;
  });
}

TEST(DropPath, LeavesOutSequencesInTrainingAlone) {
  EXPECT_TRUE(rapt::drop_path_factors<float>(10, 0.3f).empty());
  rapt::Rng rng(5);
  const rapt::Training scope(rng);
  EXPECT_TRUE(rapt::drop_path_factors<float>(10, 0.f).empty());
  const std::vector<double> factors = rapt::drop_path_factors<double>(20000, 0.3f);
  double sum = 0;
  for (const double factor : factors) {
    EXPECT_TRUE(factor == 0 || std::abs(factor - 1 / 0.7) < 1e-6) << factor;
    sum += factor;
  }
  EXPECT_NEAR(sum / 20000, 1, 0.03);  // 6 standard deviations: sqrt(0.3 / 0.7 / 20000) = 0.0046
  EXPECT_NE(factors, rapt::drop_path_factors<double>(20000, 0.3f));
}

TEST(ScaledResidual, WrongUse) {
  const Variable<double> x(normal_tensor<double>({6, 5}, 1)), y(normal_tensor<double>({6, 4}, 2));
  const Variable<double> scale(normal_tensor<double>({4}, 3));
  rapt_test::expect_errors(
      {{"shapes", [&] { std::ignore = rapt::scaled_residual(x, y, {}); }, {"scaled_residual", "[6, 5]", "[6, 4]"}},
       {"scale", [&] { std::ignore = rapt::scaled_residual(x, x, scale); }, {"scaled_residual", "[6, 5]", "[4]"}},
       {"factors",
        [&] {
          std::ignore = rapt::scaled_residual(x, x, {}, {1, 1, 1, 1});
        },
        {"4 factors", "[6, 5]"}}});
}

}  // namespace
