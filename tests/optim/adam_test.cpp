/// \file
/// Adam and AdamW: one step by hand, ten steps of a Transformer and other trajectories against PyTorch, and what
/// belongs to the state.
#include "rapt/optim/adam.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "rapt/core/thread_pool.hpp"
#include "rapt/models/transformer.hpp"
#include "rapt/optim/clip.hpp"
#include "tests/common/adam_moments.hpp"
#include "tests/common/allowed.hpp"
#include "tests/common/golden.hpp"
#include "tests/common/gradients.hpp"
#include "tests/common/optimizer_cases.hpp"

namespace {

using rapt::Shape;
using rapt::Tensor;
using rapt_test::Golden;

/// The smallest module: one parameter, or two.
struct Pair {
  using ScalarType = double;
  rapt::Parameter<double> a{Tensor<double>({3}, {1.0, -2.0, 0.5})}, b{Tensor<double>({2}, {4.0, 5.0})};
  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& visitor) {
    visitor("a", self.a);
    visitor("b", self.b);
  }
};
static_assert(rapt::Module<Pair>);

void set_gradient(rapt::Parameter<double>& parameter, const std::vector<double>& values) {
  parameter.node()->grad = Tensor<double>(parameter.shape(), std::span<const double>(values));
}

TEST(Adam, FollowsTheFormula) {
  for (const double decay : {0.0, 0.3}) {
    for (const double factor : {1.0, 0.25}) {
      Pair pair;
      const rapt::AdamOptions options{.beta1 = 0.8, .beta2 = 0.95, .epsilon = 1e-3, .weight_decay = decay};
      rapt::Adam adam(pair, options);
      std::vector<double> w(pair.a.value().values().begin(), pair.a.value().values().end()), m(3, 0.0), v(3, 0.0);
      for (int t = 1; t <= 5; ++t) {
        const std::vector<double> g{0.1 * t, -2.0 / t, 1e-4};
        const double rate = 0.1 / t;
        set_gradient(pair.a, g);
        adam.step(rate, factor);
        for (std::size_t i = 0; i < 3; ++i) {
          m[i] = 0.8 * m[i] + 0.2 * factor * g[i];
          v[i] = 0.95 * v[i] + 0.05 * factor * g[i] * factor * g[i];
          const double m_hat = m[i] / (1 - std::pow(0.8, t)), v_hat = v[i] / (1 - std::pow(0.95, t));
          w[i] -= rate * decay * w[i];
          w[i] -= rate * m_hat / (std::sqrt(v_hat) + 1e-3);
          EXPECT_NEAR(pair.a.value().data()[i], w[i], 1e-14) << "step " << t << ", element " << i;
        }
      }
      EXPECT_EQ(adam.steps(), 5);
    }
  }
}

TEST(Adam, DefaultsAreThePapers) {
  const rapt::AdamOptions options;
  EXPECT_EQ(options.beta1, 0.9);
  EXPECT_EQ(options.beta2, 0.98);
  EXPECT_EQ(options.epsilon, 1e-9);
  EXPECT_EQ(options.weight_decay, 0.0);
}

TEST(Adam, AParameterWithoutGradientStays) {
  Pair pair;
  rapt::Adam adam(pair, {.weight_decay = 0.5});
  set_gradient(pair.a, {1, 1, 1});
  adam.step(0.1);
  EXPECT_EQ(pair.b.value().data()[0], 4.0);
  EXPECT_EQ(pair.b.value().data()[1], 5.0);
  EXPECT_NE(pair.a.value().data()[0], 1.0);
}

TEST(Adam, ForgetsTheGradients) {
  Pair pair;
  rapt::Adam adam(pair);
  set_gradient(pair.a, {1, 1, 1});
  adam.step(0.1);
  EXPECT_TRUE(pair.a.grad().empty());
  const Tensor<double> after = pair.a.value();
  adam.step(0.1);
  EXPECT_TRUE(rapt_test::same_bits(pair.a.value(), after));
}

TEST(Adam, AssigningToAParameterKeepsTheLink) {
  Pair pair;
  rapt::Adam adam(pair);
  const Pair other;
  pair = other;
  set_gradient(pair.a, {1, 1, 1});
  adam.step(0.1);
  EXPECT_NEAR(pair.a.value().data()[0], 0.9, 1e-6);
  EXPECT_EQ(other.a.value().data()[0], 1.0);
}

