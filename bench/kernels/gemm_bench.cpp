// Matrix products: y = x W^T on the calling machine's best instruction set, all threads of the pool.
#include <benchmark/benchmark.h>

#include <rapt/core/rng.hpp>
#include <rapt/kernels/gemm/gemm.hpp>

namespace {

template <class T>
void gemm_nt(benchmark::State& state) {
  const rapt::Index rows = state.range(0), columns = state.range(1), depth = state.range(2);
  rapt::Tensor<T> x(rapt::Shape{rows, depth}), weight(rapt::Shape{columns, depth}), y(rapt::Shape{rows, columns});
  rapt::Rng rng(1);
  rng.fill_uniform(x.values(), -1, 1);
  rng.fill_uniform(weight.values(), -1, 1);
  for (auto _ : state) {
    rapt::kernels::gemm(rapt::kernels::as_is(x), rapt::kernels::transposed(weight), y);
    benchmark::DoNotOptimize(y.data());
  }
  const double flops = 2.0 * static_cast<double>(rows) * static_cast<double>(columns) * static_cast<double>(depth);
  state.counters["FLOP/s"] =
      benchmark::Counter(flops, benchmark::Counter::kIsIterationInvariantRate, benchmark::Counter::kIs1000);
  state.SetLabel(to_string(rapt::simd_level()));
}

void sizes(benchmark::internal::Benchmark* bench) {
  bench->ArgNames({"rows", "columns", "depth"})->UseRealTime();
  bench->Args({1, 512, 512})->Args({32, 512, 512})->Args({2000, 384, 128})->Args({2000, 512, 512});
  bench->Args({256, 256, 256})->Args({1024, 1024, 1024})->Args({2048, 2048, 2048})->Args({256, 10000, 128});
}

}  // namespace

BENCHMARK(gemm_nt<float>)->Apply(sizes);
BENCHMARK(gemm_nt<double>)->Apply(sizes);
