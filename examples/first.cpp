#include <cstdio>
#include <rapt/rapt.hpp>

/// Random sequences of six letters, the ids 3 to 15, each with its reverse.
std::vector<rapt::TokenPair> sequences(std::size_t count, rapt::Rng& rng) {
  std::vector<rapt::TokenPair> pairs(count);
  for (auto& [source, target] : pairs) {
    for (int i = 0; i < 6; ++i) source.push_back(static_cast<rapt::TokenId>(3 + rng.below(13)));
    target.assign(source.rbegin(), source.rend());
  }
  return pairs;
}

int main() {
  rapt::Rng rng(1);
  rapt::TransformerConfig config = rapt::TransformerConfig::tiny(/*vocabulary=*/16);
  config.d_model = 64;
  config.encoder_layers = config.decoder_layers = 2;
  config.dropout = 0.1f;
  rapt::Transformer model(config, rng);
  rapt::Adam adam(model);
  const rapt::CosineSchedule learning_rate{.peak = 3e-3, .warmup = 30, .steps = 300};
  for (int step = 1; step <= 300; ++step) {
    rapt::Training training(rng);  // gradients recorded, dropout on, until the brace closes
    const auto loss = model.loss(rapt::make_batch(sequences(50, rng)));
    rapt::backward(loss);
    adam.step(learning_rate(step));
    if (step == 1 || step == 300) std::printf("step %d  loss %.1f\n", step, loss.item());
  }
  const auto unseen = sequences(100, rng);
  const auto found = rapt::beam_search(model, rapt::make_batch(unseen).source, {.beam_size = 4});
  int right = 0;
  for (std::size_t i = 0; i < unseen.size(); ++i) right += found[i].tokens == unseen[i].target;
  std::printf("%d of 100 unseen sequences reversed\n", right);
}
