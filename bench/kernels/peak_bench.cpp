// The peak of each unit that multiplies, on one thread and on all: what other programs' peak shares refer to.
#include <benchmark/benchmark.h>

#include <string>

#include "../common/counters.hpp"
#include "../common/peak.hpp"

namespace {

void peak(benchmark::State& state, bench::Unit unit) {
  const rapt::Index before = rapt::threads(), parts = 16 * state.range(0);
  rapt::set_threads(state.range(0));
  const double flops = bench::burst(unit) * static_cast<double>(parts);
  for (auto _ : state) {
    rapt::parallel_parts(parts, [&](rapt::Index) { benchmark::DoNotOptimize(bench::burst(unit)); });
  }
  state.counters["FLOP/s"] = bench::per_second(flops);
  state.SetLabel(to_string(rapt::simd_level()));
  rapt::set_threads(before);
}

[[maybe_unused]] const bool registered = [] {
  for (const bench::Unit unit :
       {bench::Unit::float32, bench::Unit::float64, bench::Unit::avx512_bf16, bench::Unit::amx}) {
    if (!bench::is_available(unit)) continue;
    auto* registration = benchmark::RegisterBenchmark(("peak/" + to_string(unit)).c_str(), peak, unit);
    registration->ArgName("threads")->Arg(1)->UseRealTime();
    if (rapt::threads() > 1) registration->Arg(rapt::threads());
  }
  return true;
}();

}  // namespace
