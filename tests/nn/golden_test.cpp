/// \file
/// Functions, attention, encoder and decoder layers against PyTorch: outputs, attention weights and every gradient, in
/// float and, where only the file's rounding remains, in double.
// covers: nn/decoder.hpp, nn/encoder.hpp, nn/layer_norm.hpp
#include <gtest/gtest.h>

#include <optional>

#include "rapt/autograd/ops/activation.hpp"
#include "rapt/autograd/ops/cross_entropy.hpp"
#include "rapt/autograd/ops/softmax.hpp"
#include "rapt/nn/decoder.hpp"
#include "rapt/nn/encoder.hpp"
#include "rapt/nn/positional_encoding.hpp"
#include "tests/common/golden.hpp"
#include "tests/common/settings.hpp"

namespace {

using rapt::Index;
using rapt::Variable;
using rapt_test::Golden;

constexpr Index kModel = 16, kHeads = 4, kInner = 32;

template <class T>
class GoldenLayers : public testing::Test {
 protected:
  void self_attention(const std::string& name, const rapt::AttentionMask<T>& mask, std::optional<Index> window = {}) {
    const Golden golden("attention", name);
    rapt::Rng rng(1);
    const bool bias = name != "no_bias";
    rapt::MultiHeadAttention<T> layer({.d_model = kModel,
                                       .heads = kHeads,
                                       .window = window,
                                       .query_bias = bias,
                                       .key_bias = bias,
                                       .value_bias = bias,
                                       .output_bias = bias},
                                      rng);
    golden.load(layer);
    const auto query = golden.leaf<T>("query");
    rapt::Tensor<T> weights;
    const rapt::Recording scope;
    const Variable<T> output = layer(query, golden.splits("row_splits"), mask, {.weights = &weights});
    golden.expect_output("output", output.value());
    golden.expect_output("weights", weights);
    EXPECT_EQ(weights.shape(), golden.tensor<T>("weights").shape());
    golden.backward(output);
    golden.expect_gradient("query", query);
    golden.expect_gradients(layer);
  }

  rapt::BlockOptions layer_options(const std::string& name) {
    return {.attention = {.d_model = kModel, .heads = kHeads},
            .d_ff = kInner,
            .activation = name.find("gelu") != std::string::npos ? rapt::Activation::gelu : rapt::Activation::relu,
            .norm = name.rfind("pre", 0) == 0 ? rapt::NormPlacement::pre : rapt::NormPlacement::post,
            .dropout = 0.f};
  }

