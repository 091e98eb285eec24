/// \file
/// FiniteCheck: it names the op, the element and the value, forward and backward; finite training passes it.
#include "rapt/autograd/finite_check.hpp"

#include <gtest/gtest.h>

#include <limits>
#include <string>
#include <thread>

#include "rapt/autograd/backward.hpp"
#include "rapt/autograd/ops/add.hpp"
#include "rapt/autograd/ops/multiply.hpp"
#include "rapt/autograd/ops/sum.hpp"
#include "rapt/data/batching.hpp"
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
    EXPECT_EQ(error_text<ValueError>(square),
              "[finite_check] the value of 'multiply' has inf at row 0, column 0 of shape [2, 3]");
    x.node()->value.fill(1.f);
    square();
    x.node()->value.data()[4] = kNan;
    const std::string text = error_text<ValueError>([&] { (void)add(x, x); });
    EXPECT_NE(text.find("'add'"), std::string::npos) << text;
    EXPECT_NE(text.find("nan at row 1, column 1 of shape [2, 3]"), std::string::npos) << text;
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
  EXPECT_EQ(error_text<ValueError>(step),
            "[finite_check] a gradient from the op 'poison' has inf at row 1, column 2 of shape [2, 3]");
}

TEST(FiniteCheckTest, ScopesNestAndAreOfTheirThread) {
  const Variable x(Tensor<float>({1}, 1e30f));
  const auto square = [&] { (void)multiply(x, x); };
  const FiniteCheck outer;
  { const FiniteCheck inner; }
  EXPECT_THROW(square(), ValueError);
  std::thread([&] { EXPECT_NO_THROW(square()); }).join();
}

// A whole training step with dropout and masks: nothing that a sound model makes on its way is infinite.
TEST(FiniteCheckTest, SoundTrainingPasses) {
  rapt::Rng rng(1);
  const rapt::Transformer<float> model({.source_vocabulary = 20,
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
  const std::vector<rapt::TokenPair> pairs{{{5, 6, 7}, {8}}, {{}, {}}, {{9}, {10, 11, 12, 13}}};
  const auto gradients = [&] {
    rapt::Rng dropout(2);
    const rapt::Training scope(dropout);
    rapt::backward(model.loss(rapt::make_batch(pairs), {.label_smoothing = 0.1f}));
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
