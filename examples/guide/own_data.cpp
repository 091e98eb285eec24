// Trains on data that a class of your own makes: numbers and what they are in Roman numerals.
#include <cstdio>
#include <rapt/rapt.hpp>
#include <vector>

#include "own_data/roman_numerals.hpp"

/// A BatchSource. Batch b of epoch e is a function of (e, b) alone, so that `seek` only has to note the position.
class RomanNumerals {
 public:
  rapt::TranslationBatch next() {
    if (position_.batch == batches_per_epoch()) position_ = {position_.epoch + 1, 0};
    const auto stream = static_cast<std::uint64_t>(position_.epoch * batches_per_epoch() + position_.batch++);
    rapt::Rng rng(rapt::Rng::State{.seed = 1, .streams_taken = stream << 16});
    std::vector<rapt::TokenPair> pairs;
    while (pairs.size() < 64) {
      const rapt::Index number = 100 + rng.below(900);
      if (number % 7 != 0) pairs.push_back(example(number));  // the others are for the test
    }
    return rapt::make_batch(pairs);
  }
  rapt::BatchPosition position() const { return position_; }
  rapt::Index batches_per_epoch() const { return 100; }
  void seek(rapt::BatchPosition position) { position_ = position; }

 private:
  rapt::BatchPosition position_;
};
static_assert(rapt::BatchSource<RomanNumerals>);

int main() {
  rapt::Rng rng;
  auto config = rapt::TransformerConfig::tiny(static_cast<rapt::Index>(kCharacters.size()));
  config.d_model = 64;
  config.encoder_layers = config.decoder_layers = 2;
  rapt::Transformer model(config, rng);
  rapt::Trainer trainer(model, {.learning_rate = rapt::CosineSchedule{.peak = 3e-3, .warmup = 40, .steps = 600}});
  RomanNumerals source;
  const auto no_validation = [] { return 0.0; };
  trainer.run(source, {.epochs = 6}, no_validation, [](const rapt::Progress&) {});

  std::vector<rapt::TokenPair> unseen;
  for (rapt::Index number = 105; number <= 999; number += 7) unseen.push_back(example(number));
  const auto found = rapt::greedy_search(model, rapt::make_batch(unseen).source);
  std::size_t right = 0;
  for (std::size_t i = 0; i < unseen.size(); ++i) right += found[i].tokens == unseen[i].target;
  std::printf("%s is %s\n", text_of(unseen[1].source).c_str(), text_of(found[1].tokens).c_str());
  std::printf("%zu of %zu unseen numbers right\n", right, unseen.size());
}
