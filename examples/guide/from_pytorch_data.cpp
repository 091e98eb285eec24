// Batches of pairs, a Trainer, and greedy decoding: what DataLoader, the loop around it and generate do in PyTorch.
#include <cstdio>
#include <rapt/rapt.hpp>

constexpr const char* kWords[] = {"zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"};

/// Numbers of one to six digits, ids 3 to 12, and how they are read aloud, ids 13 to 22.
std::vector<rapt::TokenPair> numbers(std::size_t count, rapt::Rng& rng) {
  std::vector<rapt::TokenPair> pairs(count);
  for (auto& [source, target] : pairs) {
    for (rapt::Index left = 1 + rng.below(6); left > 0; --left) {
      source.push_back(static_cast<rapt::TokenId>(3 + rng.below(10)));
      target.push_back(source.back() + 10);
    }
  }
  return pairs;
}

int main() {
  rapt::Rng rng(1);
  auto config = rapt::TransformerConfig::tiny(/*vocabulary=*/23);
  config.d_model = config.d_ff = 64;
  config.encoder_layers = config.decoder_layers = 2;
  config.dropout = 0.f;
  rapt::Transformer model(config, rng);

  // --8<-- [start:data]
  const auto pairs = numbers(4000, rng), unseen = numbers(5, rng);
  rapt::BatchStream batches(pairs, {.tokens = 500, .seed = 1});  // pairs of like length, shuffled anew in each epoch
  // --8<-- [end:data]
  std::printf("an epoch has %s 30 batches\n", batches.batches_per_epoch() > 30 ? "more than" : "at most");

  // --8<-- [start:trainer]
  rapt::Trainer trainer(model, {.learning_rate = rapt::CosineSchedule{.peak = 3e-3, .warmup = 30, .steps = 300},
                                .label_smoothing = 0.f,
                                .clip_norm = 1});
  const auto validate = [&] { return static_cast<double>(model.loss(rapt::make_batch(unseen)).item()); };
  const auto report = [](const rapt::Progress& now) {
    if (now.step % 100 == 0) std::printf("step %td, loss %s 0.5\n", now.step, now.loss < 0.5 ? "below" : "above");
  };
  const auto summary = trainer.run(batches, {.steps = 300, .validate_every = 100}, validate, report);
  // --8<-- [end:trainer]
  std::printf("best validation loss %s 0.1\n", summary.best_validation < 0.1 ? "below" : "above");

  // --8<-- [start:generate]
  const auto found = rapt::greedy_search(model, rapt::make_batch(unseen).source);
  // --8<-- [end:generate]
  for (std::size_t i = 0; i < found.size(); ++i) {
    for (const rapt::TokenId id : unseen[i].source) std::printf("%d", id - 3);
    for (const rapt::TokenId id : found[i].tokens) std::printf(" %s", id >= 13 ? kWords[id - 13] : "?");
    std::printf("\n");
  }
}
