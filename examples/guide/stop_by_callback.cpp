// Ends a training from the function that it reports to, and a text from the function that is given its tokens.
#include <atomic>
#include <cstdio>
#include <rapt/rapt.hpp>
#include <string>
#include <string_view>
#include <vector>

constexpr std::string_view kText =
    "a transformer reads a sentence at once. attention says which words belong together. "
    "positions say where each word stands. layers of both make a model that translates.";

int main() {
  std::vector<rapt::TokenId> tokens;
  for (const char c : kText) tokens.push_back(static_cast<rapt::TokenId>(c));  // a byte is a token
  rapt::GptConfig config{.vocabulary = 128, .positions = 256, .d_model = 64, .layers = 2, .heads = 4};
  config.embedding_dropout = config.dropout = config.attention_dropout = 0;
  rapt::Rng rng(1);
  rapt::Gpt model(config, rng);

  std::atomic<bool> stop = false;
  double last_loss = 0;
  const auto report = [&](const rapt::Progress& progress) {  // is called after each step
    last_loss = progress.loss;
    if (progress.loss < 0.05) stop = true;
  };
  rapt::Trainer trainer(model, {.learning_rate = [](rapt::Index) { return 2e-3; }, .label_smoothing = 0});
  auto windows = rapt::random_window_batches(tokens, {.length = std::ssize(tokens) - 1});
  const auto no_validation = [] { return 0.0; };
  const rapt::TrainingSummary summary = trainer.run(windows, {.steps = 5000, .stop = &stop}, no_validation, report);
  std::printf("%s, before step %s: loss %s\n",
              summary.reason == rapt::StopReason::request ? "stopped on request" : "all steps made",
              summary.steps < 2000 ? "2000" : "5000", last_loss < 0.05 ? "below 0.05" : "too high");

  std::string text = "a transformer";
  const std::vector<rapt::TokenId> prompt(text.begin(), text.end());
  rapt::SearchRequest request;
  request.on_token = [&](rapt::Index, rapt::TokenId token) {  // is called with each token as soon as it is chosen
    text += static_cast<char>(token);
    return token != '.';
  };
  const auto found = rapt::greedy_search(model, rapt::TokenBatch({prompt}), {.extra_length = 200}, request);
  std::printf("%s\n%zu tokens were computed\n", text.c_str(), found[0].tokens.size());
}
