// Softmax, and softmax with cross-entropy and its gradient, on rows of logits.
#include <benchmark/benchmark.h>

#include <rapt/kernels/cross_entropy.hpp>
#include <rapt/kernels/softmax.hpp>

#include "../common/counters.hpp"

namespace {

using rapt::Index, rapt::Shape, rapt::Tensor;

void softmax_rows(benchmark::State& state) {
  const Tensor<float> x = bench::random(Shape{state.range(0), state.range(1)});
  Tensor<float> y(x.shape());
  for (auto _ : state) {
    rapt::kernels::softmax_rows(x.data(), y.data(), x.rows(), x.cols());
    benchmark::DoNotOptimize(y.data());
  }
  state.counters["elements/s"] = bench::per_second(x.size());
}

/// In place, so that each iteration finds what the last one left: small numbers, which take as long as others.
void cross_entropy_rows(benchmark::State& state) {
  Tensor<float> logits = bench::random(Shape{state.range(0), state.range(1)});
  const std::vector<rapt::TokenId> targets = bench::random_tokens(logits.rows(), logits.cols());
  const rapt::kernels::CrossEntropyRows<float> problem{.targets = targets,
                                                       .smoothing = state.range(2) != 0 ? 0.1 : 0.0,
                                                       .gradient_scale = 1.f / static_cast<float>(logits.rows())};
  Tensor<double> losses(Shape{logits.rows()});
  for (auto _ : state) {
    rapt::kernels::cross_entropy_rows(logits.data(), logits.rows(), logits.cols(), problem, losses.data());
    benchmark::DoNotOptimize(losses.data());
  }
  state.counters["elements/s"] = bench::per_second(logits.size());
}

/// One row, as search takes it from every step: on the calling thread.
void log_sum_exp(benchmark::State& state) {
  const Tensor<float> row = bench::random(Shape{state.range(0)});
  for (auto _ : state) benchmark::DoNotOptimize(rapt::kernels::log_sum_exp(row.data(), row.size()));
  state.counters["elements/s"] = bench::per_second(row.size());
}

}  // namespace

BENCHMARK(softmax_rows)
    ->ArgNames({"rows", "columns"})
    ->Args({4000, 32})
    ->Args({2000, 512})
    ->Args({256, 10000})
    ->UseRealTime();
BENCHMARK(cross_entropy_rows)
    ->ArgNames({"rows", "columns", "smoothing"})
    ->ArgsProduct({{256}, {10000, 37000}, {0, 1}})
    ->UseRealTime();
BENCHMARK(log_sum_exp)->ArgName("columns")->Arg(10000)->Arg(37000);
