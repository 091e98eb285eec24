/// \file
/// Sums of gradients in the tree over micro-batches, against the tree written as a recursion.
#include "rapt/optim/gradient_sum.hpp"

#include <gtest/gtest.h>

#include <optional>
#include <utility>
#include <vector>

#include "tests/common/expect_close.hpp"
#include "tests/common/random.hpp"

namespace {

using rapt::GradientExchange;
using rapt::Index;
using rapt::Shape;
using rapt::Tensor;

/// The gradient of parameter n for micro-batch i; parameter 1 has none for some, and parameter 2 for all.
template <class T>
std::optional<Tensor<T>> gradient(int n, Index i) {
  if (n == 2 || (n == 1 && (i % 4 == 1 || i == 2))) return std::nullopt;
  return rapt_test::random_tensor<T>(Shape{n == 0 ? 20000 : 5}, static_cast<std::uint64_t>(10 * i + n));
}

template <class T>
void round_if(Tensor<T>& x, GradientExchange exchange) {
  if constexpr (std::is_same_v<T, float>) {
    if (exchange == GradientExchange::bfloat16) rapt::kernels::round_to_bfloat16(x.data(), x.size());
  }
}

/// The sum over micro-batches begin .. begin + count.
template <class T>
std::optional<Tensor<T>> sum_of(int n, Index begin, Index count, GradientExchange exchange) {
  if (count == 1) {
    auto leaf = gradient<T>(n, begin);
    if (leaf) round_if(*leaf, exchange);
    return leaf;
  }
  auto left = sum_of<T>(n, begin, count / 2, exchange), right = sum_of<T>(n, begin + count / 2, count / 2, exchange);
  if (!left || !right) return left ? std::move(left) : std::move(right);
  for (Index k = 0; k < left->size(); ++k) left->data()[k] += right->data()[k];
  round_if(*left, exchange);
  return left;
}

template <class T>
void expect_tree(GradientExchange exchange) {
  std::vector<std::shared_ptr<rapt::Node<T>>> nodes;
  for (int n = 0; n < 3; ++n) nodes.push_back(std::make_shared<rapt::Node<T>>());
  for (const Index count : {1, 2, 4, 8, 16}) {
    rapt::GradientTree<T> tree(nodes, count, exchange);
    for (int step = 0; step < 2; ++step) {
      for (Index i = 0; i < count; ++i) {
        for (int n = 0; n < 3; ++n) {
          const auto given = gradient<T>(n, i);
          nodes[static_cast<std::size_t>(n)]->grad = given ? *given : Tensor<T>();
        }
        tree.take(i);
        if (step == 0 && i == count - 2) break;  // a step that was given up leaves nothing behind
      }
    }
    for (int n = 0; n < 3; ++n) {
      const auto expected = sum_of<T>(n, 0, count, exchange);
      const Tensor<T>& actual = nodes[static_cast<std::size_t>(n)]->grad;
      ASSERT_EQ(expected.has_value(), !actual.empty()) << n << " of " << count;
      if (expected) {
        EXPECT_TRUE(rapt_test::same_bits(actual, *expected)) << n << " of " << count;
      }
    }
  }
}

TEST(GradientTree, AddsInTheTreesOrder) {
  expect_tree<float>(GradientExchange::float32);
  expect_tree<double>(GradientExchange::float32);
}

TEST(GradientTree, RoundsEveryOperandToBfloat16) { expect_tree<float>(GradientExchange::bfloat16); }

TEST(GradientTree, TheOrderIsVisible) {  // else the tests above would say nothing
  const auto tree = sum_of<float>(0, 0, 8, GradientExchange::float32);
  Tensor<float> in_a_row = *gradient<float>(0, 0);
  for (Index i = 1; i < 8; ++i) {
    const Tensor<float> next = *gradient<float>(0, i);
    for (Index k = 0; k < in_a_row.size(); ++k) in_a_row.data()[k] += next.data()[k];
  }
  EXPECT_FALSE(rapt_test::same_bits(*tree, in_a_row));
  EXPECT_FALSE(rapt_test::same_bits(*tree, *sum_of<float>(0, 0, 8, GradientExchange::bfloat16)));
}

}  // namespace
