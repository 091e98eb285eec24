// Byte pair encoding: learning on all threads, encoding and decoding on one.
#include <benchmark/benchmark.h>

#include <rapt/core/rng.hpp>
#include <rapt/text/bpe.hpp>

#include <cmath>
#include <string>
#include <vector>

#include "../common/counters.hpp"

namespace {

using rapt::BpeOptions, rapt::BytePairEncoding, rapt::Index;
using Lines = std::vector<std::string>;

/// Sentences of 4 to 20 made-up words out of 50,000, the n-th of which comes 1/n as often as the first.
Lines sentences(Index count) {
  rapt::Rng rng(1);
  const auto syllable = [&] {
    return std::string{"bdfghklmnprstvw"[rng.below(15)], "aeiou"[rng.below(5)]} + (rng.below(3) == 0 ? "n" : "");
  };
  Lines words(50000), lines(static_cast<std::size_t>(count));
  for (std::string& word : words) {
    for (Index i = 1 + rng.below(4); i > 0; --i) word += syllable();
  }
  const double scale = std::log(static_cast<double>(words.size()));
  for (std::string& line : lines) {
    for (Index i = 4 + rng.below(17); i > 0; --i) {
      line += words[static_cast<std::size_t>(std::exp(rng.uniform() * scale)) - 1] + (i > 1 ? " " : "");
    }
  }
  return lines;
}

double bytes(const Lines& lines) {
  double sum = 0;
  for (const std::string& line : lines) sum += static_cast<double>(line.size());
  return sum;
}

void report(benchmark::State& state, const Lines& lines) {
  state.counters["bytes/s"] = bench::per_second(bytes(lines));
  state.counters["lines/s"] = bench::per_second(static_cast<double>(lines.size()));
}

void learn(benchmark::State& state) {
  const Lines lines = sentences(state.range(0));
  for (auto _ : state) {
    benchmark::DoNotOptimize(BytePairEncoding::learn(lines, {.vocabulary_size = state.range(1)}));
  }
  report(state, lines);
}

void encode(benchmark::State& state) {
  const Lines lines = sentences(5000);
  const auto bpe = BytePairEncoding::learn(lines, {.vocabulary_size = state.range(0), .lossless = state.range(1) != 0});
  const double dropout = static_cast<double>(state.range(2)) / 100;
  rapt::Rng rng(1);
  for (auto _ : state) {
    for (const std::string& line : lines) {
      benchmark::DoNotOptimize(dropout > 0 ? bpe.encode(line, dropout, rng) : bpe.encode(line));
    }
  }
  report(state, lines);
}

void decode(benchmark::State& state) {
  const Lines lines = sentences(5000);
  const auto bpe = BytePairEncoding::learn(lines, {.vocabulary_size = state.range(0)});
  std::vector<std::vector<rapt::TokenId>> ids;
  for (const std::string& line : lines) ids.push_back(bpe.encode(line));
  for (auto _ : state) {
    for (const auto& tokens : ids) benchmark::DoNotOptimize(bpe.decode(tokens));
  }
  report(state, lines);
}

}  // namespace

BENCHMARK(learn)
    ->ArgNames({"lines", "vocabulary"})
    ->Args({60000, 10000})
    ->Args({1000000, 32000})
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime();
BENCHMARK(encode)
    ->ArgNames({"vocabulary", "lossless", "dropout_percent"})
    ->Args({2000, 0, 0})
    ->Args({10000, 0, 0})
    ->Args({10000, 1, 0})
    ->Args({10000, 0, 10})
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime();
BENCHMARK(decode)->ArgName("vocabulary")->Arg(10000)->Unit(benchmark::kMillisecond)->UseRealTime();
