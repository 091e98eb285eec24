/// \file
/// Whole models against PyTorch: logits, loss and the gradient of every parameter.
#include <gtest/gtest.h>

#include "rapt/models/transformer.hpp"
#include "tests/common/golden.hpp"

namespace {

using rapt_test::Golden;

rapt::TransformerConfig config_of(const std::string& name) {
  const bool shared = name == "post_shared";
  return {.source_vocabulary = 23,
          .target_vocabulary = shared ? 23 : 19,
          .d_model = 16,
          .heads = 4,
          .d_ff = 32,
          .encoder_layers = 2,
          .decoder_layers = 2,
          .dropout = 0.f,
          .activation = shared ? rapt::Activation::relu : rapt::Activation::gelu,
          .norm = shared ? rapt::NormPlacement::post : rapt::NormPlacement::pre,
          .final_norm = true,
          .tie_embeddings = shared,
          .output_bias = !shared};
}

rapt::TranslationBatch batch_of(const Golden& golden) {
  return {.source = golden.batch("source", "source_splits"),
          .target_input = golden.batch("target_input", "target_splits"),
          .target_output = golden.ids("target_output")};
}

template <class T>
class GoldenTransformer : public testing::Test {};
using Scalars = testing::Types<float, double>;
TYPED_TEST_SUITE(GoldenTransformer, Scalars);

TYPED_TEST(GoldenTransformer, LogitsLossAndGradients) {
  for (const std::string name : {"post_shared", "pre_separate"}) {
    const Golden golden("transformer", name);
    rapt::Rng rng(1);
    rapt::Transformer<TypeParam> model(config_of(name), rng);
    golden.load(model);
    const auto batch = batch_of(golden);
    golden.expect_output("logits", model(batch.source, batch.target_input).value());

    const rapt::CrossEntropyOptions options{.label_smoothing = 0.1f};
    const rapt::Recording scope;
    const auto fused = model.loss(batch, options);  // output projection and loss together
    golden.expect_output("loss", fused.value());
    rapt::backward(fused);
    golden.expect_gradients(model);

    rapt::clear_gradients(model);
    const auto logits = model(batch.source, batch.target_input);
    const auto separate = rapt::cross_entropy(logits, batch.target_output, options);
    golden.expect_output("loss", separate.value());
    rapt::backward(separate);
    golden.expect_gradients(model);
  }
}

TYPED_TEST(GoldenTransformer, GradientOfLogits) {
  for (const std::string name : {"post_shared", "pre_separate"}) {
    const Golden golden("transformer", name);
    const auto logits = golden.leaf<TypeParam>("logits");
    const rapt::Recording scope;
    rapt::backward(rapt::cross_entropy(logits, golden.ids("target_output"), {.label_smoothing = 0.1f}));
    golden.expect_gradient("logits", logits);
  }
}

}  // namespace