TEST(Adam, AMovedModuleKeepsTheLink) {
  Pair pair;
  rapt::Adam adam(pair);
  Pair moved = std::move(pair);
  set_gradient(moved.a, {1, 1, 1});
  adam.step(0.1);
  EXPECT_NEAR(moved.a.value().data()[0], 0.9, 1e-6);
}

TEST(Adam, RefusesOptionsOutsideTheirRange) {
  Pair pair;
  const auto make = [&](const rapt::AdamOptions& options) {
    return [&pair, options] { rapt::Adam adam(pair, options); };
  };
  rapt_test::expect_errors({{"beta1", make({.beta1 = 1.0}), {"[adam]", "beta1 1"}},
                            {"beta2", make({.beta2 = -0.5}), {"[adam]", "beta2 -0.5"}},
                            {"epsilon", make({.epsilon = -2.0}), {"[adam]", "epsilon -2"}},
                            {"weight_decay", make({.weight_decay = -0.25}), {"[adam]", "weight_decay -0.25"}},
                            {"l2_decay", make({.l2_decay = -0.75}), {"[adam]", "l2_decay -0.75"}},
                            {"nan", make({.epsilon = std::nan("")}), {"[adam]", "epsilon nan"}}});
}

/// Saving steps and moments and going on elsewhere equals not stopping.
TEST(Adam, StateIsStepsAndMoments) {
  const auto gradients = [](Pair& pair, int t) {
    set_gradient(pair.a, {0.3 * t, -0.1, 2.0});
    set_gradient(pair.b, {1.0 / t, 0.7});
  };
  Pair straight, first;
  rapt::Adam adam(straight), before(first);
  for (int t = 1; t <= 6; ++t) {
    gradients(straight, t);
    adam.step(0.01);
    if (t > 3) continue;
    gradients(first, t);
    before.step(0.01);
  }
  Pair second = first;
  rapt::Adam after(second);
  std::map<std::string, std::pair<Tensor<double>, Tensor<double>>> state;
  rapt_test::for_each_moments(before, [&](const std::string& name, const auto& m, const auto& v) {
    state[name] = {m, v};
  });
  EXPECT_EQ(state.size(), 2u);
  rapt_test::for_each_moments(after,
                              [&](const std::string& name, auto& m, auto& v) { std::tie(m, v) = state.at(name); });
  after.set_steps(before.steps());
  for (int t = 4; t <= 6; ++t) {
    gradients(second, t);
    after.step(0.01);
  }
  EXPECT_TRUE(rapt_test::same_bits(straight.a.value(), second.a.value()));
  EXPECT_TRUE(rapt_test::same_bits(straight.b.value(), second.b.value()));
}

rapt::TransformerConfig golden_config() {
  return {.source_vocabulary = 23,
          .target_vocabulary = 23,
          .d_model = 16,
          .heads = 4,
          .d_ff = 32,
          .encoder_layers = 2,
          .decoder_layers = 2,
          .dropout = 0.f,
          .final_norm = true};
}

