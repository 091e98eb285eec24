/// \file
/// The training of an adapter as a job: resumed, it goes on bit for bit, and so does one that recomputes activations.
#include <gtest/gtest.h>

#include <cstddef>
#include <cstdio>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "rapt/data/windows.hpp"
#include "rapt/nn/embedding.hpp"
#include "rapt/nn/lora.hpp"
#include "rapt/nn/stack.hpp"
#include "rapt/nn/with_lora.hpp"
#include "rapt/train/job.hpp"
#include "tests/common/expect_close.hpp"
#include "tests/common/temporary_folder.hpp"

namespace {

using rapt::Index;
using rapt::Parameter;
using rapt::Rng;
using rapt::Tensor;
using rapt::Variable;

/// A causal model of two blocks with dropout and a head.
struct AdaptedModel {
  using ScalarType = float;

  explicit AdaptedModel(Rng& rng)
      : embedding(5, 8, rng),
        stack(2, {.attention = {.d_model = 8, .heads = 2, .dropout = 0.2f}, .d_ff = 16, .dropout = 0.2f}, true, rng),
        output(8, 5, rng) {}

  [[nodiscard]] Variable<float> loss(const rapt::LanguageBatch& batch) const {
    const Variable<float> h = stack(embedding(batch.input.tokens), batch.input.row_splits, {.mask = {.causal = true}});
    return rapt::cross_entropy<float>(output(h), batch.targets);
  }
  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& visitor) {
    visitor("embedding", self.embedding);
    visitor("stack", self.stack);
    visitor("output", self.output);
  }

  rapt::Embedding<float> embedding;
  rapt::Stack<float> stack;
  rapt::Linear<float> output;
};

/// The parameters of the adapter and the head after so many steps in the folder.
std::vector<Tensor<float>> adapted_after(Index steps, const std::filesystem::path& folder, bool resume,
                                         bool recompute) {
  Rng rng(1);
  AdaptedModel model(rng);
  rapt::Lora<float> lora(model, rapt::lora_targets(model, {"stack.*"}), {.rank = 2, .dropout = 0.1f}, rng);
  rapt::WithLora adapted(model, lora, {"output.*"});
  std::vector<rapt::TokenId> text;
  for (int i = 0; i < 200; ++i) text.push_back(static_cast<rapt::TokenId>((i * i + i / 7) % 5));
  auto source = rapt::random_window_batches(text, {.windows = 3, .length = 6});
  rapt::TrainingJob job(
      {.folder = folder, .resume = resume, .checkpoint_every = 3, .choose_best = false, .messages = std::tmpfile()});
  rapt::Trainer trainer(adapted, {.learning_rate = [](Index) { return 1e-2; }, .recompute = recompute});
  job.run(trainer, source, {.steps = steps});
  std::vector<Tensor<float>> values;
  rapt::for_each_parameter(adapted,
                           [&](const std::string&, const Parameter<float>& p) { values.push_back(p.value()); });
  return values;
}

TEST(AdapterJob, GoesOnBitForBitWithAndWithoutRecomputation) {
  const rapt_test::TemporaryFolder whole, halves, recomputed;
  const auto wanted = adapted_after(6, whole.path() / "run", false, false);
  const auto half = adapted_after(3, halves.path() / "run", false, false);
  const auto resumed = adapted_after(6, halves.path() / "run", true, false);
  const auto again = adapted_after(6, recomputed.path() / "run", false, true);
  ASSERT_EQ(wanted.size(), resumed.size());
  EXPECT_EQ(wanted.size(), 2u * 8u + 2u);  // A and B of four maps in two blocks, the head's weight and bias
  std::size_t moved = 0;
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    EXPECT_TRUE(rapt_test::same_bits(wanted[i], resumed[i])) << i;
    EXPECT_TRUE(rapt_test::same_bits(wanted[i], again[i])) << i;
    moved += rapt_test::same_bits(wanted[i], half[i]) ? 0 : 1;
  }
  EXPECT_EQ(moved, wanted.size());
}

}  // namespace
