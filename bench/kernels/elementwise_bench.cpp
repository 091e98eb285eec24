// Element-wise kernels and sums: sizes for the second-level cache, the third, and memory.
#include <benchmark/benchmark.h>

#include <rapt/kernels/elementwise.hpp>

#include "../common/counters.hpp"

namespace {

using rapt::Index, rapt::Shape, rapt::Tensor;

/// Runs kernel(x, y, out, count), which moves `passes` numbers for each element.
template <class Kernel>
void run(benchmark::State& state, Index passes, const Kernel& kernel) {
  const Index count = state.range(0);
  const Tensor<float> x = bench::random(Shape{count}, 1), y = bench::random(Shape{count}, 2);
  Tensor<float> out(Shape{count}, 0.f);
  for (auto _ : state) {
    kernel(x.data(), y.data(), out.data(), count);
    benchmark::DoNotOptimize(out.data());
  }
  state.counters["bytes/s"] = bench::per_second(passes * count * Index{sizeof(float)});
}

void add(benchmark::State& state) {
  run(state, 3, [](auto... arguments) { rapt::kernels::add<float>(arguments...); });
}
void multiply(benchmark::State& state) {
  run(state, 3, [](auto... arguments) { rapt::kernels::multiply<float>(arguments...); });
}
void add_scaled(benchmark::State& state) {
  run(state, 3,
      [](const float* x, const float*, float* out, Index count) { rapt::kernels::add_scaled(out, x, 0.5f, count); });
}
void sum_of(benchmark::State& state) {
  run(state, 1, [](const float* x, const float*, float* out, Index count) {
    *out = static_cast<float>(rapt::kernels::sum_of(x, count, [](double value) { return value * value; }));
  });
}

void add_column_sums(benchmark::State& state) {
  const Tensor<float> m = bench::random(Shape{state.range(0), state.range(1)});
  Tensor<float> sums(Shape{m.cols()}, 0.f);
  for (auto _ : state) {
    rapt::kernels::add_column_sums<float>(m, sums.data());
    benchmark::DoNotOptimize(sums.data());
  }
  state.counters["bytes/s"] = bench::per_second(m.size() * Index{sizeof(float)});
}

void sizes(benchmark::internal::Benchmark* bench) {
  bench->ArgName("elements")->Arg(1 << 16)->Arg(1 << 20)->Arg(1 << 24)->UseRealTime();
}

}  // namespace

BENCHMARK(add)->Apply(sizes);
BENCHMARK(multiply)->Apply(sizes);
BENCHMARK(add_scaled)->Apply(sizes);
BENCHMARK(sum_of)->Apply(sizes);
BENCHMARK(add_column_sums)->ArgNames({"rows", "columns"})->ArgsProduct({{2000}, {128, 512, 2048}})->UseRealTime();
