/// \file
/// The presets that benchmarks run through, by number.
#pragma once

#include <benchmark/benchmark.h>

#include <rapt/models/transformer.hpp>

#include <array>

namespace bench {

inline constexpr std::array kPresets = {"tiny", "small", "base"};
inline constexpr rapt::Index kVocabulary = 10000;

/// The config of preset 0 .. 2; its name becomes the benchmark's label.
[[nodiscard]] inline rapt::TransformerConfig preset(benchmark::State& state, rapt::Index i) {
  const char* name = kPresets[static_cast<std::size_t>(i)];
  state.SetLabel(name);
  return rapt::TransformerConfig::preset(name, kVocabulary);
}

/// One benchmark for each preset.
inline void presets(benchmark::internal::Benchmark* bench) {
  bench->ArgName("preset")->DenseRange(0, static_cast<int>(kPresets.size()) - 1);
}

}  // namespace bench
