/// \file
/// Recomputed activations: the same bits as kept ones, in less memory.
// covers: nn/kept_inputs.hpp
#include "rapt/autograd/recompute.hpp"

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "rapt/autograd/backward.hpp"
#include "rapt/autograd/ops/add.hpp"
#include "rapt/autograd/ops/multiply.hpp"
#include "rapt/autograd/ops/sum.hpp"
#include "rapt/core/memory.hpp"
#include "rapt/nn/lora.hpp"
#include "rapt/nn/stack.hpp"
#include "rapt/nn/with_lora.hpp"
#include "tests/common/expect_close.hpp"
#include "tests/common/gradients.hpp"

namespace {

using rapt::BlockOptions;
using rapt::Index;
using rapt::Parameter;
using rapt::RecomputeActivations;
using rapt::Rng;
using rapt::RowSplits;
using rapt::Shape;
using rapt::Tensor;
using rapt_test::same_bits;
using Stack = rapt::Stack<float>;
using Variable = rapt::Variable<float>;

constexpr Index kModel = 16, kLayers = 4;

/// A decoder with biases of scores by offset, as T5's, and dropout wherever there is any.
[[nodiscard]] BlockOptions recomputed_options(bool cross) {
  return {.attention = {.d_model = kModel, .heads = 2, .dropout = 0.2f, .positions = rapt::RelativePositionBias{}},
          .cross_attention = cross,
          .d_ff = 32,
          .activation = rapt::Activation::gelu,
          .activation_dropout = 0.1f,
          .norm = rapt::NormPlacement::pre,
          .dropout = 0.3f};
}
/// So many blocks, each of which stands for two layers.
[[nodiscard]] Stack recomputed_stack(bool cross) {
  Rng rng(1);
  return Stack(kLayers / 2, recomputed_options(cross), /*final_norm=*/true, rng, /*layers_each=*/2);
}

struct Outcome {
  std::vector<Tensor<float>> values;  ///< the loss and all gradients
  std::size_t peak = 0;               ///< bytes beside what was there before
  std::uint64_t streams = 0;          ///< random streams that were taken
};

/// The loss of a call, and gradients of parameters and inputs, which are results of ops themselves.
template <class M>
Outcome outcome_of(M& trained, const Stack& stack, bool cross, bool recompute, Index length, Rng* dropout,
                   const rapt::WeightAdapter<float>* adapter = nullptr) {
  const auto leaf = [](Shape shape, std::uint64_t seed, bool learned) {
    return Variable(rapt_test::normal_tensor<float>(shape, seed), learned);
  };
  const Index rows = 2 * length;
  std::vector<Variable> leaves = {leaf({rows, kModel}, 2, true), leaf({rows, kModel}, 3, true),
                                  leaf({2 * length - 1, 2}, 4, true)};
  const Variable upstream = leaf({rows, kModel}, 5, false);
  rapt::clear_gradients(trained);
  const std::size_t before = rapt::memory_stats().in_use;
  rapt::reset_peak_memory();
  Outcome outcome;
  Variable loss;
  {
    std::optional<rapt::Training> training;
    std::optional<rapt::Recording> recording;
    if (dropout != nullptr) {
      training.emplace(*dropout);
    } else {
      recording.emplace();
    }
    const RecomputeActivations scope(recompute);
    const rapt::UseAdapter<float> use(adapter);
    // What a call is given ends with it: splits, numbers and masks.
    const RowSplits splits = RowSplits::equal(2, length);
    std::vector<std::int32_t> numbers(static_cast<std::size_t>(2 * length - 1));
    for (std::size_t i = 0; i < numbers.size(); ++i) numbers[i] = static_cast<std::int32_t>(i);
    Tensor<bool> padding(Shape{rows}, false);
    padding.data()[1] = true;
    const rapt::StackInputs<float> inputs{
        .mask = {.causal = true, .key_padding_mask = std::as_const(padding).view()},
        .positions = {.table = rapt::scale(leaves[2], 2.f), .numbers = numbers, .zero = length - 1}};
    const Variable x = rapt::scale(leaves[0], 2.f), encoder_output = rapt::scale(leaves[1], 0.5f);
    const Variable y = cross ? stack(x, splits, encoder_output, splits, inputs) : stack(x, splits, inputs);
    const Variable used_twice = rapt::add(y, cross ? encoder_output : x);  // read by others than the stack, too
    loss = rapt::sum(rapt::multiply(used_twice, upstream));
  }
  outcome.values.push_back(loss.value());
  rapt::backward(loss);  // outside of all scopes
  outcome.peak = rapt::memory_stats().peak_in_use - before;
  if (dropout != nullptr) outcome.streams = dropout->state().streams_taken;
  for (const Variable& l : leaves) outcome.values.push_back(l.grad());
  rapt::for_each_parameter(trained, [&](const std::string&, const auto& p) { outcome.values.push_back(p.grad()); });
  return outcome;
}

void expect_same_outcome(const Outcome& kept, const Outcome& recomputed) {
  ASSERT_EQ(kept.values.size(), recomputed.values.size());
  for (std::size_t i = 0; i < kept.values.size(); ++i) {
    EXPECT_TRUE(same_bits(kept.values[i], recomputed.values[i])) << "value " << i;
  }
  EXPECT_EQ(kept.streams, recomputed.streams);
}

TEST(Recompute, LossAndGradientsAreTheSameBits) {
  for (const bool cross : {false, true}) {
    for (const bool with_dropout : {false, true}) {
      SCOPED_TRACE(testing::Message() << "cross " << cross << ", dropout " << with_dropout);
      Stack stack = recomputed_stack(cross);
      Rng first(9), second(9);
      const Outcome kept = outcome_of(stack, stack, cross, false, 5, with_dropout ? &first : nullptr);
      const Outcome again = outcome_of(stack, stack, cross, true, 5, with_dropout ? &second : nullptr);
      expect_same_outcome(kept, again);
      EXPECT_EQ(kept.values[2].empty(), !cross);  // of the encoder's output
      EXPECT_EQ(kept.streams > 0, with_dropout);
    }
  }
}

TEST(Recompute, AnAdaptersGradientsAreTheSameBitsWhereTheStackIsFrozen) {
  Stack stack = recomputed_stack(true);
  Rng rng(4), first(9), second(9);
  rapt::Lora<float> lora(stack, rapt::lora_targets(stack, {"*"}), {.rank = 2, .dropout = 0.3f}, rng);
  rapt::for_each_parameter(
      lora, [&](const std::string&, Parameter<float>& p) { rng.fill_normal(p.mutable_value().values(), 0.0, 0.3); });
  rapt::freeze(stack, "*");
  const Outcome kept = outcome_of(lora, stack, true, false, 5, &first, &lora);
  expect_same_outcome(kept, outcome_of(lora, stack, true, true, 5, &second, &lora));
  for (const Tensor<float>& value : kept.values) EXPECT_FALSE(value.empty());
}

TEST(Recompute, SegmentsAndFeaturesAreTheSameBits) {
  Rng rng(1);
  BlockOptions options = recomputed_options(false);
  options.attention.positions = {};
  const Stack stack(kLayers / 2, options, /*final_norm=*/true, rng, /*layers_each=*/2);
  const auto outcome = [&](bool recompute, bool features, Index length) {
    const RowSplits splits = RowSplits::equal(2, length);
    const Variable first(rapt_test::normal_tensor<float>(Shape{2 * length, kModel}, 2), true);
    const Variable upstream(rapt_test::normal_tensor<float>(Shape{2 * length, kModel}, 5));
    rapt::for_each_parameter(stack, [](const std::string&, const Parameter<float>& p) { p.node()->grad = {}; });
    const std::size_t before = rapt::memory_stats().in_use;
    rapt::reset_peak_memory();
    Rng dropout(9);
    Outcome found;
    Variable loss;
    {
      const rapt::Training training(dropout);
      const RecomputeActivations scope(recompute);
      const Variable x = rapt::scale(first, 2.f);
      Variable y;
      if (features) {
        y = stack.features(x, splits, kLayers - 1, {.mask = {.causal = true}});
      } else {  // two segments, of which the second reads what is cached of the first
        rapt::SegmentCache<float> cache{{}, RowSplits::equal(2, 0)};
        for (Index i = 0; i < kLayers; ++i) cache.layers.emplace_back(Shape{0, kModel});
        const Variable earlier = stack.read_segment(x, splits, cache, cache, length - 1);
        y = rapt::add(earlier, stack.read_segment(x, splits, cache, cache, length - 1));
        for (const Tensor<float>& rows : cache.layers) found.values.push_back(rows);
      }
      loss = rapt::sum(rapt::multiply(y, upstream));
    }
    found.values.push_back(loss.value());
    rapt::backward(loss);
    found.peak = rapt::memory_stats().peak_in_use - before;
    found.streams = dropout.state().streams_taken;
    found.values.push_back(first.grad());
    rapt::for_each_parameter(stack,
                             [&](const std::string&, const Parameter<float>& p) { found.values.push_back(p.grad()); });
    return found;
  };
  for (const bool features : {false, true}) {
    SCOPED_TRACE(features);
    expect_same_outcome(outcome(false, features, 5), outcome(true, features, 5));
    EXPECT_LT(outcome(true, features, 64).peak, outcome(false, features, 64).peak * 7 / 10);
  }
}

TEST(Recompute, KeepsLessInMemory) {
  Stack stack = recomputed_stack(false);
  Rng first(9), second(9);
  const Outcome kept = outcome_of(stack, stack, false, false, 64, &first);
  const Outcome again = outcome_of(stack, stack, false, true, 64, &second);
  EXPECT_LT(again.peak, kept.peak * 6 / 10);
}

TEST(Recompute, IsOffOutsideOfRecording) {
  const RecomputeActivations scope;
  EXPECT_FALSE(rapt::recomputes_activations());
  const rapt::Recording recording;
  EXPECT_TRUE(rapt::recomputes_activations());
  const RecomputeActivations off(false);
  EXPECT_FALSE(rapt::recomputes_activations());
}

}  // namespace
