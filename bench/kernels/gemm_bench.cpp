// Matrix products on all threads of the pool: squares, the three products of linear layers, and few rows, in each
// precision that this machine computes differently.
#include <benchmark/benchmark.h>

#include <rapt/kernels/gemm/gemm.hpp>

#include <cmath>
#include <string>

#include "../common/peak.hpp"

namespace {

using rapt::Index, rapt::Precision;
using rapt::kernels::as_is, rapt::kernels::transposed, rapt::kernels::Operand;

/// Of a linear layer y = x W^T, with x [rows, inputs] and W [outputs, inputs].
enum class Product { y, dx, dw };

/// |c - a b| / |a b| in Frobenius norms, a b in double, on up to eight rows of c.
template <class T>
double relative_error(const Operand<T>& a, const Operand<T>& b, const rapt::Tensor<T>& c) {
  double errors = 0, squares = 0;
  for (Index i = 0; i < a.rows; i += (a.rows + 7) / 8) {
    for (Index j = 0; j < b.cols; ++j) {
      double sum = 0;
      for (Index p = 0; p < a.cols; ++p) {
        sum += static_cast<double>(a.data[i * a.row_stride + p * a.col_stride]) *
               static_cast<double>(b.data[p * b.row_stride + j * b.col_stride]);
      }
      errors += std::pow(static_cast<double>(c(i, j)) - sum, 2);
      squares += sum * sum;
    }
  }
  return std::sqrt(errors / squares);
}

template <class T>
void gemm(benchmark::State& state, Product product, Precision precision) {
  const Index rows = state.range(0), outputs = state.range(1), inputs = state.range(2);
  const rapt::Tensor<T> x = bench::random<T>(rapt::Shape{rows, inputs}, 1);
  const rapt::Tensor<T> weight = bench::random<T>(rapt::Shape{outputs, inputs}, 2);
  const rapt::Tensor<T> dy = bench::random<T>(rapt::Shape{rows, outputs}, 3);
  const Operand<T> a = product == Product::y ? as_is(x) : product == Product::dx ? as_is(dy) : transposed(dy);
  const Operand<T> b = product == Product::y ? transposed(weight) : product == Product::dx ? as_is(weight) : as_is(x);
  rapt::Tensor<T> c(rapt::Shape{a.rows, b.cols});
  const Precision before = rapt::precision();
  rapt::set_precision(precision);
  const bench::Stopwatch watch;
  for (auto _ : state) {
    rapt::kernels::gemm(a, b, c);
    benchmark::DoNotOptimize(c.data());
  }
  const double seconds = watch.seconds();
  const double flops = 2.0 * static_cast<double>(rows) * static_cast<double>(outputs) * static_cast<double>(inputs);
  bench::report_flops<T>(state, flops, seconds);
  if constexpr (sizeof(T) == 4) state.counters["relative error"] = relative_error(a, b, c);
  state.SetLabel(to_string(bench::unit_in_force<T>().first));
  rapt::set_precision(before);
}

void squares(benchmark::internal::Benchmark* bench) {
  for (const Index n : {256, 512, 1024, 2048}) bench->Args({n, n, n});
}
void linear_layers(benchmark::internal::Benchmark* bench) {
  bench->ArgsProduct({{2000}, {128, 512, 2048}, {128, 256, 512}});
}
void few_rows(benchmark::internal::Benchmark* bench) { bench->ArgsProduct({{1, 4, 16, 64}, {512, 2048}, {512}}); }

template <class T, class... Shapes>
void add(const std::string& name, Product product, Precision precision, Shapes... shapes) {
  auto* registration = benchmark::RegisterBenchmark(name.c_str(), gemm<T>, product, precision);
  registration->ArgNames({"rows", "outputs", "inputs"})->UseRealTime()->Unit(benchmark::kMicrosecond);
  (registration->Apply(shapes), ...);
}

[[maybe_unused]] const bool registered = [] {
  for (const Precision precision : {Precision::highest, Precision::high, Precision::medium}) {
    if (precision != Precision::highest && rapt::matrix_unit(precision) == rapt::MatrixUnit::none) continue;
    const std::string name = "float/" + to_string(precision);
    add<float>(name + "/y", Product::y, precision, squares, linear_layers, few_rows);
    add<float>(name + "/dx", Product::dx, precision, linear_layers);
    add<float>(name + "/dW", Product::dw, precision, linear_layers);
  }
  add<double>("double/y", Product::y, Precision::highest, squares, few_rows);
  return true;
}();

}  // namespace
