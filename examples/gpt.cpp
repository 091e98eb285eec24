// Trains a GPT on the bytes of a text, and lets it write. Settings are nanoGPT's for tiny Shakespeare on a CPU.
//
//   gpt                                      a text of generated everyday sentences
//   gpt --text input.txt --model folder      keeps the model in a folder that `complete` and Hugging Face load
//
// Prints the loss on training and validation text (the last tenth) every 250 steps, then a sample.
#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <rapt/data/windows.hpp>
#include <rapt/pretrained/gpt.hpp>
#include <rapt/pretrained/tokenizer_files.hpp>
#include <rapt/rapt.hpp>
#include <rapt/text/lines.hpp>

#include "translate/phrases.hpp"

namespace {

struct Flags {
  std::string text, model, prompt = "\n";
  rapt::GptConfig size{.positions = 64,
                       .d_model = 128,
                       .layers = 4,
                       .heads = 4,
                       .embedding_dropout = 0,
                       .dropout = 0,
                       .attention_dropout = 0};
  rapt::Index batch = 12, steps = 2000, warmup = 100, sample = 500;
  double learning_rate = 1e-3, beta2 = 0.99, temperature = 0.8;
  float dropout = 0;
  std::uint64_t seed = 1;
};

std::string text_of(const Flags& flags) {
  if (!flags.text.empty()) return rapt::read_text(flags.text);
  std::string text;
  for (const phrases::Pair& pair : phrases::generate()) text += pair.english + "\n";
  return text;
}

double validation_loss(const rapt::Gpt<float>& model, std::span<const rapt::TokenId> tokens) {
  double sum = 0;
  for (const auto& batch : rapt::all_windows(tokens, 64, model.config().positions)) {
    sum += static_cast<double>(model.loss(batch).item()) * static_cast<double>(batch.targets.size());
  }
  return sum / static_cast<double>(tokens.size() - 1);
}

void train(const Flags& flags) {
  const auto tokenizer = rapt::ByteLevelBpe::of_bytes();
  const std::vector<rapt::TokenId> tokens = tokenizer.encode(text_of(flags));
  const auto all = std::span<const rapt::TokenId>(tokens);
  const auto training = all.first(all.size() - all.size() / 10), validation = all.last(all.size() / 10);

  rapt::GptConfig config = flags.size;
  config.vocabulary = tokenizer.size();
  config.embedding_dropout = config.dropout = config.attention_dropout = flags.dropout;
  rapt::Rng rng(flags.seed);
  rapt::Gpt model(config, rng);
  rapt::Adam adam(model, {.beta2 = flags.beta2, .epsilon = 1e-8, .weight_decay = 0.1, .decay_vectors = false});
  const rapt::CosineSchedule schedule{
      .peak = flags.learning_rate, .warmup = flags.warmup, .steps = flags.steps, .floor = flags.learning_rate / 10};
  std::printf("%zu bytes, %lld parameters, %d threads\n", tokens.size(),
              static_cast<long long>(count_parameters(model)), static_cast<int>(rapt::threads()));

  const auto start = std::chrono::steady_clock::now();
  double loss = 0;
  for (rapt::Index step = 1; step <= flags.steps; ++step) {
    {
      const rapt::Training scope(rng);
      const auto mean = model.loss(rapt::random_windows(training, flags.batch, config.positions, rng));
      rapt::backward(mean);
      adam.step(schedule(step), rapt::clip_factor(rapt::gradient_norm(model), 1.0));
      loss = static_cast<double>(mean.item());
    }
    if (step % 250 == 0 || step == flags.steps) {
      const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
      std::printf("step %5lld  loss %.3f  validation %.4f  %.1f s\n", static_cast<long long>(step), loss,
                  validation_loss(model, validation), seconds.count());
      std::fflush(stdout);
    }
  }
  if (!flags.model.empty()) {
    save_pretrained(flags.model, model);
    rapt::save_vocabulary(flags.model, tokenizer);
  }

  // A sequence has at most `positions` tokens: longer texts are sampled piece by piece, each behind half a window.
  std::vector<rapt::TokenId> written = tokenizer.encode(flags.prompt);
  const auto half = static_cast<std::size_t>(config.positions / 2);
  for (std::uint64_t part = 0; static_cast<rapt::Index>(written.size()) < flags.sample; ++part) {
    rapt::TokenBatch prompt;
    prompt.push_back(std::span(written).last(std::min(written.size(), half)));
    const rapt::SamplingOptions options{.temperature = static_cast<float>(flags.temperature),
                                        .generation = {.extra_length = config.positions - prompt.size()}};
    const auto more = rapt::sample(model, prompt, options, flags.seed + part).front().front();
    written.insert(written.end(), more.tokens.begin(), more.tokens.end());
  }
  std::printf("%s\n", tokenizer.decode(written).c_str());
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"Trains a GPT on the bytes of a text, and lets it write."};
  Flags flags;
  app.add_option("--text", flags.text, "file to learn from; default: generated sentences");
  app.add_option("--model", flags.model, "folder to keep the model in");
  app.add_option("--context", flags.size.positions, "bytes that it sees at once")->capture_default_str();
  app.add_option("--batch", flags.batch, "windows in a step")->capture_default_str();
  app.add_option("--width", flags.size.d_model, "d_model")->capture_default_str();
  app.add_option("--layers", flags.size.layers)->capture_default_str();
  app.add_option("--heads", flags.size.heads)->capture_default_str();
  app.add_option("--dropout", flags.dropout)->capture_default_str();
  app.add_option("--steps", flags.steps)->capture_default_str()->check(CLI::PositiveNumber);
  app.add_option("--warmup", flags.warmup, "steps until the rate is reached")->capture_default_str();
  app.add_option("--learning-rate", flags.learning_rate, "at its highest; it falls to a tenth")->capture_default_str();
  app.add_option("--beta2", flags.beta2, "of Adam")->capture_default_str();
  app.add_option("--prompt", flags.prompt, "what the sample begins with; default: a new line");
  app.add_option("--sample", flags.sample, "bytes to write")->capture_default_str();
  app.add_option("--temperature", flags.temperature, "of the sample")->capture_default_str();
  app.add_option("--seed", flags.seed)->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  try {
    train(flags);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "gpt: %s\n", error.what());
    return 1;
  }
}
