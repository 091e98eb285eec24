// Every layer forward and forward + backward, in the sizes of the presets, on 2,000 tokens in sentences of 20.
#include <rapt/autograd/backward.hpp>
#include <rapt/autograd/ops/sum.hpp>

#include "../common/peak.hpp"
#include "../common/presets.hpp"

namespace {

using rapt::Index, rapt::Variable;

constexpr Index kSentences = 100, kLength = 20, kTokens = kSentences * kLength;

/// What a layer computes on: x and a memory, both [N, D].
struct Input {
  rapt::RowSplits splits = rapt::RowSplits::equal(kSentences, kLength);
  Variable<float> x, encoder_output;
};

/// Runs layer = make(options, rng) as call(layer, input), with state.range(1) recorded and back.
template <class Make, class Call>
void run(benchmark::State& state, const Make& make, const Call& call) {
  const rapt::BlockOptions options = bench::preset(state, state.range(0)).layer();
  const bool backward = state.range(1) != 0;
  rapt::Rng rng(1);
  auto layer = make(options, rng);
  Input input;
  input.x = Variable<float>(bench::random(rapt::Shape{kTokens, options.attention.d_model}, 1), /*requires_grad=*/true);
  input.encoder_output =
      Variable<float>(bench::random(rapt::Shape{kTokens, options.attention.d_model}, 2), /*requires_grad=*/true);
  const bench::Stopwatch watch;
  for (auto _ : state) {
    if (backward) {
      const rapt::Training scope(rng);
      rapt::backward(rapt::sum(call(layer, input)));
      rapt::clear_gradients(layer);
      input.x.clear_grad();
      input.encoder_output.clear_grad();
    } else {
      benchmark::DoNotOptimize(call(layer, input).value().data());
    }
  }
  const double seconds = watch.seconds();
  // Products with weights alone: a multiplication and an addition a weight and token, three times that with backward.
  double flops = 0;
  rapt::for_each_parameter(layer, [&](const std::string&, const auto& parameter) {
    if (parameter.shape().rank() == 2) flops += 2.0 * static_cast<double>(parameter.size() * kTokens);
  });
  if (backward) flops *= 3;
  state.counters["tokens/s"] = bench::per_second(kTokens);
  bench::report_flops(state, flops, seconds);
}

void linear(benchmark::State& state) {
  run(
      state,
      [](const auto& options, rapt::Rng& rng) { return rapt::Linear<>(options.attention.d_model, options.d_ff, rng); },
      [](const auto& layer, const Input& input) { return layer(input.x); });
}
void attention(benchmark::State& state) {
  run(
      state, [](const auto& options, rapt::Rng& rng) { return rapt::MultiHeadAttention<>(options.attention, rng); },
      [](const auto& layer, const Input& input) { return layer(input.x, input.splits); });
}
void feed_forward(benchmark::State& state) {
  run(
      state,
      [](const auto& options, rapt::Rng& rng) {
        return rapt::FeedForward<>({.d_model = options.attention.d_model, .d_ff = options.d_ff}, rng);
      },
      [](const auto& layer, const Input& input) { return layer(input.x); });
}
void encoder_layer(benchmark::State& state) {
  run(
      state, [](const auto& options, rapt::Rng& rng) { return rapt::EncoderLayer<>(options, rng); },
      [](const auto& layer, const Input& input) { return layer(input.x, input.splits); });
}
void decoder_layer(benchmark::State& state) {
  run(
      state, [](const auto& options, rapt::Rng& rng) { return rapt::DecoderLayer<>(options, rng); },
      [](const auto& layer, const Input& input) {
        return layer(input.x, input.splits, input.encoder_output, input.splits);
      });
}

void sizes(benchmark::internal::Benchmark* bench) {
  bench->ArgNames({"preset", "backward"})->ArgsProduct({{0, 1, 2}, {0, 1}})->UseRealTime();
  bench->Unit(benchmark::kMillisecond);
}

}  // namespace

BENCHMARK(linear)->Apply(sizes);
BENCHMARK(attention)->Apply(sizes);
BENCHMARK(feed_forward)->Apply(sizes);
BENCHMARK(encoder_layer)->Apply(sizes);
BENCHMARK(decoder_layer)->Apply(sizes);
