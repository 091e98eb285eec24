// Latency of one sentence through an encoder of the size that sentence embeddings use.
#include <benchmark/benchmark.h>

#include <rapt/models/transformer.hpp>

#include <tuple>

#include "../common/counters.hpp"

namespace {

void one_sentence(benchmark::State& state) {
  rapt::Rng rng(1);
  rapt::Transformer model({.source_vocabulary = 30000,
                           .target_vocabulary = 30000,
                           .d_model = 384,
                           .heads = 12,
                           .d_ff = 1536,
                           .encoder_layers = 6,
                           .decoder_layers = 1,  // not used
                           .activation = rapt::Activation::gelu},
                          rng);
  rapt::pack_weights(model);
  rapt::TokenBatch sentence;
  sentence.push_back(bench::random_tokens(state.range(0), 30000));
  std::ignore = model.encode(sentence);  // memory comes from the system once
  std::vector<double> seconds;
  for (auto _ : state) {
    const bench::Stopwatch watch;
    benchmark::DoNotOptimize(model.encode(sentence).value().data());
    seconds.push_back(watch.seconds());
  }
  bench::report_percentiles(state, std::move(seconds));
  state.counters["tokens/s"] = bench::per_second(state.range(0));
}

}  // namespace

BENCHMARK(one_sentence)
    ->ArgName("tokens")
    ->Arg(32)
    ->Arg(128)
    ->Iterations(200)
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);
