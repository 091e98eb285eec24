// The file that includes all of rapt, and compiles its templates unless rapt::precompiled has done so.
#include "reverser.hpp"

#include <rapt/rapt.hpp>
#include <vector>

#include "letters.hpp"

namespace {

rapt::TransformerConfig configuration() {
  rapt::TransformerConfig config = rapt::TransformerConfig::tiny(kLetterVocabulary);
  config.d_model = 64;
  config.encoder_layers = config.decoder_layers = 1;
  return config;
}

}  // namespace

struct Reverser::Model {
  rapt::Rng rng{1};
  rapt::Transformer<float> transformer{configuration(), rng};
  rapt::Adam<float> adam{transformer};
};

Reverser::Reverser() : model_(std::make_unique<Model>()) {}
Reverser::~Reverser() = default;
Reverser::Reverser(Reverser&&) noexcept = default;
Reverser& Reverser::operator=(Reverser&&) noexcept = default;

double Reverser::train(int steps) {
  const rapt::CosineSchedule learning_rate{.peak = 5e-3, .warmup = 40, .steps = steps};
  double last = 0;
  for (int step = 1; step <= steps; ++step) {
    const rapt::Training training(model_->rng);
    const auto loss = model_->transformer.loss(rapt::make_batch(random_words(64, model_->rng)));
    rapt::backward(loss);
    model_->adam.step(learning_rate(step));
    last = loss.item();
  }
  return last;
}

std::string Reverser::reverse(const std::string& word) const {
  const std::vector<rapt::TokenPair> pairs = {{tokens_of(word), {}}};
  return word_of(rapt::greedy_search(model_->transformer, rapt::make_batch(pairs).source)[0].tokens);
}
