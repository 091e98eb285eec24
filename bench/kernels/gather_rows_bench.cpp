// Rows of an embedding table for 2,000 random tokens, and the gradients that flow back into them.
#include <benchmark/benchmark.h>

#include <rapt/kernels/gather_rows.hpp>

#include "../common/counters.hpp"

namespace {

using rapt::Index, rapt::Shape, rapt::Tensor;

constexpr Index kTokens = 2000;

void gather_rows(benchmark::State& state) {
  const Tensor<float> table = bench::random(Shape{state.range(0), state.range(1)});
  const std::vector<rapt::TokenId> ids = bench::random_tokens(kTokens, table.rows());
  Tensor<float> y(Shape{kTokens, table.cols()});
  for (auto _ : state) {
    rapt::kernels::gather_rows<float>(table, ids, 1.f, y.data());
    benchmark::DoNotOptimize(y.data());
  }
  state.counters["bytes/s"] = bench::per_second(2 * y.size() * Index{sizeof(float)});
}

void scatter_rows(benchmark::State& state) {
  Tensor<float> table(Shape{state.range(0), state.range(1)}, 0.f);
  const std::vector<rapt::TokenId> ids = bench::random_tokens(kTokens, table.rows());
  const Tensor<float> dy = bench::random(Shape{kTokens, table.cols()});
  for (auto _ : state) {
    rapt::kernels::scatter_rows<float>(table, ids, 1.f, dy.data());
    benchmark::DoNotOptimize(table.data());
  }
  state.counters["bytes/s"] = bench::per_second(3 * dy.size() * Index{sizeof(float)});
}

void sizes(benchmark::internal::Benchmark* bench) {
  bench->ArgNames({"vocabulary", "columns"})->ArgsProduct({{10000, 37000}, {128, 512}})->UseRealTime();
}

}  // namespace

BENCHMARK(gather_rows)->Apply(sizes);
BENCHMARK(scatter_rows)->Apply(sizes);
