/// \file
/// What a linear layer keeps of an input that is given away; its numbers are in layers_test.cpp.
#include "rapt/nn/linear.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <utility>
#include <vector>

#include "rapt/autograd/backward.hpp"
#include "rapt/autograd/ops/sum.hpp"
#include "tests/common/expect_close.hpp"
#include "tests/common/gradients.hpp"

namespace {

using rapt::Activation;
using rapt::Linear;
using rapt::Node;
using rapt::Rng;
using rapt::Shape;
using rapt::Tensor;
using rapt::Variable;

/// The gradient of x behind two layers, of which the second one is given the first one's result, and whether that
/// result had its elements between the loss and backward.
struct GivenAway {
  bool kept = false;
  Tensor<float> dx, dw;
};
GivenAway through_two_layers(Activation activation, bool frozen, bool give_away) {
  Rng rng(1);
  Linear<float> first(6, 10, rng), second(10, 4, rng);
  if (frozen) rapt::for_each_parameter(second, [](const auto&, auto& p) { p.set_frozen(true); });
  const Variable<float> x(rapt_test::normal_tensor<float>({5, 6}, 2), /*requires_grad=*/true);
  const rapt::Recording scope;
  Variable<float> hidden = first(x, activation);
  const std::weak_ptr<Node<float>> node = hidden.node();
  Variable<float> y;
  if (give_away) {
    y = second(std::move(hidden));
    hidden = Variable<float>();
  } else {
    y = second(std::as_const(hidden));
  }
  GivenAway result{.kept = node.lock()->value.has_elements(), .dx = {}, .dw = {}};
  rapt::backward(rapt::sum(y));
  result.dx = x.grad();
  result.dw = first.weight().grad();
  return result;
}

TEST(LinearLayer, KeepsNoInputThatNobodyReads) {
  for (const Activation activation : {Activation::none, Activation::gelu, Activation::relu}) {
    for (const bool frozen : {false, true}) {
      const GivenAway kept = through_two_layers(activation, frozen, false);
      const GivenAway given = through_two_layers(activation, frozen, true);
      EXPECT_TRUE(kept.kept);
      // The weight's gradient reads the input, and ReLU's own derivative its result.
      EXPECT_EQ(given.kept, !frozen || activation == Activation::relu);
      EXPECT_TRUE(rapt_test::same_bits(given.dx, kept.dx));
      EXPECT_TRUE(rapt_test::same_bits(given.dw, kept.dw));
    }
  }
}

TEST(LinearLayer, KeepsAnInputThatSomebodyHolds) {
  Rng rng(1);
  Linear<float> first(6, 10, rng), second(10, 4, rng);
  rapt::for_each_parameter(second, [](const auto&, auto& p) { p.set_frozen(true); });
  const rapt::Recording scope;
  Variable<float> hidden = first(Variable<float>(rapt_test::normal_tensor<float>({5, 6}, 2)));
  const Variable<float> other = hidden;
  const Variable<float> y = second(std::move(hidden));
  EXPECT_TRUE(other.value().has_elements());
  EXPECT_EQ(y.shape(), (Shape{5, 4}));
}

TEST(LinearLayer, AWeightThatIsUnfrozenBeforeBackwardIsNamed) {
  Rng rng(1);
  Linear<float> first(6, 10, rng), second(10, 4, rng);
  const auto set_frozen = [&](bool frozen) {
    rapt::for_each_parameter(second, [&](const auto&, auto& p) { p.set_frozen(frozen); });
  };
  set_frozen(true);
  const rapt::Recording scope;
  const auto loss = rapt::sum(second(first(Variable<float>(rapt_test::normal_tensor<float>({5, 6}, 2)))));
  set_frozen(false);
  rapt_test::expect_message([&] { rapt::backward(loss); }, {"[linear] ", "unfrozen", "[4, 10]"});
}

}  // namespace
