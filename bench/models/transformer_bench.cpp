// One training step (forward, backward, Adam) of the presets, and beam search, on random sentences of 8 to 21 tokens.
#include <benchmark/benchmark.h>

#include <rapt/rapt.hpp>

#include "../common/counters.hpp"
#include "../common/presets.hpp"

namespace {

std::vector<rapt::TokenPair> sentences(rapt::Index count) {
  std::vector<rapt::TokenPair> pairs(static_cast<std::size_t>(count));
  for (std::size_t i = 0; i < pairs.size(); ++i) {
    const auto length = static_cast<rapt::Index>(8 + i % 14);
    pairs[i] = {bench::random_tokens(length, bench::kVocabulary, 2 * i),
                bench::random_tokens(length, bench::kVocabulary, 2 * i + 1)};
  }
  return pairs;
}

void training_step(benchmark::State& state) {
  rapt::Rng rng(1);
  rapt::Transformer model(bench::preset(state, state.range(0)), rng);
  rapt::Adam adam(model);
  const rapt::TranslationBatch batch = rapt::make_batch(sentences(130));  // about 2,000 + 2,000 tokens
  const auto step = [&] {
    const rapt::Training scope(rng);
    rapt::backward(model.loss(batch, {.label_smoothing = 0.1f}));
    adam.step(1e-4);
  };
  step();  // memory comes from the system once
  const std::size_t before = rapt::memory_stats().system_allocations;
  for (auto _ : state) step();
  state.counters["tokens/s"] = bench::per_second(batch.source.size() + batch.target_input.size());
  state.counters["system allocations"] = static_cast<double>(rapt::memory_stats().system_allocations - before);
  state.counters["peak MB"] = static_cast<double>(rapt::memory_stats().peak_in_use) / 1e6;
}

void beam_search(benchmark::State& state) {
  rapt::Rng rng(1);
  const rapt::Transformer model(bench::preset(state, 0), rng);
  const rapt::TranslationBatch batch = rapt::make_batch(sentences(100));
  for (auto _ : state) {
    benchmark::DoNotOptimize(rapt::beam_search(model, batch.source, {.beam_size = state.range(0)}));
  }
  state.counters["sentences/s"] = bench::per_second(rapt::Index{100});
}

}  // namespace

BENCHMARK(training_step)->Apply(bench::presets)->UseRealTime()->Unit(benchmark::kMillisecond);
BENCHMARK(beam_search)->ArgName("beam")->Arg(1)->Arg(4)->UseRealTime()->Unit(benchmark::kMillisecond);
