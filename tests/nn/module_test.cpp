/// \file
/// Parameters are values; names, counts and gradients of modules derive from `visit`.
#include "rapt/nn/module.hpp"

#include <gtest/gtest.h>

#include "rapt/nn/linear.hpp"
#include "tests/common/gradients.hpp"

namespace {

using rapt::Parameter;
using rapt::Shape;
using rapt::Tensor;

/// Everything that a member can be.
struct Nested {
  explicit Nested(rapt::Rng& rng) : direct(2, 3, rng) {
    layers.emplace_back(3, 4, rng);
    layers.emplace_back(4, 5, rng, rapt::LinearOptions{.bias = false});
  }
  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& visitor) {
    visitor("direct", self.direct);
    visitor("layers", self.layers);
    visitor("maybe", self.maybe);
    visitor("scalar", self.scalar);
    visitor("absent", self.absent);
  }
  rapt::Linear<float> direct;
  std::vector<rapt::Linear<float>> layers;
  std::optional<rapt::Linear<float>> maybe;
  Parameter<float> scalar{Tensor<float>(Shape{1}, 2.f)}, absent;
};
static_assert(rapt::Module<Nested>);
static_assert(!rapt::Module<int>);

std::vector<std::string> names_of(const Nested& module) {
  std::vector<std::string> names;
  rapt::for_each_parameter(module, [&](const std::string& name, const Parameter<float>&) { names.push_back(name); });
  return names;
}

TEST(Module, NamesAreJoinedByDots) {
  rapt::Rng rng(1);
  Nested nested(rng);
  std::vector<std::string> expected{"direct.weight", "direct.bias",     "layers.0.weight",
                                    "layers.0.bias", "layers.1.weight", "scalar"};
  EXPECT_EQ(names_of(nested), expected);
  nested.maybe.emplace(1, 2, rng);
  expected.insert(expected.end() - 1, {"maybe.weight", "maybe.bias"});
  EXPECT_EQ(names_of(nested), expected);
}

TEST(Module, CountsNumbers) {
  rapt::Rng rng(1);
  Nested nested(rng);
  EXPECT_EQ(rapt::count_parameters(nested), 6 + 3 + 12 + 4 + 20 + 1);
  nested.maybe.emplace(1, 2, rng);
  EXPECT_EQ(rapt::count_parameters(nested), 46 + 4);
}

TEST(Module, ClearsGradients) {
  rapt::Rng rng(1);
  Nested nested(rng);
  rapt::for_each_parameter(nested, [](const std::string&, auto& p) { std::ignore = p.node()->grad_sum(); });
  EXPECT_FALSE(nested.layers[1].weight().grad().empty());
  rapt::clear_gradients(nested);
  rapt::for_each_parameter(nested, [](const std::string& name, auto& p) { EXPECT_TRUE(p.grad().empty()) << name; });
}

TEST(Parameter, CopiesTheNumbersButNotTheGradient) {
  Parameter<float> a(Tensor<float>(Shape{2}, 1.f));
  std::ignore = a.node()->grad_sum();
  Parameter<float> b = a;
  EXPECT_NE(a.node(), b.node());
  EXPECT_TRUE(b.requires_grad());
  EXPECT_TRUE(b.grad().empty());
  b.mutable_value().fill(5.f);
  EXPECT_EQ(a.value().data()[0], 1.f);
}

TEST(Parameter, AssigningWritesIntoItsPlace) {
  Parameter<float> a(Tensor<float>(Shape{2}, 1.f)), b(Tensor<float>(Shape{2}, 3.f));
  const auto place = a.node();
  std::ignore = a.node()->grad_sum();
  a = b;
  EXPECT_EQ(a.node(), place);
  EXPECT_EQ(place->value.data()[1], 3.f);
  EXPECT_TRUE(a.grad().empty()) << "the gradient belonged to the old numbers";
  b.mutable_value().fill(9.f);
  EXPECT_EQ(a.value().data()[1], 3.f);
  const Parameter<float>& itself = a;
  a = itself;
  EXPECT_EQ(a.value().data()[1], 3.f);
}

TEST(Parameter, AnUndefinedOneIsCopiedAsSuch) {
  const Parameter<float> none;
  Parameter<float> copy = none;
  EXPECT_FALSE(copy.defined());
  Parameter<float> defined(Tensor<float>(Shape{2}, 1.f));
  copy = defined;
  EXPECT_TRUE(copy.defined());
  EXPECT_NE(copy.node(), defined.node());
  copy = none;
  EXPECT_FALSE(copy.defined());
}

TEST(Module, CopiesAreDeepAndAssignmentKeepsThePlaces) {
  rapt::Rng rng(1);
  Nested a(rng);
  Nested b = a;
  rapt_test::randomize(b, 5);
  EXPECT_FALSE(rapt_test::same_bits(a.layers[0].weight().value(), b.layers[0].weight().value()));
  const auto place = a.layers[0].weight().node();
  a = b;
  EXPECT_EQ(a.layers[0].weight().node(), place);
  EXPECT_TRUE(rapt_test::same_bits(place->value, b.layers[0].weight().value()));
  EXPECT_NE(a.layers[0].weight().node(), b.layers[0].weight().node());
}

}  // namespace
