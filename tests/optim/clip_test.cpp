/// \file
/// Clipping: the norm against a plain sum, the factor, and the same bits on any number of threads.
#include "rapt/optim/clip.hpp"

#include <gtest/gtest.h>

#include "tests/common/random.hpp"
#include "tests/common/settings.hpp"

namespace {

using rapt::Index;
using rapt::Shape;
using rapt::Tensor;

/// Parameters of one element, of many, and one that never gets a gradient.
template <class T>
struct Three {
  using ScalarType = T;
  rapt::Parameter<T> small{Tensor<T>(Shape{1}, T(0))}, large{Tensor<T>(Shape{301, 257}, T(0))},
      idle{Tensor<T>(Shape{5}, T(0))};
  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& visitor) {
    visitor("small", self.small);
    visitor("large", self.large);
    visitor("idle", self.idle);
  }
};

template <class T>
Three<T> with_gradients() {
  Three<T> module;
  module.small.node()->grad = Tensor<T>(Shape{1}, T(-3));
  module.large.node()->grad = rapt_test::random_tensor<T>({301, 257}, 5);
  return module;
}

template <class T>
void norm_equals_a_plain_sum() {
  const Three<T> module = with_gradients<T>();
  long double squares = 9;
  for (const T g : module.large.grad().values()) squares += static_cast<long double>(g) * static_cast<long double>(g);
  const auto expected = static_cast<double>(std::sqrt(squares));
  EXPECT_GT(expected, 100);  // about sqrt(301 * 257 / 3)
  EXPECT_NEAR(rapt::gradient_norm(module), expected, 1e-12 * expected);
}

TEST(GradientNorm, EqualsAPlainSum) {
  norm_equals_a_plain_sum<float>();
  norm_equals_a_plain_sum<double>();
}

TEST(GradientNorm, OfNoGradientsIsZero) { EXPECT_EQ(rapt::gradient_norm(Three<float>{}), 0.0); }

TEST(GradientNorm, DoesNotOverflowInFloat) {
  Three<float> module;
  module.small.node()->grad = Tensor<float>(Shape{1}, 3e30f);
  module.idle.node()->grad = Tensor<float>(Shape{5}, {4e30f, 0, 0, 0, 0});
  EXPECT_NEAR(rapt::gradient_norm(module), 5e30, 1e24);
}

TEST(GradientNorm, DoesNotCountFrozenParameters) {
  Three<float> module = with_gradients<float>();
  module.large.set_frozen(true);
  EXPECT_EQ(rapt::gradient_norm(module), 3.0);
  module.large.node()->grad = Tensor<float>(Shape{301, 257}, 2.f);  // whoever put it there
  EXPECT_EQ(rapt::gradient_norm(module), 3.0);
}

TEST(GradientNorm, SameBitsOnAnyThreads) {
  const Three<float> module = with_gradients<float>();
  rapt_test::expect_same_bits_on_any_threads([&] { return std::vector<double>{rapt::gradient_norm(module)}; });
}

TEST(ClipFactor, BringsTheNormDown) {
  EXPECT_NEAR(rapt::clip_factor(10, 1), 0.1, 1e-7);
  EXPECT_NEAR(rapt::clip_factor(4, 3), 0.75, 1e-6);
  EXPECT_NEAR(rapt::clip_factor(1e12, 5), 5e-12, 1e-18);
  for (const double norm : {0.5, 1.0, 3.0, 1e5}) EXPECT_LE(norm * rapt::clip_factor(norm, 1), 1.0);
}

TEST(ClipFactor, LeavesSmallGradientsAlone) {
  EXPECT_EQ(rapt::clip_factor(0, 1), 1.0);
  EXPECT_EQ(rapt::clip_factor(0.999, 1), 1.0);
  EXPECT_EQ(rapt::clip_factor(4.99, 5), 1.0);
}

TEST(ClipFactor, MaxNormMustBePositive) {
  const auto text = rapt_test::error_text<rapt::ValueError>([] { (void)rapt::clip_factor(1, 0); });
  EXPECT_EQ(text, "[clip] max_norm must be positive: 0");
  EXPECT_THROW((void)rapt::clip_factor(1, -2), rapt::ValueError);
}

}  // namespace
