/// \file
/// Small models of Llama's shape against transformers: logits, loss, the gradient of every parameter, and the
/// frequencies of rotary positions (tests/golden/make_llama.py). Settings and weights are put together here, so that
/// GLM takes part, which keeps both in another way.
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "rapt/pretrained/llama.hpp"
#include "tests/common/golden.hpp"

namespace {

using rapt::Index;
using rapt::Shape;
using rapt::Tensor;
using rapt_test::Golden;
using Json = nlohmann::json;

const Json& info() {
  static const Json json = Json::parse(
      rapt::SafetensorsFile(std::string(RAPT_GOLDEN_DIR) + "/llama.safetensors").metadata().find("info")->second);
  return json;
}

rapt::RotaryOptions rotary_of(const Json& config) {
  const Json& rope = config["rope_parameters"];
  rapt::RotaryOptions options{.theta = rope["rope_theta"], .max_positions = config["max_position_embeddings"]};
  const std::string kind = rope["rope_type"];
  for (const auto scaling : {rapt::RotaryScaling::linear, rapt::RotaryScaling::dynamic, rapt::RotaryScaling::llama3,
                             rapt::RotaryScaling::yarn}) {
    if (kind == to_string(scaling)) options.scaling = scaling;
  }
  EXPECT_EQ(kind == "default", options.scaling == rapt::RotaryScaling::none);
  options.rotated_ratio = rope.value("partial_rotary_factor", 1.0);
  options.factor = rope.value("factor", 1.0);
  options.original_positions = rope.value("original_max_position_embeddings", Index{0});
  options.low_factor = rope.value("low_freq_factor", options.low_factor);
  options.high_factor = rope.value("high_freq_factor", options.high_factor);
  options.beta_slow = rope.value("beta_slow", options.beta_slow);
  options.beta_fast = rope.value("beta_fast", options.beta_fast);
  options.truncate = rope.value("truncate", true);
  if (rope.contains("attention_factor")) options.attention_factor = rope["attention_factor"].get<double>();
  options.mscale = rope.value("mscale", 0.0);
  options.mscale_all = rope.value("mscale_all_dim", 0.0);
  return options;
}

rapt::LlamaConfig config_of(const Json& json) {
  const std::string kind = json["model_type"];
  rapt::LlamaConfig config{.vocabulary = json["vocab_size"],
                           .d_model = json["hidden_size"],
                           .layers = json["num_hidden_layers"],
                           .heads = json["num_attention_heads"],
                           .key_value_heads = json["num_key_value_heads"].get<Index>(),
                           .head_dim = json["head_dim"].get<Index>(),
                           .d_ff = json["intermediate_size"],
                           .rotary = rotary_of(json),
                           .norm_epsilon = json["rms_norm_eps"],
                           .tie_embeddings = json["tie_word_embeddings"],
                           .mlp_bias = json.value("mlp_bias", false)};
  if (json.value("hidden_act", "silu") == "gelu") config.activation = rapt::Activation::gelu;
  config.attention_output_bias = kind == "llama" && json["attention_bias"];
  config.attention_bias = config.attention_output_bias || kind == "qwen2" || kind == "glm";
  if (kind == "glm") config.rotary.layout = rapt::RotaryLayout::interleaved;
  if (kind == "mistral") config.window = json["sliding_window"].get<Index>() - 1;
  return config;
}

/// A parameter as the file has it in parts, under "param/" or "grad/param/".
template <class T>
Tensor<T> stored(const Golden& golden, const rapt::LlamaConfig& config, const std::string& prefix,
                 const std::string& name, const Shape& shape) {
  const Index rows = shape.rank() == 1 ? shape.cols() : shape.rows(), cols = shape.rank() == 1 ? 1 : shape.cols();
  if (golden.contains(prefix + "model." + name)) return golden.tensor<T>(prefix + "model." + name);  // in one piece
  Tensor<T> whole(shape);
  for (const auto& part : stored_parts(rapt::PretrainedFormat<rapt::LlamaConfig>::stored_names(config), name, rows)) {
    const auto tensor = golden.tensor<T>(prefix + part.name);
    EXPECT_EQ(tensor.size(), part.rows * cols) << part.name;
    std::copy_n(tensor.data(), tensor.size(), whole.data() + part.first_row * cols);
  }
  return whole;
}

template <class T>
class GoldenLlama : public testing::Test {};
using Scalars = testing::Types<float, double>;
TYPED_TEST_SUITE(GoldenLlama, Scalars);

TYPED_TEST(GoldenLlama, LogitsLossAndGradients) {
  using T = TypeParam;
  ASSERT_GE(info()["cases"].size(), 10u);
  for (const auto& [name, json] : info()["cases"].items()) {
    const testing::ScopedTrace trace(__FILE__, __LINE__, name);
    const Golden golden("llama", name);
    const rapt::LlamaConfig config = config_of(json);
    rapt::Rng rng(1);
    rapt::Llama<T> model(config, rng);
    rapt::for_each_parameter(model, [&](const std::string& parameter, auto& p) {
      p.mutable_value() = stored<T>(golden, config, "param/", parameter, p.shape());
    });

    const rapt::TokenBatch batch = golden.batch("ids", "row_splits");
    golden.expect("logits", model(batch).value(), 1e-5);
    const rapt::Recording scope;
    const auto loss = model.loss({batch, golden.ids("targets"), golden.ids("rows")});
    golden.expect("loss", loss.value(), 1e-5);
    rapt::backward(loss);
    rapt::for_each_parameter(model, [&](const std::string& parameter, const auto& p) {
      const auto expected = stored<T>(golden, config, "grad/param/", parameter, p.shape());
      EXPECT_LE(rapt_test::relative_error(p.grad(), expected), rapt_test::allowed<T>(1e-4, 5)) << parameter;
    });
  }
}

TEST(RotaryGolden, FrequenciesOfEveryScaling) {
  const Json cases = Json::parse(std::ifstream(RAPT_GOLDEN_DIR "/rotary.json"));
  ASSERT_GE(cases.size(), 10u);
  for (const auto& [name, json] : cases.items()) {
    const rapt::RotaryOptions options = rotary_of(json);
    const auto expected = json["frequencies"].get<std::vector<double>>();
    const auto ours = rotary_frequencies(options, options.rotated(json["head_dim"]), json["length"]);
    ASSERT_EQ(ours.size(), expected.size()) << name;
    for (std::size_t i = 0; i < ours.size(); ++i) EXPECT_NEAR(ours[i] / expected[i], 1, 2e-6) << name << i;
    EXPECT_NEAR(rapt::rotary_magnitude(options), json["magnitude"].get<double>(), 1e-6) << name;
  }
}

}  // namespace
