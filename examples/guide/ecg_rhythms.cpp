// Tells rhythms of the heart apart: a Transformer encoder that reads samples of a curve in place of tokens.
#include <algorithm>
#include <cstdio>
#include <rapt/rapt.hpp>

#include "ecg_rhythms/rhythms.hpp"

class RhythmClassifier {
 public:
  using ScalarType = float;
  RhythmClassifier(const rapt::BlockOptions& block, rapt::Rng& rng)
      : patches_(kPatch, block.attention.d_model, rng),
        output_(block.attention.d_model, std::ssize(kRhythms), rng),
        blocks_(/*blocks=*/2, block, /*final_norm=*/true, rng) {}

  /// Scores of the rhythms before softmax   // [B, rhythms]
  rapt::Variable<float> operator()(const RhythmBatch& batch) const {
    const auto x = patches_(rapt::Variable(batch.values));  // [N, D]
    return output_(rapt::mean_rows(blocks_(x, batch.splits), batch.splits));
  }
  rapt::Variable<float> loss(const RhythmBatch& batch) const {
    return rapt::cross_entropy((*this)(batch), std::span<const std::int32_t>(batch.labels));
  }
  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& visitor) {
    visitor("patches", self.patches_);
    visitor("blocks", self.blocks_);
    visitor("output", self.output_);
  }

 private:
  rapt::Linear<float> patches_, output_;
  rapt::Stack<float> blocks_;
};

int main() {
  rapt::Rng rng(1), rng_of_unseen(2);
  rapt::BlockOptions block{.d_ff = 96, .norm = rapt::NormPlacement::pre, .dropout = 0};
  block.attention = {.d_model = 48, .heads = 4, .positions = rapt::RotaryOptions{.theta = 100}};
  RhythmClassifier model(block, rng);
  rapt::RandomBatches<RhythmBatch> batches([](rapt::Rng& random) { return rhythms(32, random); },
                                           /*batches_per_epoch=*/800, {.streams = 1 << 16});
  rapt::Trainer trainer(model, {.learning_rate = rapt::CosineSchedule{.peak = 3e-3, .warmup = 50, .steps = 800}});
  const auto no_validation = [] { return 0.0; };
  trainer.run(batches, {.epochs = 1}, no_validation, [](const rapt::Progress&) {});

  const RhythmBatch unseen = rhythms(300, rng_of_unseen);
  const auto scores = model(unseen).value();
  std::array<double, kRhythms.size()> count{}, right{};
  for (rapt::Index i = 0; i < scores.rows(); ++i) {
    const auto label = rapt::to_size(rapt::at(unseen.labels, i));
    const float* const row = scores.row(i);
    ++count[label];
    right[label] += std::max_element(row, row + kRhythms.size()) == row + label;
  }
  for (std::size_t i = 0; i < kRhythms.size(); ++i) {
    std::printf("%s: %s 90 %% of %.0f unseen series right\n", kRhythms[i],
                right[i] > 0.9 * count[i] ? "more than" : "at most", count[i]);
  }
}