template <class T>
class GoldenAdam : public testing::Test {
 protected:
  void ten_steps(const std::string& name, double weight_decay, double clip) {
    const bool single = sizeof(T) == 4;
    const Golden golden("adam", name);
    rapt::Rng rng(1);
    rapt::Transformer<T> model(golden_config(), rng);
    Golden("adam", "init").load(model);
    rapt::Adam adam(model, {.weight_decay = weight_decay});
    const auto rates = golden.tensor<double>("learning_rates"), losses = golden.tensor<double>("losses"),
               norms = golden.tensor<double>("gradient_norms");
    for (int k = 0; k < 10; ++k) {
      const Golden stored("adam", "batch" + std::to_string(k));
      const rapt::TranslationBatch batch{.source = stored.batch("source", "source_splits"),
                                         .target_input = stored.batch("target_input", "target_splits"),
                                         .target_output = stored.ids("target_output")};
      const rapt::Training training(rng);
      const auto loss = model.loss(batch, {.label_smoothing = 0.1f});
      EXPECT_NEAR(static_cast<double>(loss.item()), losses.data()[k], rapt_test::allowed<T>(single ? 1e-4 : 1e-6))
          << name << ", step " << k;
      rapt::backward(loss);
      const double norm = rapt::gradient_norm(model);
      EXPECT_NEAR(norm / norms.data()[k], 1.0, rapt_test::allowed<T>(single ? 1e-4 : 1e-6)) << name << ", step " << k;
      adam.step(rates.data()[k], clip > 0 ? rapt::clip_factor(norm, clip) : 1.0);
    }
    rapt::for_each_parameter(model, [&](const std::string& parameter_name, const auto& parameter) {
      const auto expected = golden.tensor<T>("param/" + parameter_name);
      const bool has_key_bias = parameter_name.find("in_proj_bias") != std::string::npos;
      double worst = 0;
      for (rapt::Index i = 0; i < expected.size(); ++i) {
        // The key bias has no true gradient, and Adam turns its rounding noise into full steps.
        if (has_key_bias && i >= 16 && i < 32) continue;
        worst = std::max(worst, std::abs(static_cast<double>(parameter.value().data()[i] - expected.data()[i])));
      }
      if (rapt_test::allowed<T>(0) > 0)
        return;  // a lower precision: Adam turns rounding into steps as long as the gradient's own
      EXPECT_LT(worst, single ? 5e-4 : 2e-6) << name << ": " << parameter_name;
    });
  }
};
using Scalars = testing::Types<float, double>;
TYPED_TEST_SUITE(GoldenAdam, Scalars);

TYPED_TEST(GoldenAdam, TenStepsOfAdam) { this->ten_steps("adam", 0.0, /*clip=*/0.0); }
TYPED_TEST(GoldenAdam, TenStepsOfAdamWWithClipping) { this->ten_steps("adamw", 0.1, /*clip=*/1.0); }

template <class T>
class AdamTrajectories : public testing::Test {};
TYPED_TEST_SUITE(AdamTrajectories, Scalars);

TYPED_TEST(AdamTrajectories, ArePyTorchs) {
  const auto expect = [](const std::string& name, rapt::AdamOptions options) {
    options.beta1 = 0.8, options.beta2 = 0.95, options.epsilon = 1e-3;
    rapt_test::expect_trajectory<TypeParam>(name, [&](auto& module) { return rapt::Adam<TypeParam>(module, options); });
  };
  expect("adam", {});
  expect("adam_l2", {.l2_decay = 0.3});
  expect("adam_amsgrad", {.amsgrad = true});
  expect("adamw", {.weight_decay = 0.3});
  expect("adamw_amsgrad", {.weight_decay = 0.3, .amsgrad = true});
  expect("adam_l2_matrices", {.decay_vectors = false, .l2_decay = 0.3});
}

TEST(Adam, HasALargestVWithAmsgradOnly) {
  Pair pair;
  EXPECT_EQ(rapt::Adam(pair).state_names(), (std::vector<std::string_view>{"m", "v"}));
  EXPECT_EQ(rapt::Adam(pair, {.amsgrad = true}).state_names(), (std::vector<std::string_view>{"m", "v", "v_max"}));
}

TEST(Adam, SameBitsOnAnyNumberOfThreads) {
  const rapt::Index threads = rapt::threads();
  const auto train = [](rapt::Index count) {
    rapt::set_threads(count);
    rapt::Rng rng(1);
    rapt::Linear<float> layer(301, 97, rng);
    rapt::Adam<float> adam(layer);
    for (int k = 0; k < 3; ++k) {
      const rapt::Training training(rng);
      const auto x = rapt_test::random_leaf<float>({50, 301}, 7);
      const auto y = layer(x, rapt::Activation::gelu);
      rapt::backward(rapt::sum(rapt::multiply(y, y)));
      adam.step(1e-3);
    }
    return Tensor<float>(layer.weight().value());
  };
  const auto expected = train(1);
  EXPECT_TRUE(rapt_test::same_bits(train(2), expected));
  EXPECT_TRUE(rapt_test::same_bits(train(3), expected));
  rapt::set_threads(threads);
}

}  // namespace
