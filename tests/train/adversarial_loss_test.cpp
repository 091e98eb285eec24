/// \file
/// The losses of generator and discriminator against their formulas, and their gradients.
#include "rapt/train/adversarial_loss.hpp"

#include <gtest/gtest.h>

#include "rapt/autograd/gradcheck.hpp"
#include "tests/common/gradients.hpp"

namespace {

using rapt::AdversarialLoss;
using rapt::Index;
using rapt::Shape;
using rapt::Tensor;
using Variable = rapt::Variable<double>;
using Variables = std::vector<Variable>;

template <class F>
double mean(const Tensor<double>& scores, const F& f) {
  double sum = 0;
  for (const double v : scores.values()) sum += f(v);
  return sum / static_cast<double>(scores.size());
}

TEST(AdversarialLoss, AreTheirFormulas) {
  const auto real = rapt_test::normal_tensor<double>({5, 1}, 1, 2),
             made = rapt_test::normal_tensor<double>({7, 1}, 2, 2);
  const auto discriminator = [&](AdversarialLoss loss) {
    return discriminator_loss(loss, Variable(real), Variable(made)).item();
  };
  const auto generator = [&](AdversarialLoss loss) { return generator_loss(loss, Variable(made)).item(); };
  const auto softplus = [](double v) { return std::log1p(std::exp(v)); };
  const double minus = mean(made, [](double v) { return -v; });
  EXPECT_NEAR(discriminator(AdversarialLoss::logistic),
              mean(real, [&](double v) { return softplus(-v); }) + mean(made, softplus), 1e-12);
  EXPECT_NEAR(generator(AdversarialLoss::logistic), mean(made, [&](double v) { return softplus(-v); }), 1e-12);
  EXPECT_NEAR(discriminator(AdversarialLoss::hinge),
              mean(real, [](double v) { return std::max(0.0, 1 - v); }) +
                  mean(made, [](double v) { return std::max(0.0, 1 + v); }),
              1e-12);
  EXPECT_NEAR(generator(AdversarialLoss::hinge), minus, 1e-12);
  EXPECT_NEAR(discriminator(AdversarialLoss::wasserstein), -minus - mean(real, [](double v) { return v; }), 1e-12);
  EXPECT_NEAR(generator(AdversarialLoss::wasserstein), minus, 1e-12);
}

TEST(AdversarialLoss, Gradients) {
  const auto real = rapt_test::normal_tensor<double>({5, 1}, 3, 2),
             made = rapt_test::normal_tensor<double>({4, 1}, 4, 2);
  for (const auto loss : {AdversarialLoss::logistic, AdversarialLoss::hinge, AdversarialLoss::wasserstein}) {
    const auto of_both = [&](const Variables& v) { return discriminator_loss(loss, v[0], v[1]); };
    EXPECT_LT(rapt::gradcheck(of_both, {real, made}).worst_relative_error, 1e-6);
    const auto of_made = [&](const Variables& v) { return generator_loss(loss, v[0]); };
    EXPECT_LT(rapt::gradcheck(of_made, {made}).worst_relative_error, 1e-6);
  }
}

TEST(AdversarialLoss, NeedScores) {
  rapt_test::expect_errors({{"none",
                             [] {
                               const Variable none(Tensor<double>(Shape{0, 1}));
                               std::ignore = generator_loss(AdversarialLoss::hinge, none);
                             },
                             {"no scores"}}});
}

}  // namespace
