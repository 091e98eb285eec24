/// \file
/// What all optimizers share: threads, state, resuming, parameters without gradient and frozen ones, wrong use; and a
/// rule of one line.
#include "rapt/optim/optimizer.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "rapt/nn/freeze.hpp"
#include "tests/common/optimizer_cases.hpp"
#include "tests/common/settings.hpp"

namespace {

using rapt::Index;
using rapt::Shape;
using rapt::Tensor;
using rapt_test::for_every_optimizer;
using rapt_test::normal_tensor;
using rapt_test::same_bits;
using rapt_test::set_gradient;

template <class T>
using Toy = rapt_test::MatrixAndVector<T>;

/// w -= rate sign(g), without state: as small as a rule can be.
struct SignRule {
  struct Options {
    bool decay_vectors = true;
  };
  static constexpr std::string_view kName = "sign";
  static void validate(const Options&) {}
  static std::array<rapt::OptimizerState, 0> states(const Options&) { return {}; }

  template <class T>
  struct Formula {
    Formula(const Options&, const rapt::UpdateStep& step) : rate(static_cast<T>(step.rate)) {}
    template <class V>
    [[gnu::always_inline]] void operator()(V& weight, const V& gradient, V*) const {
      const V zero{}, one = T(1) - zero;
      weight -= rate * (gradient > zero ? one : -one);
    }
    T rate;
  };
};
static_assert(rapt::Optimizer<rapt::RuleOptimizer<float, SignRule>>);
static_assert(!rapt::Optimizer<SignRule>);
static_assert(!rapt::Optimizer<Toy<float>>);

template <class O>
concept TellsOptions = requires(const O& optimizer) {
  optimizer.options_text();
};
static_assert(TellsOptions<rapt::Sgd<float>> && !TellsOptions<rapt::RuleOptimizer<float, SignRule>>);

TEST(Optimizer, ARuleIsEnough) {
  Toy<double> toy(Shape{3, 11}, Shape{5});
  const Tensor<double> before = toy.matrix.value(), gradient = normal_tensor<double>({3, 11}, 7);
  rapt::RuleOptimizer<double, SignRule> optimizer(toy, {});
  set_gradient(toy.matrix, gradient);
  optimizer.step(0.25);
  for (Index i = 0; i < before.size(); ++i) {
    EXPECT_EQ(toy.matrix.value().data()[i], before.data()[i] - (gradient.data()[i] > 0 ? 0.25 : -0.25)) << i;
  }
  EXPECT_TRUE(optimizer.state_names().empty());
}

/// Gradients of step t; the vector has none in steps 1 and 5.
template <class T>
void set_gradients(Toy<T>& toy, std::uint64_t t) {
  set_gradient(toy.matrix, normal_tensor<T>(toy.matrix.shape(), 10 * t));
  if (t != 1 && t != 5) set_gradient(toy.vector, normal_tensor<T>(toy.vector.shape(), 10 * t + 1));
}

template <class T>
void expect_same(const Toy<T>& a, const Toy<T>& b, const std::string& what) {
  EXPECT_TRUE(same_bits(a.matrix.value(), b.matrix.value())) << what;
  EXPECT_TRUE(same_bits(a.vector.value(), b.vector.value())) << what;
}

TEST(Optimizer, SameBitsOnAnyNumberOfThreads) {
  for_every_optimizer<float>([](const std::string& name, const auto& make) {
    SCOPED_TRACE(name);
    rapt_test::expect_same_bits_on_any_threads([&] {
      Toy<float> toy(Shape{301, 211}, Shape{40'001});  // several parts each, with a rest
      auto optimizer = make(toy);
      for (std::uint64_t t = 1; t <= 3; ++t) {
        set_gradients(toy, t);
        optimizer.step(1e-2, 0.5);
      }
      std::vector<float> numbers(toy.matrix.value().values().begin(), toy.matrix.value().values().end());
      numbers.insert(numbers.end(), toy.vector.value().values().begin(), toy.vector.value().values().end());
      return numbers;
    });
  });
}

/// Vectors and single elements compute the same.
TEST(Optimizer, EveryInstructionSetGivesTheSameNumbers) {
  for_every_optimizer<float>([](const std::string& name, const auto& make) {
    SCOPED_TRACE(name);
    std::vector<Tensor<float>> results;
    rapt_test::for_every_simd_level([&] {
      Toy<float> toy(Shape{5, 7}, Shape{3});
      auto optimizer = make(toy);
      for (std::uint64_t t = 1; t <= 4; ++t) {
        set_gradients(toy, t);
        optimizer.step(1e-2);
      }
      results.push_back(toy.matrix.value());
    });
    for (const auto& result : results) rapt_test::expect_close(result, results[0], 1e-6);
  });
}

/// Two optimizers, each of a half of the large parameter and one of the vector, do together what one does.
TEST(Optimizer, RangesOfOneParameterAreUpdatedApart) {
  constexpr Index kGrain = rapt::kernels::kElementGrain;
  for_every_optimizer<float>([&](const std::string& name, const auto& make) {
    SCOPED_TRACE(name);
    Toy<float> whole(Shape{3, 2 * kGrain / 3 + 100}, Shape{5}), divided = whole;
    auto one = make(whole);
    auto low = make(divided), high = make(divided);
    const Index size = whole.matrix.size();
    for (std::uint64_t t = 1; t <= 6; ++t) {
      if (t == 3) {  // drops the state of the other elements
        low.keep_range(low.slots()[0], {0, kGrain});
        low.keep_range(low.slots()[1], {0, 0});
        high.keep_range(high.slots()[0], {kGrain, size});
      }
      set_gradients(whole, t);
      one.step(1e-2, 0.5);
      if (t < 3) {  // both still do all: the second one begins where the first one did
        const Toy<float> before = divided;
        set_gradients(divided, t);
        low.step(1e-2, 0.5);
        const Toy<float> after = divided;
        divided.matrix = before.matrix, divided.vector = before.vector;
        set_gradients(divided, t);
        high.step(1e-2, 0.5);
        expect_same(divided, after, name);
      } else {
        set_gradients(divided, t);
        low.step(1e-2, 0.5);
        set_gradients(divided, t);
        high.step(1e-2, 0.5);
      }
      expect_same(divided, whole, name);
    }
    for (const auto& state : low.slots()[0].state) EXPECT_EQ(state.shape(), Shape{kGrain});
    for (const auto& state : low.slots()[1].state) EXPECT_TRUE(state.empty());
    for (const auto& state : high.slots()[0].state) EXPECT_EQ(state.size(), size - kGrain);
    for (const auto& state : high.slots()[1].state) EXPECT_EQ(state.shape(), Shape{5});
    rapt_test::expect_message<rapt::ValueError>(
        [&] {
          low.keep_range(low.slots()[0], {0, kGrain + 1});
        },
        "matrix: elements 0 .. 16385 are not a part of 0 .. 16384");
  });
}

TEST(Optimizer, SavingTheSlotsAndGoingOnEqualsNotStopping) {
  for_every_optimizer<double>([](const std::string& name, const auto& make) {
    Toy<double> straight(Shape{5, 7}, Shape{3}), first = straight;
    auto whole = make(straight), before = make(first);
    for (std::uint64_t t = 1; t <= 8; ++t) {
      set_gradients(straight, t);
      whole.step(0.01);
      if (t > 4) continue;
      set_gradients(first, t);
      before.step(0.01);
    }
    Toy<double> second = first;
    auto after = make(second);
    after.set_steps(before.steps());
    ASSERT_EQ(after.slots().size(), 2u);
    for (std::size_t i = 0; i < 2; ++i) {
      EXPECT_EQ(before.slots()[i].state.size(), before.state_names().size());
      after.slots()[i].state = before.slots()[i].state;
      after.slots()[i].missed = before.slots()[i].missed;
    }
    EXPECT_EQ(before.slots()[1].missed, 1);
    for (std::uint64_t t = 5; t <= 8; ++t) {
      set_gradients(second, t);
      after.step(0.01);
    }
    expect_same(straight, second, name);
    EXPECT_EQ(after.steps(), 8);
  });
}

TEST(Optimizer, AParameterWithoutGradientStaysAndHasNoState) {
  for_every_optimizer<double>([](const std::string& name, const auto& make) {
    Toy<double> toy(Shape{5, 7}, Shape{3});
    const Toy<double> before = toy;
    auto optimizer = make(toy);
    for (int t = 1; t <= 2; ++t) {
      set_gradient(toy.matrix, normal_tensor<double>({5, 7}, 3));
      optimizer.step(0.1);
    }
    EXPECT_FALSE(same_bits(toy.matrix.value(), before.matrix.value())) << name;
    EXPECT_TRUE(same_bits(toy.vector.value(), before.vector.value())) << name;
    EXPECT_TRUE(optimizer.slots()[1].state.empty()) << name;
    EXPECT_EQ(optimizer.slots()[1].missed, 2) << name;
    EXPECT_TRUE(toy.matrix.grad().empty()) << "a step forgets the gradients";
    const Tensor<double> after = toy.matrix.value();
    optimizer.step(0.1);
    EXPECT_TRUE(same_bits(toy.matrix.value(), after)) << name << ": no gradient, no step, whatever the momentum";
  });
}

/// Frozen after some steps, with momentum left over and a gradient that somebody put there: nothing moves, neither
/// weights nor state. Released, the run goes on as if the steps between had not been.
TEST(Optimizer, AFrozenParameterStays) {
  for_every_optimizer<double>([](const std::string& name, const auto& make) {
    SCOPED_TRACE(name);
    Toy<double> toy(Shape{5, 7}, Shape{3}), same = toy;
    auto optimizer = make(toy), undisturbed = make(same);
    const auto step = [](auto& which, Toy<double>& module, std::uint64_t t) {
      set_gradient(module.matrix, normal_tensor<double>({5, 7}, t));
      set_gradient(module.vector, normal_tensor<double>({3}, t + 1));
      which.step(0.01);
    };
    for (const std::uint64_t t : {1u, 2u}) {
      step(optimizer, toy, t);
      step(undisturbed, same, t);
    }
    rapt::freeze(toy, "matrix");
    const Tensor<double> matrix = toy.matrix.value();
    const auto state = optimizer.slots()[0].state;
    for (const std::uint64_t t : {50u, 51u, 52u}) step(optimizer, toy, t);
    EXPECT_TRUE(same_bits(toy.matrix.value(), matrix));
    EXPECT_FALSE(same_bits(toy.vector.value(), same.vector.value()));
    EXPECT_TRUE(toy.matrix.grad().empty());
    for (std::size_t k = 0; k < state.size(); ++k) {
      EXPECT_TRUE(same_bits(optimizer.slots()[0].state[k], state[k]));
    }
    rapt::unfreeze(toy, "matrix");
    for (const std::uint64_t t : {3u, 4u}) {
      step(optimizer, toy, t);
      step(undisturbed, same, t);
    }
    EXPECT_TRUE(same_bits(toy.matrix.value(), same.matrix.value()));
    EXPECT_EQ(optimizer.slots()[0].missed, 3);
  });
}

TEST(Optimizer, TheFactorMultipliesTheGradientsNotTheDecay) {
  for_every_optimizer<double>([](const std::string& name, const auto& make) {
    Toy<double> toy(Shape{5, 7}, Shape{3}), scaled = toy;
    auto optimizer = make(toy), by_hand = make(scaled);
    for (std::uint64_t t = 1; t <= 3; ++t) {
      set_gradients(toy, t);
      optimizer.step(0.01, 0.25);
      set_gradients(scaled, t);
      for (auto* parameter : {&scaled.matrix, &scaled.vector}) {
        for (double& g : parameter->node()->grad.values()) g *= 0.25;
      }
      by_hand.step(0.01);
    }
    expect_same(toy, scaled, name);
  });
}

TEST(Optimizer, MovesWithItsState) {
  for_every_optimizer<double>([](const std::string& name, const auto& make) {
    Toy<double> toy(Shape{5, 7}, Shape{3}), same = toy;
    auto optimizer = make(toy), stays = make(same);
    set_gradients(toy, 2);
    optimizer.step(0.01);
    auto moved = std::move(optimizer);
    Toy<double> moved_toy = std::move(toy);
    set_gradients(moved_toy, 3);
    moved.step(0.01);
    for (const std::uint64_t t : {2u, 3u}) {
      set_gradients(same, t);
      stays.step(0.01);
    }
    expect_same(moved_toy, same, name);
  });
}

TEST(Optimizer, StepsMayBeSetAnewAfterAParameterWasFrozen) {
  for_every_optimizer<double>([](const std::string& name, const auto& make) {
    Toy<double> toy(Shape{5, 7}, Shape{3});
    auto optimizer = make(toy);
    rapt::freeze(toy, "matrix");
    for (std::uint64_t t = 1; t <= 5; ++t) {
      set_gradient(toy.vector, normal_tensor<double>({3}, t));
      optimizer.step(0.01);
    }
    rapt::unfreeze(toy, "*");
    optimizer.set_steps(0);
    set_gradients(toy, 6);
    optimizer.step(0.01);
    for (const auto* parameter : {&toy.matrix, &toy.vector}) {
      for (const double w : parameter->value().values()) ASSERT_TRUE(std::isfinite(w)) << name;
    }
  });
}

TEST(Optimizer, RefusesRatesAndFactorsThatAreNone) {
  for_every_optimizer<double>([](const std::string& name, const auto& make) {
    Toy<double> toy(Shape{5, 7}, Shape{3});
    const Toy<double> before = toy;
    auto optimizer = make(toy);
    const std::string where = "[" + std::string(decltype(optimizer)::kName) + "]";
    set_gradients(toy, 2);
    rapt_test::expect_errors(
        {{name, [&] { optimizer.step(-0.5); }, {where, "learning rate -0.5"}},
         {name, [&] { optimizer.step(std::numeric_limits<double>::quiet_NaN()); }, {where, "learning rate nan"}},
         {name, [&] { optimizer.step(std::numeric_limits<double>::infinity()); }, {where, "learning rate inf"}},
         {name, [&] { optimizer.step(0.1, std::numeric_limits<double>::quiet_NaN()); }, {where, "factor nan"}}});
    expect_same(toy, before, name);
    EXPECT_EQ(optimizer.steps(), 0);
  });
}

TEST(Optimizer, RefusesAParameterOfAnotherShape) {
  for_every_optimizer<double>([](const std::string& name, const auto& make) {
    Toy<double> toy(Shape{5, 7}, Shape{3});
    auto optimizer = make(toy);
    toy.matrix.mutable_value() = Tensor<double>(Shape{2, 7}, 0.0);
    set_gradient(toy.matrix, normal_tensor<double>({2, 7}, 1));
    rapt_test::expect_errors({{name, [&] { optimizer.step(0.1); }, {"matrix", "[5, 7]", "[2, 7]"}}});
  });
}

}  // namespace
