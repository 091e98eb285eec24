// Activations and their derivatives on the inside of a feed-forward layer: 2,000 tokens.
#include <benchmark/benchmark.h>

#include <rapt/kernels/activation.hpp>

#include "../common/counters.hpp"

namespace {

using rapt::Shape, rapt::Tensor;

rapt::Activation activation_of(benchmark::State& state) {
  const auto activation = static_cast<rapt::Activation>(state.range(1));
  state.SetLabel(to_string(activation));
  return activation;
}

void activate(benchmark::State& state) {
  const rapt::Activation activation = activation_of(state);
  const Tensor<float> x = bench::random(Shape{2000, state.range(0)});
  Tensor<float> y(x.shape());
  for (auto _ : state) {
    rapt::kernels::activate(activation, x.data(), y.data(), x.size());
    benchmark::DoNotOptimize(y.data());
  }
  state.counters["elements/s"] = bench::per_second(x.size());
}

void activate_backward(benchmark::State& state) {
  const rapt::Activation activation = activation_of(state);
  const Tensor<float> x = bench::random(Shape{2000, state.range(0)}, 1), dy = bench::random(x.shape(), 2);
  Tensor<float> dx(x.shape());
  for (auto _ : state) {
    rapt::kernels::activate_backward(activation, x.data(), dy.data(), dx.data(), x.size(), /*accumulate=*/false);
    benchmark::DoNotOptimize(dx.data());
  }
  state.counters["elements/s"] = bench::per_second(x.size());
}

void sizes(benchmark::internal::Benchmark* bench) {
  bench->ArgNames({"columns", "activation"})->UseRealTime();
  for (const auto kind : {rapt::Activation::relu, rapt::Activation::gelu, rapt::Activation::gelu_tanh}) {
    bench->Args({256, static_cast<long>(kind)})->Args({2048, static_cast<long>(kind)});
  }
}

}  // namespace

BENCHMARK(activate)->Apply(sizes);
BENCHMARK(activate_backward)->Apply(sizes);