  template <class F>
  void function(const std::string& name, const std::string& input, const F& f,
                double tolerance = rapt_test::kOutputTolerance<T>) {
    const Golden golden("ops", name);
    const auto x = golden.leaf<T>(input);
    const rapt::Recording scope;
    const Variable<T> output = f(golden, x);
    golden.expect("output", output.value(), tolerance);
    golden.backward(output);
    golden.expect_gradient(input, x);
  }
};
using Scalars = testing::Types<float, double>;
TYPED_TEST_SUITE(GoldenLayers, Scalars);

TYPED_TEST(GoldenLayers, AttentionWithoutMask) {
  this->self_attention("self", {});
  this->self_attention("no_bias", {});
}
TYPED_TEST(GoldenLayers, AttentionCausalAndWindow) {
  this->self_attention("causal", {.causal = true});
  this->self_attention("window", {}, 2);
  this->self_attention("causal_window", {.causal = true}, 2);
}
TYPED_TEST(GoldenLayers, AttentionBooleanMask) {
  const auto mask = Golden("attention", "boolean_mask").booleans("mask");
  this->self_attention("boolean_mask", {.mask = mask});
}
TYPED_TEST(GoldenLayers, AttentionAdditiveMask) {
  for (const char* name : {"additive_mask", "additive_mask_per_head"}) {
    const auto mask = Golden("attention", name).template tensor<TypeParam>("mask");
    this->self_attention(name, {.additive_mask = mask});
  }
}
TYPED_TEST(GoldenLayers, AttentionDenseWithKeyPadding) {
  const auto padding = Golden("attention", "dense_key_padding").booleans("key_padding_mask");
  this->self_attention("dense_key_padding", {.key_padding_mask = padding});
}

TYPED_TEST(GoldenLayers, AttentionToAMemory) {
  for (const std::string name : {"cross", "cross_value"}) {
    const Golden golden("attention", name);
    rapt::Rng rng(1);
    rapt::MultiHeadAttention<TypeParam> layer({.d_model = kModel, .heads = kHeads}, rng);
    golden.load(layer);
    const bool one = name == "cross";
    const auto query = golden.leaf<TypeParam>("query"), key = golden.leaf<TypeParam>(one ? "memory" : "key");
    const auto value = one ? key : golden.leaf<TypeParam>("value");
    const auto splits = golden.splits("row_splits"), memory_splits = golden.splits("memory_splits");
    rapt::Tensor<TypeParam> weights;
    const rapt::Recording scope;
    const auto output = one ? layer(query, splits, key, memory_splits, {}, {.weights = &weights})
                            : layer(query, splits, key, value, memory_splits, {}, {.weights = &weights});
    golden.expect_output("output", output.value());
    golden.expect_output("weights", weights);
    golden.backward(output);
    golden.expect_gradient("query", query);
    golden.expect_gradient(one ? "memory" : "key", key);
    if (!one) golden.expect_gradient("value", value);
    golden.expect_gradients(layer);
  }
}

/// `memory` is a key and a value of its own as well: the general form must say the same.
TYPED_TEST(GoldenLayers, AttentionInItsGeneralForm) {
  const Golden golden("attention", "cross");
  rapt::Rng rng(1);
  rapt::MultiHeadAttention<TypeParam> layer({.d_model = kModel, .heads = kHeads}, rng);
  golden.load(layer);
  const auto query = golden.leaf<TypeParam>("query"), memory = golden.leaf<TypeParam>("memory");
  const rapt::Recording scope;
  const auto output = layer(query, golden.splits("row_splits"), memory, memory, golden.splits("memory_splits"));
  golden.expect_output("output", output.value());
  golden.backward(output);
  golden.expect_gradient("memory", memory);
  golden.expect_gradients(layer);
}

TYPED_TEST(GoldenLayers, EncoderLayer) {
  for (const std::string name : {"post_relu", "post_gelu", "pre_relu", "pre_gelu", "pre_gelu_causal"}) {
    const Golden golden("encoder_layer", name);
    rapt::Rng rng(1);
    rapt::EncoderLayer<TypeParam> layer(this->layer_options(name), rng);
    golden.load(layer);
    const auto source = golden.leaf<TypeParam>("source");
    const rapt::Recording scope;
    const auto output = layer(source, golden.splits("row_splits"), {.mask = {.causal = name == "pre_gelu_causal"}});
    golden.expect_output("output", output.value());
    golden.backward(output);
    golden.expect_gradient("source", source);
    golden.expect_gradients(layer);
  }
}

TYPED_TEST(GoldenLayers, DecoderLayer) {
  for (const std::string name : {"post_relu", "post_gelu", "pre_relu", "pre_gelu"}) {
    const Golden golden("decoder_layer", name);
    rapt::Rng rng(1);
    rapt::DecoderLayer<TypeParam> layer(this->layer_options(name), rng);
    golden.load(layer);
    const auto target = golden.leaf<TypeParam>("target"), memory = golden.leaf<TypeParam>("memory");
    const rapt::Recording scope;
    const auto output = layer(target, golden.splits("row_splits"), memory, golden.splits("memory_splits"));
    golden.expect_output("output", output.value());
    golden.backward(output);
    golden.expect_gradient("target", target);
    golden.expect_gradient("memory", memory);
    golden.expect_gradients(layer);
  }
}

/// Self-attention sees everything where the caller says so, as torch.nn.TransformerDecoder without a mask.
TYPED_TEST(GoldenLayers, DecoderWithoutAMask) {
  const rapt_test::HighestPrecision highest;  // lower ones turn the sign of numbers before ReLU in whole stacks
  for (const std::string name : {"decoder", "decoder_memory_causal"}) {
    const Golden golden("attention_options", name);
    rapt::Rng rng(1);
    const std::string layers = name == "decoder" ? "post_relu" : "pre_gelu";
    rapt::Decoder<TypeParam> decoder(2, this->layer_options(layers), /*final_norm=*/true, rng);
    golden.load(decoder);
    const auto target = golden.leaf<TypeParam>("target"), memory = golden.leaf<TypeParam>("memory");
    const auto splits = golden.splits("row_splits"), memory_splits = golden.splits("memory_splits");
    rapt::AttentionMask<TypeParam> memory_mask;
    if (name == "decoder_memory_causal") {
      memory_mask.causal = true;
      memory_mask.alignment = rapt::MaskAlignment::first_key;
    }
    const rapt::Recording scope;
    const auto output =
        decoder(target, splits, memory, memory_splits, {.mask = {.causal = false}, .cross_mask = memory_mask});
    golden.expect_output("output", output.value());
    golden.backward(output);
    golden.expect_gradient("target", target);
    golden.expect_gradient("memory", memory);
    golden.expect_gradients(decoder);

    // Unless the caller says so it is causal, beside other masks as well.
    const auto usual = decoder(target, splits, memory, memory_splits, {.cross_mask = memory_mask}).value();
    EXPECT_GT(rapt_test::relative_error(usual, output.value()), 1e-3);
    const auto causal =
        decoder(target, splits, memory, memory_splits, {.mask = {.causal = true}, .cross_mask = memory_mask}).value();
    EXPECT_EQ(rapt_test::relative_error(usual, causal), 0.0);
    const rapt::Tensor<bool> none(rapt::Shape{splits.longest(), splits.longest()}, false);
    const auto masked =
        decoder(target, splits, memory, memory_splits, {.mask = {.mask = none}, .cross_mask = memory_mask}).value();
    EXPECT_EQ(rapt_test::relative_error(masked, causal), 0.0);
  }
}

TYPED_TEST(GoldenLayers, Activations) {
  this->function("gelu_erf", "x", [](const Golden&, const auto& x) { return rapt::gelu(x); });
  this->function("gelu_tanh", "x",
                 [](const Golden&, const auto& x) { return rapt::activate(x, rapt::Activation::gelu_tanh); });
}
TYPED_TEST(GoldenLayers, Softmax) {
  this->function("softmax", "x", [](const Golden&, const auto& x) { return rapt::softmax(x); });
}

TYPED_TEST(GoldenLayers, LayerNorm) {
  for (const std::string name : {"layer_norm", "layer_norm_large", "layer_norm_offset", "layer_norm_tiny"}) {
    rapt::LayerNorm<TypeParam> layer(kModel, 1e-5);
    // Around 1000 a float's mean is off by up to 3e-5 of the deviation, and all outputs with it.
    const bool offset = name == "layer_norm_offset" && sizeof(TypeParam) == 4;
    this->function(
        name, "x",
        [&](const Golden& golden, const auto& x) {
          golden.load(layer);
          return layer(x);
        },
        offset ? 3e-5 : rapt_test::kOutputTolerance<TypeParam>);
    Golden("ops", name).expect_gradients(layer);
  }
}

TYPED_TEST(GoldenLayers, CrossEntropy) {
  for (const std::string name :
       {"cross_entropy", "cross_entropy_smoothed", "cross_entropy_large", "cross_entropy_large_smoothed"}) {
    const float smoothing = name.find("smoothed") != std::string::npos ? 0.1f : 0.f;
    this->function(name, "logits", [&](const Golden& golden, const auto& logits) {
      return rapt::cross_entropy(logits, golden.ids("targets"), {.label_smoothing = smoothing});
    });
  }
}

TYPED_TEST(GoldenLayers, PositionalEncoding) {
  Golden("ops", "positional_encoding")
      .expect_output("output", rapt::SinusoidalPositionalEncoding<TypeParam>::table(12, kModel));
}

/// A test against golden files must be able to fail.
TEST(GoldenFiles, ASmallErrorIsNoticed) {
  const Golden golden("ops", "softmax");
  auto output = golden.tensor<float>("output");
  EXPECT_EQ(rapt_test::relative_error(output, golden.tensor<float>("output")), 0.0);
  output.data()[5] += 3e-5f;
  EXPECT_GT(rapt_test::relative_error(output, golden.tensor<float>("output")), rapt_test::kOutputTolerance<float>);
  output.data()[5] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_GT(rapt_test::relative_error(output, golden.tensor<float>("output")), 1.0);
}

}  // namespace
