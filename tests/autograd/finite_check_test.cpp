/// \file
/// FiniteCheck: it names the op, the element, the value, shapes and parameters, forward and backward; finite training
/// passes it.
// covers: autograd/parameter_names.hpp
#include "rapt/autograd/finite_check.hpp"

#include <gtest/gtest.h>

#include <limits>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "rapt/autograd/backward.hpp"
#include "rapt/autograd/ops/add.hpp"
#include "rapt/autograd/ops/linear.hpp"
#include "rapt/autograd/ops/multiply.hpp"
#include "rapt/autograd/ops/sum.hpp"
#include "rapt/data/batching.hpp"
#include "rapt/generation/greedy.hpp"
#include "rapt/models/transformer.hpp"
#include "tests/common/expect_close.hpp"
#include "tests/common/gradients.hpp"

namespace {

using rapt::FiniteCheck;
using rapt::Shape;
using rapt::Tensor;
using rapt::ValueError;
using rapt_test::error_text;
using Variable = rapt::Variable<float>;

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

/// Its value is its input's; its gradient is infinite at one place.
Variable infinite_backward(const Variable& x, rapt::Index at) {
  return rapt::record("poison", Tensor<float>(x.value()), {x},
                      [at](rapt::Node<float>& out) { out.input(0).grad_sum().data()[at] += kInfinity; });
}

TEST(FirstNotFinite, IsTheFirst) {
  Tensor<float> x({3, 4}, 1.f);
  EXPECT_EQ(rapt::first_not_finite(x), -1);
  EXPECT_EQ(rapt::first_not_finite(Tensor<float>()), -1);
  x.data()[11] = kNan;
  EXPECT_EQ(rapt::first_not_finite(x), 11);
  x.data()[6] = -kInfinity;
  EXPECT_EQ(rapt::first_not_finite(x), 6);
  x.data()[0] = kInfinity;
  EXPECT_EQ(rapt::first_not_finite(x), 0);
  EXPECT_EQ(rapt::first_not_finite(Tensor<double>({2}, std::numeric_limits<double>::max())), -1);
}

TEST(FiniteCheckTest, NamesTheOpOfAValue) {
  const Variable x(Tensor<float>({2, 3}, 1e30f), true);
  const auto square = [&] { (void)multiply(x, x); };
  square();  // nobody looks
  {
    const FiniteCheck check;
    EXPECT_EQ(
        error_text<ValueError>(square),
        "[finite_check] the value of 'multiply' has inf at row 0, column 0 of shape [2, 3]; inputs: [2, 3]; [2, 3]");
    x.node()->value.fill(1.f);
    square();
    x.node()->value.data()[4] = kNan;
    const std::string text = error_text<ValueError>([&] { (void)add(x, x); });
    EXPECT_NE(text.find("'add'"), std::string::npos) << text;
    EXPECT_NE(text.find("nan at row 1, column 1 of shape [2, 3]; inputs: [2, 3], which has nan at row 1, column 1; "
                        "[2, 3], which has"),
              std::string::npos)
        << text;
  }
  square();
}

// Two ops in a row: the first one is to blame.
TEST(FiniteCheckTest, StopsAtTheFirstOp) {
  const Variable x(Tensor<float>({2}, 1e30f), true);
  const FiniteCheck check;
  const std::string text = error_text<ValueError>([&] { (void)sum(add(multiply(x, x), x)); });
  EXPECT_NE(text.find("'multiply'"), std::string::npos) << text;
}

TEST(FiniteCheckTest, NamesTheOpOfAGradient) {
  const Variable x(Tensor<float>({2, 3}, 1.f), true);
  const rapt::Recording scope;
  const auto step = [&] { rapt::backward(sum(infinite_backward(scale(x, 2.f), 5))); };
  step();  // nobody looks
  EXPECT_TRUE(std::isinf(x.grad().data()[5]));
  Variable(x).clear_grad();
  const FiniteCheck check;
  EXPECT_EQ(
      error_text<ValueError>(step),
      "[finite_check] a gradient from the op 'poison' has inf at row 1, column 2 of shape [2, 3]; inputs: [2, 3]");
}

TEST(FiniteCheckTest, ScopesNestAndAreOfTheirThread) {
  const Variable x(Tensor<float>({1}, 1e30f));
  const auto square = [&] { (void)multiply(x, x); };
  const FiniteCheck outer;
  { const FiniteCheck inner; }
  EXPECT_THROW(square(), ValueError);
  std::thread([&] { EXPECT_NO_THROW(square()); }).join();
}

using Model = rapt::Transformer<float>;

Model small_model() {
  rapt::Rng rng(1);
  return Model({.source_vocabulary = 20,
                .target_vocabulary = 20,
                .d_model = 16,
                .heads = 2,
                .d_ff = 32,
                .encoder_layers = 2,
                .decoder_layers = 2,
                .dropout = 0.1f,
                .attention_dropout = 0.1f,
                .activation_dropout = 0.1f},
               rng);
}

const std::vector<rapt::TokenPair> kPairs{{{5, 6, 7}, {8}}, {{}, {}}, {{9}, {10, 11, 12, 13}}};

rapt::Parameter<float>& parameter_named(Model& model, const std::string& wanted) {
  rapt::Parameter<float>* found = nullptr;
  rapt::for_each_parameter(model, [&](const std::string& name, rapt::Parameter<float>& parameter) {
    if (name == wanted) found = &parameter;
  });
  return *found;
}

// The op that reads the parameter is named with it, and with the first bad element of both.
TEST(FiniteCheckTest, NamesTheParameter) {
  Model model = small_model();
  rapt::name_parameters(model);
  parameter_named(model, "encoder.layers.1.linear2.weight").mutable_value()(3, 5) = kNan;
  const auto loss = [&] { (void)model.loss(rapt::make_batch(kPairs)); };
  EXPECT_NO_THROW(loss());  // nobody looks
  const FiniteCheck check;
  EXPECT_EQ(error_text<ValueError>(loss),
            "[finite_check] the value of 'linear' has nan at row 0, column 3 of shape [7, 16]; inputs: [7, 32]; "
            "encoder.layers.1.linear2.weight [16, 32], which has nan at row 3, column 5; "
            "encoder.layers.1.linear2.bias [16]");
}

// Of ops without parameters, one that was read before: forward the last, backward the nearest.
TEST(FiniteCheckTest, NamesAParameterBeforeTheOp) {
  const rapt::Parameter<float> weight(Tensor<float>({2, 2}, {1e30f, 0.f, 0.f, 1.f}));
  rapt::detail::parameter_names().note(weight.node(), "some.weight");
  const Variable x(Tensor<float>({1, 2}, 1.f));
  const FiniteCheck check;
  const rapt::Recording scope;
  const auto square = [&] {
    const Variable y = multiply(x, x), z = linear(x, weight, Variable());
    (void)multiply(z, z);
  };
  EXPECT_EQ(error_text<ValueError>(square),
            "[finite_check] the value of 'multiply' has inf at row 0, column 0 of shape [1, 2]; inputs: [1, 2]; "
            "[1, 2]; an op before it read some.weight");
  const auto step = [&] { rapt::backward(sum(infinite_backward(scale(linear(x, weight, Variable()), 2.f), 1))); };
  EXPECT_EQ(error_text<ValueError>(step),
            "[finite_check] a gradient from the op 'poison' has inf at row 0, column 1 of shape [1, 2]; inputs: "
            "[1, 2]; an op before it read some.weight");
  const auto direct = [&] { rapt::backward(sum(infinite_backward(weight, 2))); };
  EXPECT_EQ(error_text<ValueError>(direct),
            "[finite_check] a gradient from the op 'poison' has inf at row 1, column 0 of shape [2, 2], that of "
            "some.weight; inputs: some.weight [2, 2]");
}

// The whole model's names win over those of a part, and a parameter that is gone leaves no name to the next one.
TEST(ParameterNamesTest, KeepsTheLongestNameOfWhatLives) {
  rapt::detail::ParameterNames names;
  auto node = std::make_shared<int>(1);
  const std::shared_ptr<int> other = std::make_shared<int>(2);
  names.note(node, "layers.0.weight");
  names.note(other, "bias");
  names.note(node, "encoder.layers.0.weight");
  names.note(node, "weight");
  EXPECT_EQ(names.of(node.get()), "encoder.layers.0.weight");
  EXPECT_EQ(names.of(other.get()), "bias");
  EXPECT_EQ(names.of(nullptr), "");
  const void* const address = node.get();
  node.reset();
  EXPECT_EQ(names.of(address), "");
  const std::shared_ptr<const void> next(other, address);  // another owner of the same address
  names.note(next, "b");
  EXPECT_EQ(names.of(address), "b");
}

// In every thread, in training and in decoding, whose steps are not recorded.
TEST(FiniteCheckTest, SetChecksIsForTheWholeProgram) {
  Model model = small_model();
  rapt::name_parameters(model);
  parameter_named(model, "decoder.layers.0.multihead_attn.in_proj_weight").mutable_value().fill(1e38f);
  struct ChecksOn {
    bool before = rapt::checks();
    ChecksOn() { rapt::set_checks(true); }
    ~ChecksOn() { rapt::set_checks(before); }
  } const on;
  const auto decode = [&] { (void)rapt::greedy_search(model, rapt::make_batch(kPairs).source, {.max_length = 3}); };
  std::string text;
  std::thread([&] { text = error_text<ValueError>(decode); }).join();
  EXPECT_NE(text.find("decoder.layers.0.multihead_attn.in_proj_weight [48, 16]"), std::string::npos) << text;
  rapt::set_checks(false);
  EXPECT_NO_THROW((void)model.loss(rapt::make_batch(kPairs)));
}

// A value that is computed in a decoding step and not recorded.
TEST(FiniteCheckTest, LooksAtWhatIsNeverRecorded) {
  const FiniteCheck check;
  EXPECT_EQ(error_text<ValueError>([] {
              (void)rapt::unrecorded("step", Tensor<float>({1, 2}, {0.f, -kInfinity}));
            }),
            "[finite_check] the value of 'step' has -inf at row 0, column 1 of shape [1, 2]");
}

// A whole training step with dropout and masks: nothing that a sound model makes on its way is infinite.
TEST(FiniteCheckTest, SoundTrainingPasses) {
  const Model model = small_model();
  const auto gradients = [&] {
    rapt::Rng dropout(2);
    const rapt::Training scope(dropout);
    rapt::backward(model.loss(rapt::make_batch(kPairs), {.label_smoothing = 0.1f}));
    std::vector<Tensor<float>> all;
    rapt::for_each_parameter(model, [&](const std::string&, auto& parameter) {
      all.push_back(parameter.grad());
      parameter.node()->grad = Tensor<float>();
    });
    return all;
  };
  const auto plain = gradients();
  const FiniteCheck check;
  const auto checked = gradients();
  ASSERT_EQ(plain.size(), checked.size());
  for (std::size_t i = 0; i < plain.size(); ++i) EXPECT_TRUE(rapt_test::same_bits(plain[i], checked[i])) << i;
}

}  // namespace
