/// \file
/// Weights that are kept packed give the same numbers, and never those of an older weight.
#include "rapt/autograd/packed_weight.hpp"

#include <gtest/gtest.h>

#include <thread>
#include <utility>
#include <vector>

#include "rapt/autograd/backward.hpp"
#include "rapt/autograd/ops/add.hpp"
#include "rapt/autograd/ops/cross_entropy.hpp"
#include "rapt/autograd/ops/mean_squared_error.hpp"
#include "rapt/autograd/ops/sum.hpp"
#include "rapt/kernels/gemm/half.hpp"
#include "rapt/kernels/gemm/int4.hpp"
#include "rapt/kernels/gemm/int8.hpp"
#include "rapt/models/transformer.hpp"
#include "rapt/nn/freeze.hpp"
#include "rapt/optim/adam.hpp"

#include "tests/common/random.hpp"
#include "tests/common/settings.hpp"

namespace {

using namespace rapt_test;
using rapt::Index;
using rapt::Shape;
using rapt::Variable;

rapt::Transformer<float> small_model(std::uint64_t seed) {
  rapt::Rng rng(seed);
  return rapt::Transformer<float>({.source_vocabulary = 40,
                                   .target_vocabulary = 40,
                                   .d_model = 32,
                                   .heads = 4,
                                   .d_ff = 48,
                                   .encoder_layers = 1,
                                   .decoder_layers = 1,
                                   .dropout = 0.f},
                                  rng);
}

rapt::Tensor<float> logits(const rapt::Transformer<float>& model) {
  return rapt::Tensor<float>(
      model(rapt::TokenBatch({{3, 4, 5, 6, 2}, {7, 8, 2}}), rapt::TokenBatch({{1, 9, 10}, {1, 11}})).value());
}

TEST(PackedWeight, AModelGivesTheSameNumbersAndForgetsOnRequest) {
  rapt::Transformer<float> model = small_model(1);
  const auto before = logits(model);
  const std::size_t in_use = rapt::memory_stats().in_use;
  rapt::pack_weights(model);
  expect_close(logits(model), before, 1e-5);
  EXPECT_TRUE(same_bits(logits(model), logits(model)));
  EXPECT_GT(rapt::memory_stats().in_use, in_use);
  rapt::pack_weights(model, false);
  EXPECT_EQ(rapt::memory_stats().in_use, in_use);
  EXPECT_TRUE(same_bits(logits(model), before));
}

TEST(PackedWeight, OnlyAParameterHasOne) {
  const Variable<float> input(random_tensor<float>(Shape{3, 8}, 2));
  EXPECT_EQ(input.node()->packed(), nullptr);
  EXPECT_FALSE(rapt::is_kept_packed(input));
  EXPECT_EQ(error_text<rapt::ValueError>([&] { std::ignore = rapt::packed_operand(input); }),
            "[packed_weight] only a parameter has a packed form: the shape is [3, 8]");
  const rapt::Parameter<float> weight(random_tensor<float>(Shape{3, 8}, 2));
  EXPECT_NE(weight.node()->packed(), nullptr);
  EXPECT_NE(rapt::Parameter<float>(weight).node()->packed(), weight.node()->packed());
}

TEST(PackedWeight, AChangedWeightIsPackedAnew) {
  rapt::Rng rng(1);
  rapt::Linear<float> layer(8, 32, rng), other(8, 32, rng);
  const Variable<float> x(random_tensor<float>(Shape{3, 8}, 2));
  rapt::pack_weights(layer);
  const auto expect_present_weight = [&](const char* what) {
    EXPECT_TRUE(close(layer(x).value(), rapt::Linear<float>(layer)(x).value(), 1e-5)) << what;  // a copy is not packed
  };
  expect_present_weight("at first");
  rapt::for_each_parameter(layer,
                           [](const std::string&, auto& parameter) { parameter.mutable_value().data()[0] += 1; });
  expect_present_weight("written to");
  layer = other;
  expect_present_weight("assigned to");
  rapt::Adam adam(layer);
  {
    const rapt::Recording recording;
    rapt::backward(rapt::sum(layer(x)));
  }
  adam.step(0.1);
  expect_present_weight("after a step");
  const rapt::Precision precision = rapt::precision();
  rapt::set_matrix_unit(rapt::MatrixUnit::portable);
  for (const auto lower : {rapt::Precision::high, rapt::Precision::medium, rapt::Precision::highest}) {
    rapt::set_precision(lower);
    expect_present_weight("in another precision");
  }
  rapt::set_precision(precision);
  rapt::set_matrix_unit(std::nullopt);
  for_every_simd_level([&] { expect_present_weight("at another instruction set"); });
}

TEST(PackedWeight, ServesManyThreads) {
  rapt::Transformer<float> model = small_model(3);
  rapt::pack_weights(model);
  std::vector<rapt::Tensor<float>> results(4);
  std::vector<std::thread> threads;
  for (auto& result : results) {
    threads.emplace_back([&model, &result] { result = logits(model); });
  }
  for (auto& thread : threads) thread.join();
  for (const auto& result : results) EXPECT_TRUE(same_bits(result, results.front()));
}

TEST(PackedWeight, ThreadsThatPackAtOnceKeepOneForm) {
  for (int repeat = 0; repeat < 20; ++repeat) {
    rapt::PackedWeight<float> packed;
    packed.keep(true);
    const auto weight = random_tensor<float>(Shape{64, 48}, 5);
    const std::size_t before = rapt::memory_stats().in_use;
    std::vector<const rapt::kernels::PackedOperand<float>*> seen(4);
    std::vector<std::thread> threads;
    for (auto& form : seen) threads.emplace_back([&] { form = &packed.of(weight); });
    for (auto& thread : threads) thread.join();
    for (const auto* form : seen) EXPECT_EQ(form, seen[0]);
    const std::size_t one_form = rapt::memory_stats().in_use - before;
    EXPECT_LE(one_form, 2 * 64 * 48 * sizeof(float));
    packed.drop();
    EXPECT_EQ(rapt::memory_stats().in_use, before);
  }
}

TEST(PackedWeight, KeepsAFormForEachPrecision) {
  const rapt::Precision precision = rapt::precision();
  rapt::set_matrix_unit(rapt::MatrixUnit::portable);
  rapt::PackedWeight<float> packed;
  packed.keep(true);
  const auto weight = random_tensor<float>(Shape{64, 48}, 5);
  const std::size_t before = rapt::memory_stats().in_use;
  std::vector<const rapt::kernels::PackedOperand<float>*> first, second;
  for (auto* forms : {&first, &second}) {
    for (const auto each : {rapt::Precision::highest, rapt::Precision::high, rapt::Precision::medium}) {
      rapt::set_precision(each);
      forms->push_back(&packed.of(weight));
    }
  }
  EXPECT_EQ(first, second);
  packed.keep(false);
  EXPECT_EQ(rapt::memory_stats().in_use, before);
  rapt::set_precision(precision);
  rapt::set_matrix_unit(std::nullopt);
}

/// A trained layer below a frozen one, and a frozen projection to a vocabulary above both.
struct FrozenAbove {
  rapt::Linear<float> trained, frozen, head;
  rapt::Activation activation;
  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& visitor) {
    visitor("trained", self.trained);
    visitor("frozen", self.frozen);
    visitor("head", self.head);
  }
  [[nodiscard]] Variable<float> loss(const Variable<float>& x, std::span<const rapt::TokenId> targets) const {
    const Variable<float> h = rapt::linear(trained(x), frozen.weight(), frozen.bias(), activation);
    const Variable<float> part =  // outputs that begin inside a panel
        rapt::linear(h, frozen.weight(), Variable<float>(), rapt::Activation::none, {.first = 5, .count = 43});
    return rapt::add(rapt::linear_cross_entropy<float>(h, head.weight(), head.bias(), targets),
                     rapt::mean_squared_error(part, rapt::Tensor<float>(part.shape(), 1.f)));
  }
};

