// Trains a small BERT to fill in words that are hidden from it, and prints how often it is right beside the best guess
// without looking: the most frequent token.
//
//   bert_mlm                                                      generated everyday sentences, a minute or two
//   bert_mlm --text input.txt --length 64 --vocabulary 3000 --batch 32 --steps 2000
//   bert_mlm --folder run                                         can be killed; the same command with --resume goes on
//
// Words are cut into tokens by byte-pair encoding; every tenth piece of the text is kept for validation. Prints both
// ratios of the hidden tokens there every 250 steps, then some of these pieces with a gap, what the model puts into it,
// and what stood there.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <rapt/data/masked_language.hpp>
#include <rapt/models/bert.hpp>
#include <rapt/rapt.hpp>

#include "bert_mlm/sequences.hpp"
#include "common/lines.hpp"
#include "common/run_flags.hpp"
#include "common/subwords.hpp"

namespace {

using rapt::Index;
using rapt::TokenId;

struct Flags {
  std::string text;
  Index vocabulary = 1000, length = 16, width = 128, layers = 4, batch = 128, steps = 1000;
  double learning_rate = 1e-3;
  std::uint64_t seed = 1;
  RunFlags run;
};

/// The most probable token of each row that is asked for.
std::vector<TokenId> fill(const rapt::Bert<float>& model, const rapt::LanguageBatch& batch) {
  const auto scores = model.logits(rapt::gather_rows(model.hidden(batch.input), batch.rows)).value();  // [targets, V]
  std::vector<TokenId> found;
  for (Index i = 0; i < scores.rows(); ++i) {
    found.push_back(static_cast<TokenId>(std::max_element(scores.row(i), scores.row(i + 1)) - scores.row(i)));
  }
  return found;
}

/// The ratio of the tokens asked for, all of them hidden, that the model finds, and of those that are the most frequent
/// one.
std::pair<double, double> measure(const rapt::Bert<float>& model, const Sequences& sequences,
                                  rapt::MaskingOptions options, TokenId most_frequent) {
  options.mask_ratio = 1;
  options.random_ratio = 0;
  rapt::Rng rng(1);
  double asked = 0, right = 0, frequent = 0;
  for (std::size_t i = 0; i < sequences.size(); i += 64) {
    const auto end = std::min(i + 64, sequences.size());
    const auto batch = mask_tokens(rapt::TokenBatch({&sequences[i], &sequences[0] + end}), options, rng);
    const std::vector<TokenId> found = fill(model, batch);
    for (std::size_t k = 0; k < found.size(); ++k) right += found[k] == batch.targets[k] ? 1 : 0;
    frequent += static_cast<double>(std::count(batch.targets.begin(), batch.targets.end(), most_frequent));
    asked += static_cast<double>(found.size());
  }
  return {right / asked, frequent / asked};
}

void train(const Flags& flags) {
  const std::vector<std::string> lines = lines_to_learn(flags.text);
  const auto subwords = subwords_of(lines, {.vocabulary_size = flags.vocabulary}, flags.run.processes.is_first());
  const rapt::Vocabulary& words = subwords.vocabulary();
  const auto mask = static_cast<TokenId>(words.size());  // one token more than the text has
  const rapt::MaskingOptions masking{.vocabulary = words.size() + 1,
                                     .mask = mask,
                                     .special = {words.unknown(), words.begin_of_sentence(), words.end_of_sentence()}};
  Sequences training, validation;
  std::vector<Index> times(static_cast<std::size_t>(words.size()));
  for (auto& sequence : pack(lines, subwords, flags.length)) {
    if ((training.size() + validation.size()) % 10 == 9) {
      validation.push_back(std::move(sequence));
      continue;
    }
    for (const TokenId token : sequence) times[static_cast<std::size_t>(token)] += words.is_special(token) ? 0 : 1;
    training.push_back(std::move(sequence));
  }
  rapt::require(!validation.empty(), "bert_mlm", "the text is too short: ", training.size(), " sequences");
  const auto most_frequent = static_cast<TokenId>(std::max_element(times.begin(), times.end()) - times.begin());

  rapt::Rng rng(flags.seed);
  rapt::Bert model({.vocabulary = masking.vocabulary,
                    .positions = flags.length,
                    .token_types = 1,
                    .d_model = flags.width,
                    .layers = flags.layers,
                    .heads = std::max<Index>(1, flags.width / 32),
                    .d_ff = 4 * flags.width,
                    .pooler = false,
                    .masked_language_head = true},
                   rng);
  std::printf("%zu lines, %td tokens in the vocabulary, %zu + %zu sequences, %td parameters\n", lines.size(),
              words.size(), training.size(), validation.size(), count_parameters(model));

  rapt::Fingerprint fingerprint;
  for (const auto& sequence : training) fingerprint.add(std::span<const TokenId>(sequence));
  rapt::TrainingJob job(flags.run.job({"--text"}, data_text(training.size(), "sequences", fingerprint)));
  auto batches =
      rapt::masked_language_batches(training, {.sequences = flags.batch, .masking = masking, .random = rng.state()});
  rapt::Trainer trainer(
      model,
      flags.run.processes.shared(
          {.learning_rate =
               rapt::CosineSchedule{.peak = flags.learning_rate, .warmup = flags.steps / 10, .steps = flags.steps},
           .adam = {.beta2 = 0.99, .epsilon = 1e-6, .weight_decay = 0.01},
           .clip_norm = 1,
           .seed = flags.seed + 1}));  // of dropout; the seed itself draws weights and batches
  const auto validate = [&](const rapt::Bert<float>& some) {
    const auto [right, frequent] = measure(some, validation, masking, most_frequent);
    char text[120];
    std::snprintf(text, sizeof text, "loss %.3f  right %4.1f %%, the most frequent token %4.1f %%  %.0f s",
                  job.progress().loss, 100 * right, 100 * frequent, job.progress().seconds);
    return rapt::Measurement{.score = -right, .text = text, .entry = {{"right", right}}};
  };
  job.run(trainer, batches, {.steps = flags.steps, .validate_every = 250}, {.measure = validate});
  if (!flags.run.processes.is_first()) return;

  rapt::MaskingOptions one_token = masking;
  one_token.rate = 1e-9;
  one_token.mask_ratio = 1;
  one_token.random_ratio = 0;
  rapt::Rng gap_rng(flags.seed);
  for (std::size_t i = 0; i < validation.size(); i += validation.size() / 8 + 1) {
    const rapt::LanguageBatch batch = mask_tokens(rapt::TokenBatch({validation[i]}), one_token, gap_rng);
    const auto place = static_cast<std::size_t>(batch.rows[0]);
    const auto tokens = batch.input.sequence(0);
    std::printf("%s ___ %s  # %s (it was: %s)\n", subwords.decode(tokens.first(place)).c_str(),
                subwords.decode(tokens.subspan(place + 1)).c_str(), subwords.decode(fill(model, batch)).c_str(),
                subwords.decode(batch.targets).c_str());
  }
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"Trains a small BERT to fill in hidden words."};
  Flags flags;
  app.add_option("--text", flags.text, "The file to learn from. Without it sentences are generated.");
  add_positive(app, "--vocabulary", flags.vocabulary, "The number of tokens of the byte-pair encoding.");
  add_number(app, "--length", flags.length, {.least = 4, .most = 4096}, "The number of tokens in a sequence.");
  add_positive(app, "--width", flags.width, "The width of the model (d_model).");
  add_positive(app, "--layers", flags.layers, "The number of layers.");
  add_positive(app, "--batch", flags.batch, "The number of sequences in a step.");
  add_positive(app, "--steps", flags.steps, "The number of steps.");
  add_positive(app, "--learning-rate", flags.learning_rate, "The highest learning rate; it falls to 0.");
  add_seed(app, flags.seed);
  flags.run.add_to(app);
  CLI11_PARSE(app, argc, argv);
  return run_program("bert_mlm", flags.run.processes, [&] { train(flags); });
}
