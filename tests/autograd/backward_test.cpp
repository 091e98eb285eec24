/// \file
/// backward: accumulation, errors, memory, order, and the same bits on any number of threads.
// covers: autograd/record.hpp, autograd/variable.hpp
#include "rapt/autograd/backward.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "rapt/autograd/ops/add.hpp"
#include "rapt/autograd/ops/add_norm.hpp"
#include "rapt/autograd/ops/add_rows.hpp"
#include "rapt/autograd/ops/attention.hpp"
#include "rapt/autograd/ops/cross_entropy.hpp"
#include "rapt/autograd/ops/gather_rows.hpp"
#include "rapt/autograd/ops/linear.hpp"
#include "rapt/autograd/ops/multiply.hpp"
#include "rapt/autograd/ops/sum.hpp"
#include "rapt/autograd/recompute.hpp"
#include "rapt/core/thread_pool.hpp"
#include "tests/common/gradients.hpp"

namespace {

using rapt::Shape;
using rapt::Tensor;
using rapt_test::random_leaf;
using Variable = rapt::Variable<float>;

void expect_all(const Tensor<float>& tensor, float value) {
  ASSERT_FALSE(tensor.empty());
  for (const float v : tensor.values()) EXPECT_FLOAT_EQ(v, value);
}

TEST(Backward, AddsUpOverSeveralCalls) {
  const Variable x(Tensor<float>({2, 3}, 1.f), true);
  const rapt::Recording scope;
  rapt::backward(sum(x));
  expect_all(x.grad(), 1.f);
  rapt::backward(sum(scale(x, 4.f)));
  expect_all(x.grad(), 5.f);
  rapt::backward(sum(x), 0.5f);
  expect_all(x.grad(), 5.5f);
  Variable same = x;
  same.clear_grad();
  EXPECT_TRUE(x.grad().empty());
}

TEST(Backward, UpstreamScalesTheGradient) {
  const Variable x(Tensor<float>({4}, 1.f), true);
  const rapt::Recording scope;
  rapt::backward(sum(scale(x, 3.f)), -0.25f);
  expect_all(x.grad(), -0.75f);
}

TEST(Backward, AVariableUsedTwiceGetsBothGradients) {
  const Variable x(Tensor<float>({2, 2}, 3.f), true);
  const rapt::Recording scope;
  rapt::backward(sum(add(multiply(x, x), x)));
  expect_all(x.grad(), 7.f);
}

TEST(Backward, ADiamondIsPassedOnce) {
  const Variable x(Tensor<float>({3}, 1.f), true);
  const rapt::Recording scope;
  Variable y = x;
  for (int i = 0; i < 40; ++i) y = add(y, y);  // 2^40 paths
  rapt::backward(sum(scale(y, std::ldexp(1.f, -40))));
  expect_all(x.grad(), 1.f);
}

TEST(Backward, ALongChainIsNoRecursion) {
  const Variable x(Tensor<float>({1}, 1.f), true);
  const rapt::Recording scope;
  Variable y = x;
  for (int i = 0; i < 20000; ++i) y = scale(y, 1.f);
  rapt::backward(y);
  expect_all(x.grad(), 1.f);
}

TEST(Backward, OnlyWhatRequiresAGradientGetsOne) {
  const Variable x(Tensor<float>({2}, 2.f), true), constant(Tensor<float>({2}, 5.f));
  const rapt::Recording scope;
  rapt::backward(sum(multiply(x, constant)));
  expect_all(x.grad(), 5.f);
  EXPECT_TRUE(constant.grad().empty());
}

TEST(Backward, OfALeafIsItsUpstream) {
  const Variable x(Tensor<float>({1}, 2.f), true);
  rapt::backward(x, 3.f);
  expect_all(x.grad(), 3.f);
}

TEST(Backward, RefusesWhatIsNoScalar) {
  const auto x = random_leaf<float>({2, 3}, 1);
  const rapt::Recording scope;
  rapt_test::expect_errors({{"not a scalar", [&] { rapt::backward(multiply(x, x)); }, {"[backward]", "[2, 3]"}}});
  EXPECT_THROW(rapt::backward(multiply(x, x)), rapt::ShapeError);
  EXPECT_TRUE(x.grad().empty());
}

TEST(Backward, RefusesWhatWasNotRecorded) {
  const auto x = random_leaf<float>({2, 3}, 1);
  const Variable loss = sum(multiply(x, x));
  rapt_test::expect_errors({{"outside of a scope", [&] { rapt::backward(loss); }, {"[backward]", "Training"}}});
  const rapt::Recording scope;
  EXPECT_THROW(rapt::backward(sum(Variable(Tensor<float>({2, 3}, 1.f)))), rapt::ValueError) << "constants only";
}

TEST(Backward, RefusesAGraphThatWasConsumed) {
  const auto x = random_leaf<float>({2, 3}, 1);
  const rapt::Recording scope;
  const Variable shared = multiply(x, x), loss = sum(shared), other = sum(scale(shared, 2.f));
  rapt::backward(loss);
  rapt_test::expect_errors({{"the same loss again", [&] { rapt::backward(loss); }, {"sum"}},
                            {"a shared part", [&] { rapt::backward(other); }, {"multiply"}}});
}

TEST(Backward, FreesTheGraph) {
  const auto x = random_leaf<float>({256, 256}, 1);  // 256 KiB
  const std::size_t before = rapt::memory_stats().in_use, one = 256 * 256 * sizeof(float);
  const rapt::Recording scope;
  Variable loss;
  {
    Variable y = x;
    for (int i = 0; i < 20; ++i) y = multiply(y, y);
    loss = sum(y);
  }
  EXPECT_GE(rapt::memory_stats().in_use - before, 20 * one) << "backward needs every product";
  rapt::reset_peak_memory();
  rapt::backward(loss);
  EXPECT_LT(rapt::memory_stats().in_use - before, 2 * one) << "the gradient of x alone stays";
  EXPECT_LT(rapt::memory_stats().peak_in_use - before, 24 * one) << "values go as gradients come";
  EXPECT_EQ(loss.size(), 1);
}

TEST(Backward, WithoutRecordingNothingIsKept) {
  const auto x = random_leaf<float>({256, 256}, 1);
  const std::size_t before = rapt::memory_stats().in_use, one = 256 * 256 * sizeof(float);
  rapt::reset_peak_memory();
  Variable y = x;
  for (int i = 0; i < 20; ++i) y = multiply(y, y);
  EXPECT_LT(rapt::memory_stats().peak_in_use - before, 3 * one);
}

/// One training step through the large ops, several parts each; the loss and all gradients.
std::vector<Tensor<float>> training_step() {
  constexpr rapt::Index kTokens = 610, kWidth = 48, kVocabulary = 101;
  const auto ids = rapt_test::random_ids(kTokens, kVocabulary, 1),
             targets = rapt_test::random_ids(kTokens, kVocabulary, 2);
  auto positions = rapt_test::random_ids(kTokens, 90, 3);
  const auto splits = rapt_test::splits_of({90, 1, 0, 200, 19, 300});
  const Variable table = random_leaf<float>({kVocabulary, kWidth}, 1), places = random_leaf<float>({90, kWidth}, 2),
                 in = random_leaf<float>({3 * kWidth, kWidth}, 3, 0.2), in_bias = random_leaf<float>({3 * kWidth}, 4),
                 wide = random_leaf<float>({200, kWidth}, 5, 0.2), wide_bias = random_leaf<float>({200}, 6),
                 narrow = random_leaf<float>({kWidth, 200}, 7, 0.2), gamma = random_leaf<float>({kWidth}, 8),
                 beta = random_leaf<float>({kWidth}, 9), bias = random_leaf<float>({kVocabulary}, 10);
  rapt::Rng rng(11);
  const rapt::Training scope(rng);
  const Variable x = add_rows(rapt::gather_rows(table, ids, 2.f), places, positions);
  const Variable qkv = linear(x, in, in_bias);
  const Variable heads =
      attention(columns(qkv, 0, kWidth), columns(qkv, kWidth, kWidth), columns(qkv, 2 * kWidth, kWidth), splits, splits,
                {.heads = 4, .dropout = 0.1f, .mask = {.causal = true}});
  const Variable h = add_norm(x, heads, gamma, beta, 0.1f);
  const Variable f = linear(linear(h, wide, wide_bias, rapt::Activation::gelu), narrow, Variable());
  const Variable y = layer_norm(residual_add(h, f, 0.2f), gamma, beta);
  const Variable loss = linear_cross_entropy(y, table, bias, targets, {.label_smoothing = 0.1f});
  rapt::backward(loss);
  std::vector<Tensor<float>> results{loss.value()};
  for (const Variable* v : {&table, &places, &in, &in_bias, &wide, &wide_bias, &narrow, &gamma, &beta, &bias}) {
    results.push_back(v->grad());
  }
  return results;
}

TEST(Backward, SaysWhenALeafsGradientIsComplete) {
  const Variable early(Tensor<float>({2, 2}, 3.f), true), late(Tensor<float>({2, 2}, 2.f), true);
  const Variable frozen(Tensor<float>({2, 2}, 5.f));
  const rapt::Recording scope;
  const Variable inner = multiply(multiply(early, early), frozen);          // 5 early^2
  const Variable loss = sum(add(multiply(inner, late), scale(late, 4.f)));  // 5 early^2 late + 4 late
  std::vector<const rapt::Node<float>*> finished;
  rapt::backward(loss, 0.5f, [&](rapt::Node<float>& leaf) {
    finished.push_back(&leaf);
    expect_all(leaf.grad, &leaf == early.node().get() ? 30.f : 24.5f);
    // That of `early` is not there yet when `late` is complete.
    EXPECT_EQ(early.grad().empty(), &leaf == late.node().get());
  });
  EXPECT_EQ(finished, (std::vector<const rapt::Node<float>*>{late.node().get(), early.node().get()}));
}

TEST(Backward, SaysNothingOfLeavesIfPartsAreComputedAgain) {
  const Variable twice(Tensor<float>({2, 2}, 3.f), true), once(Tensor<float>({2, 2}, 2.f), true);
  const rapt::Recording scope;
  const Variable square = rapt::recompute<float>([&] { return multiply(twice, twice); }, {});
  const Variable loss = sum(multiply(multiply(square, twice), once));  // twice^3 once
  int calls = 0;
  rapt::backward(loss, 1.f, [&](rapt::Node<float>&) { ++calls; });
  EXPECT_EQ(calls, 0);
  expect_all(twice.grad(), 54.f);
  expect_all(once.grad(), 27.f);
}

TEST(Backward, SameBitsOnAnyNumberOfThreads) {
  const rapt::Index threads = rapt::threads();
  rapt::set_threads(1);
  const auto expected = training_step();
  for (const Tensor<float>& tensor : expected) {
    EXPECT_FALSE(tensor.empty());
    for (const float v : tensor.values()) ASSERT_TRUE(std::isfinite(v));
  }
  for (const rapt::Index count : {2, 3}) {
    rapt::set_threads(count);
    for (int repeat = 0; repeat < 3; ++repeat) {
      const auto results = training_step();
      for (std::size_t i = 0; i < expected.size(); ++i) {
        EXPECT_TRUE(rapt_test::same_bits(results[i], expected[i])) << "tensor " << i << ", threads " << count;
      }
    }
  }
  rapt::set_threads(threads);
}

}  // namespace
