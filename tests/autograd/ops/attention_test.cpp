/// \file
/// Attention's options against PyTorch (tests/golden/make_attention.py tells how), and what the op hands out.
// covers: autograd/ops/attention.hpp, autograd/ops/attention_options.hpp, kernels/attention/scores.hpp,
// kernels/attention/tile.hpp
#include "rapt/autograd/ops/attention.hpp"

#include <gtest/gtest.h>

#include <limits>

#include "tests/common/golden.hpp"
#include "tests/common/gradients.hpp"

namespace {

using rapt::Index;
using rapt::MaskAlignment;
using rapt::ScoreStage;
using rapt::Shape;
using rapt::Tensor;
using rapt::Variable;
using rapt_test::Golden;
using rapt_test::splits_of;

/// The stored scores; where masks hide a key both must be -infinity.
template <class T>
void expect_scores(const Golden& golden, const std::string& name, Tensor<T> ours) {
  auto expected = golden.tensor<T>(name);
  ASSERT_EQ(ours.shape(), expected.shape());
  for (Index i = 0; i < ours.size(); ++i) {
    if (!std::isinf(expected.data()[i])) continue;
    EXPECT_EQ(ours.data()[i], expected.data()[i]) << name << " " << i;
    ours.data()[i] = expected.data()[i] = 0;
  }
  EXPECT_LE(rapt_test::relative_error(ours, expected), rapt_test::kOutputTolerance<T>) << name;
}

/// Equal up to some rounding errors; infinities are equal.
template <class T>
void expect_near(const std::vector<T>& ours, const std::vector<T>& expected) {
  ASSERT_EQ(ours.size(), expected.size());
  for (std::size_t i = 0; i < ours.size(); ++i) {
    if (ours[i] == expected[i]) continue;
    EXPECT_NEAR(ours[i], expected[i], 8 * std::numeric_limits<T>::epsilon()) << i;
  }
}

template <class T>
class AttentionOp : public testing::Test {
 protected:
  static void against_torch(const std::string& name, rapt::AttentionOptions<T> options) {
    const testing::ScopedTrace trace(__FILE__, __LINE__, name);
    const Golden golden("attention_options", name);
    const auto query = golden.leaf<T>("query"), key = golden.leaf<T>("key"), value = golden.leaf<T>("value");
    const auto query_splits = golden.splits("query_splits"), key_splits = golden.splits("key_splits");
    Tensor<T> weights, scores;
    const rapt::Recording scope;
    const Variable<T> output = attention(query, key, value, query_splits, key_splits, options, {.weights = &weights});
    EXPECT_EQ(output.shape(), golden.tensor<T>("output").shape());
    golden.expect_output("output", output.value());
    golden.expect_output("weights", weights);
    golden.backward(output);
    golden.expect_gradient("query", query);
    golden.expect_gradient("key", key);
    golden.expect_gradient("value", value);
    if (options.soft_cap == 0) return;
    for (const auto& [stage, stored] :
         {std::pair{ScoreStage::scaled, "scaled"}, {ScoreStage::capped, "capped"}, {ScoreStage::masked, "masked"}}) {
      std::ignore =
          attention(query, key, value, query_splits, key_splits, options, {.scores = &scores, .score_stage = stage});
      expect_scores(golden, stored, scores);
    }
  }
};
using Scalars = testing::Types<float, double>;
TYPED_TEST_SUITE(AttentionOp, Scalars);

TYPED_TEST(AttentionOp, CausalFromTheFirstKeyIsTorchs) {
  for (const char* name : {"few_queries", "many_queries"}) {
    this->against_torch(name, {.heads = 3, .mask = {.causal = true, .alignment = MaskAlignment::first_key}});
  }
}

TYPED_TEST(AttentionOp, SoftCapIsTorchsFormula) {
  this->against_torch("cap", {.heads = 2, .soft_cap = 1.5});
  const auto mask = Golden("attention_options", "cap_causal").template tensor<TypeParam>("mask");  // [H, Lq, Lk]
  Tensor<TypeParam> per_head(Shape{1, mask.shape()[0], mask.shape()[1], mask.shape()[2]});
  std::copy_n(mask.data(), mask.size(), per_head.data());
  this->against_torch("cap_causal",
                      {.heads = 2,
                       .soft_cap = 2,
                       .mask = {.causal = true, .alignment = MaskAlignment::first_key, .additive_mask = per_head}});
}

/// Both alignments by hand: zero queries see their keys equally.
TYPED_TEST(AttentionOp, AlignmentsOfTwoQueriesAndThreeKeys) {
  using T = TypeParam;
  const auto output = [](Index queries, Index keys, const rapt::AttentionOptions<T>& options) {
    Tensor<T> values(Shape{keys, 1});
    for (Index j = 0; j < keys; ++j) values(j, 0) = static_cast<T>(1 << j);  // 1 2 4
    const Variable<T> query(Tensor<T>(Shape{queries, 1}, T(0))), key(Tensor<T>(Shape{keys, 1}, T(0)));
    const auto y = attention(query, key, Variable<T>(values), splits_of({queries}), splits_of({keys}), options).value();
    return std::vector<T>(y.values().begin(), y.values().end());
  };
  constexpr auto kFirst = MaskAlignment::first_key, kLast = MaskAlignment::last_key;
  using V = std::vector<T>;
  expect_near(output(2, 3, {.mask = {.causal = true}}), (V{T(1.5), T(7) / T(3)}));
  expect_near(output(2, 3, {.mask = {.causal = true, .alignment = kFirst}}), (V{T(1), T(1.5)}));
  expect_near(output(3, 2, {.mask = {.causal = true, .alignment = kLast}}),
              (V{T(0), T(1), T(1.5)}));  // query 0 sees nothing
  expect_near(output(3, 2, {.mask = {.causal = true, .alignment = kFirst}}), (V{T(1), T(1.5), T(1.5)}));
  expect_near(output(1, 3, {.window = 1}), (V{T(3)}));
  expect_near(output(1, 3, {.window = 1, .mask = {.alignment = kFirst}}), (V{T(1.5)}));
  expect_near(output(4, 2, {.window = 1, .mask = {.alignment = kFirst}}),
              (V{T(1.5), T(1.5), T(2), T(0)}));  // 3 sees nothing
  expect_near(output(2, 3, {.mask = {.causal = false}}), output(2, 3, {}));
}

/// Sequences of several lengths: what lies outside of one is zero, or -infinity once masked.
TYPED_TEST(AttentionOp, ScoresOutsideOfSequences) {
  using T = TypeParam;
  constexpr T kBlocked = -std::numeric_limits<T>::infinity();
  const Variable<T> one(Tensor<T>(Shape{3, 1}, T(1)));
  Tensor<T> scores, weights;
  const auto compute = [&](ScoreStage stage) {
    std::ignore = attention(one, one, one, splits_of({1, 2}), splits_of({1, 2}), {.mask = {.causal = true}},
                            {.weights = &weights, .scores = &scores, .score_stage = stage});
    EXPECT_EQ(scores.shape(), (Shape{2, 1, 2, 2}));
    return std::vector<T>(scores.values().begin(), scores.values().end());
  };
  using V = std::vector<T>;
  expect_near(compute(ScoreStage::scaled), (V{1, 0, 0, 0, 1, 1, 1, 1}));
  expect_near(compute(ScoreStage::capped), (V{1, 0, 0, 0, 1, 1, 1, 1}));
  expect_near(compute(ScoreStage::masked), (V{1, kBlocked, kBlocked, kBlocked, 1, kBlocked, 1, 1}));
  expect_near(V(weights.values().begin(), weights.values().end()), (V{1, 0, 0, 0, 1, 0, T(0.5), T(0.5)}));
}

}  // namespace
