// Searches good settings of a training: trials in processes of their own, and a log from which the search goes on.
#include <cstdio>
#include <rapt/rapt.hpp>
#include <rapt/search/search.hpp>
#include <string>
#include <vector>

struct Settings {
  double learning_rate = 1e-3;
  rapt::Index layers = 1;
  std::string norm = "post";

  template <class Visitor>
  void visit_settings(const Visitor& setting) {
    setting("learning_rate", learning_rate, rapt::log_range(1e-4, 1e-1));
    setting("layers", layers, rapt::integer_range(1, 2));
    setting("norm", norm, rapt::choice({"post", "pre"}));
  }
};

/// Learns to reverse sequences in so many steps, and returns the loss on others: smaller is better.
double train(const Settings& settings, rapt::Index steps) {
  rapt::Rng rng(1);
  const auto batch = [&](std::size_t count) {
    std::vector<rapt::TokenPair> pairs(count);
    for (auto& [source, target] : pairs) {
      for (int i = 0; i < 4; ++i) source.push_back(static_cast<rapt::TokenId>(3 + rng.below(5)));
      target.assign(source.rbegin(), source.rend());
    }
    return rapt::make_batch(pairs);
  };
  rapt::TransformerConfig config = rapt::TransformerConfig::tiny(/*vocabulary=*/8);
  config.d_model = 32;
  config.encoder_layers = config.decoder_layers = settings.layers;
  config.norm = settings.norm == "pre" ? rapt::NormPlacement::pre : rapt::NormPlacement::post;
  rapt::Transformer model(config, rng);
  rapt::Adam adam(model);
  for (rapt::Index step = 1; step <= steps; ++step) {
    const rapt::Training training(rng);
    rapt::backward(model.loss(batch(32)));
    adam.step(settings.learning_rate);
  }
  return model.loss(batch(100)).item();
}

int main() {
  const rapt::SettingsSpace space = rapt::settings_space<Settings>();
  rapt::SettingsSearchOptions options{.folder = "search", .restart = true, .halving = {.resource = 100}, .trials = 4};
  options.page.resource_name = "steps";                 // of which a trial gets 100
  const auto score = [](const rapt::TrialTask& task) {  // is called in a child process
    return train(rapt::settings_from<Settings>(task.settings), static_cast<rapt::Index>(task.resource));
  };
  std::printf("%td trials\n", rapt::search_settings(space, options, score).size());
  options.restart = false;
  options.resume = true;  // the four trials are read from the log
  options.trials = 10;
  const rapt::TrialHistory history = rapt::search_settings(space, options, score);
  const rapt::SettingsTrial& best = history[history.best()->trial];
  std::printf("%td trials, the best one has %s\n", history.size(), best.settings.dump().c_str());
}
