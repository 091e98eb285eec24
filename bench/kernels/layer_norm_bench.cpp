// Layer norm and "Add & Norm", forward and backward, on 2,000 tokens.
#include <benchmark/benchmark.h>

#include <rapt/kernels/layer_norm.hpp>

#include "../common/counters.hpp"

namespace {

using rapt::Shape, rapt::Tensor;

enum Sum { kNormAlone, kResidual, kResidualWithDropout };

/// Everything that forward reads and writes.
struct Problem {
  Shape shape;
  Tensor<float> x = bench::random(shape, 1), sublayer = bench::random(shape, 2);
  Tensor<float> gamma = bench::random(Shape{shape[1]}, 3), beta = bench::random(Shape{shape[1]}, 4);
  Tensor<float> h = x, y{shape}, mean{Shape{shape[0]}}, rstd{Shape{shape[0]}};

  [[nodiscard]] rapt::kernels::AddNorm<float> options(benchmark::State& state) const {
    constexpr const char* kNames[] = {"norm", "residual + norm", "residual + dropout + norm"};
    const auto sum = state.range(1);
    state.SetLabel(kNames[sum]);
    state.counters["elements/s"] = bench::per_second(x.size());
    return {.rows = shape[0],
            .cols = shape[1],
            .x = x.data(),
            .sublayer = sum == kNormAlone ? nullptr : sublayer.data(),
            .dropout = {.stream = {1, 1}, .rate = sum == kResidualWithDropout ? 0.1f : 0.f},
            .gamma = gamma.data(),
            .beta = beta.data(),
            .epsilon = 1e-5f};
  }
};

void add_norm(benchmark::State& state) {
  Problem p{.shape = Shape{2000, state.range(0)}};
  const auto options = p.options(state);
  for (auto _ : state) {
    rapt::kernels::add_norm(options, p.h.data(), p.y.data(), p.mean.data(), p.rstd.data());
    benchmark::DoNotOptimize(p.y.data());
  }
}

void add_norm_backward(benchmark::State& state) {
  Problem p{.shape = Shape{2000, state.range(0)}};
  const auto options = p.options(state);
  rapt::kernels::add_norm(options, p.h.data(), p.y.data(), p.mean.data(), p.rstd.data());
  const Tensor<float> dy = bench::random(p.shape, 5);
  Tensor<float> dx(p.shape, 0.f), dsublayer(p.shape, 0.f), dgamma(p.gamma.shape(), 0.f), dbeta(p.beta.shape(), 0.f);
  for (auto _ : state) {
    rapt::kernels::add_norm_backward<float>(options, {p.h.data(), p.mean.data(), p.rstd.data()}, dy.data(), {dx.data()},
                                            {options.sublayer != nullptr ? dsublayer.data() : nullptr}, dgamma.data(),
                                            dbeta.data());
    benchmark::DoNotOptimize(dx.data());
  }
}

void sizes(benchmark::internal::Benchmark* bench) {
  bench->ArgNames({"columns", "sum"})->UseRealTime();
  bench->ArgsProduct({{128, 256, 512}, {kNormAlone, kResidual, kResidualWithDropout}});
}

}  // namespace

BENCHMARK(add_norm)->Apply(sizes);
BENCHMARK(add_norm_backward)->Apply(sizes);
