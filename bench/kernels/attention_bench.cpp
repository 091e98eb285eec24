// Attention, forward and forward + backward, on sequences of one length that together have about 2,048 tokens.
#include <benchmark/benchmark.h>

#include <rapt/autograd/backward.hpp>
#include <rapt/autograd/ops/attention.hpp>
#include <rapt/autograd/ops/sum.hpp>

#include "../common/counters.hpp"

namespace {

void attention(benchmark::State& state) {
  const rapt::Index length = state.range(0), heads = 8, d_model = 512;
  const bool causal = state.range(1) != 0, backward = state.range(2) != 0;
  const rapt::Index sequences = std::max<rapt::Index>(1, 2048 / length);
  const rapt::Variable<float> qkv(bench::random(rapt::Shape{sequences * length, 3 * d_model}),
                                  /*requires_grad=*/backward);
  const rapt::RowSplits splits = rapt::RowSplits::equal(sequences, length);
  for (auto _ : state) {
    const rapt::Recording scope;
    const rapt::Variable<float> y = rapt::attention(
        rapt::columns(qkv, 0, d_model), rapt::columns(qkv, d_model, d_model), rapt::columns(qkv, 2 * d_model, d_model),
        splits, splits, {.heads = heads, .mask = {.causal = causal}});
    if (backward) rapt::backward(rapt::sum(y));
    benchmark::DoNotOptimize(y.value().data());
  }
  state.counters["tokens/s"] = bench::per_second(sequences * length);
}

}  // namespace

BENCHMARK(attention)
    ->ArgNames({"length", "causal", "backward"})
    ->ArgsProduct({{16, 32, 128, 512, 2048}, {0, 1}, {0, 1}})
    ->UseRealTime();
