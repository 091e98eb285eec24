// A step of Adam, and the norm of the gradients that clipping needs, over all parameters of the presets.
#include <rapt/optim/adam.hpp>
#include <rapt/optim/clip.hpp>

#include "../common/counters.hpp"
#include "../common/presets.hpp"

namespace {

void fill_gradients(rapt::Transformer<float>& model) {
  rapt::for_each_parameter(model, [](const std::string&, auto& parameter) {
    parameter.node()->grad = rapt::Tensor<float>(parameter.shape(), 1e-3f);
  });
}

void adam_step(benchmark::State& state) {
  rapt::Rng rng(1);
  rapt::Transformer model(bench::preset(state, state.range(0)), rng);
  rapt::Adam adam(model);
  for (auto _ : state) {
    fill_gradients(model);  // a step forgets them
    const bench::Stopwatch watch;
    adam.step(1e-4);
    state.SetIterationTime(watch.seconds());
  }
  const rapt::Index parameters = rapt::count_parameters(model);
  state.counters["parameters/s"] = bench::per_second(parameters);
  state.counters["bytes/s"] = bench::per_second(7 * 4 * parameters);  // weight, m and v in and out, gradient in
}

void gradient_norm(benchmark::State& state) {
  rapt::Rng rng(1);
  rapt::Transformer model(bench::preset(state, state.range(0)), rng);
  fill_gradients(model);
  for (auto _ : state) benchmark::DoNotOptimize(rapt::gradient_norm(model));
  state.counters["parameters/s"] = bench::per_second(rapt::count_parameters(model));
}

}  // namespace

BENCHMARK(adam_step)->Apply(bench::presets)->UseManualTime()->Unit(benchmark::kMillisecond);
BENCHMARK(gradient_norm)->Apply(bench::presets)->UseRealTime()->Unit(benchmark::kMillisecond);