// The gradients are those of a model whose frozen weights are the numbers that the packed ones hold.
TEST(PackedWeight, FrozenInPackedFormAloneItPassesGradients) {
  const HighestPrecision scope;
  using namespace rapt::kernels;
  const Variable<float> x(random_tensor<float>(Shape{30, 24}, 2));
  std::vector<rapt::TokenId> targets;
  for (rapt::TokenId i = 0; i < 30; ++i) targets.push_back(i * 7 % 40);
  const std::vector<std::pair<const char*, MatrixFormat>> formats{{"of the precision", nullptr},
                                                                  {"float16", store_float16},
                                                                  {"bfloat16", store_bfloat16},
                                                                  {"int8", store_int8},
                                                                  {"int4", store_int4}};
  for (const auto& [name_of_format, format] : formats) {
    SCOPED_TRACE(name_of_format);
    rapt::Rng rng(1);
    // Where x is rounded, a step of the activation's derivative would be a step of the gradient, too.
    const bool rounds_x = format == store_int8 || format == store_int4;
    FrozenAbove model{
        {24, 48, rng}, {48, 48, rng}, {48, 40, rng}, rounds_x ? rapt::Activation::gelu : rapt::Activation::relu};
    FrozenAbove same = model;
    rapt::freeze(same, "frozen.*");
    rapt::freeze(same, "head.weight");
    rapt::quantize_weights(model.frozen, format);
    rapt::quantize_weights(model.head, format);
    rapt::drop_unpacked_weights(model.frozen);
    rapt::drop_unpacked_weights(model.head);
    for (const auto& layers : {std::pair(&model.frozen, &same.frozen), std::pair(&model.head, &same.head)}) {
      rapt::for_each_parameter(*layers.second, [&](const std::string& name, auto& parameter) {
        if (name != "weight") return;
        const auto& packed = rapt::packed_operand(layers.first->weight());
        for (Index i = 0; i < parameter.rows(); ++i) packed.read_column(i, parameter.mutable_value().row(i));
      });
    }
    {
      const rapt::Recording recording;
      EXPECT_EQ(error_text<rapt::ValueError>([&] { std::ignore = model.loss(x, targets); }),
                "[linear] a weight of shape [48, 48] is kept in packed form alone: it cannot be trained");
    }
    rapt::freeze(model, "frozen.*");
    {
      const rapt::Recording recording;
      EXPECT_EQ(error_text<rapt::ValueError>([&] { std::ignore = model.loss(x, targets); }),
                "[linear_cross_entropy] a weight of shape [40, 48] is kept in packed form alone: it cannot be trained");
    }
    rapt::freeze(model, "head.weight");
    const double tolerance = rounds_x ? 0.03 : 1e-5;
    std::vector<rapt::Tensor<float>> gradients;
    for (FrozenAbove* each : {&model, &same}) {
      const rapt::Recording recording;
      const Variable<float> loss = each->loss(x, targets);
      rapt::backward(loss);
      rapt::for_each_parameter(*each, [&](const std::string& name, auto& parameter) {
        if (name.starts_with("trained") || name == "head.bias") gradients.push_back(parameter.grad());
      });
      gradients.push_back(rapt::Tensor<float>(loss.value()));
    }
    ASSERT_EQ(gradients.size(), 8u);
    for (std::size_t i = 0; i < 4; ++i) EXPECT_LE(relative_error(gradients[i], gradients[i + 4]), tolerance) << i;
  }
}

}  // namespace
