// Trains a GPT on the bytes of a text, and lets it write. Settings are nanoGPT's for tiny Shakespeare on a CPU.
//
//   gpt                                      a text of generated everyday sentences
//   gpt --text input.txt --model folder      keeps the model in a folder that `complete` and Hugging Face load
//   gpt --folder run                         can be killed; the same command with --resume goes on
//
// Prints the loss on training and validation text (the last tenth) every 250 steps, then a sample.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <rapt/data/windows.hpp>
#include <rapt/pretrained/gpt.hpp>
#include <rapt/pretrained/tokenizer_files.hpp>
#include <rapt/rapt.hpp>
#include <rapt/text/lines.hpp>

#include "common/lines.hpp"
#include "common/phrases.hpp"
#include "common/run_flags.hpp"

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
  RunFlags run;
};

std::string text_of(const Flags& flags) {
  if (!flags.text.empty()) return rapt::read_text(flags.text);
  std::string text;
  for (const phrases::Pair& pair : phrases::generate()) text += pair.english + "\n";
  return text;
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
  std::printf("%zu bytes, %lld parameters, %d threads\n", tokens.size(),
              static_cast<long long>(count_parameters(model)), static_cast<int>(rapt::threads()));

  rapt::Fingerprint fingerprint;
  fingerprint.add(all);
  rapt::TrainingJob job(flags.run.job({"--text", "--model", "--prompt", "--sample", "--temperature"},
                                      data_text(all.size(), "bytes", fingerprint)));
  auto windows = rapt::random_window_batches(
      training, {.windows = flags.batch, .length = config.positions, .random = rng.state()});
  rapt::Trainer trainer(
      model, flags.run.processes.shared(
                 {.learning_rate = rapt::CosineSchedule{.peak = flags.learning_rate,
                                                        .warmup = flags.warmup,
                                                        .steps = flags.steps,
                                                        .floor = flags.learning_rate / 10},
                  .adam = {.beta2 = flags.beta2, .epsilon = 1e-8, .weight_decay = 0.1, .decay_vectors = false},
                  .label_smoothing = 0,
                  .clip_norm = 1,
                  .seed = flags.seed + 1}));  // of dropout; the seed itself draws weights and windows
  const auto validation_windows = rapt::all_windows(validation, 64, config.positions);
  const auto measure = [&](const rapt::Gpt<float>& some) {
    const double loss = mean_loss(some, validation_windows, flags.run.processes.communicator);
    char text[100];
    std::snprintf(text, sizeof text, "loss %.3f  validation %.4f  %.1f s", job.progress().loss, loss,
                  job.progress().seconds);
    return rapt::Measurement{.score = loss, .text = text, .entry = {{"validation_loss", loss}}};
  };
  job.run(trainer, windows, {.steps = flags.steps, .validate_every = 250}, {.measure = measure});
  if (!flags.run.processes.is_first()) return;
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
    const auto more = rapt::sample(model, prompt, options, {.seed = flags.seed + part}).front().front();
    written.insert(written.end(), more.tokens.begin(), more.tokens.end());
  }
  std::printf("%s\n", tokenizer.decode(written).c_str());
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"Trains a GPT on the bytes of a text, and lets it write."};
  Flags flags;
  app.add_option("--text", flags.text, "The file to learn from. Without it sentences are generated.");
  app.add_option("--model", flags.model, "Writes the model to this folder, as Hugging Face does.");
  add_number(app, "--context", flags.size.positions, {.least = 2}, "The number of bytes that it sees at once.");
  add_positive(app, "--batch", flags.batch, "The number of windows in a step.");
  add_positive(app, "--width", flags.size.d_model, "The width of the model (d_model).");
  add_positive(app, "--layers", flags.size.layers, "The number of layers.");
  add_positive(app, "--heads", flags.size.heads, "The number of attention heads.");
  add_rate(app, "--dropout", flags.dropout, "The rate of dropout.");
  add_positive(app, "--steps", flags.steps, "The number of steps.");
  add_not_negative(app, "--warmup", flags.warmup, "The steps in which the learning rate rises.");
  add_positive(app, "--learning-rate", flags.learning_rate, "The highest learning rate; it falls to a tenth.");
  add_rate(app, "--beta2", flags.beta2, "Adam's decay rate of the second moment.");
  app.add_option("--prompt", flags.prompt, "What the sample begins with. Without it a new line.");
  add_not_negative(app, "--sample", flags.sample, "The number of bytes to write.");
  add_not_negative(app, "--temperature", flags.temperature, "The temperature of sampling.");
  add_seed(app, flags.seed);
  flags.run.add_to(app);
  CLI11_PARSE(app, argc, argv);
  return run_program("gpt", flags.run.processes, [&] { train(flags); });
}
