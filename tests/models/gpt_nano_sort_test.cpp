/// \file
/// Weights that others trained, with every activation of one forward pass that others published: a GPT of three layers
/// that sorts six digits (bbycroft/llm-viz). Where the folder is absent, the tests are skipped.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <map>

#include "rapt/autograd/ops/activation.hpp"
#include "rapt/autograd/ops/softmax.hpp"
#include "rapt/generation/greedy.hpp"
#include "rapt/io/safetensors.hpp"
#include "rapt/pretrained/gpt.hpp"
#include "tests/common/sequence_marks.hpp"
#include "tests/common/settings.hpp"

namespace {

namespace fs = std::filesystem;
using rapt::Index;
using rapt::Shape;
using rapt::Tensor;
using rapt::TokenBatch;
using rapt::TokenId;
using rapt::Variable;

constexpr Index kDigits = 6, kLength = 11, kModel = 48, kHeads = 3, kHead = kModel / kHeads;

class GptNanoSort : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::path(RAPT_DATA_DIR) / "weights" / "gpt-nano-sort";
    if (!fs::exists(folder_)) GTEST_SKIP() << "no real weights: " << folder_ << " is absent (set RAPT_DATA_DIR)";
  }

  [[nodiscard]] rapt::Gpt<float> model() {
    rapt::Rng rng(1);
    const rapt::GptConfig config{.vocabulary = 3,
                                 .positions = kLength,
                                 .d_model = kModel,
                                 .layers = 3,
                                 .heads = kHeads,
                                 .tie_embeddings = false};
    rapt::Gpt<float> model(config, rng);
    const rapt::SafetensorsFile file(folder_ / "model.safetensors");
    std::size_t used = 0;
    rapt::for_each_parameter(model, [&](const std::string& name, auto& parameter) {
      const auto parts =
          stored_parts(rapt::PretrainedFormat<rapt::GptConfig>::stored_names(config), name, parameter.rows());
      ASSERT_EQ(parts.size(), 1u) << name;
      file.read_into(parts.front().name, parameter.mutable_value());  // [out, in] here, unlike in Hugging Face's files
      parameters_.emplace(name, parameter);
      ++used;
    });
    for (const std::string& name : file.names())
      used += rapt::PretrainedFormat<rapt::GptConfig>::is_surplus(config, name) ? 1 : 0;
    EXPECT_EQ(used, file.names().size());  // each tensor of the file once
    return model;
  }

  /// Compares with an activation of the file, which may lie in memory by head: [sequence, head, position, channel].
  void expect(const rapt::SafetensorsFile& partials, const std::string& name, const Tensor<float>& ours) {
    const auto published = partials.read<float>(name);
    ASSERT_EQ(ours.size(), published.size()) << name;
    for (Index i = 0; i < ours.size(); ++i) {
      const float expected = published.data()[i], value = ours.data()[i];
      if (std::isinf(expected)) {
        EXPECT_EQ(value, expected) << name;
      } else {
        EXPECT_NEAR(value, expected, 1e-5 * std::max(1.f, std::abs(expected))) << name << " at " << i;
      }
    }
    ++compared_;
  }

  fs::path folder_;
  std::map<std::string, Variable<float>> parameters_;
  std::size_t compared_ = 0;
};

/// Columns of [B * L, 3 D] or [B * L, D] from `first` on, by head   // [B, H, L, D / H]
Tensor<float> by_head(const Tensor<float>& rows, Index first) {
  const Index sequences = rows.rows() / kLength;
  Tensor<float> heads(Shape{sequences * kHeads * kLength, kHead});
  for (Index b = 0; b < sequences; ++b) {
    for (Index h = 0; h < kHeads; ++h) {
      for (Index t = 0; t < kLength; ++t) {
        std::copy_n(rows.row(b * kLength + t) + first + h * kHead, kHead, heads.row((b * kHeads + h) * kLength + t));
      }
    }
  }
  return heads;
}

