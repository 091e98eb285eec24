// One training step (forward, backward, Adam) of the presets, and beam search, on random sentences of 8 to 21 tokens.
#include <benchmark/benchmark.h>

#include <rapt/rapt.hpp>

namespace {

rapt::TransformerConfig preset(rapt::Index i) {
  constexpr const char* kNames[] = {"tiny", "small", "base"};
  return rapt::TransformerConfig::preset(kNames[i], 10000);
}

std::vector<rapt::TokenPair> sentences(rapt::Index count, rapt::Rng& rng) {
  std::vector<rapt::TokenPair> pairs(static_cast<std::size_t>(count));
  for (std::size_t i = 0; i < pairs.size(); ++i) {
    for (std::size_t j = 0; j < 8 + i % 14; ++j) {
      pairs[i].source.push_back(static_cast<rapt::TokenId>(3 + rng.below(9997)));
      pairs[i].target.push_back(static_cast<rapt::TokenId>(3 + rng.below(9997)));
    }
  }
  return pairs;
}

void training_step(benchmark::State& state) {
  rapt::Rng rng(1);
  rapt::Transformer model(preset(state.range(0)), rng);
  rapt::Adam adam(model);
  const rapt::TranslationBatch batch = rapt::make_batch(sentences(130, rng));  // about 2,000 + 2,000 tokens
  const auto step = [&] {
    const rapt::Training scope(rng);
    rapt::backward(model.loss(batch, {.label_smoothing = 0.1f}));
    adam.step(1e-4);
  };
  step();  // memory comes from the system once
  const std::size_t before = rapt::memory_stats().system_allocations;
  for (auto _ : state) step();
  state.SetLabel(preset(state.range(0)).d_model == 128   ? "tiny"
                 : preset(state.range(0)).d_model == 256 ? "small"
                                                         : "base");
  state.counters["tokens/s"] = benchmark::Counter(static_cast<double>(batch.source.size() + batch.target_input.size()),
                                                  benchmark::Counter::kIsIterationInvariantRate);
  state.counters["system allocations"] = static_cast<double>(rapt::memory_stats().system_allocations - before);
  state.counters["peak MB"] = static_cast<double>(rapt::memory_stats().peak_in_use) / 1e6;
}

void beam_search(benchmark::State& state) {
  rapt::Rng rng(1);
  const rapt::Transformer model(preset(0), rng);
  const rapt::TranslationBatch batch = rapt::make_batch(sentences(100, rng));
  for (auto _ : state) {
    benchmark::DoNotOptimize(rapt::beam_search(model, batch.source, {.beam_size = state.range(0)}));
  }
  state.counters["sentences/s"] = benchmark::Counter(100, benchmark::Counter::kIsIterationInvariantRate);
}

}  // namespace

BENCHMARK(training_step)->ArgName("preset")->DenseRange(0, 2)->UseRealTime()->Unit(benchmark::kMillisecond);
BENCHMARK(beam_search)->ArgName("beam")->Arg(1)->Arg(4)->UseRealTime()->Unit(benchmark::kMillisecond);
