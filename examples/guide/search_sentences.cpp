// Trains a sentence encoder on pairs of sentences that mean the same, saves it, and searches German lines by English.
#include <algorithm>
#include <cstdio>
#include <numeric>
#include <rapt/pipelines/sentence_encoder.hpp>
#include <rapt/pretrained/bert.hpp>
#include <rapt/pretrained/save_tokenizer.hpp>
#include <rapt/rapt.hpp>

#include "phrase_book/phrases.hpp"

int main() {
  const std::vector<Phrase> known = phrases(/*held_out=*/false), unseen = phrases(/*held_out=*/true);
  const rapt::WordPiece tokenizer = tokenizer_of(known);
  rapt::Rng rng(1);
  rapt::Bert<float> model({.vocabulary = tokenizer.size(),
                           .positions = 32,
                           .d_model = 64,
                           .layers = 2,
                           .heads = 4,
                           .d_ff = 128,
                           .pooler = false},
                          rng);
  rapt::Adam adam(model);
  const rapt::CosineSchedule learning_rate{.peak = 2e-3, .warmup = 20, .steps = 200};
  std::vector<std::int32_t> own(32);  // of 32 translations each sentence's own one is the right one
  std::iota(own.begin(), own.end(), 0);
  for (int step = 1; step <= 200; ++step) {
    rapt::TokenBatch english, german;
    const rapt::Index first = rng.below(std::ssize(known));
    for (rapt::Index i = 0; i < std::ssize(own); ++i) {
      const Phrase& phrase = rapt::at(known, (first + 97 * i) % std::ssize(known));
      english.push_back(tokenizer.encode(phrase.english));
      german.push_back(tokenizer.encode(phrase.german));
    }
    rapt::Training training(rng);
    const auto cosines = linear(embed_sentences(model, english), embed_sentences(model, german), {});  // [32, 32]
    rapt::backward(cross_entropy(scale(cosines, 20), own));
    adam.step(learning_rate(step));
  }
  rapt::save_pretrained("sentences", model);
  rapt::save_tokenizer("sentences", tokenizer);

  const auto encoder = rapt::SentenceEncoder::load("sentences");
  std::vector<std::string> queries, lines;
  for (const Phrase& phrase : unseen) {
    queries.push_back(phrase.english);
    lines.push_back(phrase.german);
  }
  const rapt::Variable<float> wanted(encoder.encode(queries)), vectors(encoder.encode(lines));  // [lines, D]
  const rapt::Tensor<float> cosines = linear(wanted, vectors, {}).value();                      // [queries, lines]
  rapt::Index right = 0;
  for (rapt::Index i = 0; i < cosines.rows(); ++i) {
    const float* const row = cosines.row(i);
    right += std::max_element(row, row + cosines.cols()) - row == i;
  }
  std::printf("more than 9 of 10 unseen sentences find their translation: %s\n",
              10 * right > 9 * cosines.rows() ? "yes" : "no");
}
