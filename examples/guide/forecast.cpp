// Forecasts a series of numbers by a Transformer: values in place of tokens, and the next value as target.
#include <cstdio>
#include <rapt/data/shuffled_batches.hpp>
#include <rapt/rapt.hpp>

#include "forecast/series.hpp"

class Forecaster {
 public:
  using ScalarType = float;
  Forecaster(const rapt::BlockOptions& block, rapt::Rng& rng)
      : input_(1, block.attention.d_model, rng),
        output_(block.attention.d_model, 1, rng),
        positions_(block.attention.d_model),
        layers_(/*blocks=*/2, block, /*final_norm=*/true, rng) {}

  /// The value behind each one, as far as it can be told from those up to it   // [N, 1]
  rapt::Variable<float> operator()(const SeriesBatch& batch) const {
    const auto x = positions_(input_(rapt::Variable(batch.values)), batch.splits);  // [N, D]
    return output_(layers_(x, batch.splits, {.causal = true}));
  }
  rapt::Variable<float> loss(const SeriesBatch& batch) const {
    return rapt::mean_squared_error((*this)(batch), batch.targets);
  }
  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& visitor) {
    visitor("input", self.input_);
    visitor("layers", self.layers_);
    visitor("output", self.output_);
  }

 private:
  rapt::Linear<float> input_, output_;
  rapt::SinusoidalPositionalEncoding<float> positions_;
  rapt::Encoder<float> layers_;
};

int main() {
  const std::vector<float> series = hourly_series();
  rapt::Rng rng(1);
  Forecaster model(
      {.attention = {.d_model = 32, .heads = 4}, .d_ff = 64, .norm = rapt::NormPlacement::pre, .dropout = 0}, rng);
  rapt::ShuffledBatches<SeriesBatch> batches([&](auto begins) { return windows(series, begins); },
                                             {.examples = kTraining - kWindow, .batch = 32});
  rapt::Trainer trainer(model, {.learning_rate = rapt::CosineSchedule{.peak = 6e-3, .warmup = 20, .steps = 500}});
  const auto no_validation = [] { return 0.0; };
  trainer.run(batches, {.steps = 500}, no_validation, [](const rapt::Progress&) {});

  double error = 0, of_last_value = 0, of_day_before = 0;  // sums of squares over hours that were not in training
  for (rapt::Index begin = kTraining; begin < kHours - kWindow; ++begin) {
    const SeriesBatch window = windows(series, std::span(&begin, 1));
    const double truth = window.targets(kWindow - 1, 0);
    error += std::pow(model(window).value()(kWindow - 1, 0) - truth, 2);
    of_last_value += std::pow(window.values(kWindow - 1, 0) - truth, 2);
    of_day_before += std::pow(window.values(kWindow - 24, 0) - truth, 2);
  }
  constexpr double kCount = kHours - kWindow - kTraining;
  std::printf("mean squared error %s 0.03; of the last value %.2f, of that 24 hours before %.2f\n",
              error / kCount < 0.03 ? "below" : "above", of_last_value / kCount, of_day_before / kCount);
}
