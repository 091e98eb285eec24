// Dropout: random factors of the counter generator and the product with them, on 2,000 tokens.
#include <benchmark/benchmark.h>

#include <rapt/kernels/dropout.hpp>

#include "../common/counters.hpp"

namespace {

using rapt::Shape, rapt::Tensor;

void apply_dropout(benchmark::State& state) {
  const Tensor<float> x = bench::random(Shape{2000, state.range(0)});
  const bool accumulate = state.range(1) != 0;
  const rapt::kernels::Dropout dropout{.stream = {1, 1}, .rate = 0.1f};
  Tensor<float> y(x.shape(), 0.f);
  for (auto _ : state) {
    rapt::kernels::apply_dropout(dropout, x.data(), y.data(), x.rows(), x.cols(), accumulate);
    benchmark::DoNotOptimize(y.data());
  }
  state.counters["elements/s"] = bench::per_second(x.size());
}

}  // namespace

BENCHMARK(apply_dropout)->ArgNames({"columns", "accumulate"})->ArgsProduct({{128, 512, 2048}, {0, 1}})->UseRealTime();
