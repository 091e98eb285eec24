// Trains a translator of short sentences from English to German, and saves it as a folder as OPUS-MT has them.
#include <cstdio>
#include <rapt/pretrained/marian.hpp>
#include <rapt/pretrained/save_tokenizer.hpp>
#include <rapt/rapt.hpp>

#include "phrase_book/phrases.hpp"

int main() {
  const std::vector<Phrase> known = phrases(/*held_out=*/false), unseen = phrases(/*held_out=*/true);
  const rapt::WordPiece tokenizer = tokenizer_of(known);
  rapt::MarianConfig config = rapt::MarianConfig::opus_mt(tokenizer.size());
  config.d_model = 64;
  config.encoder_layers = config.decoder_layers = 2;
  config.encoder_heads = config.decoder_heads = 4;
  config.encoder_d_ff = config.decoder_d_ff = 128;
  rapt::Rng rng(1);
  rapt::Marian<float> model(config, rng);

  const auto pairs_of = [&](const std::vector<Phrase>& phrases) {
    std::vector<rapt::TokenPair> pairs;
    for (const auto& [english, german] : phrases) {
      pairs.push_back(
          {tokenizer.encode(english, {.add_special = false}), tokenizer.encode(german, {.add_special = false})});
    }
    return pairs;
  };
  const std::vector<rapt::TokenPair> training_pairs = pairs_of(known), unseen_pairs = pairs_of(unseen);
  rapt::BatchStream batches(training_pairs, {.tokens = 600, .begin = config.begin_token, .end = 0});
  rapt::Adam adam(model);
  const rapt::CosineSchedule learning_rate{.peak = 3e-3, .warmup = 30, .steps = 300};
  for (int step = 1; step <= 300; ++step) {
    rapt::Training training(rng);
    rapt::backward(model.loss(batches.next()));
    adam.step(learning_rate(step));
  }

  const auto source = make_batch(unseen_pairs, {.begin = config.begin_token, .end = 0}).source;
  const auto found = rapt::beam_search(model, source, {.beam_size = 4});
  int right = 0;
  for (std::size_t i = 0; i < found.size(); ++i) right += found[i].tokens == unseen_pairs[i].target;
  std::printf("%zu phrases learned, %d of %zu others right\n", known.size(), right, unseen.size());
  rapt::save_pretrained("phrase-book", model);
  rapt::save_tokenizer("phrase-book", tokenizer);
}