TEST_F(GptNanoSort, EveryPublishedActivation) {
  const rapt_test::HighestPrecision scope;
  const rapt::Gpt<float> gpt = model();
  const rapt::SafetensorsFile partials(folder_ / "partials.safetensors");
  const auto numbers = partials.read<float>("idx");
  TokenBatch batch;
  batch.tokens.assign(numbers.data(), numbers.data() + numbers.size());
  batch.row_splits = rapt::RowSplits::equal(numbers.size() / kLength, kLength);
  const Index sequences = batch.sequences();
  ++compared_;  // the ids themselves

  const auto of = [&](const std::string& name) { return parameters_.at(name); };
  const auto in_layer = [&](const std::string& name) { return parameters_.at("layers.0." + name); };
  expect(partials, "tok_emb", rapt::gather_rows<float>(of("embedding.weight"), batch.tokens).value());
  expect(partials, "pos_emb", of("positions.weight").value());
  const Variable<float> x = rapt::gather_rows<float>(of("embedding.weight"), batch.tokens);
  Tensor<float> sum = x.value();
  for (Index i = 0; i < sum.rows(); ++i) {
    for (Index d = 0; d < kModel; ++d) sum(i, d) += of("positions.weight").value()(i % kLength, d);
  }
  const Variable<float> embedded(sum);
  expect(partials, "x", embedded.value());

  // The first layer, step by step, from the model's parameters and the library's functions.
  const Variable<float> ln1 =
      rapt::layer_norm<float>(embedded, in_layer("norm1.weight"), in_layer("norm1.bias"), 1e-5f);
  expect(partials, "ln1", ln1.value());
  const Variable<float> qkv =
      rapt::linear<float>(ln1, in_layer("self_attn.in_proj_weight"), in_layer("self_attn.in_proj_bias"));
  expect(partials, "qkv", qkv.value());
  const Tensor<float> q = by_head(qkv.value(), 0), k = by_head(qkv.value(), kModel),
                      v = by_head(qkv.value(), 2 * kModel);
  expect(partials, "q", q);
  expect(partials, "k", k);
  expect(partials, "v", v);
  Tensor<float> scores(Shape{sequences * kHeads * kLength, kLength}), heads(Shape{sequences * kHeads * kLength, kHead});
  for (Index i = 0; i < sequences * kHeads; ++i) {  // softmax(q k^T / sqrt(d_k)) v
    const auto rows = [&](const Tensor<float>& m) { return m.view().middle_rows(i * kLength, kLength); };
    rapt::kernels::gemm(rapt::kernels::as_is(rows(q)), rapt::kernels::transposed(rows(k)),
                        scores.view().middle_rows(i * kLength, kLength));
  }
  for (Index i = 0; i < scores.rows(); ++i) {
    for (Index j = 0; j < kLength; ++j) {
      scores(i, j) = j > i % kLength ? -std::numeric_limits<float>::infinity() : scores(i, j) / 4;  // sqrt(16)
    }
  }
  expect(partials, "att", scores);
  const Tensor<float> probabilities = rapt::softmax(Variable<float>(scores)).value();
  expect(partials, "attSm", probabilities);
  for (Index i = 0; i < sequences * kHeads; ++i) {
    const auto rows = [&](const Tensor<float>& m) { return m.view().middle_rows(i * kLength, kLength); };
    rapt::kernels::gemm(rapt::kernels::as_is(rows(probabilities)), rapt::kernels::as_is(rows(v)),
                        heads.view().middle_rows(i * kLength, kLength));
  }
  Tensor<float> y(Shape{sequences * kLength, kModel});
  for (Index i = 0; i < y.rows(); ++i) {
    for (Index h = 0; h < kHeads; ++h) {
      const Index row = (i / kLength * kHeads + h) * kLength + i % kLength;
      std::copy_n(heads.row(row), kHead, y.row(i) + h * kHead);
    }
  }
  expect(partials, "y", y);
  const Variable<float> projected = rapt::linear<float>(Variable<float>(y), in_layer("self_attn.out_proj.weight"),
                                                        in_layer("self_attn.out_proj.bias"));
  expect(partials, "yProj", projected.value());
  const Variable<float> residual = add(embedded, projected);
  expect(partials, "attnResid", residual.value());
  const Variable<float> ln2 =
      rapt::layer_norm<float>(residual, in_layer("norm2.weight"), in_layer("norm2.bias"), 1e-5f);
  expect(partials, "ln2", ln2.value());
  const Variable<float> wide = rapt::linear<float>(ln2, in_layer("linear1.weight"), in_layer("linear1.bias"));
  expect(partials, "fc", wide.value());
  const Variable<float> gelu = rapt::activate(wide, rapt::Activation::gelu_tanh);
  expect(partials, "gelu", gelu.value());
  const Variable<float> narrow = rapt::linear<float>(gelu, in_layer("linear2.weight"), in_layer("linear2.bias"));
  expect(partials, "mlp", narrow.value());
  expect(partials, "mlpResid", add(residual, narrow).value());

  // The model as it runs: its layers, the attention probabilities that it returns, and its outputs.
  Variable<float> state = embedded;
  rapt::Gpt<float>::visit(gpt, [&](std::string_view, const auto& member) {
    if constexpr (std::is_same_v<std::remove_cvref_t<decltype(member)>, std::vector<rapt::EncoderLayer<float>>>) {
      for (std::size_t i = 0; i < member.size(); ++i) {
        state = member[i](state, batch.row_splits, {.mask = {.causal = true}});
        expect(partials, "block" + std::to_string(i), state.value());
      }
    }
  });
  std::vector<Tensor<float>> weights(3);
  const Variable<float> last = gpt.hidden(batch, weights);
  expect(partials, "ln_f", last.value());
  const Variable<float> logits = gpt.logits(last);
  expect(partials, "lm_head", logits.value());
  expect(partials, "probs", rapt::softmax(logits).value());
  expect(partials, "attSm", weights.front());
  EXPECT_EQ(compared_, partials.names().size() + 1);  // all, and one of them twice
}

TEST_F(GptNanoSort, SortsEveryInput) {
  const rapt::Gpt<float> gpt = model();
  TokenBatch inputs;
  for (int number = 0; number < 729; ++number) {  // 3^6
    std::vector<TokenId> digits;
    for (int rest = number, i = 0; i < kDigits; ++i, rest /= 3) digits.push_back(rest % 3);
    inputs.push_back(digits);
  }
  const auto found = rapt::greedy_search(gpt, inputs, {.extra_length = kDigits}, rapt_test::endless(gpt));
  int sorted = 0;
  for (Index i = 0; i < inputs.sequences(); ++i) {
    std::vector<TokenId> expected(inputs.sequence(i).begin(), inputs.sequence(i).end());
    std::sort(expected.begin(), expected.end());
    sorted += found[static_cast<std::size_t>(i)].tokens == expected ? 1 : 0;
  }
  EXPECT_EQ(sorted, 729);
}

}  // namespace
